"""Facts in words: acquisitions, hours, registrations; no date and no name of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from eprimg.model.acquisition import Known, MRAcquisition, Origin, PETAcquisition
from eprimg.model.case import Case
from eprimg.model.study import Role, Series
from eprimg.model.transform import Registration
from eprimg.report.dates import hours_between, without_dates
from eprimg.report.numbers import format_fixed, format_value
from eprimg.report.registration_rows import bending_row, headline

__all__ = [
    "Fact",
    "RegistrationFacts",
    "TimelineRow",
    "entered_facts",
    "injection_instant",
    "key_facts",
    "reference_candidates",
    "registration_facts",
    "timeline",
]

_WORDS: Final = {
    "nmi": "normalised mutual information",
    "ncc": "local squared cross-correlation",
    "moved_center": "movement of the centre",
    "moved_rms": "movement, root mean square",
    "rotated": "rotation",
    "through_ct": "through the CT of the PET",
    "nearby": "best place nearby",
    "nearby_gain": "information gained there (share)",
    "inverse": "there and back",
    "consistency": "two estimates differ by",
    "body_symmetry": "likeness of the body to its mirror image",
    "bent_largest": "bent by up to",
    "jacobian_min": "smallest Jacobian determinant J in the body",
    "jacobian_p01": "1st percentile of J",
    "jacobian_sd_log": "standard deviation of log J",
    "folding": "part of the body that folds",
    "inverse_mean": "bending there and back, mean",
    "inverse_p95": "bending there and back, 95th percentile",
}
_OF_BENDING: Final = ("bent_", "jacobian_", "folding_", "inverse_mean_", "inverse_p95_")
_PERSONAL: Final = ("name", "birth", "patient_id", "patientid", "address")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact with its origin.

    Parameters
    ----------
    term, value, note : str
        Words.
    entered : bool
        True when a user entered it.
    missing : bool
        True when it is not known.
    """

    term: str
    value: str
    note: str = ""
    entered: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """A session on the clock of the study.

    Parameters
    ----------
    label, series : str
        Session and what was acquired in it.
    since_first, since_injection : str
        Hours in words; empty when not known.
    """

    label: str
    series: str
    since_first: str
    since_injection: str


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """A registration in words.

    Parameters
    ----------
    fixed, moving, engine, note : str
        As in the registration.
    accepted : bool
        Whether voxel maps may use it.
    qc : tuple of (str, str, str)
        Name, value, unit.
    matrix : str
        Rows of the transform.
    verdict : str
        ``pass``, ``review`` or ``fail``.
    reasons : tuple of str
        What the verdict rests on.
    headline : tuple of str
        Movement, similarity before and after, and what the second look found, as texts.
    bending : tuple of str
        How a bent transform treats space, as texts; empty for a rigid one.
    """

    fixed: str
    moving: str
    engine: str
    note: str
    accepted: bool
    qc: tuple[tuple[str, str, str], ...]
    matrix: str
    verdict: str
    reasons: tuple[str, ...]
    headline: tuple[str, ...]
    bending: tuple[str, ...] = ()


def key_facts(case: Case) -> tuple[Fact, ...]:
    """Collect what a reader needs to judge the numbers.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of Fact
        PET facts first, then MR facts.
    """
    facts: list[Fact] = []
    pet = case.study.find(Role.PET)
    if pet is not None and isinstance(pet.acquisition, PETAcquisition):
        facts += _pet_facts(pet.acquisition)
    elif pet is None:
        facts.append(Fact("PET", "not in this study", missing=True))
    series = [case.study.find(r) for r in (Role.MR_PRE, Role.MR_POST)]
    present = [s for s in series if s is not None and isinstance(s.acquisition, MRAcquisition)]
    if not present:
        facts.append(Fact("MRI", "not in this study", missing=True))
    else:
        facts += _mr_facts(case, present)
    return tuple(facts)


def timeline(case: Case) -> tuple[TimelineRow, ...]:
    """Place the sessions on a clock without dates.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of TimelineRow
        In order of the study.
    """
    instants = [t.instant for t in case.study.timepoints if t.instant is not None]
    injected = _injected_on_the_clock(case)
    rows = []
    for point in case.study.timepoints:
        names = ", ".join(
            f"{s.key} ({s.description})" if s.description else s.key for s in point.series
        )
        since = hours_between(point.instant, min(instants, default=None))
        if point.instant is not None and point.instant == min(instants):
            since = "first session"
        elif since:
            since += " after the first session"
        rows.append(
            TimelineRow(point.label, names, since, _around(point.instant, injected, "injection"))
        )
    return tuple(rows)


def _injected_on_the_clock(case: Case) -> datetime | None:
    """Return the injection on the clock of the sessions; the header's own date may be nominal."""
    pet = case.study.find(Role.PET)
    if pet is None or not isinstance(pet.acquisition, PETAcquisition):
        return None
    instant, hours = case.study.instant_of(pet.key), pet.acquisition.hours_after_injection
    return None if instant is None or hours is None else instant - timedelta(hours=hours)


def registration_facts(registration: Registration) -> RegistrationFacts:
    """Write a registration in words.

    Parameters
    ----------
    registration : Registration
        The registration.

    Returns
    -------
    RegistrationFacts
        Quality figures with the unit that their name carries.
    """
    qc = []
    refused = registration.qc.get("bent") == 0.0
    for name, value in registration.qc.items():
        words, unit = _split_unit(name)
        if refused and name.startswith(_OF_BENDING):
            words += " (refused bending)"
        if name.startswith("through_") or name == "bent":
            qc.append((words, "yes" if value else "no", ""))
        else:
            qc.append((words, format_value(float(value)), unit))
    matrix = "\n".join(
        "  ".join(f"{v:12.6f}" for v in row) for row in registration.transform.matrix
    )
    return RegistrationFacts(
        registration.fixed,
        registration.moving,
        registration.engine,
        f"rejected by the reader ({registration.note})"
        if registration.rejected
        else registration.note,
        registration.accepted,
        tuple(qc),
        matrix,
        str(registration.verdict),
        registration.reasons,
        headline(registration.qc),
        bending_row(registration),
    )


def entered_facts(overrides: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """List what a user entered, without dates and personal facts.

    Parameters
    ----------
    overrides : Mapping
        As in the study.

    Returns
    -------
    tuple of (str, str)
        Key and value; a date is replaced by words.
    """
    rows = []
    for key, value in overrides.items():
        if any(word in key.lower() for word in _PERSONAL):
            rows.append((key, "entered (not shown)"))
        else:
            rows.append((key, _entered(value)))
    return tuple(rows)


def injection_instant(case: Case) -> datetime | None:
    """Return when the nuclide was injected.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    datetime or None
        None without PET, or when it is not known.
    """
    pet = case.study.find(Role.PET)
    if pet is None or not isinstance(pet.acquisition, PETAcquisition):
        return None
    return pet.acquisition.injection.instant.value


def reference_candidates(case: Case) -> tuple[tuple[str, str], ...]:
    """List the candidates of the PET reference time as hours after injection.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of (str, str)
        Name and hours.
    """
    pet = case.study.find(Role.PET)
    if pet is None or not isinstance(pet.acquisition, PETAcquisition):
        return ()
    injected = injection_instant(case)
    return tuple(
        (name, hours_between(at, injected, decimals=3) or "injection not known")
        for name, at in pet.acquisition.reference_candidates
    )


def _pet_facts(pet: PETAcquisition) -> list[Fact]:
    injection = pet.injection
    half_life = injection.half_life_s.value
    hours = pet.hours_after_injection
    reference = hours_between(pet.reference_instant, injection.instant.value)
    return [
        _known(
            "Nuclide",
            injection.nuclide,
            str,
            f"half-life {format_value(half_life / 3600)} h" if half_life else "",
        ),
        _known(
            "Injected dose",
            injection.dose_bq,
            lambda v: f"{format_value(v / 1e6)} MBq",
            "at the instant of injection",
        ),
        Fact(f"{pet.modality} start", f"{format_fixed(hours, 2)} h after injection")
        if hours is not None
        else Fact(f"{pet.modality} start", "not known", missing=True),
        _known("Weight", pet.weight_kg, lambda v: f"{format_fixed(v, 1)} kg"),
        Fact(
            "Reference time of the activity",
            f"{reference} after injection" if reference else "see rule",
            f"rule: {pet.reference_rule}" if pet.reference_rule else "",
        ),
        Fact(
            "PET as stored",
            f"{pet.unit}, decay correction {pet.decay_correction}",
            " ".join(v for v in (pet.manufacturer, pet.model) if v),
        ),
    ]


def _mr_facts(case: Case, series: list[Series]) -> list[Fact]:
    facts = []
    first, last = case.study.find(Role.MR_PRE), case.study.find(Role.MR_POST)
    have = {Role.MR_PRE: "before", Role.MR_POST: "after"}
    words = " and ".join(have[s.role] for s in series)
    gap = ""
    if first is not None and last is not None:
        at = {s.key: t.instant for t in case.study.timepoints for s in t.series}
        between = hours_between(at.get(last.key), at.get(first.key))
        gap = f"{between} between the MR sessions" if between else ""
    facts.append(
        Fact("Agent", "ferumoxytol", f"MR {words} the agent" + (f"; {gap}" if gap else ""))
    )
    if len(series) == 1:
        lacking = "after" if series[0].role == Role.MR_PRE else "before"
        facts.append(
            Fact("MR session", f"none {lacking} the agent", "ΔR2* needs both", missing=True)
        )
    for term, show in (("Field strength", _field), ("Echo times", _echoes)):
        values = {s.role: show(s) for s in series}
        if len(set(values.values())) == 1:
            facts.append(next(iter(values.values()))(term))
        else:
            facts += [v(f"{term}, {have[r]} agent") for r, v in values.items()]
    return facts


class _Shown:
    """A fact that waits for its name; equal facts compare equal."""

    def __init__(self, value: str, note: str, entered: bool, missing: bool) -> None:
        self._content = (value, note, entered, missing)

    def __call__(self, term: str) -> Fact:
        return Fact(term, *self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


def _field(series: Series) -> _Shown:
    assert isinstance(series.acquisition, MRAcquisition)
    known = series.acquisition.field_strength_t
    if known.value is None:
        return _Shown("not known", "", False, True)
    scanner = " ".join(v for v in (series.acquisition.manufacturer, series.acquisition.model) if v)
    return _Shown(f"{known.value:.3g} T", scanner, known.origin == Origin.ENTERED, False)


def _echoes(series: Series) -> _Shown:
    assert isinstance(series.acquisition, MRAcquisition)
    times = 1000 * np.array(series.acquisition.echo_times_s)
    listed = ", ".join(f"{t:.3g}" for t in times)
    if len(times) <= 4:
        return _Shown(f"{listed} ms", "", False, False)
    return _Shown(
        f"{len(times)} echoes, {times[0]:.3g}–{times[-1]:.3g} ms", f"{listed} ms", False, False
    )


def _known(term: str, known: Known[Any], show: Any, note: str = "") -> Fact:
    if known.value is None:
        return Fact(term, "not known", missing=True)
    return Fact(term, show(known.value), note, known.origin == Origin.ENTERED)


def _around(instant: datetime | None, event: datetime | None, what: str) -> str:
    """Say how long before or after an event something was."""
    forward = hours_between(instant, event)
    if not forward:
        return ""
    if forward.startswith("−"):
        return f"{forward[1:]} before {what}"
    return f"{forward} after {what}"


def _split_unit(name: str) -> tuple[str, str]:
    units = {"mm": "mm", "deg": "°", "percent": "%", "s": "s"}
    words, _, last = name.rpartition("_")
    unit = units.get(last, "") if words else ""
    plain = words if unit else name
    if plain in _WORDS:
        return _WORDS[plain], unit
    return " ".join(_WORDS.get(w, w) for w in plain.split("_")), unit


def _entered(value: object) -> str:
    if isinstance(value, date):
        return "a date (not shown)"
    return without_dates(value) if isinstance(value, str) else str(value)
