"""Curve of R2* against iron from phantom vials, with its confidence band."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from eprimg.errors import InputError, raise_faults
from eprimg.kernels.iron import IronCurve

__all__ = ["CalibrationBand", "CalibrationFit", "calibration_band", "fit_calibration"]

_CODE = "E_IRON_CALIBRATION"

_CLEAR_SLOPE = 3.0
"""The slope in the middle of the range must be this many times its standard error: every
concentration is divided by it."""


class CalibrationFit(NamedTuple):
    """Curve through the vials.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (degree + 1,)
        Of ``R2* = a + b c (+ d c^2)``, c in mmol/L; a is R2* of the medium.
    covariance : ndarray of float64, shape (degree + 1, degree + 1)
        Of the coefficients.
    degrees_of_freedom : int
        Number of vials minus number of coefficients.
    residual_sd_per_s : float
        Root mean square deviation of the vials (weighted when errors were given), in 1/s.
    excess : float
        Reduced chi square; NaN without errors of the vials.  Above 1 the covariance was enlarged
        by it.
    curve : IronCurve
        For `iron_concentration`: without the intercept, which a difference does not see.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    degrees_of_freedom: int
    residual_sd_per_s: float
    excess: float
    curve: IronCurve


class CalibrationBand(NamedTuple):
    """Fitted R2* and its confidence band, in 1/s."""

    r2star_per_s: NDArray[np.float64]
    lower_per_s: NDArray[np.float64]
    upper_per_s: NDArray[np.float64]


def fit_calibration(
    iron_mmol_per_l: ArrayLike,
    r2star_per_s: ArrayLike,
    *,
    r2star_se_per_s: ArrayLike | None = None,
    degree: int = 1,
) -> CalibrationFit:
    """Fit R2* of phantom vials against their iron concentration.

    Parameters
    ----------
    iron_mmol_per_l, r2star_per_s : array-like of float, shape (n,)
        One entry per vial; a blank has 0.
    r2star_se_per_s : array-like of float, shape (n,), optional
        Standard errors, positive; the vials are weighted by them.
    degree : {1, 2}, optional
        Straight line or second-order polynomial.

    Returns
    -------
    CalibrationFit
        Coefficients with covariance, and the curve of the change of R2*.

    Raises
    ------
    InputError
        ``E_IRON_CALIBRATION``: too few different concentrations (one more than coefficients are
        needed), values that cannot be, a slope that is not clear, or a curve that does not rise
        throughout; all faults together where possible.

    Notes
    -----
    Least squares ``(X^T W X) p = X^T W y``.  Without errors the covariance is ``(X^T X)^-1`` times
    the residual variance; with them ``(X^T W X)^-1``, enlarged by the reduced chi square where that
    is above 1, because the scatter of vials (filling, dilution, air) is rarely in the errors.
    Concentrations are taken as exact: an error of the stock solution that all vials share scales
    every result and is in no standard error.

    Iron in blood and in tissue does not follow a straight line of a vial; the medium of the vials
    decides what the curve means.
    """
    iron = np.asarray(iron_mmol_per_l, dtype=np.float64)
    rate = np.asarray(r2star_per_s, dtype=np.float64)
    weights = np.ones(iron.shape)
    if degree not in (1, 2):
        raise _fault("the curve is of degree 1 (linear) or 2 (quadratic)", degree)
    if iron.ndim != 1 or rate.shape != iron.shape:
        raise _fault("every vial needs one concentration and one R2*", (iron.shape, rate.shape))
    faults = []
    if not (np.isfinite(iron).all() and np.isfinite(rate).all()):
        faults.append(_fault("a concentration or an R2* is not finite", None))
    if np.any(iron < 0.0):
        faults.append(_fault("a concentration is negative", float(iron.min())))
    if np.any(rate < 0.0):
        faults.append(_fault("an R2* is negative", float(rate.min())))
    if r2star_se_per_s is not None:
        errors = np.asarray(r2star_se_per_s, dtype=np.float64)
        if errors.shape != iron.shape or not np.all((errors > 0.0) & np.isfinite(errors)):
            faults.append(
                _fault("every vial needs a positive standard error, or none has one", None)
            )
        else:
            weights = 1.0 / errors**2
    distinct = np.unique(iron[np.isfinite(iron)]).size
    if distinct < degree + 2:
        faults.append(
            _fault(
                f"a {'linear' if degree == 1 else 'quadratic'} curve with a confidence band needs "
                f"at least {degree + 2} different concentrations",
                distinct,
            )
        )
    raise_faults(faults)
    # Concentrations as part of the largest: the normal matrix stays well-conditioned.
    scale = float(iron.max())
    design = np.vander(iron / scale, degree + 1, increasing=True)
    inverse = np.linalg.inv(design.T @ (weights[:, None] * design))
    fitted = inverse @ (design.T @ (weights * rate))
    dof = iron.size - degree - 1
    residual = rate - design @ fitted
    chi2 = float(np.sum(weights * residual**2)) / dof
    inverse *= chi2 if r2star_se_per_s is None else max(chi2, 1.0)
    powers = scale ** np.arange(degree + 1)
    coefficients = fitted / powers
    covariance = inverse / np.outer(powers, powers)
    pair, of_pair = np.zeros(2), np.zeros((2, 2))
    pair[:degree] = coefficients[1:]
    of_pair[:degree, :degree] = covariance[1:, 1:]
    low, high = float(iron.min()), scale
    _require_rise(pair, of_pair, low, high)
    return CalibrationFit(
        coefficients,
        covariance,
        dof,
        math.sqrt(float(np.sum(weights * residual**2) / np.sum(weights)) * iron.size / dof),
        math.nan if r2star_se_per_s is None else chi2,
        IronCurve(float(pair[0]), float(pair[1]), of_pair, low, high, float(dof)),
    )


def calibration_band(
    fit: CalibrationFit, iron_mmol_per_l: ArrayLike, *, coverage: float = 0.95
) -> CalibrationBand:
    """Give the fitted R2* and the confidence band of the curve.

    Parameters
    ----------
    fit : CalibrationFit
        From `fit_calibration`.
    iron_mmol_per_l : array-like of float, any shape
        Concentrations within the range of the vials.
    coverage : float, optional
        Between 0 and 1; pointwise.

    Returns
    -------
    CalibrationBand
        NaN outside of the range of the vials.

    Raises
    ------
    InputError
        The coverage is not between 0 and 1.

    Notes
    -----
    ``R2* -+ t(dof, coverage) sqrt(x^T C x)`` with ``x = (1, c, c^2)``: the band of the curve, not
    of a further vial.
    """
    if not 0.0 < coverage < 1.0:
        raise _fault("the coverage must lie between 0 and 1", coverage)
    iron = np.asarray(iron_mmol_per_l, dtype=np.float64)
    inside = (iron >= fit.curve.low_mmol_per_l) & (iron <= fit.curve.high_mmol_per_l)
    x = np.where(inside, iron, np.nan)[..., None] ** np.arange(fit.coefficients.size)
    middle = x @ fit.coefficients
    error = np.sqrt(np.einsum("...i,ij,...j->...", x, fit.covariance, x))
    reach = float(stdtrit(fit.degrees_of_freedom, 0.5 + 0.5 * coverage)) * error
    return CalibrationBand(middle, middle - reach, middle + reach)


def _require_rise(
    pair: NDArray[np.float64], covariance: NDArray[np.float64], low: float, high: float
) -> None:
    ends = [pair[0] + 2.0 * pair[1] * c for c in (0.0, low, high)]
    if min(ends) <= 0.0:
        raise _fault("R2* does not rise with iron over the whole range of the vials", ends)
    gradient = np.array([1.0, low + high])
    slope = float(gradient @ pair)
    error = math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
    if slope < _CLEAR_SLOPE * error:
        raise _fault(
            f"the slope of the curve ({slope:.3g} L/(mmol s)) is less than {_CLEAR_SLOPE:g} times "
            f"its standard error ({error:.3g})",
            None,
        )


def _fault(message: str, value: object) -> InputError:
    return InputError(
        message,
        code=_CODE,
        where="calibration",
        value=value,
        action="check the table of vials, add vials, or take a linear curve",
    )
