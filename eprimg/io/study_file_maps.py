"""The part ``[[maps]]`` of a study file: maps made elsewhere that are measured next to ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError
from eprimg.quantities import EXTERNAL_MAPS, QUANTITIES

__all__ = ["MAP_PHASES", "MapEntry", "parse_map_entries"]

MAP_PHASES = ("pre", "post")
"""A map may have been made before or after the agent."""

_KEYS = ("path", "quantity", "on", "phase", "unit")


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One map that the user names.

    Parameters
    ----------
    path : Path
        NIfTI file or DICOM parametric map; relative paths start at the study file.
    quantity : str
        Key of the quantity, one of `eprimg.quantities.EXTERNAL_MAPS`.
    on : str
        Series in whose frame of reference the map lies, e.g. ``mr_pre``.
    phase : str
        ``pre`` or ``post`` the agent; empty when it does not matter.
    unit : str
        Unit that the user says the file holds; empty: not said.
    """

    path: Path
    quantity: str
    on: str = ""
    phase: str = ""
    unit: str = ""

    @property
    def key(self) -> str:
        """Name of the map as a source of numbers, e.g. ``map_ktrans`` or ``map_r2_pre``."""
        return "_".join(part for part in ("map", self.quantity, self.phase) if part)

    def to_content(self) -> dict[str, str]:
        """Return what a study file would hold."""
        content = {"path": str(self.path), "quantity": self.quantity}
        rest = {"on": self.on, "phase": self.phase, "unit": self.unit}
        return content | {k: v for k, v in rest.items() if v}


def parse_map_entries(
    content: Any, folder: Path, where: str, faults: list[ConfigError]
) -> tuple[MapEntry, ...]:
    """Check the section ``[[maps]]``.

    Parameters
    ----------
    content : object
        What the file holds: a list of tables.
    folder : Path
        Where relative paths start.
    where : str
        File name, for messages.
    faults : list of ConfigError
        Grows by one ``E_STUDY_FILE`` per fault.

    Returns
    -------
    tuple of MapEntry
        The entries without a fault.
    """

    def refuse(message: str, value: object = None, action: str | None = None) -> None:
        faults.append(
            ConfigError(message, code="E_STUDY_FILE", where=where, value=value, action=action)
        )

    if not isinstance(content, list):
        refuse("'maps' is a list of tables", content, "write [[maps]] above each map")
        return ()
    entries: list[MapEntry] = []
    for number, item in enumerate(content, start=1):
        name = f"maps[{number}]"
        if not isinstance(item, Mapping) or not all(isinstance(v, str) for v in item.values()):
            refuse(f"{name} holds texts only", item)
            continue
        before = len(faults)
        for key in sorted(set(item) - set(_KEYS)):
            refuse(f"{name} has no key {key!r}", action=f"use {', '.join(_KEYS)}")
        if not item.get("path"):
            refuse(f"{name} needs a 'path'", dict(item))
        quantity = item.get("quantity", "")
        if quantity not in EXTERNAL_MAPS:
            refuse(
                f"{name} needs a 'quantity' that is known",
                quantity,
                f"use one of {', '.join(EXTERNAL_MAPS)}",
            )
        else:
            own, said = QUANTITIES[quantity].unit, item.get("unit", "")
            if said and said not in (own.text, own.ucum):
                refuse(
                    f"{name}: {QUANTITIES[quantity].name} is taken in {own.text}",
                    said,
                    "convert the map; nothing is converted silently",
                )
        if item.get("phase", "") not in ("", *MAP_PHASES):
            refuse(f"{name}: 'phase' is pre or post", item["phase"])
        path = folder / item.get("path", "")
        if item.get("path") and not path.is_file():
            refuse(
                f"{name} is not a file",
                item["path"],
                "give the path from the study file's folder to a NIfTI file or a DICOM "
                "parametric map",
            )
        if len(faults) > before:
            continue
        entry = MapEntry(path, *(item.get(key, "") for key in _KEYS[1:]))
        if any(entry.key == other.key for other in entries):
            refuse(f"{name}: there is another map {entry.key!r}", action="tell them by 'phase'")
            continue
        entries.append(entry)
    return tuple(entries)
