"""Kinetic quantities of lesions and voxels that were imaged at several times.

Times are seconds since injection.  Activity is **decay-corrected to the injection** unless a
parameter says otherwise; `kinetic_input.decay_corrected_to_injection` converts.  Standard errors
are first-order propagation of independent errors; an error that all scans share (dose calibrator,
scanner calibration, partial volume) is in none of them.  `confidence_limits` makes intervals.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from eprimg.kernels._kinetic_area import AreaUnderCurve, area_under_curve
from eprimg.kernels._kinetic_arrays import (
    KINETIC_REASON_TEXT,
    KineticReason,
    argument,
    broadcast,
    faults,
    given,
    require_together,
    series,
    series_faults,
    too_few,
)
from eprimg.kernels._kinetic_patlak import PatlakFit, patlak
from eprimg.kernels.radioactivity import decay_factor, require_near

__all__ = [
    "KINETIC_REASON_TEXT",
    "AreaUnderCurve",
    "BloodCorrected",
    "ConfidenceLimits",
    "KineticReason",
    "KineticValue",
    "PatlakFit",
    "area_under_curve",
    "blood_volume_correction",
    "confidence_limits",
    "patlak",
    "retention",
    "two_scan_permeability_index",
]


_Array = NDArray[np.floating]


class ConfidenceLimits(NamedTuple):
    """Limits of a confidence interval, in the unit of the value."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


class KineticValue(NamedTuple):
    """A value per voxel or lesion: unit as the function says.

    Attributes
    ----------
    value : ndarray of float32 or float64
        NaN where `reason` is not OK.
    standard_error : ndarray, same type
        NaN also where no standard error was given.
    reason : ndarray of uint8
        `KineticReason`.
    """

    value: _Array
    standard_error: _Array
    reason: NDArray[np.uint8]


class BloodCorrected(NamedTuple):
    """Result of `blood_volume_correction`; arrays as in `KineticValue`.

    Attributes
    ----------
    value, standard_error : ndarray of float32 or float64
        Uptake without the blood in the vessels, and its standard error, in the unit of the uptake.
    blood_share : ndarray, same type
        Part of the uptake that was taken for blood; NaN where the uptake is zero.
    uptake_over_blood, uptake_over_blood_se : ndarray, same type
        Ratio of the uncorrected uptake to blood; NaN where blood is zero or negative.
    reason : ndarray of uint8
        `KineticReason`.
    """

    value: _Array
    standard_error: _Array
    blood_share: _Array
    uptake_over_blood: _Array
    uptake_over_blood_se: _Array
    reason: NDArray[np.uint8]


def confidence_limits(
    value: ArrayLike,
    standard_error: ArrayLike,
    *,
    degrees_of_freedom: float = math.inf,
    coverage: float = 0.95,
) -> ConfidenceLimits:
    """Confidence interval of a value, normal or Student t.

    Parameters
    ----------
    value, standard_error : array-like of float, any shape
        Values and standard errors in one unit.
    degrees_of_freedom : float, optional
        Infinite (normal) for errors from known standard deviations; ``n - p`` from residuals.
    coverage : float, optional
        Between 0 and 1.

    Returns
    -------
    ConfidenceLimits
        ``value -+ t(dof, coverage) standard_error``; NaN for no degree of freedom.

    Raises
    ------
    InputError
        The coverage is not between 0 and 1, or the degrees of freedom are negative.
    """
    if not 0.0 < coverage < 1.0:
        raise argument("the coverage must lie between 0 and 1", "coverage", coverage)
    if not degrees_of_freedom >= 0.0:
        raise argument("degrees of freedom < 0", "degrees_of_freedom", degrees_of_freedom)
    upper = 0.5 + 0.5 * coverage
    if math.isinf(degrees_of_freedom):
        factor = float(ndtri(upper))
    else:
        factor = float(stdtrit(degrees_of_freedom, upper)) if degrees_of_freedom else math.nan
    middle = np.asarray(value, dtype=np.float64)
    reach = factor * np.asarray(standard_error, dtype=np.float64)
    return ConfidenceLimits(middle - reach, middle + reach)


def retention(
    early: ArrayLike,
    late: ArrayLike,
    *,
    early_se: ArrayLike | None = None,
    late_se: ArrayLike | None = None,
    scan_gap_s: float | None = None,
    half_life_s: float | None = None,
    least_early_over_se: float = 3.0,
) -> KineticValue:
    """Retention: uptake of the late scan over uptake of the early scan.

    Parameters
    ----------
    early, late : array-like of float, shapes that broadcast
        Uptake at the two scans in one unit: both decay-corrected to the injection (as SUV
        and %ID are), or both physical, and then with `scan_gap_s` and `half_life_s`.
    early_se, late_se : array-like of float, optional
        Standard errors in the same unit, not negative; both or none.
    scan_gap_s, half_life_s : float, optional
        Seconds from the early to the late scan, and half-life in s; only for physical activity.
    least_early_over_se : float, default 3
        Below this multiple of its standard error the early value gives no ratio.

    Returns
    -------
    KineticValue
        Ratio without unit; 1 means that what was there has stayed or been replaced.

    Raises
    ------
    InputError
        Only one of two arguments that belong together, a gap that is not positive or longer than
        1000 half-lives, or shapes that do not fit.

    Notes
    -----
    ``R = L/E`` times ``exp(lambda gap)`` for physical activity, with relative variance
    ``(sL/L)^2 + (sE/E)^2`` for independent errors (noise).  An error common to both scans cancels.
    The propagation drops terms of the order ``(sE/E)^2``: at three standard errors the ratio is
    about 11 % too high on average, which is why smaller early values are refused (Fieller, J R Stat
    Soc B 1954;16:175).  A ratio of means is not the mean of voxel ratios; a lesion's retention is
    the first.  A negative late value from noise is kept.
    """
    require_together("early_se", early_se, "late_se", late_se)
    require_together("scan_gap_s", scan_gap_s, "half_life_s", half_life_s)
    (e, ell, se, sl), dtype = broadcast(early, late, early_se, late_se)
    if not (math.isfinite(least_early_over_se) and least_early_over_se >= 0.0):
        raise argument("give 0 or more", "least_early_over_se", least_early_over_se)
    factor = 1.0
    if scan_gap_s is not None and half_life_s is not None:
        if not scan_gap_s > 0.0:
            raise argument("the late scan must come after the early one", "scan_gap_s", scan_gap_s)
        require_near(float(scan_gap_s), half_life_s, where="scan_gap_s")
        factor = 1.0 / decay_factor(float(scan_gap_s), half_life_s)
    reason = faults((e, ell), (se, sl))
    reason[(reason == 0) & (e <= 0.0)] = KineticReason.NON_POSITIVE
    weak = (reason == 0) & (e < least_early_over_se * se)
    reason[weak] = KineticReason.DENOMINATOR_UNCERTAIN
    with np.errstate(all="ignore"):
        ratio = factor * ell / e
        error = np.sqrt((factor * sl) ** 2 + (ratio * se) ** 2) / e
    ratio, error = given(reason, dtype, ratio, error)
    return KineticValue(ratio, error, reason)


def two_scan_permeability_index(
    tumour: ArrayLike,
    blood: ArrayLike,
    times_s: ArrayLike,
    *,
    tumour_sd: ArrayLike | None = None,
    blood_sd: ArrayLike | None = None,
) -> KineticValue:
    """Permeability index Ps: slope of the tumour curve minus slope of the blood curve.

    Parameters
    ----------
    tumour : array-like of float, shape (..., 2)
        Activity of lesions or voxels at both scans, decay-corrected to the injection.
    blood : array-like of float, broadcasts to the shape of `tumour`
        Activity of blood at both scans, same unit.
    times_s : array-like of float, shape (2,)
        Seconds since injection.
    tumour_sd, blood_sd : array-like of float, optional
        Standard deviations in the same unit, not negative; both or none.

    Returns
    -------
    KineticValue
        ``((T2 - T1) - (B2 - B1)) / (t2 - t1)`` in the unit of the activity per s.

    Raises
    ------
    InputError
        Not two scans, or shapes that do not fit.

    Notes
    -----
    Definition after the abstract of [1]_ (60 min of an albumin-bound tracer in mice): the
    difference of the slopes of both time-activity curves; values from static images at several
    times agreed with dynamic ones.  **Not verified against the full text**: unit, fitting
    interval and whether blood is scaled there.  The variance is the sum of the four variances over
    ``(t2 - t1)^2``.

    The index is no permeability-surface product, and it is not zero for tight vessels unless blood
    is constant: a tumour that is nothing but a blood volume v has ``Ps = (v - 1) dB/dt``, positive
    while blood falls.  Between scans a day apart that part can exceed the uptake.  Compare it only
    between lesions of one patient, or use `patlak`, which divides by the plasma.

    References
    ----------
    .. [1] Chen H, Tong X, Lang L, et al., Theranostics 2017;7(9):2363-2376. doi:10.7150/thno.19898
    """
    require_together("tumour_sd", tumour_sd, "blood_sd", blood_sd)
    (t, b, st, sb), dtype = broadcast(tumour, blood, tumour_sd, blood_sd)
    if t.ndim == 0 or t.shape[-1] != 2:
        raise too_few("the permeability index needs exactly two scans on the last axis", t.size)
    times = series(t, times_s, None)[1]
    duration = float(times[1] - times[0])
    reason = np.maximum(series_faults(t, st, needed=False), series_faults(b, sb, needed=False))
    difference = t - b
    with np.errstate(invalid="ignore"):
        value = (difference[..., 1] - difference[..., 0]) / duration
        error = np.sqrt(np.sum(st**2 + sb**2, axis=-1)) / duration
    value, error = given(reason, dtype, value, error)
    return KineticValue(value, error, reason)


def blood_volume_correction(
    uptake: ArrayLike,
    blood: ArrayLike,
    fraction: ArrayLike,
    *,
    uptake_se: ArrayLike | None = None,
    blood_se: ArrayLike | None = None,
    fraction_se: ArrayLike | None = None,
) -> BloodCorrected:
    """Uptake of a lesion without the activity of the blood in its vessels.

    Parameters
    ----------
    uptake, blood : array-like of float, shapes that broadcast
        Uptake of lesion and of whole blood at the same scan, in one unit.
    fraction : array-like of float, broadcasts
        Blood volume fraction of the lesion, at least 0 and below 1 (not per cent); NaN where
        unknown.
    uptake_se, blood_se, fraction_se : array-like of float, optional
        Standard errors, not negative; 0 for an assumed fraction.  One that is missing makes the
        standard error NaN.

    Returns
    -------
    BloodCorrected
        ``uptake - fraction blood``, its standard error, the share of blood, the ratio to blood.

    Raises
    ------
    InputError
        A fraction outside its range, or shapes that do not fit.

    Notes
    -----
    Variance ``su^2 + f^2 sb^2 + b^2 sf^2`` for independent errors.  The result is per mL of lesion,
    blood included; divided by ``1 - fraction`` it is per mL of tissue.  Use whole blood, not
    plasma.  Early after injection blood can be most of the uptake, and the error of an assumed
    fraction then decides.  A negative result is kept; beyond noise it says that the fraction or
    the blood is too high.
    """
    (u, b, f, su, sb, sf), dtype = broadcast(
        uptake, blood, fraction, uptake_se, blood_se, fraction_se
    )
    if np.any((f < 0.0) | (f >= 1.0)):
        raise argument(
            "a blood volume fraction lies between 0 and 1 (0.05 for 5 %)",
            "fraction",
            float(f[(f < 0.0) | (f >= 1.0)][0]),
        )
    reason = faults((u, b, f), (su, sb, sf))
    with np.errstate(all="ignore"):
        value = u - f * b
        error = np.sqrt(su**2 + (f * sb) ** 2 + (b * sf) ** 2)
        share = np.where(u == 0.0, np.nan, f * b / u)
        ratio = np.where(b > 0.0, u / b, np.nan)
        ratio_error = np.where(b > 0.0, np.sqrt(su**2 + (ratio * sb) ** 2) / b, np.nan)
    results = given(reason, dtype, value, error, share, ratio, ratio_error)
    value, error, share, ratio, ratio_error = results
    return BloodCorrected(value, error, share, ratio, ratio_error, reason)
