"""Confidence of a tier from the repeatability of the measurement.

Log-normal model for PET uptake (the error grows with the value), normal model for dR2* (the error
is a standard deviation in 1/s).  Both answer: how probable is it that the true value lies above a
cut-off, given the measured one and a flat prior (on the log axis and the linear axis,
respectively)?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from eprimg.errors import InputError
from eprimg.kernels.cutoffs import fixed_cutoffs

__all__ = [
    "RepeatabilityLimits",
    "exceedance_probability_lognormal",
    "exceedance_probability_normal",
    "is_indeterminate",
    "log_sd_from_wcv",
    "repeatability_limits_lognormal",
    "tier_probabilities_lognormal",
    "tier_probabilities_normal",
    "wcv_from_repeatability_coefficient",
]

# 1.96 * sqrt(2), as published repeatability coefficients use it.
_RC_PER_WCV = 2.77


class RepeatabilityLimits(NamedTuple):
    """Relative change between two measurements that repeatability alone explains."""

    lower: float
    upper: float


def wcv_from_repeatability_coefficient(rc: float) -> float:
    """Within-subject coefficient of variation from a repeatability coefficient.

    Parameters
    ----------
    rc : float
        Relative repeatability coefficient as a fraction (0.35 for 35 %), finite and positive.

    Returns
    -------
    float
        ``rc / 2.77`` as a fraction.

    Raises
    ------
    InputError
        The coefficient is not finite or not positive.

    Notes
    -----
    2.77 is ``1.96 sqrt(2)``: 95 % of the differences between two measurements lie within RC.  A
    coefficient from image noise alone is a lower bound; add delineation and calibration in
    quadrature.

    References
    ----------
    .. [1] Bland JM, Altman DG, Stat Methods Med Res 1999;8:135-160.
       doi:10.1177/096228029900800204
    """
    return _positive_fraction(rc, "rc") / _RC_PER_WCV


def log_sd_from_wcv(wcv: float) -> float:
    """Compute the standard deviation on the log axis of a log-normal error.

    Parameters
    ----------
    wcv : float
        Within-subject coefficient of variation as a fraction (0.12 for 12 %), finite and positive.

    Returns
    -------
    float
        ``sqrt(ln(1 + wcv^2))``, without unit.

    Raises
    ------
    InputError
        The coefficient is not finite or not positive.
    """
    return math.sqrt(math.log1p(_positive_fraction(wcv, "wcv") ** 2))


def repeatability_limits_lognormal(wcv: float, *, coverage: float = 0.95) -> RepeatabilityLimits:
    """Limits of the relative change between two measurements without a true change.

    Parameters
    ----------
    wcv : float
        Within-subject coefficient of variation as a fraction.
    coverage : float, optional
        Probability that an unchanged lesion stays within the limits, between 0 and 1.

    Returns
    -------
    RepeatabilityLimits
        ``exp(-+ z sqrt(2) s) - 1`` as fractions, with ``s = sqrt(ln(1 + wcv^2))``.

    Raises
    ------
    InputError
        An argument is out of range.

    Notes
    -----
    wCV 12 % gives -28.2 % / +39.3 %, the limits of the QIBA FDG claim.
    """
    if not 0.0 < coverage < 1.0:
        raise InputError(
            "The coverage must lie between 0 and 1.",
            code="E_ARGUMENT",
            where="coverage",
            value=coverage,
            action="Use 0.95.",
        )
    reach = float(ndtri(0.5 + 0.5 * coverage)) * math.sqrt(2.0) * log_sd_from_wcv(wcv)
    return RepeatabilityLimits(lower=math.expm1(-reach), upper=math.expm1(reach))


def exceedance_probability_lognormal(
    value: ArrayLike, cutoff: ArrayLike, *, wcv: float
) -> NDArray[np.float64]:
    """Probability that the true value lies above a cut-off, log-normal error.

    Parameters
    ----------
    value : array-like of float, any shape
        Measured values x.
    cutoff : array-like of float, broadcasts with `value`
        Cut-offs c in the same unit, finite and positive.
    wcv : float
        Within-subject coefficient of variation as a fraction.

    Returns
    -------
    ndarray of float64, broadcast shape
        ``Phi((ln x - ln c) / s)`` with ``s = sqrt(ln(1 + wcv^2))``; 0 for x <= 0; NaN for NaN.

    Raises
    ------
    InputError
        A cut-off is not positive, or the coefficient is out of range.

    Notes
    -----
    At x = 1.2 c: 0.97 for wCV 10 %, 0.93 for 12.6 % (89Zr SUVpeak), 0.89 for 15.2 % (89Zr SUVmax).
    With a noise-only coefficient the confidence is too high.  A value at or below zero is outside
    the model; 0 is its limit.

    References
    ----------
    .. [1] Jauw YWS et al., Mol Imaging Biol 2018. doi:10.1007/s11307-018-1200-4 (89Zr
       repeatability)
    """
    log_sd = log_sd_from_wcv(wcv)
    measured = np.asarray(value, dtype=np.float64)
    limit = np.asarray(cutoff, dtype=np.float64)
    if not np.all(np.isfinite(limit) & (limit > 0.0)):
        raise InputError(
            "A cut-off of the log-normal model must be finite and positive.",
            code="E_ARGUMENT",
            where="cutoff",
            value=limit.tolist(),
            action="Use the normal model for quantities that can be zero or negative.",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_value = np.log(np.where(measured <= 0.0, 0.0, measured))
        return np.asarray(ndtr((log_value - np.log(limit)) / log_sd), dtype=np.float64)


def exceedance_probability_normal(
    value: ArrayLike, cutoff: ArrayLike, *, sd: ArrayLike
) -> NDArray[np.float64]:
    """Probability that the true value lies above a cut-off, normal error.

    Parameters
    ----------
    value : array-like of float, any shape
        Measured values x.
    cutoff : array-like of float, broadcasts with `value`
        Cut-offs c in the same unit.
    sd : array-like of float, broadcasts with `value`
        Standard deviation of each value in the same unit, positive; NaN where unknown.

    Returns
    -------
    ndarray of float64, broadcast shape
        ``Phi((x - c) / sd)``; NaN where the value or its standard deviation is NaN.

    Raises
    ------
    InputError
        A cut-off is not finite, or a standard deviation is zero, negative or infinite.

    Notes
    -----
    For dR2* add the standard deviations of post and pre in quadrature.  No test-retest coefficient
    is published for tumour R2*; a standard deviation from fit and registration alone is a lower
    bound, so the confidence is too high.
    """
    deviation = np.asarray(sd, dtype=np.float64)
    if np.any((deviation <= 0.0) | np.isinf(deviation)):
        raise InputError(
            "A standard deviation must be finite and positive, or NaN where it is unknown.",
            code="E_ARGUMENT",
            where="sd",
            value=deviation.tolist() if deviation.size < 20 else None,
            action="Give the standard deviation in the unit of the value.",
        )
    limit = np.asarray(cutoff, dtype=np.float64)
    if not np.all(np.isfinite(limit)):
        raise InputError(
            "A cut-off must be finite.",
            code="E_ARGUMENT",
            where="cutoff",
            value=limit.tolist(),
            action="Give a finite cut-off.",
        )
    measured = np.asarray(value, dtype=np.float64)
    return np.asarray(ndtr((measured - limit) / deviation), dtype=np.float64)


def tier_probabilities_lognormal(
    values: ArrayLike, edges: Sequence[float] | NDArray[np.floating], *, wcv: float
) -> NDArray[np.float64]:
    """Probability of every tier, log-normal error.

    Parameters
    ----------
    values : array-like of float, any shape
        Measured values.
    edges : sequence of float, shape (n_edges,)
        Strictly rising, positive cut-offs.
    wcv : float
        Within-subject coefficient of variation as a fraction.

    Returns
    -------
    ndarray of float64, shape (..., n_edges + 1)
        Probabilities from the lowest tier to the highest; they sum to 1; NaN for a NaN value.

    Raises
    ------
    InputError
        The edges or the coefficient are out of range.
    """
    limits = fixed_cutoffs(edges)
    measured = np.asarray(values, dtype=np.float64)[..., np.newaxis]
    return _between(exceedance_probability_lognormal(measured, limits, wcv=wcv))


def tier_probabilities_normal(
    values: ArrayLike, edges: Sequence[float] | NDArray[np.floating], *, sd: ArrayLike
) -> NDArray[np.float64]:
    """Probability of every tier, normal error.

    Parameters
    ----------
    values : array-like of float, any shape
        Measured values.
    edges : sequence of float, shape (n_edges,)
        Strictly rising cut-offs.
    sd : array-like of float, broadcasts with `values`
        Standard deviation of each value, positive; NaN where unknown.

    Returns
    -------
    ndarray of float64, shape (..., n_edges + 1)
        Probabilities from the lowest tier to the highest; they sum to 1; NaN for a NaN value.

    Raises
    ------
    InputError
        The edges or a standard deviation are out of range.
    """
    limits = fixed_cutoffs(edges)
    measured = np.asarray(values, dtype=np.float64)[..., np.newaxis]
    deviation = np.asarray(sd, dtype=np.float64)[..., np.newaxis]
    return _between(exceedance_probability_normal(measured, limits, sd=deviation))


def is_indeterminate(
    tier_probabilities: ArrayLike, *, lower: float = 0.1, upper: float = 0.9
) -> NDArray[np.bool_]:
    """Whether the tier is too close to a cut-off to be called.

    Parameters
    ----------
    tier_probabilities : array-like of float, shape (..., n_tiers)
        Probabilities from the lowest tier to the highest, as `tier_probabilities_lognormal` and
        `tier_probabilities_normal` give them.
    lower, upper : float, optional
        A tier is indeterminate when, for any edge, the probability that the true value lies above
        it is between these two limits, limits included.

    Returns
    -------
    ndarray of bool, shape (...)
        True where the tier is indeterminate, and where a probability is NaN.

    Raises
    ------
    InputError
        The limits are not ``0 <= lower <= upper <= 1``, or there are fewer than two tiers.

    Notes
    -----
    With three narrow tiers the middle one can be indeterminate everywhere: the scheme then asks for
    more than the measurement can tell.
    """
    if not 0.0 <= lower <= upper <= 1.0:
        raise InputError(
            "The limits must satisfy 0 <= lower <= upper <= 1.",
            code="E_ARGUMENT",
            where="lower, upper",
            value=(lower, upper),
            action="Use 0.1 and 0.9.",
        )
    probabilities = np.asarray(tier_probabilities, dtype=np.float64)
    if probabilities.ndim == 0 or probabilities.shape[-1] < 2:
        raise InputError(
            "Tier probabilities need a last axis of at least two tiers.",
            code="E_ARGUMENT",
            where="tier_probabilities",
            value=probabilities.shape,
            action="Give the result of tier_probabilities_lognormal or tier_probabilities_normal.",
        )
    above = np.cumsum(probabilities[..., :0:-1], axis=-1)
    doubtful = np.any((above >= lower) & (above <= upper), axis=-1)
    return np.asarray(doubtful | np.isnan(probabilities).any(axis=-1), dtype=np.bool_)


def _between(exceedance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of the tiers between edges, from those of lying above each edge."""
    ones = np.ones_like(exceedance[..., :1])
    zeros = np.zeros_like(exceedance[..., :1])
    steps = np.concatenate([ones, exceedance, zeros], axis=-1)
    tiers = np.clip(steps[..., :-1] - steps[..., 1:], 0.0, 1.0)
    missing = np.isnan(exceedance).any(axis=-1, keepdims=True)
    return np.where(missing, np.nan, tiers)


def _positive_fraction(value: float, name: str) -> float:
    """Hand back a finite, positive fraction, or refuse it; above 3 it is a percentage."""
    number = float(value)
    if not (math.isfinite(number) and 0.0 < number <= 3.0):
        raise InputError(
            f"{name} must be a positive fraction (0.12 for 12 %).",
            code="E_ARGUMENT",
            where=name,
            value=value,
            action="Divide a percentage by 100.",
        )
    return number
