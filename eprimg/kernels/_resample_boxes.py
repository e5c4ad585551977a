"""Parts of `eprimg.kernels.resample`: boxes of labels, their distances, and bent lattices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "Bend",
    "level",
    "moved_distance",
    "output_box",
    "put_nearest",
    "signed_distance",
    "slices",
]

_I = TypeVar("_I", bound=np.integer)

# Signed distance outside the box of a label.
_FAR_MM = -1e9
_BETWEEN = 1e-6
"""Part of a voxel: what lies closer to the middle between two goes up, however it was rounded."""


class Bend(NamedTuple):
    """How far a lattice is bent: shifts of the input index beside the affine part.

    Attributes
    ----------
    shifts : callable
        Called with the first and the end index of a box of output voxels (which may lie outside the
        output); returns an ndarray of float, shape (k, j, i, 3), in voxels of the input.
    reach : ndarray of float, shape (3,)
        The largest shift along each axis.
    """

    shifts: Callable[[Sequence[int], Sequence[int]], NDArray[Any]]
    reach: NDArray[np.float64]


def slices(start: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[slice, ...]:
    """Box from its first and its end index."""
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def moved_distance(
    distance: NDArray[np.float32],
    local: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    bend: Bend | None,
) -> tuple[NDArray[np.float32], float]:
    """Distances at the output voxels `low` to `high`; input voxels per output voxel there."""
    share = abs(float(np.linalg.det(local[:3, :3])))
    shape = tuple(int(n) for n in high - low)
    if bend is None:
        moved: NDArray[np.float32] = ndimage.affine_transform(
            distance,
            local,
            output_shape=shape,
            order=1,
            mode="constant",
            cval=_FAR_MM,
            output=np.float32,
            prefilter=False,
        )
        return moved, share
    index = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1)
    index = index @ local[:3, :3].T + local[:3, 3] + bend.shifts(low.tolist(), high.tolist())
    moved = ndimage.map_coordinates(
        distance,
        np.moveaxis(index, -1, 0),
        order=1,
        mode="constant",
        cval=_FAR_MM,
        output=np.float32,
        prefilter=False,
    )
    if min(shape) < 2:
        return moved, share
    slopes = np.stack([np.gradient(index[..., a]) for a in range(3)])
    stretch = np.abs(np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1))))
    inside = moved > 0
    return moved, float(stretch[inside].mean()) if inside.any() else share


def signed_distance(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """Signed distance in mm of a mask, with a margin of two voxels around it."""
    inside = np.zeros(tuple(n + 4 for n in mask.shape), dtype=np.bool_)
    inside[2:-2, 2:-2, 2:-2] = mask
    signed: NDArray[np.float32] = ndimage.distance_transform_edt(inside, sampling=spacing).astype(
        np.float32
    )
    signed -= ndimage.distance_transform_edt(~inside, sampling=spacing)
    return signed


def output_box(
    box: tuple[slice, ...], inverse: NDArray[np.float64], bend: Bend | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end index of the output voxels that can fall into the box and one voxel around."""
    more = (0.0, 0.0, 0.0) if bend is None else tuple(bend.reach)
    ends = ((b.start - 1.0 - m, b.stop + m) for b, m in zip(box, more, strict=True))
    corners = np.asarray(list(product(*ends)))
    mapped = corners @ inverse[:3, :3].T + inverse[:3, 3]
    low = np.floor(mapped.min(axis=0)).astype(np.int64)
    return low, np.ceil(mapped.max(axis=0)).astype(np.int64) + 1


def put_nearest(
    result: NDArray[_I],
    labels: NDArray[_I],
    boxes: Mapping[int, tuple[slice, ...]],
    matrix: NDArray[np.float64],
    inverse: NDArray[np.float64],
    first: NDArray[np.int64],
    bend: Bend | None,
) -> None:
    """Fill a window of the output, which begins at `first`, from the input voxels it falls into."""
    ends = [output_box(box, inverse, bend) for box in boxes.values()]
    if not ends:
        return
    start = np.maximum(np.min([low for low, _ in ends], axis=0), first)
    stop = np.minimum(np.max([high for _, high in ends], axis=0), first + result.shape)
    if np.any(start >= stop):
        return
    wanted = np.zeros(max(int(labels.max()), *boxes) + 1, dtype=labels.dtype)
    wanted[list(boxes)] = list(boxes)
    j, i = np.arange(start[1], stop[1])[:, None], np.arange(start[2], stop[2])[None, :]
    # Sums in this order give the same place in every window.
    rows = [matrix[a, 1] * j + matrix[a, 2] * i for a in range(3)]
    there = slices(start - first, stop - first)[1:]
    for k in range(int(start[0]), int(stop[0])):
        shifts = None
        if bend is not None:
            shifts = bend.shifts((k, *start[1:].tolist()), (k + 1, *stop[1:].tolist()))[0]
        index = []
        inside = np.ones(rows[0].shape, dtype=np.bool_)
        for a in range(3):
            place = rows[a] + (matrix[a, 0] * k + matrix[a, 3])
            if shifts is not None:
                place += shifts[..., a]
            nearest = np.floor(place + (0.5 + _BETWEEN)).astype(np.intp)
            inside &= (nearest >= 0) & (nearest < labels.shape[a])
            index.append(nearest)
        found = wanted[labels[tuple(each[inside] for each in index)]]
        result[k - first[0]][there][inside] = found


def level(distance: NDArray[np.float32], wanted: float, largest_step_mm: float) -> float:
    """Level above which the count of voxels is nearest to the wanted one, at least one voxel."""
    levels, counts = np.unique(distance, return_counts=True)
    last = levels.size - 1 - int(np.argmin(np.abs(np.cumsum(counts[::-1]) - wanted)))
    below = levels[last - 1] if last > 0 else -np.inf
    # Halfway to the next voxel, but not so far that a lone voxel would outweigh other labels.
    return float(levels[last]) - min(0.5 * float(levels[last] - below), largest_step_mm)
