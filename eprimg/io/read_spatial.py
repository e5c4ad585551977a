"""DICOM spatial registrations, rigid and deformable, as transforms between frames of reference.

The two objects go opposite ways (PS3.3 C.20.2.1.1 and C.20.3.1.1): the matrix of a rigid one takes
points of the source frame to the registered frame; a deformable one takes points of the registered
frame to the source frame, as ITK and `eprimg.model.transform.Transform` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, InputError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

__all__ = ["DEFORMABLE_CLASS", "RIGID_CLASS", "is_spatial_registration", "read_spatial"]

FloatArray = npt.NDArray[np.float64]

RIGID_CLASS = "1.2.840.10008.5.1.4.1.1.66.1"
"""SOP class of Spatial Registration Storage."""
DEFORMABLE_CLASS = "1.2.840.10008.5.1.4.1.1.66.3"
"""SOP class of Deformable Spatial Registration Storage."""

_RIGID_TOLERANCE = 1e-4
"""Largest departure from right angles of a matrix that calls itself rigid (decimal strings)."""


def is_spatial_registration(sop_class: str) -> bool:
    """Tell whether a SOP class is a spatial registration.

    Parameters
    ----------
    sop_class : str
        SOP class UID.

    Returns
    -------
    bool
        True for the rigid and the deformable class.
    """
    return sop_class in (RIGID_CLASS, DEFORMABLE_CLASS)


def read_spatial(
    path: Path | str, *, frames: Mapping[str, str] | None = None
) -> tuple[Transform, ...]:
    """Read a DICOM spatial registration.

    Parameters
    ----------
    path : Path
        A file of the rigid (66.1) or deformable (66.3) class.
    frames : Mapping of str to str, optional
        SOP instance UID -> frame of reference UID of the images at hand, for items that name
        images and no frame.

    Returns
    -------
    tuple of Transform
        From the registered frame (that of the object) to each other frame that it registers, LPS
        mm.  An item that only says that the registered frame is where it is gives none.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when the file is missing, of another class, incomplete, contradicts
        itself, holds several matrices in one item (their order is not settled here), or a
        deformation that is undefined at some nodes.
    """
    import pydicom

    file = Path(path)
    try:
        dataset = pydicom.dcmread(file)
    except (OSError, pydicom.errors.InvalidDicomError, EOFError) as error:
        raise _fault("the file cannot be read as DICOM", file.name) from error
    registered = str(dataset.get("FrameOfReferenceUID", ""))
    if not registered:
        raise _fault("it has no frame of reference (0020,0052)", file.name)
    kind = str(dataset.get("SOPClassUID", ""))
    try:
        if kind == RIGID_CLASS:
            items = dataset.get("RegistrationSequence") or ()
            found = [_rigid(item, registered, frames or {}) for item in items]
        elif kind == DEFORMABLE_CLASS:
            items = dataset.get("DeformableRegistrationSequence") or ()
            found = [_deformable(item, registered) for item in items]
        else:
            raise _fault("it is no spatial registration", file.name, kind)
    except EprimgError as error:
        raise InputError(
            error.message,
            code="E_TRANSFORM_FILE",
            where=file.name,
            value=error.value,
            action=error.action,
        ) from error
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise _fault(f"the registration is incomplete or damaged ({error})", file.name) from error
    if not found:
        raise _fault("it holds no registration", file.name)
    return tuple(each for each in found if each is not None)


def _fault(message: str, where: str, value: object = None) -> InputError:
    return InputError(
        message,
        code="E_TRANSFORM_FILE",
        where=where,
        value=value,
        action="export the registration again, or give an ITK transform (.tfm, .h5)",
    )


def _rigid(item: Any, registered: str, frames: Mapping[str, str]) -> Transform | None:
    source = str(item.get("FrameOfReferenceUID", "")) or _frame_of_images(item, frames)
    registration = item.MatrixRegistrationSequence[0]
    matrices = [_matrix(each) for each in registration.MatrixSequence]
    moving = [m for m in matrices if not np.array_equal(m, np.eye(4))]
    if len(moving) > 1:
        raise _fault("an item holds several matrices; give their product", "", len(moving))
    to_registered = moving[0] if moving else np.eye(4)
    if source == registered:
        if moving:
            raise _fault("an item moves the registered frame against itself", "")
        return None
    back = np.asarray(np.linalg.inv(to_registered), dtype=np.float64)
    return Transform(back, registered, source)


def _frame_of_images(item: Any, frames: Mapping[str, str]) -> str:
    named = [str(each.ReferencedSOPInstanceUID) for each in item.get("ReferencedImageSequence", ())]
    known = {frames[uid] for uid in named if uid in frames}
    if len(known) != 1:
        raise _fault(
            "an item names no frame of reference, and its images are not at hand", "", len(named)
        )
    return known.pop()


def _matrix(item: Any) -> FloatArray:
    values = np.array([float(v) for v in item.FrameOfReferenceTransformationMatrix])
    matrix = values.reshape(4, 4)
    if not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise _fault("a matrix is no affine one (its last row is 0 0 0 1)", "", values.tolist())
    kind = str(item.get("FrameOfReferenceTransformationMatrixType", ""))
    linear = matrix[:3, :3]
    if kind == "RIGID":
        off = np.abs(linear @ linear.T - np.eye(3)).max()
        if off > _RIGID_TOLERANCE or np.linalg.det(linear) < 0:
            raise _fault("a matrix that is called RIGID is not", "", values.tolist())
    elif kind not in ("RIGID_SCALE", "AFFINE"):
        raise _fault("the type of a matrix is unknown", "", kind)
    return matrix


def _deformable(item: Any, registered: str) -> Transform | None:
    source = str(item.SourceFrameOfReferenceUID)
    made = Transform.identity(registered)
    before = item.get("PreDeformationMatrixRegistrationSequence")
    if before:
        made = made.then(Transform(_matrix(before[0]), registered, registered))
    grids = item.get("DeformableRegistrationGridSequence")
    if grids:
        bend = _displacement(grids[0], registered)
        made = made.then(Transform(np.eye(4), registered, registered, bend))
    after = item.get("PostDeformationMatrixRegistrationSequence")
    if after:
        made = made.then(Transform(_matrix(after[0]), registered, registered))
    if source == registered:
        if made.is_affine and np.array_equal(made.matrix, np.eye(4)):
            return None
        raise _fault("an item moves the registered frame against itself", "")
    return Transform(made.matrix, registered, source, made.displacement)


def _displacement(item: Any, frame: str) -> Displacement:
    """Read the grid: columns run fastest, then rows, then planes along row x column."""
    columns, rows, planes = (int(n) for n in item.GridDimensions)
    spacing = np.array([float(v) for v in item.GridResolution])
    direction = np.array([float(v) for v in item.ImageOrientationPatient])
    row, column = direction[:3], direction[3:]
    affine = np.eye(4)
    affine[:3, 0] = np.cross(row, column) * spacing[2]
    affine[:3, 1] = column * spacing[1]
    affine[:3, 2] = row * spacing[0]
    affine[:3, 3] = [float(v) for v in item.ImagePositionPatient]
    vectors = np.frombuffer(item.VectorGridData, dtype="<f4")
    if vectors.size != 3 * columns * rows * planes:
        raise _fault(
            "the deformation grid does not hold three numbers per node",
            "",
            (vectors.size, (columns, rows, planes)),
        )
    undefined = int(np.count_nonzero(~np.isfinite(vectors.reshape(-1, 3)).all(axis=1)))
    if undefined:
        raise _fault(f"the deformation is undefined at {undefined} nodes", "", undefined)
    return Displacement(
        vectors.reshape(planes, rows, columns, 3), Grid((planes, rows, columns), affine, frame)
    )
