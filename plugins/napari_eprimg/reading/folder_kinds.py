"""What a path is: a study, an output folder, a saved case or a NIfTI file; told quickly."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path

from eprimg.io.index_nifti import is_nifti
from eprimg.io.output_folder import output_path
from eprimg.io.saved_case import is_saved_case
from eprimg.io.sidecar import nifti_stem

__all__ = ["PathKind", "kind_of"]

_OUTPUT = "eprimg output folder"
_LOOKED_AT = 50
"""Files that are looked at before a folder is taken as foreign."""

_PREAMBLE, _MAGIC = 128, b"DICM"


class PathKind(StrEnum):
    """Kinds of paths that can be opened."""

    CASE = "saved case"
    OUTPUT = "output folder"
    STUDY = "study"
    NIFTI = "NIfTI"


def kind_of(path: Path | str) -> PathKind | None:
    """Tell what a path is, without reading more than a few files of it.

    Parameters
    ----------
    path : Path or str
        Folder or file.

    Returns
    -------
    PathKind or None
        None when it is nothing of ours: not there, no DICOM, no NIfTI with a side-car.
    """
    path = Path(path)
    if path.is_file():
        if is_nifti(path):
            return PathKind.NIFTI if _side_car(path).is_file() else None
        return PathKind.STUDY if _is_dicom(path) else None
    if not path.is_dir():
        return None
    # A saved case has the manifest of an output folder too.
    if is_saved_case(path):
        return PathKind.CASE
    if _is_output(path):
        return PathKind.OUTPUT
    return PathKind.STUDY if any(map(_is_ours, islice(_files(path), _LOOKED_AT))) else None


def _is_output(folder: Path) -> bool:
    try:
        manifest = json.loads(output_path(folder, "manifest").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == _OUTPUT


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(files))


def _is_ours(file: Path) -> bool:
    return (is_nifti(file) and _side_car(file).is_file()) or _is_dicom(file)


def _side_car(file: Path) -> Path:
    return file.with_name(nifti_stem(file) + ".json")


def _is_dicom(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:
        return False
