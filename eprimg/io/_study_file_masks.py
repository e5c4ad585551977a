"""The masks of a study file: which file, on which series, and the names of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError

__all__ = ["MaskEntry", "read_masks"]


@dataclass(frozen=True, slots=True)
class MaskEntry:
    """One mask that the user names.

    Parameters
    ----------
    path : Path
        NIfTI or DICOM SEG; relative paths start at the study file.
    on : str
        Role of the series on whose frame of reference a NIfTI mask lies, e.g. ``mr_pre``.
    names : Mapping of str to str
        Label number -> name.
    """

    path: Path
    on: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def read_masks(
    content: Any, folder: Path, where: str, faults: list[ConfigError]
) -> tuple[MaskEntry, ...]:
    """Read the section ``[[masks]]``; faults are added to the list."""
    masks = []
    if not isinstance(content, list):
        # One pair of brackets would leave the masks out, and measure others in their place.
        faults.append(
            ConfigError(
                "'masks' is a list: [[masks]]", code="E_STUDY_FILE", where=where, value=content
            )
        )
        return ()
    for number, item in enumerate(content, start=1):
        if not isinstance(item, Mapping) or not isinstance(item.get("path"), str):
            faults.append(
                ConfigError(
                    f"masks[{number}] needs a 'path'", code="E_STUDY_FILE", where=where, value=item
                )
            )
            continue
        unknown = set(item) - {"path", "on", "names"}
        if unknown:
            faults.append(
                ConfigError(
                    f"masks[{number}] has no key {sorted(unknown)[0]!r}",
                    code="E_STUDY_FILE",
                    where=where,
                    action="use path, on, names",
                )
            )
        path = folder / item["path"]
        if not (path.is_file() or path.is_dir()):
            kind = "neither a file nor a folder" if path.exists() else "not there"
            faults.append(
                ConfigError(
                    f"masks[{number}] is {kind}",
                    code="E_STUDY_FILE",
                    where=where,
                    value=item["path"],
                    action="give the path from the study file's folder to a NIfTI or DICOM mask",
                )
            )
        given = item.get("names", {})
        if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
            faults.append(
                ConfigError(
                    f"masks[{number}].names is a table of label numbers and names",
                    code="E_STUDY_FILE",
                    where=where,
                    value=given,
                    action='write e.g. names = {1 = "lesion-1", 2 = "liver"}',
                )
            )
            continue
        twice = sorted({v for v in given.values() if list(given.values()).count(v) > 1})
        if twice:
            faults.append(
                ConfigError(
                    f"masks[{number}].names gives the name {twice[0]!r} to several labels",
                    code="E_STUDY_FILE",
                    where=where,
                    value=dict(given),
                    action="give each label a name of its own, or one label to all its voxels",
                )
            )
        names = {str(k): v for k, v in given.items()}
        masks.append(MaskEntry(path, str(item.get("on", "")), names))
    return tuple(masks)
