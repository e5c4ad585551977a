"""Compiled fit of blocks of voxels for `eprimg.kernels.r2star`; import only when it is used.

A block holds `BLOCK` voxels with the echoes as rows, so that every inner loop runs over voxels and
the compiler turns it into vector instructions.  ``exp`` and ``log`` are written out for the same
reason: a call into the mathematics library would keep each loop scalar.  The functions release the
interpreter lock and hold no global state; threads are the caller's.  Coverage cannot see compiled
lines (hence the pragmas): the tests compare every result with the numpy path.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels._r2star_block_numba import (
    A0,
    A1,
    A2,
    ACTIVE,
    AMPLITUDE,
    B0,
    B1,
    B2,
    BLOCK,
    CODE,
    COV,
    HIGH,
    LOW,
    OPTIONS,
    PHI,
    PREVIOUS,
    RATE,
    RATE_MAX,
    RATE_MIN,
    RMSE,
    ROWS,
    RSS,
    S0_SE,
    SE,
    STEP,
    TSS,
    exp_block,
    finish,
    log_block,
    normalise,
    write,
)
from eprimg.kernels._r2star_even_numba import ROWS32, even_residuals, horner_moments, quick_start

__all__ = ["fit_block", "fit_chunk", "scratch_of"]

MAX_ITERATIONS = 100
# From here on every other step halves the bracket, so that even a nearly flat minimum is reached.
BISECT_AFTER = 10
TOLERANCE = 1e-8


@njit(**OPTIONS)  # pragma: no cover
def _log_regression(y, tau, n, w, bits, weighted):
    """Least squares of the log signal, weighted by the squared signal or not; bracket the rate."""
    for v in range(BLOCK):
        w[LOW * BLOCK + v] = np.inf
        w[HIGH * BLOCK + v] = -np.inf
        w[A0 * BLOCK + v] = 0.0
        w[A1 * BLOCK + v] = 0.0
        w[A2 * BLOCK + v] = 0.0
        w[B0 * BLOCK + v] = 0.0
        w[B1 * BLOCK + v] = 0.0
        w[B2 * BLOCK + v] = 0.0
    for i in range(n):
        t = tau[i]
        base = i * BLOCK
        log_block(y, i, w, bits, PHI)
        if i > 0:
            inverse = 1.0 / (t - tau[i - 1])
            for v in range(BLOCK):
                slope = (w[PREVIOUS * BLOCK + v] - w[PHI * BLOCK + v]) * inverse
                w[LOW * BLOCK + v] = min(w[LOW * BLOCK + v], slope)
                w[HIGH * BLOCK + v] = max(w[HIGH * BLOCK + v], slope)
        for v in range(BLOCK):
            s = y[base + v]
            weight = s * s if weighted else 1.0
            log_s = w[PHI * BLOCK + v]
            w[PREVIOUS * BLOCK + v] = log_s
            w[A0 * BLOCK + v] += weight
            w[A1 * BLOCK + v] += weight * t
            w[A2 * BLOCK + v] += weight * t * t
            w[B0 * BLOCK + v] += weight * log_s
            w[B1 * BLOCK + v] += weight * t * log_s
            w[B2 * BLOCK + v] += log_s * log_s
    for v in range(BLOCK):
        a0 = w[A0 * BLOCK + v]
        a1 = w[A1 * BLOCK + v]
        rate = -(a0 * w[B1 * BLOCK + v] - a1 * w[B0 * BLOCK + v]) / (
            a0 * w[A2 * BLOCK + v] - a1 * a1
        )
        low = max(w[LOW * BLOCK + v], RATE_MIN)
        high = min(w[HIGH * BLOCK + v], RATE_MAX)
        inside = rate >= low and rate <= high
        w[LOW * BLOCK + v] = low
        w[HIGH * BLOCK + v] = high
        w[RATE * BLOCK + v] = rate if inside or not weighted else 0.5 * (low + high)


@njit(**OPTIONS)  # pragma: no cover
def _moments(y, tau, even, n, w, bits):
    """Sum ``y phi t**k`` (A) and ``phi**2 t**k`` (B), k = 0, 1, 2, at the present rate."""
    if even:
        exp_block(w, bits, STEP, tau[1])
        horner_moments(y, n, w)
        return
    for v in range(BLOCK):
        w[A0 * BLOCK + v] = y[v]
        w[A1 * BLOCK + v] = 0.0
        w[A2 * BLOCK + v] = 0.0
        w[B0 * BLOCK + v] = 1.0
        w[B1 * BLOCK + v] = 0.0
        w[B2 * BLOCK + v] = 0.0
    for i in range(1, n):
        t = tau[i]
        base = i * BLOCK
        exp_block(w, bits, PHI, t)
        for v in range(BLOCK):
            phi = w[PHI * BLOCK + v]
            a = y[base + v] * phi
            b = phi * phi
            w[A0 * BLOCK + v] += a
            w[B0 * BLOCK + v] += b
            a *= t
            b *= t
            w[A1 * BLOCK + v] += a
            w[B1 * BLOCK + v] += b
            w[A2 * BLOCK + v] += a * t
            w[B2 * BLOCK + v] += b * t


@njit(**OPTIONS)  # pragma: no cover
def _newton_step(w, halve):
    """Make one safeguarded step; return how many voxels still move."""
    moving = 0
    for v in range(BLOCK):
        rate = w[RATE * BLOCK + v]
        active = w[ACTIVE * BLOCK + v]
        inverse_a = 1.0 / w[A0 * BLOCK + v]
        inverse_b = 1.0 / w[B0 * BLOCK + v]
        mean_a = w[A1 * BLOCK + v] * inverse_a
        mean_b = w[B1 * BLOCK + v] * inverse_b
        spread_a = w[A2 * BLOCK + v] * inverse_a - mean_a * mean_a
        spread_b = w[B2 * BLOCK + v] * inverse_b - mean_b * mean_b
        gradient = mean_a - mean_b
        newton = 2.0 * spread_b - spread_a
        curvature = newton if newton > 0.0 else spread_b
        low = rate if gradient < 0.0 else w[LOW * BLOCK + v]
        high = w[HIGH * BLOCK + v] if gradient < 0.0 else rate
        proposed = rate - gradient / curvature
        inside = (proposed >= low) & (proposed <= high) & (not halve)
        proposed = proposed if inside else 0.5 * (low + high)
        step = (proposed - rate) * active
        w[LOW * BLOCK + v] = low
        w[HIGH * BLOCK + v] = high
        w[RATE * BLOCK + v] = rate + step
        still = abs(step) > TOLERANCE * (1.0 + abs(rate))
        w[ACTIVE * BLOCK + v] = 1.0 if still else 0.0
        moving += 1 if still else 0
    return moving


@njit(**OPTIONS)  # pragma: no cover
def _residuals(y, tau, even, n, w, bits):
    """Residual and total sums of squares at the present rate and amplitude."""
    if even:
        exp_block(w, bits, STEP, tau[1])
        even_residuals(y, n, w)
        return
    inverse_n = 1.0 / n
    for v in range(BLOCK):
        e = y[v] - w[AMPLITUDE * BLOCK + v]
        w[RSS * BLOCK + v] = e * e
        w[TSS * BLOCK + v] = 0.0
        w[PREVIOUS * BLOCK + v] = y[v]
    for i in range(1, n):
        base = i * BLOCK
        exp_block(w, bits, PHI, tau[i])
        for v in range(BLOCK):
            s = y[base + v]
            e = s - w[AMPLITUDE * BLOCK + v] * w[PHI * BLOCK + v]
            w[RSS * BLOCK + v] += e * e
            w[PREVIOUS * BLOCK + v] += s
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            d = y[base + v] - w[PREVIOUS * BLOCK + v] * inverse_n
            w[TSS * BLOCK + v] += d * d


@njit(**OPTIONS)  # pragma: no cover
def _fit_nlls(y, tau, even, narrow, n, w, bits, y32, w32):
    if even and narrow:
        quick_start(y, y32, n, w32, w, RATE, LOW, HIGH)
        for v in range(BLOCK):
            low = max(w[LOW * BLOCK + v], RATE_MIN)
            high = min(w[HIGH * BLOCK + v], RATE_MAX)
            rate = w[RATE * BLOCK + v]
            w[LOW * BLOCK + v] = low
            w[HIGH * BLOCK + v] = high
            w[RATE * BLOCK + v] = rate if rate >= low and rate <= high else 0.5 * (low + high)
    else:
        _log_regression(y, tau, n, w, bits, True)
    for v in range(BLOCK):
        w[ACTIVE * BLOCK + v] = 1.0
    for iteration in range(MAX_ITERATIONS):
        _moments(y, tau, even, n, w, bits)
        if _newton_step(w, iteration >= BISECT_AFTER and iteration % 2 == 0) == 0:
            break
    # A and B belong to the rate before the last step, which was below the tolerance.
    for v in range(BLOCK):
        w[AMPLITUDE * BLOCK + v] = w[A0 * BLOCK + v] / w[B0 * BLOCK + v]
    _residuals(y, tau, even, n, w, bits)
    freedom = 1.0 / (n - 2) if n > 2 else np.nan
    for v in range(BLOCK):
        amplitude = w[AMPLITUDE * BLOCK + v]
        b0 = w[B0 * BLOCK + v]
        b1 = w[B1 * BLOCK + v]
        information = amplitude * amplitude * (w[B2 * BLOCK + v] - b1 * b1 / b0)
        w[SE * BLOCK + v] = np.sqrt(w[RSS * BLOCK + v] * freedom / information)


@njit(**OPTIONS)  # pragma: no cover
def _fit_loglin(y, tau, even, n, w, bits):
    _log_regression(y, tau, n, w, bits, False)
    freedom = 1.0 / (n - 2) if n > 2 else np.nan
    for v in range(BLOCK):
        rate = w[RATE * BLOCK + v]
        a0 = w[A0 * BLOCK + v]
        a1 = w[A1 * BLOCK + v]
        b0 = w[B0 * BLOCK + v]
        spread_t = w[A2 * BLOCK + v] - a1 * a1 / a0
        spread_l = w[B2 * BLOCK + v] - b0 * b0 / a0
        rss = max(spread_l - rate * rate * spread_t, 0.0)
        w[SE * BLOCK + v] = np.sqrt(rss * freedom / spread_t)
        w[AMPLITUDE * BLOCK + v] = np.exp((b0 + rate * a1) / a0)
        w[ACTIVE * BLOCK + v] = 0.0
        # The moments of the weights, which are 1 here, go where `finish` looks for them.
        w[B0 * BLOCK + v] = a0
        w[B1 * BLOCK + v] = a1
        w[B2 * BLOCK + v] = w[A2 * BLOCK + v]
    _residuals(y, tau, even, n, w, bits)


@njit(**OPTIONS)  # pragma: no cover
def fit_block(signal, tau, even, start, span, nlls, members, first, filled, scratch, outputs):
    """Fit up to `BLOCK` voxels at their first ``tau.size`` echoes.

    They are the `members`, or, where there are none, those from `first` on.
    """
    values, n_echoes, reason, codes = outputs
    w, y, bits, y32, w32 = scratch
    n = tau.size
    straight = members.size == 0
    if straight:
        block = signal[first : first + filled]
        for i in range(n):
            echo = y[i * BLOCK : (i + 1) * BLOCK]
            for v in range(filled):
                echo[v] = block[v, i]
    else:
        for v in range(filled):
            for i in range(n):
                y[i * BLOCK + v] = signal[members[v], i]
    narrow = normalise(y, n, w, codes)
    if nlls:
        _fit_nlls(y, tau, even, narrow, n, w, bits, y32, w32)
    else:
        _fit_loglin(y, tau, even, n, w, bits)
    r2star, s0, se, r2, s0_se, cov, rmse = values
    finish(w, bits, n, start, span, np.float64(np.finfo(r2star.dtype).max), codes)
    write(r2star, w[RATE * BLOCK :], members, first, filled)
    write(s0, w[AMPLITUDE * BLOCK :], members, first, filled)
    write(se, w[SE * BLOCK :], members, first, filled)
    write(r2, w[RSS * BLOCK :], members, first, filled)
    write(s0_se, w[S0_SE * BLOCK :], members, first, filled)
    write(cov, w[COV * BLOCK :], members, first, filled)
    write(rmse, w[RMSE * BLOCK :], members, first, filled)
    write(reason, w[CODE * BLOCK :], members, first, filled)
    for v in range(BLOCK):
        w[STEP * BLOCK + v] = n if w[CODE * BLOCK + v] == codes[0] else 0
    write(n_echoes, w[STEP * BLOCK :], members, first, filled)


@njit(**OPTIONS)  # pragma: no cover
def scratch_of(n):
    """Return the scratch arrays of `fit_block` for up to `n` echoes."""
    return (
        np.ones(ROWS * BLOCK),
        np.ones(n * BLOCK),
        np.empty(BLOCK, np.int64),
        np.ones(3 * n * BLOCK, np.float32),
        np.ones(ROWS32 * BLOCK, np.float32),
    )


@njit(**OPTIONS)  # pragma: no cover
def fit_chunk(signal, tau, even, start, span, nlls, mask, values, n_echoes, reason, codes):
    """Fit the voxels of one chunk and write the results in place.

    Parameters
    ----------
    signal : ndarray of float32 or float64, shape (n_voxels, n_echoes)
        C-contiguous samples.
    tau : ndarray of float64, shape (n_echoes,)
        Echo times shifted and scaled to 0..1.
    even : bool
        The echoes are evenly spaced, so that powers replace exponentials.
    start, span : float
        First echo time, and last minus first, in seconds.
    nlls : bool
        Non-linear fit; otherwise log-linear regression.
    mask : ndarray of bool, shape (n_voxels,) or (0,)
        Voxels to fit; empty for all.
    values : tuple of ndarray, shape (n_voxels,)
        R2*, S0, standard error of R2*, r2, standard error of S0, covariance, RMSE.
    n_echoes, reason : ndarray, shape (n_voxels,)
        As in `R2StarFit`.
    codes : tuple of int
        Reason codes OK, MASKED, NON_FINITE, NON_POSITIVE, NOT_CONVERGED.
    """
    masked = codes[1]
    n_voxels, n = signal.shape
    scratch = scratch_of(n)
    outputs = (values, n_echoes, reason, codes)
    members = np.zeros(BLOCK, np.int64)
    if mask.size == 0:
        for voxel in range(0, n_voxels, BLOCK):
            filled = min(BLOCK, n_voxels - voxel)
            fit_block(
                signal, tau, even, start, span, nlls, members[:0], voxel, filled, scratch, outputs
            )
        return
    filled = 0
    for voxel in range(n_voxels):
        if mask[voxel]:
            members[filled] = voxel
            filled += 1
        else:
            reason[voxel] = masked
            n_echoes[voxel] = 0
            for output in values:
                output[voxel] = np.nan
        if filled == BLOCK or (voxel == n_voxels - 1 and filled > 0):
            fit_block(signal, tau, even, start, span, nlls, members, 0, filled, scratch, outputs)
            filled = 0
