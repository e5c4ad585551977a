"""The fat-water signal model, solved for what enters it linearly, and fitted for the rest.

Times are in units of the last echo time, rates and angular frequencies in units of its inverse, so
that every number here is of order one to a hundred.  With ``e = exp((i w - r) t)``:

``s = exp(i phase) (W + F c) e``, W, F, phase, w, r real, ``c`` the signal of pure fat at w = r = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Linear", "Nonlinear", "design", "normal", "project", "refine"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_STEPS = 40
_SETTLED = 1e-7
_GOOD_ENOUGH = 1e-4
_LOWEST_RATE = -3.0


class Linear(NamedTuple):
    """Best water, fat and phase for given frequency and rate, and the energy they explain."""

    water: Real
    fat: Real
    phase: Real
    energy: Real


class Nonlinear(NamedTuple):
    """A refined minimum: parameters, residual sum of squares, and how it ended."""

    frequency: Real
    rate: Real
    linear: Linear
    rss: Real
    settled: NDArray[np.bool_]
    at_bound: NDArray[np.bool_]


def normal(rate: Real, times: Real, fat_signal: Complex) -> tuple[Real, Real, Real]:
    """Return the entries WW, WF, FF of the 2x2 normal matrix.

    Parameters
    ----------
    rate : ndarray, shape (n,)
        Decay rates.
    times : ndarray, shape (n_echoes,)
        Echo times.
    fat_signal : ndarray, shape (n_echoes,)
        Signal of pure fat.

    Returns
    -------
    ndarray, shape (n,)
        Three of them.
    """
    decay = np.exp(-2.0 * rate[:, None] * times)
    return (
        decay.sum(axis=1),
        decay @ fat_signal.real,
        decay @ (fat_signal.real**2 + fat_signal.imag**2),
    )


def project(
    samples: Complex, frequency: Real, rate: Real, times: Real, fat_signal: Complex
) -> Linear:
    """Solve for water, fat and their common phase (Bydder et al. 2011).

    Parameters
    ----------
    samples : ndarray, shape (n, n_echoes)
        Complex signal.
    frequency, rate : ndarray, shape (n,)
        Where to solve.
    times, fat_signal : ndarray, shape (n_echoes,)
        Echo times; signal of pure fat.

    Returns
    -------
    Linear
        The phase is the one for which water plus fat is not negative.
    """
    turned = samples * np.exp((-1j * frequency - rate)[:, None] * times)
    b1, b2 = turned.sum(axis=1), turned @ fat_signal.conj()
    m11, m12, m22 = normal(rate, times, fat_signal)
    determinant = m11 * m22 - m12 * m12
    x1, x2 = (m22 * b1 - m12 * b2) / determinant, (m11 * b2 - m12 * b1) / determinant
    q = b1 * x1 + b2 * x2
    energy = 0.5 * ((b1.conj() * x1 + b2.conj() * x2).real + np.abs(q))
    phase = 0.5 * np.angle(q)
    back = np.exp(-1j * phase)
    water, fat = (x1 * back).real, (x2 * back).real
    flip = water + fat < 0.0
    sign = np.where(flip, -1.0, 1.0)
    phase = np.angle(np.exp(1j * (phase + np.pi * flip)))
    return Linear(sign * water, sign * fat, phase, energy)


def design(
    linear: Linear, frequency: Real, rate: Real, times: Real, fat_signal: Complex
) -> tuple[Complex, Complex]:
    """Return the model and its derivatives, both with the phase at every echo taken off.

    Parameters
    ----------
    linear : Linear
        Water, fat and phase.
    frequency, rate : ndarray, shape (n,)
        The other two parameters.
    times, fat_signal : ndarray, shape (n_echoes,)
        Echo times; signal of pure fat.

    Returns
    -------
    model : ndarray, shape (n, n_echoes)
        Signal over ``exp(i (phase + frequency t))``.
    derivatives : ndarray, shape (n, 5, n_echoes)
        With respect to water, fat, phase, frequency, rate.
    """
    decay = np.exp(-rate[:, None] * times)
    fat = decay * fat_signal
    model = linear.water[:, None] * decay + linear.fat[:, None] * fat
    columns = np.empty((len(rate), 5, times.size), dtype=np.complex128)
    columns[:, 0], columns[:, 1], columns[:, 2] = decay, fat, 1j * model
    columns[:, 3] = 1j * times * model
    columns[:, 4] = -times * model
    return model, columns


def refine(
    samples: Complex,
    frequency: Real,
    rate: Real,
    times: Real,
    fat_signal: Complex,
    highest_rate: float,
) -> Nonlinear:
    """Walk from a start to the nearest minimum by damped Gauss-Newton steps.

    Water, fat and phase are solved anew after every step (variable projection), so a step only
    has to find frequency and rate.

    Parameters
    ----------
    samples : ndarray, shape (n, n_echoes)
        Complex signal.
    frequency, rate : ndarray, shape (n,)
        Start.
    times, fat_signal : ndarray, shape (n_echoes,)
        Echo times; signal of pure fat.
    highest_rate : float
        End of the range of rates.

    Returns
    -------
    Nonlinear
        The minima.
    """
    n = len(samples)
    total = (samples.real**2 + samples.imag**2).sum(axis=1)
    w, r = frequency.astype(np.float64), np.clip(rate, _LOWEST_RATE, highest_rate).astype(float)
    best = Linear(*(np.array(x) for x in project(samples, w, r, times, fat_signal)))
    rss = total - best.energy
    damping = np.full(n, 1e-3)
    last = np.full(n, np.inf)
    active = np.arange(n)
    for _ in range(_STEPS):
        if active.size == 0:
            break
        here = Linear(*(x[active] for x in best))
        model, columns = design(here, w[active], r[active], times, fat_signal)
        turn = np.exp(-1j * (here.phase[:, None] + w[active, None] * times))
        residual = samples[active] * turn - model
        hessian = (columns.conj() @ columns.transpose(0, 2, 1)).real
        gradient = (columns.conj() @ residual[:, :, None]).real
        diagonal = np.einsum("nii->ni", hessian)
        diagonal *= 1.0 + damping[active, None]
        diagonal += 1e-14 * total[active, None] + np.finfo(np.float64).tiny
        step = np.linalg.solve(hessian, gradient)[:, 3:, 0]
        step[:, 0] = np.clip(step[:, 0], -2.0, 2.0)
        reach = 1.0 + 0.5 * np.abs(r[active])
        step[:, 1] = np.clip(step[:, 1], -reach, reach)
        new_w = w[active] + step[:, 0]
        new_r = np.clip(r[active] + step[:, 1], _LOWEST_RATE, highest_rate)
        tried = project(samples[active], new_w, new_r, times, fat_signal)
        new_rss = total[active] - tried.energy
        # Equal within rounding counts as accepted: at the minimum, noise of the sum decides.
        good = new_rss <= rss[active] + 1e-14 * total[active]
        size = np.hypot(step[:, 0], new_r - r[active]) / (1.0 + np.abs(r[active]))
        took = active[good]
        w[took], r[took], rss[took] = new_w[good], new_r[good], new_rss[good]
        for kept, new in zip(best, tried, strict=True):
            kept[took] = new[good]
        last[took] = size[good]
        damping[active] = np.where(good, damping[active] * 0.2, damping[active] * 8.0)
        stuck = ~good & (damping[active] > 1e9)
        last[active[stuck]] = np.minimum(last[active[stuck]], size[stuck])
        active = active[~((good & (size < _SETTLED)) | stuck)]
    bound = (r <= _LOWEST_RATE) | (r >= highest_rate)
    return Nonlinear(w, r, best, np.maximum(rss, 0.0), last < _GOOD_ENOUGH, bound)
