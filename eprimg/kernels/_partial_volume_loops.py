"""One iteration of iterative Yang as voxel loops, in plain Python that numba compiles."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_regions import Group
from eprimg.kernels.label_boxes import Box

_Column = NDArray[np.float64]
_Volume = NDArray[Any]


class Packed(NamedTuple):
    """Masks of all regions of a group in flat arrays, and room for one iteration."""

    supports: NDArray[np.int64]
    masks: _Volume
    reaches: NDArray[np.int64]
    spreads: _Volume
    sharp: _Volume
    blurred: _Volume
    corrected: _Volume


def pack(group: Group) -> Packed:
    """Lay the masks of a group side by side."""
    kind = group.image.dtype
    flat = [np.concatenate([[], *(r.mask.ravel() for r in group.regions)]).astype(kind)]
    flat.append(np.concatenate([[], *(r.blurred.ravel() for r in group.regions)]).astype(kind))
    return Packed(
        _ends([r.support for r in group.regions]),
        flat[0],
        _ends([r.reach_box for r in group.regions]),
        flat[1],
        *(np.empty(group.shape, dtype=kind) for _ in range(3)),
    )


def yang_step(group: Group, packed: Packed, means: _Column, base: float) -> _Column:
    """Correct the map once with region means; return the new means, background last.

    The corrected map lies in ``packed.corrected``, NaN where it means nothing.
    """
    n = len(group.regions)
    sums, sizes = np.zeros(n + 1), np.zeros(n + 1)
    # A region without voxels takes the background; its neighbours carry the reason.
    steps = np.where(np.isfinite(means[:n]), np.maximum(means[:n], 0.0), base) - base
    _compiled()(group.image, group.valid, base, steps, sums, sizes, *packed)
    out = np.full(n + 1, np.nan)
    np.divide(sums, sizes, out=out, where=sizes > 0.0)
    if not group.has_background:
        out[n] = np.nan
    return out


def scan(
    image: _Volume,
    valid: NDArray[np.bool_],
    base: float,
    steps: _Column,
    sums: _Column,
    sizes: _Column,
    supports: NDArray[np.int64],
    masks: _Volume,
    reaches: NDArray[np.int64],
    spreads: _Volume,
    sharp: _Volume,
    blurred: _Volume,
    corrected: _Volume,
) -> None:
    """Build the template and its blur, correct, and sum over every region and the rest."""
    nk, nj, ni = image.shape
    n = steps.size
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                sharp[k, j, i] = base
                blurred[k, j, i] = base
    at = 0
    for r in range(n):
        for k in range(supports[r, 0], supports[r, 1]):
            for j in range(supports[r, 2], supports[r, 3]):
                for i in range(supports[r, 4], supports[r, 5]):
                    sharp[k, j, i] += steps[r] * masks[at]
                    at += 1
    at = 0
    for r in range(n):
        for k in range(reaches[r, 0], reaches[r, 1]):
            for j in range(reaches[r, 2], reaches[r, 3]):
                for i in range(reaches[r, 4], reaches[r, 5]):
                    blurred[k, j, i] += steps[r] * spreads[at]
                    at += 1
    largest = 0.0
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                largest = max(largest, blurred[k, j, i])
    total, count = 0.0, 0
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                if valid[k, j, i] and blurred[k, j, i] > 1e-6 * largest:
                    value = image[k, j, i] * (sharp[k, j, i] / blurred[k, j, i])
                    corrected[k, j, i] = value
                    total += value
                    count += 1
                else:
                    corrected[k, j, i] = np.nan
    at = 0
    for r in range(n):
        part, size = 0.0, 0.0
        for k in range(supports[r, 0], supports[r, 1]):
            for j in range(supports[r, 2], supports[r, 3]):
                for i in range(supports[r, 4], supports[r, 5]):
                    value = corrected[k, j, i]
                    # Comparison is false for NaN.
                    if value == value:
                        part += masks[at] * value
                        size += masks[at]
                    at += 1
        sums[r], sizes[r] = part, size
        total -= part
        sizes[n] -= size
    sums[n] = total
    sizes[n] += count
    # Rounding of fractions that fill a box together.
    if sizes[n] < 1e-6 * count:
        sizes[n] = 0.0


def _ends(boxes: list[Box]) -> NDArray[np.int64]:
    """First and end index along k, j, i of every box."""
    rows = [[e for s in box for e in (s.start, s.stop)] for box in boxes]
    return np.asarray(rows, dtype=np.int64).reshape(-1, 6)


@cache
def _compiled() -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    # Sums may be taken in another order; NaN keeps its meaning.
    jit = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
    compiled: Callable[..., None] = jit(scan)
    return compiled
