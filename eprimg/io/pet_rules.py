"""From the header facts of a PET series to checked facts with dated instants, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io import pet_facts
from eprimg.io.clocks import shown
from eprimg.io.pet_checks import header_faults
from eprimg.io.pet_entered import EnteredFacts, read_entered
from eprimg.io.pet_header import PetHeader, tag
from eprimg.io.pet_injection import injection_instant
from eprimg.io.pet_reference import (
    REFUSE_CHANGE,
    Reference,
    acquisition_instants,
    reference_instant,
)
from eprimg.kernels.radioactivity import decay_factor, reference_scale
from eprimg.kernels.uptake import suvbw_factor
from eprimg.model.acquisition import Injection, Known, Origin, PETAcquisition, seconds_between
from eprimg.model.case import Finding, Severity, StageResult

__all__ = ["pet_acquisition"]

T = TypeVar("T")

_FACTOR_TOLERANCE = 0.01
_ADMIN_RULE = "voxel values are decay corrected to the injection (DecayCorrection ADMIN)"
_NONE_RULE = (
    "voxel values are not decay corrected (DecayCorrection NONE); each slice is corrected "
    "to the injection"
)


def pet_acquisition(
    header: PetHeader,
    *,
    entered: Mapping[str, object] | None = None,
    faults: list[EprimgError] | None = None,
) -> StageResult[PETAcquisition]:
    """Judge the header facts of a PET series.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : Mapping, optional
        Facts that the user entered; see `eprimg.io.pet_entered.ENTERED_KEYS`.
    faults : list of EprimgError, optional
        Faults found before, to be raised together with those found here.

    Returns
    -------
    StageResult of PETAcquisition
        Facts with their origin, reference instant and hours after injection; findings.

    Raises
    ------
    EprimgError
        All faults of the series together; the code is that of the first one.
    """
    known, findings, more = read_entered(entered or {})
    faults = [*(faults or []), *more]
    header_faults(header, findings, faults)
    dose = pet_facts.dose(header, known, findings, faults)
    decay = pet_facts.half_life(
        header, known, findings, faults, needed=header.decay_correction != "ADMIN"
    )
    weight = pet_facts.weight(header, known, findings, faults)
    acquisition = PETAcquisition(
        injection=Injection(Known(), dose, decay.nuclide, decay.half_life_s),
        weight_kg=weight,
        height_m=pet_facts.height(header, known, findings),
        sex=pet_facts.sex(header, known),
        unit=header.units,
        decay_correction=header.decay_correction,
        reference_instant=None,
        reference_rule="",
        manufacturer=header.manufacturer,
        model=header.model,
        corrections=header.corrections,
    )
    if decay.half_life_s.value is not None and header.slices:
        acquisition = _timed(header, acquisition, decay, known, findings, faults)
    elif header.decay_correction == "ADMIN":
        acquisition = replace(acquisition, reference_rule=_ADMIN_RULE)
    raise_faults(faults)
    _check_philips(header, acquisition, findings)
    _tell(acquisition, findings)
    return StageResult(acquisition, tuple(findings))


def _timed(
    header: PetHeader,
    acquisition: PETAcquisition,
    decay: pet_facts.Decay,
    known: EnteredFacts,
    findings: list[Finding],
    faults: list[EprimgError],
) -> PETAcquisition:
    """Add instants: frames, reference, injection; the residual activity needs them too."""
    half_life_s = decay.half_life_s.value or 0.0
    kind = header.decay_correction
    soft = kind == "ADMIN"
    acquired = _attempt(
        lambda: acquisition_instants(header),
        [] if soft or (kind == "START" and known.reference_instant) else faults,
    )
    reference: Reference | None = None
    if kind == "START":
        entered = known.reference_instant
        if acquired:
            zone = acquired[0].tzinfo
            if entered is not None and entered.tzinfo is None and zone is not None:
                entered = entered.replace(tzinfo=zone)
            frames = acquired
            reference = _attempt(
                lambda: reference_instant(header, frames, half_life_s, entered=entered), faults
            )
        elif entered is not None:
            reference = Reference(entered, "entered by the user", ())
        if reference is not None:
            findings.extend(reference.findings)
    anchor = reference.instant if reference else (min(acquired) if acquired else None)
    if anchor is None:
        return replace(acquisition, reference_rule=_ADMIN_RULE if soft else "")
    late: list[EprimgError] = []
    moment = anchor
    found = _attempt(
        lambda: injection_instant(
            header,
            moment,
            half_life_s,
            coded_half_life_s=decay.longest_s,
            entered=known.injection_instant,
        ),
        late,
    )
    if late and soft:
        findings.append(
            Finding(
                "W_UPTAKE_UNKNOWN",
                Severity.WARNING,
                late[0].where or "",
                f"Hours after injection are not known: {late[0].message}. SUV does not need them "
                "here, "
                "because the voxel values are decay corrected to the injection.",
            )
        )
    elif late:
        faults.extend(late)
    if found is None:
        return replace(acquisition, reference_rule=_ADMIN_RULE if soft else "")
    findings.extend(found.findings)
    injected = found.instant.value or anchor
    injection = replace(acquisition.injection, instant=found.instant)
    injection = _net(injection, injected, half_life_s, known, findings, faults)
    start = reference.instant if reference else injected
    if not soft:
        decayed_to = start if reference else max(acquired or (anchor,))
        elapsed = seconds_between(injected, decayed_to, where="injection")
        _refuse_half_life(decay, elapsed, faults)
    return replace(
        acquisition,
        injection=injection,
        reference_instant=start,
        reference_rule=reference.rule if reference else _ADMIN_RULE if soft else _NONE_RULE,
        reference_candidates=reference.candidates if reference else (),
        hours_after_injection=seconds_between(
            injected, min(acquired) if acquired else start, where="injection"
        )
        / 3600.0,
        frame_times=tuple(
            (seconds_between(start, a, where="frame"), s.duration_s or 0.0)
            for a, s in zip(acquired or (), header.slices, strict=False)
        ),
    )


def _refuse_half_life(decay: pet_facts.Decay, elapsed_s: float, faults: list[EprimgError]) -> None:
    """Refuse two half-lives of one header when the choice between them makes the number.

    SUV is proportional to 2^(elapsed / half-life), so the two differ by the factor below.
    """
    half_life_s, other = decay.half_life_s.value, decay.contradicted_by
    if half_life_s is None or other is None:
        return
    exponent = elapsed_s / half_life_s - elapsed_s / other.half_life_s
    factor = math.exp(math.log(2.0) * min(abs(exponent), 1000.0))
    if factor - 1.0 <= REFUSE_CHANGE:
        return
    higher, lower = "first", "second"
    if exponent < 0:
        higher, lower = lower, higher
    faults.append(
        InputError(
            f"the header leads to two half-lives, {half_life_s:g} s and {other.half_life_s:g} s "
            f"(that of {other.key}, which it names); over the {elapsed_s / 3600:.1f} h since the "
            f"injection, SUV by the {higher} would be {factor:.3g} times SUV by the {lower}",
            code="E_SUV_HALF_LIFE",
            where=decay.half_life_s.where,
            value=half_life_s,
            action="find out which nuclide was injected and which one the scanner was set to, then "
            f'enter [injection] nuclide (e.g. "{other.key}") or half_life_s in study.toml',
        )
    )


def _net(
    injection: Injection,
    injected: datetime,
    half_life_s: float,
    known: EnteredFacts,
    findings: list[Finding],
    faults: list[EprimgError],
) -> Injection:
    """Take the residual activity of the syringe off the dose, at the injection."""
    dose, measured = injection.dose_bq.value, known.residual_instant
    if known.residual_bq is None or measured is None or dose is None:
        return injection
    if measured.tzinfo is None and injected.tzinfo is not None:
        measured = measured.replace(tzinfo=injected.tzinfo)
    try:
        elapsed = seconds_between(injected, measured, where="study.toml residual_instant")
        residual = known.residual_bq * decay_factor(-elapsed, half_life_s)
    except EprimgError as fault:
        faults.append(fault)
        return injection
    if residual >= dose:
        faults.append(
            InputError(
                "the residual activity is not below the dose",
                code="E_SUV_DOSE",
                where="study.toml [injection] residual",
                value=known.residual_bq,
                action="check residual activity, its instant and the dose",
            )
        )
        return injection
    findings.append(
        Finding(
            "I_RESIDUAL",
            Severity.INFO,
            "study.toml [injection] residual",
            f"A residual of {residual / 1e6:.4g} MBq (at the injection) was taken off the dose of "
            f"{dose / 1e6:.4g} MBq.",
        )
    )
    where = f"{injection.dose_bq.where} less the entered residual"
    return replace(injection, dose_bq=Known(dose - residual, Origin.ENTERED, where))


def _check_philips(header: PetHeader, acquisition: PETAcquisition, findings: list[Finding]) -> None:
    """Compare with the vendor's private factors, which are never used for Bq/mL."""
    suv, activity = header.philips_suv_factor, header.philips_activity_factor
    if not suv or not activity or acquisition.decay_correction == "NONE":
        return
    apart = suv / activity / _suvbw_factor(acquisition) - 1
    agrees = abs(apart) <= _FACTOR_TOLERANCE
    findings.append(
        Finding(
            "I_PHILIPS_FACTOR" if agrees else "W_PHILIPS_FACTOR",
            Severity.INFO if agrees else Severity.WARNING,
            "Philips PET Private Group (7053,xx00), (7053,xx09)",
            f"The vendor's private factors mean a SUVbw {100 * apart:+.2f} % from the one computed "
            "here; they were not used, because the units are Bq/mL.",
        )
    )


def _suvbw_factor(acquisition: PETAcquisition) -> float:
    """Factor from Bq/mL to SUVbw that is the same for all slices (START and ADMIN)."""
    injection, elapsed_s, half_life_s = acquisition.injection, 0.0, float("nan")
    if acquisition.decay_correction == "START":
        half_life_s = injection.half_life_s.require("the half-life", code="E_SUV_HALF_LIFE")
        elapsed_s = seconds_between(
            injection.instant.require("the instant of the injection", code="E_SUV_TIME"),
            Known(acquisition.reference_instant).require(
                "the reference instant", code="E_SUV_TIME"
            ),
            where="injection and reference instant",
        )
    common = reference_scale(
        acquisition.decay_correction,
        dose_bq=injection.dose_bq.require("the injected activity", code="E_SUV_DOSE"),
        half_life_s=half_life_s,
        elapsed_s=elapsed_s,
    )
    weight_kg = acquisition.weight_kg.require("the body weight", code="E_SUV_WEIGHT")
    return suvbw_factor(common.dose_at_reference_bq, 1000.0 * weight_kg)


def _tell(acquisition: PETAcquisition, findings: list[Finding]) -> None:
    """Say in words what the report shows about decay correction and uptake time."""
    text = acquisition.reference_rule
    if acquisition.decay_correction == "START" and acquisition.reference_instant is not None:
        text = (
            f"Voxel values are decay corrected to {shown(acquisition.reference_instant)}, "
            f"known from: {text}."
        )
        others = [
            f"{name} {shown(instant)}"
            for name, instant in acquisition.reference_candidates
            if name != acquisition.reference_rule
        ]
        text += f" Other candidates: {'; '.join(others)}." if others else ""
    findings.append(
        Finding(
            "I_REFERENCE_TIME",
            Severity.INFO,
            tag("DecayCorrection"),
            text[0].upper() + text[1:] + ("" if text.endswith(".") else "."),
        )
    )
    hours = acquisition.hours_after_injection
    if hours is not None:
        findings.append(
            Finding(
                "I_UPTAKE_TIME",
                Severity.INFO,
                acquisition.injection.instant.where,
                f"The scan started {hours:.2f} h after the injection.",
            )
        )


def _attempt(call: Callable[[], T], faults: list[EprimgError]) -> T | None:
    """Return the result of a call; None and a collected fault when it refuses."""
    try:
        return call()
    except EprimgError as fault:
        faults.append(fault)
        return None
