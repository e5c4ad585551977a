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

__all__ = ["fit_chunk"]

BLOCK = 64
MAX_ITERATIONS = 100
# From here on every other step halves the bracket, so that even a nearly flat minimum is reached.
BISECT_AFTER = 10
TOLERANCE = 1e-8
# Bounds of the dimensionless rate, rate * (last echo time - first).  A signal that rises by more
# than exp(15) is no decay, and its moments would cancel; one that falls faster leaves float64.
# A rate that ends at a bound (closer than EDGE) has not been found.
RATE_MIN = -15.0
RATE_MAX = 700.0
EDGE = 1e-4
# A quotient below the normal range would have no usable logarithm.
SMALLEST = 2.3e-308

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to the nearest integer
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

# Rows of the scratch array.  One array with constant offsets lets the compiler see that the rows
# do not overlap; separate arrays would need a check at run time for every pair.
_RATE, _LOW, _HIGH, _ACTIVE = 0, 1, 2, 3
_STEP, _PHI, _MANTISSA = 4, 5, 6
_A0, _A1, _A2, _B0, _B1, _B2 = 7, 8, 9, 10, 11, 12
_SCALE, _RSS, _TSS, _AMPLITUDE, _SE, _PREVIOUS, _CODE = 13, 14, 15, 16, 17, 18, 19
_S0_SE, _COV, _RMSE = 20, 21, 22
_ROWS = 23

# "contract" allows fused multiply-add only; NaN and infinity keep their meaning.
_OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


@njit(**_OPTIONS)  # pragma: no cover
def _exp_block(w, bits, target, time):
    """Write ``exp(-rate * time)`` for a block; relative error below 5e-16 within +-700."""
    powers = bits.view(np.float64)
    for v in range(BLOCK):
        x = min(max(-w[_RATE * BLOCK + v] * time, -700.0), 700.0)
        k = (x * _LOG2E + _ROUND) - _ROUND
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        p = 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        w[_MANTISSA * BLOCK + v] = p * r + 1.0
        bits[v] = (np.int64(k) + 1023) << 52
    for v in range(BLOCK):
        w[target * BLOCK + v] = w[_MANTISSA * BLOCK + v] * powers[v]


@njit(**_OPTIONS)  # pragma: no cover
def _log_block(y, row, w, bits, target):
    """Write ``log(y[row])`` of normal positive numbers for a block."""
    values = bits.view(np.float64)
    base = row * BLOCK
    for v in range(BLOCK):
        values[v] = y[base + v]
    for v in range(BLOCK):
        b = bits[v]
        # Exponent such that the mantissa lies in [sqrt(1/2), sqrt(2)).
        k = (b - _SQRT_HALF_BITS) >> 52
        bits[v] = b - (k << 52)
        w[_MANTISSA * BLOCK + v] = np.float64(k)
    for v in range(BLOCK):
        m = values[v]
        s = (m - 1.0) / (m + 1.0)
        z = s * s
        p = 1.0 / 21.0
        p = p * z + 1.0 / 19.0
        p = p * z + 1.0 / 17.0
        p = p * z + 1.0 / 15.0
        p = p * z + 1.0 / 13.0
        p = p * z + 1.0 / 11.0
        p = p * z + 1.0 / 9.0
        p = p * z + 1.0 / 7.0
        p = p * z + 1.0 / 5.0
        p = p * z + 1.0 / 3.0
        p = p * z + 1.0
        k_ln2 = w[_MANTISSA * BLOCK + v]
        w[target * BLOCK + v] = k_ln2 * _LN2_HIGH + (k_ln2 * _LN2_LOW + 2.0 * s * p)


@njit(**_OPTIONS)  # pragma: no cover
def _log_regression(y, tau, n, w, bits, weighted):
    """Least squares of the log signal, weighted by the squared signal or not; bracket the rate."""
    for v in range(BLOCK):
        w[_LOW * BLOCK + v] = np.inf
        w[_HIGH * BLOCK + v] = -np.inf
        w[_A0 * BLOCK + v] = 0.0
        w[_A1 * BLOCK + v] = 0.0
        w[_A2 * BLOCK + v] = 0.0
        w[_B0 * BLOCK + v] = 0.0
        w[_B1 * BLOCK + v] = 0.0
        w[_B2 * BLOCK + v] = 0.0
    for i in range(n):
        t = tau[i]
        base = i * BLOCK
        _log_block(y, i, w, bits, _PHI)
        if i > 0:
            inverse = 1.0 / (t - tau[i - 1])
            for v in range(BLOCK):
                slope = (w[_PREVIOUS * BLOCK + v] - w[_PHI * BLOCK + v]) * inverse
                w[_LOW * BLOCK + v] = min(w[_LOW * BLOCK + v], slope)
                w[_HIGH * BLOCK + v] = max(w[_HIGH * BLOCK + v], slope)
        for v in range(BLOCK):
            s = y[base + v]
            weight = s * s if weighted else 1.0
            log_s = w[_PHI * BLOCK + v]
            w[_PREVIOUS * BLOCK + v] = log_s
            w[_A0 * BLOCK + v] += weight
            w[_A1 * BLOCK + v] += weight * t
            w[_A2 * BLOCK + v] += weight * t * t
            w[_B0 * BLOCK + v] += weight * log_s
            w[_B1 * BLOCK + v] += weight * t * log_s
            w[_B2 * BLOCK + v] += log_s * log_s
    for v in range(BLOCK):
        a0 = w[_A0 * BLOCK + v]
        a1 = w[_A1 * BLOCK + v]
        rate = -(a0 * w[_B1 * BLOCK + v] - a1 * w[_B0 * BLOCK + v]) / (
            a0 * w[_A2 * BLOCK + v] - a1 * a1
        )
        low = max(w[_LOW * BLOCK + v], RATE_MIN)
        high = min(w[_HIGH * BLOCK + v], RATE_MAX)
        inside = rate >= low and rate <= high
        w[_LOW * BLOCK + v] = low
        w[_HIGH * BLOCK + v] = high
        w[_RATE * BLOCK + v] = rate if inside or not weighted else 0.5 * (low + high)


@njit(**_OPTIONS)  # pragma: no cover
def _moments(y, tau, even, n, w, bits):
    """Sum ``y phi t**k`` (A) and ``phi**2 t**k`` (B), k = 0, 1, 2, at the present rate."""
    if even:
        _exp_block(w, bits, _STEP, tau[1])
    for v in range(BLOCK):
        w[_PHI * BLOCK + v] = 1.0
        w[_A0 * BLOCK + v] = y[v]
        w[_A1 * BLOCK + v] = 0.0
        w[_A2 * BLOCK + v] = 0.0
        w[_B0 * BLOCK + v] = 1.0
        w[_B1 * BLOCK + v] = 0.0
        w[_B2 * BLOCK + v] = 0.0
    for i in range(1, n):
        t = tau[i]
        base = i * BLOCK
        if even:
            for v in range(BLOCK):
                w[_PHI * BLOCK + v] *= w[_STEP * BLOCK + v]
        else:
            _exp_block(w, bits, _PHI, t)
        for v in range(BLOCK):
            phi = w[_PHI * BLOCK + v]
            a = y[base + v] * phi
            b = phi * phi
            w[_A0 * BLOCK + v] += a
            w[_B0 * BLOCK + v] += b
            a *= t
            b *= t
            w[_A1 * BLOCK + v] += a
            w[_B1 * BLOCK + v] += b
            w[_A2 * BLOCK + v] += a * t
            w[_B2 * BLOCK + v] += b * t


@njit(**_OPTIONS)  # pragma: no cover
def _newton_step(w, halve):
    """Make one safeguarded step; return how many voxels still move."""
    moving = 0
    for v in range(BLOCK):
        rate = w[_RATE * BLOCK + v]
        active = w[_ACTIVE * BLOCK + v]
        inverse_a = 1.0 / w[_A0 * BLOCK + v]
        inverse_b = 1.0 / w[_B0 * BLOCK + v]
        mean_a = w[_A1 * BLOCK + v] * inverse_a
        mean_b = w[_B1 * BLOCK + v] * inverse_b
        spread_a = w[_A2 * BLOCK + v] * inverse_a - mean_a * mean_a
        spread_b = w[_B2 * BLOCK + v] * inverse_b - mean_b * mean_b
        gradient = mean_a - mean_b
        newton = 2.0 * spread_b - spread_a
        curvature = newton if newton > 0.0 else spread_b
        low = rate if gradient < 0.0 else w[_LOW * BLOCK + v]
        high = w[_HIGH * BLOCK + v] if gradient < 0.0 else rate
        proposed = rate - gradient / curvature
        inside = (proposed >= low) & (proposed <= high) & (not halve)
        proposed = proposed if inside else 0.5 * (low + high)
        step = (proposed - rate) * active
        w[_LOW * BLOCK + v] = low
        w[_HIGH * BLOCK + v] = high
        w[_RATE * BLOCK + v] = rate + step
        still = abs(step) > TOLERANCE * (1.0 + abs(rate))
        w[_ACTIVE * BLOCK + v] = 1.0 if still else 0.0
        moving += 1 if still else 0
    return moving


@njit(**_OPTIONS)  # pragma: no cover
def _residuals(y, tau, even, n, w, bits):
    """Residual and total sums of squares at the present rate and amplitude."""
    if even:
        _exp_block(w, bits, _STEP, tau[1])
    inverse_n = 1.0 / n
    for v in range(BLOCK):
        w[_PHI * BLOCK + v] = 1.0
        e = y[v] - w[_AMPLITUDE * BLOCK + v]
        w[_RSS * BLOCK + v] = e * e
        w[_TSS * BLOCK + v] = 0.0
        w[_PREVIOUS * BLOCK + v] = y[v]
    for i in range(1, n):
        base = i * BLOCK
        if even:
            for v in range(BLOCK):
                w[_PHI * BLOCK + v] *= w[_STEP * BLOCK + v]
        else:
            _exp_block(w, bits, _PHI, tau[i])
        for v in range(BLOCK):
            s = y[base + v]
            e = s - w[_AMPLITUDE * BLOCK + v] * w[_PHI * BLOCK + v]
            w[_RSS * BLOCK + v] += e * e
            w[_PREVIOUS * BLOCK + v] += s
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            d = y[base + v] - w[_PREVIOUS * BLOCK + v] * inverse_n
            w[_TSS * BLOCK + v] += d * d


@njit(**_OPTIONS)  # pragma: no cover
def _fit_nlls(y, tau, even, n, w, bits):
    _log_regression(y, tau, n, w, bits, True)
    for v in range(BLOCK):
        w[_ACTIVE * BLOCK + v] = 1.0
    for iteration in range(MAX_ITERATIONS):
        _moments(y, tau, even, n, w, bits)
        if _newton_step(w, iteration >= BISECT_AFTER and iteration % 2 == 0) == 0:
            break
    # A and B belong to the rate before the last step, which was below the tolerance.
    for v in range(BLOCK):
        w[_AMPLITUDE * BLOCK + v] = w[_A0 * BLOCK + v] / w[_B0 * BLOCK + v]
    _residuals(y, tau, even, n, w, bits)
    freedom = 1.0 / (n - 2) if n > 2 else np.nan
    for v in range(BLOCK):
        amplitude = w[_AMPLITUDE * BLOCK + v]
        b0 = w[_B0 * BLOCK + v]
        b1 = w[_B1 * BLOCK + v]
        information = amplitude * amplitude * (w[_B2 * BLOCK + v] - b1 * b1 / b0)
        w[_SE * BLOCK + v] = np.sqrt(w[_RSS * BLOCK + v] * freedom / information)


@njit(**_OPTIONS)  # pragma: no cover
def _fit_loglin(y, tau, even, n, w, bits):
    _log_regression(y, tau, n, w, bits, False)
    freedom = 1.0 / (n - 2) if n > 2 else np.nan
    for v in range(BLOCK):
        rate = w[_RATE * BLOCK + v]
        a0 = w[_A0 * BLOCK + v]
        a1 = w[_A1 * BLOCK + v]
        b0 = w[_B0 * BLOCK + v]
        spread_t = w[_A2 * BLOCK + v] - a1 * a1 / a0
        spread_l = w[_B2 * BLOCK + v] - b0 * b0 / a0
        rss = max(spread_l - rate * rate * spread_t, 0.0)
        w[_SE * BLOCK + v] = np.sqrt(rss * freedom / spread_t)
        w[_AMPLITUDE * BLOCK + v] = np.exp((b0 + rate * a1) / a0)
        w[_ACTIVE * BLOCK + v] = 0.0
        # The moments of the weights, which are 1 here, go where `_finish` looks for them.
        w[_B0 * BLOCK + v] = a0
        w[_B1 * BLOCK + v] = a1
        w[_B2 * BLOCK + v] = w[_A2 * BLOCK + v]
    _residuals(y, tau, even, n, w, bits)


@njit(**_OPTIONS)  # pragma: no cover
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
    r2star, s0, se, r2, s0_se, cov, rmse = values
    n_voxels, n = signal.shape
    w = np.ones(_ROWS * BLOCK)
    y = np.ones(n * BLOCK)
    bits = np.empty(BLOCK, np.int64)
    members = np.zeros(BLOCK, np.int64)
    use_mask = mask.size > 0
    voxel = 0
    while voxel < n_voxels:
        filled = 0
        if use_mask:
            while filled < BLOCK and voxel < n_voxels:
                if mask[voxel]:
                    members[filled] = voxel
                    filled += 1
                else:
                    reason[voxel] = masked
                    n_echoes[voxel] = 0
                    for output in values:
                        output[voxel] = np.nan
                voxel += 1
        else:
            filled = min(BLOCK, n_voxels - voxel)
            for v in range(filled):
                members[v] = voxel + v
            voxel += filled
        if filled == 0:
            break
        for v in range(filled):
            row = members[v]
            for i in range(n):
                y[i * BLOCK + v] = signal[row, i]
        _normalise(y, n, w, codes)
        if nlls:
            _fit_nlls(y, tau, even, n, w, bits)
        else:
            _fit_loglin(y, tau, even, n, w, bits)
        _finish(w, bits, n, start, span, codes)
        for v in range(filled):
            row = members[v]
            r2star[row] = w[_RATE * BLOCK + v]
            s0[row] = w[_AMPLITUDE * BLOCK + v]
            # The amplitude can leave the range of the output type, never that of float64.
            bad = w[_CODE * BLOCK + v] != codes[0]
            if not bad and not np.isfinite(s0[row]):
                w[_CODE * BLOCK + v] = codes[4]
                r2star[row] = np.nan
                s0[row] = np.nan
                bad = True
            se[row] = np.nan if bad else w[_SE * BLOCK + v]
            r2[row] = np.nan if bad else w[_RSS * BLOCK + v]
            s0_se[row] = np.nan if bad else w[_S0_SE * BLOCK + v]
            cov[row] = np.nan if bad else w[_COV * BLOCK + v]
            rmse[row] = np.nan if bad else w[_RMSE * BLOCK + v]
            n_echoes[row] = 0 if bad else n
            reason[row] = np.uint8(w[_CODE * BLOCK + v])


@njit(**_OPTIONS)  # pragma: no cover
def _normalise(y, n, w, codes):
    """Divide every voxel by its largest sample; give bad voxels harmless samples and a code."""
    ok, _, non_finite, non_positive, _ = codes
    for v in range(BLOCK):
        w[_SCALE * BLOCK + v] = y[v]
        w[_LOW * BLOCK + v] = y[v]
        w[_A0 * BLOCK + v] = 0.0
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            s = y[base + v]
            largest = w[_SCALE * BLOCK + v]
            smallest = w[_LOW * BLOCK + v]
            w[_SCALE * BLOCK + v] = s if s > largest else largest
            w[_LOW * BLOCK + v] = s if s < smallest else smallest
            # Zero times a finite number is zero; times NaN or infinity it is NaN.
            w[_A0 * BLOCK + v] += s * 0.0
    for v in range(BLOCK):
        finite = w[_A0 * BLOCK + v] == 0.0
        positive = w[_LOW * BLOCK + v] > 0.0
        code = ok if positive else non_positive
        w[_CODE * BLOCK + v] = np.float64(code if finite else non_finite)
        w[_SCALE * BLOCK + v] = w[_SCALE * BLOCK + v] if (finite & positive) else np.inf
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            q = y[base + v] / w[_SCALE * BLOCK + v]
            # NaN and zero of a bad voxel end here too.
            y[base + v] = q if q > SMALLEST else SMALLEST


@njit(**_OPTIONS)  # pragma: no cover
def _finish(w, bits, n, start, span, codes):
    """Turn the dimensionless results into 1/s and signal units; NaN where there is no fit."""
    ok, _, _, _, not_converged = codes
    _exp_block(w, bits, _STEP, -start / span)
    for v in range(BLOCK):
        rate = w[_RATE * BLOCK + v]
        code = w[_CODE * BLOCK + v]
        settled = (
            (w[_ACTIVE * BLOCK + v] == 0.0) & (rate > RATE_MIN + EDGE) & (rate < RATE_MAX - EDGE)
        )
        good = settled & (code == ok)
        code = not_converged if (code == ok) & (not settled) else code
        w[_CODE * BLOCK + v] = code
        s0 = w[_SCALE * BLOCK + v] * (w[_AMPLITUDE * BLOCK + v] * w[_STEP * BLOCK + v])
        w[_RATE * BLOCK + v] = rate / span if good else np.nan
        w[_AMPLITUDE * BLOCK + v] = s0 if good else np.nan
        error = w[_SE * BLOCK + v]
        w[_SE * BLOCK + v] = error / span
        # Mean and spread of the echo times, from the excitation on, under the weights of the fit.
        inner = w[_B1 * BLOCK + v] / w[_B0 * BLOCK + v]
        spread = max(w[_B2 * BLOCK + v] / w[_B0 * BLOCK + v] - inner * inner, 0.0)
        mean = inner + start / span
        w[_S0_SE * BLOCK + v] = s0 * error * np.sqrt(spread + mean * mean)
        w[_COV * BLOCK + v] = s0 * error * error * mean / span
        rss = w[_RSS * BLOCK + v]
        w[_RMSE * BLOCK + v] = w[_SCALE * BLOCK + v] * np.sqrt(rss / n) if n > 2 else np.nan
        total = w[_TSS * BLOCK + v]
        r2 = 1.0 - rss / total
        w[_RSS * BLOCK + v] = r2 if (total > 0.0) & (n > 2) else np.nan
