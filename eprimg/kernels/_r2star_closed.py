"""Closed-form R2* estimators: repeated weighted regression, and ARLO for evenly spaced echoes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._r2star_numpy import Estimate, nlls_start

__all__ = ["arlo", "irls"]

_FURTHER_PASSES = 2


def irls(y: NDArray[np.float64], tau: NDArray[np.float64]) -> Estimate:
    """Regression of ``ln y`` weighted by the squared signal, then twice by the squared model.

    Parameters
    ----------
    y : ndarray of float64, shape (n_voxels, n_echoes)
        Positive samples, at most 1.
    tau : ndarray of float64, shape (n_echoes,)
        Echo times shifted and scaled to 0..1.

    Returns
    -------
    Estimate
        With the standard error of non-linear least squares, whose weights these become.
    """
    log_y = np.log(y)
    rate = nlls_start(y, tau)
    for _ in range(_FURTHER_PASSES):
        weight = np.exp(np.clip(-2.0 * rate[:, None] * tau, -700.0, 700.0))
        total = weight.sum(axis=1)
        mean = (weight * tau).sum(axis=1) / total
        level = (weight * log_y).sum(axis=1) / total
        centred = tau - mean[:, None]
        rate = -(weight * centred * log_y).sum(axis=1) / (weight * centred**2).sum(axis=1)
    amplitude = np.exp(level + rate * mean)
    weight = np.exp(np.clip(-2.0 * rate[:, None] * tau, -700.0, 700.0))
    total = weight.sum(axis=1)
    mean = (weight * tau).sum(axis=1) / total
    spread = (weight * (tau - mean[:, None]) ** 2).sum(axis=1) / total
    freedom = max(tau.size - 2, 1)
    error = 1.0 / (amplitude * np.sqrt(freedom * total * spread))
    return Estimate(rate, amplitude, error, mean, spread, np.isfinite(rate), per_residual=True)


def arlo(y: NDArray[np.float64], tau: NDArray[np.float64]) -> Estimate:
    """Rate from integrals of three neighbouring echoes (Simpson) against their differences.

    Parameters
    ----------
    y : ndarray of float64, shape (n_voxels, n_echoes)
        Positive samples, three echoes or more.
    tau : ndarray of float64, shape (n_echoes,)
        Evenly spaced echo times, shifted and scaled to 0..1.

    Returns
    -------
    Estimate
        The errors are those of the samples carried through the formula to first order.
    """
    third = tau[1] / 3.0
    area = third * (y[:, :-2] + 4.0 * y[:, 1:-1] + y[:, 2:])
    fall = y[:, :-2] - y[:, 2:]
    upper = (area * fall).sum(axis=1) + third * (fall * fall).sum(axis=1)
    lower = (area * area).sum(axis=1) + third * (area * fall).sum(axis=1)
    rate = upper / lower
    # d(area) and d(fall) of each sample, carried through the quotient.
    by_area = fall - rate[:, None] * (2.0 * area + third * fall)
    by_fall = area + 2.0 * third * fall - rate[:, None] * third * area
    slope = np.zeros_like(y)
    slope[:, :-2] += third * by_area + by_fall
    slope[:, 1:-1] += 4.0 * third * by_area
    slope[:, 2:] += third * by_area - by_fall
    slope /= lower[:, None]
    phi = np.exp(np.clip(-rate[:, None] * tau, -700.0, 700.0))
    weight = phi * phi
    total = weight.sum(axis=1)
    amplitude = (y * phi).sum(axis=1) / total
    by_rate = (2.0 * amplitude * (weight * tau).sum(axis=1) - (y * phi * tau).sum(axis=1)) / total
    log_slope = (phi / total[:, None] + by_rate[:, None] * slope) / amplitude[:, None]
    variance = (slope * slope).sum(axis=1)
    mean = (slope * log_slope).sum(axis=1) / variance
    spread = (log_slope * log_slope).sum(axis=1) / variance - mean**2
    error = np.sqrt(variance / max(tau.size - 2, 1))
    settled = (lower > 0.0) & np.isfinite(rate) & (amplitude > 0.0)
    return Estimate(rate, amplitude, error, mean, spread, settled, per_residual=True)
