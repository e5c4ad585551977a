"""Bad input: a coded error or finding each, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tests.conftest import Outcome, is_mr, is_pet

Command = Callable[..., Outcome]


def administration(dataset: pydicom.Dataset) -> pydicom.Dataset:
    return dataset.RadiopharmaceuticalInformationSequence[0]


def refused(outcome: Outcome, code: str, out: Path, *, exits: tuple[int, ...]) -> None:
    assert code in outcome.err, f"wanted {code}; got {outcome.err}"
    assert outcome.code in exits
    assert not out.exists()
    assert not list(out.parent.glob(".out*"))
    assert "Traceback" not in outcome.err


def test_empty_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    refused(command("run", tmp_path / "empty", "--out", out), "E_EMPTY", out, exits=(3,))


def test_a_folder_that_is_not_there(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(command("run", tmp_path / "none", "--out", out), "E_EMPTY", out, exits=(3,))


def test_files_that_are_not_dicom(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("hello")
    (tmp_path / "in" / "x.bin").write_bytes(bytes(range(256)) * 4)
    out = tmp_path / "out"
    refused(command("run", tmp_path / "in", "--out", out), "E_EMPTY", out, exits=(3,))


def height_mm(path: Path) -> float:
    return float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


def pet_only(dataset: pydicom.Dataset) -> bool:
    return is_pet(dataset)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda ds: delattr(ds, "PatientWeight"), "E_SUV_WEIGHT"),
        (lambda ds: setattr(administration(ds), "RadionuclideTotalDose", 0), "E_SUV_DOSE"),
        (
            lambda ds: delattr(administration(ds), "RadiopharmaceuticalStartDateTime"),
            "E_SUV_TIME",
        ),
        (lambda ds: setattr(ds, "Units", "CNTS"), "E_PET_UNITS"),
    ],
    ids=["missing weight", "zero dose", "89Zr with a clock time only", "CNTS"],
)
def test_pet_facts(
    change: Callable[[pydicom.Dataset], None],
    code: str,
    command: Command,
    copy_of: Callable[..., Path],
    tmp_path: Path,
) -> None:
    def with_clock(dataset: pydicom.Dataset) -> None:
        administration(dataset).RadiopharmaceuticalStartTime = "100000"
        change(dataset)

    folder = copy_of(with_clock, keep=pet_only)
    out = tmp_path / "out"
    refused(command("run", folder, "--out", out), code, out, exits=(3,))


def test_missing_slice(command: Command, copy_of: Callable[..., Path], tmp_path: Path) -> None:
    folder = copy_of(keep=pet_only)
    files = sorted(folder.rglob("*.dcm"))
    files[len(files) // 2].unlink()
    out = tmp_path / "out"
    refused(command("run", folder, "--out", out), "E_GEOM_GAP", out, exits=(5,))


def test_truncated_file(command: Command, copy_of: Callable[..., Path], tmp_path: Path) -> None:
    folder = copy_of(lambda ds: None, keep=pet_only)
    victim = sorted(folder.rglob("*.dcm"))[3]
    victim.write_bytes(victim.read_bytes()[:-500])
    out = tmp_path / "out"
    refused(command("run", folder, "--out", out), "E_PIXEL_SHORT", out, exits=(3,))


@pytest.mark.parametrize("length", [900, 300, 0])
def test_a_file_cut_in_its_header_at_the_end_of_the_stack(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path, length: int
) -> None:
    folder = copy_of(lambda ds: None, keep=pet_only)
    # without this one the rest is an even stack, one slice shorter
    victim = max(folder.rglob("*.dcm"), key=height_mm)
    victim.write_bytes(victim.read_bytes()[:length])
    out = tmp_path / "out"
    outcome = command("run", folder, "--out", out)
    refused(outcome, "E_TRUNCATED", out, exits=(3,))
    assert victim.name in outcome.err
    refused(command("map", "suv", folder, "--out", out), "E_TRUNCATED", out, exits=(3,))
    assert command("scan", folder).code == 0


def test_mixed_patients(command: Command, copy_of: Callable[..., Path], tmp_path: Path) -> None:
    folder = copy_of(lambda ds: setattr(ds, "PatientID", "SOMEBODY-ELSE"), only=is_pet)
    out = tmp_path / "out"
    outcome = command("run", folder, "--out", out)
    refused(outcome, "E_PATIENT_MIX", out, exits=(3,))
    assert "SOMEBODY" not in outcome.err + outcome.out


def test_one_echo(command: Command, copy_of: Callable[..., Path], tmp_path: Path) -> None:
    folder = copy_of(keep=lambda ds: is_mr(ds) and abs(float(ds.EchoTime) - 1.2) < 0.01)
    out = tmp_path / "out"
    outcome = command("map", "r2star", folder, "--out", out)
    assert outcome.code == 3
    assert "E_ECHO" in outcome.err or "E_IMAGETYPE" in outcome.err
    assert not out.exists()


def test_echo_times_in_seconds(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    def seconds(dataset: pydicom.Dataset) -> None:
        dataset.EchoTime = f"{float(dataset.EchoTime) / 1000:.6f}"

    folder = copy_of(seconds, keep=is_mr)
    out = tmp_path / "out"
    refused(command("run", folder, "--out", out), "E_ECHO", out, exits=(3,))


def test_a_mask_on_another_frame_of_reference(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copy_of(keep=pet_only)
    array = np.zeros((20, 20, 20), np.uint8)
    array[5:9, 5:9, 5:9] = 1
    nib.save(nib.Nifti1Image(array, np.diag([4.0, 4, 4, 1])), tmp_path / "lesions.nii.gz")
    study = tmp_path / "study.toml"
    study.write_text('[[masks]]\npath = "lesions.nii.gz"\n', encoding="utf-8")
    out = tmp_path / "out"
    outcome = command("run", folder, "--out", out, "--study", study)
    refused(outcome, "E_FOR", out, exits=(5,))


def test_output_that_cannot_be_written(command: Command, phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    outcome = command("run", phantom / "dicom", "--out", tmp_path / "file" / "out")
    assert outcome.code == 6
    assert "E_OUTPUT_UNWRITABLE" in outcome.err
    assert (tmp_path / "file").read_text() == "x"


def test_faults_of_several_series_are_told_together(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    def spoil(dataset: pydicom.Dataset) -> None:
        if is_pet(dataset):
            del dataset.PatientWeight
            administration(dataset).RadionuclideTotalDose = 0

    folder = copy_of(spoil, only=is_pet)
    out = tmp_path / "out"
    outcome = command("run", folder, "--out", out)
    assert "E_SUV_WEIGHT" in outcome.err
    assert "E_SUV_DOSE" in outcome.err
    assert outcome.code == 3
