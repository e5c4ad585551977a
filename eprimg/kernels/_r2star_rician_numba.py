"""Compiled first-moment fit under magnitude noise; import only when it is used.

The same steps as `_r2star_rician_numpy`, voxel by voxel.  Coverage cannot see compiled lines (hence
the pragmas): the tests compare every result with the numpy path.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eprimg.kernels._r2star_magnitude import MagnitudeTable

__all__ = ["fit_rows"]

MAX_ITERATIONS = 200
TOLERANCE = 1e-5
# After a step below NEAR the next one, when it is below LAST_STEP, is the last.
NEAR, LAST_STEP = 3e-3, 1e-4
RATE_MIN = -15.0
FALL_MAX = 8.0
LOG_LOW = -40.0
DAMPING = 1e-3
OK, NOT_CONVERGED, AT_BOUND = 0, 1, 2

_OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


def fit_rows(
    z: NDArray[np.float64],
    tau: NDArray[np.float64],
    even: bool,
    table: MagnitudeTable,
    log_amplitude: NDArray[np.float64],
    rate: NDArray[np.float64],
    results: NDArray[np.float64],
    status: NDArray[np.uint8],
) -> None:
    """Fit every row in place; arguments as in `_r2star_rician_numpy.fit_rows`.

    Parameters
    ----------
    z, tau, table, log_amplitude, rate, results, status
        As there.
    even : bool
        The echoes are evenly spaced, so that powers replace exponentials.
    """
    cubics, per_unit, reach, n_coils = table
    _fit_rows(z, tau, even, cubics, per_unit, reach, n_coils, log_amplitude, rate, results, status)


@njit(**_OPTIONS)  # pragma: no cover
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


@njit(inline="always", **_OPTIONS)  # pragma: no cover
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


@njit(**_OPTIONS)  # pragma: no cover
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


@njit(**_OPTIONS)  # pragma: no cover
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


@njit(**_OPTIONS)  # pragma: no cover
def _fit_rows(z, tau, even, cubics, per_unit, reach, n_coils, log_amplitude, rate, results, status):
    top = FALL_MAX / tau[1]
    stride = 1.0 / tau[1]
    u = np.empty(tau.size)
    for row in range(z.shape[0]):
        y = z[row]
        best_a, best_r = log_amplitude[row], min(max(rate[row], RATE_MIN), top)
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
            near = abs(trial_a - best_a) <= NEAR and abs(trial_r - best_r) <= NEAR * (
                1.0 + abs(best_r)
            )
            before = cost
            if c <= cost:
                cost, best_a, best_r = c, trial_a, trial_r
                g0, g1, h00, h01, h11 = t0, t1, t00, t01, t11
                damping *= 0.1
                if damping < 1e-12:
                    damping = 0.0
                if near and np.isfinite(before):
                    # Newton's steps shrink as squares: the next one is below the tolerance's reach,
                    # and need not be looked at before it is taken.
                    det = h00 * h11 - h01 * h01
                    move_a = (h11 * g0 - h01 * g1) / det
                    move_r = (h00 * g1 - h01 * g0) / det
                    if (
                        abs(move_a) <= LAST_STEP
                        and abs(move_r) <= LAST_STEP * (1.0 + abs(best_r))
                        and best_r + move_r < top
                    ):
                        best_a += move_a
                        best_r += move_r
                        done = True
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
        log_amplitude[row], rate[row] = best_a, best_r
        if trial_a != best_a or trial_r != best_r:
            _decay(tau, even, best_a, best_r, u)
        _covariance(y, tau, u, cubics, per_unit, reach, n_coils, results[row])
        wrong = not done or best_r <= RATE_MIN + 1e-4 or best_a <= LOG_LOW
        if not np.isfinite(cost):
            status[row] = NOT_CONVERGED
        elif best_r >= top * (1.0 - 1e-6):
            status[row] = AT_BOUND
        else:
            status[row] = NOT_CONVERGED if wrong else OK
