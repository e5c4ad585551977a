"""The fat-water problem of one series: units, grid, and the minima of all its voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.kernels import _fat_water_checks as checks
from eprimg.kernels._fat_water_model import Complex, Linear, Real, design
from eprimg.kernels._fat_water_result import FatSpectrum, FatWaterReason
from eprimg.kernels._fat_water_search import Candidates, Search, search

__all__ = [
    "CHUNK",
    "MINIMUM_ECHOES",
    "UNKNOWNS",
    "Problem",
    "candidates",
    "energy_of",
    "fat_signal",
    "noise_variance",
    "parts",
    "problem_of",
    "samples_of",
    "sorted_voxels",
]

GYROMAGNETIC_HZ_PER_T = 42.577478518e6
"""Proton gyromagnetic ratio over 2 pi (CODATA 2018)."""

MINIMUM_ECHOES = 5
UNKNOWNS = 5
CHUNK = 2048
_HIGHEST = 4.0
_EVEN = 5e-3
_WIDEST_HZ = 1000.0


def fat_signal(
    echo_times_s: ArrayLike, field_strength_t: float, spectrum: FatSpectrum
) -> NDArray[np.complex128]:
    """Return the signal of pure fat without decay, on resonance of water.

    Parameters
    ----------
    echo_times_s : array_like, shape (n_echoes,)
        Echo times in seconds.
    field_strength_t : float
        Field strength in tesla.
    spectrum : FatSpectrum
        Resonances of fat.

    Returns
    -------
    ndarray of complex128, shape (n_echoes,)
        One at time zero.
    """
    shift_hz = 1e-6 * GYROMAGNETIC_HZ_PER_T * field_strength_t * np.asarray(spectrum.shift_ppm)
    turns = np.multiply.outer(np.asarray(echo_times_s, dtype=np.float64), shift_hz)
    return np.asarray(np.exp(2j * np.pi * turns) @ np.asarray(spectrum.amplitude))


class Problem(NamedTuple):
    """What does not depend on the voxel, in units of the last echo time."""

    times: Real
    fat: Complex
    last_s: float
    grid: Search
    period_hz: float | None

    def to_hz(self, frequency: Real) -> Real:
        """Return angular frequencies in Hz, within one period where there is one."""
        hz = frequency / (2.0 * np.pi * self.last_s)
        if self.period_hz is not None:
            hz = (hz + 0.5 * self.period_hz) % self.period_hz - 0.5 * self.period_hz
        return np.asarray(hz)


def problem_of(
    stack: NDArray[Any],
    echo_times_s: ArrayLike,
    field_strength_t: float,
    spectrum: FatSpectrum,
    max_field_hz: float | None,
) -> Problem:
    """Check what does not depend on the voxel, and bring it into the units of the model."""
    times = checks.checked_echoes(echo_times_s, stack.shape[-1], MINIMUM_ECHOES)
    field = checks.checked_field(field_strength_t)
    fat = fat_signal(times, field, checks.checked_spectrum(spectrum))
    steps = np.diff(times)
    last = float(times[-1])
    even = bool(np.ptp(steps) <= _EVEN * steps.mean())
    period = 1.0 / float(steps.mean()) if even else None
    widest = min(0.5 / float(steps.min()), _WIDEST_HZ)
    reach = widest if max_field_hz is None else checks.checked_reach(max_field_hz)
    circular = period is not None and reach >= 0.5 * period
    if circular and period is not None:
        reach = 0.5 * period
    grid = Search.over(
        times / last, fat, 2.0 * np.pi * reach * last, circular, _HIGHEST * last / float(times[0])
    )
    _check_separation(times / last, fat, times)
    return Problem(times / last, fat, last, grid, period if circular else None)


def _check_separation(tau: Real, fat: Complex, times: Real) -> None:
    """Refuse echoes at which the fat fraction would drown in noise."""
    linear = Linear(np.array([0.9]), np.array([0.1]), np.zeros(1), np.zeros(1))
    rate = np.array([30.0 * times[-1]])
    _, columns = design(linear, np.zeros(1), rate, tau, fat)
    covariance = np.linalg.pinv((columns.conj() @ columns.transpose(0, 2, 1)).real)[0]
    gradient = np.array([-0.1, 0.9])
    doubt = 100.0 / 50.0 * float(np.sqrt(gradient @ covariance[:2, :2] @ gradient))
    if doubt > checks.LARGEST_DOUBT_PERCENT:
        raise InputError(
            "water and fat look alike at these echo times: the fat fraction would be uncertain "
            f"by {doubt:.0f} percentage points at a signal-to-noise ratio of 50",
            code="E_ECHO",
            where="echo_times_s",
            value=times.tolist(),
            action="use echoes at which fat has different phases, not only in-phase ones",
        )


def sorted_voxels(stack: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return the reason of each voxel before the fit: OK is still to be fitted."""
    reason = np.full(stack.shape[:-1], FatWaterReason.OK, dtype=np.uint8)
    reason[~stack.any(axis=-1)] = FatWaterReason.NO_SIGNAL
    reason[~np.isfinite(stack).all(axis=-1)] = FatWaterReason.NON_FINITE
    if mask is not None:
        reason[~mask] = FatWaterReason.MASKED
    return reason


def samples_of(flat: NDArray[Any], rows: NDArray[np.intp], sign: int) -> Complex:
    """Return voxels in double precision, mirrored where the phase is stored the other way."""
    samples = flat[rows].astype(np.complex128)
    return samples if sign > 0 else samples.conj()


def parts(flat: NDArray[Any], rows: NDArray[np.intp], sign: int) -> Iterator[Complex]:
    """Yield the voxels chunk by chunk."""
    for first in range(0, rows.size, CHUNK):
        yield samples_of(flat, rows[first : first + CHUNK], sign)


def energy_of(samples: Complex) -> Real:
    """Return the sum of the squared samples of each voxel."""
    return np.asarray((samples.real**2 + samples.imag**2).sum(axis=1))


def candidates(
    flat: NDArray[Any],
    rows: NDArray[np.intp],
    sign: int,
    problem: Problem,
    sigma: float | None,
    workers: int,
    tell: Callable[[float], object],
) -> Candidates:
    """Find the minima of all voxels, chunk by chunk."""
    starts = range(0, rows.size, CHUNK)

    def work(first: int) -> Candidates:
        samples = samples_of(flat, rows[first : first + CHUNK], sign)
        # Large or tiny units must not reach the limits of single precision on the grid.
        scale = np.abs(samples).max(axis=1)
        level = None if sigma is None else (sigma / scale) ** 2
        found = search(samples / scale[:, None], problem.grid, level)
        return found._replace(rss=found.rss * (scale**2)[:, None])

    done = []
    with ThreadPoolExecutor(workers, thread_name_prefix="fat-water") as pool:
        try:
            for part in pool.map(work, starts):
                done.append(part)
                tell(len(done) / len(starts))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Candidates(*(np.concatenate(columns) for columns in zip(*done, strict=True)))


def noise_variance(rss: Real, problem: Problem, sigma: float | None) -> Real:
    """Return the noise variance by which minima are compared."""
    if sigma is not None:
        return np.full(rss.size, sigma**2)
    own = rss / (2 * problem.times.size - UNKNOWNS)
    # The residual of one voxel can be small by chance; the typical one is the floor.
    return np.asarray(np.maximum(np.maximum(own, np.median(own)), np.finfo(np.float64).tiny))
