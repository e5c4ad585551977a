"""Blood samples against the PET series: the same concentration, and the same calibration."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Role, Study

__all__ = ["BloodComparison", "blood_calibration", "compare_blood"]

_LIMIT_PERCENT = 20.0
"""House rule, not published.  Image blood pools of 89Zr repeat within 40 % at day 6 (Jauw et al.,
Mol Imaging Biol 2018, doi:10.1007/s11307-018-1200-4): a difference alone does not say who is
right."""

_FAR_CALIBRATION = 0.1
"""House rule, the one of scanner and dose calibrator: further apart is told as doubtful."""

_SETTING = "kinetics.pet_over_well_counter"


class BloodComparison(NamedTuple):
    """Image over samples at one time.

    Attributes
    ----------
    time_s : float
        Seconds since injection.
    sampled_bq_per_ml : float
        Whole blood by the samples, decay-corrected to the injection; NaN outside of their times.
    image_bq_per_ml : float
        Blood pool of the series, the same.
    difference_percent : float
        ``100 (image / sampled - 1)``.
    """

    time_s: float
    sampled_bq_per_ml: float
    image_bq_per_ml: float
    difference_percent: float


def compare_blood(
    sample_times_s: ArrayLike,
    sampled_bq_per_ml: ArrayLike,
    image_times_s: ArrayLike,
    image_bq_per_ml: ArrayLike,
    *,
    plasma_over_blood: float | None = None,
    limit_percent: float = _LIMIT_PERCENT,
) -> tuple[tuple[BloodComparison, ...], tuple[Finding, ...]]:
    """Compare blood samples with a blood-pool region.

    Parameters
    ----------
    sample_times_s : array-like of float, shape (n,)
        Seconds since injection, strictly rising.
    sampled_bq_per_ml : array-like of float, shape (n,)
        Activity of whole blood, or of plasma with `plasma_over_blood`, decay-corrected to the
        injection, as the scanner reads it; positive.
    image_times_s : array-like of float, shape (m,)
        Seconds from the injection to the middle of each scan.
    image_bq_per_ml : array-like of float, shape (m,)
        Mean of the blood-pool region, decay-corrected to the injection.
    plasma_over_blood : float, optional
        Ratio by which plasma samples are brought to whole blood, which is what the image shows.
    limit_percent : float, optional
        A larger difference is a warning.

    Returns
    -------
    tuple of BloodComparison
        One per scan.
    tuple of Finding
        ``W_BLOOD_POOL`` for a difference beyond the limit; ``I_BLOOD_POOL`` for agreement, and for
        a scan outside of the times of the samples, which is not compared.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shapes differ, a number is not finite or not positive, times do not rise.

    Notes
    -----
    Between two samples the blood is taken as exponential (straight in its logarithm); nothing is
    extrapolated.  Spill-over from the vessel wall, a small region, partial volume and a wrong
    cross-calibration all look the same here: a constant ratio over all scans speaks for the
    calibration, a ratio that changes with time for the region.
    """
    times, blood = _pair(sample_times_s, sampled_bq_per_ml, "samples")
    scans, image = _pair(image_times_s, image_bq_per_ml, "image")
    if np.any(np.diff(times) <= 0):
        raise _argument("sample_times_s", times.tolist(), "The times of the samples must rise.")
    if np.any(blood <= 0):
        raise _argument("sampled_bq_per_ml", blood.tolist(), "Samples must be positive.")
    if plasma_over_blood is not None:
        if not (math.isfinite(plasma_over_blood) and plasma_over_blood > 0):
            raise _argument("plasma_over_blood", plasma_over_blood, "The ratio must be positive.")
        blood = blood / plasma_over_blood
    known = np.exp(np.interp(scans, times, np.log(blood)))
    found = []
    findings: list[Finding] = []
    for time, sampled, seen in zip(scans.tolist(), known.tolist(), image.tolist(), strict=True):
        if not times[0] <= time <= times[-1]:
            found.append(BloodComparison(time, math.nan, seen, math.nan))
            findings.append(
                _finding(
                    time, "was not compared: it lies outside of the times of the blood samples"
                )
            )
            continue
        apart = 100.0 * (seen / sampled - 1.0)
        found.append(BloodComparison(time, sampled, seen, apart))
        said = (
            f"reads {seen:.4g} Bq/mL, {apart:+.1f} % from the {sampled:.4g} Bq/mL of the blood "
            "samples"
        )
        findings.append(_finding(time, said, doubtful=abs(apart) > limit_percent))
    return tuple(found), tuple(findings)


def blood_calibration(study: Study, plasma: PlasmaInput | None) -> tuple[Finding, ...]:
    """Say how blood samples and uptake are brought to one calibration.

    Parameters
    ----------
    study : Study
        What was read; its PET may hold a cross-calibration with the dose calibrator.
    plasma : PlasmaInput or None
        Blood samples of the run.

    Returns
    -------
    tuple of Finding
        Empty without samples, or with fewer than two dated PET sessions, which make no use of them.
        ``I_WELL_COUNTER`` for an entered cross-calibration, ``W_CROSS_CALIBRATION`` when it is more
        than a tenth from 1; ``W_WELL_COUNTER`` when the dose has one and the samples have none.

    Notes
    -----
    With scanner over dose calibrator k and scanner over well counter w, uptake is
    ``C_scanner / (k D)`` and blood ``w C_counter / (k D)``.  Where the well counter reads what the
    dose calibrator reads, w is k: left out, blood is k times too low and the net influx, which is
    uptake over blood, k times too high.  Where it reads what the scanner reads, w is 1.
    """
    pets = study.find_all(Role.PET)
    if plasma is None or sum(study.hours_after_dose(s) is not None for s in pets) < 2:
        return ()
    factor = plasma.pet_over_well_counter
    if factor is not None:
        far = abs(factor - 1.0) > _FAR_CALIBRATION
        text = f"Every blood sample was multiplied by {factor:g}, the entered cross-calibration "
        text += "(what the scanner reads over what the well counter reads)"
        text += f": the two are {100 * (factor - 1.0):+.0f} % apart." if far else "."
        if far:
            return (Finding("W_CROSS_CALIBRATION", Severity.WARNING, _SETTING, text),)
        return (Finding("I_WELL_COUNTER", Severity.INFO, _SETTING, text),)
    first = study.find(Role.PET)
    facts = first.acquisition if first is not None else None
    dose = facts.pet_over_dose_calibrator.value if isinstance(facts, PETAcquisition) else None
    if dose is None or dose == 1.0:
        return ()
    text = (
        f"Uptake was divided by {dose:g}, the entered cross-calibration of scanner and dose "
        "calibrator, and no cross-calibration of the blood samples is stated. If the well counter "
        f"reads what the dose calibrator reads, the net influx is off by {100 * (dose - 1.0):+.1f} "
        "%; if it reads what the scanner reads, it is right."
    )
    return (Finding("W_WELL_COUNTER", Severity.WARNING, _SETTING, text),)


def _finding(time_s: float, said: str, *, doubtful: bool = False) -> Finding:
    return Finding(
        "W_BLOOD_POOL" if doubtful else "I_BLOOD_POOL",
        Severity.WARNING if doubtful else Severity.INFO,
        "blood pool",
        f"The blood pool of the scan {time_s / 3600:.2f} h after the injection {said}.",
    )


def _pair(
    times: ArrayLike, values: ArrayLike, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (times, values))
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise _argument(name, (first.shape, second.shape), "Times and activities must pair up.")
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise _argument(name, None, "Times and activities must be finite.")
    return first, second


def _argument(where: str, value: object, message: str) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)
