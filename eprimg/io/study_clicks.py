"""Clicks of the study file: points from which regions are made without a screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from eprimg.errors import ConfigError
from eprimg.model.study import Click

__all__ = ["ANATOMIES", "click_content", "parse_clicks"]

ANATOMIES = ("lesion", "liver", "spleen", "blood", "muscle", "kidney", "marrow")
"""What can be clicked."""

_KEYS = ("on", "point_mm", "anatomy", "diameter_mm", "name", "background_mm")
_Point = tuple[float, float, float]


def parse_clicks(content: Any, where: str, faults: list[ConfigError]) -> tuple[Click, ...]:
    """Check the clicks of a study file.

    Parameters
    ----------
    content : list of Mapping
        ``[[clicks]]`` as read.
    where : str
        File name, for messages.
    faults : list of ConfigError
        Grows by every fault (``E_STUDY_FILE``).

    Returns
    -------
    tuple of Click
        Those without a fault.
    """
    if not isinstance(content, list):
        faults.append(_fault("'clicks' is a list of sections", where, content))
        return ()
    clicks = []
    for number, item in enumerate(content, start=1):
        found = len(faults)
        click = _click(f"clicks[{number}]", item, number, where, faults)
        if len(faults) == found and click is not None:
            clicks.append(click)
    return tuple(clicks)


def _click(
    name: str, item: Any, number: int, where: str, faults: list[ConfigError]
) -> Click | None:
    if not isinstance(item, Mapping):
        faults.append(_fault(f"{name} is a section", where, item))
        return None
    for key in sorted(set(item) - set(_KEYS)):
        faults.append(_fault(f"{name} has no key {key!r}", where, item[key]))
    for key in ("on", "anatomy", "name"):
        if not isinstance(item.get(key, ""), str):
            faults.append(_fault(f"'{name}.{key}' is text", where, item[key]))
            return None
    if not item.get("on"):
        faults.append(_fault(f"{name} needs 'on', the series that was clicked", where, item))
    anatomy = item.get("anatomy", "")
    if anatomy not in ANATOMIES:
        said = f"'{name}.anatomy' is one of {', '.join(ANATOMIES)}"
        faults.append(_fault(said, where, anatomy))
    point = _point(item.get("point_mm"))
    if point is None:
        said = f"'{name}.point_mm' is three numbers in mm (LPS)"
        faults.append(_fault(said, where, item.get("point_mm")))
    diameter = item.get("diameter_mm", 0.0)
    if isinstance(diameter, bool) or not isinstance(diameter, int | float):
        diameter = math.nan
    organ = anatomy != "lesion"
    if not (0.0 < diameter <= 200.0 or (diameter == 0.0 and not organ)):
        said = f"'{name}.diameter_mm' is above 0 and at most 200 mm"
        faults.append(_fault(said + ("; an organ needs it" if organ else ""), where, diameter))
    given = item.get("background_mm", [])
    beside = [_point(p) for p in given] if isinstance(given, list) else [None]
    if any(p is None for p in beside) or (organ and beside):
        said = f"'{name}.background_mm' is a list of points in mm, for a lesion only"
        faults.append(_fault(said, where, given))
    if point is None:
        return None
    return Click(
        item.get("on", ""),
        point,
        anatomy,
        float(diameter),
        item.get("name", "") or (f"{anatomy}-click-{number}" if not organ else anatomy),
        tuple(p for p in beside if p is not None),
    )


def _point(value: Any) -> _Point | None:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        return None
    x, y, z = (float(v) for v in value)
    return (x, y, z) if all(math.isfinite(v) for v in (x, y, z)) else None


def click_content(click: Click) -> dict[str, Any]:
    """Return the section of a study file that says the same.

    Parameters
    ----------
    click : Click
        A click.

    Returns
    -------
    dict
        As `parse_clicks` takes it.
    """
    content: dict[str, Any] = {
        "on": click.on,
        "point_mm": list(click.point_mm),
        "anatomy": click.anatomy,
    }
    if click.diameter_mm:
        content["diameter_mm"] = click.diameter_mm
    if click.name:
        content["name"] = click.name
    if click.background_mm:
        content["background_mm"] = [list(p) for p in click.background_mm]
    return content


def _fault(message: str, where: str, value: object) -> ConfigError:
    return ConfigError(
        message,
        code="E_STUDY_FILE",
        where=where,
        value=value,
        action=f"use {', '.join(_KEYS)}; see docs, reference/study-file",
    )
