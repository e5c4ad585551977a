"""Iron concentration from a change of R2*, by a curve that somebody measured and named.

A relaxivity of tissue is not that of plasma or of a vial: where particles are packed into cells R2*
rises several times as much per iron.  A concentration is therefore no more than ΔR2* in other
words, valid as far as the curve is; `implied_iron` is there to notice where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

__all__ = [
    "IRON_G_PER_MOL",
    "IRON_REASON_TEXT",
    "ImpliedIron",
    "Iron",
    "IronCurve",
    "IronReason",
    "implied_iron",
    "iron_concentration",
    "iron_content_ug_per_g",
    "linear_curve",
]

IRON_G_PER_MOL = 55.845
"""Standard atomic weight of iron (IUPAC; uncertainty 0.002)."""

_NONE = np.zeros((2, 2))


class IronReason(IntEnum):
    """Why there is no concentration; `IRON_REASON_TEXT` says it in words."""

    OK = 0
    NON_FINITE = 1
    BAD_ERROR = 2
    BELOW_RANGE = 3
    ABOVE_RANGE = 4


IRON_REASON_TEXT: Mapping[IronReason, str] = MappingProxyType(
    {
        IronReason.OK: "formed",
        IronReason.NON_FINITE: "ΔR2* is NaN or infinite",
        IronReason.BAD_ERROR: "the standard error of ΔR2* is negative or infinite",
        IronReason.BELOW_RANGE: "less than the lowest concentration that the model was measured at",
        IronReason.ABOVE_RANGE: "more than the highest concentration that the model was measured "
        "at",
    }
)
"""One plain sentence per reason code."""


class IronCurve(NamedTuple):
    """``ΔR2* = linear c + quadratic c^2`` with c in mmol/L of iron.

    Attributes
    ----------
    linear, quadratic : float
        In L/(mmol s) and L^2/(mmol^2 s).
    covariance : ndarray of float64, shape (2, 2)
        Of the two.
    low_mmol_per_l, high_mmol_per_l : float
        Range in which it was measured.
    degrees_of_freedom : float
        Of the covariance; infinite for a published uncertainty.
    """

    linear: float
    quadratic: float
    covariance: NDArray[np.float64]
    low_mmol_per_l: float
    high_mmol_per_l: float
    degrees_of_freedom: float = math.inf


class Iron(NamedTuple):
    """Iron concentrations.

    Attributes
    ----------
    mmol_per_l : ndarray of float32 or float64
        NaN where `reason` is not OK.
    standard_error : ndarray, same type
        Of noise and curve together; NaN also where no error of ΔR2* was given.
    noise_error, curve_error : ndarray, same type
        Its two parts.  That of the curve is shared by all voxels and regions.
    reason : ndarray of uint8
        `IronReason`.
    """

    mmol_per_l: NDArray[np.floating]
    standard_error: NDArray[np.floating]
    noise_error: NDArray[np.floating]
    curve_error: NDArray[np.floating]
    reason: NDArray[np.uint8]


class ImpliedIron(NamedTuple):
    """Iron that all regions together would hold.

    Attributes
    ----------
    mg : float
        NaN when a change is not finite.
    standard_error_mg : float
        Noise independent between regions, curve shared; NaN without errors of ΔR2*.
    region_mg : ndarray of float64
        Iron of each region.
    beyond : ndarray of bool
        Where ΔR2* lies above the range of the curve.  A straight line was prolonged there; a bent
        curve was not, so that `mg` is then a lower bound.
    """

    mg: float
    standard_error_mg: float
    region_mg: NDArray[np.float64]
    beyond: NDArray[np.bool_]


def linear_curve(
    relaxivity: float, *, standard_error: float, low_mmol_per_l: float, high_mmol_per_l: float
) -> IronCurve:
    """Make the curve of one relaxivity.

    Parameters
    ----------
    relaxivity : float
        r2* in L/(mmol s), positive.
    standard_error : float
        Same unit, not negative.
    low_mmol_per_l, high_mmol_per_l : float
        Range in which it was measured.

    Returns
    -------
    IronCurve
        Straight line through the origin.

    Raises
    ------
    InputError
        A number is out of range.
    """
    if not (relaxivity > 0.0 and math.isfinite(relaxivity)):
        raise _fault("a relaxivity is positive", "relaxivity", relaxivity)
    if not (standard_error >= 0.0 and math.isfinite(standard_error)):
        raise _fault("a standard error is not negative", "standard_error", standard_error)
    if not 0.0 <= low_mmol_per_l < high_mmol_per_l < math.inf:
        limits = (low_mmol_per_l, high_mmol_per_l)
        raise _fault("a range has two rising limits, not negative", "low_mmol_per_l", limits)
    covariance = _NONE.copy()
    covariance[0, 0] = standard_error**2
    return IronCurve(relaxivity, 0.0, covariance, low_mmol_per_l, high_mmol_per_l)


def iron_concentration(
    dr2star_per_s: ArrayLike,
    curve: IronCurve,
    *,
    dr2star_se_per_s: ArrayLike | None = None,
) -> Iron:
    """Turn a change of R2* into an iron concentration.

    Parameters
    ----------
    dr2star_per_s : array-like of float, any shape
        R2* after minus R2* before the agent, in 1/s.
    curve : IronCurve
        `linear_curve`, or that of `fit_calibration`, measured at the same field strength.
    dr2star_se_per_s : array-like of float, broadcasts, optional
        Standard errors in 1/s, not negative.

    Returns
    -------
    Iron
        In mmol/L, in the dtype of the input; NaN with a reason outside of the range of the curve.

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    With ``ΔR2* = b c + d c^2`` and the slope ``s = b + 2 d c``: ``c = 2 ΔR2* / (b + sqrt(b^2 + 4 d
    ΔR2*))`` and ``var(c) = (var(ΔR2*) + c^2 var(b) + 2 c^3 cov(b, d) + c^4 var(d)) / s^2`` to first
    order, noise and curve independent.  For a straight line ``c = ΔR2*/r2*`` with the relative
    errors in quadrature.

    No value outside of the range is not the same as a value at its limit: where many voxels are
    below, the mean of the others is too high.  Convert the mean of a region, not its voxels.
    """
    change, error, dtype = _inputs(dr2star_per_s, dr2star_se_per_s)
    c, slope = _solve(curve, change)
    with np.errstate(invalid="ignore"):
        noise = error / slope
        gradient = _gradient(c, slope)
        model = np.sqrt(np.einsum("...i,ij,...j->...", gradient, curve.covariance, gradient))
    reason = np.zeros(change.shape, np.uint8)
    # Rounding must not put a change that was made of a limit outside of it.
    slack = 1e-9 * curve.high_mmol_per_l
    reason[c > curve.high_mmol_per_l + slack] = IronReason.ABOVE_RANGE
    reason[c < curve.low_mmol_per_l - slack] = IronReason.BELOW_RANGE
    reason[change > _response(curve, curve.high_mmol_per_l * (1.0 + 1e-9))] = IronReason.ABOVE_RANGE
    reason[(error < 0.0) | np.isinf(error)] = IronReason.BAD_ERROR
    reason[~np.isfinite(change)] = IronReason.NON_FINITE
    bad = reason != IronReason.OK
    results = [
        np.where(bad, np.nan, each).astype(dtype)
        for each in (c, np.hypot(noise, model), noise, model)
    ]
    return Iron(results[0], results[1], results[2], results[3], reason)


def iron_content_ug_per_g(mmol_per_l: ArrayLike, *, density_g_per_ml: float = 1.0) -> Any:
    """Turn a concentration into iron per wet mass.

    Parameters
    ----------
    mmol_per_l : array-like of float
        Iron concentration, or its standard error.
    density_g_per_ml : float, default 1
        Density of the tissue; the house takes 1 mL of tissue as 1 g.

    Returns
    -------
    ndarray or float
        In ug of iron per g of wet tissue: 1 mmol/L is 55.845 ug/mL.
    """
    if not (density_g_per_ml > 0.0 and math.isfinite(density_g_per_ml)):
        raise _fault("a density is positive", "density_g_per_ml", density_g_per_ml)
    return np.asarray(mmol_per_l) * (IRON_G_PER_MOL / density_g_per_ml)


def implied_iron(
    dr2star_per_s: ArrayLike,
    volume_ml: ArrayLike,
    curve: IronCurve,
    *,
    dr2star_se_per_s: ArrayLike | None = None,
) -> ImpliedIron:
    """Add up the iron that the curve puts into regions, as a check against the dose.

    Parameters
    ----------
    dr2star_per_s, volume_ml : array-like of float, shape (n,)
        Mean change of R2* and volume of each region.
    curve : IronCurve
        As in `iron_concentration`.
    dr2star_se_per_s : array-like of float, shape (n,), optional
        Standard errors of the changes.

    Returns
    -------
    ImpliedIron
        In mg.

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    ``m = 55.845e-3 sum V c`` mg with V in mL and c in mmol/L.  Below the range the curve is used as
    it is (ΔR2* without iron is zero by definition), above it as `ImpliedIron` says.  With the
    relaxivity of plasma the published changes of liver and spleen 24 h after 4 mg/kg (Stirrat et
    al., JCMR 2016;18:46, doi:10.1186/s12968-016-0261-2) imply 1.4 times the dose
    of a 70 kg person at 1.5 T and 2.1 times at 3 T, with 1.8 and 0.2 L: no such relaxivity holds
    there.
    """
    change, error, _ = _inputs(dr2star_per_s, dr2star_se_per_s)
    volume = np.asarray(volume_ml, dtype=np.float64)
    if change.ndim != 1 or volume.shape != change.shape:
        raise _fault("one change and one volume per region", "volume_ml", volume.shape)
    c, slope = _solve(curve, change)
    beyond = change > _response(curve, curve.high_mmol_per_l)
    weight = 1e-3 * IRON_G_PER_MOL * volume
    # A curve that is cut off at its end does not follow the noise of the change any more.
    noise = np.where(beyond & (curve.quadratic != 0.0), 0.0, weight * error / slope)
    gradient = weight @ _gradient(c, slope)
    variance = float(np.sum(noise**2)) + float(gradient @ curve.covariance @ gradient)
    return ImpliedIron(
        float(np.sum(weight * c)),
        math.sqrt(variance) if variance >= 0 else math.nan,
        weight * c,
        beyond,
    )


def _response(curve: IronCurve, mmol_per_l: float) -> float:
    return curve.linear * mmol_per_l + curve.quadratic * mmol_per_l**2


def _solve(
    curve: IronCurve, change: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Concentration and slope of the curve there; a bent curve ends at the end of its range."""
    b, d = curve.linear, curve.quadratic
    if d == 0.0:
        return change / b, np.full(change.shape, b)
    inside = np.minimum(change, _response(curve, curve.high_mmol_per_l))
    with np.errstate(invalid="ignore"):
        root = np.sqrt(np.maximum(b * b + 4.0 * d * np.maximum(inside, 0.0), 0.0))
        c = np.where(inside < 0.0, inside / b, 2.0 * inside / (b + root))
    c = np.where(np.isfinite(change), c, np.nan)
    return c, b + 2.0 * d * np.maximum(c, 0.0)


def _gradient(c: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differentiate the concentration by the two coefficients."""
    with np.errstate(invalid="ignore"):
        return np.stack([-c / slope, -(c**2) / slope], axis=-1)


def _inputs(
    change: ArrayLike, error: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], np.dtype[Any]]:
    given = np.asarray(change)
    dtype = np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
    values = np.asarray(given, dtype=np.float64)
    errors = np.asarray(math.nan if error is None else error, dtype=np.float64)
    try:
        errors = np.broadcast_to(errors, values.shape)
    except ValueError:
        raise _fault("the shape must fit the changes", "dr2star_se_per_s", errors.shape) from None
    return values, errors, dtype


def _fault(message: str, where: str, value: object) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)
