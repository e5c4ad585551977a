"""The PET part of the quantify stage: activity, SUVbw, %ID/kg from the facts of an acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from eprimg.errors import ClockError, EprimgError, InputError, MissingTagError, UnitsError
from eprimg.kernels.radioactivity import reference_scale
from eprimg.kernels.uptake import scaled_with_valid
from eprimg.model.acquisition import CLOCK_SKEW_S, Known, PETAcquisition, seconds_between
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.volume import Volume
from eprimg.stages._pet_maps import percent_in_view, plain_map, scaled_map
from eprimg.stages.quantify_stored_suv import stored_suv_maps
from eprimg.stages.uptake_scales import SUL_PREFIX, sul_words, uptake_scales

__all__ = [
    "UPTAKE_REFUSED",
    "UPTAKE_REMARKS",
    "UPTAKE_SCALES",
    "PETMaps",
    "PETScale",
    "mass_balance_fault",
    "pet_maps",
    "pet_scale",
]

_MASS_BALANCE_LIMIT_PERCENT = 110.0
"""No patient holds more than was injected; ten percent are left to calibration and noise."""

_IN_VIEW = "percent_id_in_field_of_view"

UPTAKE_SCALES = "uptake_per_bq_per_ml"
UPTAKE_REFUSED = "uptake_not_computed"
UPTAKE_REMARKS = "uptake_remarks"
"""Facts of the ``pid_per_kg`` map: factor, or reason against one, of every uptake quantity."""


@dataclass(frozen=True, slots=True)
class PETScale:
    """What turns stored Bq/mL into uptake.

    Parameters
    ----------
    dose_bq : float
        Dose at the instant to which the activity belongs.
    slice_factor : tuple of float
        Per slice: factor that brings the stored value to that instant (all 1 for START and ADMIN).
    rule : str
        The rule in words.
    facts : dict
        Everything the side-car says.
    """

    dose_bq: float
    slice_factor: tuple[float, ...]
    rule: str
    facts: dict[str, Any]


@dataclass(slots=True)
class PETMaps:
    """Maps of a PET series with what was noticed and what was refused.

    Parameters
    ----------
    maps : dict of str to QuantityMap
        Maps by key.
    findings : list of Finding
        Doubts.
    faults : list of EprimgError
        Why a map is missing.
    """

    maps: dict[str, QuantityMap] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    faults: list[EprimgError] = field(default_factory=list)


def pet_scale(
    acquisition: PETAcquisition, n_slices: int
) -> tuple[PETScale | None, list[EprimgError]]:
    """Bring dose and activity to one instant, by the rule of the series' decay correction.

    Parameters
    ----------
    acquisition : PETAcquisition
        Facts of the series.
    n_slices : int
        Number of slices.

    Returns
    -------
    PETScale or None
        None when a fact is missing or wrong.
    list of EprimgError
        Every fault that was found.

    Notes
    -----
    The arithmetic and its source are in `eprimg.kernels.radioactivity.reference_scale`.
    """
    injection = acquisition.injection
    faults: list[EprimgError] = []
    dose = _positive(injection.dose_bq, "the injected activity", "E_SUV_DOSE", faults)
    factor = acquisition.pet_over_dose_calibrator.value
    if factor is not None:
        dose *= factor  # what the scanner would read of the whole dose
    rule = acquisition.decay_correction
    elapsed, half_life = 0.0, injection.half_life_s.value or float("nan")
    if rule in ("START", "NONE"):
        half_life = _positive(injection.half_life_s, "the half-life", "E_SUV_HALF_LIFE", faults)
        elapsed = _elapsed_s(acquisition, faults)
    if rule not in ("START", "ADMIN", "NONE"):
        faults.append(
            InputError(
                "the decay correction of the PET series is not START, ADMIN or NONE",
                code="E_DECAY",
                where="DecayCorrection (0054,1102)",
                value=rule,
                action="give the series with its original header",
            )
        )
    if rule == "NONE" and (
        len(acquisition.frame_times) != n_slices
        or any(duration <= 0 for _, duration in acquisition.frame_times)
    ):
        faults.append(
            MissingTagError(
                "a series without decay correction needs start and duration of every frame",
                code="E_PET_DURATION",
                where="AcquisitionTime (0008,0032), ActualFrameDuration (0018,1242)",
                value=len(acquisition.frame_times),
                action="give the series with its original header",
            )
        )
    if faults:
        return None, faults
    try:
        common = reference_scale(
            rule,
            dose_bq=dose,
            half_life_s=half_life,
            elapsed_s=elapsed,
            frame_times_s=acquisition.frame_times,
        )
    except InputError as error:  # facts that no header gives, e.g. 1000 half-lives of delay
        return None, [error]
    if rule == "START":
        words = (
            f"START: values belong to the reference instant ({acquisition.reference_rule}); "
            f"the dose was decayed over {elapsed / 3600:.2f} h"
        )
    elif rule == "ADMIN":
        words = "ADMIN: values belong to the injection; the dose was not decayed"
    else:
        words = (
            "NONE: every slice was corrected from the mean time of its frame to the "
            "injection; the dose was not decayed"
        )
    facts = _facts(acquisition, acquisition.injection.dose_bq.value or dose, half_life)
    if factor is not None:
        words += (
            f"; the dose was multiplied by {factor:g}, what the scanner reads over what the dose "
            "calibrator reads"
        )
    facts["decay_rule"] = words
    facts["dose_at_reference_bq"] = common.dose_at_reference_bq
    factors = common.slice_factors or (1.0,) * n_slices
    return PETScale(common.dose_at_reference_bq, factors, words, facts), []


def pet_maps(series: Series, *, sul_formula: str = "janmahasatian") -> PETMaps:
    """Make the maps of a PET series that its facts allow.

    Parameters
    ----------
    series : Series
        PET in Bq/mL as stored.
    sul_formula : {"janmahasatian", "james128", "james120"}
        Formula of the lean body mass behind SUL.

    Returns
    -------
    PETMaps
        ``activity`` always; ``pid_per_kg`` with dose and instants; ``suvbw`` with the weight too;
        ``sul_<formula>`` when height and sex are known.  The factors of every uptake quantity
        stand in the facts of ``pid_per_kg``.
    """
    made = PETMaps()
    acquisition = series.acquisition
    assert isinstance(acquisition, PETAcquisition)
    assert isinstance(series.pixels, Volume)
    if series.pixels.quantity.key == "suvbw":
        made.maps, made.findings = stored_suv_maps(series, acquisition, series.pixels)
        _check_mass_balance(made, series)
        return made
    if series.pixels.quantity.key != "activity":
        made.faults.append(
            UnitsError(
                f"the PET series holds {series.pixels.quantity.name}, not an activity "
                "concentration",
                code="E_QUANTITY",
                where=series.key,
                value=acquisition.unit,
                action="give the series in Bq/mL (Units BQML)",
            )
        )
        return made
    stored = series.pixels.data
    if stored.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        stored = stored.astype(np.float64)
    scale, made.faults = pet_scale(acquisition, series.grid.shape[0])
    if scale is None:
        made.maps["activity"] = plain_map(
            series, stored, "activity", "Activity concentration as stored.", {}
        )
        return made
    activity = stored
    if any(f != 1.0 for f in scale.slice_factor):
        factor = np.asarray(scale.slice_factor, dtype=stored.dtype)
        activity = stored * factor[:, None, None]
    said = f"{scale.rule}; dose at that instant {scale.dose_bq / 1e6:.4g} MBq."
    # One look for failed voxels: every map is this array times a constant.
    scales = uptake_scales(acquisition, scale.dose_bq, sul_formula=sul_formula)
    percent, valid = scaled_with_valid(activity, scales.factors["pid_per_kg"])
    made.maps["activity"] = plain_map(
        series, activity, "activity", f"Activity concentration. {scale.rule}.", scale.facts, valid
    )
    weight = _positive(acquisition.weight_kg, "the patient's weight", "E_SUV_WEIGHT", made.faults)
    if np.isfinite(weight):
        made.maps["suvbw"] = scaled_map(
            series,
            activity,
            "suvbw",
            scales,
            f"SUVbw = activity x weight / dose, weight {weight:g} kg. {said}",
            scale.facts,
            valid,
        )
    made.maps["pid_per_kg"] = plain_map(
        series,
        percent,
        "pid_per_kg",
        f"%ID/kg = 100 000 x activity / dose, 1 mL taken as 1 g. {said}",
        {
            **scale.facts,
            _IN_VIEW: percent_in_view(series, activity, valid, scale.dose_bq),
            UPTAKE_SCALES: dict(scales.factors),
            UPTAKE_REFUSED: dict(scales.refused),
            UPTAKE_REMARKS: dict(scales.remarks),
        },
        valid,
    )
    _check_mass_balance(made, series)
    key = f"{SUL_PREFIX}{sul_formula}"
    if key in scales.factors:
        made.maps[key] = scaled_map(
            series,
            activity,
            key,
            scales,
            f"SUL = activity x lean body mass ({sul_words(sul_formula)}) / dose, weight "
            f"{weight:g} kg, height {acquisition.height_m.value:g} m, sex {acquisition.sex.value}. "
            f"{said}",
            scale.facts,
            valid,
        )
    elif np.isfinite(weight) and key not in scales.missing:
        made.findings.append(
            Finding(
                "W_SUL_REFUSED",
                Severity.WARNING,
                series.key,
                f"SUL was {scales.refused[key]}",
            )
        )
    if key in scales.remarks:
        made.findings.append(
            Finding("W_SUL_DOUBTFUL", Severity.WARNING, series.key, f"SUL: {scales.remarks[key]}.")
        )
    return made


def mass_balance_fault(facts: Mapping[str, Any]) -> str:
    """Say that more activity was seen than was injected.

    Parameters
    ----------
    facts : Mapping
        Facts of the ``pid_per_kg`` map.

    Returns
    -------
    str
        Empty when the balance holds, or is not known.
    """
    total = facts.get(_IN_VIEW)
    if total is None or not total > _MASS_BALANCE_LIMIT_PERCENT:
        return ""
    return (
        f"the PET field of view holds {total:.0f} % of the injected dose, more than "
        f"{_MASS_BALANCE_LIMIT_PERCENT:.0f} %: the unit of the dose, a clock, the half-life or the "
        "positron fraction is wrong"
    )


def _check_mass_balance(made: PETMaps, series: Series) -> None:
    """Tell when more activity was seen than was injected."""
    values = made.maps.get("pid_per_kg")
    fault = "" if values is None else mass_balance_fault(values.facts)
    if fault:
        made.findings.append(
            Finding(
                "E_MASS_BALANCE",
                Severity.ERROR,
                series.key,
                f"{fault[0].upper()}{fault[1:]}. The uptake values are written but not tiered.",
            )
        )


def _positive(known: Known[float], what: str, code: str, faults: list[EprimgError]) -> float:
    """Return a positive fact, or note the fault and return NaN."""
    try:
        value = float(known.require(what, code=code))
    except MissingTagError as error:
        faults.append(error)
        return float("nan")
    if not (np.isfinite(value) and value > 0):
        faults.append(
            InputError(
                f"{what} is not a positive number",
                code=code,
                where=known.where or None,
                value=value,
                action="enter it in study.toml (see docs, how-to/enter-missing-facts)",
            )
        )
        return float("nan")
    return value


def _elapsed_s(acquisition: PETAcquisition, faults: list[EprimgError]) -> float:
    """Seconds from the injection to the reference instant."""
    try:
        injected: datetime = acquisition.injection.instant.require(
            "the dated instant of the injection", code="E_SUV_TIME"
        )
    except MissingTagError as error:
        faults.append(error)
        return 0.0
    reference = acquisition.reference_instant
    if reference is None:
        faults.append(
            ClockError(
                "the instant to which the PET values are decay corrected is not known",
                code="E_SUV_TIME",
                where="SeriesTime (0008,0031)",
                action="give the series with its original header",
            )
        )
        return 0.0
    try:
        elapsed = seconds_between(injected, reference, where="injection and reference instant")
    except ClockError as error:
        faults.append(error)
        return 0.0
    if elapsed < -CLOCK_SKEW_S:
        faults.append(
            ClockError(
                "the injection lies more than one hour after the reference instant of the scan",
                code="E_SUV_TIME",
                where=acquisition.injection.instant.where or None,
                value=f"{-elapsed / 3600:.2f} h after",
                action="check date and time of the injection",
            )
        )
    return elapsed


def _facts(acquisition: PETAcquisition, dose: float, half_life: float) -> dict[str, Any]:
    injection, reference = acquisition.injection, acquisition.reference_instant
    return {
        "unit_stored": acquisition.unit,
        "voxel_rule": acquisition.voxel_rule,
        "mode": acquisition.mode,
        "header_warnings": list(acquisition.warnings),
        "decay_correction": acquisition.decay_correction,
        "reference_rule": acquisition.reference_rule,
        "reference_instant": None if reference is None else reference.isoformat(),
        "reference_candidates": {
            name: instant.isoformat() for name, instant in acquisition.reference_candidates
        },
        "injection_instant": None
        if injection.instant.value is None
        else injection.instant.value.isoformat(),
        "injection_origin": str(injection.instant.origin),
        "dose_bq": dose,
        "dose_origin": str(injection.dose_bq.origin),
        "dose_where": injection.dose_bq.where,
        "pet_over_dose_calibrator": acquisition.pet_over_dose_calibrator.value,
        "weight_kg": acquisition.weight_kg.value,
        "weight_origin": str(acquisition.weight_kg.origin),
        "height_m": acquisition.height_m.value,
        "sex": acquisition.sex.value,
        "nuclide": injection.nuclide.value,
        "half_life_s": half_life if np.isfinite(half_life) else None,
        "hours_after_injection": acquisition.hours_after_injection,
        "corrections": list(acquisition.corrections),
    } | ({} if acquisition.modality == "PET" else {"modality": acquisition.modality})
