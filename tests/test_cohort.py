"""Cohorts: collected from output folders, stored, read back, used by a tier rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.cohort import collect_cohort, write_cohort
from eprimg.config import Config
from eprimg.errors import ConfigError, InputError, OutputError, UnitsError
from eprimg.io.outputs import write_case
from eprimg.io.schemes import load_cohort
from eprimg.model.case import Case, Finding
from eprimg.model.lesions import RegionSource
from eprimg.model.tiers import NOT_TIERED, Cohort, Tier
from tests import tiny_case


def patient(name: str, case: Case | None = None) -> Case:
    """Another patient: its own pseudonym and its own files."""
    case = case or tiny_case.case()
    return replace(
        case,
        study=replace(case.study, pseudonym=name),
        provenance=replace(case.provenance, input_hash=f"input of {name}"),
    )


def with_lesion(case: Case, **changes: object) -> Case:
    assert case.lesions is not None
    lesion, spleen = case.lesions.regions
    lesion = replace(lesion, **changes)  # type: ignore[arg-type]
    return replace(case, lesions=case.lesions.with_regions((lesion, spleen)))


def with_peak(value: float, source: RegionSource = RegionSource.MASK) -> Case:
    case = patient(f"P-{value:g}")
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


def collect(*folders: Path, quantity: str = "pid_per_kg", statistic: str = "peak") -> Cohort:
    return collect_cohort(folders, key="k", quantity=quantity, statistic=statistic)


def test_of_several_measurements_the_one_counts_that_tiers_judge(tmp_path: Path) -> None:
    before = next(
        m for m in tiny_case.case().lesions.lesions[0].measurements if m.quantity == "r2star"
    )  # type: ignore[union-attr]
    rest = (replace(before, source="mr_post", value=61.5), replace(before, source="registered"))
    case = with_lesion(patient("P-1"), measurements=(before, *rest))
    cohort = collect(
        write_case(case, Config(), tmp_path / "p"), quantity="r2star", statistic="median"
    )
    assert cohort.values == (61.5,)
    alone = with_lesion(patient("P-2"), measurements=(before,))
    with pytest.raises(InputError, match="no reviewed lesion"):
        collect(write_case(alone, Config(), tmp_path / "q"), quantity="r2star", statistic="median")


def test_several_values_without_a_rule_are_refused(tmp_path: Path) -> None:
    volume = tiny_case.case().lesions.lesions[0].measurements[0]  # type: ignore[union-attr]
    case = with_lesion(patient("P-1"), measurements=(volume, replace(volume, source="pet")))
    folder = write_case(case, Config(), tmp_path / "p")
    with pytest.raises(InputError, match="several values of volume"):
        collect(folder, quantity="volume", statistic="volume")


def test_lesions_that_were_refused_a_tier_are_left_out_and_counted(tmp_path: Path) -> None:
    none = Tier("demo-scheme", NOT_TIERED, tiny_case.NAN, "none: not tiered", "too small")
    small = with_lesion(with_peak(99.0), tiers=(none,))
    folders = [
        write_case(with_peak(7.5), Config(), tmp_path / "p"),
        write_case(small, Config(), tmp_path / "q"),
    ]
    cohort = collect(*folders)
    assert (cohort.values, cohort.n_patients) == ((7.5,), 1)
    assert "1 measured lesion left out" in cohort.notes
    assert load_cohort(write_cohort([cohort], tmp_path / "cohort.json")) == (cohort,)
    with pytest.raises(InputError, match="1 measured lesion left out"):
        collect(folders[1])
    # another statistic was not judged by that scheme
    other = replace(small, schemes=(replace(small.schemes[0], statistic="mean"),))
    kept = write_case(patient("P-3", other), Config(), tmp_path / "r")
    assert (collect(kept).values, collect(kept).notes) == ((99.0,), "")
    # cut-offs that could not be had (no cohort yet) say nothing about the lesion
    error = ConfigError("no cohort", code="E_COHORT", where="stratify.cohort_file")
    failed = replace(small, findings=(Finding.from_error(error, "demo-scheme"),))
    kept = write_case(patient("P-4", failed), Config(), tmp_path / "s")
    assert collect(kept).values == (99.0,)


def test_what_was_not_measured_is_no_value(tmp_path: Path) -> None:
    empty = write_case(with_peak(tiny_case.NAN), Config(), tmp_path / "p")
    full = write_case(with_peak(7.5), Config(), tmp_path / "q")
    cohort = collect(empty, full)
    assert (cohort.values, cohort.n_patients, cohort.notes) == ((7.5,), 1, "")


def test_two_folders_of_one_patient_are_refused(tmp_path: Path) -> None:
    first = with_peak(12.0)
    folder = write_case(first, Config(), tmp_path / "p")
    for name, case in (
        ("pseudonym", patient("P-12", with_peak(4.0))),
        ("hash", replace(with_peak(4.0), provenance=first.provenance)),
    ):
        if name == "pseudonym":
            case = replace(case, provenance=replace(case.provenance, input_hash="another"))
        again = write_case(case, Config(), tmp_path / name)
        with pytest.raises(InputError, match=f"of one patient .*{name}") as caught:
            collect(folder, again)
        assert caught.value.code == "E_COHORT"


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
