"""What an ideal reader would measure: noise changes a tail statistic even when nothing is wrong.

rR2*90 is the mean R2* of a lesion's voxels above their 90th percentile over the mean R2* of the
spleen (Ravi et al., Radiol Imaging Cancer 2023;5(2):e220022, doi 10.1148/rycan.220022). The tail
of a noisy map lies above the true R2*, and voxels at the edge of a lesion mix its signal with its
surroundings. Both belong to the truth that a reader can be held to, so the expected value comes
from the painted signals with fresh noise, fitted by least squares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array
from eprimg_phantoms.mri import rician


class TailTruth(NamedTuple):
    """Expected rR2*90 of one lesion: with noise, its SD between studies, and without noise."""

    with_noise: float
    sd_of_one_study: float
    noise_free: float
    n_voxels: int


def least_squares_r2star(
    signal: npt.ArrayLike, echo_times_s: npt.ArrayLike, *, iterations: int = 12
) -> Array:
    """Fit ``S0 exp(-TE R2*)`` to magnitudes by Gauss-Newton.

    Parameters
    ----------
    signal : array_like
        Shape (n, n_echoes).
    echo_times_s : array_like
        Shape (n_echoes,), s.
    iterations : int
        Steps after the weighted log-linear start.

    Returns
    -------
    numpy.ndarray
        R2* (1/s), shape (n,).
    """
    s = np.maximum(np.asarray(signal, dtype=float), 1e-6)
    t = np.asarray(echo_times_s, dtype=float)
    w, y = s * s, np.log(s)
    sw, st, sy = w.sum(1), (w * t).sum(1), (w * y).sum(1)
    stt, sty = (w * t * t).sum(1), (w * t * y).sum(1)
    rate = np.clip(-(sw * sty - st * sy) / (sw * stt - st * st), 0.0, 3000.0)
    for _ in range(iterations):
        # For a given rate the best S0 is linear, so only the rate is stepped (variable projection).
        e = np.exp(-np.multiply.outer(rate, t))
        s0 = (s * e).sum(1) / (e * e).sum(1)
        model = s0[:, None] * e
        slope = -t * model
        # Remove the part of the slope that S0 can take up.
        slope -= ((slope * e).sum(1) / (e * e).sum(1))[:, None] * e
        step = ((s - model) * slope).sum(1) / np.maximum((slope * slope).sum(1), 1e-30)
        rate = np.clip(rate + np.clip(step, -150.0, 150.0), 0.0, 3000.0)
    return np.asarray(rate, dtype=float)


def r2star_standard_error(
    s0: npt.ArrayLike, r2star_per_s: npt.ArrayLike, sigma: float, echo_times_s: npt.ArrayLike
) -> Array:
    """Return the Cramer-Rao bound of R2* (1/s) for Gaussian noise, S0 being unknown as well.

    Parameters
    ----------
    s0, r2star_per_s : array_like
        Shape (n,).
    sigma : float
        SD of the noise, in units of S0.
    echo_times_s : array_like
        Shape (n_echoes,), s.

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    t = np.asarray(echo_times_s, dtype=float)
    e2 = np.exp(-2.0 * np.multiply.outer(np.asarray(r2star_per_s, dtype=float), t))
    a, b, c = e2.sum(-1), (t * e2).sum(-1), (t * t * e2).sum(-1)
    return np.asarray(
        sigma / np.asarray(s0, dtype=float) * np.sqrt(a / (a * c - b * b)), dtype=float
    )


def mean_of_tail(values: npt.ArrayLike, percentile: float = 90.0) -> float:
    """Return the mean of the values above their percentile."""
    v = np.asarray(values, dtype=float)
    tail = v[v > np.percentile(v, percentile)]
    return float(tail.mean()) if tail.size else float(v.max())


def tail_truth(
    lesion_signals: dict[str, npt.NDArray[np.float32]],
    spleen_signal: npt.NDArray[np.float32],
    echo_times_s: Array,
    sigma: float,
    rng: np.random.Generator,
    *,
    studies: int = 12,
) -> dict[str, TailTruth]:
    """Return the expected rR2*90 of every lesion.

    Parameters
    ----------
    lesion_signals : dict
        Lesion name to clean signals of the voxels of its mask, shape (n_voxels, n_echoes).
    spleen_signal : numpy.ndarray
        The same for the spleen.
    echo_times_s : numpy.ndarray
        Shape (n_echoes,), s.
    sigma : float
        SD of each noise component.
    rng : numpy.random.Generator
        Source of the noise.
    studies : int
        Number of simulated studies.

    Returns
    -------
    dict
        Lesion name to TailTruth; a lesion without voxels is left out.
    """
    spleen_clean = float(least_squares_r2star(spleen_signal, echo_times_s).mean())
    # The mean over thousands of voxels hardly varies: two studies show its noise-floor bias.
    spleen = np.mean(
        [
            least_squares_r2star(rician(spleen_signal, sigma, rng), echo_times_s).mean()
            for _ in range(2)
        ]
    )
    out = {}
    for name, clean in lesion_signals.items():
        if not len(clean):
            continue
        tails = [
            mean_of_tail(least_squares_r2star(rician(clean, sigma, rng), echo_times_s)) / spleen
            for _ in range(studies)
        ]
        noise_free = mean_of_tail(least_squares_r2star(clean, echo_times_s)) / spleen_clean
        out[name] = TailTruth(
            float(np.mean(tails)), float(np.std(tails, ddof=1)), float(noise_free), len(clean)
        )
    return out
