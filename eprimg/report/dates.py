"""Dates out of texts: hours from the injection stay, calendar dates go."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from eprimg.report.numbers import format_fixed

__all__ = ["hours_between", "without_dates"]

# ISO 8601 with dashes, or the DICOM forms DA and DT with a plausible year, month and day.
_DATE: Final = re.compile(
    r"\b(?:\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}|\d{6}(?:\.\d+)?)?)\b"
)


def hours_between(later: datetime | None, earlier: datetime | None, *, decimals: int = 1) -> str:
    """Write the hours between two instants.

    Parameters
    ----------
    later, earlier : datetime or None
        Instants.
    decimals : int
        Decimals.

    Returns
    -------
    str
        E.g. ``72.0 h``; empty when one is missing or only one knows its time zone.
    """
    if later is None or earlier is None or (later.tzinfo is None) != (earlier.tzinfo is None):
        return ""
    return f"{format_fixed((later - earlier).total_seconds() / 3600, decimals)} h"


def without_dates(text: str, injected: datetime | None = None) -> str:
    """Replace calendar dates in a text.

    Parameters
    ----------
    text : str
        Any text.
    injected : datetime, optional
        Instant of the injection.

    Returns
    -------
    str
        Each date with a time becomes hours from the injection where that is known, else the words
        ``(date not shown)``.
    """

    def hours(match: re.Match[str]) -> str:
        found = match.group(0)
        if ":" in found:
            gap = hours_between(datetime.fromisoformat(found), injected, decimals=2)
            if gap:
                return f"{gap} after injection".replace("−", "minus ")
        return "(date not shown)"

    return _DATE.sub(hours, text)
