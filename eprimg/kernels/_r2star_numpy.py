"""Array version of the fit of `eprimg.kernels.r2star`: the reference of the compiled one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_chunk"]

# The compiled version repeats these numbers instead of importing them: numba's cache would not see
# a change made in another file.  A test holds the two files together.
MAX_ITERATIONS = 100
BISECT_AFTER = 10
TOLERANCE = 1e-8
RATE_MIN = -15.0
RATE_MAX = 700.0
EDGE = 1e-4
SMALLEST = 2.3e-308


def fit_chunk(
    signal: NDArray[np.floating],
    tau: NDArray[np.float64],
    even: bool,
    start: float,
    span: float,
    nlls: bool,
    mask: NDArray[np.bool_],
    r2star: NDArray[np.floating],
    s0: NDArray[np.floating],
    se: NDArray[np.floating],
    r2: NDArray[np.floating],
    n_echoes: NDArray[np.int16],
    reason: NDArray[np.uint8],
    codes: tuple[int, int, int, int, int],
) -> None:
    """Fit one chunk in place; arguments as in `_r2star_numba.fit_chunk`, `even` is not used."""
    ok, masked, non_finite, non_positive, not_converged = codes
    samples = signal.astype(np.float64)
    reason[:] = ok
    reason[~(samples > 0.0).all(axis=1)] = non_positive
    reason[~np.isfinite(samples).all(axis=1)] = non_finite
    if mask.size:
        reason[~mask] = masked
    members = np.flatnonzero(reason == ok)
    for output in (r2star, s0, se, r2):
        output[:] = np.nan
    n_echoes[:] = 0
    samples = samples[members]
    n = tau.size
    scale = samples.max(axis=1, initial=0.0)
    with np.errstate(all="ignore"):
        y = np.maximum(samples / scale[:, None], SMALLEST)
        if nlls:
            rate, amplitude, error, settled = _nlls(y, tau)
        else:
            rate, amplitude, error, settled = _loglin(y, tau)
        rss = ((y - amplitude[:, None] * np.exp(-rate[:, None] * tau)) ** 2).sum(axis=1)
        tss = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        determination = np.where((tss > 0.0) & (n > 2), 1.0 - rss / tss, np.nan)
        intercept = (scale * (amplitude * np.exp(rate * (start / span)))).astype(s0.dtype)
        settled &= (rate > RATE_MIN + EDGE) & (rate < RATE_MAX - EDGE) & np.isfinite(intercept)
        reason[members[~settled]] = not_converged
        members = members[settled]
        r2star[members] = rate[settled] / span
        s0[members] = intercept[settled]
        if nlls:
            error = error * np.sqrt(rss)
        se[members] = error[settled] / span if n > 2 else np.nan
        r2[members] = determination[settled]
        n_echoes[members] = n


_Partial = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


def _loglin(y: NDArray[np.float64], tau: NDArray[np.float64]) -> _Partial:
    """Rate, amplitude and standard error of the ordinary regression of ``ln y``."""
    log_y = np.log(y)
    centred = tau - tau.mean()
    spread = (centred**2).sum()
    rate = -(log_y * centred).sum(axis=1) / spread
    mean = log_y.mean(axis=1)
    residual = log_y - mean[:, None] + rate[:, None] * centred
    freedom = max(tau.size - 2, 1)
    error = np.sqrt((residual**2).sum(axis=1) / freedom / spread)
    return rate, np.exp(mean + rate * tau.mean()), error, np.ones(rate.shape, np.bool_)


def _nlls(y: NDArray[np.float64], tau: NDArray[np.float64]) -> _Partial:
    """Rate, amplitude, standard error per unit ``sqrt(RSS)``, and whether the fit settled.

    Sums instead of matrix products: the latter may round a row differently with its neighbours.
    """
    log_y = np.log(y)
    weight = y * y
    total = weight.sum(axis=1)
    first = (weight * tau).sum(axis=1)
    slopes = -np.diff(log_y, axis=1) / np.diff(tau)
    low = np.maximum(slopes.min(axis=1), RATE_MIN)
    high = np.minimum(slopes.max(axis=1), RATE_MAX)
    rate = -(total * (weight * log_y * tau).sum(axis=1) - first * (weight * log_y).sum(axis=1)) / (
        total * (weight * tau**2).sum(axis=1) - first**2
    )
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
    return rate, amplitude, error, ~moving
