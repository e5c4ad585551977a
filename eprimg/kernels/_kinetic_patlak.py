"""Net influx by the graphical method of Patlak."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels._kinetic_arrays import (
    KineticReason,
    argument,
    blocks,
    given,
    series,
    series_faults,
    too_few,
)

_SMALLEST_SPREAD = 1.0e-6
"""Spread of the normalised time, relative to its mean, below which no line can be drawn."""

_Array = NDArray[np.floating]


class PatlakFit(NamedTuple):
    """Result of `patlak`; every array has the leading shape of the tissue.

    Attributes
    ----------
    ki_per_s, ki_se_per_s : ndarray of float32 or float64
        Net influx in mL plasma per mL tissue per s, and its standard error.
    intercept, intercept_se : ndarray, same type
        Intercept in mL plasma per mL tissue: plasma volume and reversible distribution volume
        together; and its standard error.
    covariance_per_s : ndarray, same type
        Covariance of net influx and intercept in 1/s.
    r2 : ndarray, same type
        Weighted coefficient of determination of the plot; NaN with two points.
    n_points : ndarray of int16
        Scans used; 0 where `reason` is not OK.
    degrees_of_freedom : float
        ``n - 2`` when the errors came from the residuals, infinite when from given standard
        deviations, 0 for two points.
    reason : ndarray of uint8
        `KineticReason`.
    """

    ki_per_s: _Array
    ki_se_per_s: _Array
    intercept: _Array
    intercept_se: _Array
    covariance_per_s: _Array
    r2: _Array
    n_points: NDArray[np.int16]
    degrees_of_freedom: float
    reason: NDArray[np.uint8]


def patlak(
    tissue: ArrayLike,
    times_s: ArrayLike,
    *,
    plasma: ArrayLike,
    plasma_integral_s: ArrayLike,
    start_s: float,
    sd: ArrayLike | None = None,
    plasma_covariance: ArrayLike | None = None,
    allow_two_points: bool = False,
) -> PatlakFit:
    r"""Net influx of an irreversibly trapped carrier by the graphical method of Patlak.

    Parameters
    ----------
    tissue : array-like of float, shape (..., n)
        Activity of the tissue, decay-corrected to the injection, last axis = scans.
    times_s : array-like of float, shape (n,)
        Seconds since injection, strictly rising.
    plasma, plasma_integral_s : array-like of float, shape (n,)
        Activity in plasma at these times (unit of the tissue, positive) and its integral from the
        injection (times s, rising): `kinetic_input.evaluate_input_function`.
    start_s : float
        Start time t* of the straight line; earlier scans are left out.
    sd : array-like of float, broadcasts to the shape of `tissue`, optional
        Standard deviation of each tissue value, positive.
    plasma_covariance : array-like of float, shape (2 n, 2 n), optional
        Covariance of the plasma activities followed by their integrals, added to the errors.
    allow_two_points : bool, default False
        Two scans after t* give a line through both, with NaN errors.

    Returns
    -------
    PatlakFit
        Net influx, intercept, errors, covariance, R2, points used.

    Raises
    ------
    InputError
        ``E_KINETICS`` for fewer than three scans from t* on (two when allowed) or normalised times
        that do not differ; ``E_ARGUMENT`` for anything else.

    Notes
    -----
    Straight line ``C_T / C_P = Ki x + V`` over the normalised time ``x = int C_P / C_P`` ([1]_,
    [2]_).  With `sd` the weights are ``(C_P / sd)^2`` and the errors follow from `sd`; without it
    all ratios weigh the same and the errors follow from the residuals, with ``n - 2`` degrees of
    freedom.  `plasma_covariance` enters by first-order propagation: ``dC_T/C_P`` errors
    ``-(y - Ki x) dC_P / C_P - Ki dI / C_P``.  A factor common to all plasma values divides Ki and V
    by it.  Without `sd` the residuals already hold part of the plasma noise, so adding the
    covariance is then on the safe side.

    ``Ki`` times 3.6e6 is in uL/(mL h).  Valid where trapping is irreversible over the scans and t*
    is late enough for the reversible part to follow plasma.  Before that the line is not straight:
    for an irreversible two-tissue model it is ``Ki x + V + (k2/(k2+k3)) C_1/C_P``, and the slope is
    too high while ``C_1/C_P`` rises.  Release from the trap makes Ki too low.  Simulations of 89Zr
    antibodies always found Ki too low, and a scan at 24 h lowered bias and spread of V [3]_.  A
    high R2 proves no linearity: both axes share ``C_P``.  With three scans the error has one
    degree of freedom, and its 95 % interval is 12.7 standard errors to each side.

    References
    ----------
    .. [1] Patlak CS, Blasberg RG, Fenstermacher JD, J Cereb Blood Flow Metab 1983;3:1-7.
       doi:10.1038/jcbfm.1983.1
    .. [2] Patlak CS, Blasberg RG, J Cereb Blood Flow Metab 1985;5:584-590.
       doi:10.1038/jcbfm.1985.87
    .. [3] Wijngaarden JE et al., EJNMMI Res 2022;12. doi:10.1186/s13550-022-00927-6
    """
    values, times, spread, dtype = series(tissue, times_s, sd)
    if not (math.isfinite(start_s) and start_s >= 0.0):
        raise argument("the start time must be finite and not negative", "start_s", start_s)
    used = times >= start_s
    n = int(np.count_nonzero(used))
    if n < 3 and not (n == 2 and allow_two_points):
        raise too_few(f"a net influx needs three scans from {start_s:g} s on", n)
    cp, integral, joint = _checked_plasma(plasma, plasma_integral_s, plasma_covariance, times.size)
    cp, integral = cp[used], integral[used]
    x = integral / cp
    if np.std(x) <= _SMALLEST_SPREAD * abs(float(x.mean())):
        raise too_few("the normalised times do not differ, so no line can be drawn", n)
    joint = None if joint is None else joint[np.ix_(np.tile(used, 2), np.tile(used, 2))]

    outputs = [np.empty(values.shape[:-1]) for _ in range(6)]
    reason = np.empty(values.shape[:-1], np.uint8)
    for block in blocks(values.shape[:-1], n):
        activity = values[block][..., used].astype(np.float64)
        error = spread[block][..., used].astype(np.float64)
        reason[block] = series_faults(activity, error, needed=sd is not None)
        with np.errstate(all="ignore"):
            weights = np.ones(activity.shape) if sd is None else (cp / error) ** 2
            results = _line(x, activity / cp, weights, cp, joint, known=sd is not None)
        for output, result in zip(outputs, results, strict=True):
            output[block] = result
    n_points = np.where(reason == KineticReason.OK, n, 0).astype(np.int16)
    dof = 0.0 if n == 2 else (float(n - 2) if sd is None else math.inf)
    ki, ki_se, intercept, intercept_se, covariance, r2 = given(reason, dtype, *outputs)
    return PatlakFit(ki, ki_se, intercept, intercept_se, covariance, r2, n_points, dof, reason)


def _line(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    cp: NDArray[np.float64],
    joint: NDArray[np.float64] | None,
    *,
    known: bool,
) -> tuple[NDArray[np.float64], ...]:
    """Slope, error, intercept, error, covariance and R2 of weighted lines over one abscissa."""
    total = weights.sum(axis=-1)
    x_mean = (weights * x).sum(axis=-1) / total
    y_mean = (weights * y).sum(axis=-1) / total
    dx = x - x_mean[..., np.newaxis]
    dy = y - y_mean[..., np.newaxis]
    sxx = (weights * dx**2).sum(axis=-1)
    # What each ratio adds to the slope and to the intercept.
    by_slope = weights * dx / sxx[..., np.newaxis]
    by_intercept = weights / total[..., np.newaxis] - x_mean[..., np.newaxis] * by_slope
    slope = (by_slope * dy).sum(axis=-1)
    intercept = y_mean - slope * x_mean
    rss = (weights * (dy - slope[..., np.newaxis] * dx) ** 2).sum(axis=-1)
    tss = (weights * dy**2).sum(axis=-1)
    n = x.size
    if n == 2:
        missing = np.full(slope.shape, np.nan)
        return slope, missing, intercept, missing, missing, missing
    variance = np.ones(slope.shape) if known else rss / (n - 2)
    slope_variance = variance / sxx
    intercept_variance = variance * (1.0 / total + x_mean**2 / sxx)
    covariance = -variance * x_mean / sxx
    if joint is not None:
        per_plasma = np.concatenate(
            [
                -(y - slope[..., np.newaxis] * x) / cp,
                np.broadcast_to(-slope[..., np.newaxis] / cp, y.shape),
            ],
            axis=-1,
        )
        j_slope = np.concatenate([by_slope, by_slope], axis=-1) * per_plasma
        j_intercept = np.concatenate([by_intercept, by_intercept], axis=-1) * per_plasma
        slope_variance = slope_variance + ((j_slope @ joint) * j_slope).sum(axis=-1)
        covariance = covariance + ((j_slope @ joint) * j_intercept).sum(axis=-1)
        intercept_variance = intercept_variance + ((j_intercept @ joint) * j_intercept).sum(axis=-1)
    r2 = np.where(tss > 0.0, 1.0 - rss / tss, np.nan)
    errors = np.sqrt(slope_variance), np.sqrt(intercept_variance)
    return slope, errors[0], intercept, errors[1], covariance, r2


def _checked_plasma(
    plasma: ArrayLike, integral_s: ArrayLike, covariance: ArrayLike | None, n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    activity = np.asarray(plasma, dtype=np.float64)
    integral = np.asarray(integral_s, dtype=np.float64)
    if activity.shape != (n,) or not np.all(np.isfinite(activity) & (activity > 0.0)):
        raise argument(
            "the plasma needs one finite, positive activity for each scan",
            "plasma",
            activity.tolist(),
        )
    usable = integral.shape == (n,) and bool(np.all(np.isfinite(integral)))
    if not usable or integral[0] < 0.0 or np.any(np.diff(integral) <= 0.0):
        raise argument(
            "the integral of the plasma needs one value for each scan, and it must rise",
            "plasma_integral_s",
            integral.tolist(),
        )
    if covariance is None:
        return activity, integral, None
    joint = np.asarray(covariance, dtype=np.float64)
    if joint.shape != (2 * n, 2 * n) or not np.all(np.isfinite(joint)):
        raise argument(
            f"the covariance of the plasma must be finite, of shape ({2 * n}, {2 * n})",
            "plasma_covariance",
            joint.shape,
        )
    return activity, integral, joint
