"""Blocks of voxels of the compiled first-moment fit: begin, finish in float64, write.

Most of the way is gone in float32 (`_r2star_rician_quick_numba`); the float64 steps here, with a
fine polynomial of the mean magnitude, then finish every voxel, so the result has their accuracy.
A voxel that the quick way gave up is left to the careful loop of `_r2star_rician_numba`, from its
first start as if nothing had happened.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels import _r2star_block_numba as block
from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS, exp_block, write
from eprimg.kernels._r2star_rician_quick_numba import (
    AMPLITUDE,
    GOOD,
    I00,
    I01,
    I11,
    RATE,
    RATE_LOW,
    horner4,
)

__all__ = [
    "COST",
    "NOISE",
    "REASON",
    "ROWS",
    "START",
    "START_AMPLITUDE",
    "V_AA",
    "V_AR",
    "V_RR",
    "begin",
    "finish",
    "put",
]

# Longest float64 steps: beyond the first float32 did not arrive; the errors belong to the place
# before the last, and must not notice it.
FIRST_STEP, LAST_STEP = 1e-4, 3e-7
# Rows of the float64 scratch array; what the quick way fills is named there.
STEP, U = block.STEP, 8
G0, G1, COST, SCALED, SUM, TOTAL = 9, 10, 11, 12, 13, 14
H00, H01, H11, K00, K01, K11 = 16, 17, 18, 19, 20, 21
V_AA, V_AR, V_RR = 25, 26, 27
START, START_AMPLITUDE, NOISE, REASON = 28, 29, 30, 31
ROWS = 32


@njit(**OPTIONS)  # pragma: no cover
def begin(w, bits, share, top):
    """Turn the plain fit into a start; where there is none, or a hopeless one, the signal is 0.

    Parameters
    ----------
    w : ndarray of float64, shape (ROWS * BLOCK,)
        Rows RATE and AMPLITUDE hold the dimensionless rate and the signal of the excitation over
        the noise; the latter becomes that of the first echo.  Both are kept in rows START and
        START_AMPLITUDE.
    bits : ndarray of int64, shape (BLOCK,)
        Scratch.
    share : float
        First echo time over the distance of the first and the last.
    top : float32
        Upper bound of the rate.
    """
    for v in range(BLOCK):
        rate = w[RATE * BLOCK + v]
        amplitude = w[AMPLITUDE * BLOCK + v]
        known = (abs(rate) < np.inf) & (amplitude < np.inf)
        w[RATE * BLOCK + v] = rate if known else 1.0
        w[AMPLITUDE * BLOCK + v] = amplitude if known else 0.0
    exp_block(w, bits, STEP, share)
    for v in range(BLOCK):
        rate = w[RATE * BLOCK + v]
        amplitude = w[AMPLITUDE * BLOCK + v] * w[STEP * BLOCK + v]
        w[START * BLOCK + v] = rate
        w[START_AMPLITUDE * BLOCK + v] = amplitude
        w[AMPLITUDE * BLOCK + v] = amplitude if (rate < top) & (rate > RATE_LOW) else 0.0


@njit(**OPTIONS)  # pragma: no cover
def _fine(a, c, centre):
    """Return the mean, its slope times the signal, and the variance less ``2 N``."""
    inverse = 1.0 / (a + centre)
    x = (a - centre) * inverse
    p, d = horner4(c[20], 0.0, x, c[19], c[18], c[17], c[16])
    p, d = horner4(p, d, x, c[15], c[14], c[13], c[12])
    p, d = horner4(p, d, x, c[11], c[10], c[9], c[8])
    p, d = horner4(p, d, x, c[7], c[6], c[5], c[4])
    p, d = horner4(p, d, x, c[3], c[2], c[1], c[0])
    mean = np.sqrt(a + p)
    return mean, a * (1.0 + d * (2.0 * centre) * inverse * inverse) / mean, -p


@njit(**OPTIONS)  # pragma: no cover
def _begin(tau, even, w, bits):
    """Set the sums of a pass to zero and the signal to that of the first echo."""
    for v in range(BLOCK):
        w[U * BLOCK + v] = w[AMPLITUDE * BLOCK + v]
        w[G0 * BLOCK + v] = 0.0
        w[G1 * BLOCK + v] = 0.0
    if even:
        exp_block(w, bits, STEP, tau[1])


@njit(**OPTIONS)  # pragma: no cover
def _signal_at(time, w, bits):
    exp_block(w, bits, STEP, time)
    for v in range(BLOCK):
        w[U * BLOCK + v] = w[AMPLITUDE * BLOCK + v] * w[STEP * BLOCK + v]


@njit(**OPTIONS)  # pragma: no cover
def _gradient(y, tau, even, w, bits, c, centre):
    _begin(tau, even, w, bits)
    for i in range(tau.size):
        t = tau[i]
        if not even:
            _signal_at(t, w, bits)
        part = y[i * BLOCK : (i + 1) * BLOCK]
        for v in range(BLOCK):
            u = w[U * BLOCK + v]
            mean, pull, _ = _fine(u * u, c, centre)
            drive = pull * (part[v] - mean)
            w[G0 * BLOCK + v] += drive
            w[G1 * BLOCK + v] -= drive * t
            w[U * BLOCK + v] = u * w[STEP * BLOCK + v]


@njit(**OPTIONS)  # pragma: no cover
def _all_sums(y, tau, even, w, bits, c, centre, power):
    """Sum the gradient and what the errors need; `power` is the mean square of pure noise."""
    _begin(tau, even, w, bits)
    for v in range(BLOCK):
        w[COST * BLOCK + v] = 0.0
        w[SCALED * BLOCK + v] = 0.0
        w[H00 * BLOCK + v] = 0.0
        w[H01 * BLOCK + v] = 0.0
        w[H11 * BLOCK + v] = 0.0
        w[K00 * BLOCK + v] = 0.0
        w[K01 * BLOCK + v] = 0.0
        w[K11 * BLOCK + v] = 0.0
        w[SUM * BLOCK + v] = 0.0
        w[TOTAL * BLOCK + v] = 0.0
    for i in range(tau.size):
        t = tau[i]
        if not even:
            _signal_at(t, w, bits)
        part = y[i * BLOCK : (i + 1) * BLOCK]
        for v in range(BLOCK):
            u = w[U * BLOCK + v]
            mean, pull, less = _fine(u * u, c, centre)
            variance = power + less
            residual = part[v] - mean
            drive = pull * residual
            gauss = pull * pull
            spread = gauss * variance
            w[COST * BLOCK + v] += residual * residual
            w[SCALED * BLOCK + v] += residual * residual / variance
            w[G0 * BLOCK + v] += drive
            w[G1 * BLOCK + v] -= drive * t
            w[H00 * BLOCK + v] += gauss
            w[H01 * BLOCK + v] -= gauss * t
            w[H11 * BLOCK + v] += gauss * t * t
            w[K00 * BLOCK + v] += spread
            w[K01 * BLOCK + v] -= spread * t
            w[K11 * BLOCK + v] += spread * t * t
            w[U * BLOCK + v] = u * w[STEP * BLOCK + v]
        for v in range(BLOCK):
            # About the first sample, and then moved to the mean: nothing cancels.
            off = part[v] - y[v]
            w[SUM * BLOCK + v] += off
            w[TOTAL * BLOCK + v] += off * off


@njit(**OPTIONS)  # pragma: no cover
def _last_step(w, longest):
    """Make a step with the curvature of float32; give up where it is longer than `longest`."""
    for v in range(BLOCK):
        g0 = w[G0 * BLOCK + v]
        g1 = w[G1 * BLOCK + v]
        move_a = w[I00 * BLOCK + v] * g0 + w[I01 * BLOCK + v] * g1
        move_r = w[I01 * BLOCK + v] * g0 + w[I11 * BLOCK + v] * g1
        rate = w[RATE * BLOCK + v]
        near = (abs(move_a) <= longest) & (abs(move_r) <= longest * (1.0 + abs(rate)))
        w[GOOD * BLOCK + v] = w[GOOD * BLOCK + v] if near else 0.0
        w[AMPLITUDE * BLOCK + v] *= 1.0 + (move_a if near else 0.0)
        w[RATE * BLOCK + v] = rate + (move_r if near else 0.0)


@njit(**OPTIONS)  # pragma: no cover
def finish(y, tau, even, w, bits, coefficients, centre, n_coils):
    """Make the last steps in float64, and the covariance.

    Parameters
    ----------
    y, w, centre, n_coils
        As in `descend`, where the rows of `w` come from, in float64.
    tau : ndarray of float64, shape (n_echoes,)
        Echo times shifted and scaled to 0..1.
    even : bool
        The echoes are evenly spaced.
    bits : ndarray of int64, shape (BLOCK,)
        Scratch.
    coefficients : tuple of float, length 21
        Fine polynomial of the mean magnitude.
    """
    n = tau.size
    _gradient(y, tau, even, w, bits, coefficients, centre)
    _last_step(w, FIRST_STEP)
    _all_sums(y, tau, even, w, bits, coefficients, centre, 2.0 * n_coils)
    _last_step(w, LAST_STEP)
    freedom = 1.0 / (n - 2) if n > 2 else np.nan
    inverse_n = 1.0 / n
    for v in range(BLOCK):
        scale = w[SCALED * BLOCK + v] * freedom
        h00 = w[H00 * BLOCK + v]
        h01 = w[H01 * BLOCK + v]
        h11 = w[H11 * BLOCK + v]
        k00 = w[K00 * BLOCK + v]
        k01 = w[K01 * BLOCK + v]
        k11 = w[K11 * BLOCK + v]
        inverse = 1.0 / (h00 * h11 - h01 * h01)
        i00 = h11 * inverse
        i01 = -h01 * inverse
        i11 = h00 * inverse
        w[V_AA * BLOCK + v] = scale * (i00 * i00 * k00 + 2.0 * i00 * i01 * k01 + i01 * i01 * k11)
        w[V_AR * BLOCK + v] = scale * (
            i00 * i01 * k00 + (i00 * i11 + i01 * i01) * k01 + i01 * i11 * k11
        )
        w[V_RR * BLOCK + v] = scale * (i01 * i01 * k00 + 2.0 * i01 * i11 * k01 + i11 * i11 * k11)
        shift = w[SUM * BLOCK + v]
        w[TOTAL * BLOCK + v] = max(w[TOTAL * BLOCK + v] - shift * shift * inverse_n, 0.0)


@njit(**OPTIONS)  # pragma: no cover
def put(w, bits, n, start, span, ok, not_converged, members, filled, outputs):
    """Write a block in 1/s and signal units; NaN where there is no fit.

    Parameters
    ----------
    w, bits
        As in `finish`; row REASON holds the codes.
    n : int
        Number of echoes.
    start, span : float
        First echo time, and last minus first, in seconds.
    ok, not_converged : int
        Codes of the reasons.
    members : ndarray of int64, shape (BLOCK,)
        Places of the voxels.
    filled : int
        How many there are.
    outputs : tuple
        ``values``, ``n_echoes`` and ``reason`` of `eprimg.kernels._r2star_numba.fit_chunk`.
    """
    values, n_echoes, reason = outputs
    r2star, s0, se, r2, s0_se, cov, rmse = values
    largest = np.float64(np.finfo(r2star.dtype).max)
    share = start / span
    inverse_n = 1.0 / n
    few = np.nan if n == 2 else 0.0
    exp_block(w, bits, STEP, -share)
    for v in range(BLOCK):
        noise = w[NOISE * BLOCK + v]
        signal = noise * w[AMPLITUDE * BLOCK + v] * w[STEP * BLOCK + v]
        # The signal can leave the range of the output type, never that of float64.
        good = (w[GOOD * BLOCK + v] > 0.0) & (signal <= largest)
        v_aa = w[V_AA * BLOCK + v]
        v_ar = w[V_AR * BLOCK + v]
        v_rr = w[V_RR * BLOCK + v]
        cost = w[COST * BLOCK + v]
        total = w[TOTAL * BLOCK + v]
        code = w[REASON * BLOCK + v]
        w[REASON * BLOCK + v] = not_converged if (code == ok) & (not good) else code
        w[G0 * BLOCK + v] = w[RATE * BLOCK + v] / span if good else np.nan
        w[G1 * BLOCK + v] = signal if good else np.nan
        w[H00 * BLOCK + v] = np.sqrt(v_rr) / span if good else np.nan
        w[H01 * BLOCK + v] = 1.0 - cost / total + few if good & (total > 0.0) else np.nan
        spread = np.sqrt(v_aa + 2.0 * share * v_ar + share * share * v_rr)
        w[H11 * BLOCK + v] = signal * spread if good else np.nan
        w[K00 * BLOCK + v] = signal * (v_ar + share * v_rr) / span if good else np.nan
        w[K01 * BLOCK + v] = noise * np.sqrt(cost * inverse_n) + few if good else np.nan
        w[K11 * BLOCK + v] = n if good else 0
    write(r2star, w[G0 * BLOCK :], members, 0, filled)
    write(s0, w[G1 * BLOCK :], members, 0, filled)
    write(se, w[H00 * BLOCK :], members, 0, filled)
    write(r2, w[H01 * BLOCK :], members, 0, filled)
    write(s0_se, w[H11 * BLOCK :], members, 0, filled)
    write(cov, w[K00 * BLOCK :], members, 0, filled)
    write(rmse, w[K01 * BLOCK :], members, 0, filled)
    write(n_echoes, w[K11 * BLOCK :], members, 0, filled)
    write(reason, w[REASON * BLOCK :], members, 0, filled)
