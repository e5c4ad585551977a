"""What speaks against a region that grew from a click."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from eprimg.kernels.label_boxes import Box

NO_EDGE = "its border does not lie on an edge of the contrast"
"""Doubt about a region in tissue that does not differ from its surroundings."""

IS_ONLY_THE_BALL = "it is not larger than the ball around the click"
"""Doubt about a region that did not grow."""

GOES_ON = "tissue like it goes on beyond its border: a part of it may be missing"
"""Doubt about a region whose end is that of the shell, not of the tissue."""

REACHES_SHELL = "it reaches the shell of background"
"""Doubt about a region that may have been stopped by the shell, followed by the distance."""

_CLEAR_EDGE = 2.0
"""A region is doubtful when the median step across its border is not this many times that inside.
House rule."""
_BARE = 0.04
"""Share of border faces without a step from which a region may go on."""
_NO_STEP = 3.0
"""A face has no step when it is not above this many median steps inside."""
_SMOOTHED_MM = 1.5
_WIDTHS = 2.0
"""Smoothed values within this many 1.4826 median absolute deviations are those of the region."""
_LEAST_BAND = 0.02
"""Part of the range below which no difference counts."""
_BEYOND = 0.1
"""Like tissue beyond the border, as a part of the region, from which it may go on."""
_SOLID = 0.95
"""Part of the voxels in its convex hull that one body fills.  House rule: a ball, an ellipsoid and
a rod fill it; two balls of one size that touch fill 0.8, balls of 20 and 30 mm whose centres are
20 mm apart 0.93."""


def doubt_about(
    kept: NDArray[np.bool_],
    lesion: NDArray[np.bool_],
    scaled: NDArray[np.float64],
    distance: NDArray[np.float64],
    shell: float,
    spacing: tuple[float, float, float],
    shape: tuple[int, ...],
    box: Box,
) -> str:
    """Say what speaks against a region; empty when nothing does."""
    said = []
    if float(distance[kept].max()) > shell - max(spacing):
        said.append(f"{REACHES_SHELL} {shell:g} mm from the click")
    across, within = _steps(kept, scaled)
    if not across > _CLEAR_EDGE * within:
        said.append(NO_EDGE)
    if np.count_nonzero(kept) <= np.count_nonzero(lesion):
        said.append(IS_ONLY_THE_BALL)
    for axis, (part, n) in enumerate(zip(box, shape, strict=True)):
        sides = np.flatnonzero(kept.any(axis=tuple(a for a in range(3) if a != axis)))
        if n > 1 and (part.start + sides[0] == 0 or part.start + sides[-1] == n - 1):
            said.append("it touches the edge of the volume")
            break
    return "; ".join(said)


def may_go_on(
    kept: NDArray[np.bool_],
    scaled: NDArray[np.float64],
    usable: NDArray[np.bool_],
    spacing: tuple[float, float, float],
) -> bool:
    """Tell whether a region may end inside its tissue, so that it is worth growing it anew.

    Parameters
    ----------
    kept : ndarray of bool, shape (k, j, i)
        The region, connected.
    scaled : ndarray, shape (k, j, i)
        Contrast between 0 and 1.
    usable : ndarray of bool, shape (k, j, i)
        Voxels with a value.
    spacing : tuple of float
        Voxel spacing in mm.

    Returns
    -------
    bool
        A part of its border has no step, and a volume of like tissue is joined to it.  Weak edges
        and texture make this of right outlines as well: it is a reason to look, not a doubt.
    """
    across, within = _all_steps(kept, scaled)
    inside = float(np.median(within)) if within.size else 0.0
    bare = np.count_nonzero(across <= _NO_STEP * inside)
    if not bare > _BARE * across.size:
        return False
    smooth = ndimage.gaussian_filter(scaled, [_SMOOTHED_MM / step for step in spacing])
    middle = float(np.median(smooth[kept]))
    spread = 1.4826 * float(np.median(np.abs(smooth[kept] - middle)))
    like = usable & (np.abs(smooth - middle) <= max(_WIDTHS * spread, _LEAST_BAND))
    # Opened, so that single voxels of noise are no bridge.
    like = kept | ndimage.binary_opening(like | kept)
    parts, _ = ndimage.label(like)
    own = parts[np.unravel_index(int(kept.argmax()), kept.shape)]
    size = np.count_nonzero(kept)
    return bool(np.count_nonzero(parts == own) - size > _BEYOND * size)


def added_differs(before: NDArray[Any], added: NDArray[Any]) -> float:
    """Difference of the medians in standard deviations (1.4826 MAD) of a region and what is added.

    What a wider shell adds to a part of a lesion is of one kind with it; where the shell held a
    whole lesion back from its organ, it is not.
    """
    if not (before.size and added.size):
        return 0.0
    middle = float(np.median(before))
    spread = 1.4826 * float(np.median(np.abs(before - middle)))
    apart = abs(float(np.median(added)) - middle)
    return apart / spread if spread > 0.0 else (0.0 if apart == 0.0 else math.inf)


def is_one_body(kept: NDArray[np.bool_]) -> bool:
    """Tell a compact region from two that touch, by the voxels inside its convex hull."""
    rim = np.argwhere(kept & ~ndimage.binary_erosion(kept))
    try:
        planes = np.unique(np.round(ConvexHull(rim).equations, 9), axis=0)
    except QhullError:
        return True  # flat: too few voxels to be two bodies
    low, high = rim.min(axis=0), rim.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    within = np.ones(kept[box].shape, dtype=np.bool_)
    k, j, i = (np.arange(a, b, dtype=np.float64) for a, b in zip(low, high, strict=True))
    for a, b, c, d in planes:
        sides = a * k[:, None, None] + b * j[None, :, None] + c * i[None, None, :]
        within &= sides + d <= 1e-6
    return bool(np.count_nonzero(kept) >= _SOLID * np.count_nonzero(within))


def _steps(kept: NDArray[np.bool_], scaled: NDArray[np.float64]) -> tuple[float, float]:
    """Median step of the contrast across the border of a region, and between voxels inside it."""
    outer, inner = _all_steps(kept, scaled)
    return (
        float(np.median(outer)) if outer.size else math.nan,
        float(np.median(inner)) if inner.size else 0.0,
    )


def _all_steps(
    kept: NDArray[np.bool_], scaled: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """List the steps of the contrast across the border of a region, and between voxels inside."""
    across, within = [], []
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        one, other = kept[tuple(low)], kept[tuple(high)]
        step = np.abs(np.diff(scaled, axis=axis))
        across.append(step[one ^ other])
        within.append(step[one & other])
    return np.concatenate(across), np.concatenate(within)
