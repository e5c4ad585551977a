"""From the header facts of a PET series to checked facts with dated instants, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io import pet_facts
from eprimg.io.clocks import shown
from eprimg.io.pet_bounds import check_bounds
from eprimg.io.pet_checks import header_faults
from eprimg.io.pet_dose import cross_calibration, net_injection, require_applied
from eprimg.io.pet_entered import EnteredFacts, read_entered
from eprimg.io.pet_frame_times import check_frame_times
from eprimg.io.pet_header import PetHeader, tag
from eprimg.io.pet_injection import injection_instant
from eprimg.io.pet_reference import (
    REFUSE_CHANGE,
    Reference,
    acquisition_instants,
    reference_instant,
)
from eprimg.io.pet_units import stored_uptake, voxel_rule
from eprimg.io.pet_vendor import check_philips, check_private_injection
from eprimg.model.acquisition import Injection, Known, PETAcquisition, seconds_between
from eprimg.model.case import Finding, Severity, StageResult

__all__ = ["pet_acquisition"]

T = TypeVar("T")

_SAME_SIZE = 0.01
_STORED_RULE = "voxel values are an uptake value of the scanner; no dose and no clock is applied"

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
    mode: str = "lenient",
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
    mode : {"lenient", "strict"}
        Strict follows the IBSI SUV manual: no half-life from the nuclide table, and an injection
        two half-lives or more before the reference is refused.

    Returns
    -------
    StageResult of PETAcquisition
        Facts with their origin, rules, candidates, warnings and hours after injection; findings.

    Raises
    ------
    EprimgError
        All faults of the series together; the code is that of the first one.
    """
    known, findings, more = read_entered(entered or {})
    faults = [*(faults or []), *more]
    header_faults(header, findings, faults)
    stored = stored_uptake(header)
    if stored:
        known = _of_the_scanner(header, known, findings)
    unneeded: list[EprimgError] = []
    dose = pet_facts.dose(header, known, findings, unneeded if stored else faults)
    decay = pet_facts.half_life(
        header,
        known,
        findings,
        unneeded if stored else faults,
        needed=header.decay_correction != "ADMIN" and not stored,
        strict=mode == "strict",
    )
    sized = stored and header.suv_type in ("", "BW") and header.units != "CM2ML"
    weight = pet_facts.weight(header, known, findings, unneeded if sized else faults)
    decays = header.modality == "PT" and header.decay_correction != "ADMIN" and not stored
    check_bounds(
        findings,
        faults,
        dose_bq=dose,
        weight_kg=weight,
        half_life_s=decay.half_life_s if decays else None,
        divides=not stored,
    )
    height = pet_facts.height(header, known, findings)
    sex = pet_facts.sex(header, known)
    rule = voxel_rule(header, weight, height, sex, faults)
    acquisition = PETAcquisition(
        injection=Injection(Known(), dose, decay.nuclide, decay.half_life_s),
        weight_kg=weight,
        height_m=height,
        sex=sex,
        unit=header.units,
        decay_correction=header.decay_correction,
        reference_instant=None,
        reference_rule="",
        manufacturer=header.manufacturer,
        model=header.model,
        corrections=header.corrections,
        voxel_rule="" if rule is None else rule.words,
        mode=mode,
        pet_over_dose_calibrator=cross_calibration(known, findings),
        modality="SPECT" if header.modality == "NM" else "PET",
    )
    if decay.half_life_s.value is not None and header.slices:
        acquisition = _timed(header, acquisition, decay, known, findings, faults)
    elif header.decay_correction == "ADMIN" or stored:
        acquisition = replace(acquisition, reference_rule=_STORED_RULE if stored else _ADMIN_RULE)
    if not stored:
        require_applied(acquisition, known, faults)
    faults.extend(f for f in unneeded if f.code == "E_PET_KIND")
    raise_faults(faults)
    check_philips(header, acquisition, findings)
    check_private_injection(header, acquisition, findings)
    _tell(acquisition, findings)
    warnings = tuple(f"{f.code}: {f.text}" for f in findings if f.severity != Severity.INFO)
    return StageResult(replace(acquisition, warnings=warnings), tuple(findings))


def _of_the_scanner(
    header: PetHeader, known: EnteredFacts, findings: list[Finding]
) -> EnteredFacts:
    """Body size that the scanner's own SUV was made with: the header's wherever it is there.

    Putting another weight in afterwards would take a size out that was never put in.
    """
    for key, entered, own in (
        ("weight_kg", known.weight_kg, header.weight_kg),
        ("height_m", known.height_m, header.height_m),
        ("sex", known.sex, header.sex if header.sex in ("M", "F", "O") else None),
    ):
        if entered is None:
            continue
        if not own or (isinstance(own, float) and own <= 0):
            findings.append(
                Finding(
                    "W_STORED_SUV",
                    Severity.WARNING,
                    f"study.toml {key}",
                    f"The voxel values are an uptake value of the scanner, and its header has no "
                    f"{key}; the entered one ({entered}) is taken as the one that it used.",
                )
            )
            continue
        if isinstance(entered, str) or isinstance(own, str):
            same = entered == own
        else:
            same = abs(entered / own - 1.0) <= _SAME_SIZE
        if not same:
            findings.append(
                Finding(
                    "W_STORED_SUV",
                    Severity.WARNING,
                    f"study.toml {key}",
                    f"The entered {key} ({entered}) is not that of the header ({own}). The voxel "
                    "values are an uptake value that the scanner made with its own; the entered "
                    "one is not used.",
                )
            )
        known = replace(known, **{key: None})
    for key in ("residual_bq", "pet_over_dose_calibrator"):
        if getattr(known, key) is not None:
            findings.append(
                Finding(
                    "W_STORED_SUV",
                    Severity.WARNING,
                    f"study.toml [injection] {key}",
                    f"The entered {key} is not used: the voxel values are an uptake value that the "
                    "scanner made with a dose of its own.",
                )
            )
            known = replace(known, **{key: None})
    return known


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
    stored = stored_uptake(header)
    soft = kind == "ADMIN" or stored
    soft_rule = _STORED_RULE if stored else _ADMIN_RULE
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
                lambda: reference_instant(header, frames, half_life_s, entered=entered),
                [] if soft else faults,
            )
        elif entered is not None:
            reference = Reference(entered, "entered by the user", ())
        if reference is not None:
            findings.extend(reference.findings)
    if kind == "NONE" and acquired and not soft:
        frames = acquired
        _attempt(lambda: check_frame_times(header, frames, half_life_s, findings), faults)
    anchor = reference.instant if reference else (min(acquired) if acquired else None)
    if anchor is None:
        return replace(acquisition, reference_rule=soft_rule if soft else "")
    late: list[EprimgError] = []
    moment = anchor
    found = _attempt(
        lambda: injection_instant(
            header,
            moment,
            half_life_s,
            coded_half_life_s=decay.longest_s,
            entered=known.injection_instant,
            strict=acquisition.mode == "strict",
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
                f"here, because the {soft_rule}.",
            )
        )
    elif late:
        faults.extend(late)
    if found is None:
        return replace(acquisition, reference_rule=soft_rule if soft else "")
    findings.extend(found.findings)
    injected = found.instant.value or anchor
    injection = replace(acquisition.injection, instant=found.instant)
    injection = net_injection(injection, injected, half_life_s, known, findings, faults)
    start = reference.instant if reference else injected
    if not soft:
        decayed_to = start if reference else max(acquired or (anchor,))
        elapsed = seconds_between(injected, decayed_to, where="injection")
        _refuse_half_life(decay, elapsed, faults)
    return replace(
        acquisition,
        injection=injection,
        reference_instant=start,
        reference_rule=reference.rule if reference else soft_rule if soft else _NONE_RULE,
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


def _tell(acquisition: PETAcquisition, findings: list[Finding]) -> None:
    """Say in words what the report shows about decay correction and uptake time."""
    text = acquisition.reference_rule
    if text == _STORED_RULE:
        text = f"{acquisition.voxel_rule}; {text}"
    elif acquisition.decay_correction == "START" and acquisition.reference_instant is not None:
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
