"""The only file that knows SimpleITK's conventions: x fastest, LPS millimetres, .tfm files.

SimpleITK counts voxels as (i, j, k) = (column, row, slice) and lays arrays out as (k, j, i), so the
array itself needs no turning; spacing and direction columns change their order.  Both sides use LPS
millimetres.  An ITK transform maps points of the fixed series to points of the moving series, as
`eprimg.model.transform.Transform` does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError, OutputError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

__all__ = [
    "bent_from_sitk",
    "bent_to_sitk",
    "euler_transform",
    "from_sitk_transform",
    "grid_from_sitk",
    "matrix_of",
    "read_tfm",
    "tfm_text",
    "to_sitk",
    "to_sitk_transform",
    "write_tfm",
]

_LINEAR_TOLERANCE_MM = 1e-6
"""Largest departure from an affine map, 100 mm away from the origin."""


def to_sitk(array: npt.NDArray[Any], grid: Grid) -> Any:
    """Turn a 3-D array on a grid into a SimpleITK volume.

    Parameters
    ----------
    array : ndarray, shape (k, j, i)
        Values; copied once.
    grid : Grid
        Where the voxels lie.

    Returns
    -------
    SimpleITK.Image
        The same voxels at the same places (LPS mm).

    Raises
    ------
    GeometryError
        ``E_GEOM_MATRIX`` when the array does not have the shape of the grid.
    """
    import SimpleITK as sitk

    if array.shape != grid.shape:
        raise GeometryError(
            "the array does not have the shape of its grid",
            code="E_GEOM_MATRIX",
            value=(array.shape, grid.shape),
        )
    volume = sitk.GetImageFromArray(array)
    volume.SetSpacing(grid.spacing_mm[::-1])
    volume.SetOrigin(grid.affine[:3, 3].tolist())
    volume.SetDirection(grid.axes_lps[:, ::-1].ravel().tolist())
    return volume


def grid_from_sitk(volume: Any, frame_of_reference: str) -> Grid:
    """Read the grid of a SimpleITK volume.

    Parameters
    ----------
    volume : SimpleITK.Image
        A 3-D volume.
    frame_of_reference : str
        Frame of reference that its coordinates belong to (SimpleITK keeps none).

    Returns
    -------
    Grid
        The grid, axes in the order (k, j, i).
    """
    axes = np.array(volume.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (axes * np.array(volume.GetSpacing()))[:, ::-1]
    affine[:3, 3] = volume.GetOrigin()
    i, j, k = volume.GetSize()
    return Grid((k, j, i), affine, frame_of_reference)


def to_sitk_transform(matrix: npt.ArrayLike) -> Any:
    """Turn a 4 x 4 matrix into a SimpleITK transform.

    Parameters
    ----------
    matrix : array_like, shape (4, 4)
        Maps LPS mm of the fixed frame to LPS mm of the moving frame.

    Returns
    -------
    SimpleITK.AffineTransform
        With its centre at the origin, so that the numbers stay as they are.
    """
    import SimpleITK as sitk

    values = np.asarray(matrix, dtype=np.float64)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(values[:3, :3].ravel().tolist())
    transform.SetTranslation(values[:3, 3].tolist())
    return transform


def euler_transform(matrix: npt.NDArray[np.float64], centre_mm: npt.NDArray[np.float64]) -> Any:
    """Turn a rigid 4 x 4 matrix into three angles and three shifts about a centre.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        A rigid transform, LPS mm.
    centre_mm : ndarray, shape (3,)
        Centre of the rotation, LPS mm.

    Returns
    -------
    SimpleITK.Euler3DTransform
        The same transform.
    """
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre_mm.tolist())
    transform.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((matrix[:3, :3] @ centre_mm + matrix[:3, 3] - centre_mm).tolist())
    return transform


def matrix_of(transform: Any) -> npt.NDArray[np.float64]:
    """Return the 4 x 4 matrix of a rigid or affine SimpleITK transform.

    Parameters
    ----------
    transform : SimpleITK.Euler3DTransform or SimpleITK.AffineTransform
        Any transform with matrix, translation and centre.

    Returns
    -------
    ndarray, shape (4, 4)
        LPS mm.
    """
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - linear @ centre
    return matrix


def from_sitk_transform(transform: Any, from_frame: str, to_frame: str) -> Transform:
    """Turn a linear SimpleITK transform into a `Transform`.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Rigid, similarity, affine, or a composite of them.
    from_frame, to_frame : str
        Frames of reference of the fixed and of the moving series.

    Returns
    -------
    Transform
        From the fixed frame to the moving frame.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when the transform is not three-dimensional or not linear.
    """
    if transform.GetDimension() != 3:
        raise InputError(
            "the transform is not three-dimensional",
            code="E_TRANSFORM_FILE",
            value=transform.GetDimension(),
        )
    kind = transform.Downcast() if hasattr(transform, "Downcast") else transform
    matrix = np.eye(4)
    if all(hasattr(kind, name) for name in ("GetMatrix", "GetTranslation", "GetCenter")):
        matrix = matrix_of(kind)
    else:
        origin = np.array(kind.TransformPoint((0.0, 0.0, 0.0)))
        ends = [np.array(kind.TransformPoint((100.0 * axis).tolist())) for axis in np.eye(3)]
        matrix[:3, :3] = (np.stack(ends, axis=1) - origin[:, None]) / 100.0
        matrix[:3, 3] = origin
    for probe in ((100.0, -100.0, 100.0), (-50.0, 70.0, -90.0), (13.0, 17.0, 19.0)):
        expected = matrix[:3, :3] @ np.array(probe) + matrix[:3, 3]
        if not np.allclose(kind.TransformPoint(probe), expected, rtol=0, atol=_LINEAR_TOLERANCE_MM):
            raise InputError(
                "the transform bends space; only rigid and affine transforms are used here",
                code="E_TRANSFORM_FILE",
                value=kind.GetName(),
                action="give a rigid or affine transform; one that bends as a displacement field",
            )
    return Transform(matrix, from_frame, to_frame)


def bent_to_sitk(transform: Transform) -> Any:
    """Turn a transform, bent or not, into a SimpleITK composite.

    Parameters
    ----------
    transform : Transform
        A point ``p`` goes to ``matrix (p + u(p))``.

    Returns
    -------
    SimpleITK.CompositeTransform
        The affine part, and after it (ITK applies the transform that was added last first) the
        displacement field, if there is one.

    Notes
    -----
    ITK holds the outermost vectors of a field for half a node beyond them, and is zero further
    out; `Displacement` is zero from the outermost nodes on.  A field that fades to zero at its
    border means the same in both.
    """
    import SimpleITK as sitk

    parts = [to_sitk_transform(transform.matrix)]
    if transform.displacement is not None:
        grid = transform.displacement.grid
        vectors = np.asarray(transform.displacement.vectors_mm, dtype=np.float64)
        field = sitk.GetImageFromArray(vectors, isVector=True)
        field.SetSpacing(grid.spacing_mm[::-1])
        field.SetOrigin(grid.affine[:3, 3].tolist())
        field.SetDirection(grid.axes_lps[:, ::-1].ravel().tolist())
        parts.append(sitk.DisplacementFieldTransform(field))
    return sitk.CompositeTransform(parts)


def bent_from_sitk(transform: Any, from_frame: str, to_frame: str) -> Transform:
    """Turn a SimpleITK transform into a `Transform`, with its displacement field if it has one.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Linear transforms and at most one displacement field, composed in any order.
    from_frame, to_frame : str
        Frames of reference of the fixed and of the moving series.

    Returns
    -------
    Transform
        From the fixed frame to the moving frame.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` for another kind (B-splines), for more than one field, or for one that
        is not three-dimensional.
    GeometryError
        ``E_TRANSFORM`` for a field with values that are not finite; ``E_GEOM_SHEAR`` when a linear
        transform that shears comes before the field.
    """
    made = Transform.identity(from_frame)
    fields = 0
    for part in _in_order(transform):
        if part.GetName() == "DisplacementFieldTransform" and part.GetDimension() == 3:
            fields += 1
            field = part.GetDisplacementField()
            bend = Displacement(_vectors(field), grid_from_sitk(field, from_frame))
            following = Transform(np.eye(4), from_frame, from_frame, bend)
        else:
            following = from_sitk_transform(part, from_frame, from_frame)
        if fields > 1:
            raise InputError(
                "the transform holds more than one displacement field",
                code="E_TRANSFORM_FILE",
                value=fields,
                action="compose them to one field in the program that made them",
            )
        made = made.then(following)
    return Transform(made.matrix, from_frame, to_frame, made.displacement)


def _in_order(transform: Any) -> list[Any]:
    """Take composites apart: the transforms in the order in which they are applied."""
    kind = transform.Downcast() if hasattr(transform, "Downcast") else transform
    if kind.GetName() != "CompositeTransform":
        return [kind]
    numbers = range(kind.GetNumberOfTransforms() - 1, -1, -1)
    return [part for n in numbers for part in _in_order(kind.GetNthTransform(n))]


def _vectors(field: Any) -> npt.NDArray[np.float32]:
    import SimpleITK as sitk

    return np.asarray(sitk.GetArrayFromImage(field), dtype=np.float32)


def tfm_text(transform: Transform) -> str:
    """Write a transform as the text of an ITK ``.tfm`` file.

    Parameters
    ----------
    transform : Transform
        An affine transform; frames of reference are not part of the format.

    Returns
    -------
    str
        Text that ITK, SimpleITK and 3D Slicer read; the numbers come back bit by bit.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` for a bent transform, which such a text would lose.
    """
    if transform.displacement is not None:
        raise InputError(
            "the transform bends space, which the text of an affine transform cannot say",
            code="E_TRANSFORM_FILE",
            action="write it as .h5",
        )
    values = [*transform.matrix[:3, :3].ravel(), *transform.matrix[:3, 3]]
    numbers = " ".join(repr(float(v)) for v in values)
    return (
        "#Insight Transform File V1.0\n"
        "#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\n"
        "FixedParameters: 0 0 0\n"
    )


def write_tfm(transform: Transform, path: Path | str) -> None:
    """Write a transform as an ITK ``.tfm`` file, all or nothing.

    Parameters
    ----------
    transform : Transform
        The transform.
    path : Path
        File to write; an older one is replaced.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` for a bent transform; see `eprimg.engines.transform_files`.
    OutputError
        ``E_OUTPUT_UNWRITABLE`` when it cannot be written.
    """
    target = Path(path)
    text = tfm_text(transform)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(
            f"the transform cannot be written: {error.strerror}",
            code="E_OUTPUT_UNWRITABLE",
            where=target.name,
            action="give a folder that you may write to",
        ) from error


def read_tfm(path: Path | str, from_frame: str, to_frame: str) -> Transform:
    """Read an ITK transform file.

    Parameters
    ----------
    path : Path
        ``.tfm``, ``.txt`` or any other file that ITK reads.
    from_frame, to_frame : str
        Frames of reference of the fixed and of the moving series.

    Returns
    -------
    Transform
        From the fixed frame to the moving frame.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when the file is missing, faulty, or not a linear transform.
    """
    import SimpleITK as sitk

    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError(
            "the file is not a transform that ITK reads",
            code="E_TRANSFORM_FILE",
            where=Path(path).name,
            action="give a .tfm file with a rigid or affine transform",
        ) from error
    try:
        return from_sitk_transform(transform, from_frame, to_frame)
    except InputError as error:
        raise InputError(
            error.message,
            code=error.code,
            where=Path(path).name,
            value=error.value,
            action=error.action,
        ) from error
