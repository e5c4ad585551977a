"""The comparison passes a right reader and fails a wrong one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from eprimg_phantoms.cli import app
from eprimg_phantoms.compare import compare, eroded_mm, eroded_one_voxel, load_bounds
from tests.phantoms.ideal_run import ideal_run


@pytest.fixture(scope="session")
def ideal(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ideal_run(small, tmp_path_factory.mktemp("results") / "ideal")


def names(report: Any) -> str:
    return "\n".join(r.name for r in report.failed)


def test_a_right_reader_passes(ideal: Path, small: Path) -> None:
    report = compare(ideal, small)
    assert report.ok, report.text()
    assert len(report.judged) > 40
    assert report.size == "small"
    assert "FAIL" not in report.text()
    # The reader knows the transforms, so it has to stay well inside: the rest is for registration.
    for row in report.judged:
        if row.error is not None and row.bound is not None:
            assert abs(row.error) < 0.6 * row.bound, row


def test_the_edge_lesion_has_to_be_indeterminate(ideal: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(ideal, tmp_path / "out")
    text = (out / "lesions.csv").read_text()
    (out / "lesions.csv").write_text(text.replace("indeterminate", "moderate"))
    assert names(compare(out, small)) == "tier lesion-3, example-pid-per-kg-peak"


def test_swapped_sessions_fail(small: Path, tmp_path: Path) -> None:
    failed = names(ideal_report(small, tmp_path, swap=True))
    assert "R2* pre, liver core" in failed
    assert "dR2* lesion-1 core" in failed
    assert "tier lesion-1, example-dr2star-median" in failed


def test_a_lost_injection_date_fails(small: Path, truth: dict[str, Any], tmp_path: Path) -> None:
    # Without its date the injection is taken for one on the day of the scan: no decay at all.
    report = ideal_report(small, tmp_path, suv_factor=truth["pet"]["decay_factor"])
    assert sum("SUVbw" in r.name for r in report.failed) == 6


def test_skipped_registration_fails(small: Path, tmp_path: Path) -> None:
    still = {"post": np.eye(4), "pet": np.eye(4)}
    failed = names(ideal_report(small, tmp_path, motions=still))
    assert "registration MR-MR" in failed
    assert "registration PET-MR" in failed
    assert "dR2* lesion-" in failed


def ideal_report(small: Path, tmp_path: Path, **fault: Any) -> Any:
    return compare(ideal_run(small, tmp_path / "out", **fault), small)


def test_ignored_slopes_fail(
    ideal: Path, small: Path, truth: dict[str, Any], tmp_path: Path
) -> None:
    out = shutil.copytree(ideal, tmp_path / "out")
    files = sorted((small / truth["series"]["pet"]).glob("*.dcm"))
    slopes = np.array([float(pydicom.dcmread(p).RescaleSlope) for p in files])
    image = nib.load(out / "native" / "suvbw.nii.gz")
    data = image.get_fdata() / slopes[:, None, None] * slopes.mean()
    nib.Nifti1Image(data.astype(np.float32), image.affine).to_filename(
        out / "native" / "suvbw.nii.gz"
    )
    assert "SUVbw spleen core, mean, PET grid" in names(compare(out, small))


@pytest.mark.parametrize(
    "lost",
    ["lesions.csv", "maps/dr2star.nii.gz", "native/suvbw.nii.gz", "transforms/pet_to_pre.tfm"],
)
def test_a_missing_result_is_a_failed_row(
    ideal: Path, small: Path, tmp_path: Path, lost: str
) -> None:
    out = shutil.copytree(ideal, tmp_path / "out")
    (out / lost).unlink()
    report = compare(out, small)
    assert not report.ok
    assert any(Path(lost).name in r.note for r in report.failed)


def test_an_empty_folder_fails_everything(small: Path, tmp_path: Path) -> None:
    report = compare(tmp_path, small)
    assert len(report.failed) == len(report.judged)
    assert "0 of" in report.summary()


def test_a_map_on_another_grid_or_of_nan_fails(ideal: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(ideal, tmp_path / "out")
    path = out / "maps" / "dr2star.nii.gz"
    image = nib.load(path)
    moved = image.affine.copy()
    moved[:3, 3] += 1.0
    nib.Nifti1Image(np.asarray(image.dataobj), moved).to_filename(path)
    assert any("different grids" in r.note for r in compare(out, small).failed)
    nib.Nifti1Image(np.full(image.shape, np.nan, np.float32), image.affine).to_filename(path)
    assert any("no valid voxel" in r.note for r in compare(out, small).failed)
    path.write_bytes(b"broken")
    assert any("cannot be read" in r.note for r in compare(out, small).failed)


def test_a_table_that_holds_no_number_fails(ideal: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(ideal, tmp_path / "out")
    rows = (out / "lesions.csv").read_text().splitlines()
    head = rows[0].split(",")
    cells = rows[1].split(",")
    cells[head.index("rr2star90")] = ""
    (out / "lesions.csv").write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]))
    failed = compare(out, small).failed
    assert [r.name for r in failed] == ["rR2*90 lesion-1, noise included"]


def test_erosion() -> None:
    cube = np.zeros((11, 11, 11), dtype=bool)
    cube[2:9, 2:9, 2:9] = True
    assert eroded_one_voxel(cube).sum() == 5**3
    # Voxels of 4 x 2 x 2 mm, at least 5 mm from the nearest outside centre.
    assert eroded_mm(cube, [4.0, 2.0, 2.0], 5.0).sum() == 5 * 3 * 3
    assert not eroded_mm(np.zeros((3, 3, 3), dtype=bool), [1.0] * 3, 1.0).any()


def test_bounds() -> None:
    full, small_bounds = load_bounds("full"), load_bounds("small")
    assert full.keys() == small_bounds.keys()
    assert full["r2star_low_relative"] == 0.02
    assert full["suvmean_relative"] == 0.03
    assert full["registration_mr_mm"] == 0.7
    with pytest.raises(ValueError, match="no bounds"):
        load_bounds("huge")


def test_command_line(ideal: Path, small: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["list"])
    assert listed.exit_code == 0
    assert listed.output.startswith("abdomen:")
    good = runner.invoke(app, ["compare", str(ideal), str(small / "truth.json")])
    assert good.exit_code == 0
    assert "within the bounds of size 'small'" in good.output
    bad = runner.invoke(app, ["compare", str(tmp_path), str(small), "--all"])
    assert bad.exit_code == 1
    refused = runner.invoke(app, ["make", "thorax", "--out", str(tmp_path / "x")])
    assert refused.exit_code == 2


def test_another_seed_gives_other_noise_and_identifiers(
    small: Path, truth: dict[str, Any], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    done = CliRunner().invoke(app, ["make", "abdomen", "--seed", "7", "--out", str(other)])
    assert done.exit_code == 0
    assert json.loads((other / "truth.json").read_text())["seed"] == 7
    for key in ("pre", "pet"):
        a, b = (
            pydicom.dcmread(sorted((p / truth["series"][key]).glob("*.dcm"))[9])
            for p in (small, other)
        )
        assert a.PixelData != b.PixelData
        assert a.FrameOfReferenceUID != b.FrameOfReferenceUID
        assert a.PatientID != b.PatientID
    assert not (other / "dicom" / "S0006").exists()
