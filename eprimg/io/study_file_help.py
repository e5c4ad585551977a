"""Sections of the study file that help the alignment: transforms, landmarks, metric masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError
from eprimg.model.manual_help import HelpUse

__all__ = ["HELP_SECTIONS", "HelpEntries", "HelpEntry", "parse_help"]

HELP_SECTIONS = ("transforms", "landmarks", "metric_masks")
"""Lists of the study file that this module reads."""

_KEYS = {
    "transforms": {"path", "fixed", "moving", "use"},
    "landmarks": {"path", "fixed", "moving", "use", "fixed_mm", "moving_mm", "names"},
    "metric_masks": {"path", "on"},
}
_USES = {
    "transforms": (HelpUse.RESULT, HelpUse.START),
    "landmarks": (HelpUse.CHECK, HelpUse.START, HelpUse.RESULT),
}
Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class HelpEntry:
    """One item of one of the lists.

    Parameters
    ----------
    section : str
        One of `HELP_SECTIONS`.
    path : Path or None
        File; landmarks may be written down instead.
    fixed, moving : str
        Keys of the two series; of a mask, ``fixed`` is the series that it lies on.
    use : str
        See `eprimg.model.manual_help.HelpUse`; empty for a mask.
    fixed_mm, moving_mm : tuple of points
        Landmarks, LPS mm.
    names : tuple of str
        Names of the pairs.
    """

    section: str
    path: Path | None
    fixed: str = ""
    moving: str = ""
    use: str = ""
    fixed_mm: Points = ()
    moving_mm: Points = ()
    names: tuple[str, ...] = ()

    def to_content(self) -> dict[str, Any]:
        """Return the item as `parse_help` takes it.

        Returns
        -------
        dict
            Key -> value.
        """
        ends = {"on": self.fixed}
        if self.section != "metric_masks":
            ends = {"fixed": self.fixed, "moving": self.moving, "use": self.use}
        points = {"fixed_mm": self.fixed_mm, "moving_mm": self.moving_mm}
        return {
            **({} if self.path is None else {"path": str(self.path)}),
            **ends,
            **{k: [list(p) for p in v] for k, v in points.items() if v},
            **({"names": list(self.names)} if self.names else {}),
        }


@dataclass(frozen=True, slots=True)
class HelpEntries:
    """All of them.

    Parameters
    ----------
    items : tuple of HelpEntry
        In the order of the file, list by list.
    """

    items: tuple[HelpEntry, ...] = ()

    def of(self, section: str) -> tuple[HelpEntry, ...]:
        """Return the items of one list.

        Parameters
        ----------
        section : str
            One of `HELP_SECTIONS`.

        Returns
        -------
        tuple of HelpEntry
            In order.
        """
        return tuple(e for e in self.items if e.section == section)

    def to_content(self) -> dict[str, Any]:
        """Return the lists as `parse_help` takes them.

        Returns
        -------
        dict
            Section -> list of items; empty ones are left out.
        """
        lists = {name: [e.to_content() for e in self.of(name)] for name in HELP_SECTIONS}
        return {name: items for name, items in lists.items() if items}

    def overrides(self) -> dict[str, Any]:
        """List what was given, for the record.

        Returns
        -------
        dict
            Flat key -> value.
        """
        record: dict[str, Any] = {}
        for name in HELP_SECTIONS:
            for number, entry in enumerate(self.of(name), start=1):
                what = f"{len(entry.fixed_mm)} pairs" if entry.path is None else entry.path.name
                ends = entry.fixed if name == "metric_masks" else f"{entry.fixed} {entry.moving}"
                use = f", {entry.use}" if entry.use else ""
                record[f"{name}.{number}"] = f"{what} ({ends}{use})"
        return record


def parse_help(
    content: Mapping[str, Any], folder: Path, where: str, faults: list[ConfigError]
) -> HelpEntries:
    """Check the lists of a study file that help the alignment.

    Parameters
    ----------
    content : Mapping
        The whole file; only `HELP_SECTIONS` are looked at.
    folder : Path
        Where relative paths start.
    where : str
        Name of the file, for messages.
    faults : list of ConfigError
        Grows by what is wrong.

    Returns
    -------
    HelpEntries
        The items that are right.
    """
    found: list[HelpEntry] = []
    for name in HELP_SECTIONS:
        items = content.get(name, [])
        if not isinstance(items, list):
            faults.append(_fault(f"{name!r} is a list: [[{name}]]", where, items))
            continue
        for number, item in enumerate(items, start=1):

            def refuse(
                words: str, value: object = None, *, place: str = f"{name}[{number}]"
            ) -> None:
                faults.append(_fault(f"{place} {words}", where, value))

            before = len(faults)
            entry = _entry(name, item, folder, refuse)
            if entry is not None and len(faults) == before:
                found.append(entry)
    return HelpEntries(tuple(found))


def _entry(name: str, item: Any, folder: Path, refuse: Callable[..., None]) -> HelpEntry | None:
    if not isinstance(item, Mapping):
        refuse("is a table", item)
        return None
    unknown = sorted(set(item) - _KEYS[name])
    if unknown:
        refuse(f"has no key {unknown[0]!r}; use {', '.join(sorted(_KEYS[name]))}")
    needed = ("on",) if name == "metric_masks" else ("fixed", "moving")
    for key in needed:
        if not isinstance(item.get(key), str) or not item[key]:
            refuse(f'needs {key!r}, the key of a series, e.g. "mr_pre"', item.get(key))
    uses = _USES.get(name, ())
    use = str(item.get("use", uses[0] if uses else ""))
    if uses and use not in uses:
        refuse(f"has a 'use' that is not one of {', '.join(uses)}", use)
    points = {key: _points(item.get(key)) for key in ("fixed_mm", "moving_mm")}
    path = item.get("path")
    if path is None:
        written = name == "landmarks" and all(points.values())
        if not written or len(points["fixed_mm"] or ()) != len(points["moving_mm"] or ()):
            refuse(
                "needs 'path'"
                + (
                    ", or as many points [x, y, z] in fixed_mm as in moving_mm"
                    * (name == "landmarks")
                )
            )
    elif not isinstance(path, str) or not (folder / path).is_file():
        refuse("names a file that is not there", path)
    elif set(item) & {"fixed_mm", "moving_mm", "names"}:
        refuse("gives points both in a file and here")
    names = item.get("names", [])
    if not isinstance(names, list) or (names and len(names) != len(points["fixed_mm"] or ())):
        refuse("has not one name per pair", names)
        return None
    return HelpEntry(
        name,
        folder / path if isinstance(path, str) else None,
        str(item.get("on" if name == "metric_masks" else "fixed", "")),
        str(item.get("moving", "")),
        use,
        points["fixed_mm"] or (),
        points["moving_mm"] or (),
        tuple(str(n) for n in names),
    )


def _points(value: Any) -> Points | None:
    """Read a list of three numbers each; None for anything else."""
    if not isinstance(value, list) or not value:
        return None
    points = []
    for point in value:
        if not isinstance(point, list) or len(point) != 3:
            return None
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in point):
            return None
        points.append(tuple(float(v) for v in point))
    return tuple(points)


def _fault(message: str, where: str, value: object) -> ConfigError:
    return ConfigError(message, code="E_STUDY_FILE", where=where, value=value)
