"""The MR part of the measure stage: R2*, its change, and the tail ratio to the spleen."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.config import Config
from eprimg.kernels.labels import LabelStatistics
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.maps import QuantityMap
from eprimg.stages.denominator import judge_denominator
from eprimg.stages.error_range import ERROR_RANGE, ERROR_RANGE_REMARK, error_range_words
from eprimg.stages.noise_floor import VoxelDoubts
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.voxelwise_error import VoxelwiseErrors

__all__ = [
    "measure_differences",
    "measure_r2star",
    "rim_gradient_per_mm",
    "tail_ratios",
    "tail_statistic",
]

_MEDIAN_OVER_MEAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for normal errors and many voxels."""

_FIT_NOISE = "fit noise of the voxels, taken as independent; a lower bound"

_TAIL_ERROR = "none: a mean above a quantile is raised by noise, and no repeatability is published"


def measure_r2star(
    numbers: Numbers,
    native: LesionSet | RegionVoxels,
    r2star: QuantityMap,
    source: str,
    config: Config,
) -> None:
    """Measure R2* on its native grid and append the numbers.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    native : LesionSet or RegionVoxels
        Labels on the grid of the map.
    r2star : QuantityMap
        R2* map.
    source : str
        ``mr_pre`` or ``mr_post``.
    config : Config
        Settings.
    """
    voxels = RegionVoxels.of(native)
    voxels.lesions.grid.require_match(r2star.grid, what="labels and R2* map")
    tail = config.measure.tail_quantile
    grid = f"native {source}"
    tail_name = tail_statistic(tail)
    for number, measured in numbers.items():
        stats = voxels.statistics(r2star, number, quantiles=(0.25, 0.75), tail=tail)
        n = 0 if stats is None else int(stats.n_valid[0])
        if stats is None or n == 0:
            note = (
                f"no voxel of the region lies on the {source} grid"
                if stats is None
                else "R2* could not be fitted in any voxel of the region"
            )
            for name in ("median", "mean", "sd", "p25", "p75", tail_name):
                measured.append(
                    Measurement(
                        "r2star",
                        name,
                        source,
                        NAN,
                        NAN,
                        "none: nothing was measured",
                        0,
                        grid,
                        note,
                    )
                )
            continue
        failed = int(stats.count[0]) - n
        note = (
            f"{failed} of {int(stats.count[0])} voxels could not be fitted and are left out"
            if failed
            else ""
        )
        error, covers = _mean_error(r2star, voxels, stats, number)
        outside = ""
        if covers == _FIT_NOISE and ERROR_RANGE in r2star.details:
            outside = error_range_words(voxels.pick(r2star.details[ERROR_RANGE], number))
            covers += f"; {ERROR_RANGE_REMARK}" if outside else ""
        for name, value, se, said in (
            ("median", stats.median[0], error * _MEDIAN_OVER_MEAN, covers),
            ("mean", stats.mean[0], error, covers),
            ("sd", stats.sd[0], NAN, "none: spread of the voxels"),
            ("p25", stats.quantiles[0, 0], NAN, "none: quantile of the voxels"),
            ("p75", stats.quantiles[0, 1], NAN, "none: quantile of the voxels"),
            (
                tail_name,
                stats.tail_mean[0],
                NAN,
                _TAIL_ERROR,
            ),
        ):
            used = int(stats.tail_count[0]) if name == tail_name else n
            remark = "; ".join(x for x in (note, outside if said == covers else "") if x)
            measured.append(
                Measurement(
                    "r2star", name, source, float(value), float(se), said, used, grid, remark
                )
            )


def tail_statistic(tail: float) -> str:
    """Name the mean above a quantile.

    Parameters
    ----------
    tail : float
        Quantile, e.g. 0.9.

    Returns
    -------
    str
        E.g. ``p90_mean``.
    """
    return f"p{100 * tail:g}_mean"


def measure_differences(
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet | RegionVoxels,
    registered: Mapping[str, QuantityMap],
    registration_error: tuple[float, str],
    config: Config,
    *,
    doubts: VoxelDoubts | None = None,
    errors: VoxelwiseErrors | None = None,
) -> None:
    """Append dR2* (native and voxel-wise), its registration term and rR2*,N.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    kept : Mapping
        Measurements of regions that are not measured again (the spleen may be one).
    lesions : LesionSet
        Regions on the reference grid.
    registered : Mapping of str to QuantityMap
        Maps on the reference grid.
    registration_error : tuple of (float, str)
        Error between the sessions in mm, and its origin in words.
    config : Config
        Settings.
    doubts : Mapping, optional
        Doubtful voxels by source and region id: whether a denominator is above the measurable
        range.
    errors : VoxelwiseErrors, optional
        Gives the mean of the voxel-wise dR2* through the spline and its standard error; when left
        out the mean is that of the map's voxels, and there is no error.
    """
    for number, measured in numbers.items():
        for statistic in ("median", "mean"):
            pre = find_number(numbers, kept, number, "r2star", statistic, "mr_pre")
            post = find_number(numbers, kept, number, "r2star", statistic, "mr_post")
            if pre is not None and post is not None:
                measured.append(_native_difference(pre, post, statistic))
    regions = RegionVoxels.of(lesions)
    _tail_ratio(numbers, kept, regions.lesions, config, doubts or {})
    change = registered.get("dr2star")
    if change is not None:
        _voxelwise(numbers, regions, change, registration_error, errors)


def _native_difference(pre: Measurement, post: Measurement, statistic: str) -> Measurement:
    value = post.value - pre.value
    error = math.hypot(post.uncertainty, pre.uncertainty)
    notes = [f"{m.source}: {m.note}" for m in (pre, post) if m.note]
    return Measurement(
        "dr2star",
        statistic,
        "mr_post-mr_pre",
        value,
        error,
        f"in quadrature, after: {post.uncertainty_note}; before: {pre.uncertainty_note}; "
        "registration and repeatability not included: a lower bound",
        min(pre.n_voxels, post.n_voxels),
        "native mr_post and native mr_pre",
        "; ".join(notes),
    )


def _mean_error(
    r2star: QuantityMap, voxels: RegionVoxels, stats: LabelStatistics, number: int
) -> tuple[float, str]:
    """Give the standard error of a region's mean from the fit errors, else from the spread."""
    n = int(stats.n_valid[0])
    if r2star.standard_error is not None:
        valid = voxels.pick(r2star.valid, number)
        picked = voxels.pick(r2star.standard_error, number)
        errors = np.asarray(picked[valid], dtype=np.float64)
        if errors.size and np.isfinite(errors).all():
            return float(np.sqrt(np.sum(errors**2)) / errors.size), _FIT_NOISE
    if n > 1:
        return float(stats.sd[0] / math.sqrt(n)), (
            "spread of the voxels over the root of their number (the fit gives no error in every "
            "voxel); a lower bound"
        )
    return NAN, "none: one voxel without a fit error"


def tail_ratios(config: Config) -> dict[str, tuple[str, ...]]:
    """Tell which ratios of the tail mean are formed over which reference region.

    Parameters
    ----------
    config : Config
        ``measure.tail_quantile`` and ``measure.tail_references``.

    Returns
    -------
    dict of str to tuple of str
        Quantities by anatomy.  The published ratio ``rr2star90`` is that of the 90th percentile
        over the spleen and always among them; every other one is a ``rr2star``.
    """
    asked = dict.fromkeys(config.measure.tail_references, ("rr2star",))
    other = () if _is_published(config) else asked.get("spleen", ())
    return {**asked, "spleen": ("rr2star90", *other)}


def _is_published(config: Config) -> bool:
    return abs(config.measure.tail_quantile - 0.9) <= 1e-9


def _tail_ratio(
    numbers: Numbers, kept: Kept, lesions: LesionSet, config: Config, doubts: VoxelDoubts
) -> None:
    tail = config.measure.tail_quantile
    for number, measured in numbers.items():
        top = find_number(numbers, kept, number, "r2star", tail_statistic(tail), "mr_post")
        if top is None:
            continue
        for anatomy, quantities in tail_ratios(config).items():
            value, note = _ratio_to(top, numbers, kept, lesions, config, doubts, anatomy)
            for quantity in quantities:
                published = quantity == "rr2star90"
                name = "ratio" if published else f"p{100 * tail:g}_over_{anatomy}"
                shown, said = value, note
                if published and not _is_published(config):
                    shown = NAN
                    said = f"not computed: measure.tail_quantile is {tail:g}, not the published 0.9"
                measured.append(
                    Measurement(
                        quantity,
                        name,
                        "mr_post",
                        shown,
                        NAN,
                        _TAIL_ERROR,
                        top.n_voxels,
                        "native mr_post",
                        said,
                    )
                )


def _ratio_to(
    top: Measurement,
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet,
    config: Config,
    doubts: VoxelDoubts,
    anatomy: str,
) -> tuple[float, str]:
    organ = lesions.reference(anatomy)
    if organ is None:
        return NAN, f"not computed: there is no {anatomy} region"
    below = find_number(numbers, kept, organ.id, "r2star", "mean", "mr_post")
    refused, said = judge_denominator(numbers, kept, organ, below, "mr_post", config.measure)
    if below is None or refused:
        return NAN, f"not computed: {refused}"
    doubt = doubts.get("mr_post", {}).get(organ.id)
    high = ""
    if doubt is not None and doubt.above > config.measure.noise_floor_share:
        high = f"{organ.name}: {doubt.words('mr_post')}"
        high += ", so the ratio is biased upward" if doubt.bias == "low" else ""
    return top.value / below.value, "; ".join(n for n in (top.note, said, high) if n)


def _voxelwise(
    numbers: Numbers,
    regions: RegionVoxels,
    change: QuantityMap,
    registration_error: tuple[float, str],
    errors: VoxelwiseErrors | None,
) -> None:
    lesions = regions.lesions
    lesions.grid.require_match(change.grid, what="regions and registered ΔR2* map")
    error_mm, origin = registration_error
    for number, measured in numbers.items():
        stats = regions.statistics(change, number)
        n = 0 if stats is None else int(stats.n_valid[0])
        note = "" if n else "no valid voxel of the registered ΔR2* map in the region"
        found = (NAN, NAN) if stats is None or not n else (stats.median[0], stats.mean[0])
        error, covers, outside = NAN, "none: nothing was measured", ""
        through = ""
        if stats is not None and n:
            covers = "none: the native maps were not given"
            if errors is not None:
                error, covers, outside = errors.of_mean(change, regions, number, float(stats.sd[0]))
                unclipped = errors.unclipped_mean(change, regions, number)
                if unclipped is not None:
                    found = (stats.median[0], unclipped)
                    through = (
                        "through the spline without the clipping of its overshoot; the mean of the "
                        f"map's voxels is {stats.mean[0]:.4g} 1/s"
                    )
        for name, value, factor, said in zip(
            ("median", "mean"), found, (_MEDIAN_OVER_MEAN, 1.0), ("", through), strict=True
        ):
            measured.append(
                Measurement(
                    "dr2star",
                    name,
                    "registered",
                    float(value),
                    error * factor,
                    covers,
                    n,
                    "reference grid",
                    note or "; ".join(x for x in (outside, said) if x),
                )
            )
        gradient = NAN
        if n:
            labels = regions.own_labels(number)
            gradient = rim_gradient_per_mm(change, labels, number, regions.boxes[number])
        measured.append(
            Measurement(
                "dr2star",
                "registration_error_term",
                "mr_post-mr_pre",
                gradient * error_mm,
                NAN,
                "none: is itself an error",
                n,
                "reference grid",
                f"mean gradient of ΔR2* at the rim of the region, {gradient:.3g} 1/s per mm, times "
                f"the {origin}",
            )
        )


def rim_gradient_per_mm(
    change: QuantityMap,
    labels: npt.NDArray[np.integer],
    number: int,
    box: tuple[slice, ...],
) -> float:
    """Mean gradient of a map over the voxels on both sides of a region's border.

    Parameters
    ----------
    change : QuantityMap
        Map on the grid of the labels.
    labels : ndarray of integer
        Labels.
    number : int
        The region.
    box : tuple of slice
        Its bounding box.

    Returns
    -------
    float
        In the unit of the map per mm; NaN when no rim voxel has valid neighbours.
    """
    wide = tuple(slice(max(b.start - 2, 0), b.stop + 2) for b in box)
    inside = labels[wide] == number
    rim = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside)
    values = np.where(change.valid[wide], change.values[wide], np.nan).astype(np.float64)
    squared = np.zeros(values.shape)
    for axis, step in enumerate(change.grid.spacing_mm):
        if values.shape[axis] > 1:
            squared += np.gradient(values, step, axis=axis) ** 2
    found = np.sqrt(squared)[rim]
    found = found[np.isfinite(found)]
    return float(found.mean()) if found.size else NAN
