"""What was painted on the display grid, carried back to the voxels it stands for.

`display.show_on` gives every shown voxel the value of its nearest measured voxel.  Here is its
inverse for labels: only shown voxels that differ from what is shown are carried back, each to the
voxel that it shows, so nothing that was not painted ever changes.  On an oblique grid a few voxels
are not shown at all; such a one follows the shown voxel that lies nearest to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from napari_eprimg.view.display import DisplayGrid, part_of, show_on

__all__ = ["Box", "painted_voxels"]

Box = tuple[slice, slice, slice]

_MARGIN = 3
"""Shown voxels around a painted box in which a voxel beside the painted ones is looked for."""


def painted_voxels(
    labels: npt.NDArray[np.int32],
    grid: Grid,
    shown: npt.NDArray[np.integer[Any]],
    target: DisplayGrid,
    *,
    box: Box | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Find the voxels whose label was changed by painting on the display grid.

    Parameters
    ----------
    labels : ndarray of int32, shape (k, j, i)
        Labels before.
    grid : Grid
        Their grid.
    shown : ndarray of integer, shape (S, P, L)
        Labels on the display grid, after painting.
    target : DisplayGrid
        The display grid.
    box : tuple of slice, optional
        Part of ``shown`` outside which nothing was painted; saves time.

    Returns
    -------
    places : ndarray of int64, shape (n,)
        Flat indices into ``labels``, each once, rising.
    values : ndarray of int32, shape (n,)
        Their new labels.

    Raises
    ------
    GeometryError
        ``E_GEOM_MATRIX`` when ``shown`` does not have the shape of the display grid.
    """
    if shown.shape != target.shape:
        raise GeometryError(
            "the painted labels do not have the shape of the display grid",
            code="E_GEOM_MATRIX",
            value=(shown.shape, target.shape),
            action="close the layer and open the case again",
        )
    whole = _bounded(box, target)
    before = show_on(labels, grid, part_of(target, whole), outside=0)
    differs = shown[whole] != before
    found = ndimage.find_objects(differs.astype(np.uint8))
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    # A margin, so that a voxel beside the painted ones is known to be shown there.
    wide = tuple(
        slice(max(w.start + f.start - _MARGIN, 0), min(w.start + f.stop + _MARGIN, n))
        for w, f, n in zip(whole, found[0], target.shape, strict=True)
    )
    painted = np.zeros([s.stop - s.start for s in wide], dtype=bool)
    inner = tuple(
        slice(w.start + f.start - v.start, w.start + f.stop - v.start)
        for w, f, v in zip(whole, found[0], wide, strict=True)
    )
    painted[inner] = differs[found[0]]
    part = part_of(target, wide)
    source = _flat_index(grid, part)
    painted &= source >= 0
    values = shown[wide].astype(np.int32)
    places, new = _nearest_painted(grid, part, source, painted, values)
    more, more_new = _unseen(grid, part, source, painted, values, places)
    found_places = np.concatenate([places, more])
    order = np.argsort(found_places, kind="stable")
    return found_places[order], np.concatenate([new, more_new])[order]


def _flat_index(grid: Grid, part: DisplayGrid) -> npt.NDArray[np.int64]:
    """Which voxel is shown at each place: its flat index, -1 outside.

    Made from the three indices, which need no array of the size of the volume.
    """
    found = []
    for axis, n in enumerate(grid.shape):
        along = np.arange(n, dtype=np.int64).reshape([-1 if a == axis else 1 for a in range(3)])
        found.append(show_on(np.broadcast_to(along, grid.shape), grid, part, outside=-1))
    k, j, i = found
    return np.where(k < 0, -1, (k * grid.shape[1] + j) * grid.shape[2] + i)


def _bounded(box: Box | None, target: DisplayGrid) -> Box:
    given = box or (slice(None), slice(None), slice(None))
    s, p, ell = (slice(*side.indices(n)[:2]) for side, n in zip(given, target.shape, strict=True))
    return s, p, ell


def _to_lps(index: npt.NDArray[Any], part: DisplayGrid) -> npt.NDArray[np.float64]:
    """Place of shown voxels, shape (n, 3), in LPS mm."""
    spl = np.asarray(part.origin_mm) + index * np.asarray(part.spacing_mm)
    return np.asarray(spl[:, ::-1])


def _nearest_painted(
    grid: Grid,
    part: DisplayGrid,
    source: npt.NDArray[np.int64],
    painted: npt.NDArray[np.bool_],
    values: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Voxels behind the painted ones; of several that show one, the nearest decides."""
    index = np.argwhere(painted)
    places = source[painted]
    new = values[painted]
    if np.unique(places).size == places.size:
        return places, new
    voxels = np.stack(np.unravel_index(places, grid.shape), axis=1)
    off = np.linalg.norm(_to_lps(index, part) - grid.index_to_lps_mm(voxels), axis=1)
    order = np.lexsort((off, places))
    places, first = np.unique(places[order], return_index=True)
    return places, new[order][first]


def _unseen(
    grid: Grid,
    part: DisplayGrid,
    source: npt.NDArray[np.int64],
    painted: npt.NDArray[np.bool_],
    values: npt.NDArray[np.int32],
    places: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Voxels that no shown voxel stands for and whose nearest shown voxel was painted."""
    if not places.size:
        return places, np.empty(0, dtype=np.int32)
    centres = np.stack(np.unravel_index(places, grid.shape))
    low = np.maximum(centres.min(axis=1) - 1, 0)
    high = np.minimum(centres.max(axis=1) + 2, grid.shape)
    near, seen = np.zeros(high - low, dtype=bool), np.zeros(high - low, dtype=bool)
    near[tuple(centres - low[:, None])] = True
    there = np.stack(np.unravel_index(source[source >= 0], grid.shape))
    there = there[:, ((there >= low[:, None]) & (there < high[:, None])).all(axis=0)]
    seen[tuple(there - low[:, None])] = True
    beside = ndimage.binary_dilation(near, structure=np.ones((3, 3, 3), dtype=bool)) & ~seen
    voxels = np.argwhere(beside) + low
    flat = np.ravel_multi_index(tuple(voxels.T), grid.shape).astype(np.int64)
    spl = grid.index_to_lps_mm(voxels)[:, ::-1]
    where = np.rint((spl - part.origin_mm) / part.spacing_mm).astype(np.int64)
    inside = ((where >= 0) & (where < part.shape)).all(axis=1)
    flat, where = flat[inside], tuple(where[inside].T)
    hit = painted[where]
    return flat[hit], values[where][hit]
