"""Area under a time-activity curve."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels._kinetic_arrays import (
    KineticReason,
    argument,
    blocks,
    given,
    require_whole,
    series,
    series_faults,
    too_few,
)
from eprimg.kernels.radioactivity import decay_constant_per_s

_SECONDS_PER_H = 3600.0

_SERIES_LIMIT = 0.02
"""Below this ``lambda h`` the weights come from their power series, right to 1e-14."""

_Array = NDArray[np.floating]


class AreaUnderCurve(NamedTuple):
    """Result of `area_under_curve`; every array has the leading shape of the activity.

    Attributes
    ----------
    area_h : ndarray of float32 or float64
        Area in the unit of the activity times hour; NaN where `reason` is not OK.
    standard_error_h : ndarray, same type
        Standard error in the same unit; NaN without standard deviations.
    tail_share : ndarray, same type
        Part of the area after the last scan, which no scan has seen; 0 without a tail.
    early_share : ndarray, same type
        Part of the area before the first scan.
    tail_rate_per_s : ndarray, same type
        Rate of the mono-exponential tail of the decay-corrected activity in 1/s, 0 for the
        physical tail (the carrier stays, only the nuclide decays), NaN without a tail.
    reason : ndarray of uint8
        `KineticReason`.
    """

    area_h: _Array
    standard_error_h: _Array
    tail_share: _Array
    early_share: _Array
    tail_rate_per_s: _Array
    reason: NDArray[np.uint8]


def area_under_curve(
    activity: ArrayLike,
    times_s: ArrayLike,
    *,
    sd: ArrayLike | None = None,
    half_life_s: float | None = None,
    tail: Literal["none", "physical", "monoexponential"] = "none",
    n_tail: int = 2,
    initial: Literal["zero", "constant"] = "zero",
) -> AreaUnderCurve:
    r"""Area under the time-activity curve from the injection on, by trapezoids and a tail.

    Parameters
    ----------
    activity : array-like of float, shape (..., n)
        Activity decay-corrected to the injection, last axis = scans; Bq/mL or %ID/mL.
    times_s : array-like of float, shape (n,)
        Seconds since injection, strictly rising, not negative.
    sd : array-like of float, broadcasts to the shape of `activity`, optional
        Standard deviation of each value in the same unit, independent of the others; NaN where
        unknown.
    half_life_s : float, optional
        With it the area is that of the *physical* activity (Bq h/mL: decays per mL are 3600 times
        that); without it that of the decay-corrected curve (%ID h/mL: exposure to the carrier).
    tail : {"none", "physical", "monoexponential"}, default "none"
        After the last scan nothing; the carrier stays and the nuclide decays (needs `half_life_s`);
        or an exponential from the last value with the rate of the last `n_tail` scans.
    n_tail : int, default 2
        Scans behind the exponential tail, 2 or more: least squares of ``ln C``, equal weights.
    initial : {"zero", "constant"}, default "zero"
        Decay-corrected activity between the injection and the first scan: rising from zero in a
        straight line, or as at the first scan.

    Returns
    -------
    AreaUnderCurve
        Area, standard error, shares that no scan has seen, rate of the tail.

    Raises
    ------
    InputError
        ``E_KINETICS`` for fewer than two scans or a tail that asks for more than there are,
        ``E_ARGUMENT`` for anything else.

    Notes
    -----
    The decay-corrected curve is taken as straight between scans and multiplied by
    ``exp(-lambda t)`` before it is integrated, in closed form, so that days between scans of 64Cu
    do not bend the trapezoid; for ``lambda = 0`` it is the plain trapezoid.  Tail:
    ``C_n exp(-lambda t_n) / (lambda + k)``.  The standard error is that of a weighted sum of
    independent values [1]_, with the derivative of the tail's rate by its points.

    A rate k of zero or less gives TAIL_RISES: a lesion that still takes up has no clearance to
    follow.  The physical tail is then the usual upper bound for a lesion without further uptake.
    Leaving such voxels out favours the others; use one tail for all.  State `tail_share` beside the
    number: above about 0.2 the area is more assumption than measurement.  On a curve that bends
    upwards (clearance) trapezoids are too large: by ``(x/2) coth(x/2)`` for an exponential of rate
    k and scans h apart, ``x = k h``.

    References
    ----------
    .. [1] Bailer AJ, J Pharmacokinet Biopharm 1988;16:303-309. doi:10.1007/BF01062139
    """
    values, times, spread, dtype = series(activity, times_s, sd)
    n = times.size
    if tail == "monoexponential":
        require_whole(n_tail, "n_tail")
    if n < 2 or (tail == "monoexponential" and not 2 <= n_tail <= n):
        raise too_few("an area needs two scans, and its tail two of them", n)
    if tail not in ("none", "physical", "monoexponential"):
        raise argument("unknown tail", "tail", tail)
    if initial not in ("zero", "constant"):
        raise argument("unknown start of the curve", "initial", initial)
    if tail == "physical" and half_life_s is None:
        raise argument("a physical tail needs the half-life", "half_life_s", None)
    constant = 0.0 if half_life_s is None else decay_constant_per_s(half_life_s)
    weights, early = trapezoid_weights(times, constant, from_zero=initial == "zero")
    after_last = math.exp(-constant * float(times[-1]))
    contrast = np.zeros(n)
    if tail == "monoexponential":
        centred = times[-n_tail:] - times[-n_tail:].mean()
        contrast[-n_tail:] = -centred / (centred @ centred)

    outputs = [np.empty(values.shape[:-1]) for _ in range(5)]
    reason = np.empty(values.shape[:-1], np.uint8)
    for block in blocks(values.shape[:-1], n):
        c, s = values[block].astype(np.float64), spread[block].astype(np.float64)
        fault = series_faults(c, s, needed=False)
        area, slopes = c @ weights, np.broadcast_to(weights, c.shape)
        extra, rate = np.zeros(area.shape), np.full(area.shape, np.nan)
        with np.errstate(all="ignore"):
            if tail != "none":
                rate = np.zeros(area.shape)
                if tail == "monoexponential":
                    rate = np.log(c[..., -n_tail:]) @ contrast[-n_tail:]
                    low = np.any(c[..., -n_tail:] <= 0.0, axis=-1)
                    fault[(fault == 0) & low] = KineticReason.NON_POSITIVE
                    fault[(fault == 0) & (rate <= 0.0)] = KineticReason.TAIL_RISES
                per_last = after_last / (constant + rate)
                extra = c[..., -1] * per_last
                slopes = slopes.copy()
                slopes[..., -1] += per_last
                if tail == "monoexponential":
                    by_rate = -(extra / (constant + rate))[..., np.newaxis]
                    slopes[..., -n_tail:] += by_rate * contrast[-n_tail:] / c[..., -n_tail:]
            total = area + extra
            error = np.sqrt(np.sum((slopes * s) ** 2, axis=-1))
            shares = extra / total, (c[..., 0] * early) / total
        results = (total / _SECONDS_PER_H, error / _SECONDS_PER_H, *shares, rate)
        for output, result in zip(outputs, results, strict=True):
            output[block] = result
        reason[block] = fault
    area_h, error_h, tail_share, early_share, tail_rate = given(reason, dtype, *outputs)
    return AreaUnderCurve(area_h, error_h, tail_share, early_share, tail_rate, reason)


def trapezoid_weights(
    times_s: NDArray[np.float64], constant_per_s: float, *, from_zero: bool
) -> tuple[NDArray[np.float64], float]:
    """Weights of the samples in the area of the decaying trapezoid, and that before the first.

    The integral over h of a straight line times ``exp(-lambda t)`` weighs its left end with
    ``h (exp(-x) - 1 + x) / x^2`` and its right end with ``h (1 - (1 + x) exp(-x)) / x^2``,
    ``x = lambda h``, both times the decay at the left end.
    """
    nodes = np.concatenate([[0.0], times_s])
    h = np.diff(nodes)
    x = constant_per_s * h
    small = x < _SERIES_LIMIT
    safe = np.where(small, 1.0, x)
    left = np.where(
        small,
        0.5 - x / 6.0 + x**2 / 24.0 - x**3 / 120.0 + x**4 / 720.0 - x**5 / 5040.0,
        (np.expm1(-safe) + safe) / safe**2,
    )
    right = np.where(
        small,
        0.5 - x / 3.0 + x**2 / 8.0 - x**3 / 30.0 + x**4 / 144.0 - x**5 / 840.0,
        (-np.expm1(-safe) - safe * np.exp(-safe)) / safe**2,
    )
    scale = h * np.exp(-constant_per_s * nodes[:-1])
    left, right = left * scale, right * scale
    early = float(right[0] if from_zero else left[0] + right[0])
    weights = np.zeros(times_s.size)
    weights[0] = early
    weights[:-1] += left[1:]
    weights[1:] += right[1:]
    return weights, early
