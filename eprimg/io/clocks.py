"""Dates, times and instants of DICOM headers: read in full, or refused; never guessed."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

from eprimg.errors import ClockError

__all__ = [
    "combine",
    "parse_date",
    "parse_datetime",
    "parse_offset",
    "parse_time",
    "shown",
]

_DATE = re.compile(r"(\d{4})([.-]?)(\d{2})\2(\d{2})")
_TIME = re.compile(r"(\d{2})(:?)(\d{2})(?:\2(\d{2})(?:\.(\d{1,6}))?)?")
_DATETIME = re.compile(r"(\d{8})(\d{4}(?:\d{2}(?:\.\d{1,6})?)?)([+-]\d{4})?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")

_EARLIEST_OFFSET = timedelta(hours=-12)
_LATEST_OFFSET = timedelta(hours=14)


def parse_date(text: str, *, where: str) -> date:
    """Read a DICOM date (DA).

    Parameters
    ----------
    text : str
        ``YYYYMMDD``; the older ``YYYY.MM.DD`` is read too.  Padding is ignored.
    where : str
        Tag with its number, for the message.

    Returns
    -------
    date
        The date.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when it is empty, truncated or no day of the calendar.
    """
    match = _DATE.fullmatch(_bare(text))
    if match is None:
        raise _fault("is not a full date (YYYYMMDD)", text, where)
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        raise _fault("is not a day of the calendar", text, where) from None


def parse_time(text: str, *, where: str) -> time:
    """Read a DICOM clock time (TM).

    Parameters
    ----------
    text : str
        ``HHMM``, ``HHMMSS`` or ``HHMMSS.FFFFFF``; the older form with colons is read too.  Padding
        is ignored.
    where : str
        Tag with its number, for the message.

    Returns
    -------
    time
        The clock time, without a date and without an offset.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when it is empty, holds the hour alone, or is no time of day.

    Notes
    -----
    The standard also allows the hour alone; that leaves up to an hour open (46 % for 18F), so it is
    refused.
    """
    match = _TIME.fullmatch(_bare(text))
    if match is None:
        raise _fault("is not a clock time with hours and minutes (HHMMSS)", text, where)
    fraction = (match[5] or "").ljust(6, "0")
    try:
        return time(int(match[1]), int(match[3]), int(match[4] or 0), int(fraction))
    except ValueError:
        raise _fault("is not a time of day", text, where) from None


def parse_offset(text: str, *, where: str) -> timezone:
    """Read an offset from UTC.

    Parameters
    ----------
    text : str
        ``+HHMM`` or ``-HHMM``, from -1200 to +1400.
    where : str
        Tag with its number, for the message.

    Returns
    -------
    timezone
        A fixed offset.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when it has another form or lies outside the range of the standard.
    """
    match = _OFFSET.fullmatch(_bare(text))
    if match is None or int(match[3]) > 59 or _bare(text) == "-0000":
        raise _fault("is not an offset from UTC (+HHMM)", text, where)
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    shift = -shift if match[1] == "-" else shift
    if not _EARLIEST_OFFSET <= shift <= _LATEST_OFFSET:
        raise _fault("is not an offset from UTC between -1200 and +1400", text, where)
    return timezone(shift)


def parse_datetime(text: str, *, where: str, offset: timezone | None = None) -> datetime:
    """Read a DICOM date and time (DT).

    Parameters
    ----------
    text : str
        ``YYYYMMDDHHMM[SS[.FFFFFF]][+HHMM]``.  Padding is ignored.
    where : str
        Tag with its number, for the message.
    offset : timezone, optional
        TimezoneOffsetFromUTC (0008,0201) of the same header; used when the text has no offset.

    Returns
    -------
    datetime
        With an offset when the text or the header gives one, else without.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when it is truncated before the minutes or is no instant.
    """
    match = _DATETIME.fullmatch(_bare(text))
    if match is None:
        raise _fault("is not a full date and time (YYYYMMDDHHMMSS)", text, where)
    zone = parse_offset(match[3], where=where) if match[3] else offset
    return datetime.combine(
        parse_date(match[1], where=where), parse_time(match[2], where=where), zone
    )


def combine(
    date_text: str,
    time_text: str,
    *,
    date_where: str,
    time_where: str,
    offset: timezone | None = None,
) -> datetime:
    """Make an instant from a date and a clock time of one header.

    Parameters
    ----------
    date_text, time_text : str
        DA and TM values.
    date_where, time_where : str
        Their tags with numbers, for the message.
    offset : timezone, optional
        TimezoneOffsetFromUTC (0008,0201) of the same header.

    Returns
    -------
    datetime
        With an offset when the header gives one, else without.

    Raises
    ------
    ClockError
        ``E_SUV_TIME``; a date is never taken from elsewhere.
    """
    day = parse_date(date_text, where=date_where)
    return datetime.combine(day, parse_time(time_text, where=time_where), offset)


def shown(instant: datetime) -> str:
    """Write an instant for a person.

    Parameters
    ----------
    instant : datetime
        Any instant.

    Returns
    -------
    str
        ``YYYY-MM-DD HH:MM:SS`` (nearest second) and the offset when there is one.
    """
    nearest = instant + timedelta(microseconds=500_000)
    return nearest.isoformat(sep=" ", timespec="seconds")


def _bare(text: str) -> str:
    """Text without the padding that DICOM allows."""
    return str(text).strip(" \0")


def _fault(problem: str, text: str, where: str) -> ClockError:
    return ClockError(
        f"{where.split(' (')[0]} {problem}",
        code="E_SUV_TIME",
        where=where,
        value=_bare(text),
        action="mend the header, or enter the instant in study.toml ([injection] instant or "
        "reference_instant)",
    )
