"""A CSV manifest: one row per study, with its path and what is known beyond its headers.

Columns: ``study`` (the key) and ``path`` are needed; ``study_file``, ``settings``, ``pseudonym``,
``roles.<series>`` and the facts of a study file (``weight_kg``, ``dose_mbq``,
``injection_instant`` ...) are optional.  Relative paths start at the manifest.  ``settings`` holds
``section.key=value`` with ``;`` between several.  An empty cell says nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eprimg.errors import ConfigError, EprimgError, raise_faults
from eprimg.io.batch_files import check_key
from eprimg.io.batch_tasks import StudyTask
from eprimg.io.pet_entered import ENTERED_KEYS, read_entered
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role

__all__ = ["read_manifest"]

_NEEDED: Final = ("study", "path")
_OPTIONAL: Final = ("study_file", "settings", "pseudonym")
_WORDS: Final = (
    "injection_instant",
    "reference_instant",
    "residual_instant",
    "dose_instant",
    "sex",
    "nuclide",
)
"""Facts that are written as text; the others are numbers."""
_FACTS: Final = tuple(key for key in ENTERED_KEYS if key != "residual_bq")
"""Facts by the names of the study file, which takes the residual in MBq alone."""
_ROLES: Final = "roles."
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class _Row:
    line: int
    cells: dict[str, str]


class _Faults:
    """All faults of one manifest, each with its line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[EprimgError] = []

    def add(self, line: int, message: str, *, value: object = None, action: str = "") -> None:
        self.found.append(
            ConfigError(
                message,
                code="E_BATCH_MANIFEST",
                where=f"{self.name}, line {line}",
                value=value,
                action=action or "mend the manifest, then run again",
            )
        )


def read_manifest(path: Path) -> StageResult[tuple[StudyTask, ...]]:
    """Read and check a manifest.

    Parameters
    ----------
    path : Path
        CSV (comma, semicolon or tab between the columns; UTF-8, with or without a byte order
        mark), first line: names of the columns.

    Returns
    -------
    StageResult of tuple of StudyTask
        In order of the rows; ``W_BATCH_EMPTY`` for a path that is not there (the run refuses it).

    Raises
    ------
    ConfigError
        ``E_BATCH_MANIFEST``, listing every fault with its line.
    """
    faults = _Faults(path.name)
    text = _text(path, faults)
    raise_faults(faults.found)
    rows = _rows(text, faults)
    raise_faults(faults.found)
    tasks: list[StudyTask] = []
    findings: list[Finding] = []
    seen: dict[str, int] = {}
    for row in rows:
        task = _task(row, path.parent, faults)
        # keys become file names, and some file systems do not tell capitals
        first = seen.setdefault(row.cells["study"].lower(), row.line)
        if first != row.line:
            faults.add(
                row.line,
                f"the key was given in line {first} already (capitals do not count)",
                value=row.cells["study"],
            )
        if task is None:
            continue
        if not task.path.exists():
            text = "there is no such path; its study will be refused"
            findings.append(Finding("W_BATCH_EMPTY", Severity.WARNING, f"line {row.line}", text))
        tasks.append(task)
    raise_faults(faults.found)
    return StageResult(tuple(tasks), tuple(findings))


def _text(path: Path, faults: _Faults) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        faults.add(0, f"the manifest cannot be read: {error.strerror}")
        return ""
    save_as = "save it as 'CSV UTF-8'"
    if raw.startswith(_UTF16):
        faults.add(1, "the manifest is UTF-16", action=save_as)
        return ""
    if b"\0" in raw:
        faults.add(1, "the manifest is not a text file", action=save_as)
        return ""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        faults.add(line, "the manifest is not UTF-8", value=raw[error.start], action=save_as)
        return ""


def _rows(text: str, faults: _Faults) -> list[_Row]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    names: list[str] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not names:
                names = cells
                _check_names(names, reader.line_num, faults)
            elif len(cells) != len(names):
                faults.add(
                    reader.line_num,
                    f"the line has {len(cells)} cells, and there are {len(names)} columns",
                    action="put cells that hold a comma in double quotes",
                )
            else:
                rows.append(_Row(reader.line_num, dict(zip(names, cells, strict=True))))
    except csv.Error as error:
        faults.add(reader.line_num, f"the line is not CSV: {error}")
    if not names:
        faults.add(1, "the manifest is empty", action="write e.g. study,path,weight_kg")
    elif not rows and not faults.found:
        faults.add(2, "the manifest has no row")
    return rows


def _check_names(names: list[str], line: int, faults: _Faults) -> None:
    known = (*_NEEDED, *_OPTIONAL, *_FACTS)
    for name in _NEEDED:
        if name not in names:
            faults.add(line, f"the column {name!r} is missing", action="add it to the first line")
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            faults.add(line, f"the column {name!r} is there twice")
        elif name not in known and not (name.startswith(_ROLES) and len(name) > len(_ROLES)):
            faults.add(
                line,
                f"there is no column {name!r}",
                value=f"column {number}",
                action=f"use {', '.join(known)} or roles.SERIES",
            )


def _task(row: _Row, folder: Path, faults: _Faults) -> StudyTask | None:
    before = len(faults.found)
    cells = row.cells
    try:
        check_key(cells["study"])
    except ConfigError as error:
        faults.add(row.line, error.message, value=error.value)
    if not cells["path"]:
        faults.add(row.line, "the path is empty")
    study_file = folder / cells["study_file"] if cells.get("study_file") else None
    if study_file is not None and not study_file.is_file():
        faults.add(row.line, "the study file is not there", value=cells["study_file"])
    settings = tuple(s.strip() for s in cells.get("settings", "").split(";") if s.strip())
    for setting in settings:
        if "=" not in setting:
            faults.add(row.line, "a setting is written section.key=value", value=setting, action="")
    facts = _facts(row, faults)
    if len(faults.found) > before:
        return None
    return StudyTask(
        cells["study"], folder / cells["path"], study_file, settings, facts, cells["path"]
    )


def _facts(row: _Row, faults: _Faults) -> Mapping[str, Any]:
    """Read the facts of a row; a wrong one is named by its column."""
    entered: dict[str, object] = {}
    facts: dict[str, Any] = {}
    for name, cell in row.cells.items():
        if not cell or name in (*_NEEDED, "study_file", "settings"):
            continue
        if name == "pseudonym":
            facts[name] = cell
        elif name.startswith(_ROLES):
            try:
                facts.setdefault("roles", {})[name.removeprefix(_ROLES)] = str(Role(cell))
            except ValueError:
                faults.add(
                    row.line,
                    f"{name} is not a role",
                    value=cell,
                    action=f"use one of {', '.join(Role)}",
                )
        elif name in _WORDS:
            entered[name] = cell
        else:
            try:
                entered[name] = float(cell)
            except ValueError:
                comma = "," in cell
                faults.add(
                    row.line,
                    f"{name} is not a number",
                    value=cell,
                    action="write a decimal point instead of a comma" if comma else "",
                )
    checked, _, wrong = read_entered(entered)
    for fault in wrong:
        # the words of the study file, with the place in the manifest
        faults.add(row.line, fault.message, value=fault.value)
    if wrong:
        return facts
    for name in entered:
        # instants as datetime and sex in capitals; doses stay in the unit of their column
        facts[name] = getattr(checked, name) if name in _WORDS else entered[name]
    return facts
