"""Which engines there are, which are missing, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from eprimg.errors import EngineUnavailable

__all__ = ["GROUPS", "EngineInfo", "engines", "load_engine"]

GROUPS = {
    "registrar": "eprimg.registrars",
    "segmenter": "eprimg.segmenters",
    "tier rule": "eprimg.tier_rules",
}
"""Kind of engine -> entry-point group."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """One engine that is declared, whether or not it can run.

    Parameters
    ----------
    kind, name : str
        E.g. ``registrar`` and ``simpleitk-rigid``.
    available : bool
        True when it can run here.
    detail : str
        Version, or why it is unavailable and what to install.
    """

    kind: str
    name: str
    available: bool
    detail: str


def engines(kind: str | None = None) -> tuple[EngineInfo, ...]:
    """List the declared engines, the unavailable ones too.

    Parameters
    ----------
    kind : str, optional
        One of `GROUPS`; all kinds when left out.

    Returns
    -------
    tuple of EngineInfo
        Sorted by kind and name.
    """
    found = []
    for each, group in GROUPS.items():
        if kind is not None and each != kind:
            continue
        for point in entry_points(group=group):
            try:
                version = getattr(point.load(), "version", None)
                detail = str(version()) if callable(version) else "available"
                found.append(EngineInfo(each, point.name, True, detail))
            except Exception as error:  # a broken third-party engine must not hide the others
                found.append(EngineInfo(each, point.name, False, f"{error}"))
    return tuple(sorted(found, key=lambda e: (e.kind, e.name)))


def load_engine(kind: str, name: str) -> Any:
    """Load an engine by name.

    Parameters
    ----------
    kind : str
        One of `GROUPS`.
    name : str
        Entry-point name.

    Returns
    -------
    object
        The engine class or callable.

    Raises
    ------
    EngineUnavailable
        ``E_ENGINE`` when it is not declared or cannot be imported.
    """
    points = _declared(GROUPS[kind], entry_points)
    if name not in points:
        raise EngineUnavailable(
            f"no {kind} is called {name!r}",
            code="E_ENGINE",
            value=name,
            action=f"use one of: {', '.join(sorted(points)) or 'none installed'}; "
            "`eprimg check` lists what is available",
        )
    try:
        return points[name].load()
    except Exception as error:
        raise EngineUnavailable(
            f"the {kind} {name!r} cannot be used here: {error}",
            code="E_ENGINE",
            value=name,
            action="install what the message names; `eprimg check` shows all engines",
        ) from error


@cache
def _declared(group: str, find: Callable[..., EntryPoints]) -> dict[str, EntryPoint]:
    """Entry points of a group by name; looking for them takes tens of milliseconds."""
    return {point.name: point for point in find(group=group)}
