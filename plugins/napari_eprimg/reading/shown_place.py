"""Which place of a finding may be shown: people name files and folders after patients."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eprimg.model.case import Case

__all__ = ["known_names", "shown_place"]

_SERIES_KEYS = ("pet", "ct", "mr_pre", "mr_post")
"""Keys that eprimg itself gives to series; they name nobody."""
_FURTHER = re.compile(r"(?:pet|ct|mr_post)_\d+")
"""Keys of further time points."""

_TAG = re.compile(r"(?:\w+ )?\([0-9A-Fa-f]{4},[0-9A-Fa-fx]{4}\)")
_SETTING = re.compile(r"(?:study\.toml|settings|roles|stratify|segment|register)\b[^/\\]*")


def shown_place(place: str, known: Iterable[str]) -> str:
    """Return the place of a finding when it cannot hold a patient's name.

    Parameters
    ----------
    place : str
        Series key, region name, file or tag.
    known : iterable of str
        Keys of series and names of regions and steps.

    Returns
    -------
    str
        The place; of a file with a tag only the tag; empty for names of files and folders.
    """
    names = set(known)
    if _SETTING.fullmatch(place):
        return place
    parts = [part.strip() for part in place.split(",")]
    if place and all(part in names or _FURTHER.fullmatch(part) for part in parts):
        return place
    return ", ".join(dict.fromkeys(_TAG.findall(place)))


def known_names(series: Iterable[str], case: Case | None = None) -> frozenset[str]:
    """Collect the places of a study that the windows show anyway.

    Parameters
    ----------
    series : iterable of str
        Keys of its series.
    case : Case, optional
        Its regions have names.

    Returns
    -------
    frozenset of str
        For `shown_place`.
    """
    lesions = case.lesions if case is not None else None
    regions = lesions.regions if lesions is not None else ()
    return frozenset({*_SERIES_KEYS, *series, *(region.name for region in regions)})
