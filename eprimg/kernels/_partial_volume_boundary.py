"""Masks whose boundary is moved by less than a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import ndtri

from eprimg.kernels._partial_volume_blur import Triple, argument, check_volume, triple
from eprimg.kernels._partial_volume_regions import Group, Region, inside
from eprimg.kernels.label_boxes import Box, label_boxes, widened_box

# Width of the smoothing in voxels: less leaves the steps of the voxels, more rounds off the shape.
_SMOOTHING_VOXELS = 0.8


class MovedMeans(NamedTuple):
    """Mean over a region with its boundary moved in and out.

    Attributes
    ----------
    diameter_mm : tuple of float
        Equivalent diameters, eroded and dilated.
    mean : tuple of float
        Means, eroded and dilated; NaN when nothing valid is left.
    """

    diameter_mm: tuple[float, float]
    mean: tuple[float, float]


def moved_means(
    image: NDArray[np.floating],
    labels: NDArray[np.integer],
    label: int,
    spacing_mm: Sequence[float] | NDArray[np.floating],
    *,
    boundary_error_mm: float = 1.0,
    valid: NDArray[np.bool_] | None = None,
) -> MovedMeans:
    """Measure a region again with its boundary moved in and out everywhere by the same distance.

    Parameters
    ----------
    image : ndarray of float32 or float64, shape (k, j, i)
        Map; NaN is left out.
    labels : ndarray of int, shape (k, j, i)
        Labels; zero and negative ones are background, into which alone the region grows.
    label : int
        Which region.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    boundary_error_mm : float, optional
        Standard uncertainty of the boundary in mm.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels whose values may enter.

    Returns
    -------
    MovedMeans
        Diameters and means.

    Raises
    ------
    InputError
        An argument is out of range, or the region has no voxel.

    Notes
    -----
    Boundaries are moved by less than a voxel as in `mask_error_sensitivity`.
    """
    check_volume(image)
    step = triple(spacing_mm, "spacing_mm")
    if not boundary_error_mm >= 0.0 or label < 1:
        raise argument("The shift is 0 or more, the label 1 or more.", "label", label)
    support = label_boxes(labels, label).get(label)
    if support is None:
        raise argument("The region has no voxel.", "label", label)
    good = np.isfinite(image) if valid is None else np.isfinite(image) & valid
    mask = (labels[support] == label).astype(np.float64)
    region = Region(label, support, mask, support, mask)
    free = np.where(labels > 0, 0.0, 1.0)
    group = Group(support, np.where(good, image, 0.0), good, (region,), free, True)
    shifts = (-boundary_error_mm, boundary_error_mm)
    box, masks = moved_masks(group, region, step, shifts)
    diameters, means = [], []
    for moved in masks:
        volume_mm3 = float(moved.sum(dtype=np.float64)) * step[0] * step[1] * step[2]
        weight = moved * good[box]
        size = float(weight.sum(dtype=np.float64))
        diameters.append((6.0 * volume_mm3 / np.pi) ** (1.0 / 3.0))
        total = float((weight * group.image[box]).sum(dtype=np.float64))
        means.append(total / size if size > 0.0 else float("nan"))
    return MovedMeans((diameters[0], diameters[1]), (means[0], means[1]))


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
