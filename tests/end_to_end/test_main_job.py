"""Scene -> DICOM -> `eprimg run` -> truth; and the comparison must be able to fail."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from eprimg import pipeline
from eprimg.config import Config
from eprimg.io.output_folder import verify_folder
from eprimg.io.study import read_study
from eprimg.model.case import Case
from eprimg.model.transform import Registration, Transform
from eprimg_phantoms.compare import compare
from tests.conftest import Outcome, is_pet
from tests.quick import QUICK, QUICK_ARGS

Command = Callable[..., Outcome]


def measure(
    folder: Path,
    out: Path,
    study_file: Path | None = None,
    *,
    config: Config = QUICK,
    aligned: Case | None = None,
) -> Path:
    """Read and measure; with ``aligned``, go on from its registrations."""
    read = read_study(folder, study_file=study_file)
    start = "quantify" if aligned is not None else None
    case = pipeline.run(read.value, config, case=aligned, start=start, findings=read.findings)
    return pipeline.export_case(case, config, out)


def failed(results: Path, phantom: Path) -> list[str]:
    report = compare(results, phantom)
    return [row.name for row in report.rows if row.judged and not row.ok]


@pytest.fixture(scope="module")
def results(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    return measure(phantom / "dicom", folder, config=Config())


@pytest.fixture(scope="module")
def aligned(phantom: Path) -> Case:
    """The study with its registrations, for tests that leave pixels and places as they are."""
    return pipeline.run(read_study(phantom / "dicom").value, QUICK, stop="register")


@pytest.fixture
def quick_results(phantom: Path, tmp_path: Path, aligned: Case, plain_page: None) -> Path:
    """What the runs of the tests below give when nothing is tampered with."""
    return measure(phantom / "dicom", tmp_path / "quick", aligned=aligned)


def test_an_undisturbed_run_agrees_with_the_truth(results: Path, phantom: Path) -> None:
    report = compare(results, phantom)
    assert report.ok, report.text()
    assert sum(row.judged for row in report.rows) >= 30


def test_everything_that_is_promised_is_written(results: Path, phantom: Path) -> None:
    files = set(verify_folder(results)["files"])
    assert {
        "lesions.csv",
        "measurements.csv",
        "patient.json",
        "provenance.json",
        "report.html",
        "settings.toml",
        "regions/labels.nii.gz",
        "transforms/post_to_pre.tfm",
        "transforms/pet_to_pre.tfm",
        "maps/r2star_pre.nii.gz",
        "maps/r2star_post.nii.gz",
        "maps/dr2star.nii.gz",
        "maps/suvbw.nii.gz",
        "maps/pid_per_kg.nii.gz",
    } <= files
    assert {f.replace(".nii.gz", ".json") for f in files if f.endswith(".nii.gz")} <= files
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "not a medical device" in page
    assert "example, not validated" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    source = pydicom.dcmread(next((phantom / "dicom").rglob("*.dcm")), stop_before_pixels=True)
    for name in files:
        if name.endswith((".json", ".csv", ".html", ".toml", ".tfm")):
            text = (results / name).read_text(encoding="utf-8")
            for identity in (str(source.PatientName), str(source.PatientID)):
                assert identity not in text, f"{name} holds the patient's identity"


def test_a_second_run_gives_the_same_numbers(
    quick_results: Path, phantom: Path, tmp_path: Path
) -> None:
    # The quick registration passes too, so what fails below fails for what was done to the input.
    assert failed(quick_results, phantom) == []
    again = measure(phantom / "dicom", tmp_path / "again")
    for name in ("lesions.csv", "measurements.csv", "maps/dr2star.nii.gz", "maps/suvbw.nii.gz"):
        assert (again / name).read_bytes() == (quick_results / name).read_bytes(), name


@pytest.mark.usefixtures("plain_page")
def test_swapping_pre_and_post_is_noticed(phantom: Path, tmp_path: Path) -> None:
    plan = {e.key: str(e.role) for e in _index(phantom) if str(e.role).startswith("mr_")}
    swap = {"mr_pre": "mr_post", "mr_post": "mr_pre"}
    text = "[roles]\n" + "".join(f'"{k}" = "{swap[r]}"\n' for k, r in plan.items())
    study_file = tmp_path / "study.toml"
    study_file.write_text(text, encoding="utf-8")
    wrong = failed(measure(phantom / "dicom", tmp_path / "out", study_file), phantom)
    assert any("R2*" in name for name in wrong), wrong


def _index(phantom: Path) -> tuple:  # type: ignore[type-arg]
    from eprimg.io.index import scan

    return scan(phantom / "dicom").series


@pytest.mark.usefixtures("plain_page")
def test_ignoring_the_injection_date_is_noticed(
    phantom: Path, tmp_path: Path, aligned: Case
) -> None:
    # The well-known fault: the injection's clock time is put on the day of the scan.
    pet = next(
        f
        for f in sorted((phantom / "dicom").rglob("*.dcm"))
        if is_pet(pydicom.dcmread(f, stop_before_pixels=True))
    )
    read = read_study(phantom / "dicom")
    facts = read.value.series[-1].acquisition
    instant = facts.injection.instant.value  # type: ignore[union-attr]
    scan_day = facts.reference_instant.date()  # type: ignore[union-attr]
    wrong_day = instant.replace(year=scan_day.year, month=scan_day.month, day=scan_day.day)
    if wrong_day > facts.reference_instant:  # type: ignore[union-attr]
        wrong_day -= timedelta(days=1)
    assert wrong_day != instant, pet.name
    study_file = tmp_path / "study.toml"
    study_file.write_text(f"[injection]\ninstant = {wrong_day.isoformat()}\n", encoding="utf-8")
    out = measure(phantom / "dicom", tmp_path / "out", study_file, aligned=aligned)
    wrong = failed(out, phantom)
    assert any("SUV" in name for name in wrong), wrong


@pytest.mark.usefixtures("plain_page")
def test_ignoring_the_slope_of_each_slice_is_noticed(
    copy_of: Callable[..., Path], phantom: Path, tmp_path: Path
) -> None:
    # A reader that takes one slope for all slices sees what these headers say.
    slopes = []

    def first_slope(dataset: pydicom.Dataset) -> None:
        slopes.append(float(dataset.RescaleSlope))
        dataset.RescaleSlope = slopes[0]

    changed = copy_of(first_slope, only=is_pet)
    assert len(set(slopes)) > 5
    wrong = failed(measure(changed, tmp_path / "out"), phantom)
    assert any("SUV" in name for name in wrong), wrong


@pytest.mark.usefixtures("plain_page")
def test_skipping_registration_is_noticed(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eprimg.model.case import StageResult
    from eprimg.stages import register as stage

    def nothing(study, config, *, progress=None):  # type: ignore[no-untyped-def]
        reference, *others = study.series
        frame = reference.grid.frame_of_reference
        return StageResult(
            tuple(
                Registration(
                    reference.key,
                    s.key,
                    Transform(np.eye(4), frame, s.grid.frame_of_reference),
                    "none",
                )
                for s in others
            )
        )

    monkeypatch.setattr(stage, "register", nothing)
    wrong = failed(measure(phantom / "dicom", tmp_path / "out"), phantom)
    assert any("registration" in name.lower() for name in wrong), wrong
    assert any("dR2*" in name or "SUV" in name for name in wrong), wrong


@pytest.mark.parametrize(
    ("suffix", "series", "column"),
    [("post", "mr_post", "n_voxels_post"), ("pet", "pet", "n_voxels_pet")],
)
@pytest.mark.usefixtures("plain_page")
def test_a_mask_is_used_as_it_was_drawn_on_its_own_grid(
    suffix: str, series: str, column: str, phantom: Path, tmp_path: Path, aligned: Case
) -> None:
    mask = phantom / "masks" / f"lesions_{suffix}.nii.gz"
    study_file = tmp_path / "study.toml"
    study_file.write_text(f'[[masks]]\npath = "{mask}"\non = "{series}"\n', encoding="utf-8")
    out = measure(phantom / "dicom", tmp_path / "out", study_file, aligned=aligned)
    with (out / "lesions.csv").open(encoding="utf-8", newline="") as file:
        found = {row["name"]: int(row[column]) for row in csv.DictReader(file)}
    labels = np.asarray(nib.load(mask).dataobj)
    drawn = {f"lesion-{n}": int(np.count_nonzero(labels == n)) for n in range(1, 7)}
    assert found == drawn


def test_the_command_line_runs_resumes_and_refuses(
    command: Command, phantom: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    plan = command("run", phantom / "dicom", "--out", out, "--dry-run")
    assert plan.code == 0
    assert "would run" in plan.out
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[clicks]]\non = "ct"\npoint_mm = [0, 0, 0]\nanatomy = "lesion"\n')
    refused = command("run", phantom / "dicom", "--out", out, "--dry-run", "--study", wrong)
    assert (refused.code, "E_STUDY_FILE" in refused.err) == (4, True)
    assert not out.exists()
    done = command("run", phantom / "dicom", "--out", out, *QUICK_ARGS, "--set", "threads=2")
    assert done.code == 0, done.err
    assert "report:" in done.out
    again = command("run", phantom / "dicom", "--out", out)
    assert again.code == 6
    assert "E_OUTPUT_EXISTS" in again.err
    before = (out / "manifest.json").read_bytes()
    asked = ("run", phantom / "dicom", "--out", out, "--resume", *QUICK_ARGS)
    resumed = command(*asked, "--set", "threads=2")
    assert resumed.code == 0
    assert "already there" in resumed.out
    assert (out / "manifest.json").read_bytes() == before
    # The settings that were written name the same profile and can be used again.
    again = ("run", phantom / "dicom", "--out", out, "--config", out / "settings.toml")
    assert "already there" in command(*again, "--resume").out
    for word in ("missing.toml", str(wrong)):
        refused = command(*again, "--resume", "--set", f"register.profile={word}")
        assert (refused.code, "E_CONFIG" in refused.err, word in refused.err) == (4, True, True)
        plan = ("run", tmp_path, "--out", tmp_path / "o", "--dry-run")
        assert command(*plan, "--set", f"register.profile={word}").code == 4
    other = command(*asked, "--set", "threads=1")
    assert other.code == 6
    record = json.loads((out / "patient.json").read_text(encoding="utf-8"))
    assert record["tiers"], record


def test_candidates_are_measured_but_never_tiered_until_accepted(
    copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copy_of(keep=lambda ds: str(ds.Modality) == "PT")
    read = read_study(folder)
    case = pipeline.run(read.value, Config())
    assert case.lesions is not None
    assert case.lesions.lesions
    for region in case.lesions.lesions:
        assert str(region.source) == "candidate"
        assert region.measurement("suvbw", "mean", "pet") is not None
        assert {t.label for t in region.tiers} == {"not tiered"}
    assert any(f.code == "I_CANDIDATES" for f in case.findings)
    config = Config().with_assignments(["segment.accept_candidates=true"])
    accepted = pipeline.run(read.value, config, case=case, start="segment")
    labels = {t.label for r in accepted.lesions.lesions for t in r.tiers if "pid" in t.scheme}
    assert labels - {"not tiered"}
