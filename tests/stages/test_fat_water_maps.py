"""Fat and water of a series of a study: asked for, absent, and measured per vial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eprimg import Config, read_study
from eprimg.model.study import Role
from eprimg.stages.fat_water_maps import fat_water_maps, measure_fat_water
from eprimg.stages.quantify import quantify
from eprimg_phantoms import make
from tests.phantoms.vial_reading import read_vials


class Labelled:
    """Statistics of vials straight from their labels, in the place of `RegionVoxels`."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def statistics(self, values, number):
        here = self.labels == number
        good = values.values[here & values.valid]
        return type(
            "Stats",
            (),
            {
                "count": [int(here.sum())],
                "n_valid": [good.size],
                "median": [np.median(good) if good.size else np.nan],
                "mean": [good.mean() if good.size else np.nan],
                "sd": [good.std() if good.size else np.nan],
            },
        )


@pytest.fixture(scope="module")
def vials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    root = make("fat-water", tmp_path_factory.mktemp("fat") / "study", size="tiny", seed=3)
    return root, read_study(root / "dicom", config=Config()).value


def test_maps_of_a_series_with_phase_and_numbers_of_its_vials(vials) -> None:
    root, study = vials
    truth = read_vials(root)
    config = Config().with_settings({"fat_water": {"fit": True}, "threads": 1})
    made = quantify(study, (), config).value.maps
    assert {"r2star_pre", "pdff_pre", "r2star_fatwater_pre", "field_map_pre"} <= set(made)
    numbers = {v["label"]: [] for v in truth.truth["vials"].values()}
    measure_fat_water(numbers, Labelled(truth.cores), made, "pre", "mr_pre")
    for vial in truth.truth["vials"].values():
        found = {(m.quantity, m.statistic): m for m in numbers[vial["label"]]}
        if vial["r2star_per_s"] <= 200:
            share = found["pdff", "mean"]
            # 2.5 points: bound of docs/validation/fat_water.md; on top three errors of the mean.
            doubt = 3 * found["pdff", "sd"].value / np.sqrt(share.n_voxels)
            assert share.value == pytest.approx(vial["fat_percent"], abs=2.5 + doubt)
            assert ("r2star", "median_fat_water") in found


def test_nothing_is_fitted_unless_asked_for(vials) -> None:
    _, study = vials
    assert "pdff_pre" not in quantify(study, (), Config()).value.maps


def test_a_series_without_phase_is_told_of(vials) -> None:
    _, study = vials
    bare = replace(study.find(Role.MR_PRE), complex_echoes=None)
    maps, findings = fat_water_maps(bare, "pre", Config(), lambda share: None)
    assert not maps
    assert [f.code for f in findings] == ["I_NO_COMPLEX"]


def test_what_the_fit_refuses_is_a_finding(vials) -> None:
    _, study = vials
    series = study.find(Role.MR_PRE)
    unknown = replace(
        series.acquisition, field_strength_t=type(series.acquisition.field_strength_t)()
    )
    maps, findings = fat_water_maps(
        replace(series, acquisition=unknown), "pre", Config(), lambda share: None
    )
    assert not maps
    assert "E_FIELD_STRENGTH" in [f.code for f in findings]
