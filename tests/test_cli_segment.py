"""`eprimg segment` on files, as a user types it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from eprimg import __version__
from tests.conftest import Outcome, is_pet
from tests.validation.pet_spheres import SCENES, SPACING_MM, dice, make_sphere

Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def sphere() -> Any:
    return make_sphere(SCENES[0], 22.0, 3)


@pytest.fixture
def pet_file(sphere: Any, tmp_path: Path) -> Path:
    """The sphere as NIfTI: RAS affine, so that x and y of LPS have the other sign."""
    path = tmp_path / "pet.nii.gz"
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    image = nib.Nifti1Image(np.transpose(sphere.values).astype(np.float32), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def seed_of(sphere: Any) -> str:
    z, y, x = sphere.centre
    return f"{-x:.2f},{-y:.2f},{z:.2f}"


def rows_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "regions.csv").read_text(encoding="utf-8").splitlines()))


def test_a_seed_gives_labels_and_a_row(
    command: Command, pet_file: Path, sphere: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = command("segment", pet_file, "--out", out, "--seed", seed_of(sphere), "--unit", "suvbw")
    assert done.code == 0, done.err
    (row,) = rows_of(out)
    assert (row["name"], row["status"], row["method"]) == (
        "candidate-1",
        "candidate",
        "adaptive-bg",
    )
    # Truth: the analytic sphere, and where it was put (LPS).
    assert float(row["volume_ml"]) == pytest.approx(sphere.volume_ml, rel=0.15)
    centre = [float(row[f"centre_{a}_lps_mm"]) for a in "xyz"]
    assert centre == pytest.approx(np.array([-1, -1, 1]) * sphere.centre[::-1], abs=1.5)
    stored = np.transpose(np.asarray(nib.load(out / "labels.nii.gz").dataobj))
    np.testing.assert_allclose(nib.load(out / "labels.nii.gz").affine, nib.load(pet_file).affine)
    whole = tuple(slice(0, n) for n in stored.shape)
    assert dice(stored == 1, sphere.truth(whole, 1)) > 0.9


def test_without_a_seed_candidates_are_found_and_the_method_counts(
    command: Command, pet_file: Path, sphere: Any, tmp_path: Path
) -> None:
    volumes = {}
    for method in ("adaptive-bg", "nestle"):
        out = tmp_path / method
        done = command("segment", pet_file, "--out", out, "--method", method)
        assert done.code == 0, done.err
        assert "W_SEG_MODALITY" in done.out
        (row,) = rows_of(out)
        volumes[row["method"]] = float(row["volume_ml"])
    assert volumes["nestle"] > 1.2 * volumes["adaptive-bg"]


def test_refusals_have_codes_and_leave_nothing(
    command: Command, pet_file: Path, sphere: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    cases = [
        (("--seed", "1,2"), "E_SEG_SEED", 3),
        (("--seed", "900,0,0"), "E_SEG_SEED", 3),
        (("--method", "best"), "E_CONFIG", 4),
        (("--method", "grow-cut", "--modality", "pet"), "E_CONFIG", 4),
        (("--method", "adaptive-bg", "--modality", "mr"), "E_CONFIG", 4),
        (("--modality", "mr"), "E_SEG_CLICK", 3),
        (
            ("--modality", "mr", "--seed", seed_of(sphere), "--background", "900,0,0"),
            "E_SEG_SEED: the background point lies outside the volume [--background]",
            3,
        ),
        (("--method", "fixed"), "E_SEG_UNIT", 3),
        (("--method", "percist", "--unit", "suvbw"), "E_SEG_REFERENCE", 3),
    ]
    for options, code, exit_code in cases:
        done = command("segment", pet_file, "--out", out, *options)
        assert (done.code, code in done.err) == (exit_code, True), (options, done.err)
        assert not out.exists()
    assert command("segment", tmp_path / "absent", "--out", out).code == 3
    out.mkdir()
    (out / "something").write_text("x", encoding="utf-8")
    there = command("segment", pet_file, "--out", out)
    assert "E_OUTPUT_EXISTS" in there.err
    assert "--overwrite" in there.err
    assert "--resume" not in there.err  # which this command lacks


def test_a_file_with_sheared_axes_is_named(command: Command, tmp_path: Path) -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[0, 1] = 1.0
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.float32), affine), tmp_path / "bent.nii.gz")
    done = command("segment", tmp_path / "bent.nii.gz", "--out", tmp_path / "out")
    assert "E_GEOM_SHEAR" in done.err
    assert "bent.nii.gz" in done.err


def test_a_click_on_one_mr_series_of_one_echo(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    # A point in the head of the file: 32 slices, one magnitude echo beside a field map.
    out = tmp_path / "out"
    folder = real_data / "mri" / "philips_enh_fmap"
    done = command("segment", folder, "--out", out, "--seed", "0,0,0")
    assert "E_IMAGETYPE" not in done.err
    assert done.code in (0, 5), done.err  # a region, or a row that says why there is none
    assert len(rows_of(out)) == 1


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eprimg", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_a_seed_in_nothing_is_said_and_gives_an_exit_code(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.full((20, 20, 20), 2.0, np.float32), np.eye(4)), path)
    out = tmp_path / "out"
    done = command("segment", path, "--out", out, "--seed", "-10,-10,10", "--unit", "suvbw")
    assert done.code == 5
    assert "W_SEG_FAILED" in done.out
    (row,) = rows_of(out)
    assert (row["status"], row["volume_ml"]) == ("failed", "")
    assert "above its surroundings" in row["note"]


def test_dicom_in_suv_and_without_a_dose_in_activity(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    def undo_dose(dataset: Any) -> None:
        del dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose

    folder = copy_of(keep=is_pet)
    options = ("--set", "segment.minimum_volume_ml=1")
    in_suv = command("segment", folder, "--out", tmp_path / "suv", *options)
    assert in_suv.code == 0, in_suv.err
    folder = copy_of(undo_dose, keep=is_pet)
    in_activity = command("segment", folder, "--out", tmp_path / "activity", *options)
    assert in_activity.code == 0, in_activity.err
    assert "W_SEG_ACTIVITY" in in_activity.out
    assert "W_SEG_ACTIVITY" not in in_suv.out
    one, other = (
        [r for r in rows_of(tmp_path / name) if r["status"] == "candidate"]
        for name in ("suv", "activity")
    )
    assert {r["unit"] for r in one} == {"g/mL"}
    assert {r["unit"] for r in other} == {"Bq/mL"}
    # the outline follows the ratio to the background, so it is the same in both units
    assert [r["n_voxels"] for r in one] == [r["n_voxels"] for r in other]
    assert one


def test_percist_is_refused_with_the_tracer_of_the_phantom(
    command: Command, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    done = command(
        "segment", copy_of(keep=is_pet), "--out", tmp_path / "out", "--method", "percist"
    )
    assert done.code == 3
    assert "E_SEG_LIVER" in done.err
    assert "89Zr" in done.err


def test_percist_takes_the_liver_from_the_regions(
    command: Command, pet_file: Path, sphere: Any, tmp_path: Path
) -> None:
    image = nib.load(pet_file)
    mask = np.zeros(image.shape, np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    nib.save(nib.Nifti1Image(mask, image.affine), tmp_path / "liver.nii.gz")
    out = tmp_path / "out"
    done = command(
        "segment", pet_file, "--out", out, "--unit", "suvbw", "--method", "percist",
        "--regions", tmp_path / "liver.nii.gz",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "W_SEG_LIVER" in done.out  # nobody said which nuclide it was
    inside = np.transpose(np.asarray(image.dataobj))[2:6, 2:6, 2:6].astype(np.float64)
    expected = 1.5 * inside.mean() + 2.0 * inside.std(ddof=1)
    (row,) = [r for r in rows_of(out) if r["status"] == "candidate"]
    assert float(row["threshold"]) == pytest.approx(expected, rel=1e-4)


def test_values_without_a_unit_have_none_in_the_table(
    command: Command, pet_file: Path, sphere: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = command("segment", pet_file, "--out", out, "--seed", seed_of(sphere))
    assert done.code == 0, done.err
    (row,) = rows_of(out)
    assert row["unit"] == "not known"
    assert "nobody said in which unit" in row["note"]
    assert "nothing says whether the series is PET or MR" in row["note"]
    said = tmp_path / "said"
    options = ("--seed", seed_of(sphere), "--unit", "activity")
    assert command("segment", pet_file, "--out", said, *options).code == 0
    (other,) = rows_of(said)
    assert (other["unit"], other["note"]) == ("Bq/mL", "")
    # the numbers are those of the file in both
    assert {k: row[k] for k in row if k not in ("unit", "note")} == {
        k: other[k] for k in other if k not in ("unit", "note")
    }
    fixed = command("segment", pet_file, "--out", tmp_path / "fixed", "--method", "fixed")
    assert fixed.code != 0
    assert "E_SEG_UNIT" in fixed.err


def test_percist_is_refused_with_a_tracer_of_the_liver_also_without_suv(
    command: Command, phantom: Path, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    def without_weight(dataset: Any) -> None:
        dataset.SeriesDescription = "PET AC"
        del dataset.PatientWeight

    folder = copy_of(without_weight, keep=is_pet)
    organs = phantom / "masks" / "organs_pet.nii.gz"
    done = command(
        "segment", folder, "--out", tmp_path / "out", "--method", "percist", "--regions", organs
    )
    assert done.code != 0
    assert "E_SEG_LIVER" in done.err
