"""Regions, their spread through the point-spread function, and the noise of weighted means.

Regions that can see each other form a group; each group has its own box of the volume and its own
background, so that a lesion in the lung is never corrected with the background of the liver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError
from eprimg.kernels._partial_volume_blur import Psf, Weights, argument, spread_axis
from eprimg.kernels._partial_volume_sums import overlaps, spread_rows
from eprimg.kernels.label_boxes import Box, boxes_meet, joined_box, widened_box

_Volume = NDArray[np.floating]
Shape = tuple[int, int, int]


class Region(NamedTuple):
    """One region in the box of its group: the fraction of each voxel, sharp and blurred."""

    label: int
    support: Box
    mask: _Volume
    reach_box: Box
    blurred: _Volume


class Group(NamedTuple):
    """Regions that spread into each other; `image` is 0 where `valid` is False."""

    box: Box
    image: _Volume
    valid: NDArray[np.bool_]
    regions: tuple[Region, ...]
    background: _Volume
    has_background: bool

    @property
    def shape(self) -> Shape:
        """Shape of the box."""
        k, j, i = self.image.shape
        return k, j, i


class Transfer(NamedTuple):
    """Measured region means and the matrix that spread them; the background is the last row."""

    weight: NDArray[np.float64]
    raw: NDArray[np.float64]
    matrix: NDArray[np.float64]


def make_groups(
    image: _Volume,
    regions: NDArray[np.generic],
    psf: Psf,
    valid: NDArray[np.bool_] | None,
    *,
    extra_mm: float = 0.0,
) -> list[Group]:
    """Split the volume into boxes around regions that spread into each other."""
    _check_regions(image, regions, valid)
    soft = regions.ndim == 4
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2])
    found: dict[int, Box] = {}
    if soft:
        for n in range(regions.shape[3]):
            for box in ndimage.find_objects(np.greater(regions[..., n], 0).astype(np.int8)):
                found[n + 1] = (box[0], box[1], box[2])
    else:
        for n, box in enumerate(ndimage.find_objects(np.maximum(regions, 0)), start=1):
            if box is not None:
                found[n] = (box[0], box[1], box[2])
    reach = _added(psf.reach, psf, extra_mm)
    clusters: list[tuple[Box, list[int]]] = []
    for label, support in found.items():
        box, members = widened_box(support, reach, shape), [label]
        while near := [c for c in clusters if boxes_meet(c[0], box)]:
            for other in near:
                clusters.remove(other)
                box = joined_box(box, other[0]) or box
                members += other[1]
        clusters.append((box, members))
    clusters.sort(key=lambda c: min(c[1]))
    return [
        _group(image, regions, found, valid, psf, box, sorted(members)) for box, members in clusters
    ]


def _group(
    image: _Volume,
    regions: NDArray[np.generic],
    found: dict[int, Box],
    valid: NDArray[np.bool_] | None,
    psf: Psf,
    box: Box,
    members: Sequence[int],
) -> Group:
    cut = image[box]
    good = np.isfinite(cut)
    if valid is not None:
        good &= valid[box]
    made = []
    for label in members:
        inner = inside(found[label], box)
        if regions.ndim == 4:
            mask = regions[found[label]][..., label - 1].astype(image.dtype)
        else:
            mask = (regions[found[label]] == label).astype(image.dtype)
        made.append(make_region(label, inner, mask, cut.shape, psf))
    group = Group(box, np.where(good, cut, 0).astype(image.dtype), good, (), cut, False)
    return with_regions(group, made)


def make_region(
    label: int, support: Box, mask: _Volume, shape: tuple[int, ...], psf: Psf
) -> Region:
    """Blur one mask in the smallest box that its spread fits in."""
    outer = widened_box(support, psf.reach, (shape[0], shape[1], shape[2]))
    return Region(label, support, mask, outer, _spread_out(mask, support, outer, psf.weights))


def _spread_out(array: _Volume, box: Box, outer: Box, weights: Weights) -> _Volume:
    """Correlate with weights into a wider box; each axis grows just before it is correlated."""
    whole = all(
        b.start - o.start >= w.size // 2 and o.stop - b.stop >= w.size // 2
        for b, o, w in zip(box, outer, weights, strict=True)
    )
    if whole:
        # The border of the volume, where its mirror image comes in, is out of reach.
        return spread_rows([(box, array)], [outer], weights)[0][1].astype(array.dtype, copy=False)
    for axis, (b, o) in enumerate(zip(box, outer, strict=True)):
        margin = [(0, 0), (0, 0), (0, 0)]
        margin[axis] = (b.start - o.start, o.stop - b.stop)
        array = spread_axis(np.pad(array, margin), weights[axis], axis, edge="reflect")
    return array


def with_regions(group: Group, regions: Sequence[Region]) -> Group:
    """Put regions into a group; what they leave is its background."""
    rest = np.ones_like(group.image)
    for region in regions:
        rest[region.support] -= region.mask
    # Rounding of masks that fill a voxel together.
    rest[np.abs(rest) < 1e-5] = 0.0
    return group._replace(
        regions=tuple(regions), background=rest, has_background=bool((rest * group.valid).any())
    )


def transfer(group: Group) -> Transfer:
    """Compute region means and the geometric transfer matrix over valid voxels."""
    n = len(group.regions)
    shared = np.zeros((n + 1, n + 1))
    weight, total = np.zeros(n + 1), np.zeros(n + 1)
    spill = np.zeros(n)
    masks = [(r.support, r.mask * group.valid[r.support]) for r in group.regions]
    for row, (one, (_, used)) in enumerate(zip(group.regions, masks, strict=True)):
        weight[row] = used.sum(dtype=np.float64)
        total[row] = _dot(used, group.image[one.support])
        spill[row] = _dot(one.blurred, group.valid[one.reach_box])
    shared[:n, :n] = overlaps(masks, [(r.reach_box, r.blurred) for r in group.regions])
    everything = float(np.count_nonzero(group.valid))
    weight[n] = everything - weight[:n].sum() if group.has_background else 0.0
    total[n] = group.image.sum(dtype=np.float64) - total[:n].sum()
    # The blurred regions and the blurred background add up to 1 in every voxel.
    shared[n, :n] = spill - shared[:n, :n].sum(axis=0)
    shared[:n, n] = weight[:n] - shared[:n, :n].sum(axis=1)
    shared[n, n] = weight[n] - shared[n, :n].sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return Transfer(weight, total / weight, shared / weight[:, None])


def mean_weights(group: Group, weight: NDArray[np.float64]) -> list[tuple[Box, _Volume]]:
    """Weights of the region means, background last, each in its box."""
    whole: Box = (slice(0, group.shape[0]), slice(0, group.shape[1]), slice(0, group.shape[2]))
    rows = [
        (r.support, r.mask * group.valid[r.support] / max(w, 1e-30))
        for r, w in zip(group.regions, weight[:-1], strict=True)
    ]
    rows.append((whole, group.background * group.valid / max(weight[-1], 1e-30)))
    return rows


def mean_covariance(
    rows: Sequence[tuple[Box, _Volume]],
    sd: float | _Volume,
    noise: Weights | None,
    shape: Shape,
) -> NDArray[np.float64]:
    """Covariance of weighted sums of voxels whose noise is correlated between neighbours."""
    scaled, factor = _scaled(rows, sd)
    if noise is None:
        wide = scaled
    else:
        reach = (noise[0].size // 2, noise[1].size // 2, noise[2].size // 2)
        outer = _needed([box for box, _ in scaled], reach, shape)
        wide = spread_rows(scaled, outer, noise)
    lower = np.zeros((len(rows), len(rows)))
    # The last row, the background, is large, and meets nothing later than itself.
    lower[:, :-1] = np.tril(overlaps(wide, scaled[:-1]))
    lower[-1, -1] = overlap(wide[-1], scaled[-1])
    both: NDArray[np.float64] = (lower + np.tril(lower, -1).T) * factor
    return both


def _needed(boxes: Sequence[Box], reach: Shape, shape: Shape) -> list[Box]:
    """Where the spread of each row is looked at: in its own box and in those of earlier rows."""
    ends = np.array([[(s.start, s.stop) for s in box] for box in boxes])
    start, stop = ends[..., 0], ends[..., 1]
    far_start, far_stop = np.maximum(start - reach, 0), np.minimum(stop + reach, shape)
    first = np.maximum(far_start[:, None], start)
    last = np.minimum(far_stop[:, None], stop)
    earlier = np.tril((first < last).all(axis=2))
    first = np.where(earlier[..., None], first, start[:, None]).min(axis=1)
    last = np.where(earlier[..., None], last, stop[:, None]).max(axis=1)
    return [
        (slice(*map(int, k)), slice(*map(int, j)), slice(*map(int, i)))
        for k, j, i in np.stack((first, last), axis=2)
    ]


def mean_variance(
    rows: Sequence[tuple[Box, _Volume]], sd: float | _Volume, noise: Weights | None
) -> NDArray[np.float64]:
    """Diagonal of `mean_covariance`, which needs no look beyond the own box."""
    scaled, factor = _scaled(rows, sd)
    wide = scaled if noise is None else spread_rows(scaled, [box for box, _ in scaled], noise)
    return factor * np.array([_dot(a, b) for (_, a), (_, b) in zip(scaled, wide, strict=True)])


def _scaled(
    rows: Sequence[tuple[Box, _Volume]], sd: float | _Volume
) -> tuple[Sequence[tuple[Box, _Volume]], float]:
    """Weights times the noise of their voxels, up to a factor of their products."""
    if isinstance(sd, float):
        return rows, sd * sd
    return [(b, a * sd[b].astype(a.dtype, copy=False)) for b, a in rows], 1.0


def residual_sd(group: Group, means: NDArray[np.float64]) -> float:
    """Root mean square of what the blurred region means leave of the map."""
    base = means[-1] if group.has_background else 0.0
    model = np.full(group.shape, base)
    for region, value in zip(group.regions, means[:-1], strict=True):
        if np.isfinite(value):
            model[region.reach_box] += (value - base) * region.blurred
    freedom = int(np.count_nonzero(group.valid)) - means.size
    if freedom < 1:
        return float("nan")
    left = np.subtract(group.image, model, out=model)
    left[~group.valid] = 0.0
    return float(np.sqrt(_dot(left, left) / freedom))


def overlap(one: tuple[Box, _Volume], other: tuple[Box, _Volume]) -> float:
    """Sum of products of two boxed arrays where the boxes meet."""
    if not boxes_meet(one[0], other[0]):
        return 0.0
    k, j, i = (
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(one[0], other[0], strict=True)
    )
    common: Box = (k, j, i)
    return _dot(one[1][inside(common, one[0])], other[1][inside(common, other[0])])


def _dot(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.dtype == other.dtype == np.float64:
        return float(np.vdot(one, other))
    return float(np.multiply(one, other, dtype=np.float64).sum())


def inside(box: Box, outer: Box) -> Box:
    """Return the same box, counted from the start of an outer one."""
    k, j, i = (slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))
    return k, j, i


def _added(reach: Shape, psf: Psf, extra_mm: float) -> Shape:
    k, j, i = (r + int(np.ceil(extra_mm / h)) for r, h in zip(reach, psf.spacing_mm, strict=True))
    return k, j, i


def _check_regions(
    image: _Volume, regions: NDArray[np.generic], valid: NDArray[np.bool_] | None
) -> None:
    """Refuse regions that are neither labels nor fractions on the grid of the map."""
    for name, array in (("regions", regions), ("valid", valid)):
        if array is not None and array.shape[:3] != image.shape:
            raise GeometryError(
                f"{name} must lie on the grid of the map, {image.shape}.",
                code="E_ARGUMENT",
                where=name,
                value=array.shape,
                action="Bring the regions to the grid of the map first.",
            )
    if valid is not None and valid.dtype != np.bool_:
        raise argument("valid is a volume of bool.", "valid", str(valid.dtype))
    whole = np.issubdtype(regions.dtype, np.integer)
    if not (regions.ndim == 3 and whole) and not (
        regions.ndim == 4 and np.issubdtype(regions.dtype, np.floating)
    ):
        raise InputError(
            "Regions are a volume of integer labels, or fractions with the regions along the last "
            "axis.",
            code="E_ARGUMENT",
            where="regions",
            value=(regions.shape, str(regions.dtype)),
            action="Give integer labels (k, j, i), or float masks (k, j, i, n).",
        )
    if regions.ndim == 4:
        fractions = regions.astype(np.float64, copy=False)
        if not (fractions.min(initial=0.0) >= 0.0) or not (
            fractions.sum(axis=3).max(initial=0.0) <= 1.0 + 1e-5
        ):
            raise InputError(
                "Mask fractions must be finite, not negative, and add up to at most 1 per voxel.",
                code="E_ARGUMENT",
                where="regions",
                value=(float(fractions.min()), float(fractions.sum(axis=3).max())),
                action="Resolve voxels that belong to more than one region.",
            )
