"""Blocks of voxels of the compiled R2* fit: rows of scratch, exp and log, filling, reading out.

A block holds `BLOCK` voxels with the echoes as rows, so that every inner loop runs over voxels and
the compiler turns it into vector instructions.  ``exp`` and ``log`` are written out for the same
reason: a call into the mathematics library would keep each loop scalar.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "A0",
    "A1",
    "A2",
    "ACTIVE",
    "AMPLITUDE",
    "B0",
    "B1",
    "B2",
    "BLOCK",
    "CODE",
    "COV",
    "EDGE",
    "HIGH",
    "LIFT",
    "LOW",
    "MANTISSA",
    "OPTIONS",
    "PHI",
    "PREVIOUS",
    "RATE",
    "RATE_MAX",
    "RATE_MIN",
    "RMSE",
    "ROWS",
    "RSS",
    "S0_SE",
    "SCALE",
    "SE",
    "SMALLEST",
    "SMALLEST32",
    "STEP",
    "TSS",
    "exp_block",
    "finish",
    "log_block",
    "normalise",
    "write",
]

# Long enough that starting a loop costs little, short enough for the innermost cache.
BLOCK = 128
# Bounds of the dimensionless rate, rate * (last echo time - first).  A signal that rises by more
# than exp(15) is no decay, and its moments would cancel; one that falls faster leaves float64.
# A rate that ends at a bound (closer than EDGE) has not been found.
RATE_MIN = -15.0
RATE_MAX = 700.0
EDGE = 1e-4
# A quotient below the normal range would have no usable logarithm.
SMALLEST = 2.3e-308
LIFT = 2.0**300
# A quotient below this has no place in float32 with room for products.
SMALLEST32 = 1e-30

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to the nearest integer
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

# Rows of the scratch array.  One array with constant offsets lets the compiler see that the rows
# do not overlap; separate arrays would need a check at run time for every pair.
RATE, LOW, HIGH, ACTIVE = 0, 1, 2, 3
STEP, PHI, MANTISSA = 4, 5, 6
A0, A1, A2, B0, B1, B2 = 7, 8, 9, 10, 11, 12
SCALE, RSS, TSS, AMPLITUDE, SE, PREVIOUS, CODE = 13, 14, 15, 16, 17, 18, 19
S0_SE, COV, RMSE = 20, 21, 22
ROWS = 23

# "contract" allows fused multiply-add only; NaN and infinity keep their meaning.
OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


@njit(**OPTIONS)  # pragma: no cover
def exp_block(w, bits, target, time):
    """Write ``exp(-rate * time)`` for a block; relative error below 5e-16 within +-700."""
    powers = bits.view(np.float64)
    for v in range(BLOCK):
        x = min(max(-w[RATE * BLOCK + v] * time, -700.0), 700.0)
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
        w[MANTISSA * BLOCK + v] = p * r + 1.0
        bits[v] = (np.int64(k) + 1023) << 52
    for v in range(BLOCK):
        w[target * BLOCK + v] = w[MANTISSA * BLOCK + v] * powers[v]


@njit(**OPTIONS)  # pragma: no cover
def log_block(y, row, w, bits, target):
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
        w[MANTISSA * BLOCK + v] = np.float64(k)
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
        k_ln2 = w[MANTISSA * BLOCK + v]
        w[target * BLOCK + v] = k_ln2 * _LN2_HIGH + (k_ln2 * _LN2_LOW + 2.0 * s * p)


@njit(**OPTIONS)  # pragma: no cover
def normalise(y, n, w, codes):
    """Divide every voxel by its largest sample; give bad voxels harmless samples and a code.

    Tells whether all samples have room in float32.
    """
    ok, _, non_finite, non_positive, _ = codes
    for v in range(BLOCK):
        w[SCALE * BLOCK + v] = y[v]
        w[LOW * BLOCK + v] = y[v]
        w[A0 * BLOCK + v] = 0.0
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            s = y[base + v]
            largest = w[SCALE * BLOCK + v]
            smallest = w[LOW * BLOCK + v]
            w[SCALE * BLOCK + v] = s if s > largest else largest
            w[LOW * BLOCK + v] = s if s < smallest else smallest
            # Zero times a finite number is zero; times NaN or infinity it is NaN.
            w[A0 * BLOCK + v] += s * 0.0
    wide = 0
    for v in range(BLOCK):
        finite = w[A0 * BLOCK + v] == 0.0
        smallest = w[LOW * BLOCK + v]
        largest = w[SCALE * BLOCK + v]
        positive = smallest > 0.0
        good = finite & positive
        code = ok if positive else non_positive
        w[CODE * BLOCK + v] = np.float64(code if finite else non_finite)
        w[SCALE * BLOCK + v] = largest if good else np.inf
        # The reciprocal of the very smallest numbers would be infinite; a power of two is exact.
        lift = LIFT if largest < 1.0 / LIFT else 1.0
        w[A1 * BLOCK + v] = lift
        w[A2 * BLOCK + v] = 1.0 / (largest * lift) if good else 0.0
        wide += 1 if good & (smallest < SMALLEST32 * largest) else 0
    for i in range(n):
        base = i * BLOCK
        for v in range(BLOCK):
            s = y[base + v] * w[A1 * BLOCK + v]
            q = s * w[A2 * BLOCK + v]
            # NaN and zero of a bad voxel end here too.
            y[base + v] = q if q > SMALLEST else SMALLEST
    return wide == 0


@njit(**OPTIONS)  # pragma: no cover
def finish(w, bits, n, start, span, largest, codes):
    """Turn the dimensionless results into 1/s and signal units; NaN where there is no fit."""
    ok, _, _, _, not_converged = codes
    exp_block(w, bits, STEP, -start / span)
    for v in range(BLOCK):
        rate = w[RATE * BLOCK + v]
        code = w[CODE * BLOCK + v]
        s0 = w[SCALE * BLOCK + v] * (w[AMPLITUDE * BLOCK + v] * w[STEP * BLOCK + v])
        settled = (
            (w[ACTIVE * BLOCK + v] == 0.0)
            & (rate > RATE_MIN + EDGE)
            & (rate < RATE_MAX - EDGE)
            # The amplitude can leave the range of the output type, never that of float64.
            & (s0 <= largest)
        )
        good = settled & (code == ok)
        w[CODE * BLOCK + v] = not_converged if (code == ok) & (not settled) else code
        w[RATE * BLOCK + v] = rate / span if good else np.nan
        w[AMPLITUDE * BLOCK + v] = s0 if good else np.nan
        error = w[SE * BLOCK + v] if good else np.nan
        w[SE * BLOCK + v] = error / span
        # Mean and spread of the echo times, from the excitation on, under the weights of the fit.
        inverse = 1.0 / w[B0 * BLOCK + v]
        inner = w[B1 * BLOCK + v] * inverse
        spread = max(w[B2 * BLOCK + v] * inverse - inner * inner, 0.0)
        mean = inner + start / span
        w[S0_SE * BLOCK + v] = s0 * error * np.sqrt(spread + mean * mean)
        w[COV * BLOCK + v] = s0 * error * error * mean / span
        rss = w[RSS * BLOCK + v]
        enough = good & (n > 2)
        w[RMSE * BLOCK + v] = w[SCALE * BLOCK + v] * np.sqrt(rss / n) if enough else np.nan
        total = w[TSS * BLOCK + v]
        r2 = 1.0 - rss / total
        w[RSS * BLOCK + v] = r2 if (total > 0.0) & enough else np.nan


@njit(**OPTIONS)  # pragma: no cover
def write(output, w, members, first, filled):
    """Put one row of results into its output."""
    if members.size == 0:
        part = output[first : first + filled]
        for v in range(filled):
            part[v] = w[v]
    else:
        for v in range(filled):
            output[members[v]] = w[v]
