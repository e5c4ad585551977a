"""Intensity statistics of one region by the definitions of IBSI (chapter intensity-based)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import InputError

__all__ = ["IntensityStatistics", "intensity_statistics"]


class IntensityStatistics(NamedTuple):
    """Intensity statistics with their IBSI codes; in the unit of the map unless stated.

    Attributes
    ----------
    mean, median, minimum, maximum : float
        Q4LE, Y12H, 1GSF, 84IY.
    variance : float
        ECT3, divided by n (not n - 1), in the square of the unit.
    skewness, kurtosis : float
        KE2A and the excess kurtosis IPH6, without unit; NaN for a flat region.
    p10, p90 : float
        QG58, 8DWT: 10th and 90th percentile.
    interquartile_range, value_range : float
        SALO, 2OJQ.
    mean_absolute_deviation : float
        4FUA, around the mean.
    robust_mean_absolute_deviation : float
        1128: of the values within p10 and p90, around their own mean.
    median_absolute_deviation : float
        N72L: mean absolute deviation around the median.
    coefficient_of_variation : float
        7TET, standard deviation (n) over mean, without unit; NaN where the mean is 0.
    quartile_coefficient_of_dispersion : float
        9S40, (p75 - p25) / (p75 + p25), without unit; NaN where the sum is 0.
    energy : float
        N8CA, sum of squares, in the square of the unit.
    root_mean_square : float
        5ZWQ.
    n_voxels : int
        Voxels that entered.
    """

    mean: float
    variance: float
    skewness: float
    kurtosis: float
    median: float
    minimum: float
    p10: float
    p90: float
    maximum: float
    interquartile_range: float
    value_range: float
    mean_absolute_deviation: float
    robust_mean_absolute_deviation: float
    median_absolute_deviation: float
    coefficient_of_variation: float
    quartile_coefficient_of_dispersion: float
    energy: float
    root_mean_square: float
    n_voxels: int


def intensity_statistics(
    values: NDArray[np.floating[Any]], *, valid: NDArray[np.bool_] | None = None
) -> IntensityStatistics:
    """Intensity statistics of the voxels of one region.

    Parameters
    ----------
    values : ndarray of float, any shape
        Values of the voxels of the region; NaN and infinite values are left out.
    valid : ndarray of bool, same shape, optional
        Voxels that may enter.

    Returns
    -------
    IntensityStatistics
        Statistics, summed in float64.

    Raises
    ------
    InputError
        No voxel can be used, or the shapes differ.

    Notes
    -----
    Percentiles interpolate linearly between order statistics at ``q (n - 1)`` (Hyndman-Fan type 7).
    IBSI divides the variance by n; the ``sd`` of `label_statistics` divides by ``n - 1``.  Minimum,
    maximum, range and energy grow with the number of voxels and with noise: do not compare them
    between lesions of different size.

    References
    ----------
    .. [1] Zwanenburg A et al., The Image Biomarker Standardization Initiative. Radiology
       2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    picked = np.asarray(values)
    usable = np.isfinite(picked)
    if valid is not None:
        if valid.shape != picked.shape:
            raise _refused("valid", valid.shape, "valid must have the shape of the values.")
        usable &= valid
    x = picked[usable].astype(np.float64)
    if x.size == 0:
        raise _refused("values", 0, "No voxel of the region can be used.")
    mean = float(x.mean())
    centred = x - mean
    variance = float(np.mean(centred**2))
    p10, p25, median, p75, p90 = (float(q) for q in np.quantile(x, (0.1, 0.25, 0.5, 0.75, 0.9)))
    inner = x[(x >= p10) & (x <= p90)]
    flat = not variance > (1e-12 * max(abs(mean), np.finfo(np.float64).tiny)) ** 2
    third = math.nan if flat else float(np.mean(centred**3)) / variance**1.5
    fourth = math.nan if flat else float(np.mean(centred**4)) / variance**2 - 3.0
    return IntensityStatistics(
        mean=mean,
        variance=variance,
        skewness=third,
        kurtosis=fourth,
        median=median,
        minimum=float(x.min()),
        p10=p10,
        p90=p90,
        maximum=float(x.max()),
        interquartile_range=p75 - p25,
        value_range=float(np.ptp(x)),
        mean_absolute_deviation=float(np.mean(np.abs(centred))),
        robust_mean_absolute_deviation=float(np.mean(np.abs(inner - inner.mean()))),
        median_absolute_deviation=float(np.mean(np.abs(x - median))),
        coefficient_of_variation=math.sqrt(variance) / mean if mean != 0.0 else math.nan,
        quartile_coefficient_of_dispersion=(
            (p75 - p25) / (p75 + p25) if p75 + p25 != 0.0 else math.nan
        ),
        energy=float(x @ x),
        root_mean_square=math.sqrt(float(x @ x) / x.size),
        n_voxels=int(x.size),
    )


def _refused(where: str, value: object, message: str) -> InputError:
    return InputError(
        message,
        code="E_ARGUMENT",
        where=where,
        value=value,
        action="Give the values of the voxels of one region.",
    )
