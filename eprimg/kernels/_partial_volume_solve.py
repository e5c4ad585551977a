"""Solve for region means: geometric transfer matrix, iterative Yang, single target."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_blur import Psf, Weights, spread
from eprimg.kernels._partial_volume_loops import Packed, pack, yang_step
from eprimg.kernels._partial_volume_regions import (
    Group,
    Transfer,
    mean_covariance,
    mean_variance,
    mean_weights,
    overlap,
    residual_sd,
    transfer,
)
from eprimg.kernels._partial_volume_sums import overlaps
from eprimg.kernels.label_boxes import Box

_Volume = NDArray[np.floating]
_Column = NDArray[np.float64]
# A neighbour without a value matters when this part of its activity is seen in a region.
_SPILL_THAT_MATTERS = 0.01


class PartialVolumeReason(IntEnum):
    """Why a region has no corrected value; `PARTIAL_VOLUME_REASON_TEXT` says it in words."""

    OK = 0
    NO_VOXELS = 1
    TOO_SMALL = 2
    ILL_CONDITIONED = 3
    UNKNOWN_NEIGHBOUR = 4
    NOT_POSITIVE = 5
    INCOMPLETE = 6


class Noise(NamedTuple):
    """Noise of the map: sd per voxel (None: from residuals) and its correlation."""

    sd: float | _Volume | None
    weights: Weights | None

    def within(self, box: Box) -> float | _Volume | None:
        """Noise of one box."""
        return self.sd if self.sd is None or isinstance(self.sd, float) else self.sd[box]


class Solved(NamedTuple):
    """Means of one group, the background last."""

    transfer: Transfer
    corrected: _Column
    raw_se: _Column
    corrected_se: _Column
    reason: NDArray[np.uint8]
    condition: float
    voxel_sd: float
    last_change: _Column
    corrected_map: _Volume | None


def solve_matrix(
    group: Group, noise: Noise, largest_condition: float, *, with_se: bool = True
) -> Solved:
    """Solve ``raw = matrix @ true`` and carry the noise through the inverse."""
    moved = transfer(group)
    present = moved.weight > 0.0
    reason = _first_reasons(moved)
    corrected = np.full(present.size, np.nan)
    square = moved.matrix[np.ix_(present, present)]
    condition = float(np.linalg.cond(square)) if present.any() else float("nan")
    if not condition <= largest_condition:
        return _refused(moved, condition)
    inverse = np.linalg.inv(square)
    corrected[present] = inverse @ moved.raw[present]
    raw_se = np.full(present.size, np.nan)
    se, voxel_sd = raw_se.copy(), float("nan")
    if with_se:
        sd = noise.within(group.box)
        if sd is None:
            sd = residual_sd(group, corrected)
        rows = mean_weights(group, moved.weight)
        covariance = mean_covariance(rows, sd, noise.weights, group.shape)
        covariance = covariance[np.ix_(present, present)]
        raw_se[present] = np.sqrt(np.diag(covariance))
        se[present] = np.sqrt(np.diag(inverse @ covariance @ inverse.T))
        voxel_sd = _typical(sd, group.valid)
    change = np.full(present.size, np.nan)
    return Solved(moved, corrected, raw_se, se, reason, condition, voxel_sd, change, None)


def solve_yang(
    group: Group, noise: Noise, largest_condition: float, n_iterations: int, *, with_se: bool = True
) -> Solved:
    """Iterate map and region means; the blur of the template is a sum of blurred regions."""
    moved = transfer(group)
    present = moved.weight > 0.0
    reason = _first_reasons(moved)
    condition = (
        float(np.linalg.cond(moved.matrix[np.ix_(present, present)])) if present.any() else np.nan
    )
    if not condition <= largest_condition:
        return _refused(moved, condition)
    means, last = moved.raw.copy(), moved.raw.copy()
    unmix = _unmixing(group, moved.weight)
    lowest, packed = means, pack(group)
    for _ in range(n_iterations):
        last = means
        means = _unmixed(unmix, yang_step(group, packed, last, _base(group, last)))
        lowest = np.minimum(lowest, means)
    negative = present & ~(lowest >= 0.0)
    # A negative mean entered the template as 0: what it really sent to the others is missing there.
    missing = np.abs(np.nan_to_num(moved.matrix * lowest))[:, negative]
    unsure = missing.max(axis=1, initial=0.0) > _SPILL_THAT_MATTERS * np.abs(means)
    fine = reason == PartialVolumeReason.OK
    reason[fine & unsure] = PartialVolumeReason.UNKNOWN_NEIGHBOUR
    reason[fine & negative] = PartialVolumeReason.NOT_POSITIVE
    raw_se = np.full(present.size, np.nan)
    se, voxel_sd = raw_se.copy(), float("nan")
    if with_se:
        sd = noise.within(group.box)
        if sd is None:
            sd = residual_sd(group, means)
        raw_se, se = _yang_errors(group, moved, packed, sd, noise.weights, present, unmix)
        voxel_sd = _typical(sd, group.valid)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.abs(means - last) / np.abs(means)
    return Solved(moved, means, raw_se, se, reason, condition, voxel_sd, change, packed.corrected)


def solve_target(group: Group, psf: Psf, noise: Noise, n_iterations: int) -> Solved:
    """Correct the only region of a group voxel by voxel, inside and outside in turns."""
    inside = np.zeros(group.shape)
    inside[group.regions[0].support] = group.regions[0].mask
    moved, blank = transfer(group), np.full(1, np.nan)
    reason, sd = np.zeros(1, dtype=np.uint8), noise.within(group.box)
    typical = float("nan") if sd is None else _typical(sd, group.valid)
    raw_se, se = blank.copy(), blank.copy()
    if not group.valid.all():
        reason[0] = PartialVolumeReason.INCOMPLETE
        return Solved(moved, blank, raw_se, se, reason, np.nan, typical, blank.copy(), None)
    estimate, before = _single(group.image, inside, psf, n_iterations)
    mean, last = (float((inside * e).sum() / inside.sum()) for e in (estimate, before))
    if sd is not None:
        k, j, i = (slice(0, n) for n in group.shape)
        reverse = _single_weights(inside, psf, n_iterations)
        rows = [((k, j, i), inside / inside.sum()), ((k, j, i), reverse)]
        errors = np.sqrt(mean_variance(rows, sd, noise.weights))
        raw_se, se = errors[:1], errors[1:]
    change = np.full(1, abs(mean - last) / abs(mean) if mean else np.nan)
    shown = estimate.astype(group.image.dtype)
    return Solved(moved, np.full(1, mean), raw_se, se, reason, np.nan, typical, change, shown)


def _single(
    image: _Volume, inside: _Volume, psf: Psf, n_iterations: int
) -> tuple[_Volume, _Volume]:
    """Return the last two estimates."""
    kept = _kept(inside, psf)
    estimate = before = image.astype(np.float64)
    for _ in range(n_iterations):
        before, estimate = estimate, (image - _crossing(estimate, inside, psf)) / kept
    return estimate, before


def _single_weights(inside: _Volume, psf: Psf, n_iterations: int) -> _Volume:
    """Return g with ``mean = sum(g image)``: the correction run backwards, for it is linear."""
    kept = _kept(inside, psf)
    back = inside / inside.sum()
    weights = np.zeros(inside.shape)
    for _ in range(n_iterations):
        back = back / kept
        weights += back
        back = -_crossing(back, inside, psf)
    weights += back
    return weights


def _kept(inside: _Volume, psf: Psf) -> _Volume:
    """Part of its own activity that each side of the boundary keeps."""
    own = spread(inside, psf.weights)
    kept: _Volume = inside * own + (1.0 - inside) * (1.0 - own)
    return kept


def _crossing(values: _Volume, inside: _Volume, psf: Psf) -> _Volume:
    """Activity that comes over the boundary, from outside and from inside."""
    outside = 1.0 - inside
    into = inside * spread(outside * values, psf.weights)
    crossed: _Volume = into + outside * spread(inside * values, psf.weights)
    return crossed


def _first_reasons(moved: Transfer) -> NDArray[np.uint8]:
    """Regions without voxels, and regions that see the activity of such a one."""
    gone = moved.weight <= 0.0
    # Without valid voxels there is no own mean, but its spread into the others is known.
    seen = np.nan_to_num(moved.matrix[:, gone]).max(axis=1, initial=0.0) > _SPILL_THAT_MATTERS
    reason = np.zeros(gone.size, dtype=np.uint8)
    reason[seen] = PartialVolumeReason.UNKNOWN_NEIGHBOUR
    reason[gone] = PartialVolumeReason.NO_VOXELS
    return reason


def _refused(moved: Transfer, condition: float) -> Solved:
    """Means as measured alone, for regions that cannot be told apart."""
    reason = _first_reasons(moved)
    reason[reason == PartialVolumeReason.OK] = PartialVolumeReason.ILL_CONDITIONED
    one, two, three, four = (np.full(reason.size, np.nan) for _ in range(4))
    return Solved(moved, one, two, three, reason, condition, np.nan, four, None)


def _base(group: Group, means: _Column) -> float:
    return max(float(means[-1]), 0.0) if group.has_background else 0.0


def _unmixing(group: Group, weight: _Column) -> _Column | None:
    """Mixture of regions in the weighted means of fractions; None for masks of 0 and 1."""
    if all(bool(np.all((r.mask == 0) | (r.mask == 1))) for r in group.regions):
        return None
    n = len(group.regions)
    mixed = np.eye(n + 1)
    for row, (box, share) in enumerate(mean_weights(group, weight)):
        if weight[row] > 0.0:
            for column, region in enumerate(group.regions):
                mixed[row, column] = overlap((box, share), (region.support, region.mask))
            mixed[row, n] = 1.0 - mixed[row, :n].sum()
    return mixed


def _unmixed(mixed: _Column | None, means: _Column) -> _Column:
    """Means of pure regions from means over fractions."""
    if mixed is None:
        return means
    known = np.isfinite(means)
    out = means.copy()
    out[known] = np.linalg.solve(mixed[np.ix_(known, known)], means[known])
    return out


def _yang_errors(
    group: Group,
    moved: Transfer,
    packed: Packed,
    sd: float | _Volume,
    weights: Weights | None,
    present: NDArray[np.bool_],
    unmix: _Column | None,
) -> tuple[_Column, _Column]:
    """Noise of raw and settled means.

    At rest ``T = mean(f s / b)`` with template s(T) and its blur b(T), so a small change of the map
    moves the means by ``(1 - M)^-1 mean(df s / b)`` with M the derivative by the means.  Template
    and blur are those of the last iteration.
    """
    usable = group.valid & (packed.blurred > 1e-6 * float(packed.blurred.max()))
    # In the room of the last iteration, which is over.
    factor = np.divide(packed.sharp, packed.blurred, out=packed.sharp, where=usable)
    first = np.divide(group.image, packed.blurred, out=packed.blurred, where=usable)
    factor[~usable] = first[~usable] = 0.0
    second = first * factor
    rows = mean_weights(group, moved.weight)
    n = len(group.regions)
    slope = np.zeros((n + 1, n + 1))
    # The row of the background is as large as the group: one room for all its products.
    room = np.empty(group.shape)

    def times(values: _Volume) -> list[tuple[Box, _Volume]]:
        (whole, share), small = rows[-1], rows[:-1]
        some = [(box, part * values[box]) for box, part in small]
        return [*some, (whole, np.multiply(share, values, out=room))]

    by_sharp = times(first)
    slope[:, :n] = overlaps(by_sharp, [(r.support, r.mask) for r in group.regions])
    slope[:, n] = [float(part.sum(dtype=np.float64)) for _, part in by_sharp]
    by_blurred = times(second)
    slope[:, :n] -= overlaps(by_blurred, [(r.reach_box, r.blurred) for r in group.regions])
    slope[:, n] -= [float(part.sum(dtype=np.float64)) for _, part in by_blurred]
    slope[:, n] -= slope[:, :n].sum(axis=1)
    acting = times(factor)
    carried = mean_covariance(acting, sd, weights, group.shape)
    select = np.ix_(present, present)
    own = np.eye(int(present.sum())) if unmix is None else unmix[select]
    # With Q the mixture of fractions: Q dT = M dT + mean(df s / b).
    inverse = np.linalg.inv(own - slope[select])
    errors = np.sqrt(np.diag(inverse @ carried[select] @ inverse.T))
    raw_errors = np.sqrt(mean_variance(rows, sd, weights)[present])
    return _spread_back(raw_errors, present), _spread_back(errors, present)


def _spread_back(values: _Column, present: NDArray[np.bool_]) -> _Column:
    out = np.full(present.size, np.nan)
    out[present] = values
    return out


def _typical(sd: float | _Volume, valid: NDArray[np.bool_]) -> float:
    """Return one number for the noise of a group: root mean square over valid voxels."""
    if isinstance(sd, float):
        return sd
    return float(np.sqrt(np.mean(np.square(sd[valid], dtype=np.float64)))) if valid.any() else 0.0
