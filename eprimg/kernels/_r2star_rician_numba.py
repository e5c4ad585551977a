"""Compiled first-moment fit under magnitude noise; import only when it is used.

Most voxels take the quick way of `_r2star_rician_quick_numba`; the rest takes the same steps as
`_r2star_rician_numpy`, voxel by voxel.  Coverage cannot see compiled lines (hence
the pragmas): the tests compare every result with the numpy path.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels import _r2star_rician_block_numba as rows
from eprimg.kernels import _r2star_rician_quick_numba as quick
from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS

__all__ = ["fit_chunk"]

MAX_ITERATIONS = 200
TOLERANCE = 1e-5
RATE_MIN = -15.0
FALL_MAX = 8.0
LOG_LOW = -40.0
DAMPING = 1e-3
OK, NOT_CONVERGED, AT_BOUND = 0, 1, 2


@njit(**OPTIONS)  # pragma: no cover
def _decay(tau, even, log_amplitude, rate, u):
    """Write ``exp(log_amplitude - rate tau)``."""
    n = tau.size
    u[0] = np.exp(log_amplitude)
    if even:
        step = np.exp(-rate * tau[1])
        for i in range(1, n):
            u[i] = u[i - 1] * step
    else:
        for i in range(1, n):
            u[i] = u[0] * np.exp(-rate * tau[i])


@njit(inline="always", **OPTIONS)  # pragma: no cover
def _mean(u, cubics, per_unit, reach, n_coils):
    """``m(u)`` and its first two derivatives."""
    if u < reach:
        place = u * per_unit
        piece = min(int(place), cubics.shape[0] - 1)
        t = place - piece
        c0, c1 = cubics[piece, 0], cubics[piece, 1]
        c2, c3 = cubics[piece, 2], cubics[piece, 3]
        return (
            ((c3 * t + c2) * t + c1) * t + c0,
            ((3.0 * c3 * t + 2.0 * c2) * t + c1) * per_unit,
            (6.0 * c3 * t + 2.0 * c2) * per_unit * per_unit,
        )
    b = n_coils - 0.5
    inverse = 1.0 / u
    square = inverse * inverse
    p, q = 0.5 * b * (b - 1.0), 0.5 * b * (b - 1.0) * (b - 2.0)
    return (
        u + inverse * (b - square * (p - square * q)),
        1.0 - square * (b - square * (3.0 * p - 5.0 * square * q)),
        inverse * square * (2.0 * b - 12.0 * square * p),
    )


@njit(**OPTIONS)  # pragma: no cover
def _moments(y, tau, u, cubics, per_unit, reach, n_coils):
    """Cost, and the five sums of the Newton system (Gauss-Newton where Newton is not convex)."""
    cost = g0 = g1 = n00 = n01 = n11 = q00 = q01 = q11 = 0.0
    for i in range(tau.size):
        value, slope, bend = _mean(u[i], cubics, per_unit, reach, n_coils)
        t = tau[i]
        residual = y[i] - value
        pull = slope * u[i]
        gauss = pull * pull
        newton = gauss - residual * (bend * u[i] * u[i] + pull)
        cost += residual * residual
        g0 += pull * residual
        g1 -= pull * residual * t
        n00 += newton
        n01 -= newton * t
        n11 += newton * t * t
        q00 += gauss
        q01 -= gauss * t
        q11 += gauss * t * t
    if n00 > 0.0 and n00 * n11 - n01 * n01 > 0.0:
        return cost, g0, g1, n00, n01, n11
    return cost, g0, g1, q00, q01, q11


@njit(**OPTIONS)  # pragma: no cover
def _covariance(y, tau, u, cubics, per_unit, reach, n_coils, out):
    """Covariance of an unweighted fit of samples of unequal variance, scaled by the residuals."""
    n = tau.size
    b = n_coils - 0.5
    cost = scaled = h00 = h01 = h11 = k00 = k01 = k11 = 0.0
    for i in range(n):
        value, slope, _ = _mean(u[i], cubics, per_unit, reach, n_coils)
        if u[i] < reach:
            variance = 2.0 * n_coils + u[i] * u[i] - value * value
        else:
            variance = 1.0 - b / (u[i] * u[i])
        t = tau[i]
        residual = y[i] - value
        gauss = slope * u[i] * slope * u[i]
        cost += residual * residual
        scaled += residual * residual / variance
        h00 += gauss
        h01 -= gauss * t
        h11 += gauss * t * t
        k00 += gauss * variance
        k01 -= gauss * variance * t
        k11 += gauss * variance * t * t
    scale = scaled / (n - 2) if n > 2 else np.nan
    inverse = 1.0 / (h00 * h11 - h01 * h01)
    i00, i01, i11 = h11 * inverse, -h01 * inverse, h00 * inverse
    out[0] = scale * (i00 * i00 * k00 + 2.0 * i00 * i01 * k01 + i01 * i01 * k11)
    out[1] = scale * (i00 * i01 * k00 + (i00 * i11 + i01 * i01) * k01 + i01 * i11 * k11)
    out[2] = scale * (i01 * i01 * k00 + 2.0 * i01 * i11 * k01 + i11 * i11 * k11)
    out[3] = cost


@njit(**OPTIONS)  # pragma: no cover
def _fit_row(y, tau, even, table, best_a, best_r, u, out):
    """Fit one voxel step by step, each taken only if it goes down; covariance and cost into out."""
    cubics, per_unit, reach, n_coils = table
    top = FALL_MAX / tau[1]
    stride = 1.0 / tau[1]
    best_r = min(max(best_r, RATE_MIN), top)
    trial_a, trial_r = best_a, best_r
    cost = np.inf
    damping = DAMPING
    g0 = g1 = h00 = h01 = h11 = 0.0
    done = False
    for _ in range(MAX_ITERATIONS):
        _decay(tau, even, trial_a, trial_r, u)
        c, t0, t1, t00, t01, t11 = _moments(y, tau, u, cubics, per_unit, reach, n_coils)
        done = (
            abs(trial_a - best_a) <= TOLERANCE
            and abs(trial_r - best_r) <= TOLERANCE * (1.0 + abs(best_r))
            and np.isfinite(cost)
        )
        if c <= cost:
            cost, best_a, best_r = c, trial_a, trial_r
            g0, g1, h00, h01, h11 = t0, t1, t00, t01, t11
            damping *= 0.1
            if damping < 1e-12:
                damping = 0.0
        else:
            damping = min(damping * 10.0, 1e12) if damping > 0.0 else DAMPING
        if done:
            break
        a = h00 * (1.0 + damping)
        d = h11 * (1.0 + damping)
        det = a * d - h01 * h01
        move_a = (d * g0 - h01 * g1) / det
        move_r = (a * g1 - h01 * g0) / det
        if not (np.isfinite(move_a) and np.isfinite(move_r)):
            move_a = move_r = 0.0
        trial_a = max(best_a + min(max(move_a, -1.0), 1.0), LOG_LOW)
        trial_r = min(max(best_r + min(max(move_r, -stride), stride), RATE_MIN), top)
    if trial_a != best_a or trial_r != best_r:
        _decay(tau, even, best_a, best_r, u)
    _covariance(y, tau, u, cubics, per_unit, reach, n_coils, out)
    wrong = not done or best_r <= RATE_MIN + 1e-4 or best_a <= LOG_LOW
    if not np.isfinite(cost):
        return best_a, best_r, NOT_CONVERGED
    if best_r >= top * (1.0 - 1e-6):
        return best_a, best_r, AT_BOUND
    return best_a, best_r, NOT_CONVERGED if wrong else OK


@njit(**OPTIONS)  # pragma: no cover
def _look_again(y, tau, even, table, w, filled, u, results, codes):
    """Fit the voxels of a block that the quick way gave up, one by one."""
    n = tau.size
    samples = np.empty(n)
    for v in range(filled):
        w[rows.REASON * BLOCK + v] = codes[OK]
        if w[quick.GOOD * BLOCK + v] > 0.0:
            continue
        for i in range(n):
            samples[i] = y[i * BLOCK + v]
        rate = w[rows.START * BLOCK + v]
        log_amplitude = np.log(w[rows.START_AMPLITUDE * BLOCK + v])
        if not np.isfinite(log_amplitude):
            # Without a plain fit: the first echo lies above the noise, or it would not be here.
            rate, log_amplitude = 1.0, np.log(samples[0])
        log_amplitude, rate, status = _fit_row(
            samples, tau, even, table, log_amplitude, rate, u, results
        )
        w[quick.AMPLITUDE * BLOCK + v] = np.exp(log_amplitude)
        w[quick.RATE * BLOCK + v] = rate
        w[rows.V_AA * BLOCK + v] = results[0]
        w[rows.V_AR * BLOCK + v] = results[1]
        w[rows.V_RR * BLOCK + v] = results[2]
        w[rows.COST * BLOCK + v] = results[3]
        w[quick.GOOD * BLOCK + v] = 1.0 if status == OK else 0.0
        w[rows.REASON * BLOCK + v] = codes[status]


@njit(**OPTIONS)  # pragma: no cover
def fit_chunk(
    signal, times, even, sigma, table, polynomial, values, n_echoes, reason, fitted, codes
):
    """Fit the mean magnitude to all echoes of the voxels that have a plain fit or none at all.

    Parameters
    ----------
    signal, values, n_echoes, reason
        As in `eprimg.kernels._r2star_numba.fit_chunk`; the results of the plain fit stand there.
    times : ndarray of float64, shape (n_echoes,)
        Echo times in seconds.
    even : bool
        The echoes are evenly spaced, so that powers replace exponentials.
    sigma : ndarray of float64, shape (n_voxels,)
        Noise per channel, in the unit of the signal.
    table : MagnitudeTable
        Mean of the magnitude.
    polynomial : MagnitudePolynomial
        The same for the quick way.
    fitted : tuple of int
        Reasons of voxels that are looked at.
    codes : tuple of int
        Reason codes OK, NOT_CONVERGED and AT_BOUND, in the order of the constants above.
    """
    n_voxels, n = signal.shape
    start, span = times[0], times[n - 1] - times[0]
    tau = (times - start) / span
    tau32 = tau.astype(np.float32)
    coarse, fine, centre, n_coils = polynomial
    stride, top = np.float32(1.0 / tau[1]), np.float32(FALL_MAX / tau[1])
    centre32, n_coils32 = np.float32(centre), np.float32(n_coils)
    y, y32 = np.ones(n * BLOCK), np.ones(n * BLOCK, np.float32)
    w, w32 = np.ones(rows.ROWS * BLOCK), np.ones(quick.ROWS32 * BLOCK, np.float32)
    bits = np.empty(BLOCK, np.int64)
    u, results = np.empty(n), np.empty(4)
    members = np.empty(BLOCK, np.int64)
    outputs = (values, n_echoes, reason)
    r2star, s0 = values[0], values[1]
    filled = 0
    for voxel in range(n_voxels):
        if reason[voxel] == fitted[0] or reason[voxel] == fitted[1]:
            members[filled] = voxel
            filled += 1
        if filled == 0 or (filled < BLOCK and voxel < n_voxels - 1):
            continue
        for v in range(filled):
            noise = sigma[members[v]]
            inverse = 1.0 / noise
            for i in range(n):
                y[i * BLOCK + v] = signal[members[v], i] * inverse
            w[rows.NOISE * BLOCK + v] = noise
            w[quick.RATE * BLOCK + v] = r2star[members[v]] * span
            w[quick.AMPLITUDE * BLOCK + v] = s0[members[v]] * inverse
        rows.begin(w, bits, start / span, top)
        quick.descend(
            y,
            y32,
            tau32,
            even,
            w,
            w32,
            coarse,
            centre32,
            n_coils32,
            stride,
            top,
        )
        rows.finish(y, tau, even, w, bits, fine, centre, n_coils)
        _look_again(y, tau, even, table, w, filled, u, results, codes)
        rows.put(w, bits, n, start, span, codes[OK], codes[NOT_CONVERGED], members, filled, outputs)
        filled = 0
