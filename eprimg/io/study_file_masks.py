"""The masks that a study file names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError
from eprimg.io.region_choice import ROLES, RegionChoice

__all__ = ["MaskEntry", "parse_masks"]

_KEYS = ("path", "on", "names", "rois", "role")


@dataclass(frozen=True, slots=True)
class MaskEntry:
    """One mask that the user names.

    Parameters
    ----------
    path : Path
        NIfTI or NRRD labels, DICOM SEG, RT structure set; relative paths start at the study file.
    on : str
        Role of the series on whose frame of reference a NIfTI mask lies, e.g. ``mr_pre``.
    names : Mapping of str to str
        Label number -> name.
    rois : tuple of str or int
        Regions of the file that are used, by name or number; empty: all.
    role : str
        What they stand for; empty: as their names say.
    """

    path: Path
    on: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    rois: tuple[str | int, ...] = ()
    role: str = ""

    @property
    def choice(self) -> RegionChoice:
        """Regions and role, for the readers."""
        return RegionChoice(self.rois, self.role)

    def words(self) -> str:
        """Say in words what is used, for the record.

        Returns
        -------
        str
            E.g. ``plan.dcm (GTV_1, 4 as lesion)``.
        """
        chosen = ", ".join(str(r) for r in self.rois) or ("all" if self.role else "")
        role = f" as {self.role}" if self.role else ""
        return f"{self.path.name} ({chosen}{role})" if chosen else self.path.name

    def to_content(self) -> dict[str, Any]:
        """Return the entry as `parse_masks` takes it.

        Returns
        -------
        dict
            Key -> value; empty ones are left out.
        """
        content = {
            "path": str(self.path),
            "on": self.on,
            "names": dict(self.names),
            "rois": list(self.rois),
            "role": self.role,
        }
        return {k: v for k, v in content.items() if v}


def parse_masks(
    content: Any, folder: Path, where: str, faults: list[ConfigError]
) -> tuple[MaskEntry, ...]:
    """Check the list of masks.

    Parameters
    ----------
    content : Any
        ``masks`` of the study file.
    folder : Path
        Where relative paths start.
    where : str
        Name of the file, for messages.
    faults : list of ConfigError
        Grows by what is wrong.

    Returns
    -------
    tuple of MaskEntry
        Those that have a path.
    """

    def fault(text: str, value: object = None, action: str | None = None) -> None:
        faults.append(
            ConfigError(text, code="E_STUDY_FILE", where=where, value=value, action=action)
        )

    masks: list[MaskEntry] = []
    if not isinstance(content, list):
        # One pair of brackets would leave the masks out, and measure others in their place.
        fault("'masks' is a list: [[masks]]", content)
        return ()
    for number, item in enumerate(content, start=1):
        if not isinstance(item, Mapping) or not isinstance(item.get("path"), str):
            fault(f"masks[{number}] needs a 'path'", item)
            continue
        unknown = set(item) - set(_KEYS)
        if unknown:
            fault(
                f"masks[{number}] has no key {sorted(unknown)[0]!r}",
                action=f"use {', '.join(_KEYS)}",
            )
        path = folder / item["path"]
        if not (path.is_file() or path.is_dir()):
            kind = "neither a file nor a folder" if path.exists() else "not there"
            fault(
                f"masks[{number}] is {kind}",
                item["path"],
                "give the path from the study file's folder to a NIfTI or DICOM mask",
            )
        rois = item.get("rois", [])
        if not isinstance(rois, list) or not all(_is_roi(r) for r in rois) or rois != _once(rois):
            fault(
                f"masks[{number}].rois is a list of names or numbers, each of them once",
                rois,
                'write e.g. rois = ["GTV_1", 4]',
            )
            rois = []
        elif "rois" in item and not rois:
            fault(f"masks[{number}].rois is empty", rois, "leave it out to use all regions")
        role = item.get("role", "")
        if "role" in item and role not in ROLES:
            fault(f"masks[{number}].role is not a role", role, f"use one of {', '.join(ROLES)}")
            role = ""
        given = item.get("names", {})
        if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
            fault(
                f"masks[{number}].names is a table of label numbers and names",
                given,
                'write e.g. names = {1 = "lesion-1", 2 = "liver"}',
            )
            continue
        twice = sorted({v for v in given.values() if list(given.values()).count(v) > 1})
        if twice:
            fault(
                f"masks[{number}].names gives the name {twice[0]!r} to several labels",
                dict(given),
                "give each label a name of its own, or one label to all its voxels",
            )
        names = {str(k): v for k, v in given.items()}
        masks.append(MaskEntry(path, str(item.get("on", "")), names, tuple(rois), str(role)))
    return tuple(masks)


def _is_roi(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and bool(value.strip()))


def _once(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
