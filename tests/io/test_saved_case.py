"""A saved reading: the same tables again, and polite refusals when the study is not the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from eprimg import pipeline
from eprimg.errors import InputError, OutputError
from eprimg.io.saved_case import (
    check_sources,
    is_saved_case,
    load_saved_case,
    save_case,
    saved_case_of,
)
from eprimg.io.schemes import load_schemes
from eprimg.io.study import read_study
from eprimg.io.study_plan import plan_study
from eprimg.io.write_tables import lesions_csv, measurements_csv
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.measure import affected_regions
from eprimg.stages.region_notes import exclude_region
from tests.conftest import Outcome, is_pet
from tests.quick import QUICK

FACTS = {"pseudonym": "EPR-9", "patient": {"weight_kg": 81.0}}


@pytest.fixture(scope="module")
def reading(phantom: Path):  # type: ignore[no-untyped-def]
    """A case that was read with an entered weight, measured, and edited in many ways."""
    config = QUICK
    plan = plan_study(phantom / "dicom", facts=FACTS)
    read = read_study(phantom / "dicom", plan=plan, config=config)
    first = pipeline.run(read.value, config, findings=read.findings)
    assert first.lesions is not None
    labels = np.array(first.lesions.labels)
    tumours = first.lesions.lesions
    painted = np.argwhere(labels == tumours[0].id)[0]
    labels[tuple(slice(c - 1, c + 2) for c in painted)] = tumours[0].id
    labels[labels == tumours[1].id] = 0  # deleted
    new = max(r.id for r in first.lesions.regions) + 1
    labels[5:8, 30:34, 30:34] = new
    regions = tuple(
        exclude_region(r, "lies in the bowel") if r.id == tumours[2].id else r
        for r in first.lesions.regions
        if r.id != tumours[1].id
    )
    edited = LesionSet(
        labels,
        first.lesions.grid,
        (*regions, Region(new, "drawn by hand", RegionRole.LESION)),
        first.lesions.origin,
    )
    schemes = tuple(
        replace(s, edges=tuple(1.5 * e for e in s.edges)) for s in load_schemes(config.stratify)
    )
    case = pipeline.run(
        first.study,
        config,
        case=replace(first, lesions=edited),
        start="measure",
        ids=affected_regions(first.lesions, edited, config),
        schemes=schemes,
    )
    return case, config, plan, schemes


@pytest.fixture
def saved(reading, phantom: Path, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    case, config, plan, schemes = reading
    record = saved_case_of(
        case,
        config,
        source=phantom / "dicom",
        study_file=plan.study_file,
        schemes=schemes,
        view={"window": [0, 5]},
    )
    return save_case(tmp_path / "case", record)


@pytest.mark.usefixtures("plain_page")
def test_a_run_from_a_saved_case_gives_the_tables_of_the_reading(
    reading, saved: Path, phantom: Path, tmp_path: Path, command: Callable[..., Outcome]
) -> None:  # type: ignore[no-untyped-def]
    case, config, _, _ = reading
    shown = pipeline.export_case(case, config, tmp_path / "shown")
    done = command("run", "--case", saved, "--out", tmp_path / "again")
    assert done.code == 0, done.err
    for name in ("lesions.csv", "measurements.csv"):
        assert (shown / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    table = (shown / "lesions.csv").read_text(encoding="utf-8")
    assert "excluded: lies in the bowel" in table
    assert "drawn by hand" in table
    patient = json.loads((tmp_path / "again" / "patient.json").read_text(encoding="utf-8"))
    assert patient["entered"] == {"weight_kg": 81.0}
    assert patient["pseudonym"] == "EPR-9"
    assert {"I_CASE_REOPENED", "I_REGIONS_GIVEN"} <= {f["code"] for f in patient["findings"]}
    held = command(
        "run", phantom / "dicom", "--case", saved, "--out", tmp_path / "again", "--resume"
    )
    assert "already there" in held.out


def test_what_was_saved_comes_back(reading, saved: Path, phantom: Path) -> None:  # type: ignore[no-untyped-def]
    case, config, plan, schemes = reading
    again = load_saved_case(saved)
    assert again.source == (phantom / "dicom").resolve()
    assert again.config == config
    assert again.study_file.entered == plan.study_file.entered
    assert again.view == {"window": [0, 5]}
    assert [s.edges for s in again.schemes or ()] == [s.edges for s in schemes]
    assert again.regions is not None
    np.testing.assert_array_equal(again.regions.labels, case.lesions.labels)
    assert again.regions.grid.matches(case.lesions.grid)
    assert [(r.id, r.name, r.role, r.tracking_uid) for r in again.regions.regions] == [
        (r.id, r.name, r.role, r.tracking_uid) for r in case.lesions.regions
    ]
    assert all(not r.measurements for r in again.regions.regions)


def test_a_moved_study_can_be_given_anew(saved: Path, phantom: Path, tmp_path: Path) -> None:
    record = json.loads((saved / "case.json").read_text(encoding="utf-8"))
    gone = tmp_path / "gone"
    record["source"] = {"path": str(gone)}
    _rewrite(saved, record)
    with pytest.raises(InputError) as caught:
        load_saved_case(saved)
    assert caught.value.code == "E_CASE_MOVED"
    assert "--case" in (caught.value.action or "")
    assert load_saved_case(saved, source=phantom / "dicom").source == phantom / "dicom"


def test_the_study_may_move_together_with_the_case(reading, phantom: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    case, config, plan, _ = reading
    shutil.copytree(phantom / "dicom", tmp_path / "a" / "dicom")
    record = saved_case_of(
        case, config, source=tmp_path / "a" / "dicom", study_file=plan.study_file
    )
    save_case(tmp_path / "a" / "case", record)
    (tmp_path / "a").rename(tmp_path / "b")
    assert load_saved_case(tmp_path / "b" / "case").source == (tmp_path / "b" / "dicom").resolve()


def test_changed_sources_are_named(
    saved: Path, copy_of: Callable[..., Path], command: Callable[..., Outcome], tmp_path: Path
) -> None:
    def brighter(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = bytes(len(dataset.PixelData))

    changed = copy_of(brighter, only=lambda ds: is_pet(ds) and int(ds.InstanceNumber) == 1)
    refused = command("run", changed, "--case", saved, "--out", tmp_path / "o")
    assert refused.code == 3
    assert "E_CASE_SOURCES" in refused.err
    assert "pet has changed" in refused.err
    assert not (tmp_path / "o").exists()
    less = copy_of(keep=lambda ds: not is_pet(ds))
    refused = command("run", less, "--case", saved, "--out", tmp_path / "o")
    assert "pet is missing" in refused.err


@pytest.mark.usefixtures("plain_page")
def test_a_reading_without_a_refused_series_can_be_run_again(
    copy_of: Callable[..., Path], command: Callable[..., Outcome], tmp_path: Path
) -> None:
    def nameless(dataset: pydicom.Dataset) -> None:
        dataset.Units = "NONE"

    folder, config = copy_of(nameless, only=is_pet), QUICK
    assert command("run", folder, "--out", tmp_path / "refused").code == 3
    plan = plan_study(folder)
    read = read_study(folder, plan=plan, config=config, leave_out_refused=True)
    case = pipeline.run(read.value, config, findings=read.findings)
    assert [s.key for s in case.study.series] == ["mr_pre", "mr_post"]
    shown = pipeline.export_case(case, config, tmp_path / "shown")
    record = saved_case_of(case, config, source=folder, study_file=plan.study_file)
    save_case(tmp_path / "case", record)
    done = command("run", "--case", tmp_path / "case", "--out", tmp_path / "again")
    assert done.code == 0, done.err
    for name in ("lesions.csv", "measurements.csv"):
        assert (shown / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    patient = json.loads((tmp_path / "again" / "patient.json").read_text(encoding="utf-8"))
    assert any("left out" in f["text"] for f in patient["findings"] if f["severity"] == "error")


def test_another_version_is_said(reading, saved: Path) -> None:  # type: ignore[no-untyped-def]
    case, *_ = reading
    again = load_saved_case(saved)
    assert [f.code for f in check_sources(again, case.study)] == ["I_CASE_REOPENED"]
    old = replace(again, version="0.0.1", input_hash="other")
    assert [f.code for f in check_sources(old, case.study)] == ["I_CASE_REOPENED", "W_CASE_VERSION"]
    with pytest.raises(InputError, match="headers, masks or entered facts"):
        check_sources(replace(again, input_hash="other"), case.study)


def test_damage_is_noticed(saved: Path, tmp_path: Path) -> None:
    labels = saved / "regions.nii.gz"
    labels.write_bytes(labels.read_bytes()[:-20])
    with pytest.raises(InputError) as caught:
        load_saved_case(saved)
    assert caught.value.code == "E_CASE_READ"
    with pytest.raises(InputError, match="no saved case"):
        load_saved_case(tmp_path)


def test_a_case_replaces_only_a_case_and_is_replaced_only_by_one(
    reading, saved: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    case, config, _, _ = reading
    record = load_saved_case(saved)
    with pytest.raises(OutputError) as caught:
        save_case(saved, record)
    assert caught.value.code == "E_OUTPUT_EXISTS"
    save_case(saved, replace(record, view={"second": True}), overwrite=True)
    assert load_saved_case(saved).view == {"second": True}
    with pytest.raises(OutputError) as caught:
        pipeline.export_case(case, config, saved, overwrite=True)
    assert caught.value.code == "E_OUTPUT_FOREIGN"
    assert is_saved_case(saved)
    results = pipeline.export_case(case, config, tmp_path / "results")
    with pytest.raises(OutputError) as caught:
        save_case(results, record, overwrite=True)
    assert caught.value.code == "E_OUTPUT_FOREIGN"
    assert (results / "lesions.csv").read_text(encoding="utf-8") == lesions_csv(case)
    assert (results / "measurements.csv").read_text(encoding="utf-8") == measurements_csv(case)


def _rewrite(folder: Path, record: dict) -> None:  # type: ignore[type-arg]
    """Change the record and its hash, as if it had been saved so."""
    import hashlib

    text = json.dumps(record)
    (folder / "case.json").write_text(text, encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["case.json"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
