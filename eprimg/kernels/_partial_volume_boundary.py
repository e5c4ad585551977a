"""Masks whose boundary is moved by less than a voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import ndtri

from eprimg.kernels._partial_volume_blur import Triple
from eprimg.kernels._partial_volume_regions import Group, Region, inside
from eprimg.kernels.label_boxes import Box, widened_box

# Width of the smoothing in voxels: less leaves the steps of the voxels, more rounds off the shape.
_SMOOTHING_VOXELS = 0.8


def moved_masks(
    group: Group, region: Region, spacing_mm: Triple, shifts_mm: Sequence[float]
) -> tuple[Box, list[NDArray[np.floating]]]:
    """Grow (shift > 0) or shrink a region; voxels at its boundary get fractions.

    A plane boundary blurred with a Gaussian of standard deviation s is ``Phi(d / s)`` at the signed
    distance d, so ``d = s Phi^-1`` of the smoothed mask.  Curved boundaries come out shifted, which
    is taken back by the one offset that keeps the volume of the unmoved mask.  Voxels of other
    regions are not taken.
    """
    step = np.asarray(spacing_mm)
    width = _SMOOTHING_VOXELS * float(step.max())
    far = 3.0 * width + max(abs(s) for s in shifts_mm)
    k, j, i = (int(np.ceil(far / h)) + 1 for h in spacing_mm)
    box = widened_box(region.support, (k, j, i), group.shape)
    whole = np.zeros(tuple(b.stop - b.start for b in box))
    whole[inside(region.support, box)] = region.mask
    free = group.background[box] + whole
    # A region that is cut by the volume goes on beyond it.
    soft = ndimage.gaussian_filter(whole, width / step, mode="nearest", truncate=5.0)
    distance = width * ndtri(np.clip(soft, 1e-9, 1.0 - 1e-9))
    across = _voxel_width(distance, step)

    def fraction(offset_mm: float) -> NDArray[np.float64]:
        return np.asarray(np.clip(0.5 + (distance + offset_mm) / across, 0.0, 1.0))

    volume, reach = float(whole.sum()), 8.0 * width
    offset = 0.0
    if 0.0 < volume < whole.size:
        offset = brentq(lambda o: float(fraction(o).sum()) - volume, -reach, reach, xtol=1e-3)
    masks = [np.minimum(fraction(offset + s), free) for s in shifts_mm]
    return box, [m.astype(region.mask.dtype) for m in masks]


def _voxel_width(distance: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width of a voxel in mm along the normal of the boundary."""
    slopes = [
        np.gradient(distance, h, axis=axis) if distance.shape[axis] > 1 else np.zeros_like(distance)
        for axis, h in enumerate(step)
    ]
    length = np.sqrt(sum((s * s for s in slopes), np.zeros_like(distance)))
    weighted = sum(((s * h) ** 2 for s, h in zip(slopes, step, strict=True)), np.zeros_like(length))
    flat = length < 1e-6
    width = np.sqrt(weighted) / np.where(flat, 1.0, length)
    return np.asarray(np.where(flat, step.min(), width), dtype=np.float64)
