"""Noise-floor modes of the R2* fit: leave late echoes out, or fit the mean of the magnitude."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels import _r2star_rician_numpy as rician_numpy
from eprimg.kernels._r2star_chunks import Outputs, evenly_spaced, for_kernel
from eprimg.kernels._r2star_magnitude import (
    MagnitudeTable,
    magnitude_polynomial,
    magnitude_table,
    mean_magnitude,
)
from eprimg.kernels._r2star_result import CODES, R2StarReason

__all__ = ["NoiseModel", "PlainFit", "fit_with_noise"]

PlainFit = Callable[[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], Outputs], None]
"""Fits rows of samples at these echo times, where the mask (empty: all) says so, into outputs."""

_ALL = np.empty(0, np.bool_)
_ALL.flags.writeable = False
_PASSES = 2
_FLOATS = (0, 1, 2, 3, 6, 7, 8)
_N_ECHOES, _REASON, _SATURATED = 4, 5, 9
_FITTED = (int(R2StarReason.OK), int(R2StarReason.NOT_CONVERGED))
_ENDS = (
    int(R2StarReason.OK),
    int(R2StarReason.NOT_CONVERGED),
    int(R2StarReason.AT_BOUND),
)
_REFUSALS = (int(R2StarReason.NO_SIGMA), int(R2StarReason.LOW_SIGNAL))


class NoiseModel(NamedTuple):
    """What a noise-floor mode needs to know.

    Attributes
    ----------
    rician : bool
        Fit the mean magnitude; otherwise leave late echoes out.
    table : MagnitudeTable
        Mean of the magnitude for the number of coils.
    truncate_sigmas, low_signal_sigmas : float
        An echo, and the first echo, count as lost below these multiples of the noise.
    min_echoes : int
        Echoes that are always kept.
    compiled : bool
        Use the compiled fit.
    nlls : bool or None
        The compiled fit that leaves echoes out is non-linear or log-linear; None: there is none.
    """

    rician: bool
    table: MagnitudeTable
    truncate_sigmas: float
    low_signal_sigmas: float
    min_echoes: int
    compiled: bool
    nlls: bool | None = None


def fit_with_noise(
    plain: PlainFit,
    samples: NDArray[Any],
    times: NDArray[np.float64],
    mask: NDArray[np.bool_],
    sigma: NDArray[np.float64],
    model: NoiseModel,
    outputs: Outputs,
) -> None:
    """Fit one chunk in place.

    Parameters
    ----------
    plain : callable
        Fit that knows nothing of noise.
    samples : ndarray of float32 or float64, shape (n_voxels, n_echoes)
        Signal.
    times : ndarray of float64, shape (n_echoes,)
        Echo times in seconds.
    mask : ndarray of bool, shape (n_voxels,) or (0,)
        Voxels to fit; empty for all.
    sigma : ndarray of float64, shape (n_voxels,)
        Noise per channel, in the unit of the signal.
    model : NoiseModel
        Settings.
    outputs : tuple of ndarray, shape (n_voxels,)
        Results in the order of `R2StarFit`.
    """
    plain(samples, times, mask, outputs)
    reason = outputs[_REASON]
    kept = np.full(len(samples), times.size, np.int16)
    # A late sample of zero is a magnitude that was rounded: it lies below the noise, no more.
    zero = np.flatnonzero(reason == R2StarReason.NON_POSITIVE)
    zero = zero[(samples[zero] >= 0.0).all(axis=1)]
    kept[zero] = np.argmin(samples[zero] > 0.0, axis=1)
    zero = zero[kept[zero] >= model.min_echoes]
    if zero.size > 0:
        _fit_groups(plain, samples, times, zero, kept, outputs)
    lowest = _magnitude_at(model.low_signal_sigmas, model.table.n_coils)
    if model.compiled:
        _kernel("floor", "refuse_low")(
            samples, sigma, lowest, *for_kernel(outputs), _FITTED, *_REFUSALS
        )
    else:
        fitted = np.isin(reason, _FITTED)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(sigma) & (sigma > 0.0)
            low = ~(samples[:, 0] > lowest * sigma)
        _refuse(outputs, fitted & ~known, R2StarReason.NO_SIGMA)
        _refuse(outputs, fitted & known & low, R2StarReason.LOW_SIGNAL)
    if model.rician and model.compiled:
        _fit_rician_compiled(samples, times, sigma, model, outputs)
    elif model.rician:
        rows = np.flatnonzero(np.isin(reason, _FITTED))
        _fit_rician(samples, times, rows, sigma, model, outputs)
    else:
        _truncate(plain, samples, times, kept, sigma, model, outputs)


def _refuse(outputs: Outputs, rows: NDArray[np.bool_], why: R2StarReason) -> None:
    """Take the value away from some voxels."""
    if rows.any():
        for position in _FLOATS:
            outputs[position][rows] = np.nan
        outputs[_N_ECHOES][rows] = 0
        outputs[_REASON][rows] = why


@lru_cache(maxsize=16)
def _magnitude_at(sigmas: float, n_coils: int) -> float:
    """Mean magnitude that a signal of so many sigmas shows, in sigmas."""
    return float(mean_magnitude(np.array([sigmas]), magnitude_table(n_coils))[0][0])


def _fit_groups(
    plain: PlainFit,
    samples: NDArray[Any],
    times: NDArray[np.float64],
    rows: NDArray[np.intp],
    kept: NDArray[np.int16],
    outputs: Outputs,
) -> None:
    """Fit the first `kept` echoes of each of the rows."""
    for n in np.unique(kept[rows]):
        group = rows[kept[rows] == n]
        part = np.ascontiguousarray(samples[group, :n])
        results = tuple(np.empty(group.size, output.dtype) for output in outputs)
        plain(part, times[:n], _ALL, results)
        for output, result in zip(outputs[:_SATURATED], results[:_SATURATED], strict=True):
            output[group] = result


def _truncate(
    plain: PlainFit,
    samples: NDArray[Any],
    times: NDArray[np.float64],
    kept: NDArray[np.int16],
    sigma: NDArray[np.float64],
    model: NoiseModel,
    outputs: Outputs,
) -> None:
    """Leave out the echoes that the fit itself puts below the noise, and fit again."""
    lowest = _magnitude_at(model.truncate_sigmas, model.table.n_coils)
    if model.compiled and model.nlls is not None:
        _truncate_compiled(samples, times, kept, sigma, lowest, model, outputs)
        return
    part: NDArray[np.intp] | slice = slice(None)
    for _ in range(_PASSES):
        with np.errstate(all="ignore"):
            rate = outputs[0][part].astype(np.float64)
            limit = lowest * sigma[part]
            # The echo time at which the fitted decay meets the limit is fall / rate.  A rising fit
            # leaves nothing out, nor does a failed one, which is NaN.
            fall = np.log(outputs[1][part] / limit)
            early = np.flatnonzero((rate > 0.0) & (fall < rate * times[-1]))
        fewer = np.searchsorted(times, fall[early] / rate[early], side="right")
        fewer = np.maximum(fewer, model.min_echoes)
        near = early if isinstance(part, slice) else part[early]
        shorter = fewer < kept[near]
        rows = near[shorter]
        if rows.size == 0:
            return
        kept[rows] = fewer[shorter]
        _fit_groups(plain, samples, times, rows, kept, outputs)
        part = rows


def _truncate_compiled(
    samples: NDArray[Any],
    times: NDArray[np.float64],
    kept: NDArray[np.int16],
    sigma: NDArray[np.float64],
    lowest: float,
    model: NoiseModel,
    outputs: Outputs,
) -> None:
    _kernel("floor", "truncate_chunk")(
        samples,
        times,
        evenly_spaced(times),
        model.nlls,
        sigma,
        lowest,
        kept,
        model.min_echoes,
        _PASSES,
        *for_kernel(outputs),
        CODES,
    )


def _fit_rician(
    samples: NDArray[Any],
    times: NDArray[np.float64],
    rows: NDArray[np.intp],
    sigma: NDArray[np.float64],
    model: NoiseModel,
    outputs: Outputs,
) -> None:
    """Fit the mean magnitude to all echoes, from the plain fit or, without one, from a guess."""
    if rows.size == 0:
        return
    r2star, s0, se, r2, n_echoes, reason, s0_se, cov, rmse, _ = outputs
    n, start, span = times.size, float(times[0]), float(times[-1] - times[0])
    tau = (times - start) / span
    noise = sigma[rows]
    z = np.ascontiguousarray(samples[rows].astype(np.float64) / noise[:, None])
    rate = r2star[rows].astype(np.float64) * span
    with np.errstate(all="ignore"):
        log_amplitude = np.log(s0[rows] / noise) - rate * (start / span)
    # Without a plain fit: the first echo lies above the noise, or the voxel would not be here.
    lost = ~(np.isfinite(rate) & np.isfinite(log_amplitude))
    rate[lost], log_amplitude[lost] = 1.0, np.log(z[lost, 0])
    results = np.empty((rows.size, 4))
    status = np.empty(rows.size, np.uint8)
    rician_numpy.fit_rows(z, tau, model.table, log_amplitude, rate, results, status)
    with np.errstate(all="ignore"):
        share = start / span
        amplitude = noise * np.exp(log_amplitude + rate * share)
        v_aa, v_ar, v_rr, rss = results.T
        total = ((z - z.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        residual = np.nan if n == 2 else 1.0
        values = (
            (r2star, rate / span),
            (s0, amplitude),
            (se, np.sqrt(v_rr) / span),
            (r2, np.where(total > 0.0, 1.0 - rss / total, np.nan) * residual),
            (s0_se, amplitude * np.sqrt(v_aa + 2.0 * share * v_ar + share**2 * v_rr)),
            (cov, amplitude * (v_ar + share * v_rr) / span),
            (rmse, noise * np.sqrt(rss / n) * residual),
        )
    good = (status == rician_numpy.OK) & np.isfinite(amplitude.astype(s0.dtype))
    for output, value in values:
        output[rows] = np.where(good, value, np.nan)
    n_echoes[rows] = np.where(good, n, 0)
    failed = np.where(
        status == rician_numpy.AT_BOUND, R2StarReason.AT_BOUND, R2StarReason.NOT_CONVERGED
    )
    reason[rows] = np.where(good, R2StarReason.OK, failed)


def _fit_rician_compiled(
    samples: NDArray[Any],
    times: NDArray[np.float64],
    sigma: NDArray[np.float64],
    model: NoiseModel,
    outputs: Outputs,
) -> None:
    _kernel("rician", "fit_chunk")(
        samples,
        times,
        evenly_spaced(times),
        sigma,
        model.table,
        magnitude_polynomial(model.table.n_coils),
        *for_kernel(outputs),
        _FITTED,
        _ENDS,
    )


@cache
def _kernel(part: Literal["floor", "rician"], name: str) -> Callable[..., None]:
    # By name: a type checker that follows numba would find nothing typed there.
    module = importlib.import_module(f"eprimg.kernels._r2star_{part}_numba")
    kernel: Callable[..., None] = getattr(module, name)
    return kernel
