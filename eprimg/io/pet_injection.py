"""The dated instant of the injection of a PET series: read, entered by the user, or refused.

Source: IBSI SUV manual (Vácha et al., draft 2026, CC BY 4.0) with one change: a dated injection of
a long-lived nuclide (89Zr, 64Cu, 124I) may lie several half-lives before the scan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from eprimg.errors import ClockError
from eprimg.io.clocks import parse_datetime, parse_time, shown
from eprimg.io.pet_header import PetHeader, tag
from eprimg.io.pet_reference import series_offset
from eprimg.model.acquisition import CLOCK_SKEW_S, Known, Origin, seconds_between
from eprimg.model.case import Finding, Severity

__all__ = ["LONG_LIVED_S", "InjectionInstant", "injection_instant"]

LONG_LIVED_S = 41_400.0
"""Half-life from which a clock time without its date is refused (11.5 h)."""

_SAME_INSTANT_S = 1.0
_CLOCK_ONLY_S = 6 * 3600.0
_LONGEST_S = 30 * 86_400.0
_STRICT_HALF_LIVES = 2.0
_ENTER_INJECTION = "enter [injection] instant in study.toml with date and time"


@dataclass(frozen=True, slots=True)
class InjectionInstant:
    """Dated instant of the injection.

    Parameters
    ----------
    instant : Known[datetime]
        The instant with its origin.
    findings : tuple of Finding
        What to know about it.
    """

    instant: Known[datetime]
    findings: tuple[Finding, ...] = ()


def injection_instant(
    header: PetHeader,
    anchor: datetime,
    half_life_s: float,
    *,
    coded_half_life_s: float | None = None,
    entered: datetime | None = None,
    strict: bool = False,
) -> InjectionInstant:
    """Find the dated instant of the injection.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    anchor : datetime
        Reference instant (or start of the acquisition) that the injection is compared with.
    half_life_s : float
        Half-life in s.
    coded_half_life_s : float, optional
        Half-life of the coded nuclide; the longer one decides whether a date may be inferred.
    entered : datetime, optional
        Instant that the user entered; it wins.  Without an offset it is read on the clock of the
        header.
    strict : bool
        Refuse an injection two half-lives or more before `anchor`, as the IBSI manual does.

    Returns
    -------
    InjectionInstant
        The instant with its origin, and findings.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when there is none, when it is a clock time alone for a long-lived nuclide,
        or when it lies outside the plausible window.

    Notes
    -----
    Plausible: from 1 h after `anchor` (clock skew, dynamic start) to 6 half-lives before it, or for
    a long-lived nuclide 10 half-lives and at most 30 days.  A clock time alone is accepted only
    within 6 h.  Dropping the date of an 89Zr injection gives SUV x0.81, x0.53 and x0.28 at 24.5,
    72.5 and 144.5 h.
    """
    found = _found(header, anchor, half_life_s, coded_half_life_s, entered)
    instant = found.instant.value
    if strict and instant is not None:
        elapsed = seconds_between(instant, anchor, where=found.instant.where)
        if elapsed >= _STRICT_HALF_LIVES * half_life_s:
            raise ClockError(
                f"the injection at {shown(instant)} is {elapsed / half_life_s:.2f} half-lives "
                f"before the reference instant; strict mode takes less than "
                f"{_STRICT_HALF_LIVES:g}",
                code="E_SUV_TIME",
                where=found.instant.where,
                action="set pet.mode to lenient when the date is right: late immuno-PET is",
            )
    return found


def _found(
    header: PetHeader,
    anchor: datetime,
    half_life_s: float,
    coded_half_life_s: float | None,
    entered: datetime | None,
) -> InjectionInstant:
    """Find the instant by the lenient rules."""
    longest = max(half_life_s, coded_half_life_s or 0.0)
    long_lived = longest >= LONG_LIVED_S
    if entered is not None:
        if entered.tzinfo is None and anchor.tzinfo is not None:
            entered = entered.replace(tzinfo=anchor.tzinfo)
        where = "study.toml [injection] instant"
        elapsed = seconds_between(entered, anchor, where=where)
        if not _plausible(elapsed, longest, long_lived):
            raise _implausible(entered, elapsed, where, header)
        return InjectionInstant(
            Known(entered, Origin.ENTERED, where), _window(elapsed, half_life_s, where)
        )
    if header.start_datetime:
        return _dated(header, anchor, half_life_s, longest, long_lived)
    if not header.start_time:
        raise ClockError(
            "the instant of the injection is missing",
            code="E_SUV_TIME",
            where=tag("RadiopharmaceuticalStartDateTime"),
            action=_ENTER_INJECTION,
        )
    if long_lived:
        raise ClockError(
            f"the injection has a clock time but no date; with a half-life of "
            f"{longest / 3600:.1f} h each lost day changes SUV by a factor of "
            f"{2 ** (86_400 / longest):.2f}" + _shift_note(header),
            code="E_SUV_TIME",
            where=f"{tag('RadiopharmaceuticalStartTime')} without "
            f"{tag('RadiopharmaceuticalStartDateTime')}",
            value=header.start_time,
            action=_ENTER_INJECTION,
        )
    where = tag("RadiopharmaceuticalStartTime")
    instant, midnight = _from_clock(header.start_time, anchor, half_life_s, where, header)
    findings = [
        Finding(
            "I_INJECTION_CLOCK",
            Severity.INFO,
            where,
            f"The header gives the injection's clock time without its date; {shown(instant)} was "
            "taken, the only day that fits the scan.",
        )
    ]
    if midnight:
        findings.append(
            _warn(
                "W_MIDNIGHT",
                where,
                "Midnight lies between injection and scan; the date was set so.",
            )
        )
    elapsed = seconds_between(instant, anchor, where=where)
    return InjectionInstant(
        Known(instant, Origin.HEADER, where), (*findings, *_window(elapsed, half_life_s, where))
    )


def _dated(
    header: PetHeader, anchor: datetime, half_life_s: float, longest: float, long_lived: bool
) -> InjectionInstant:
    where = tag("RadiopharmaceuticalStartDateTime")
    instant = parse_datetime(header.start_datetime, where=where, offset=series_offset(header))
    findings: list[Finding] = []
    if instant.tzinfo is not None and anchor.tzinfo is None:
        # the local clock time of the same header proves which clock the offset belongs to
        same = header.start_time and _apart(header.start_time, instant) <= _SAME_INSTANT_S
        if not same:
            seconds_between(instant, anchor, where=where)
        instant = instant.replace(tzinfo=None)
        findings.append(
            _warn(
                "W_TIMEZONE",
                where,
                "The injection states an offset from UTC and the scan does not; its clock time "
                "equals "
                "RadiopharmaceuticalStartTime, so both are taken on the scanner's clock.",
            )
        )
    elif header.start_time and not findings and _apart(header.start_time, instant) > 60.0:
        findings.append(
            _warn(
                "W_INJECTION_TIME",
                where,
                f"RadiopharmaceuticalStartTime ({header.start_time}) is another clock time than "
                f"RadiopharmaceuticalStartDateTime ({shown(instant)}); the dated one is used.",
            )
        )
    elapsed = seconds_between(instant, anchor, where=where)
    if _plausible(elapsed, longest, long_lived):
        return InjectionInstant(
            Known(instant, Origin.HEADER, where), (*findings, *_window(elapsed, half_life_s, where))
        )
    if long_lived:
        raise _implausible(instant, elapsed, where, header)
    # on the scanner's clock, which may be another one than that of the text
    clock = instant.astimezone(anchor.tzinfo) if anchor.tzinfo is not None else instant
    rebuilt, _ = _from_clock(clock.strftime("%H%M%S.%f"), anchor, half_life_s, where, header)
    findings.append(
        _warn(
            "W_INJECTION_DATE",
            where,
            f"The injection is dated {shown(instant)}, {abs(elapsed) / 86_400:.1f} days "
            f"{'before' if elapsed > 0 else 'after'} the reference instant, which cannot be with "
            "this "
            f"half-life (dates shifted by de-identification?); its clock time was kept and "
            f"{shown(rebuilt)} taken.",
        )
    )
    elapsed = seconds_between(rebuilt, anchor, where=where)
    return InjectionInstant(
        Known(rebuilt, Origin.HEADER, where), (*findings, *_window(elapsed, half_life_s, where))
    )


def _from_clock(
    text: str, anchor: datetime, half_life_s: float, where: str, header: PetHeader
) -> tuple[datetime, bool]:
    """Day on which a clock time fits a short-lived nuclide; refuse when none does."""
    clock = parse_time(text, where=where)
    limit = min(_CLOCK_ONLY_S, 6 * half_life_s)
    same_day = datetime.combine(anchor.date(), clock, anchor.tzinfo)
    for days in (0, -1, 1):
        instant = same_day + timedelta(days=days)
        if -CLOCK_SKEW_S <= seconds_between(instant, anchor, where=where) < limit:
            return instant, days != 0
    if same_day > anchor:
        same_day -= timedelta(days=1)
    elapsed = seconds_between(same_day, anchor, where=where)
    raise ClockError(
        f"the injection's clock time fits no day: the nearest one is {elapsed / 3600:.1f} h before "
        f"the reference instant, and up to {limit / 3600:.1f} h is plausible" + _shift_note(header),
        code="E_SUV_TIME",
        where=where,
        value=text,
        action=_ENTER_INJECTION,
    )


def _apart(clock_text: str, instant: datetime) -> float:
    """Seconds between a clock time and the clock time of an instant; infinite when unreadable."""
    try:
        clock = parse_time(clock_text, where=tag("RadiopharmaceuticalStartTime"))
    except ClockError:
        return math.inf
    same_day = datetime.combine(instant.date(), clock, instant.tzinfo)
    return abs((same_day - instant).total_seconds())


def _plausible(elapsed_s: float, half_life_s: float, long_lived: bool) -> bool:
    limit = min(10 * half_life_s, _LONGEST_S) if long_lived else 6 * half_life_s
    return -CLOCK_SKEW_S <= elapsed_s < limit


def _window(elapsed_s: float, half_life_s: float, where: str) -> tuple[Finding, ...]:
    if elapsed_s < 0:
        return (
            _warn(
                "W_INJECTION_LATE",
                where,
                f"The injection is {-elapsed_s / 60:.1f} min later than the reference "
                "instant (clock skew, or a scan that started before it).",
            ),
        )
    if elapsed_s > 2 * half_life_s:
        return (
            _warn(
                "W_UPTAKE_LONG",
                where,
                f"The reference instant is {elapsed_s / half_life_s:.1f} half-lives after "
                "the injection: right for late immuno-PET, but check both dates.",
            ),
        )
    return ()


def _implausible(instant: datetime, elapsed_s: float, where: str, header: PetHeader) -> ClockError:
    side = "before" if elapsed_s >= 0 else "after"
    return ClockError(
        f"the injection at {shown(instant)} is {abs(elapsed_s) / 86_400:.1f} days {side} the "
        "reference instant of the scan, which is not plausible" + _shift_note(header),
        code="E_SUV_TIME",
        where=where,
        action=_ENTER_INJECTION,
    )


def _shift_note(header: PetHeader) -> str:
    if not header.dates_modified:
        return ""
    return (
        "; the header says that de-identification changed its dates "
        "(LongitudinalTemporalInformationModified (0028,0303))"
    )


def _warn(code: str, where: str, text: str) -> Finding:
    return Finding(code, Severity.WARNING, where, text)
