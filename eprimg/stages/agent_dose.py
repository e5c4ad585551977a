"""What was said about the doses of the iron agent, and whether the scans fit to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role, Study
from eprimg.model.tiers import Objection

__all__ = [
    "AgentFacts",
    "agent_facts",
    "agent_findings",
    "agent_objections",
    "hours_after_agent",
    "session_instant",
]

_DAY_S = 86400.0

_CLEARED_D = 365.0
"""An earlier dose that lies further back speaks against no tier any more.  Ferumoxytol was seen in
the liver for up to 11 months (Storey et al., Invest Radiol 2012); a year is a house rule."""

_CHANGE = ("dr2star",)
_AFTER = ("r2star", "rr2star90")


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """Section ``[agent]`` of the study file.

    Parameters
    ----------
    instant : datetime or None
        When the agent of this study was given.
    dose_mg_fe : float
        Iron of that dose in mg; NaN when not entered.
    earlier_instant : datetime or None
        When the last dose before it was given.
    """

    instant: datetime | None = None
    dose_mg_fe: float = math.nan
    earlier_instant: datetime | None = None


def agent_facts(study: Study) -> AgentFacts:
    """Look up what was entered about the agent.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    AgentFacts
        Empty where nothing was said.
    """
    said: Mapping[str, object] = study.overrides

    def instant(key: str) -> datetime | None:
        value = said.get(f"agent.{key}")
        return value if isinstance(value, datetime) else None

    dose = said.get("agent.dose_mg_fe")
    return AgentFacts(
        instant("instant"),
        float(dose) if isinstance(dose, int | float) else math.nan,
        instant("earlier_instant"),
    )


def session_instant(study: Study, role: Role) -> datetime | None:
    """Return the start of the session of a series.

    Parameters
    ----------
    study : Study
        What was read.
    role : Role
        Role of the series.

    Returns
    -------
    datetime or None
        None when there is no such series or its instant is not known.
    """
    series = study.find(role)
    if series is None:
        return None
    for timepoint in study.timepoints:
        if any(s.key == series.key for s in timepoint.series):
            return timepoint.instant
    return None


def hours_after_agent(study: Study) -> float:
    """Return the time from the dose to the series after it.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    float
        In hours; NaN when one of the two instants is not known or they cannot be compared.
    """
    seconds = _seconds(agent_facts(study).instant, session_instant(study, Role.MR_POST))
    return math.nan if seconds is None else seconds / 3600.0


def agent_findings(study: Study) -> tuple[Finding, ...]:
    """Say where the scans do not fit to the doses.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of Finding
        ``W_REBASELINE`` when the series before the agent is itself after a dose, ``W_AGENT_DOSE``
        when an instant contradicts the roles or cannot be compared.
    """
    return tuple(
        Finding(code, Severity.WARNING, where, said) for code, where, said, _ in _doubts(study)
    )


def agent_objections(study: Study) -> tuple[Objection, ...]:
    """Collect what the doses say against tiers.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of Objection
        Empty when nothing does.
    """
    return tuple(
        Objection(code, quantities, said)
        for code, _, said, quantities in _doubts(study)
        if quantities
    )


def _doubts(study: Study) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Code, place, words and the quantities that are spoken against."""
    facts = agent_facts(study)
    found: list[tuple[str, str, str, tuple[str, ...]]] = []
    pre = study.find(Role.MR_PRE)
    acquired = pre.acquisition if pre is not None else None
    if isinstance(acquired, MRAcquisition) and acquired.agent_phase == "post":
        said = "The series used as before the agent is marked as after it: ΔR2* is no uptake."
        found.append(("W_REBASELINE", str(Role.MR_PRE), said, _CHANGE))
    for role in (Role.MR_PRE, Role.MR_POST):
        series, scanned = study.find(role), session_instant(study, role)
        if series is None:
            continue
        for key, given in (("instant", facts.instant), ("earlier_instant", facts.earlier_instant)):
            if given is None:
                continue
            after = _seconds(given, scanned)
            if after is None:
                why = (
                    "its date is not known"
                    if scanned is None
                    else "one of the two instants states its offset from UTC and the other does not"
                )
                said = f"agent.{key} could not be compared with {series.key}: {why}."
                found.append(("W_AGENT_DOSE", series.key, said, ()))
            elif role == Role.MR_PRE and after > 0:
                found.append(_after_a_dose(series.key, key, after))
            elif role == Role.MR_POST and after < 0 and key == "instant":
                said = (
                    f"The series used as after the agent was acquired {_span(-after)} before the "
                    "dose of the study file."
                )
                found.append(("W_AGENT_DOSE", series.key, said, (*_CHANGE, *_AFTER)))
    order = _seconds(facts.earlier_instant, facts.instant)
    if order is not None and order <= 0:
        said = "agent.earlier_instant does not lie before agent.instant."
        found.append(("W_AGENT_DOSE", "study.toml", said, ()))
    return found


def _after_a_dose(series: str, key: str, after_s: float) -> tuple[str, str, str, tuple[str, ...]]:
    span = _span(after_s)
    if key == "instant":
        said = (
            f"The series used as before the agent was acquired {span} after its dose: it is no "
            "baseline, and ΔR2* lacks what had arrived by then."
        )
        return "W_REBASELINE", series, said, _CHANGE
    said = (
        f"The series used as before the agent was acquired {span} after an earlier dose. It is a "
        "new baseline: ΔR2* shows what this dose changed, less what of the earlier one has left "
        "since, and R2* after the agent and its ratio to a reference region hold iron of both."
    )
    recent = after_s < _CLEARED_D * _DAY_S
    return "W_REBASELINE", series, said, _AFTER if recent else ()


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or (start.tzinfo is None) != (end.tzinfo is None):
        return None
    return (end - start).total_seconds()


def _span(seconds: float) -> str:
    days = seconds / _DAY_S
    return f"{days:.0f} days" if days >= 2 else f"{seconds / 3600.0:.1f} h"
