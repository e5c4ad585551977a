"""The surroundings of a PET lesion: where its top is, how far it reaches, what lies around it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.kernels.label_boxes import Box

__all__ = ["Surroundings", "climb", "component", "finer", "fraction_of", "look_around"]

_CORNERS = ndimage.generate_binary_structure(3, 3)
_ROUNDS = 8
_STEPS = 25
_LEAST_SHELL = 20
"""A background rests on at least this many voxels."""


class Surroundings(NamedTuple):
    """A lesion on its native grid, as a first estimate.

    Attributes
    ----------
    box : tuple of slice
        Part of the volume that holds the lesion and enough of its surroundings.
    values : ndarray, shape of the box
        Values; a voxel that may not be used carries that of its nearest neighbour.
    usable : ndarray of bool, shape of the box
        False for these.
    rough : ndarray of bool, shape of the box
        Voxels above ``background + fraction (maximum - background)`` that hang together.
    other : ndarray of bool, shape of the box
        Voxels above it that do not hang together with the lesion.
    background, maximum : float
        In the unit of the map; the background is NaN where nothing of it is left.
    top : tuple of int
        Index (k, j, i) of the maximum in the box.
    clipped : bool
        The lesion touches the edge of the volume.
    """

    box: Box
    values: NDArray[np.float64]
    usable: NDArray[np.bool_]
    rough: NDArray[np.bool_]
    other: NDArray[np.bool_]
    background: float
    maximum: float
    top: tuple[int, int, int]
    clipped: bool


def component(mask: NDArray[np.bool_], index: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the 26-connected part of a mask that holds a voxel; empty when it is not in it."""
    if not mask[index]:
        return np.zeros_like(mask)
    labels, _ = ndimage.label(mask, structure=_CORNERS)
    return np.asarray(labels == labels[index])


def finer(values: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Interpolate (cubic B-spline) so that every voxel becomes `factor` voxels along each axis."""
    if factor == 1:
        return values
    # the centre of sub-voxel f lies at (f + 1/2) / factor - 1/2
    offset = 0.5 / factor - 0.5
    shape = tuple(n * factor for n in values.shape)
    fine = ndimage.affine_transform(
        values, np.full(3, 1.0 / factor), offset=offset, output_shape=shape, mode="nearest"
    )
    return np.asarray(fine, dtype=np.float64)


def fraction_of(fine: NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    """Part of every native voxel that a mask on the finer grid covers."""
    k, j, i = (n // factor for n in fine.shape)
    blocks = fine.reshape(k, factor, j, factor, i, factor)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def top_near(
    values: NDArray[Any],
    usable: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    seed: tuple[int, int, int],
    reach_mm: float,
) -> tuple[int, int, int] | None:
    """Highest usable voxel within `reach_mm` of the seed; None where none can be used."""
    reach = [math.ceil(reach_mm / s) for s in spacing]
    box = tuple(
        slice(max(c - r, 0), min(c + r + 1, n))
        for c, r, n in zip(seed, reach, values.shape, strict=True)
    )
    ticks = [
        (np.arange(b.start, b.stop) - c) * s for b, c, s in zip(box, seed, spacing, strict=True)
    ]
    far = ticks[0][:, None, None] ** 2 + ticks[1][None, :, None] ** 2 + ticks[2] ** 2
    allowed = (far <= reach_mm**2 * (1.0 + 1e-9)) & usable[box]
    if not allowed.any():
        return None
    best = np.unravel_index(int(np.argmax(np.where(allowed, values[box], -np.inf))), allowed.shape)
    k, j, i = (int(b) + s.start for b, s in zip(best, box, strict=True))
    return k, j, i


def climb(
    values: NDArray[Any],
    usable: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    seed: tuple[int, int, int],
    reach_mm: float,
) -> tuple[int, int, int] | None:
    """Go to the highest voxel within reach again and again: a seed may lie in a cold core."""
    here = seed if usable[seed] else top_near(values, usable, spacing, seed, reach_mm)
    for _ in range(_STEPS):
        following = None if here is None else top_near(values, usable, spacing, here, reach_mm)
        # on a plateau the way ends, it does not wander
        if here is None or following is None or not values[following] > values[here]:
            break
        here = following
    return here


def look_around(
    values: NDArray[Any],
    usable: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    top: tuple[int, int, int],
    *,
    fraction: float,
    psf_mm: float,
    reach_mm: float,
    limit_mm: float,
) -> Surroundings:
    """Estimate background and extent of a lesion, in a box that grows until it holds it.

    Notes
    -----
    The background is the median of a shell from one to three blur widths (FWHM) outside of the
    voxels above ``background + fraction (maximum - background)``, without what lies within one
    blur width of anything else that hot; repeated until it stands still.
    """
    half = reach_mm
    while True:
        box = _box(values.shape, spacing, top, half)
        inner = tuple(c - b.start for c, b in zip(top, box, strict=True))
        ok = usable[box]
        local = _filled(values[box], ok)
        bg, peak, rough, hot = _levels(local, ok, spacing, inner, fraction, psf_mm)
        open_faces = [
            (axis, side)
            for axis in range(3)
            for side, free in ((0, box[axis].start > 0), (-1, box[axis].stop < values.shape[axis]))
            if free
        ]
        margin = [max(1, math.ceil(2.0 * psf_mm / s)) for s in spacing]
        if half >= limit_mm or not any(
            _near_face(rough, axis, side, margin[axis]) for axis, side in open_faces
        ):
            break
        half = min(1.5 * half, limit_mm)
    ends = [np.flatnonzero(rough.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3)]
    clipped = any(
        e.size and (e[0] + b.start == 0 or e[-1] + b.start == n - 1)
        for e, b, n in zip(ends, box, values.shape, strict=True)
    )
    best = np.unravel_index(int(np.argmax(np.where(rough, local, -np.inf))), local.shape)
    k, j, i = (int(b) for b in best)
    return Surroundings(box, local, ok, rough, hot & ~rough, bg, peak, (k, j, i), bool(clipped))


def _levels(
    local: NDArray[np.float64],
    ok: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    top: tuple[int, ...],
    fraction: float,
    psf_mm: float,
) -> tuple[float, float, NDArray[np.bool_], NDArray[np.bool_]]:
    maximum = float(local[top])
    # a low start: a hot organ may fill most of the box
    bg = float(np.quantile(local[ok], 0.25)) if ok.any() else math.nan
    rough = np.zeros_like(ok)
    hot = rough
    for _ in range(_ROUNDS):
        if not maximum > bg:
            return bg, maximum, np.zeros_like(ok), np.zeros_like(ok)
        hot = ok & (local >= bg + fraction * (maximum - bg))
        rough = component(hot, top)
        if not rough.any():
            break
        higher = float(local[rough].max())
        away = ndimage.distance_transform_edt(~rough, sampling=spacing)
        shell = ok & (away > psf_mm) & (away <= 3.0 * psf_mm)
        other = hot & ~rough
        if other.any():
            shell &= ndimage.distance_transform_edt(~other, sampling=spacing) > psf_mm
        if np.count_nonzero(shell) < _LEAST_SHELL:
            return math.nan, higher, rough, hot
        found = float(np.median(local[shell]))
        still = abs(found - bg) <= 1e-3 * abs(higher - found) and higher == maximum
        bg, maximum = found, higher
        if still:
            break
    return bg, maximum, rough, hot


def _box(
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    top: tuple[int, int, int],
    half_mm: float,
) -> Box:
    k, j, i = (
        slice(max(c - math.ceil(half_mm / s), 0), min(c + math.ceil(half_mm / s) + 1, n))
        for c, s, n in zip(top, spacing, shape, strict=True)
    )
    return k, j, i


def _near_face(mask: NDArray[np.bool_], axis: int, side: int, margin: int) -> bool:
    layers = slice(None, margin) if side == 0 else slice(-margin, None)
    index = tuple(layers if a == axis else slice(None) for a in range(3))
    return bool(mask[index].any())


def _filled(values: NDArray[Any], ok: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give voxels that may not be used the value of their nearest neighbour: for splines only."""
    local = np.array(values, dtype=np.float64)
    if ok.all() or not ok.any():
        return local
    nearest = ndimage.distance_transform_edt(~ok, return_distances=False, return_indices=True)
    return np.asarray(local[tuple(nearest)])
