"""All plausible minima of a voxel: a grid over field offset and rate, then refinement."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._fat_water_model import Complex, Real, normal, project, refine

__all__ = ["CANDIDATES", "Candidates", "Search", "search"]

CANDIDATES = 3
"""Minima that are kept per voxel: as a rule the right one and the one with water and fat
exchanged, and with few echoes a third."""

_PEAKS = 5
"""Peaks of the grid that are looked at, since some of them need negative water or fat."""

_SLACK = 0.04
"""Part of a voxel's energy that a minimum may gain between the nearest grid point and its foot."""

_FAR = 80.0
"""A minimum that is worse by more than this many noise variances is not refined."""


class Search(NamedTuple):
    """The grid, and the matrices that bring samples to it.

    Attributes
    ----------
    times, fat_signal : ndarray, shape (n_echoes,)
        As in the model, in its units.
    frequency, rate : ndarray
        Grid axes.
    first, second : ndarray, shape (n_rate, n_frequency, n_echoes)
        Two signals per grid point that span water and fat and are orthonormal (in the real part);
        conjugate, for inner products with the samples.
    circular : bool
        Whether the last frequency neighbours the first.
    highest_rate : float
        End of the range of rates in the refinement.
    """

    times: Real
    fat_signal: Complex
    frequency: Real
    rate: Real
    first: NDArray[np.complex64]
    second: NDArray[np.complex64]
    circular: bool
    highest_rate: float

    @classmethod
    def over(
        cls,
        times: Real,
        fat_signal: Complex,
        reach: float,
        circular: bool,
        highest_rate: float,
    ) -> Search:
        """Lay the grid: a seventh of the width of a minimum, and rates in steps of 1.6.

        Parameters
        ----------
        times, fat_signal : ndarray, shape (n_echoes,)
            Echo times; signal of pure fat.
        reach : float
            Largest angular frequency, to both sides.
        circular : bool
            Whether both ends are one frequency.
        highest_rate : float
            End of the range of rates.

        Returns
        -------
        Search
            The grid.
        """
        step = 2.0 * np.pi / (7.0 * float(times[-1] - times[0]))
        n = int(np.ceil(2.0 * reach / step)) + (0 if circular else 1)
        frequency = np.linspace(-reach, reach, max(n, 8), endpoint=not circular)
        rate = [0.0, 0.3]
        while rate[-1] < 0.5 * highest_rate:
            rate.append(rate[-1] * 1.6)
        rates = np.array(rate)
        m11, m12, m22 = (m[:, None] for m in normal(rates, times, fat_signal))
        decay = np.exp(-rates[:, None] * times)
        first = decay / np.sqrt(m11)
        second = (decay * fat_signal - m12 / m11 * decay) / np.sqrt(m22 - m12**2 / m11)
        turn = np.exp(-1j * frequency[:, None] * times)
        return cls(
            times,
            fat_signal,
            frequency,
            rates,
            (first[:, None] * turn).astype(np.complex64),
            (second.conj()[:, None] * turn).astype(np.complex64),
            circular,
            highest_rate,
        )


class Candidates(NamedTuple):
    """Refined minima, best first; absent ones have an infinite `rss`.

    Attributes
    ----------
    frequency, rate, rss : ndarray, shape (n, CANDIDATES)
        Parameters, and the residual sum of squares with water and fat not negative.
    """

    frequency: Real
    rate: Real
    rss: Real


def _energies(samples: Complex, grid: Search) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return, per frequency and voxel, the most energy that any rate explains, and which rate."""
    data = np.ascontiguousarray(samples.T, dtype=np.complex64)
    shape = (grid.frequency.size, samples.shape[0])
    most = np.full(shape, -np.inf, dtype=np.float32)
    which = np.zeros(shape, dtype=np.uint8)
    for number in range(grid.rate.size):
        # Inner products with two orthogonal signals that span water and fat: the energy is
        # half of |b1|^2 + |b2|^2 + |b1^2 + b2^2|, for water and fat of one phase.
        b1, b2 = grid.first[number] @ data, grid.second[number] @ data
        energy = b1.real**2 + b1.imag**2
        energy += b2.real**2
        energy += b2.imag**2
        b1 *= b1
        b2 *= b2
        b1 += b2
        energy += np.abs(b1)
        better = energy > most
        np.copyto(most, energy, where=better)
        which[better] = number
    most *= 0.5
    return most, which


def _physical_energy(samples: Complex, frequency: Real, rate: Real, grid: Search) -> Real:
    """Return the energy explained, with the worse of water and fat left out where negative."""
    linear = project(samples, frequency, rate, grid.times, grid.fat_signal)
    energy = linear.energy
    odd = (linear.water < 0.0) | (linear.fat < 0.0)
    if odd.any():
        turned = samples[odd] * np.exp((-1j * frequency - rate)[odd, None] * grid.times)
        b1, b2 = turned.sum(axis=1), turned @ grid.fat_signal.conj()
        m11, _, m22 = normal(rate[odd], grid.times, grid.fat_signal)
        alone = np.maximum(np.abs(b1) ** 2 / m11, np.abs(b2) ** 2 / m22)
        energy[odd] = np.minimum(alone, energy[odd])
    return energy


def _starts(samples: Complex, grid: Search) -> tuple[Real, Real, Real]:
    """Return frequency, rate and energy of the best grid peaks, shape (n, CANDIDATES)."""
    n = len(samples)
    rows = np.arange(n)
    energy, which = _energies(samples, grid)
    left, right = np.roll(energy, 1, axis=0), np.roll(energy, -1, axis=0)
    if not grid.circular:
        left[0] = right[-1] = -np.inf
    energy[(energy < left) | (energy <= right)] = -np.inf
    shape = (n, _PEAKS)
    frequency, rate, height = np.zeros(shape), np.zeros(shape), np.full(shape, -np.inf)
    for k in range(_PEAKS):
        top = energy.argmax(axis=0)
        there = np.flatnonzero(np.isfinite(energy[top, rows]))
        if there.size == 0:
            break
        frequency[:, k], rate[:, k] = grid.frequency[top], grid.rate[which[top, rows]]
        height[there, k] = _physical_energy(
            samples[there], frequency[there, k], rate[there, k], grid
        )
        energy[top, rows] = -np.inf
    order = np.argsort(-height, axis=1, kind="stable")[:, :CANDIDATES]
    first, second, third = (np.take_along_axis(x, order, axis=1) for x in (frequency, rate, height))
    return first, second, third


def search(samples: Complex, grid: Search, variance: Real | None) -> Candidates:
    """Find the minima of every voxel.

    Parameters
    ----------
    samples : ndarray, shape (n, n_echoes)
        Complex signal.
    grid : Search
        Where to look.
    variance : ndarray, shape (n,), optional
        Variance of the noise per real or imaginary part; from the best minimum when left out.

    Returns
    -------
    Candidates
        Best first.
    """
    n, n_echoes = samples.shape
    start_w, start_r, height = _starts(samples, grid)
    total = (samples.real**2 + samples.imag**2).sum(axis=1)
    frequency = np.full((n, CANDIDATES), np.nan)
    rate = np.full((n, CANDIDATES), np.nan)
    rss = np.full((n, CANDIDATES), np.inf)
    for k in range(CANDIDATES):
        if k == 0:
            chosen = np.arange(n)
        else:
            noise = variance if variance is not None else rss[:, 0] / (2 * n_echoes - 5)
            likely = total - height[:, k] < rss[:, 0] + _FAR * noise + _SLACK * total
            chosen = np.flatnonzero(likely & np.isfinite(height[:, k]))
        if chosen.size == 0:
            break
        found = refine(
            samples[chosen],
            start_w[chosen, k],
            start_r[chosen, k],
            grid.times,
            grid.fat_signal,
            grid.highest_rate,
        )
        frequency[chosen, k], rate[chosen, k] = found.frequency, found.rate
        explained = _physical_energy(samples[chosen], found.frequency, found.rate, grid)
        rss[chosen, k] = np.maximum(total[chosen] - explained, 0.0)
    order = np.argsort(rss, axis=1, kind="stable")
    return Candidates(*(np.take_along_axis(x, order, axis=1) for x in (frequency, rate, rss)))
