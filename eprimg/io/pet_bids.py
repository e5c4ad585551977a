"""Facts of a PET volume in NIfTI from its PET-BIDS side-car and ``participants.tsv``.

PET-BIDS counts all times in seconds from TimeZero, so the time from injection to the instant of
decay correction needs no dates: ``ImageDecayCorrectionTime - InjectionStart``.  Body weight is no
key of PET-BIDS; it is taken from the side-car, then from ``participants.tsv``, else refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from eprimg.errors import (
    ClockError,
    EprimgError,
    InputError,
    MissingTagError,
    UnitsError,
    raise_faults,
)
from eprimg.io._pet_bids_body import side_car_body, side_car_number
from eprimg.io.nuclides import Nuclide, nuclide_by_name
from eprimg.io.pet_bounds import check_bounds
from eprimg.io.pet_dose import cross_calibration
from eprimg.io.pet_entered import EnteredFacts, read_entered
from eprimg.io.pet_facts import spect_finding
from eprimg.io.pet_injection import LONG_LIVED_S
from eprimg.kernels.radioactivity import frame_mean_time_s
from eprimg.model.acquisition import CLOCK_SKEW_S, Injection, Known, Origin, PETAcquisition
from eprimg.model.case import Finding, Severity, StageResult

__all__ = ["ACTIVITY_UNITS", "bids_acquisition"]

ACTIVITY_UNITS = {"Bq/mL": 1.0, "kBq/mL": 1e3, "MBq/mL": 1e6}
"""Units of the voxel values that are read, and their factor to Bq/mL."""

_DOSE_UNITS = {"Bq": 1.0, "kBq": 1e3, "MBq": 1e6, "GBq": 1e9, "mCi": 37e6, "uCi": 37e3}
_TIME_ZERO = re.compile(r"(?:\d{4}-\d{2}-\d{2}T)?(\d{2}):(\d{2}):(\d{2}(?:\.\d+)?)Z?")
_NOMINAL = datetime(2000, 1, 1)
_DAY_S, _LONGEST_S = 86_400.0, 30 * 86_400.0
_SAME = 0.02
_ENTER = "mend the side-car"


def bids_acquisition(
    car: Mapping[str, Any],
    path: Path,
    *,
    entered: Mapping[str, object] | None = None,
    mode: str = "lenient",
) -> StageResult[PETAcquisition]:
    """Judge the side-car of a PET volume.

    Parameters
    ----------
    car : Mapping
        Content of the side-car.
    path : Path
        NIfTI file; its name or folder holds the subject, and ``participants.tsv`` is looked for
        above it.
    entered : Mapping, optional
        Facts that the user entered: dose (at the injection), weight, height, sex, nuclide,
        half-life, cross-calibration.
    mode : {"lenient", "strict"}
        See `eprimg.config.PetConfig`.

    Returns
    -------
    StageResult of PETAcquisition
        Facts and findings.  The date in its instants is nominal (2000-01-01): the side-car holds
        seconds from TimeZero only.

    Raises
    ------
    EprimgError
        All faults together: ``E_PET_UNITS``, ``E_SUV_DOSE``, ``E_SUV_TIME``, ``E_SUV_HALF_LIFE``,
        ``E_SUV_WEIGHT``, ``E_DECAY``, ``E_PET_DURATION``, ``E_UNCORRECTED``, ``E_PET_FRAMES``.

    Notes
    -----
    A converter that took InjectionStart from clock times may have lost whole days; for a long-lived
    nuclide less than a day after the injection this is told (``W_BIDS_DATE``).

    References
    ----------
    .. [1] Brain Imaging Data Structure specification, modality-specific files: PET.
    """
    known, findings, faults = read_entered(entered or {})
    units = str(car.get("Units", "")).strip()
    if units not in ACTIVITY_UNITS:
        _note(
            faults,
            UnitsError,
            "E_PET_UNITS",
            "Units",
            f"the units of the voxel values are not one of {', '.join(ACTIVITY_UNITS)}",
            units,
        )
    _corrected(car, faults)
    dose = _dose(car, known, faults)
    nuclide, half_life = _half_life(car, known, faults)
    named = nuclide_by_name(nuclide.value or "")
    if named is not None and not named.positron:
        findings.append(spect_finding(named, nuclide.where))
    weight, height, sex = side_car_body(car, path, known, faults)
    beta = half_life if named is None or named.positron else None
    check_bounds(findings, faults, dose_bq=dose, weight_kg=weight, half_life_s=beta)
    decayed = car.get("ImageDecayCorrected")
    if not isinstance(decayed, bool):
        _note(
            faults,
            InputError,
            "E_DECAY",
            "ImageDecayCorrected",
            "the side-car does not say true or false whether the values are decay corrected",
            decayed,
        )
    injected_s = _instants(car, known, faults)
    zero = _time_zero(car, faults)
    start_s, length_s = _frame(car, faults, needed=decayed is False)
    reference_s = side_car_number(car, "ImageDecayCorrectionTime")
    if decayed is True and reference_s is None:
        _note(
            faults,
            ClockError,
            "E_SUV_TIME",
            "ImageDecayCorrectionTime",
            "the instant to which the values are decay corrected is missing",
        )
    raise_faults(faults)
    assert half_life.value is not None
    assert injected_s is not None
    anchor_s = reference_s if decayed else start_s
    assert anchor_s is not None
    elapsed_s = anchor_s - injected_s
    _plausible(elapsed_s, half_life.value, mode, findings)
    rule = (
        "ImageDecayCorrectionTime of the side-car, in seconds from TimeZero (the date is nominal)"
        if decayed
        else "voxel values are not decay corrected (ImageDecayCorrected false); they are corrected "
        "to the injection"
    )
    instant = Known(
        zero + timedelta(seconds=injected_s), Origin.HEADER, "side-car TimeZero, InjectionStart"
    )
    origin_s = anchor_s if decayed else injected_s
    frame = () if start_s is None else ((start_s - origin_s, length_s or 0.0),)
    candidates = [("ImageDecayCorrectionTime", reference_s), ("FrameTimesStart", start_s)]
    if decayed and start_s is not None and length_s:
        _compare(anchor_s, start_s, length_s, half_life.value, findings)
    acquisition = PETAcquisition(
        injection=Injection(instant, dose, nuclide, half_life),
        weight_kg=weight,
        height_m=height,
        sex=sex,
        unit=units,
        decay_correction="START" if decayed else "NONE",
        reference_instant=zero + timedelta(seconds=origin_s),
        reference_rule=rule,
        reference_candidates=tuple(
            (name, zero + timedelta(seconds=s)) for name, s in candidates if s is not None
        ),
        hours_after_injection=((start_s if start_s is not None else anchor_s) - injected_s) / 3600,
        frame_times=frame,
        manufacturer=str(car.get("Manufacturer", "")),
        model=str(car.get("ManufacturersModelName", "")),
        corrections=("ATTN", "DECY") if decayed else ("ATTN",),
        voxel_rule=f"{units}: activity concentration as stored",
        mode=mode,
        pet_over_dose_calibrator=cross_calibration(known, findings),
    )
    findings.append(
        Finding("I_REFERENCE_TIME", Severity.INFO, "side-car", rule[0].upper() + rule[1:] + ".")
    )
    warnings = tuple(f"{f.code}: {f.text}" for f in findings if f.severity != Severity.INFO)
    return StageResult(replace(acquisition, warnings=warnings), tuple(findings))


def _note(
    faults: list[EprimgError],
    kind: type[EprimgError],
    code: str,
    key: str,
    problem: str,
    value: object = None,
    action: str = _ENTER,
) -> None:
    faults.append(kind(problem, code=code, where=f"side-car {key}", value=value, action=action))


def _corrected(car: Mapping[str, Any], faults: list[EprimgError]) -> None:
    stated = car.get("AttenuationCorrection")
    words = str("" if stated is None else stated).strip().lower()
    if words in ("", "n/a", "none", "no", "nac", "false", "not corrected"):
        _note(
            faults,
            InputError,
            "E_UNCORRECTED",
            "AttenuationCorrection",
            "the side-car does not say that the values are corrected for attenuation",
            stated,
            "give the attenuation-corrected volume, or mend the side-car",
        )


def _dose(car: Mapping[str, Any], known: EnteredFacts, faults: list[EprimgError]) -> Known[float]:
    if known.dose_bq is not None:
        return Known(known.dose_bq, Origin.ENTERED, "study.toml [injection] dose")
    where, value = "InjectedRadioactivity", side_car_number(car, "InjectedRadioactivity")
    units = str(car.get("InjectedRadioactivityUnits", "")).strip()
    several = isinstance(car.get(where), list) and len(car[where]) > 1
    if several:
        _note(
            faults,
            InputError,
            "E_SUV_ADMINISTRATIONS",
            where,
            "the side-car lists more than one injected activity",
            len(car[where]),
        )
    elif value is None or value <= 0:
        _note(
            faults,
            MissingTagError,
            "E_SUV_DOSE",
            where,
            "the injected activity is missing or not positive",
            car.get(where),
            "mend the side-car, or enter [injection] dose_mbq in study.toml",
        )
    elif units not in _DOSE_UNITS:
        _note(
            faults,
            InputError,
            "E_SUV_DOSE",
            "InjectedRadioactivityUnits",
            f"the unit of the injected activity is not one of {', '.join(_DOSE_UNITS)}",
            units,
        )
    else:
        return Known(value * _DOSE_UNITS[units], Origin.HEADER, f"side-car {where}")
    return Known(None, Origin.MISSING, f"side-car {where}")


def _half_life(
    car: Mapping[str, Any], known: EnteredFacts, faults: list[EprimgError]
) -> tuple[Known[str], Known[float]]:
    where = "side-car TracerRadionuclide"
    named: Nuclide | None = nuclide_by_name(str(car.get("TracerRadionuclide", "")))
    own = side_car_number(car, "RadionuclideHalfLife")
    origin = Origin.HEADER
    if known.nuclide is not None:
        named, own = nuclide_by_name(known.nuclide), None
        origin, where = Origin.ENTERED, "study.toml [injection] nuclide"
    key = Known(None if named is None else named.key, origin if named else Origin.MISSING, where)
    if known.half_life_s is not None:
        entered = Known(known.half_life_s, Origin.ENTERED, "study.toml [injection] half_life_s")
        return key, entered
    if named is None:
        if own is not None and own > 0:
            return key, Known(own, Origin.HEADER, "side-car RadionuclideHalfLife")
        _note(
            faults,
            MissingTagError,
            "E_SUV_HALF_LIFE",
            "TracerRadionuclide",
            "the nuclide is missing or not in the table",
            car.get("TracerRadionuclide"),
            "mend the side-car, or enter [injection] nuclide in study.toml",
        )
        return key, Known(None, Origin.MISSING, where)
    if own is not None and abs(own / named.half_life_s - 1.0) > _SAME:
        _note(
            faults,
            InputError,
            "E_SUV_HALF_LIFE",
            "RadionuclideHalfLife",
            f"the half-life is not that of {named.key} ({named.half_life_s:g} s)",
            own,
            "enter [injection] nuclide or half_life_s in study.toml",
        )
    return key, Known(named.half_life_s, origin, where)


def _instants(
    car: Mapping[str, Any], known: EnteredFacts, faults: list[EprimgError]
) -> float | None:
    for name in ("injection_instant", "reference_instant", "residual_bq", "dose_instant"):
        if getattr(known, name) is not None:
            faults.append(
                InputError(
                    f"the entered {name} cannot be used: the side-car counts seconds from "
                    "TimeZero and has no dates",
                    code="E_ENTERED",
                    where=f"study.toml {name}",
                    action="put the seconds into the side-car, and give the net dose at the "
                    "injection",
                )
            )
    injected = side_car_number(car, "InjectionStart")
    if injected is None:
        _note(
            faults,
            ClockError,
            "E_SUV_TIME",
            "InjectionStart",
            "the start of the injection (seconds from TimeZero) is missing",
            car.get("InjectionStart"),
        )
    return injected


def _time_zero(car: Mapping[str, Any], faults: list[EprimgError]) -> datetime:
    match = _TIME_ZERO.fullmatch(str(car.get("TimeZero", "")).strip())
    if match is not None:
        hours, minutes, seconds = int(match[1]), int(match[2]), float(match[3])
        if hours < 24 and minutes < 60 and seconds < 60:
            return _NOMINAL + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    _note(
        faults,
        ClockError,
        "E_SUV_TIME",
        "TimeZero",
        "the clock time that all others count from is missing (hh:mm:ss)",
        car.get("TimeZero"),
    )
    return _NOMINAL


def _frame(
    car: Mapping[str, Any], faults: list[EprimgError], *, needed: bool
) -> tuple[float | None, float | None]:
    for key in ("FrameTimesStart", "FrameDuration"):
        if isinstance(car.get(key), list) and len(car[key]) > 1:
            _note(
                faults,
                InputError,
                "E_PET_FRAMES",
                key,
                "the side-car lists several frames (dynamic); they are never merged",
                len(car[key]),
                "give one static frame",
            )
            return None, None
    start, length = side_car_number(car, "FrameTimesStart"), side_car_number(car, "FrameDuration")
    if needed and (start is None or length is None or length <= 0):
        _note(
            faults,
            MissingTagError,
            "E_PET_DURATION",
            "FrameTimesStart, FrameDuration",
            "values without decay correction need start and duration of the frame",
        )
    return start, length


def _plausible(elapsed_s: float, half_life_s: float, mode: str, findings: list[Finding]) -> None:
    long_lived = half_life_s >= LONG_LIVED_S
    limit = min(10 * half_life_s, _LONGEST_S) if long_lived else 6 * half_life_s
    if mode == "strict":
        limit = 2 * half_life_s
    where = "side-car InjectionStart"
    if not -CLOCK_SKEW_S <= elapsed_s < limit:
        raise ClockError(
            f"the injection is {elapsed_s / 3600:.2f} h before the instant of the values, which is "
            f"not plausible (up to {limit / 3600:.1f} h is, in {mode} mode)",
            code="E_SUV_TIME",
            where=where,
            action=_ENTER,
        )
    if elapsed_s < 0:
        text = f"The injection is {-elapsed_s / 60:.1f} min later than the instant of the values."
        findings.append(Finding("W_INJECTION_LATE", Severity.WARNING, where, text))
    elif elapsed_s > 2 * half_life_s:
        text = f"The values are {elapsed_s / half_life_s:.1f} half-lives after the injection."
        findings.append(Finding("W_UPTAKE_LONG", Severity.WARNING, where, text))
    if long_lived and elapsed_s < _DAY_S:
        findings.append(
            Finding(
                "W_BIDS_DATE",
                Severity.WARNING,
                where,
                f"The side-car puts the injection {elapsed_s / 3600:.2f} h before the scan. If the "
                "converter took it from clock times, whole days may be lost; each one would "
                f"change SUV by a factor of {2 ** (_DAY_S / half_life_s):.2f}.",
            )
        )


def _compare(
    anchor_s: float, start_s: float, length_s: float, half_life_s: float, findings: list[Finding]
) -> None:
    """Tell when decay correction goes to another instant than the scan's."""
    apart = max(start_s - anchor_s, anchor_s - start_s - frame_mean_time_s(length_s, half_life_s))
    change = math.expm1(math.log(2.0) * min(max(apart, 0.0) / half_life_s, 1000.0))
    if change > 0.01:
        findings.append(
            Finding(
                "W_REFERENCE_TIME",
                Severity.WARNING,
                "side-car ImageDecayCorrectionTime",
                f"The values are decay corrected to an instant outside the frame; the frame's "
                f"start would change SUV by {100 * change:.1f} %.",
            )
        )
