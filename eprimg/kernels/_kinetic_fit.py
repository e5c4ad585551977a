"""Fit of one or two falling exponentials to the samples of an input function."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from eprimg.errors import InputError
from eprimg.kernels._kinetic_arrays import argument

_Array = NDArray[np.float64]

_RATES = 24
"""Rates tried along each axis of the search for the start of a bi-exponential fit."""

_WORST_CONDITION = 1.0e6
_END = 1.0e-12
"""Relative change at which the fit has settled."""

_SLOWEST = 1.0e-6
"""Slowest rate, per time of the last sample, that still counts as a fall."""

_CLOSEST_RATES = 1.1
"""Two rates nearer than this factor are one exponential."""


def fit_exponentials(
    times: _Array, plasma: _Array, weights: _Array, p: int
) -> tuple[_Array, _Array, float]:
    """Parameters, covariance for unit variance of the weighted residuals, and their square sum."""
    size, span = float(np.max(plasma)), float(times[-1])
    tau, samples, scale = times / span, plasma / size, weights * size

    def model(logs: _Array) -> tuple[_Array, _Array]:
        amplitudes, rates = np.exp(logs[0::2]), np.exp(logs[1::2])
        parts = amplitudes * np.exp(-tau[:, np.newaxis] * rates)
        slopes = np.empty((tau.size, p))
        slopes[:, 0::2] = parts
        slopes[:, 1::2] = -parts * tau[:, np.newaxis] * rates
        return (parts.sum(axis=1) - samples) * scale, slopes * scale[:, np.newaxis]

    def residuals_at(logs: _Array) -> _Array:
        return model(logs)[0]

    def slopes_at(logs: _Array) -> _Array:
        return model(logs)[1]

    start = _start_mono(tau, samples) if p == 2 else _start_bi(tau, samples, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            found = least_squares(
                residuals_at, start, slopes_at, method="lm", ftol=_END, xtol=_END, gtol=_END
            )
        except ValueError as error:  # an amplitude or rate left the range of numbers
            raise undetermined("the fit of the input function did not settle", tau.size) from error
    residuals, slopes = model(found.x)
    natural = np.exp(found.x)
    if p == 4 and natural[1] < natural[3]:
        natural, slopes = natural[[2, 3, 0, 1]], slopes[:, [2, 3, 0, 1]]
    norms = np.linalg.norm(slopes, axis=0)
    steep = bool(found.success) and bool(np.all(np.isfinite(slopes))) and bool(np.all(norms > 0.0))
    if not steep or natural[-1] < _SLOWEST or np.linalg.cond(slopes / norms) > _WORST_CONDITION:
        raise undetermined("the samples do not fall, or do not determine the model", tau.size)
    if p == 4 and natural[1] < _CLOSEST_RATES * natural[3]:
        raise undetermined("the two rates cannot be told apart; use one exponential", tau.size)
    unit = slopes / norms
    log_covariance = np.linalg.inv(unit.T @ unit) / np.outer(norms, norms)
    parameters = natural * np.where(np.arange(p) % 2 == 0, size, 1.0 / span)
    covariance = log_covariance * np.outer(parameters, parameters)
    return parameters, covariance, float(residuals @ residuals)


def _start_mono(tau: _Array, samples: _Array) -> _Array:
    """Logarithms of amplitude and rate from a straight line through ``ln C``."""
    slope, intercept = np.polyfit(tau, np.log(samples), 1)
    return np.array([intercept, math.log(max(-slope, 1.0e-3))])


def _start_bi(tau: _Array, samples: _Array, weights: _Array) -> _Array:
    """Logarithms of the best pair of rates on a grid, amplitudes by linear least squares."""
    rates = np.geomspace(0.02, 5.0 / float(np.diff(tau).min()), _RATES)
    parts = np.exp(-np.outer(rates, tau)) * weights
    gram, right = parts @ parts.T, parts @ (samples * weights)
    slow, fast = np.triu_indices(_RATES, 1)
    determinant = gram[fast, fast] * gram[slow, slow] - gram[fast, slow] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (right[fast] * gram[slow, slow] - right[slow] * gram[fast, slow]) / determinant
        b = (right[slow] * gram[fast, fast] - right[fast] * gram[fast, slow]) / determinant
        # The square sum falls by this much; a pair counts only with two positive amplitudes.
        gain = np.where((a > 0.0) & (b > 0.0), a * right[fast] + b * right[slow], -math.inf)
    best = int(np.argmax(np.where(np.isfinite(gain), gain, -math.inf)))
    if not np.isfinite(gain[best]):
        raise undetermined("the samples show no second exponential", tau.size)
    return np.log([a[best], rates[fast[best]], b[best], rates[slow[best]]])


def checked_times(times_s: ArrayLike) -> _Array:
    """Hand back the times of the samples, or refuse them."""
    times = np.array(times_s, dtype=np.float64)
    usable = times.ndim == 1 and times.size > 1 and bool(np.all(np.isfinite(times)))
    if not usable or times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
        raise argument(
            "two or more times are needed, finite, not negative and strictly rising",
            "times_s",
            times.tolist(),
        )
    return times


def positive(values: ArrayLike, name: str, n: int) -> _Array:
    """Hand back n finite, positive numbers, one for all repeated, or refuse them."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((), (n,)) or not np.all(np.isfinite(array) & (array > 0.0)):
        raise argument(
            f"{name} must be finite and positive, one for each of the {n} samples",
            name,
            array.tolist(),
        )
    return np.broadcast_to(array, (n,)).copy()


def undetermined(message: str, n_samples: int) -> InputError:
    """Make the error for samples that do not determine a model."""
    return InputError(
        message,
        code="E_INPUT_FUNCTION",
        where="times_s, activity",
        value=f"{n_samples} samples",
        action="Use a model with fewer parameters, or more samples.",
    )
