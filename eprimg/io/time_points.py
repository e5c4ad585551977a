"""Several series in one role: their order in time, their keys, and which one is the primary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeVar

from eprimg.config import TimePointsConfig
from eprimg.errors import ConfigError, EprimgError, InputError
from eprimg.io.entries import SeriesEntry
from eprimg.io.series_head import SeriesHead
from eprimg.io.study_file import StudyFile
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role, Series

__all__ = [
    "POINT_ROLES",
    "check_pet_points",
    "dated",
    "point_faults",
    "point_keys",
    "with_primaries",
]

AnySeries = TypeVar("AnySeries", Series, SeriesHead)

POINT_ROLES: Final = (Role.MR_POST, Role.PET)
"""Roles that are played once per time point."""

_SAME_INSTANT = timedelta(minutes=1)
"""Two headers of one injection write its instant to the second or to the minute."""

_SAME_DOSE = 0.01
_HOUR_S = 3600.0


def dated(entries: Sequence[SeriesEntry], spoken: StudyFile) -> tuple[SeriesEntry, ...]:
    """Give the instants of the study file to series that have none, and to MR series.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        All series.
    spoken : StudyFile
        Its ``[instants]``.

    Returns
    -------
    tuple of SeriesEntry
        The same series in the same order.

    Raises
    ------
    ConfigError
        ``E_ROLE`` for a series that is not there, or that is a PET with a date of its own: dose and
        decay go by its header.
    """
    if not spoken.instants:
        return tuple(entries)
    given: dict[str, datetime] = {}
    for key, instant in spoken.instants.items():
        entry = next((e for e in entries if key in (e.key, *e.series_uids)), None)
        if entry is None or (entry.modality == "PT" and entry.instant is not None):
            why = "is not there" if entry is None else "is a PET with a date of its own"
            raise ConfigError(
                f"instants.{key}: the series {why}",
                code="E_ROLE",
                where=f"{spoken.source}, [instants]",
                value=instant,
                action="`eprimg scan` lists the keys; facts of a PET go into [injection]",
            )
        given[entry.key] = instant
    return tuple(replace(e, instant=given.get(e.key, e.instant)) for e in entries)


def point_faults(
    role: Role, entries: Sequence[SeriesEntry], pets: Sequence[SeriesEntry] = ()
) -> list[EprimgError]:
    """Say why several series cannot play one role.

    Parameters
    ----------
    role : Role
        The role.
    entries : sequence of SeriesEntry
        Series in that role.
    pets : sequence of SeriesEntry
        PET series; every one of them may have its own CT.

    Returns
    -------
    list of EprimgError
        ``E_ROLE``; empty when they are time points in a known order.
    """
    if len(entries) < 2:
        return []
    keys = ", ".join(e.key for e in entries)
    why = ""
    action = 'choose one in study.toml: [roles] KEY = "' + role + '"'
    if role == Role.CT:
        frames = [e.frame_of_reference for e in pets if e.frame_of_reference]
        own = [e.frame_of_reference for e in entries]
        if len(pets) > 1 and len(set(own)) == len(own) and set(own) <= set(frames):
            return []
    elif role in POINT_ROLES:
        instants = [e.instant for e in entries if e.instant is not None]
        if len(instants) < len(entries):
            why = ", and not every one has a date"
            action += "; or say when each was acquired: [instants] KEY = DATE-TIME"
        elif len({i.tzinfo is None for i in instants}) > 1:
            why = ", and only some of their dates state an offset from UTC"
        elif len(set(instants)) < len(instants):
            why = " at one instant"
        else:
            return []
    text = f"{len(entries)} series would play the role {role}{why}: {keys}"
    return [ConfigError(text, code="E_ROLE", action=action)]


def point_keys(
    entries: Sequence[SeriesEntry], spoken: StudyFile, config: TimePointsConfig
) -> tuple[dict[str, str], list[Finding]]:
    """Name the series of a study: by their role, and by a number where a role has several.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        Series that are going to be read, checked by `point_faults`.
    spoken : StudyFile
        Its ``[primary]`` and ``agent.instant``.
    config : TimePointsConfig
        Which time point is the primary one when the study file does not say it.

    Returns
    -------
    dict of str to str
        Key of every series in the study, by its key in the index.
    list of Finding
        ``I_TIME_POINTS`` for each role with several, ``W_TIME_POINT_PRIMARY`` where the rule could
        not be followed.

    Raises
    ------
    ConfigError
        ``E_ROLE`` when ``[primary]`` names a series that does not play the role.
    """
    keys = {e.key: str(e.role) for e in entries}
    findings: list[Finding] = []
    for role in POINT_ROLES:
        points = [e for e in entries if e.role == role]
        if len(points) < 2:  # a lone series needs no date, and NIfTI has none
            if str(role) in spoken.primary:
                _named(role, points, spoken)
            continue
        points.sort(key=_when)
        primary, why, doubt = _primary(role, points, entries, spoken, config)
        others = [p for p in points if p is not primary]
        keys |= {p.key: f"{role}_{n}" for n, p in enumerate(others, start=2)}
        said = ", ".join(f"{keys[p.key]} = {p.key} ({_when(p):%Y-%m-%d %H:%M})" for p in points)
        text = f"{len(points)} time points of {role}: {said}. The primary one is {primary.key}"
        findings.append(
            Finding("I_TIME_POINTS", Severity.INFO, str(role), f"{text}: {why}. Tiers rest on it.")
        )
        if doubt:
            findings.append(
                Finding("W_TIME_POINT_PRIMARY", Severity.WARNING, str(role), f"{text}: {why}.")
            )
    pets = [e for e in entries if e.role == Role.PET]
    cts = [e for e in entries if e.role == Role.CT]
    for ct in cts:
        frame = ct.frame_of_reference
        own = [p for p in pets if frame and p.frame_of_reference == frame]
        if len(cts) > 1 or len(own) == 1:
            keys[ct.key] = "ct" + keys[own[0].key].removeprefix("pet")
    return keys, findings


def with_primaries(series: Sequence[AnySeries]) -> tuple[list[AnySeries], list[Finding]]:
    """Let another time point be the primary one where that one was left out.

    Parameters
    ----------
    series : sequence of Series or of SeriesHead
        Series that were read.

    Returns
    -------
    list
        The same in the same order; with the key of the role where it was missing.
    list of Finding
        ``W_TIME_POINT_PRIMARY`` for every such role.
    """
    kept, findings = list(series), []
    for role in POINT_ROLES:
        own = [n for n, s in enumerate(kept) if s.role == role]
        if not own or any(kept[n].key == str(role) for n in own):
            continue
        chosen = own[-1]
        text = f"The primary time point of {role} was left out, and {kept[chosen].key} is in its "
        findings.append(
            Finding("W_TIME_POINT_PRIMARY", Severity.WARNING, str(role), f"{text}place as {role}.")
        )
        kept[chosen] = replace(kept[chosen], key=str(role))
    return kept, findings


def check_pet_points(series: Sequence[Series | SeriesHead]) -> None:
    """Refuse PET time points that are not of one injection.

    Parameters
    ----------
    series : sequence of Series or SeriesHead
        PET series that were read, in the order of their instants.

    Raises
    ------
    InputError
        ``E_PET_POINTS`` when nuclide, instant of injection or dose differ, or when the hours after
        the injection do not rise with the dates.
    """
    facts = [(s.key, s.acquisition) for s in series if isinstance(s.acquisition, PETAcquisition)]
    for (key, first), (other, second) in pairwise(facts):
        for what in _differences(first, second):
            raise InputError(
                f"{key} and {other} are not time points of one injection: {what}",
                code="E_PET_POINTS",
                where=f"{key}, {other}",
                action="enter the facts of the one injection in study.toml ([injection]), or read "
                "the series as studies of their own",
            )


def _differences(first: PETAcquisition, second: PETAcquisition) -> list[str]:
    one, two = first.injection, second.injection
    found = []
    if one.nuclide.value != two.nuclide.value:
        found.append(f"nuclide {one.nuclide.value} and {two.nuclide.value}")
    at, then = one.instant.value, two.instant.value
    if at is not None and then is not None:
        both = (at.tzinfo is None) == (then.tzinfo is None)
        if not both or abs(then - at) > _SAME_INSTANT:
            found.append(f"injected at {at.isoformat()} and at {then.isoformat()}")
    dose, again = one.dose_bq.value, two.dose_bq.value
    if dose and again and abs(dose - again) > _SAME_DOSE * max(dose, again):
        found.append(f"dose {dose / 1e6:.5g} MBq and {again / 1e6:.5g} MBq")
    hours = (first.hours_after_injection, second.hours_after_injection)
    if hours[0] is not None and hours[1] is not None and not hours[1] > hours[0]:
        found.append(f"{hours[0]:.2f} h and then {hours[1]:.2f} h after the injection")
    return found


def _when(entry: SeriesEntry) -> datetime:
    assert entry.instant is not None, "checked by point_faults"
    return entry.instant


def _named(role: Role, points: Sequence[SeriesEntry], spoken: StudyFile) -> SeriesEntry:
    wanted = spoken.primary[str(role)]
    found = next((p for p in points if wanted in (p.key, *p.series_uids)), None)
    if found is None:
        raise ConfigError(
            f"the series {wanted!r} does not play the role {role}",
            code="E_ROLE",
            where=f"{spoken.source}, [primary]",
            action=f"use one of {', '.join(p.key for p in points) or 'the series in that role'}",
        )
    return found


def _primary(
    role: Role,
    points: Sequence[SeriesEntry],
    entries: Sequence[SeriesEntry],
    spoken: StudyFile,
    config: TimePointsConfig,
) -> tuple[SeriesEntry, str, bool]:
    """Choose the primary time point, say why, and whether that is doubtful."""
    if str(role) in spoken.primary:
        return _named(role, points, spoken), f"{spoken.source} says so", False
    if role == Role.PET:
        last = config.pet_primary == "last"
        said = f"the {config.pet_primary} one (time_points.pet_primary)"
        return points[-1 if last else 0], said, False
    pre = next((e.instant for e in entries if e.role == Role.MR_PRE), None)
    agent = spoken.agent.get("instant")
    given = agent if isinstance(agent, datetime) else None
    start, since = (given, "the agent") if given is not None else (pre, "the MR before the agent")
    if start is None or (start.tzinfo is None) != (_when(points[0]).tzinfo is None):
        why = (
            "the last one, because the time since the agent is not known; give [agent] instant or "
            "[primary] mr_post in study.toml"
        )
        return points[-1], why, True
    wanted = config.mr_post_primary_h
    hours = [(_when(p) - start).total_seconds() / _HOUR_S for p in points]
    # Of two equally near ones the later: late signal is uptake, early signal blood.
    best = min(range(len(points)), key=lambda n: (abs(hours[n] - wanted), -n))
    return (
        points[best],
        f"{hours[best]:.1f} h after {since}, nearest to time_points.mr_post_primary_h ({wanted:g})",
        False,
    )
