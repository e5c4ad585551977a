"""Body sizes that scanners normalise SUV by: lean mass (Morgan, James 128), ideal weight.

They are used to turn stored SUVlbm and SUVibw back into SUVbw; the lean mass of Janmahasatian and
the body surface area are in `eprimg.kernels.uptake`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from eprimg.errors import InputError
from eprimg.kernels.uptake import Sex

__all__ = ["ideal_body_weight_kg", "lean_body_mass_james128_kg", "lean_body_mass_morgan_kg"]

_TALLEST_M = 3.0


def lean_body_mass_morgan_kg(weight_kg: float, height_m: float, sex: Sex) -> float:
    """Lean body mass with 120 as the male multiplier; DICOM's SUVType LBM.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.
    sex : {"M", "F", "O"}
        PatientSex (0010,0040); "O" gives the mean of both (IBSI SUV manual).

    Returns
    -------
    float
        Male ``1.10 W - 120 (W/H)^2``, female ``1.07 W - 148 (W/H)^2``, in kg, with H in cm.

    Raises
    ------
    InputError
        An argument is not plausible, or the result is not between 0 and the weight: the parabola
        turns down at high weight for height.

    Notes
    -----
    Fitted to adults.  It falls again above a body-mass index of about 36 (women) and 46 (men) kg/m2
    and is misleading there.  DICOM defines SUVType LBM by this pair of multipliers.

    References
    ----------
    .. [1] Morgan DJ, Bray KM. Lean body mass as a predictor of drug dosage. Clin Pharmacokinet
       1994;26:292-307.
    .. [2] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    return _parabola(weight_kg, height_m, sex, 120.0)


def lean_body_mass_james128_kg(weight_kg: float, height_m: float, sex: Sex) -> float:
    """Lean body mass after James, with 128 as the male multiplier; DICOM's SUVType LBMJAMES128.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.
    sex : {"M", "F", "O"}
        PatientSex (0010,0040); "O" gives the mean of both (IBSI SUV manual).

    Returns
    -------
    float
        Male ``1.10 W - 128 (W/H)^2``, female ``1.07 W - 148 (W/H)^2``, in kg, with H in cm.

    Raises
    ------
    InputError
        As `lean_body_mass_morgan_kg`.

    Notes
    -----
    See `lean_body_mass_morgan_kg`; for men the two differ by some per cent.

    References
    ----------
    .. [1] James WPT, Research on obesity. HMSO, London 1976.
    .. [2] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    return _parabola(weight_kg, height_m, sex, 128.0)


def ideal_body_weight_kg(height_m: float, sex: Sex) -> float:
    """Ideal body weight; DICOM's SUVType IBW.

    Parameters
    ----------
    height_m : float
        Body height in m, at most 3.
    sex : {"M", "F", "O"}
        PatientSex (0010,0040); "O" gives the mean of both (IBSI SUV manual).

    Returns
    -------
    float
        Male ``48.0 + 1.06 (H - 152)``, female ``45.5 + 0.91 (H - 152)``, in kg, with H in cm.

    Raises
    ------
    InputError
        The height is not plausible (the result has to be positive), or the sex is unknown.

    Notes
    -----
    Adults; a straight line in height that knows nothing about the patient's weight.

    References
    ----------
    .. [1] Zasadny KR, Wahl RL. Standardized uptake values of normal tissues at PET with FDG:
       variations with body weight and a method for correction. Radiology 1993;189:847-850.
    .. [2] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    height_cm = 100.0 * _height(height_m)
    ideal = _of_sex(
        sex,
        lambda: 48.0 + 1.06 * (height_cm - 152.0),
        lambda: 45.5 + 0.91 * (height_cm - 152.0),
    )
    return _result(ideal, math.inf, "height_m", height_m)


def _parabola(weight_kg: float, height_m: float, sex: Sex, male: float) -> float:
    weight = _positive(weight_kg, "weight_kg", "Give the body weight in kg.")
    ratio = (weight / (100.0 * _height(height_m))) ** 2
    lean = _of_sex(sex, lambda: 1.10 * weight - male * ratio, lambda: 1.07 * weight - 148.0 * ratio)
    return _result(lean, weight, "weight_kg", weight_kg)


def _of_sex(sex: Sex, male: Callable[[], float], female: Callable[[], float]) -> float:
    if sex == "M":
        return male()
    if sex == "F":
        return female()
    if sex == "O":
        return 0.5 * (male() + female())
    raise InputError(
        "The sex must be M, F or O.",
        code="E_ARGUMENT",
        where="sex",
        value=sex,
        action="Give the sex.",
    )


def _result(kilograms: float, most: float, where: str, value: float) -> float:
    if not 0.0 < kilograms < most:
        raise InputError(
            "The formula gives no plausible body size here.",
            code="E_ARGUMENT",
            where=where,
            value=value,
            action="Check weight and height.",
        )
    return kilograms


def _positive(value: float, name: str, action: str) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise InputError(
            f"{name} must be a finite, positive number.",
            code="E_ARGUMENT",
            where=name,
            value=value,
            action=action,
        )
    return number


def _height(height_m: float) -> float:
    height = _positive(height_m, "height_m", "Give the body height in m.")
    if height > _TALLEST_M:
        raise InputError(
            "The body height is above 3 m, so it is probably in cm.",
            code="E_ARGUMENT",
            where="height_m",
            value=height_m,
            action="Give the body height in m.",
        )
    return height
