"""Uptake quantities from an activity concentration: SUV by body size, per cent injected dose.

The dose and the activity concentration must belong to the *same reference instant*: both decayed to
the start of the scan, or both corrected to the injection.  None of these functions decays anything.
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import InputError
from eprimg.kernels._body_checks import height_in_m, positive

__all__ = [
    "body_surface_area_du_bois_m2",
    "lean_body_mass_janmahasatian_kg",
    "percent_id_per_kg",
    "percent_id_per_kg_from_suvbw",
    "percent_id_per_ml",
    "scaled",
    "scaled_with_valid",
    "sul_janmahasatian",
    "suvbsa",
    "suvbw",
    "suvbw_factor",
]

Sex = Literal["M", "F", "O"]

_F = TypeVar("_F", bound=np.floating)

_BLOCK_BYTES = 2**20


def suvbw_factor(dose_bq: float, weight_g: float) -> float:
    """Factor from activity concentration to SUVbw.

    Parameters
    ----------
    dose_bq : float
        Dose in Bq at the reference instant of the activity; finite and positive.
    weight_g : float
        Body weight in g (not kg); finite and positive.

    Returns
    -------
    float
        ``weight_g / dose_bq`` in g/Bq.

    Raises
    ------
    InputError
        Dose or weight is not finite or not positive.
    """
    dose = positive(dose_bq, "dose_bq", "Give the administered activity in Bq.")
    return positive(weight_g, "weight_g", "Give the body weight in g.") / dose


def suvbw(activity_bq_per_ml: NDArray[_F], *, dose_bq: float, weight_g: float) -> NDArray[_F]:
    """Standardised uptake value by body weight.

    Parameters
    ----------
    activity_bq_per_ml : ndarray of float32 or float64, any shape
        Activity concentration in Bq/mL at the reference instant.
    dose_bq : float
        Dose in Bq at the *same* reference instant.
    weight_g : float
        Body weight in g.

    Returns
    -------
    ndarray
        ``A W / D`` in g/mL, same shape and dtype; NaN stays NaN, negative voxels stay negative.

    Raises
    ------
    InputError
        Dose or weight is not finite or not positive.

    Notes
    -----
    A dose that is decayed twice, or not at all, scales every voxel by the same factor and looks
    plausible.  For an activity that stays in a closed body of density 1 g/mL the mean SUVbw is 1.

    References
    ----------
    .. [1] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    return scaled(activity_bq_per_ml, suvbw_factor(dose_bq, weight_g))


def lean_body_mass_janmahasatian_kg(weight_kg: float, height_m: float, sex: Sex) -> float:
    """Lean body mass (fat-free mass) after Janmahasatian.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.
    sex : {"M", "F", "O"}
        PatientSex (0010,0040).  "O" gives the mean of both formulas, for which there is no
        consensus; it is the suggestion of the IBSI SUV manual.

    Returns
    -------
    float
        Male ``9270 W / (6680 + 216 BMI)``, female ``9270 W / (8780 + 244 BMI)``, in kg, with
        ``BMI = weight_kg / height_m**2``.

    Raises
    ------
    InputError
        Weight or height is not finite, not positive, or the height is in cm; the sex is unknown.

    Notes
    -----
    Derived from adults of 40.7-216.5 kg and BMI 17.1-69.9 kg/m2; it is not valid for children or
    animals.  Unlike the James formula it does not turn down at high BMI.

    References
    ----------
    .. [1] Janmahasatian S et al., Quantification of lean bodyweight. Clin Pharmacokinet
       2005;44(10):1051-1065. doi:10.2165/00003088-200544100-00004
    """
    weight = positive(weight_kg, "weight_kg", "Give the body weight in kg.")
    bmi = weight / height_in_m(height_m) ** 2
    male = 9270.0 * weight / (6680.0 + 216.0 * bmi)
    female = 9270.0 * weight / (8780.0 + 244.0 * bmi)
    match sex:
        case "M":
            return male
        case "F":
            return female
        case "O":
            return 0.5 * (male + female)
    raise InputError(
        "The sex must be M, F or O for a lean body mass.",
        code="E_ARGUMENT",
        where="sex",
        value=sex,
        action="Give the sex, or use SUVbw, which does not need it.",
    )


def sul_janmahasatian(
    activity_bq_per_ml: NDArray[_F],
    *,
    dose_bq: float,
    weight_kg: float,
    height_m: float,
    sex: Sex,
) -> NDArray[_F]:
    """Standardised uptake value by lean body mass (SUL), Janmahasatian.

    Parameters
    ----------
    activity_bq_per_ml : ndarray of float32 or float64, any shape
        Activity concentration in Bq/mL at the reference instant.
    dose_bq : float
        Dose in Bq at the *same* reference instant.
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m.
    sex : {"M", "F", "O"}
        Patient sex; see `lean_body_mass_janmahasatian_kg`.

    Returns
    -------
    ndarray
        ``A LBM / D`` in g/mL, same shape and dtype.

    Raises
    ------
    InputError
        An argument is missing, not positive or not plausible.

    Notes
    -----
    Not comparable with SUL from the James formula (used by the QIBA reference object).

    References
    ----------
    .. [1] Janmahasatian S et al., doi:10.2165/00003088-200544100-00004
    .. [2] Wahl RL et al., PERCIST. J Nucl Med 2009;50 Suppl 1:122S-150S.
       doi:10.2967/jnumed.108.057307
    """
    lean_g = 1000.0 * lean_body_mass_janmahasatian_kg(weight_kg, height_m, sex)
    return scaled(activity_bq_per_ml, suvbw_factor(dose_bq, lean_g))


def body_surface_area_du_bois_m2(weight_kg: float, height_m: float) -> float:
    """Body surface area after Du Bois and Du Bois.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.

    Returns
    -------
    float
        ``0.007184 W^0.425 H^0.725`` in m2, with H in cm.

    Raises
    ------
    InputError
        Weight or height is not finite, not positive, or the height is in cm.

    Notes
    -----
    Derived from nine persons; other formulas differ by several per cent, more in obesity.

    References
    ----------
    .. [1] Du Bois D, Du Bois EF, Arch Intern Med 1916;17:863-871.
       doi:10.1001/archinte.1916.00080130010002
    """
    weight = positive(weight_kg, "weight_kg", "Give the body weight in kg.")
    height_cm = 100.0 * height_in_m(height_m)
    return 0.007184 * math.pow(weight, 0.425) * math.pow(height_cm, 0.725)


def suvbsa(
    activity_bq_per_ml: NDArray[_F], *, dose_bq: float, weight_kg: float, height_m: float
) -> NDArray[_F]:
    """Standardised uptake value by body surface area (Du Bois).

    Parameters
    ----------
    activity_bq_per_ml : ndarray of float32 or float64, any shape
        Activity concentration in Bq/mL at the reference instant.
    dose_bq : float
        Dose in Bq at the *same* reference instant.
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m.

    Returns
    -------
    ndarray
        ``A BSA / D`` in cm2/mL, same shape and dtype.

    Raises
    ------
    InputError
        Dose, weight or height is not finite, not positive or not plausible.

    Notes
    -----
    The unit is cm2/mL, not m2/mL: ``SUVbsa = SUVbw * 10 BSA_m2 / weight_kg``, about 0.26
    times SUVbw for an adult of 70 kg and 1.75 m.

    References
    ----------
    .. [1] Du Bois D, Du Bois EF, doi:10.1001/archinte.1916.00080130010002
    """
    dose = positive(dose_bq, "dose_bq", "Give the administered activity in Bq.")
    area_cm2 = 1.0e4 * body_surface_area_du_bois_m2(weight_kg, height_m)
    return scaled(activity_bq_per_ml, area_cm2 / dose)


def percent_id_per_ml(activity_bq_per_ml: NDArray[_F], *, dose_bq: float) -> NDArray[_F]:
    """Per cent of the injected dose per mL of tissue.

    Parameters
    ----------
    activity_bq_per_ml : ndarray of float32 or float64, any shape
        Activity concentration in Bq/mL at the reference instant.
    dose_bq : float
        Injected dose in Bq at the *same* reference instant.

    Returns
    -------
    ndarray
        ``100 A / D`` in %/mL, same shape and dtype.

    Raises
    ------
    InputError
        The dose is not finite or not positive.
    """
    dose = positive(dose_bq, "dose_bq", "Give the administered activity in Bq.")
    return scaled(activity_bq_per_ml, 100.0 / dose)


def percent_id_per_kg(activity_bq_per_ml: NDArray[_F], *, dose_bq: float) -> NDArray[_F]:
    """Per cent of the injected dose per kg of tissue.

    Parameters
    ----------
    activity_bq_per_ml : ndarray of float32 or float64, any shape
        Activity concentration in Bq/mL at the reference instant.
    dose_bq : float
        Injected dose in Bq at the *same* reference instant.

    Returns
    -------
    ndarray
        ``100 000 A / D`` in %/kg, same shape and dtype.

    Raises
    ------
    InputError
        The dose is not finite or not positive.

    Notes
    -----
    Takes 1 mL of tissue as 1 g.  That is wrong for lung (about 0.3 g/mL) and bone.  Unlike SUV it
    is not scaled by the body: the same uptake gives less %ID/kg in a heavier patient.
    """
    dose = positive(dose_bq, "dose_bq", "Give the administered activity in Bq.")
    return scaled(activity_bq_per_ml, 1.0e5 / dose)


def percent_id_per_kg_from_suvbw(suvbw: NDArray[_F], *, weight_kg: float) -> NDArray[_F]:
    """Per cent of the injected dose per kg of tissue, from SUVbw.

    Parameters
    ----------
    suvbw : ndarray of float32 or float64, any shape
        SUVbw in g/mL.
    weight_kg : float
        Body weight in kg, the one that was used for the SUVbw.

    Returns
    -------
    ndarray
        ``100 SUVbw / weight_kg`` in %/kg, same shape and dtype.

    Raises
    ------
    InputError
        The weight is not finite or not positive.

    Notes
    -----
    Takes 1 mL of tissue as 1 g.  Needs no dose: useful for series already stored in g/mL.
    """
    weight = positive(weight_kg, "weight_kg", "Give the body weight in kg.")
    return scaled(suvbw, 100.0 / weight)


def scaled(values: NDArray[_F], factor: float) -> NDArray[_F]:
    """Multiply a map by one factor, in one pass and in its own type.

    Parameters
    ----------
    values : ndarray, any shape
        Values; integers become float64.
    factor : float
        Finite factor.

    Returns
    -------
    ndarray of float32 or float64
        Same shape; float32 stays float32.

    Notes
    -----
    The factor is rounded to the type of the values first: 6e-8 of it for float32.
    """
    array = np.asarray(values)
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    result: NDArray[_F] = np.multiply(array, factor, dtype=dtype)
    return result


def scaled_with_valid(values: NDArray[_F], factor: float) -> tuple[NDArray[_F], NDArray[np.bool_]]:
    """Multiply a map by one factor and tell its finite voxels, in one pass over memory.

    Parameters
    ----------
    values : ndarray, any shape
        Map; integers become float64.
    factor : float
        Finite factor.

    Returns
    -------
    scaled : ndarray of float32 or float64
        As from `scaled`.
    valid : ndarray of bool
        True where ``values`` is finite; read-only, and of one byte in all when all of them are.

    Notes
    -----
    Runs in blocks that stay in the cache: the product, then the sum of squares, which is finite
    only when every voxel is (it overflows for values above 1e17 in float32; then, as for failed
    voxels, each one is looked at).
    """
    array = np.asarray(values)
    if array.dtype not in (np.float32, np.float64) or not array.flags.c_contiguous:
        return scaled(array, factor), np.isfinite(array)
    result = np.empty_like(array)
    flat, product = array.reshape(-1), result.reshape(-1)
    step = _BLOCK_BYTES // array.itemsize
    finite = True
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, flat.size, step):
            block = flat[start : start + step]
            np.multiply(block, array.dtype.type(factor), out=product[start : start + step])
            finite = finite and math.isfinite(float(np.dot(block, block)))
    return result, np.broadcast_to(np.True_, array.shape) if finite else np.isfinite(array)
