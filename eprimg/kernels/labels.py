"""Statistics of a map within every label, in one pass over the labelled voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import GeometryError, InputError

__all__ = ["LabelStatistics", "label_statistics"]


class LabelStatistics(NamedTuple):
    """Statistics per positive label, in rising order of the label.

    All float arrays are float64 in the unit of the map unless stated, and NaN where a label has no
    valid voxel (`sd` also where it has one).

    Attributes
    ----------
    label : ndarray of int64, shape (n_labels,)
        The labels.
    count : ndarray of int64, shape (n_labels,)
        Voxels with this label.
    n_valid : ndarray of int64, shape (n_labels,)
        Voxels that entered the statistics.
    volume_ml : ndarray, shape (n_labels,)
        ``count * voxel_volume_ml``, valid or not.
    mean, sd, median : ndarray, shape (n_labels,)
        Mean, standard deviation with ``n - 1``, median.
    quantiles : ndarray, shape (n_labels, n_quantiles)
        In the order of the argument.
    minimum, maximum : ndarray, shape (n_labels,)
        Extremes.
    tail_threshold : ndarray, shape (n_labels,)
        The `tail` quantile.
    tail_mean : ndarray, shape (n_labels,)
        Mean of the values above it.
    tail_count : ndarray of int64, shape (n_labels,)
        Voxels in the tail.
    """

    label: NDArray[np.int64]
    count: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    n_valid: NDArray[np.int64]
    volume_ml: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    median: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    tail_threshold: NDArray[np.float64]
    tail_mean: NDArray[np.float64]
    tail_count: NDArray[np.int64]


def label_statistics(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    voxel_volume_ml: float,
    valid: NDArray[np.bool_] | None = None,
    quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
    tail: float = 0.90,
) -> LabelStatistics:
    """Count, volume, moments, quantiles and tail mean of every positive label.

    Parameters
    ----------
    values : ndarray of float, any shape
        Map values; NaN and infinite values are left out.
    labels : ndarray of int, same shape
        Labels; zero and negative ones are background.
    voxel_volume_ml : float
        Volume of one voxel in mL.
    valid : ndarray of bool, same shape, optional
        Voxels that may enter.
    quantiles : sequence of float, optional
        Wanted quantiles between 0 and 1.
    tail : float, optional
        Quantile above which the tail mean is taken, between 0 and 1.

    Returns
    -------
    LabelStatistics
        One entry per positive label in rising order.

    Raises
    ------
    InputError
        A quantile or the voxel volume is out of range.
    GeometryError
        Shapes differ.

    Notes
    -----
    Quantiles interpolate linearly between order statistics at ``q (n - 1)`` (Hyndman-Fan type 7,
    the default of numpy).  The tail mean is the mean of the values strictly above the `tail`
    quantile; where none is (one voxel, or ties at the maximum) it is the mean of those equal to it.

    The tail mean rises with noise: for a uniform lesion of value m and noise SD s the mean above
    the 90th percentile is m + 1.755 s, so compare only maps of like noise.  The sums run in
    float64; memory grows with the number of *labelled* voxels (about 50 bytes each), not with the
    volume.

    References
    ----------
    .. [1] Hyndman RJ, Fan Y, Am Stat 1996;50:361-365. doi:10.1080/00031305.1996.10473566
    .. [2] Ravi H et al., Radiol Imaging Cancer 2023;5(2):e220022. doi:10.1148/rycan.220022 (tail
       mean)
    """
    _check(values, labels, valid, voxel_volume_ml)
    probabilities = np.asarray([*quantiles, 0.5, tail], dtype=np.float64)
    if not np.all((probabilities >= 0.0) & (probabilities <= 1.0)):
        raise InputError(
            "Quantiles and tail must lie between 0 and 1.",
            code="E_ARGUMENT",
            where="quantiles, tail",
            value=probabilities.tolist(),
            action="Give fractions, for instance 0.9 for the 90th percentile.",
        )
    where = np.flatnonzero(labels.ravel() > 0)
    names, group = np.unique(labels.ravel()[where], return_inverse=True)
    n_labels = names.size
    count = np.bincount(group, minlength=n_labels).astype(np.int64)

    picked = values.ravel()[where].astype(np.float64)
    usable = np.isfinite(picked)
    if valid is not None:
        usable &= valid.ravel()[where]
    picked, group = picked[usable], group[usable]
    order = np.lexsort((picked, group))
    picked, group = picked[order], group[order]
    n_valid = np.bincount(group, minlength=n_labels).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(n_valid)[:-1]]).astype(np.int64)[:n_labels]
    filled = n_valid > 0

    mean = _divide(_sum(picked, group, n_labels), n_valid)
    deviation = picked - mean[group]
    variance = _divide(_sum(deviation * deviation, group, n_labels), n_valid - 1)
    at = _order_statistics(picked, start, n_valid, probabilities)
    threshold = at[:, -1]
    in_tail = picked > threshold[group]
    tail_count = np.bincount(group, weights=in_tail, minlength=n_labels).astype(np.int64)
    only_ties = tail_count == 0
    in_tail |= only_ties[group] & (picked >= threshold[group])
    tail_count = np.bincount(group, weights=in_tail, minlength=n_labels).astype(np.int64)
    tail_sum = _sum(np.where(in_tail, picked, 0.0), group, n_labels)

    ends = _order_statistics(picked, start, n_valid, np.asarray([0.0, 1.0]))
    return LabelStatistics(
        label=names.astype(np.int64),
        count=count,
        n_valid=n_valid,
        volume_ml=count.astype(np.float64) * float(voxel_volume_ml),
        mean=mean,
        sd=np.sqrt(variance),
        median=at[:, -2],
        quantiles=at[:, :-2],
        minimum=ends[:, 0],
        maximum=ends[:, 1],
        tail_threshold=np.where(filled, threshold, np.nan),
        tail_mean=_divide(tail_sum, tail_count),
        tail_count=tail_count,
    )


def _sum(
    values: NDArray[np.float64], group: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Sum of the values per group."""
    total = np.bincount(group, weights=values, minlength=n_groups)
    return total.astype(np.float64, copy=False)


def _divide(total: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quotient, NaN where n is not positive."""
    result = np.full(total.shape, np.nan)
    np.divide(total, n, out=result, where=n > 0)
    return result


def _order_statistics(
    sorted_values: NDArray[np.float64],
    start: NDArray[np.int64],
    n: NDArray[np.int64],
    probabilities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Linear quantiles of consecutive sorted groups, shape (n_groups, n_probabilities)."""
    result = np.full((n.size, probabilities.size), np.nan)
    filled = n > 0
    if not filled.any():
        return result
    first, last = start[filled, np.newaxis], (n[filled, np.newaxis] - 1)
    position = probabilities * last
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, last)
    weight = position - below
    low, high = sorted_values[first + below], sorted_values[first + above]
    # The two forms of the same line keep the result between low and high.
    result[filled] = np.where(
        weight < 0.5, low + weight * (high - low), high - (1.0 - weight) * (high - low)
    )
    return result


def _check(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    valid: NDArray[np.bool_] | None,
    voxel_volume_ml: float,
) -> None:
    """Refuse unlike shapes, labels that are not integers, and a bad voxel volume."""
    for name, array in (("labels", labels), ("valid", valid)):
        if array is not None and array.shape != values.shape:
            raise GeometryError(
                f"{name} must have the shape of the values, {values.shape}.",
                code="E_ARGUMENT",
                where=name,
                value=array.shape,
                action="Bring the labels to the grid of the map first.",
            )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            "Labels must be integers.",
            code="E_ARGUMENT",
            where="labels",
            value=str(labels.dtype),
            action="Convert the labels to an integer type.",
        )
    if not (math.isfinite(voxel_volume_ml) and voxel_volume_ml > 0.0):
        raise InputError(
            "The voxel volume must be finite and positive.",
            code="E_ARGUMENT",
            where="voxel_volume_ml",
            value=voxel_volume_ml,
            action="Give the volume in mL: the product of the spacings in mm, divided by 1000.",
        )
