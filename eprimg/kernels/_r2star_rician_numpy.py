"""Array version of the first-moment fit under magnitude noise, reference of the compiled one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._r2star_magnitude import MagnitudeTable, mean_magnitude, variance_of_magnitude

__all__ = ["fit_rows"]

# Repeated in the compiled version for the reason given in `_r2star_numpy`; a test compares them.
MAX_ITERATIONS = 200
# Newton's steps shrink quadratically: after one of this size the rest is about 1e-9.
TOLERANCE = 1e-5
RATE_MIN = -15.0
# Largest rate times the distance of the first two echoes: 1/3000 would be left at the second.
FALL_MAX = 8.0
LOG_LOW = -40.0
DAMPING = 1e-3
OK, NOT_CONVERGED, AT_BOUND = 0, 1, 2


def fit_rows(
    z: NDArray[np.float64],
    tau: NDArray[np.float64],
    table: MagnitudeTable,
    log_amplitude: NDArray[np.float64],
    rate: NDArray[np.float64],
    results: NDArray[np.float64],
    status: NDArray[np.uint8],
) -> None:
    """Fit ``m(exp(log_amplitude - rate tau))`` to every row in place, from the given start.

    Parameters
    ----------
    z : ndarray of float64, shape (n_rows, n_echoes)
        Samples over the noise of their voxel.
    tau : ndarray of float64, shape (n_echoes,)
        Echo times shifted and scaled to 0..1.
    table : MagnitudeTable
        Mean of the magnitude.
    log_amplitude, rate : ndarray of float64, shape (n_rows,)
        Start and result.
    results : ndarray of float64, shape (n_rows, 4)
        Variances of the logarithm, covariance with the rate, variance of the rate, and the sum of
        squared residuals (all dimensionless).
    status : ndarray of uint8, shape (n_rows,)
        OK, NOT_CONVERGED or AT_BOUND.
    """
    top, stride = FALL_MAX / tau[1], 1.0 / tau[1]
    rate[:] = np.clip(rate, RATE_MIN, top)
    cost = np.full(rate.shape, np.inf)
    damping = np.full(rate.shape, DAMPING)
    trial_a, trial_r = log_amplitude.copy(), rate.copy()
    system = np.zeros((5, rate.size))
    active = np.ones(rate.shape, np.bool_)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            trial_cost, trial_system = _moments(z, tau, table, trial_a, trial_r)
            better = active & (trial_cost <= cost)
            step = np.abs(trial_a - log_amplitude), np.abs(trial_r - rate)
            small = (step[0] <= TOLERANCE) & (step[1] <= TOLERANCE * (1.0 + np.abs(rate)))
            done = active & small & np.isfinite(cost)
            cost = np.where(better, trial_cost, cost)
            system = np.where(better, trial_system, system)
            log_amplitude[better], rate[better] = trial_a[better], trial_r[better]
            damping = np.where(better, damping * 0.1, np.minimum(damping * 10.0, 1e12))
            damping = np.where(damping < 1e-12, 0.0, damping)
            damping = np.where(better | (damping > 0.0), damping, DAMPING)
            active &= ~done
            if not active.any():
                break
            g0, g1, h00, h01, h11 = system
            h00, h11 = h00 * (1.0 + damping), h11 * (1.0 + damping)
            det = h00 * h11 - h01 * h01
            move_a, move_r = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
            usable = np.isfinite(move_a) & np.isfinite(move_r)
            move_a = np.clip(np.where(usable, move_a, 0.0), -1.0, 1.0)
            move_r = np.clip(np.where(usable, move_r, 0.0), -stride, stride)
            trial_a = np.maximum(log_amplitude + move_a, LOG_LOW)
            trial_r = np.clip(rate + move_r, RATE_MIN, top)
    _finish(z, tau, table, log_amplitude, rate, results)
    at_top = rate >= top * (1.0 - 1e-6)
    wrong = active | (rate <= RATE_MIN + 1e-4) | (log_amplitude <= LOG_LOW)
    wrong |= ~np.isfinite(cost)
    status[:] = np.where(at_top & np.isfinite(cost), AT_BOUND, np.where(wrong, NOT_CONVERGED, OK))


def _moments(
    z: NDArray[np.float64],
    tau: NDArray[np.float64],
    table: MagnitudeTable,
    log_amplitude: NDArray[np.float64],
    rate: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cost, and the five sums of the Newton system (Gauss-Newton where Newton is not convex)."""
    u = np.exp(log_amplitude)[:, None] * np.exp(-rate[:, None] * tau)
    value, slope, bend = mean_magnitude(u, table)
    residual = z - value
    pull = slope * u
    gauss = pull * pull
    newton = gauss - residual * (bend * u * u + pull)
    drive = pull * residual
    g0, g1 = drive.sum(axis=1), -(drive * tau).sum(axis=1)
    sums = [(w * tau**k).sum(axis=1) for w in (newton, gauss) for k in (0, 1, 2)]
    convex = (sums[0] > 0.0) & (sums[0] * sums[2] - sums[1] * sums[1] > 0.0)
    h00, h01, h11 = (np.where(convex, sums[k], sums[k + 3]) for k in range(3))
    return (residual * residual).sum(axis=1), np.stack((g0, g1, h00, -h01, h11))


def _finish(
    z: NDArray[np.float64],
    tau: NDArray[np.float64],
    table: MagnitudeTable,
    log_amplitude: NDArray[np.float64],
    rate: NDArray[np.float64],
    results: NDArray[np.float64],
) -> None:
    """Covariance of an unweighted fit of samples of unequal variance, scaled by the residuals."""
    with np.errstate(all="ignore"):
        u = np.exp(log_amplitude)[:, None] * np.exp(-rate[:, None] * tau)
        value, slope, _ = mean_magnitude(u, table)
        variance = variance_of_magnitude(u, value, table)
        square = (z - value) ** 2
        freedom = float(tau.size - 2) if tau.size > 2 else np.nan
        scale = (square / variance).sum(axis=1) / freedom
        gauss = (slope * u) ** 2
        h00, h01, h11 = ((gauss * tau**k).sum(axis=1) for k in range(3))
        k00, k01, k11 = ((gauss * variance * tau**k).sum(axis=1) for k in range(3))
        h01, k01 = -h01, -k01
        det = h00 * h11 - h01 * h01
        i00, i01, i11 = h11 / det, -h01 / det, h00 / det
        results[:, 0] = scale * (i00 * i00 * k00 + 2.0 * i00 * i01 * k01 + i01 * i01 * k11)
        results[:, 1] = scale * (i00 * i01 * k00 + (i00 * i11 + i01 * i01) * k01 + i01 * i11 * k11)
        results[:, 2] = scale * (i01 * i01 * k00 + 2.0 * i01 * i11 * k01 + i11 * i11 * k11)
        results[:, 3] = square.sum(axis=1)
