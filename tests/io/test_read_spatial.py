"""DICOM spatial registrations made by hand: the direction of every matrix comes from PS3.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from eprimg.errors import InputError
from eprimg.io.read_spatial import (
    DEFORMABLE_CLASS,
    RIGID_CLASS,
    is_spatial_registration,
    read_spatial,
)
from tests.io import dicom_factory

MR, PET, CT = "1.2.1", "1.2.2", "1.2.3"

# The patient lies in PET 10 mm further left and 20 mm further to the back than in MR, and the
# couch stands 5 mm lower; nothing is turned but one quarter about the long axis, which takes
# (x, y) of PET to (-y, x) of MR.  PS3.3 C.20.2.1.1: the matrix in the item of PET takes PET points
# to the frame of the object, here MR.
PET_TO_MR = [0, -1, 0, 10, 1, 0, 0, 20, 0, 0, 1, 5, 0, 0, 0, 1]


def matrix_item(values: list[float], kind: str = "RIGID") -> Dataset:
    item = Dataset()
    item.FrameOfReferenceTransformationMatrix = values
    item.FrameOfReferenceTransformationMatrixType = kind
    return item


def rigid_item(frame: str, *matrices: Dataset) -> Dataset:
    registration, item = Dataset(), Dataset()
    registration.MatrixSequence = list(matrices)
    if frame:
        item.FrameOfReferenceUID = frame
    item.MatrixRegistrationSequence = [registration]
    return item


def identity() -> Dataset:
    return matrix_item(np.eye(4).ravel().tolist())


def save(path: Path, kind: str, items: list[Dataset], frame: str = MR) -> Path:
    d: Any = dicom_factory.base(kind, "REG", sop_uid="1.2.9", study="1.2.8", series="1.2.7")
    d.FrameOfReferenceUID = frame
    name = "RegistrationSequence" if kind == RIGID_CLASS else "DeformableRegistrationSequence"
    setattr(d, name, items)
    d.save_as(path, enforce_file_format=True)
    return path


def test_a_rigid_object_is_turned_round(tmp_path: Path) -> None:
    items = [rigid_item(MR, identity()), rigid_item(PET, matrix_item(PET_TO_MR))]
    (made,) = read_spatial(save(tmp_path / "r.dcm", RIGID_CLASS, items))
    assert (made.from_frame, made.to_frame) == (MR, PET)
    # by hand: the PET point (1, 2, 3) lies at MR (-2 + 10, 1 + 20, 3 + 5)
    assert made.apply((8.0, 21.0, 8.0)) == pytest.approx((1.0, 2.0, 3.0))


def test_frames_by_the_images_that_an_item_names(tmp_path: Path) -> None:
    item = rigid_item("", matrix_item(PET_TO_MR))
    image = Dataset()
    image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    image.ReferencedSOPInstanceUID = "1.5.1"
    item.ReferencedImageSequence = [image]
    path = save(tmp_path / "r.dcm", RIGID_CLASS, [item])
    (made,) = read_spatial(path, frames={"1.5.1": PET, "1.5.2": CT})
    assert made.to_frame == PET
    with pytest.raises(InputError, match="not at hand"):
        read_spatial(path)


def grid_item(vectors: np.ndarray) -> Dataset:
    """Nodes 2, 3 and 4 mm apart along x, y and z from (10, 20, 30) on; column index fastest."""
    item = Dataset()
    item.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    item.ImagePositionPatient = [10, 20, 30]
    item.GridDimensions = [3, 2, 2]
    item.GridResolution = [2.0, 3.0, 4.0]
    item.VectorGridData = vectors.astype("<f4").tobytes()
    return item


def deformable_item(vectors: np.ndarray) -> Dataset:
    item = Dataset()
    item.SourceFrameOfReferenceUID = PET
    item.PreDeformationMatrixRegistrationSequence = [
        matrix_item([1, 0, 0, 100, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
    ]
    item.DeformableRegistrationGridSequence = [grid_item(vectors)]
    item.PostDeformationMatrixRegistrationSequence = [matrix_item(PET_TO_MR)]
    return item


def test_a_deformable_object_goes_from_its_own_frame_to_the_source(tmp_path: Path) -> None:
    vectors = np.zeros((12, 3))
    # PS3.3 C.20.3.1.3: left to right, top to bottom, plane after plane: the seventh triple is the
    # first of the second plane
    vectors[6] = (0.5, -0.25, 2.0)
    path = save(tmp_path / "d.dcm", DEFORMABLE_CLASS, [deformable_item(vectors)])
    (made,) = read_spatial(path)
    assert (made.from_frame, made.to_frame) == (MR, PET)
    # that node is (10, 20, 34); the pre-matrix takes x = -90 there, the post-matrix turns and moves
    there = made.apply((-90.0, 20.0, 34.0))
    x, y, z = 10.5, 19.75, 36.0
    assert there == pytest.approx((-y + 10, x + 20, z + 5), abs=1e-5)
    # a node without deformation
    assert made.apply((-88.0, 23.0, 30.0)) == pytest.approx((-23 + 10, 12 + 20, 30 + 5), abs=1e-5)


def test_faults_are_named(tmp_path: Path) -> None:
    squeezed = [*PET_TO_MR]
    squeezed[1] = -0.9
    holes = np.zeros((12, 3))
    holes[4] = np.nan
    no_grid = deformable_item(np.zeros((12, 3)))
    no_grid.DeformableRegistrationGridSequence[0].GridDimensions = [3, 3, 2]
    half = rigid_item(PET, matrix_item(PET_TO_MR))
    del half.MatrixRegistrationSequence
    two = rigid_item(PET, matrix_item(PET_TO_MR), matrix_item(PET_TO_MR))
    tilted = [*PET_TO_MR]
    tilted[12] = 0.1
    cases = [
        (RIGID_CLASS, [rigid_item(PET, matrix_item(squeezed))], "RIGID"),
        (RIGID_CLASS, [rigid_item(PET, matrix_item(tilted, "AFFINE"))], "last row"),
        (RIGID_CLASS, [rigid_item(PET, matrix_item(PET_TO_MR, "BENT"))], "type"),
        (RIGID_CLASS, [rigid_item(MR, matrix_item(PET_TO_MR))], "against itself"),
        (RIGID_CLASS, [two], "several"),
        (RIGID_CLASS, [half], "incomplete"),
        (RIGID_CLASS, [], "no registration"),
        (DEFORMABLE_CLASS, [deformable_item(holes)], "undefined at 1"),
        (DEFORMABLE_CLASS, [no_grid], "per node"),
        ("1.2.840.10008.5.1.4.1.1.2", [], "no spatial"),
    ]
    for number, (kind, items, words) in enumerate(cases):
        path = save(tmp_path / f"{number}.dcm", kind, items)
        with pytest.raises(InputError, match=words) as caught:
            read_spatial(path)
        assert (caught.value.code, caught.value.where) == ("E_TRANSFORM_FILE", path.name)
    (tmp_path / "junk.dcm").write_bytes(b"x" * 200)
    for name in ("junk.dcm", "absent.dcm"):
        with pytest.raises(InputError) as caught:
            read_spatial(tmp_path / name)
        assert caught.value.code == "E_TRANSFORM_FILE"
    frameless = save(tmp_path / "f.dcm", RIGID_CLASS, [], frame="")
    with pytest.raises(InputError, match="no frame"):
        read_spatial(frameless)


def test_an_affine_matrix_keeps_its_scale(tmp_path: Path) -> None:
    squeezed = [2.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    items = [rigid_item(PET, matrix_item(squeezed, "AFFINE"))]
    (made,) = read_spatial(save(tmp_path / "a.dcm", RIGID_CLASS, items))
    assert made.apply((4.0, 1.0, 1.0)) == pytest.approx((2.0, 1.0, 1.0))
    assert is_spatial_registration(RIGID_CLASS)
    assert not is_spatial_registration("1.2.840.10008.5.1.4.1.1.2")
