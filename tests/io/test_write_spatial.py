"""Registration objects that are written: the standard's own equations, and a DICOM validator."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from eprimg.errors import InputError, OutputError
from eprimg.io.read_spatial import read_spatial
from eprimg.io.write_spatial import ReferencedSeries, write_spatial
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

FIXED, MOVING = "1.2.1", "1.2.2"
WHO = {"pseudonym": "P-1", "study_uid": "1.2.8", "instant": datetime(2026, 3, 1, 9, 30)}
REFERENCES = (
    ReferencedSeries(FIXED, "1.2.8", "1.2.8.1", "1.2.840.10008.5.1.4.1.1.4", ("1.7.1", "1.7.2")),
    ReferencedSeries(MOVING, "1.2.80", "1.2.80.1", "1.2.840.10008.5.1.4.1.1.128", ("1.7.3",)),
)


def turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rigid() -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = turn(33.0)
    matrix[:3, 3] = (-12.3456789, 1 / 3, 250.5)
    return Transform(matrix, FIXED, MOVING)


def bent(sign: float) -> Transform:
    """An oblique grid, right- or left-handed, with other vectors at every node."""
    affine = np.eye(4)
    affine[:3, :3] = turn(15.0)[:, ::-1] * np.array([sign * 5.0, 4.0, 3.0])
    affine[:3, 3] = (-7.5, 3.25, 11.0)
    vectors = np.random.default_rng(2).normal(0, 3, (4, 5, 6, 3)).astype(np.float32)
    return Transform(
        rigid().matrix, FIXED, MOVING, Displacement(vectors, Grid((4, 5, 6), affine, FIXED))
    )


def test_the_standards_equation_gives_the_same_points(tmp_path: Path) -> None:
    write_spatial(rigid(), tmp_path / "r.dcm", **WHO)
    d = pydicom.dcmread(tmp_path / "r.dcm")
    assert d.FrameOfReferenceUID == FIXED
    (own, other) = d.RegistrationSequence
    assert (own.FrameOfReferenceUID, other.FrameOfReferenceUID) == (FIXED, MOVING)
    item = other.MatrixRegistrationSequence[0].MatrixSequence[0]
    assert item.FrameOfReferenceTransformationMatrixType == "RIGID"
    to_fixed = np.array([float(v) for v in item.FrameOfReferenceTransformationMatrix])
    # C.20.2.1.1: it takes points of the item's frame (moving) to that of the object (fixed)
    there = rigid().apply((10.0, -20.0, 30.0))
    assert to_fixed.reshape(4, 4) @ [*there, 1] == pytest.approx([10.0, -20.0, 30.0, 1], abs=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_equation_of_the_deformable_object(tmp_path: Path, sign: float) -> None:
    transform = bent(sign)
    write_spatial(transform, tmp_path / "d.dcm", **WHO)
    d = pydicom.dcmread(tmp_path / "d.dcm")
    item = d.DeformableRegistrationSequence[1]
    assert item.SourceFrameOfReferenceUID == MOVING
    grid = item.DeformableRegistrationGridSequence[0]
    columns, rows, planes = grid.GridDimensions
    assert (columns, rows, planes) == (6, 5, 4)
    vectors = np.frombuffer(grid.VectorGridData, "<f4").reshape(planes, rows, columns, 3)
    row, column = np.array(grid.ImageOrientationPatient, float).reshape(2, 3)
    post = item.PostDeformationMatrixRegistrationSequence[0].FrameOfReferenceTransformationMatrix
    post = np.array([float(v) for v in post]).reshape(4, 4)
    for i, j, k in ((0, 0, 0), (5, 4, 3), (2, 1, 3), (4, 3, 0)):
        # C.20.3.1.1, written out
        steps = np.array(grid.GridResolution) * (i, j, k)
        start = np.array(grid.ImagePositionPatient, float)
        node = start + steps[0] * row + steps[1] * column + steps[2] * np.cross(row, column)
        source = post @ [*(node + vectors[k, j, i]), 1]
        assert transform.apply(node + 1e-9) == pytest.approx(source[:3], abs=1e-4)


@pytest.mark.parametrize("transform", [rigid(), bent(1.0), bent(-1.0)], ids=str)
def test_read_back(tmp_path: Path, transform: Transform) -> None:
    write_spatial(transform, tmp_path / "x.dcm", **WHO, references=REFERENCES)
    (again,) = read_spatial(tmp_path / "x.dcm")
    assert (again.from_frame, again.to_frame) == (FIXED, MOVING)
    points = np.random.default_rng(0).uniform(-5, 15, (100, 3))
    np.testing.assert_allclose(again.apply(points), transform.apply(points), rtol=0, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["x.dcm"]


def test_images_are_referred_to_in_their_study(tmp_path: Path) -> None:
    write_spatial(rigid(), tmp_path / "x.dcm", **WHO, references=REFERENCES)
    d = pydicom.dcmread(tmp_path / "x.dcm")
    assert d.PatientID == "P-1"
    named = [i.ReferencedSOPInstanceUID for i in d.RegistrationSequence[0].ReferencedImageSequence]
    assert named == ["1.7.1", "1.7.2"]
    assert d.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.8.1"
    (other,) = d.StudiesContainingOtherReferencedInstancesSequence
    assert other.StudyInstanceUID == "1.2.80"


@pytest.mark.parametrize("transform", [rigid(), bent(1.0)], ids=["rigid", "bent"])
@pytest.mark.parametrize("references", [(), REFERENCES], ids=["frames", "images"])
def test_dciodvfy_finds_no_error(tmp_path: Path, transform: Transform, references: tuple) -> None:
    if shutil.which("dciodvfy") is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("dciodvfy (package dicom3tools) is missing")
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    write_spatial(transform, tmp_path / "x.dcm", **WHO, references=references)
    command = ["dciodvfy", str(tmp_path / "x.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")]
    assert errors == []


def test_frames_that_are_no_uids_and_folders_that_are_not_there(tmp_path: Path) -> None:
    named = Transform(np.eye(4), "nifti", MOVING)
    with pytest.raises(InputError) as caught:
        write_spatial(named, tmp_path / "x.dcm", **WHO)
    assert caught.value.value == "nifti"
    with pytest.raises(OutputError) as refused:
        write_spatial(rigid(), tmp_path / "absent" / "x.dcm", **WHO)
    assert refused.value.code == "E_OUTPUT_UNWRITABLE"
    (tmp_path / "d.dcm").mkdir()
    with pytest.raises(OutputError):
        write_spatial(rigid(), tmp_path / "d.dcm", **WHO)
    assert [p.name for p in tmp_path.iterdir()] == ["d.dcm"]
