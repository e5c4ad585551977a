"""Body sizes that uptake is scaled by: lean body mass by three formulas, ideal body weight.

The formulas give different masses for the same person.  State which one a number rests on, and
compare only numbers of one formula.
"""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

from eprimg.errors import InputError
from eprimg.kernels._body_checks import height_in_m, positive
from eprimg.kernels.uptake import Sex, lean_body_mass_janmahasatian_kg

__all__ = [
    "JAMES_DOUBTFUL_BMI",
    "SULFormula",
    "body_mass_index_kg_per_m2",
    "ideal_body_weight_kg",
    "lean_body_mass_james_kg",
    "lean_body_mass_kg",
]

SULFormula = Literal["janmahasatian", "james128", "james120"]

JAMES_DOUBTFUL_BMI: Final = 35.0
"""From this body mass index (kg/m2) on the James formula is known to break down (Tahari et al.,
J Nucl Med 2014;55:1481-1484, doi:10.2967/jnumed.113.136986)."""

_IDEAL_FROM_CM = 152.0


def body_mass_index_kg_per_m2(weight_kg: float, height_m: float) -> float:
    """Body mass index.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.

    Returns
    -------
    float
        ``weight_kg / height_m**2`` in kg/m2.

    Raises
    ------
    InputError
        Weight or height is not finite, not positive, or the height is in cm.
    """
    return (
        positive(weight_kg, "weight_kg", "Give the body weight in kg.") / height_in_m(height_m) ** 2
    )


def lean_body_mass_james_kg(
    weight_kg: float,
    height_m: float,
    sex: Sex,
    *,
    multiplier: Literal[120, 128] = 128,
    undo: bool = False,
) -> float:
    """Lean body mass after James, with the multiplier 128 or 120 for men.

    Parameters
    ----------
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m, at most 3.
    sex : {"M", "F", "O"}
        PatientSex (0010,0040).  "O" gives the mean of both formulas, for which there is no
        consensus; it is the suggestion of the IBSI SUV manual.
    multiplier : {128, 120}, optional
        128 is DICOM's ``LBMJAMES128``.  120 is DICOM's ``LBM``, which the IBSI SUV manual calls the
        formula of Morgan; the women's formula is the same in both.
    undo : bool, optional
        The size is to be taken out of a number that a scanner made with it.  What counts then is
        what the formula gave, also where it should not have been used.

    Returns
    -------
    float
        Male ``1.10 W - multiplier (W / H)**2``, female ``1.07 W - 148 (W / H)**2`` in kg, with W in
        kg and H in cm.

    Raises
    ------
    InputError
        Weight or height is not plausible, the sex or the multiplier is unknown, or the body mass
        index lies beyond the maximum of the formula (with `undo`: the result is not between 0 and
        the weight).

    Notes
    -----
    A parabola in the weight: beyond a body mass index of 43.0 (men, 128), 45.8 (men, 120) or 36.1
    kg/m2 (women) it gives a heavier person *less* lean mass, and is refused there.  It is doubtful
    from 35 kg/m2 on [1]_ (`JAMES_DOUBTFUL_BMI`).  Made for adults.

    References
    ----------
    .. [1] Tahari AK et al., Optimum lean body formulation for correction of standardized uptake
       value in PET imaging. J Nucl Med 2014;55:1481-1484. doi:10.2967/jnumed.113.136986
    .. [2] James WPT, Research on obesity. London: HMSO; 1976.
    .. [3] DICOM PS3.16, 126411 (120) and 126415 (128), SUV lean body mass calculation method.
    """
    if multiplier not in (120, 128):
        raise _refused("multiplier", multiplier, "The multiplier must be 120 or 128.", "Use 128.")
    bmi = body_mass_index_kg_per_m2(weight_kg, height_m)
    weight, ratio = float(weight_kg), float(weight_kg) / (100.0 * float(height_m))
    parts = {"M": (1.10, float(multiplier)), "F": (1.07, 148.0)}
    masses = []
    for linear, square in (parts[s] for s in _sexes(sex)):
        # d/dW (a W - b W^2 / H^2) = 0 at W / H^2 = a / (2 b), here in kg/cm2.
        turn = 1.0e4 * linear / (2.0 * square)
        if bmi > turn and not undo:
            raise _refused(
                "weight_kg, height_m",
                round(bmi, 1),
                f"Beyond a body mass index of {turn:.1f} kg/m2 the James formula gives a heavier "
                "person less lean mass.",
                "Use the formula of Janmahasatian.",
            )
        masses.append(linear * weight - square * ratio**2)
    return _between(sum(masses) / len(masses), weight)


def lean_body_mass_kg(formula: SULFormula, weight_kg: float, height_m: float, sex: Sex) -> float:
    """Lean body mass by a named formula.

    Parameters
    ----------
    formula : {"janmahasatian", "james128", "james120"}
        ``james120`` is also known as the formula of Morgan.
    weight_kg : float
        Body weight in kg.
    height_m : float
        Body height in m.
    sex : {"M", "F", "O"}
        Patient sex.

    Returns
    -------
    float
        Lean body mass in kg.

    Raises
    ------
    InputError
        The formula is unknown, or an argument is not plausible for it.

    Notes
    -----
    Ranges and sources: `lean_body_mass_janmahasatian_kg`, `lean_body_mass_james_kg`.
    """
    if formula == "janmahasatian":
        return lean_body_mass_janmahasatian_kg(weight_kg, height_m, sex)
    if formula == "james128":
        return lean_body_mass_james_kg(weight_kg, height_m, sex, multiplier=128)
    if formula == "james120":
        return lean_body_mass_james_kg(weight_kg, height_m, sex, multiplier=120)
    raise _refused(
        "formula",
        formula,
        "There is no such formula of the lean body mass.",
        f"Use one of {', '.join(get_args(SULFormula))}.",
    )


def ideal_body_weight_kg(height_m: float, sex: Sex, *, undo: bool = False) -> float:
    """Ideal body weight.

    Parameters
    ----------
    height_m : float
        Body height in m, 1.52 to 3.
    sex : {"M", "F", "O"}
        Patient sex; "O" gives the mean of both formulas (IBSI SUV manual).
    undo : bool, optional
        The size is to be taken out of a number that a scanner made with it.  What counts then is
        what the formula gave, also where it should not have been used.

    Returns
    -------
    float
        Male ``48.0 + 1.06 (H - 152)``, female ``45.5 + 0.91 (H - 152)`` in kg, with H in cm.

    Raises
    ------
    InputError
        The height is below 1.52 m, where the straight line starts (with `undo`: the result is not
        positive), or in cm; the sex is unknown.

    Notes
    -----
    Knows the height only.  A rule of thumb for adults from 152 cm (five feet) on.

    References
    ----------
    .. [1] DICOM PS3.16, 126413, SUV ideal body weight calculation method.
    .. [2] Vacha et al., IBSI SUV reference manual, draft 2026 (CC BY 4.0).
    """
    height_cm = 100.0 * height_in_m(height_m)
    if height_cm < _IDEAL_FROM_CM - 1e-9 and not undo:
        raise _refused(
            "height_m",
            height_m,
            "The ideal body weight is defined from a height of 1.52 m on.",
            "Use SUVbw or SUL.",
        )
    above = height_cm - _IDEAL_FROM_CM
    masses = [48.0 + 1.06 * above if s == "M" else 45.5 + 0.91 * above for s in _sexes(sex)]
    return _between(sum(masses) / len(masses), math.inf)


def _between(mass_kg: float, most_kg: float) -> float:
    """Hand back a mass that a body can have, or refuse it."""
    if not 0.0 < mass_kg < most_kg:
        raise _refused(
            "weight_kg, height_m",
            round(mass_kg, 1),
            "The formula gives no plausible body size here.",
            "Check weight and height.",
        )
    return mass_kg


def _sexes(sex: Sex) -> tuple[Literal["M", "F"], ...]:
    """Sexes whose formulas are averaged, or a refusal."""
    match sex:
        case "M":
            return ("M",)
        case "F":
            return ("F",)
        case "O":
            return ("M", "F")
    raise _refused(
        "sex",
        sex,
        "The sex must be M, F or O.",
        "Give the sex, or use SUVbw, which does not need it.",
    )


def _refused(where: str, value: object, message: str, action: str) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value, action=action)
