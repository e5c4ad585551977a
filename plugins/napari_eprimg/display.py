"""Voxels on a grid that napari draws rightly: axis-aligned, LPS millimetres, for looking only.

napari's two-dimensional view draws layers with an oblique affine wrongly (it only warns), so what
is shown is carried once to a grid whose axes are the patient axes S, P and L.  Every shown voxel
has the value of the nearest measured voxel: nothing is interpolated, labels keep their values,
voxels that were not measured stay NaN.  Numbers are never taken from this grid.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.model.grid import Grid

__all__ = ["AXIS_LABELS", "DisplayGrid", "display_grid", "show_on"]

AXIS_LABELS = ("S", "P", "L")
"""Patient direction of rising index along each axis of a displayed array."""

_LPS_ROW = (2, 1, 0)  # S, P, L are the rows 2, 1, 0 of an LPS vector


class DisplayGrid(NamedTuple):
    """An axis-aligned grid.

    Attributes
    ----------
    shape : tuple of int
        Number of voxels along (S, P, L).
    spacing_mm : tuple of float
        Distance of voxel centres along (S, P, L).
    origin_mm : tuple of float
        Place of the first voxel centre: S, P, L in mm.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]


def display_grid(grid: Grid) -> DisplayGrid:
    """Choose the axis-aligned grid that holds every voxel centre of a grid.

    Parameters
    ----------
    grid : Grid
        Where the values were computed.

    Returns
    -------
    DisplayGrid
        Along each patient axis it has the spacing of the grid's axis that runs closest to it.  For
        a grid that is already axis-aligned the voxel centres are the same.
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij"))
    points = grid.index_to_lps_mm(corners.reshape(3, -1).T)
    low, high = points.min(axis=0), points.max(axis=0)
    spacing = [grid.spacing_mm[axis] for axis in _closest_axes(grid)]
    shape = [
        int(np.ceil((high[r] - low[r]) / s - 1e-3)) + 1
        for r, s in zip(_LPS_ROW, spacing, strict=True)
    ]
    origin = [float(low[r]) for r in _LPS_ROW]
    return DisplayGrid(
        (shape[0], shape[1], shape[2]),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
    )


def _closest_axes(grid: Grid) -> list[int]:
    """Give each of S, P, L one axis of the grid, the best aligned pair first."""
    cosine = np.abs(grid.axes_lps)[list(_LPS_ROW)]
    axes = [0, 0, 0]
    for _ in range(3):
        row, column = np.unravel_index(int(np.argmax(cosine)), cosine.shape)
        axes[row] = int(column)
        cosine[row], cosine[:, column] = -1.0, -1.0
    return axes


def show_on(
    values: npt.NDArray[Any], grid: Grid, target: DisplayGrid, *, outside: float
) -> npt.NDArray[Any]:
    """Carry values to a display grid, each voxel from its nearest source voxel.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        A map or labels.
    grid : Grid
        Their grid.
    target : DisplayGrid
        Where they are shown.
    outside : float
        Value outside the field of view.

    Returns
    -------
    ndarray, shape (S, P, L)
        Same dtype; every value is one of ``values`` or ``outside``.
    """
    inverse = np.linalg.inv(grid.affine)
    # Affine from the display index (s, p, l) to the source index (k, j, i).
    steps = inverse[:3, list(_LPS_ROW)] * np.asarray(target.spacing_mm)
    first = inverse[:3, list(_LPS_ROW)] @ np.asarray(target.origin_mm) + inverse[:3, 3]
    last = np.array(grid.shape) - 1
    shown = np.full(target.shape, outside, dtype=values.dtype)
    in_plane = np.indices(target.shape[1:], dtype=np.float64)
    plane = np.tensordot(steps[:, 1:], in_plane, axes=1) + first[:, None, None]
    for s in range(target.shape[0]):
        nearest = np.rint(plane + s * steps[:, 0, None, None]).astype(np.intp)
        inside = ((nearest >= 0) & (nearest <= last[:, None, None])).all(axis=0)
        k, j, i = nearest[:, inside]
        shown[s][inside] = values[k, j, i]
    return shown
