"""Array version of the fit of `eprimg.kernels.r2star`: the reference of the compiled one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Values", "fit_chunk", "fit_with", "nlls_start"]

# The compiled version repeats these numbers instead of importing them: numba's cache would not see
# a change made in another file.  A test holds the two files together.
MAX_ITERATIONS = 100
BISECT_AFTER = 10
TOLERANCE = 1e-8
RATE_MIN = -15.0
RATE_MAX = 700.0
EDGE = 1e-4
SMALLEST = 2.3e-308


class Estimate(NamedTuple):
    """Dimensionless result of an estimator, one entry per voxel.

    Attributes
    ----------
    rate, amplitude : ndarray of float64
        ``y = amplitude exp(-rate tau)``.
    error : ndarray of float64
        Standard error of the rate; per unit ``sqrt(RSS)`` where `per_residual` is set.
    mean, spread : ndarray of float64
        Covariance of ``ln amplitude`` with the rate, and the variance of ``ln amplitude``, in units
        of the variance of the rate: ``mean`` and ``spread + mean**2``.  For least squares they are
        the mean and the variance of ``tau`` under the weights of the fit.
    settled : ndarray of bool
        There is a result.
    per_residual : bool
        See `error`.
    """

    rate: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    error: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    settled: NDArray[np.bool_]
    per_residual: bool


Values = tuple[NDArray[np.floating], ...]
"""R2*, S0, standard error of R2*, r2, standard error of S0, covariance, RMSE."""

_Estimator = Callable[[NDArray[np.float64], NDArray[np.float64]], Estimate]


def fit_chunk(
    signal: NDArray[np.floating],
    tau: NDArray[np.float64],
    even: bool,
    start: float,
    span: float,
    nlls: bool,
    mask: NDArray[np.bool_],
    values: Values,
    n_echoes: NDArray[np.int16],
    reason: NDArray[np.uint8],
    codes: tuple[int, int, int, int, int],
) -> None:
    """Fit one chunk in place; arguments as in `_r2star_numba.fit_chunk`, `even` is not used."""
    estimator = _nlls if nlls else _loglin
    fit_with(estimator, signal, tau, start, span, mask, values, n_echoes, reason, codes)


def fit_with(
    estimator: _Estimator,
    signal: NDArray[np.floating],
    tau: NDArray[np.float64],
    start: float,
    span: float,
    mask: NDArray[np.bool_],
    values: Values,
    n_echoes: NDArray[np.int16],
    reason: NDArray[np.uint8],
    codes: tuple[int, int, int, int, int],
) -> None:
    """Fit one chunk in place by any estimator; the other arguments as in `fit_chunk`."""
    ok, masked, non_finite, non_positive, not_converged = codes
    samples = signal.astype(np.float64)
    reason[:] = ok
    reason[~(samples > 0.0).all(axis=1)] = non_positive
    reason[~np.isfinite(samples).all(axis=1)] = non_finite
    if mask.size:
        reason[~mask] = masked
    members = np.flatnonzero(reason == ok)
    for output in values:
        output[:] = np.nan
    n_echoes[:] = 0
    samples = samples[members]
    n = tau.size
    scale = samples.max(axis=1, initial=0.0)
    with np.errstate(all="ignore"):
        y = np.maximum(samples / scale[:, None], SMALLEST)
        rate, amplitude, error, mean, spread, settled, per_residual = estimator(y, tau)
        rss = ((y - amplitude[:, None] * np.exp(-rate[:, None] * tau)) ** 2).sum(axis=1)
        tss = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        determination = np.where((tss > 0.0) & (n > 2), 1.0 - rss / tss, np.nan)
        s0_wide = scale * (amplitude * np.exp(rate * (start / span)))
        intercept = s0_wide.astype(values[1].dtype)
        settled = settled & (rate > RATE_MIN + EDGE) & (rate < RATE_MAX - EDGE)
        settled &= np.isfinite(intercept)
        reason[members[~settled]] = not_converged
        if per_residual:
            error = error * np.sqrt(rss)
        # Echo times counted from the excitation, not from the first echo.
        mean = mean + start / span
        results = (
            rate / span,
            intercept,
            error / span,
            determination,
            s0_wide * error * np.sqrt(np.maximum(spread, 0.0) + mean**2),
            s0_wide * error * error * mean / span,
            scale * np.sqrt(rss / n),
        )
        members = members[settled]
        for position, (output, result) in enumerate(zip(values, results, strict=True)):
            output[members] = result[settled] if n > 2 or position < 2 else np.nan
        n_echoes[members] = n


def _loglin(y: NDArray[np.float64], tau: NDArray[np.float64]) -> Estimate:
    """Ordinary regression of ``ln y``."""
    log_y = np.log(y)
    centred = tau - tau.mean()
    spread = (centred**2).sum()
    rate = -(log_y * centred).sum(axis=1) / spread
    mean = log_y.mean(axis=1)
    residual = log_y - mean[:, None] + rate[:, None] * centred
    freedom = max(tau.size - 2, 1)
    error = np.sqrt((residual**2).sum(axis=1) / freedom / spread)
    return Estimate(
        rate,
        np.exp(mean + rate * tau.mean()),
        error,
        np.full(rate.shape, tau.mean()),
        np.full(rate.shape, spread / tau.size),
        np.ones(rate.shape, np.bool_),
        per_residual=False,
    )


def nlls_start(y: NDArray[np.float64], tau: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rate by least squares of ``ln y`` weighted by ``y**2``."""
    log_y = np.log(y)
    weight = y * y
    total = weight.sum(axis=1)
    first = (weight * tau).sum(axis=1)
    rate: NDArray[np.float64] = -(
        total * (weight * log_y * tau).sum(axis=1) - first * (weight * log_y).sum(axis=1)
    ) / (total * (weight * tau**2).sum(axis=1) - first**2)
    return rate


def _nlls(y: NDArray[np.float64], tau: NDArray[np.float64]) -> Estimate:
    """Non-linear least squares.

    Sums instead of matrix products: the latter may round a row differently with its neighbours.
    """
    slopes = -np.diff(np.log(y), axis=1) / np.diff(tau)
    low = np.maximum(slopes.min(axis=1), RATE_MIN)
    high = np.minimum(slopes.max(axis=1), RATE_MAX)
    rate = nlls_start(y, tau)
    rate = np.where((rate >= low) & (rate <= high), rate, 0.5 * (low + high))
    moving = np.ones(rate.shape, np.bool_)
    for iteration in range(MAX_ITERATIONS):
        halve = iteration >= BISECT_AFTER and iteration % 2 == 0
        phi = np.exp(np.clip(-rate[:, None] * tau, -700.0, 700.0))
        a, b = y * phi, phi * phi
        a0, b0 = a.sum(axis=1), b.sum(axis=1)
        mean_a, mean_b = (a * tau).sum(axis=1) / a0, (b * tau).sum(axis=1) / b0
        spread_a = (a * tau**2).sum(axis=1) / a0 - mean_a**2
        spread_b = (b * tau**2).sum(axis=1) / b0 - mean_b**2
        gradient = mean_a - mean_b
        newton = 2.0 * spread_b - spread_a
        curvature = np.where(newton > 0.0, newton, spread_b)
        low = np.where(gradient < 0.0, rate, low)
        high = np.where(gradient < 0.0, high, rate)
        proposed = rate - gradient / curvature
        inside = (proposed >= low) & (proposed <= high) & (not halve)
        step = np.where(inside, proposed, 0.5 * (low + high)) - rate
        step[~moving] = 0.0
        moving &= np.abs(step) > TOLERANCE * (1.0 + np.abs(rate))
        rate = rate + step
        if not moving.any():
            break
    # Sums belong to the rate before the last step, which was below the tolerance.
    amplitude = a0 / b0
    freedom = max(tau.size - 2, 1)
    error = 1.0 / np.sqrt(freedom * amplitude**2 * b0 * spread_b)
    return Estimate(rate, amplitude, error, mean_b, spread_b, ~moving, per_residual=True)
