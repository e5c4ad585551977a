"""Iron of regions by a named relaxivity model, and the check against the injected dose."""

from __future__ import annotations

import math

import numpy as np

from eprimg.errors import InputError
from eprimg.kernels.iron import (
    IRON_REASON_TEXT,
    IronCurve,
    IronReason,
    implied_iron,
    iron_concentration,
    iron_content_ug_per_g,
)
from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.relaxivity import RelaxivityModel
from eprimg.model.study import Role, Study
from eprimg.model.tiers import Objection
from eprimg.stages.agent_dose import agent_facts
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number

__all__ = ["iron_balance", "iron_findings", "measure_iron", "refused_model"]

_SOURCE = "mr_post-mr_pre"
_GRID = "native mr_post and native mr_pre"
_FIELD_TOLERANCE_T = 0.2
"""Two field strengths that differ less are the same class of scanner (2.89 T and 3 T)."""

_HOLDERS = ("liver", "spleen", "blood")
"""Organs in which most of the agent is found; they cannot hold more than was injected."""

_IN_TISSUE = (
    "the packing of iron in cells, which raises R2* several times, is not in the model and not in "
    "the error"
)


def refused_model(study: Study, model: RelaxivityModel) -> str:
    """Say why a relaxivity model cannot be used for a study.

    Parameters
    ----------
    study : Study
        What was read.
    model : RelaxivityModel
        Named in the settings.

    Returns
    -------
    str
        Empty when it was measured at the field strength of both series.
    """
    for role in (Role.MR_PRE, Role.MR_POST):
        series = study.find(role)
        if series is None:
            continue
        field = (
            series.acquisition.field_strength_t.value
            if isinstance(series.acquisition, MRAcquisition)
            else None
        )
        if field is None:
            return (
                f"the relaxivity model {model.key} is for {model.field_strength_t:g} T, and the "
                f"field strength of {series.key} is not known"
            )
        if abs(field - model.field_strength_t) > _FIELD_TOLERANCE_T:
            return (
                f"the relaxivity model {model.key} was measured at {model.field_strength_t:g} T, "
                f"and {series.key} was acquired at {field:g} T"
            )
    return ""


def measure_iron(
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet,
    study: Study,
    model: RelaxivityModel | None,
) -> None:
    """Append the iron concentration of regions, and the iron mass of the organs that hold most.

    Parameters
    ----------
    numbers : dict
        Measurements by region id with the native dR2*; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    lesions : LesionSet
        Regions.
    study : Study
        What was read: the field strengths.
    model : RelaxivityModel or None
        None appends nothing.
    """
    if model is None:
        return
    refused = refused_model(study, model)
    curve = IronCurve(
        *model.coefficients,
        np.asarray(model.covariance),
        *model.range_mmol_per_l,
        model.degrees_of_freedom,
    )
    holders = {
        r.id for r in lesions.regions if r.role == RegionRole.REFERENCE and r.anatomy in _HOLDERS
    }
    for number, measured in numbers.items():
        for statistic in ("median", "mean"):
            change = find_number(numbers, kept, number, "dr2star", statistic, _SOURCE)
            if change is not None:
                measured += _concentrations(change, statistic, curve, model, refused)
        term = find_number(numbers, kept, number, "dr2star", "registration_error_term", _SOURCE)
        median = find_number(numbers, kept, number, "dr2star", "median", _SOURCE)
        if term is not None and median is not None and not refused:
            measured += _registration_terms(median, term, curve)
        mean = find_number(numbers, kept, number, "dr2star", "mean", _SOURCE)
        volume = find_number(numbers, kept, number, "volume", "volume", "reference")
        if number in holders and mean is not None and volume is not None and not refused:
            measured.append(_mass(mean, volume, curve, model))


def _concentrations(
    change: Measurement, statistic: str, curve: IronCurve, model: RelaxivityModel, refused: str
) -> list[Measurement]:
    found = iron_concentration(change.value, curve, dr2star_se_per_s=change.uncertainty)
    value, error = float(found.mmol_per_l), float(found.standard_error)
    reason = IronReason(int(found.reason))
    why = ""
    if refused:
        value, error, why = NAN, NAN, f"not computed: {refused}"
    elif reason != IronReason.OK:
        low, high = model.range_mmol_per_l
        why = f"not computed: {IRON_REASON_TEXT[reason]} ({low:g} to {high:g} mmol/L)"
    note = "; ".join(n for n in (why, model.words(), change.note) if n)
    covers = (
        f"in quadrature, ΔR2*: {change.uncertainty_note}; the curve of {model.key}; {_IN_TISSUE}"
    )
    return [
        Measurement(
            "iron_concentration",
            statistic,
            _SOURCE,
            value,
            error,
            covers,
            change.n_voxels,
            _GRID,
            note,
        ),
        Measurement(
            "iron_content",
            statistic,
            _SOURCE,
            float(iron_content_ug_per_g(value)),
            float(iron_content_ug_per_g(error)),
            covers,
            change.n_voxels,
            _GRID,
            f"1 mL of tissue taken as 1 g; {note}",
        ),
    ]


def _registration_terms(
    change: Measurement, term: Measurement, curve: IronCurve
) -> list[Measurement]:
    """Carry the registration term of dR2* through the slope of the curve, for tiers."""
    found = iron_concentration(change.value, curve, dr2star_se_per_s=term.value)
    error = float(found.noise_error)
    if not math.isfinite(error):
        return []
    return [
        Measurement(
            quantity,
            "registration_error_term",
            _SOURCE,
            shown,
            NAN,
            term.uncertainty_note,
            term.n_voxels,
            term.grid,
            term.note,
        )
        for quantity, shown in (
            ("iron_concentration", error),
            ("iron_content", float(iron_content_ug_per_g(error))),
        )
    ]


def _mass(
    change: Measurement, volume: Measurement, curve: IronCurve, model: RelaxivityModel
) -> Measurement:
    found = implied_iron(
        [change.value], [volume.value], curve, dr2star_se_per_s=[change.uncertainty]
    )
    note = f"for the check against the dose only; {model.words()}"
    if found.beyond[0]:
        high = model.range_mmol_per_l[1]
        prolonged = "the line is prolonged" if curve.quadratic == 0.0 else "a lower bound"
        note = f"ΔR2* lies above the range of the model ({high:g} mmol/L): {prolonged}; {note}"
    return Measurement(
        "iron_mass",
        "implied",
        _SOURCE,
        found.mg,
        found.standard_error_mg,
        f"noise of the mean ΔR2* and the curve of {model.key}; {_IN_TISSUE}",
        change.n_voxels,
        _GRID,
        note,
    )


def iron_findings(study: Study, model: RelaxivityModel | None) -> tuple[Finding, ...]:
    """Say which model was used, or why none was.

    Parameters
    ----------
    study : Study
        What was read.
    model : RelaxivityModel or None
        Named in the settings.

    Returns
    -------
    tuple of Finding
        ``I_IRON_MODEL`` or ``E_IRON_FIELD``; empty without a model or without both series.
    """
    if model is None or study.find(Role.MR_PRE) is None or study.find(Role.MR_POST) is None:
        return ()
    refused = refused_model(study, model)
    if refused:
        error = InputError(
            f"no iron concentration was computed: {refused}",
            code="E_IRON_FIELD",
            where="iron.model",
            action="name a model of the field strength of the series, or none",
        )
        return (Finding.from_error(error),)
    said = f"Iron concentrations follow {model.words()}. In tissue the relaxivity is another one."
    if model.note:
        said += f" Note: {model.note}."
    return (Finding("I_IRON_MODEL", Severity.INFO, "iron.model", said),)


def iron_balance(
    study: Study, lesions: LesionSet | None
) -> tuple[tuple[Objection, ...], tuple[Finding, ...]]:
    """Compare the iron that the model puts into liver, spleen and blood with the dose.

    Parameters
    ----------
    study : Study
        What was read: the dose of the study file.
    lesions : LesionSet or None
        Measured regions.

    Returns
    -------
    tuple of Objection
        Against tiers by iron when there is more than was injected.
    tuple of Finding
        ``W_IRON_BALANCE`` then; ``I_IRON_DOSE`` when the dose is not known.
    """
    held: list[tuple[Region, Measurement]] = []
    for region in lesions.references if lesions is not None else ():
        mass = region.measurement("iron_mass", "implied", _SOURCE)
        if mass is not None and math.isfinite(mass.value):
            held.append((region, mass))
    if not held:
        return (), ()
    total = sum(mass.value for _, mass in held)
    # The curve is shared by the regions, so their errors add up; those of noise would add less.
    error = sum(mass.uncertainty for _, mass in held)
    parts = ", ".join(f"{region.name} {mass.value:.0f} mg" for region, mass in held)
    dose = agent_facts(study).dose_mg_fe
    within = f" (standard error at most {error:.0f} mg)" if math.isfinite(error) else ""
    said = f"the relaxivity model puts {total:.0f} mg of iron{within} into {parts}"
    where = ", ".join(region.name for region, _ in held)
    if not math.isfinite(dose):
        text = (
            f"{said[0].upper()}{said[1:]}. The injected dose is not known, so this was not checked."
        )
        return (), (Finding("I_IRON_DOSE", Severity.INFO, where, text),)
    if total <= dose:
        return (), ()
    said += f", {100 * total / dose:.0f} % of the {dose:.0f} mg that were injected"
    finding = Finding(
        "W_IRON_BALANCE",
        Severity.WARNING,
        where,
        f"{said[0].upper()}{said[1:]}. A body cannot hold more than it was given: the relaxivity "
        "does not hold in these organs, or the dose is wrong. Do not read iron concentrations as "
        "amounts.",
    )
    quantities = ("iron_concentration", "iron_content")
    return (Objection("W_IRON_BALANCE", quantities, said),), (finding,)
