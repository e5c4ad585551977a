"""Quick start of the compiled R2* fit where the echoes are evenly spaced.

With even echoes the sums of a Newton step are polynomials in ``exp(-rate * step)``, which Horner's
scheme evaluates together with their derivatives.  Most of the way is gone in float32, where twice
as many voxels fit into a vector; the float64 steps of `eprimg.kernels._r2star_numba` then finish
every voxel, so the result has their accuracy.  A voxel that float32 does not settle begins again in
float64 as if nothing had happened.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels import _r2star_block_numba as rows
from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS, SMALLEST32

__all__ = ["ROWS32", "even_residuals", "horner_moments", "quick_start"]

ITERATIONS = 8
# Relative step at which float32 has done what it can.
TOLERANCE = np.float32(3e-3)

_F = np.float32
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_ROUND = _F(12582912.0)  # 1.5 * 2**23: adding and subtracting it rounds to the nearest integer
_ZERO, _HALF, _ONE, _TWO = _F(0.0), _F(0.5), _F(1.0), _F(2.0)
_E3, _E4, _E5, _E6 = _F(1.0 / 6.0), _F(1.0 / 24.0), _F(1.0 / 120.0), _F(1.0 / 720.0)
# log(1 + m) / m for m in 0..1, least squares at the Chebyshev points.
_L1, _L2, _L3, _L4 = _F(0.99962038), _F(-0.48664304), _F(0.25462221), _F(-0.07473615)
_LN2 = _F(0.69314718)
_EXP_LOW, _EXP_HIGH = _F(-40.0), _F(15.0)
_BIG, _SPARE, _SHARE, _RATE_TOP = _F(1e30), _F(7e-4), _F(1e-5), _F(40.0)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_FRACTION, _EXPONENT_OF_ONE = np.int32(0x7FFFFF), np.int32(0x3F800000)

# Rows of the float32 scratch array.
_RATE, _LOW, _HIGH, _ACTIVE, _X, _Q = 0, 1, 2, 3, 4, 5
_P0, _P1, _P2, _S0, _S1, _S2 = 6, 7, 8, 9, 10, 11
_EXP, _SETTLED, _START = 12, 13, 14
ROWS32 = 15


@njit(**OPTIONS)  # pragma: no cover
def _logarithms(y, mantissa, logs, count):
    """Write ``log(y)`` of normal positive numbers; absolute error below 3e-4.

    A start needs no more.  The polynomial is exact at 1, so that a flat signal has the rate 0.
    """
    bits = y.view(np.int32)
    scratch = mantissa.view(np.int32)
    for k in range(count):
        b = bits[k]
        logs[k] = np.float32(np.int32(b >> _MANTISSA) - _BIAS)
        scratch[k] = np.int32((b & _FRACTION) | _EXPONENT_OF_ONE)
    for k in range(count):
        m = mantissa[k] - _ONE
        p = ((_L4 * m + _L3) * m + _L2) * m + _L1
        logs[k] = logs[k] * _LN2 + p * m


@njit(**OPTIONS)  # pragma: no cover
def _exp_block(w, inverse_steps):
    """Write ``x = exp(-rate / steps)`` and ``q = x**2``."""
    bits = w.view(np.int32)
    for v in range(BLOCK):
        a = min(max(-w[_RATE * BLOCK + v] * inverse_steps, _EXP_LOW), _EXP_HIGH)
        k = (a * _LOG2E + _ROUND) - _ROUND
        r = (a - k * _LN2_HIGH) - k * _LN2_LOW
        p = ((((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _HALF) * r + _ONE
        w[_EXP * BLOCK + v] = p * r + _ONE
        bits[_Q * BLOCK + v] = np.int32((np.int32(k) + _BIAS) << _MANTISSA)
    for v in range(BLOCK):
        x = w[_EXP * BLOCK + v] * w[_Q * BLOCK + v]
        w[_X * BLOCK + v] = x
        w[_Q * BLOCK + v] = x * x


def _horner_of(x_row, q_row, p0_row, zero):
    """Make Horner's scheme for rows that are known when it is compiled.

    The compiler sees that constant rows do not overlap, and so turns the loops into vector
    instructions.  The function evaluates ``sum(y x**i)`` and ``sum(q**i)`` with their first and
    half second derivatives into six rows from `p0_row` on; `zero` gives the number type.  Four
    echoes are taken at a time, so that the sums stay in registers meanwhile.
    """
    p0, p1, p2 = p0_row * BLOCK, (p0_row + 1) * BLOCK, (p0_row + 2) * BLOCK
    s0, s1, s2 = (p0_row + 3) * BLOCK, (p0_row + 4) * BLOCK, (p0_row + 5) * BLOCK
    xs, qs = x_row * BLOCK, q_row * BLOCK
    one = zero + type(zero)(1.0)

    @njit(**OPTIONS)  # pragma: no cover
    def horner(y, n, w):
        part = y[(n - 1) * BLOCK : n * BLOCK]
        for v in range(BLOCK):
            w[p0 + v] = part[v]
            w[p1 + v] = zero
            w[p2 + v] = zero
            w[s0 + v] = one
            w[s1 + v] = zero
            w[s2 + v] = zero
        left = n - 1
        while left % 4 != 0:
            left -= 1
            part = y[left * BLOCK : (left + 1) * BLOCK]
            for v in range(BLOCK):
                x = w[xs + v]
                q = w[qs + v]
                a0 = w[p0 + v]
                a1 = w[p1 + v]
                b0 = w[s0 + v]
                b1 = w[s1 + v]
                w[p2 + v] = w[p2 + v] * x + a1
                w[p1 + v] = a1 * x + a0
                w[p0 + v] = a0 * x + part[v]
                w[s2 + v] = w[s2 + v] * q + b1
                w[s1 + v] = b1 * q + b0
                w[s0 + v] = b0 * q + one
        while left > 0:
            left -= 4
            # A view, whose small indices the compiler knows to be inside.
            part = y[left * BLOCK : (left + 4) * BLOCK]
            for v in range(BLOCK):
                x = w[xs + v]
                q = w[qs + v]
                a0 = w[p0 + v]
                a1 = w[p1 + v]
                a2 = w[p2 + v]
                b0 = w[s0 + v]
                b1 = w[s1 + v]
                b2 = w[s2 + v]
                a2 = a2 * x + a1
                a1 = a1 * x + a0
                a0 = a0 * x + part[3 * BLOCK + v]
                b2 = b2 * q + b1
                b1 = b1 * q + b0
                b0 = b0 * q + one
                a2 = a2 * x + a1
                a1 = a1 * x + a0
                a0 = a0 * x + part[2 * BLOCK + v]
                b2 = b2 * q + b1
                b1 = b1 * q + b0
                b0 = b0 * q + one
                a2 = a2 * x + a1
                a1 = a1 * x + a0
                a0 = a0 * x + part[BLOCK + v]
                b2 = b2 * q + b1
                b1 = b1 * q + b0
                b0 = b0 * q + one
                a2 = a2 * x + a1
                a1 = a1 * x + a0
                a0 = a0 * x + part[v]
                b2 = b2 * q + b1
                b1 = b1 * q + b0
                b0 = b0 * q + one
                w[p2 + v] = a2
                w[p1 + v] = a1
                w[p0 + v] = a0
                w[s2 + v] = b2
                w[s1 + v] = b1
                w[s0 + v] = b0

    return horner


_horner32 = _horner_of(_X, _Q, _P0, _ZERO)
_horner64 = _horner_of(rows.STEP, rows.PHI, rows.A0, 0.0)


@njit(**OPTIONS)  # pragma: no cover
def horner_moments(y, n, w):
    """Write the sums ``y phi t**k`` (A) and ``phi**2 t**k`` (B), k = 0, 1, 2, in float64.

    ``phi`` of one echo spacing stands in row STEP; the sums go into the rows from A0 on; row PHI
    is overwritten.  ``t`` runs from 0 to 1.
    """
    for v in range(BLOCK):
        x = w[rows.STEP * BLOCK + v]
        w[rows.PHI * BLOCK + v] = x * x
    _horner64(y, n, w)
    d = 1.0 / (n - 1)
    for v in range(BLOCK):
        x = w[rows.STEP * BLOCK + v] * d
        q = w[rows.PHI * BLOCK + v] * d
        a1 = w[rows.A1 * BLOCK + v] * x
        b1 = w[rows.B1 * BLOCK + v] * q
        w[rows.A1 * BLOCK + v] = a1
        w[rows.A2 * BLOCK + v] = a1 * d + 2.0 * x * x * w[rows.A2 * BLOCK + v]
        w[rows.B1 * BLOCK + v] = b1
        w[rows.B2 * BLOCK + v] = b1 * d + 2.0 * q * q * w[rows.B2 * BLOCK + v]


@njit(**OPTIONS)  # pragma: no cover
def _log_start(y, logs, n, w):
    """Least squares of the log signal, weighted by the squared signal; bracket the rate."""
    steps = np.float32(n - 1)
    inverse = _ONE / steps
    for v in range(BLOCK):
        weight = y[v] * y[v]
        w[_LOW * BLOCK + v] = _BIG
        w[_HIGH * BLOCK + v] = -_BIG
        w[_P0 * BLOCK + v] = weight
        w[_P1 * BLOCK + v] = _ZERO
        w[_P2 * BLOCK + v] = _ZERO
        w[_S0 * BLOCK + v] = weight * logs[v]
        w[_S1 * BLOCK + v] = _ZERO
    i = 1
    while i < n:
        # Two echoes at a time; where one is left over, it is taken alone.
        pair = _ONE if i + 1 < n else _ZERO
        second = min(i + 1, n - 1)
        t0, t1 = np.float32(i) * inverse, np.float32(second) * inverse
        here = y[i * BLOCK : (i + 1) * BLOCK]
        there = y[second * BLOCK : (second + 1) * BLOCK]
        before = logs[(i - 1) * BLOCK : i * BLOCK]
        log_here = logs[i * BLOCK : (i + 1) * BLOCK]
        log_there = logs[second * BLOCK : (second + 1) * BLOCK]
        for v in range(BLOCK):
            slope0 = (before[v] - log_here[v]) * steps
            slope1 = (log_here[v] - log_there[v]) * steps if pair == _ONE else slope0
            w[_LOW * BLOCK + v] = min(w[_LOW * BLOCK + v], min(slope0, slope1))
            w[_HIGH * BLOCK + v] = max(w[_HIGH * BLOCK + v], max(slope0, slope1))
            weight0 = here[v] * here[v]
            weight1 = there[v] * there[v] * pair
            at0 = weight0 * t0
            at1 = weight1 * t1
            w[_P0 * BLOCK + v] += weight0 + weight1
            w[_P1 * BLOCK + v] += at0 + at1
            w[_P2 * BLOCK + v] += at0 * t0 + at1 * t1
            w[_S0 * BLOCK + v] += weight0 * log_here[v] + weight1 * log_there[v]
            w[_S1 * BLOCK + v] += at0 * log_here[v] + at1 * log_there[v]
        i += 2
    for v in range(BLOCK):
        a0 = w[_P0 * BLOCK + v]
        a1 = w[_P1 * BLOCK + v]
        rate = -(a0 * w[_S1 * BLOCK + v] - a1 * w[_S0 * BLOCK + v]) / (
            a0 * w[_P2 * BLOCK + v] - a1 * a1
        )
        low = w[_LOW * BLOCK + v]
        high = w[_HIGH * BLOCK + v]
        # The logarithm is rough; the solution between the exact slopes must not be shut out.
        low -= _SPARE * steps + _SHARE * abs(low)
        high += _SPARE * steps + _SHARE * abs(high)
        w[_LOW * BLOCK + v] = low
        w[_HIGH * BLOCK + v] = high
        w[_RATE * BLOCK + v] = rate
        w[_START * BLOCK + v] = rate
        # Far outside what float32 can follow: float64 will look at this voxel alone.
        inside = (rate >= low) & (rate <= high) & (rate > _EXP_LOW) & (rate < _RATE_TOP)
        w[_SETTLED * BLOCK + v] = _ONE if inside else _ZERO
        w[_ACTIVE * BLOCK + v] = _ONE if inside else _ZERO


@njit(**OPTIONS)  # pragma: no cover
def _newton_step(w, n):
    """Make one Newton step; a voxel that would need more care is given up."""
    d = _ONE / np.float32(n - 1)
    moving = 0
    for v in range(BLOCK):
        x = w[_X * BLOCK + v] * d
        q = w[_Q * BLOCK + v] * d
        inverse_a = _ONE / w[_P0 * BLOCK + v]
        inverse_b = _ONE / w[_S0 * BLOCK + v]
        mean_a = w[_P1 * BLOCK + v] * x * inverse_a
        mean_b = w[_S1 * BLOCK + v] * q * inverse_b
        spread_a = mean_a * d + _TWO * x * x * w[_P2 * BLOCK + v] * inverse_a - mean_a * mean_a
        spread_b = mean_b * d + _TWO * q * q * w[_S2 * BLOCK + v] * inverse_b - mean_b * mean_b
        gradient = mean_a - mean_b
        curvature = _TWO * spread_b - spread_a
        rate = w[_RATE * BLOCK + v]
        proposed = rate - gradient / curvature
        good = (
            (curvature > _ZERO)
            & (proposed > w[_LOW * BLOCK + v])
            & (proposed < w[_HIGH * BLOCK + v])
            & (proposed < _RATE_TOP)
        )
        active = w[_ACTIVE * BLOCK + v]
        step = (proposed - rate) if good else _ZERO
        settled = w[_SETTLED * BLOCK + v] if good else w[_SETTLED * BLOCK + v] * (_ONE - active)
        w[_SETTLED * BLOCK + v] = settled
        w[_RATE * BLOCK + v] = rate + step * active
        still = (active > _ZERO) & good & (abs(step) > TOLERANCE * (_ONE + abs(rate)))
        w[_ACTIVE * BLOCK + v] = _ONE if still else _ZERO
        moving += 1 if still else 0
    return moving


@njit(**OPTIONS)  # pragma: no cover
def quick_start(y, samples, n, w32, w, rate_row, low_row, high_row):
    """Find bracket, start and, as far as float32 goes, the rate of a block.

    Parameters
    ----------
    y : ndarray of float64, shape (n * BLOCK,)
        Normalised samples, echoes as rows; those of a voxel to be fitted are above SMALLEST32.
    samples : ndarray of float32, shape (3 * n * BLOCK,)
        Scratch.
    n : int
        Number of echoes.
    w32 : ndarray of float32, shape (ROWS32 * BLOCK,)
        Scratch.
    w : ndarray of float64
        Scratch array of the caller, into whose rows the results go.
    rate_row, low_row, high_row : int
        Rate (settled, or the start of the weighted regression) and the slopes that enclose it.
    """
    count = n * BLOCK
    y32, logs, mantissa = samples[:count], samples[count : 2 * count], samples[2 * count :]
    for k in range(count):
        y32[k] = np.float32(max(y[k], SMALLEST32))
    _logarithms(y32, mantissa, logs, count)
    _log_start(y32, logs, n, w32)
    inverse_steps = _ONE / np.float32(n - 1)
    for _ in range(ITERATIONS):
        _exp_block(w32, inverse_steps)
        _horner32(y32, n, w32)
        if _newton_step(w32, n) == 0:
            break
    for v in range(BLOCK):
        # Still moving, or given up: float64 begins where it always begins.
        good = (w32[_SETTLED * BLOCK + v] == _ONE) & (w32[_ACTIVE * BLOCK + v] == _ZERO)
        start = w32[_RATE * BLOCK + v] if good else w32[_START * BLOCK + v]
        w[rate_row * BLOCK + v] = np.float64(start)
        w[low_row * BLOCK + v] = np.float64(w32[_LOW * BLOCK + v])
        w[high_row * BLOCK + v] = np.float64(w32[_HIGH * BLOCK + v])


@njit(**OPTIONS)  # pragma: no cover
def even_residuals(y, n, w):
    """Residual and total sums of squares; ``phi`` of one echo spacing stands in row STEP.

    The total is taken about the first sample and then moved to the mean: nothing cancels, because
    the first sample is at most ``sqrt(TSS)`` away from the mean.
    """
    for v in range(BLOCK):
        e = y[v] - w[rows.AMPLITUDE * BLOCK + v]
        w[rows.RSS * BLOCK + v] = e * e
        w[rows.TSS * BLOCK + v] = 0.0
        w[rows.PREVIOUS * BLOCK + v] = 0.0
        w[rows.PHI * BLOCK + v] = w[rows.AMPLITUDE * BLOCK + v]
    i = 1
    while (n - i) % 4 != 0:
        part = y[i * BLOCK : (i + 1) * BLOCK]
        for v in range(BLOCK):
            model = w[rows.PHI * BLOCK + v] * w[rows.STEP * BLOCK + v]
            e = part[v] - model
            d = part[v] - y[v]
            w[rows.PHI * BLOCK + v] = model
            w[rows.RSS * BLOCK + v] += e * e
            w[rows.PREVIOUS * BLOCK + v] += d
            w[rows.TSS * BLOCK + v] += d * d
        i += 1
    while i < n:
        part = y[i * BLOCK : (i + 4) * BLOCK]
        for v in range(BLOCK):
            x = w[rows.STEP * BLOCK + v]
            first = y[v]
            model0 = w[rows.PHI * BLOCK + v] * x
            model1 = model0 * x
            model2 = model1 * x
            model3 = model2 * x
            s0 = part[v]
            s1 = part[BLOCK + v]
            s2 = part[2 * BLOCK + v]
            s3 = part[3 * BLOCK + v]
            w[rows.PHI * BLOCK + v] = model3
            e0 = s0 - model0
            e1 = s1 - model1
            e2 = s2 - model2
            e3 = s3 - model3
            w[rows.RSS * BLOCK + v] += (e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3)
            d0 = s0 - first
            d1 = s1 - first
            d2 = s2 - first
            d3 = s3 - first
            w[rows.PREVIOUS * BLOCK + v] += (d0 + d1) + (d2 + d3)
            w[rows.TSS * BLOCK + v] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        i += 4
    inverse_n = 1.0 / n
    for v in range(BLOCK):
        shift = w[rows.PREVIOUS * BLOCK + v]
        w[rows.TSS * BLOCK + v] = max(w[rows.TSS * BLOCK + v] - shift * shift * inverse_n, 0.0)
