from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.study import Role
from eprimg.report.frames import reference_grid
from eprimg.report.layers import (
    anatomy_layer,
    first_echo,
    lesion_layers,
    pet_layer,
    signal_window,
)


def rejected(case: Case) -> Case:
    return replace(
        case,
        registered={},
        registrations=tuple(replace(r, accepted=False) for r in case.registrations),
    )


def test_a_full_case_shows_every_row(case: Case) -> None:
    layers, missing = lesion_layers(case, Config())
    assert [layer.title.split("\n")[0].split(",")[0] for layer in layers] == [
        "MR",
        "R2*",
        "R2*",
        "ΔR2*",
        "PET",
        "Fusion",
    ]
    assert missing == ()
    assert layers[1].high == layers[2].high  # before and after share one scale
    assert layers[5].base is layers[0]


def test_a_rejected_registration_hides_the_other_series_and_says_so(case: Case) -> None:
    layers, missing = lesion_layers(rejected(case), Config())
    assert len(layers) == 2
    assert len(missing) == 3
    assert all("registration" in sentence for sentence in missing)


def test_the_uptake_window_can_be_set(case: Case) -> None:
    config = Config().with_settings({"report": {"suv_window_max": 7.5}})
    grid = reference_grid(case)
    assert grid is not None
    layer = pet_layer(case, config, grid.frame_of_reference)
    assert layer is not None
    assert layer.high == 7.5
    assert layer.unit == "SUVbw [g/mL]"
    only_pid = replace(
        case,
        maps={"pid_per_kg": case.maps["pid_per_kg"]},
        registered={},
        lesions=None,
        native_lesions={},
    )
    other = pet_layer(only_pid, config, grid.frame_of_reference)
    assert other is not None
    assert other.unit == "%ID/kg"
    assert other.high != 7.5


def test_anatomy_prefers_the_series_before_the_agent(case: Case) -> None:
    grid = reference_grid(case)
    assert grid is not None
    layer = anatomy_layer(case, grid.frame_of_reference)
    assert layer is not None
    assert "before agent" in layer.title
    later = replace(case, study=replace(case.study, timepoints=case.study.timepoints[1:]))
    layer = anatomy_layer(later, grid.frame_of_reference)
    assert layer is not None
    assert "after agent" in layer.title


def test_ct_stands_in_for_missing_mr(case: Case) -> None:
    pet = case.study.timepoints[2]
    ct = replace(pet.series[0], key="ct", role=Role.CT, acquisition=None)
    study = replace(case.study, timepoints=(replace(pet, series=(pet.series[0], ct)),))
    layer = anatomy_layer(replace(case, study=study), pet.series[0].grid.frame_of_reference)
    assert layer is not None
    assert layer.title == "CT"


def test_window_of_a_signal(case: Case) -> None:
    series = case.study.find(Role.MR_PRE)
    assert series is not None
    low, high = signal_window(first_echo(series))
    assert low == 0.0
    # The brightest tissue of the synthetic case is fat: S0 1150, R2* 35 1/s, first echo 1.2 ms.
    expected = 1150 * np.exp(-35 * 0.0012)
    assert 0.9 * expected < high < 1.1 * expected
    assert signal_window(np.full((4, 4, 4), np.nan)) == (0.0, 1.0)
