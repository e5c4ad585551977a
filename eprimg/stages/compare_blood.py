"""Blood samples against the blood pool of the PET series: two ways to the same concentration."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.model.case import Finding, Severity

__all__ = ["BloodComparison", "compare_blood"]

_LIMIT_PERCENT = 20.0
"""House rule, not published.  Image blood pools of 89Zr repeat within 40 % at day 6 (Jauw et al.,
Mol Imaging Biol 2018, doi:10.1007/s11307-018-1200-4): a difference alone does not say who is
right."""


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
