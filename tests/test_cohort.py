"""Cohorts: collected from output folders, stored, read back, used by a tier rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.cohort import collect_cohort, write_cohort
from eprimg.config import Config
from eprimg.errors import InputError, OutputError, UnitsError
from eprimg.io.outputs import write_case
from eprimg.io.schemes import load_cohort
from eprimg.model.case import Case
from eprimg.model.lesions import RegionSource
from tests import tiny_case


def with_peak(value: float, source: RegionSource = RegionSource.MASK) -> Case:
    case = tiny_case.case()
    assert case.lesions is not None
    lesion, spleen = case.lesions.regions
    numbers = tuple(
        replace(m, value=value) if m.quantity == "pid_per_kg" else m for m in lesion.measurements
    )
    lesion = replace(lesion, measurements=numbers, source=source)
    return replace(case, lesions=case.lesions.with_regions((lesion, spleen)))


def test_values_of_reviewed_lesions_are_collected(tmp_path: Path) -> None:
    folders = [
        write_case(with_peak(v), Config(), tmp_path / f"p{n}")
        for n, v in enumerate((12.0, 4.0, 7.5))
    ]
    candidate = write_case(with_peak(99.0, RegionSource.CANDIDATE), Config(), tmp_path / "c")
    cohort = collect_cohort(
        [*folders, candidate], key="k-1", quantity="pid_per_kg", statistic="peak"
    )
    assert cohort.values == (4.0, 7.5, 12.0)
    assert cohort.n_patients == 3
    (again,) = load_cohort(write_cohort([cohort], tmp_path / "cohort.json"))
    assert again == cohort


def test_what_cannot_be_collected_is_refused(tmp_path: Path) -> None:
    folder = write_case(with_peak(12.0), Config(), tmp_path / "p")
    with pytest.raises(InputError, match="named twice"):
        collect_cohort([folder, folder], key="k", quantity="pid_per_kg", statistic="peak")
    with pytest.raises(InputError, match="no reviewed lesion"):
        collect_cohort([folder], key="k", quantity="suvbw", statistic="peak")
    with pytest.raises(UnitsError):
        collect_cohort([folder], key="k", quantity="nothing", statistic="peak")
    (folder / "patient.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        collect_cohort([folder], key="k", quantity="pid_per_kg", statistic="peak")
    assert caught.value.code == "E_OUTPUT_DAMAGED"
