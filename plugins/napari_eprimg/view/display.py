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
from eprimg.model.transform import Transform

__all__ = ["AXIS_LABELS", "DisplayGrid", "display_grid", "part_of", "show_on", "shown_box"]

AXIS_LABELS = ("S", "P", "L")
"""Patient direction of rising index along each axis of a displayed array."""

_LPS_ROW = (2, 1, 0)  # S, P, L are the rows 2, 1, 0 of an LPS vector

_ASTRAY = 1e-3
"""Part of a voxel by which an axis may leave its straight course and still be taken as it is."""


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
    values: npt.NDArray[Any],
    grid: Grid,
    target: DisplayGrid,
    *,
    outside: float,
    transform: Transform | None = None,
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
    transform : Transform, optional
        From the frame of the display grid to the frame of ``grid``; the same frame by default.

    Returns
    -------
    ndarray, shape (S, P, L)
        Same dtype; every value is one of ``values`` or ``outside``.  It may share memory with
        ``values``, and then it cannot be written.
    """
    steps, first = _display_to_source(grid, target, transform)
    bend = transform.displacement if transform is not None else None
    turned = None if bend is not None else _only_turned(values, steps, first, target, outside)
    if turned is not None:
        return turned
    last = np.array(grid.shape) - 1
    shown = np.full(target.shape, outside, dtype=values.dtype)
    in_plane = np.indices(target.shape[1:], dtype=np.float64)
    plane = np.tensordot(steps[:, 1:], in_plane, axes=1) + first[:, None, None]
    for s in range(target.shape[0]):
        exact = plane + s * steps[:, 0, None, None]
        if bend is not None and transform is not None:
            index = np.concatenate([np.full((1, *target.shape[1:]), s), in_plane])
            spl = np.moveaxis(index, 0, -1) * target.spacing_mm + target.origin_mm
            linear = np.linalg.inv(grid.affine)[:3, :3] @ transform.matrix[:3, :3]
            exact = exact + np.moveaxis(bend.at(spl[..., ::-1]) @ linear.T, -1, 0)
        nearest = np.rint(exact).astype(np.intp)
        inside = ((nearest >= 0) & (nearest <= last[:, None, None])).all(axis=0)
        k, j, i = nearest[:, inside]
        shown[s][inside] = values[k, j, i]
    return shown


def part_of(target: DisplayGrid, box: tuple[slice, slice, slice]) -> DisplayGrid:
    """Return the display grid of a box of another one.

    Parameters
    ----------
    target : DisplayGrid
        The whole grid.
    box : tuple of slice
        First and last index (with the last one left out) along S, P, L.

    Returns
    -------
    DisplayGrid
        Grid of the voxels in the box.
    """
    shape = [side.stop - side.start for side in box]
    origin = [
        o + side.start * s
        for o, side, s in zip(target.origin_mm, box, target.spacing_mm, strict=True)
    ]
    return DisplayGrid(
        (shape[0], shape[1], shape[2]), target.spacing_mm, (origin[0], origin[1], origin[2])
    )


def shown_box(
    box: tuple[slice, slice, slice], grid: Grid, target: DisplayGrid
) -> tuple[slice, slice, slice]:
    """Find the part of a display grid that a box of source voxels can reach.

    Parameters
    ----------
    box : tuple of slice
        Along (k, j, i) of ``grid``.
    grid : Grid
        Source grid, in the frame of the display grid.
    target : DisplayGrid
        Display grid.

    Returns
    -------
    tuple of slice
        Along S, P, L; empty sides where the box lies outside.
    """
    ends = [(side.start - 0.5, side.stop - 0.5) for side in box]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T
    points = grid.index_to_lps_mm(corners)[:, list(_LPS_ROW)]
    where = (points - np.array(target.origin_mm)) / np.array(target.spacing_mm)
    low = np.clip(np.floor(where.min(axis=0)), 0, target.shape).astype(int)
    high = np.clip(np.ceil(where.max(axis=0)) + 1, low, target.shape).astype(int)
    s, p, ell = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return s, p, ell


def _display_to_source(
    grid: Grid, target: DisplayGrid, transform: Transform | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Affine from the display index (s, p, l) to the source index (k, j, i)."""
    inverse = np.linalg.inv(grid.affine)
    if transform is not None:
        inverse = inverse @ transform.matrix
    steps = inverse[:3, list(_LPS_ROW)] * np.asarray(target.spacing_mm)
    first = inverse[:3, list(_LPS_ROW)] @ np.asarray(target.origin_mm) + inverse[:3, 3]
    return steps, first


def _only_turned(
    values: npt.NDArray[Any],
    steps: npt.NDArray[np.float64],
    first: npt.NDArray[np.float64],
    target: DisplayGrid,
    outside: float,
) -> npt.NDArray[Any] | None:
    """Take the short way when every display axis runs along one source axis, else None."""
    order = [int(np.argmax(np.abs(steps[:, axis]))) for axis in range(3)]
    aside = np.abs(steps) * (np.array(target.shape) - 1)
    for axis, source in enumerate(order):
        aside[source, axis] = 0.0
    if sorted(order) != [0, 1, 2] or aside.sum(axis=1).max() > _ASTRAY:
        return None
    piece, place = values.transpose(order), []
    for axis, source in enumerate(order):
        exact = first[source] + steps[source, axis] * np.arange(target.shape[axis])
        nearest = np.rint(exact + _ASTRAY / 10).astype(np.intp)  # a tie does not hang on rounding
        inside = np.flatnonzero((nearest >= 0) & (nearest < values.shape[source]))
        if inside.size == 0:
            return np.full(target.shape, outside, dtype=values.dtype)
        place.append(slice(int(inside[0]), int(inside[-1]) + 1))
        piece = _take(piece, nearest[inside], axis)
    if piece.shape == target.shape:
        return np.ascontiguousarray(piece)
    shown = np.full(target.shape, outside, dtype=values.dtype)
    shown[tuple(place)] = piece
    return shown


def _take(values: npt.NDArray[Any], index: npt.NDArray[np.intp], axis: int) -> npt.NDArray[Any]:
    """Take along an axis, as a view where the index rises or falls by one."""
    steps = np.diff(index)
    if (steps == 1).all():
        side = slice(int(index[0]), int(index[-1]) + 1)
    elif (steps == -1).all():
        stop = int(index[-1]) - 1
        side = slice(int(index[0]), None if stop < 0 else stop, -1)
    else:
        return np.take(values, index, axis=axis)
    return values[(slice(None),) * axis + (side,)]
