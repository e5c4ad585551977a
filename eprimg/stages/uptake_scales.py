"""Factors from activity concentration to every uptake quantity, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from eprimg.errors import InputError
from eprimg.kernels.body_size import (
    JAMES_DOUBTFUL_BMI,
    SULFormula,
    body_mass_index_kg_per_m2,
    ideal_body_weight_kg,
    lean_body_mass_kg,
)
from eprimg.kernels.uptake import Sex, body_surface_area_du_bois_m2
from eprimg.model.acquisition import PETAcquisition

__all__ = ["SUL_PREFIX", "UptakeScales", "sul_words", "uptake_scales"]

SUL_PREFIX = "sul_"
"""How the key of SUL begins; the formula of the lean body mass follows."""

_FORMULA_WORDS = {
    "janmahasatian": "Janmahasatian, doi 10.2165/00003088-200544100-00004",
    "james128": "James, multiplier 128",
    "james120": "James, multiplier 120, also named Morgan",
}
_SEX_O = "sex O: mean of the formulas for men and women, on which there is no consensus"


@dataclass(frozen=True, slots=True)
class UptakeScales:
    """What activity concentration in Bq/mL is multiplied by.

    Parameters
    ----------
    factors : dict of str to float
        Quantity key -> factor in the unit of the quantity per Bq/mL.
    refused : dict of str to str
        Quantity key -> why there is no factor.
    remarks : dict of str to str
        Quantity key -> what a reader of its numbers has to know.
    missing : frozenset of str
        Keys of ``refused`` whose body facts are not there; the others have facts that cannot be
        used.
    """

    factors: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def uptake_scales(
    acquisition: PETAcquisition, dose_bq: float, *, sul_formula: str = "janmahasatian"
) -> UptakeScales:
    """Work out the factor of every uptake quantity from dose and body facts.

    Parameters
    ----------
    acquisition : PETAcquisition
        Weight, height and sex are taken from it, never guessed.
    dose_bq : float
        Dose in Bq at the instant to which the activity belongs; finite and positive.
    sul_formula : {"janmahasatian", "james128", "james120"}
        Formula of the lean body mass.

    Returns
    -------
    UptakeScales
        ``pid_per_ml`` and ``pid_per_kg`` always; ``suvbw`` needs the weight; ``suvbsa`` weight and
        height; SUL weight, height and sex; ``suvibw`` height and sex.

    Notes
    -----
    Every quantity is the activity concentration times a body size over the dose, ``A S / D``: S is
    100 mL or 100 kg for %ID, the weight in g for SUVbw, the lean body mass in g for SUL, the ideal
    weight in g for SUVibw and the surface in cm2 for SUVbsa.  Formulas, sources and ranges:
    `eprimg.kernels.uptake`, `eprimg.kernels.body_size`.
    """
    weight, height, sex = (
        acquisition.weight_kg.value,
        acquisition.height_m.value,
        cast("Sex | None", acquisition.sex.value),
    )
    factors = {"pid_per_ml": 100.0 / dose_bq, "pid_per_kg": 1.0e5 / dose_bq}
    refused: dict[str, str] = {}
    remarks: dict[str, str] = {}
    absent: set[str] = set()
    sul = f"{SUL_PREFIX}{sul_formula}"
    formula = cast(SULFormula, sul_formula)
    bodies: dict[str, tuple[dict[str, object], Callable[[], float]]] = {
        "suvbw": ({"weight": weight}, lambda: 1000.0 * cast(float, weight)),
        sul: (
            {"weight": weight, "height": height, "sex": sex},
            lambda: (
                1000.0
                * lean_body_mass_kg(
                    formula, cast(float, weight), cast(float, height), cast(Sex, sex)
                )
            ),
        ),
        "suvibw": (
            {"height": height, "sex": sex},
            lambda: 1000.0 * ideal_body_weight_kg(cast(float, height), cast(Sex, sex)),
        ),
        "suvbsa": (
            {"weight": weight, "height": height},
            lambda: 1.0e4 * body_surface_area_du_bois_m2(cast(float, weight), cast(float, height)),
        ),
    }
    for key, (needed, body) in bodies.items():
        gone = [name for name, value in needed.items() if value is None]
        if gone:
            refused[key] = f"not computed: {' and '.join(gone)} of the patient not known"
            absent.add(key)
            continue
        try:
            size = body()
        except InputError as error:
            refused[key] = f"not computed: {error.message}"
            continue
        if not (0.0 < size < float("inf")):
            refused[key] = "not computed: the weight of the patient is not a positive number"
            continue
        factors[key] = size / dose_bq
        if sex == "O" and "sex" in needed:
            remarks[key] = _SEX_O
    if sul in factors and sul_formula != "janmahasatian":
        bmi = body_mass_index_kg_per_m2(cast(float, weight), cast(float, height))
        if bmi >= JAMES_DOUBTFUL_BMI:
            doubt = (
                f"body mass index {bmi:.1f} kg/m2: from {JAMES_DOUBTFUL_BMI:g} on the formula of "
                "James breaks down (Tahari 2014, doi 10.2967/jnumed.113.136986)"
            )
            remarks[sul] = "; ".join(filter(None, (remarks.get(sul, ""), doubt)))
    return UptakeScales(factors, refused, remarks, frozenset(absent))


def sul_words(sul_formula: str) -> str:
    """Name the formula of the lean body mass with its source.

    Parameters
    ----------
    sul_formula : str
        As in the settings.

    Returns
    -------
    str
        Words for the method of a map.
    """
    return _FORMULA_WORDS[sul_formula]
