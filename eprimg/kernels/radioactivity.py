"""Radioactive decay: constant, factor, mean time of a frame, dose and activity at one instant.

Every elapsed time is in seconds and is the difference of two dated instants.  A clock time without
its date is not an elapsed time: for 89Zr or 64Cu a lost day is a factor of 1.2 to 3.7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import InputError

__all__ = [
    "ReferenceScale",
    "decay_constant_per_s",
    "decay_factor",
    "decayed_dose_bq",
    "frame_mean_time_s",
    "reference_scale",
    "require_near",
]

_T = TypeVar("_T", float, NDArray[np.float32], NDArray[np.float64], NDArray[np.floating])

# Below this lambda * T the mean time comes from its power series; the first term left out is
# x**7 / 9676800 of the frame, below 1e-16.
_SERIES_LIMIT = 0.05

# 2**1000 is near the end of the double range; long before it the activity is not measurable.
_MOST_HALF_LIVES = 1000.0


class ReferenceScale(NamedTuple):
    """What brings dose and stored activity to one instant.

    Parameters
    ----------
    dose_at_reference_bq : float
        Dose in Bq at the instant to which the corrected activity belongs.
    slice_factors : tuple of float
        One per slice, multiplies its stored activity; empty when every factor is 1 (START, ADMIN).
    """

    dose_at_reference_bq: float
    slice_factors: tuple[float, ...]


def decay_constant_per_s(half_life_s: float) -> float:
    """Decay constant of a nuclide.

    Parameters
    ----------
    half_life_s : float
        Half-life in s, finite and positive.

    Returns
    -------
    float
        Decay constant ``lambda = ln 2 / half_life_s`` in 1/s.

    Raises
    ------
    InputError
        The half-life is not finite or not positive.
    """
    half_life = float(half_life_s)
    if not (math.isfinite(half_life) and half_life > 0.0):
        raise InputError(
            "The half-life must be a finite, positive number of seconds.",
            code="E_ARGUMENT",
            where="half_life_s",
            value=half_life_s,
            action="Give the half-life of the nuclide in seconds.",
        )
    return math.log(2.0) / half_life


def decay_factor(elapsed_s: _T, half_life_s: float) -> _T:
    """Fraction of the activity that is left after a time.

    Parameters
    ----------
    elapsed_s : float or ndarray of float32 or float64, any shape
        Time in s since the instant at which the activity is known.  Negative values go back in
        time and give factors above 1.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    float or ndarray
        ``exp(-lambda * elapsed_s)``, same shape and dtype as `elapsed_s`.

    Raises
    ------
    InputError
        The half-life is not positive, or a time is not finite.

    Notes
    -----
    Factors multiply: ``f(a + b) = f(a) f(b)``.  The number misleads when `elapsed_s` was made from
    clock times: one lost day multiplies an 89Zr activity by 1.24 and a 64Cu activity by 3.7.
    """
    constant = decay_constant_per_s(half_life_s)
    if not np.all(np.isfinite(elapsed_s)):
        raise InputError(
            "The elapsed time must be finite.",
            code="E_ARGUMENT",
            where="elapsed_s",
            value=elapsed_s if np.ndim(elapsed_s) == 0 else None,
            action="Give both instants with their dates.",
        )
    if not isinstance(elapsed_s, np.ndarray):
        return math.exp(-constant * float(elapsed_s))
    dtype = np.float32 if elapsed_s.dtype == np.float32 else np.float64
    return cast("_T", np.exp(-constant * elapsed_s).astype(dtype, copy=False))


def frame_mean_time_s(duration_s: float, half_life_s: float) -> float:
    """Time within a frame at which the activity equals its mean over the frame.

    Parameters
    ----------
    duration_s : float
        Frame duration T in s, finite and not negative.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    float
        ``T_ave = (1/lambda) ln(lambda T / (1 - exp(-lambda T)))`` in s after the frame start.

    Raises
    ------
    InputError
        The duration is negative or not finite, or the half-life is not positive.

    Notes
    -----
    Holds for an activity that changes by decay alone during the frame; uptake or wash-out moves the
    mean time.  For ``lambda T < 0.05`` the power series
    ``T (1/2 - x/24 + x^3/2880 - x^5/181440)``, ``x = lambda T``, avoids cancellation.  The result
    lies between 0 and T/2.

    References
    ----------
    .. [1] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0): decay correction NONE.
    """
    constant = decay_constant_per_s(half_life_s)
    duration = float(duration_s)
    if not (math.isfinite(duration) and duration >= 0.0):
        raise InputError(
            "The frame duration must be finite and not negative.",
            code="E_ARGUMENT",
            where="duration_s",
            value=duration_s,
            action="Give ActualFrameDuration (0018,1242) in seconds; the tag is in milliseconds.",
        )
    x = constant * duration
    if x < _SERIES_LIMIT:
        return duration * (0.5 - x / 24.0 + x**3 / 2880.0 - x**5 / 181440.0)
    return math.log(x / -math.expm1(-x)) / constant


def decayed_dose_bq(dose_bq: float, elapsed_s: float, half_life_s: float) -> float:
    """Dose at another instant.

    Parameters
    ----------
    dose_bq : float
        Dose in Bq at its own instant, finite and positive.
    elapsed_s : float
        Time in s from that instant to the wanted one; negative goes back in time.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    float
        ``dose_bq * exp(-lambda * elapsed_s)`` in Bq.

    Raises
    ------
    InputError
        An argument is not finite, or the dose or half-life is not positive.

    Notes
    -----
    The residual activity in the syringe is not removed; subtract it, decayed to the same instant.
    """
    return _positive_dose_bq(dose_bq) * decay_factor(float(elapsed_s), half_life_s)


def reference_scale(
    decay_correction: str,
    *,
    dose_bq: float,
    half_life_s: float,
    elapsed_s: float,
    frame_times_s: Sequence[tuple[float, float]] = (),
) -> ReferenceScale:
    """Bring the dose and the stored activity of a PET series to one instant.

    Parameters
    ----------
    decay_correction : str
        ``START``, ``ADMIN`` or ``NONE``, as in DecayCorrection (0054,1102).
    dose_bq : float
        Dose in Bq at the injection, finite and positive.
    half_life_s : float
        Half-life in s, finite and positive; not looked at for ADMIN, may be NaN there.
    elapsed_s : float
        Time in s from the injection to the reference instant; not looked at for ADMIN.
        Without decay correction the reference instant is the one that `frame_times_s` starts from.
    frame_times_s : sequence of (float, float)
        NONE only, per slice: time in s from the reference instant to the start of the slice's
        frame, and duration of the frame in s (positive).

    Returns
    -------
    ReferenceScale
        The dose at the common instant, and what each slice has to be multiplied by.

    Raises
    ------
    InputError
        The decay correction is another one; a number that is needed is not finite, not positive or
        more than 1000 half-lives away; NONE without frames.

    Notes
    -----
    With ``lambda = ln 2 / half_life_s``:

    START: the activity belongs to the reference instant, so the dose is brought there,
    ``D exp(-lambda elapsed_s)``.  ADMIN: the activity belongs to the injection already, the dose is
    used as it is.  NONE: the activity of a slice is the mean over its frame; it is brought to the
    injection by ``exp(lambda (elapsed_s + start + T_ave))`` with the mean time ``T_ave`` of
    `frame_mean_time_s`, and the dose is used as it is.

    A wrong decay correction or a lost day scales whole slices by one factor and looks plausible.

    References
    ----------
    .. [1] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    if decay_correction == "ADMIN":
        return ReferenceScale(_positive_dose_bq(dose_bq), ())
    if decay_correction == "START":
        require_near(elapsed_s, half_life_s)
        return ReferenceScale(decayed_dose_bq(dose_bq, elapsed_s, half_life_s), ())
    if decay_correction != "NONE":
        raise InputError(
            "The decay correction must be START, ADMIN or NONE.",
            code="E_ARGUMENT",
            where="decay_correction",
            value=decay_correction,
            action="Give DecayCorrection (0054,1102) of the series.",
        )
    if not frame_times_s or any(duration <= 0.0 for _, duration in frame_times_s):
        raise InputError(
            "Without decay correction every slice needs the start and a positive duration of its "
            "frame.",
            code="E_ARGUMENT",
            where="frame_times_s",
            value=len(frame_times_s),
            action="Give AcquisitionTime (0008,0032) and ActualFrameDuration (0018,1242).",
        )
    factors = []
    for start_s, duration_s in frame_times_s:
        since_injection_s = elapsed_s + start_s + frame_mean_time_s(duration_s, half_life_s)
        require_near(since_injection_s, half_life_s)
        factors.append(1.0 / decay_factor(since_injection_s, half_life_s))
    return ReferenceScale(_positive_dose_bq(dose_bq), tuple(factors))


def require_near(elapsed_s: float, half_life_s: float, *, where: str = "elapsed_s") -> None:
    """Refuse a time over which the activity leaves the range of numbers.

    Parameters
    ----------
    elapsed_s : float
        Time in s, of either sign.
    half_life_s : float
        Half-life in s, finite and positive.
    where : str, optional
        Name of the argument, for the message.

    Raises
    ------
    InputError
        The time is not finite or longer than 1000 half-lives, or the half-life is not positive.
    """
    exponent = abs(elapsed_s) * decay_constant_per_s(half_life_s)
    if not exponent <= _MOST_HALF_LIVES * math.log(2.0):
        raise InputError(
            f"The elapsed time must be finite and at most {_MOST_HALF_LIVES:g} half-lives.",
            code="E_ARGUMENT",
            where=where,
            value=elapsed_s,
            action="Give both instants with their dates, and the half-life in seconds.",
        )


def _positive_dose_bq(dose_bq: float) -> float:
    """Return the dose, or refuse one that is not finite and positive."""
    dose = float(dose_bq)
    if not (math.isfinite(dose) and dose > 0.0):
        raise InputError(
            "The dose must be a finite, positive activity.",
            code="E_ARGUMENT",
            where="dose_bq",
            value=dose_bq,
            action="Give the administered activity in Bq.",
        )
    return dose
