"""Masks whose boundary is moved by less than a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import ndtri

from eprimg.kernels._partial_volume_blur import Psf, Triple, argument, check_volume, triple
from eprimg.kernels._partial_volume_regions import Group, Region, Shape, inside, make_region
from eprimg.kernels.label_boxes import Box, boxes_meet, joined_box, label_boxes, widened_box

# Width of the smoothing in voxels: less leaves the steps of the voxels, more rounds off the shape.
_SMOOTHING_VOXELS = 0.8
# A neighbour that would lose more than this part of itself stays as it was drawn: what is left of
# it could not be measured, and the boundary of a wall that thin is not that of the lesion.
_LARGEST_LOSS = 0.5


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
        Labels; zero and negative ones are background.  The region grows into background and into
        other regions.
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
    k, j, i = image.shape
    shifts = (-boundary_error_mm, boundary_error_mm)
    box, _, masks = moved_masks(region, (k, j, i), step, shifts)
    values = np.where(good[box], image[box], 0.0)
    diameters, means = [], []
    for moved in masks:
        volume_mm3 = float(moved.sum(dtype=np.float64)) * step[0] * step[1] * step[2]
        weight = moved * good[box]
        size = float(weight.sum(dtype=np.float64))
        diameters.append((6.0 * volume_mm3 / np.pi) ** (1.0 / 3.0))
        total = float((weight * values).sum(dtype=np.float64))
        means.append(total / size if size > 0.0 else float("nan"))
    return MovedMeans((diameters[0], diameters[1]), (means[0], means[1]))


def moved_regions(
    group: Group,
    place: int,
    psfs: tuple[Psf, Psf],
    shift_mm: float,
    means: NDArray[np.float64],
) -> list[list[Region]]:
    """Return the regions of a group with the boundary of one of them moved in, and moved out.

    The boundary is one surface with the same tissue on its far side wherever it lies: what the
    region gains is taken from whom it belonged to, what it loses goes to whom the nearest voxel
    outside belongs to, background or region.  Else the rim would be left as a compartment of its
    own, which takes up whatever the moved boundary does not explain.

    Parameters
    ----------
    group : Group
        Regions of labels: each voxel belongs to one of them as a whole, or to none.
    place : int
        Which region is moved.
    psfs : tuple of Psf
        Point-spread function for whole voxels, and for fractions of voxels.
    shift_mm : float
        Distance in mm.
    means : ndarray of float64, shape (n + 1,)
        Corrected means of the group, background last.

    Returns
    -------
    list of list of Region
        All regions in the order of the group: in, out.  Between a higher and a lower neighbour the
        two sides work against each other, so two more follow: out where a higher one lies and in
        elsewhere, and the reverse.
    """
    region, step = group.regions[place], psfs[0].spacing_mm
    box, whole, masks = moved_masks(region, group.shape, step, (-shift_mm, shift_mm))
    owner = _owners(group, place, box)
    fixed = _fixed(group, owner, np.maximum.reduce(masks))
    if fixed.any():
        masks = [np.where(fixed, 0, m) for m in masks]
    owner = _with_owners_beneath(owner, whole, fixed, step)
    belongs = np.unique(owner[whole | (np.maximum.reduce(masks) > 0)])
    higher = np.roll(means, 1) > means[place]
    if higher[belongs].any() and not higher[belongs].all():
        turned = higher[owner]
        masks += [np.where(turned, a, b) for a, b in (masks[::-1], masks)]
    moved = [make_region(region.label, box, m, group.shape, psfs[1]) for m in masks]
    out = [list(group.regions) for _ in moved]
    for regions, one in zip(out, moved, strict=True):
        regions[place] = one
    for n in belongs[belongs > 0]:
        given, taken = region, moved
        if belongs.size > 1:
            side = owner == n
            drawn = (whole & side).astype(region.mask.dtype)
            given = make_region(region.label, box, drawn, group.shape, psfs[0])
            taken = [make_region(region.label, box, m * side, group.shape, psfs[1]) for m in masks]
        for regions, one in zip(out, taken, strict=True):
            regions[n - 1] = _exchanged(group.regions[n - 1], given, one)
    return out


def _owners(group: Group, place: int, box: Box) -> NDArray[np.int32]:
    """Return one more than the place of the region of each voxel of a box; 0 is background."""
    owner = np.zeros(tuple(b.stop - b.start for b in box), dtype=np.int32)
    for n, other in enumerate(group.regions):
        if n == place or not boxes_meet(other.support, box):
            continue
        k, j, i = (
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(other.support, box, strict=True)
        )
        part = other.mask[inside((k, j, i), other.support)] > 0
        owner[inside((k, j, i), box)][part] = n + 1
    return owner


def _with_owners_beneath(
    owner: NDArray[np.int32],
    whole: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    spacing_mm: Triple,
) -> NDArray[np.int32]:
    """Give the voxels of a region to whom the nearest voxel outside belongs to."""
    outside = ~(whole | fixed)
    # The nearest voxel outside shares a face with the region, unless a fixed one lies between.
    rim = outside if fixed.any() else outside & ndimage.binary_dilation(whole)
    around = np.unique(owner[rim])
    if around.size < 2:
        return np.where(whole, around[0] if around.size else 0, owner).astype(np.int32)
    nearest = ndimage.distance_transform_edt(
        ~outside, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.where(whole, owner[tuple(nearest)], owner)


def _fixed(
    group: Group, owner: NDArray[np.int32], largest: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Tell which voxels belong to a neighbour that is too small to give any away."""
    lost = np.bincount(owner.ravel(), weights=largest.ravel(), minlength=len(group.regions) + 1)
    small = np.zeros(lost.size, dtype=bool)
    for n in np.flatnonzero(lost[1:] > 0.0):
        size = float(group.regions[n].mask.sum(dtype=np.float64))
        small[n + 1] = lost[n + 1] > _LARGEST_LOSS * size
    return np.asarray(small[owner])


def _exchanged(region: Region, given: Region, taken: Region) -> Region:
    """Add one part to a region and take another off it; the blur of a sum is the sum of blurs."""
    parts = ((region, 1), (given, 1), (taken, -1))
    support = joined_box(*(part.support for part, _ in parts)) or region.support
    reach = joined_box(*(part.reach_box for part, _ in parts)) or region.reach_box
    mask = np.zeros(tuple(s.stop - s.start for s in support), dtype=region.mask.dtype)
    blurred = np.zeros(tuple(s.stop - s.start for s in reach), dtype=region.blurred.dtype)
    for part, sign in parts:
        mask[inside(part.support, support)] += sign * part.mask
        blurred[inside(part.reach_box, reach)] += sign * part.blurred
    return Region(region.label, support, mask, reach, blurred)


def moved_masks(
    region: Region, shape: Shape, spacing_mm: Triple, shifts_mm: Sequence[float]
) -> tuple[Box, NDArray[np.bool_], list[NDArray[np.floating]]]:
    """Grow (shift > 0) or shrink a region; voxels at its boundary get fractions.

    A plane boundary blurred with a Gaussian of standard deviation s is ``Phi(d / s)`` at the signed
    distance d, so ``d = s Phi^-1`` of the smoothed mask.  Curved boundaries come out shifted, which
    is taken back by the one offset that keeps the volume of the unmoved mask.  Handed back: the box
    that holds it, the mask as drawn, and the moved ones.
    """
    step = np.asarray(spacing_mm)
    width = _SMOOTHING_VOXELS * float(step.max())
    far = 3.0 * width + max(abs(s) for s in shifts_mm)
    k, j, i = (int(np.ceil(far / h)) + 1 for h in spacing_mm)
    box = widened_box(region.support, (k, j, i), shape)
    whole = np.zeros(tuple(b.stop - b.start for b in box))
    whole[inside(region.support, box)] = region.mask
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
    masks = [fraction(offset + s).astype(region.mask.dtype) for s in shifts_mm]
    return box, whole > 0.0, masks


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
