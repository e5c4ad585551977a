"""The only file that knows foreign conventions: DICOM planes, NIfTI and NRRD.

The house keeps arrays as (k, j, i) and maps indices (k, j, i) to LPS millimetres.  DICOM gives a
plane by its first voxel, two direction cosines and (row, column) spacing; NIfTI arrays are
(i, j, k) and map to RAS millimetres; NRRD names its space, i is fastest, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, GeometryError, InputError, raise_faults
from eprimg.model.grid import Grid

__all__ = [
    "affine_from_planes",
    "grid_from_nifti",
    "grid_from_nrrd",
    "nifti_affine",
    "nifti_array",
    "volume_array",
    "with_rising_slices",
]

FloatArray = npt.NDArray[np.float64]

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns LPS into RAS and back."""
_REVERSE = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
"""Turns an index (i, j, k, 1) into (k, j, i, 1) and back."""
_NRRD_SPACES = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
"""Spaces of NRRD and the signs that turn them into LPS."""
_NIFTI_LENGTHS = {1: "metres", 3: "micrometres"}
"""Codes of length that a NIfTI header may name besides 2 (millimetres) and 0 (not said)."""
_SAME_MM = 0.1
"""Largest distance between sform and qform corners that still counts as one geometry."""


def affine_from_planes(
    first_position_mm: npt.ArrayLike,
    step_mm: npt.ArrayLike,
    cosines: npt.ArrayLike,
    pixel_spacing_mm: Sequence[float],
) -> FloatArray:
    """Build the affine (k, j, i) -> LPS of evenly stacked DICOM planes (PS3.3 C.7.6.2.1.1).

    Parameters
    ----------
    first_position_mm : array_like, shape (3,)
        ImagePositionPatient of slice 0.
    step_mm : array_like, shape (3,)
        From one slice to the next.
    cosines : array_like, shape (6,)
        ImageOrientationPatient: direction of rising column index, then of rising row index.
    pixel_spacing_mm : sequence of 2 floats
        PixelSpacing: distance between rows, then between columns.

    Returns
    -------
    ndarray, shape (4, 4)
        Affine of a `Grid`.
    """
    directions = np.asarray(cosines, dtype=np.float64)
    between_rows, between_columns = pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = step_mm
    affine[:3, 1] = directions[3:] / np.linalg.norm(directions[3:]) * between_rows
    affine[:3, 2] = directions[:3] / np.linalg.norm(directions[:3]) * between_columns
    affine[:3, 3] = first_position_mm
    return affine


def nifti_affine(grid: Grid) -> FloatArray:
    """Return the affine (i, j, k) -> RAS that a NIfTI header holds.

    Parameters
    ----------
    grid : Grid
        Grid of the house.

    Returns
    -------
    ndarray, shape (4, 4)
        For use with `nifti_array`.
    """
    return np.asarray(_RAS @ grid.affine @ _REVERSE)


def nifti_array(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn an array (k, j, i[, m]) into NIfTI order (i, j, k[, m]); no copy.

    Parameters
    ----------
    array : ndarray
        Array of the house.

    Returns
    -------
    ndarray
        View.
    """
    return array.transpose(2, 1, 0, *range(3, array.ndim))


def with_rising_slices(
    array: npt.NDArray[Any], affine: npt.ArrayLike
) -> tuple[npt.NDArray[Any], FloatArray]:
    """Turn a volume so that k rises along the normal (direction of i x direction of j).

    Series are stacked that way; highdicom puts slices the other way round.

    Parameters
    ----------
    array : ndarray, shape (k, j, i)
        Volume.
    affine : array_like, shape (4, 4)
        Its affine (k, j, i) -> LPS.

    Returns
    -------
    array : ndarray
        View, reversed along k where needed.
    affine : ndarray
        Affine of the view.
    """
    lps = np.array(affine, dtype=np.float64)
    if lps[:3, 0] @ np.cross(lps[:3, 2], lps[:3, 1]) >= 0:
        return array, lps
    lps[:3, 3] += lps[:3, 0] * (array.shape[0] - 1)
    lps[:3, 0] *= -1
    return array[::-1], lps


volume_array = nifti_array
"""Turn a NIfTI array (i, j, k[, m]) into the order of the house; the same exchange of axes."""


def grid_from_nifti(
    nifti: Any,
    *,
    frame_of_reference: str | None = None,
    where: str = "NIfTI file",
    session: str = "",
) -> Grid:
    """Read the grid of a NIfTI file.

    Parameters
    ----------
    nifti : nibabel.Nifti1Image or Nifti2Image
        Loaded header (the array is not touched).
    frame_of_reference : str, optional
        Identifier of the coordinate system (side-car key ``FrameOfReferenceUID``); minted from
        the geometry when left out.
    where : str
        File name for messages.
    session : str
        Session entity of the file name; files of two sessions never share a minted frame.

    Returns
    -------
    Grid
        In LPS.

    Raises
    ------
    EprimgError
        E_NII_DIM, E_NII_TYPE, E_NII_ZOOM, E_NII_CODE, E_NII_AFFINE; E_GEOM_SHEAR.
    """
    header = nifti.header
    shape = tuple(int(n) for n in nifti.shape)
    faults: list[EprimgError] = []
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if not 3 <= len(shape) <= 4 or min(shape) < 1:
        faults.append(
            InputError(
                "a volume has three axes, or four with echoes or frames",
                code="E_NII_DIM",
                where=where,
                value=shape,
                action="split the file",
            )
        )
    dtype = nifti.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "iuf":
        faults.append(
            InputError(
                "voxels are not plain real numbers (complex or colour)",
                code="E_NII_TYPE",
                where=where,
                value=str(dtype),
                action="give the magnitude",
            )
        )
    zooms = [float(z) for z in header.get_zooms()[:3]]
    if any(not np.isfinite(z) or z <= 0 for z in zooms):
        faults.append(
            GeometryError(
                "voxel sizes are not positive",
                code="E_NII_ZOOM",
                where=f"pixdim of {where}",
                value=zooms,
                action="convert the series again",
            )
        )
    length = int(header["xyzt_units"]) & 7  # the other bits are the unit of time
    if length in _NIFTI_LENGTHS:
        # Not scaled: tools that ignore the code write millimetres beside it.
        faults.append(
            GeometryError(
                f"the header gives voxel sizes in {_NIFTI_LENGTHS[length]}, and millimetres are "
                "read here",
                code="E_NII_ZOOM",
                where=f"xyzt_units of {where}",
                value=(length, zooms),
                action="look at the voxel sizes: when they are in millimetres, write the code 2 "
                "(mm) into xyzt_units; when they are not, convert the series again in millimetres",
            )
        )
    raise_faults(faults)
    affine = _world(nifti, shape, where)
    lps = _RAS @ affine @ _REVERSE
    if frame_of_reference is None:
        frame_of_reference = _minted_frame(affine, shape, session)
    i, j, k = shape[:3]
    return _grid_of(where, (k, j, i), lps, frame_of_reference)


def _grid_of(where: str, shape: tuple[int, int, int], lps: FloatArray, frame: str) -> Grid:
    """Make a grid; what is refused names the file."""
    try:
        return Grid(shape, lps, frame)
    except GeometryError as error:
        raise GeometryError(
            error.message, code=error.code, where=where, value=error.value, action=error.action
        ) from None


def _minted_frame(affine: FloatArray, shape: tuple[int, ...], session: str) -> str:
    """Name the frame of a file that names none: files of one geometry share it."""
    digest = hashlib.sha256(np.round(affine, 4).tobytes() + f"{shape[:3]}{session}".encode())
    return f"nifti:{digest.hexdigest()[:16]}"


def grid_from_nrrd(
    *,
    sizes: Sequence[int],
    space: str,
    directions_mm: npt.ArrayLike,
    origin_mm: npt.ArrayLike,
    frame_of_reference: str | None = None,
    where: str = "NRRD file",
    session: str = "",
) -> Grid:
    """Make the grid of an NRRD volume (i fastest, axes in a named anatomical space).

    Parameters
    ----------
    sizes : sequence of 3 int
        Voxels along (i, j, k), as in the header.
    space : str
        ``left-posterior-superior``, ``right-anterior-superior``, ``left-anterior-superior``, or
        their initials.
    directions_mm : array_like, shape (3, 3)
        One row per axis: the step to the next voxel.
    origin_mm : array_like, shape (3,)
        Centre of the first voxel.
    frame_of_reference : str, optional
        Identifier of the coordinate system; minted as for NIfTI when left out, so that a mask and a
        NIfTI series of one geometry share it.
    where, session : str
        As in `grid_from_nifti`.

    Returns
    -------
    Grid
        In LPS.

    Raises
    ------
    GeometryError
        ``E_NRRD`` for a space that is not anatomical or for numbers that are no geometry;
        ``E_GEOM_SHEAR``.
    """
    to_lps = _NRRD_SPACES.get(space.strip().lower())
    if to_lps is None:
        raise GeometryError(
            "the file does not say how its axes lie in the patient",
            code="E_NRRD",
            where=f"space of {where}",
            value=space or None,
            action=f"export it with one of these: {', '.join(list(_NRRD_SPACES)[::2])}",
        )
    steps = np.asarray(directions_mm, dtype=np.float64)
    start = np.asarray(origin_mm, dtype=np.float64)
    if (
        steps.shape != (3, 3)
        or start.shape != (3,)
        or not (np.isfinite(steps).all() and np.isfinite(start).all())
        or abs(np.linalg.det(steps)) < 1e-12
    ):
        raise GeometryError(
            "the orientation is not usable",
            code="E_NRRD",
            where=f"space directions, space origin of {where}",
            action="convert the file again",
        )
    lps = np.eye(4)
    lps[:3, :3] = (steps * to_lps).T[:, ::-1]
    lps[:3, 3] = start * to_lps
    i, j, k = (int(n) for n in sizes)
    if frame_of_reference is None:
        ras = np.asarray(_RAS @ lps @ _REVERSE) + 0.0  # no negative zeros: the bytes are hashed
        frame_of_reference = _minted_frame(ras, (i, j, k), session)
    return _grid_of(where, (k, j, i), lps, frame_of_reference)


def _world(nifti: Any, shape: tuple[int, ...], where: str) -> FloatArray:
    """Return the affine (i, j, k) -> RAS; sform and qform have to agree when both are set."""
    header = nifti.header
    sform, scode = header.get_sform(coded=True)
    qform, qcode = header.get_qform(coded=True)
    if not scode and not qcode:
        raise GeometryError(
            "neither sform nor qform is set: the file does not say where its voxels lie",
            code="E_NII_CODE",
            where=f"sform_code, qform_code of {where}",
            value=(0, 0),
            action="convert the series again with a tool that writes the orientation",
        )
    if scode and qcode:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij"))
        points = np.vstack([corners.reshape(3, -1), np.ones(8)])
        apart = float(np.linalg.norm((sform @ points - qform @ points)[:3], axis=0).max())
        if not np.isfinite(apart) or apart > _SAME_MM:
            raise GeometryError(
                f"sform and qform put voxels up to {apart:.2f} mm apart",
                code="E_NII_AFFINE",
                where=where,
                value=round(apart, 3),
                action="decide which is right and write both alike",
            )
    affine = np.asarray(sform if scode else qform, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise GeometryError(
            "the orientation matrix is not usable",
            code="E_NII_AFFINE",
            where=where,
            action="convert the series again",
        )
    return affine
