"""Studies of a BIDS dataset: one subject with all its sessions, or one session.

Series before and after the agent often are two sessions of a subject, so the subject is the
study unless sessions are asked for.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eprimg.io.batch_tasks import StudyTask, folder_key
from eprimg.model.case import Finding, Severity, StageResult

__all__ = ["bids_tasks", "is_bids"]

_SUBJECT: Final = re.compile(r"sub-[0-9A-Za-z+]{1,40}")
_SESSION: Final = re.compile(r"ses-[0-9A-Za-z+]{1,40}")
_METRES: Final = {"m": 1.0, "cm": 0.01}
_SEXES: Final = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
"""Values that BIDS defines for the column ``sex``, in any capitals."""


def is_bids(root: Path) -> bool:
    """Tell a BIDS dataset.

    Parameters
    ----------
    root : Path
        A folder.

    Returns
    -------
    bool
        True when it holds ``dataset_description.json``.
    """
    return (root / "dataset_description.json").is_file()


def bids_tasks(root: Path, *, per_session: bool = False) -> StageResult[tuple[StudyTask, ...]]:
    """List the studies of a BIDS dataset.

    Weight and height are taken from ``participants.tsv`` only when ``participants.json`` states
    their unit, and the weight only when no PET side-car of the subject has its own.

    Parameters
    ----------
    root : Path
        The dataset.
    per_session : bool
        One study per session instead of one per subject.

    Returns
    -------
    StageResult of tuple of StudyTask
        Keys ``sub-01`` or ``sub-01_ses-02``; findings about columns that were not used and about
        folders and links that are no subjects.
    """
    findings: list[Finding] = []
    known = _participants(root, findings)
    tasks: list[StudyTask] = []
    with os.scandir(root) as entries:
        names = sorted(e.name for e in entries if e.name.startswith("sub-"))
    for name in names:
        folder = root / name
        if folder.is_symlink():
            inside = Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))
            code = "W_LINK_OUTSIDE" if folder.exists() else "W_LINK_BROKEN"
            if not inside or not folder.exists():
                text = "a subject that is a symbolic link is not followed"
                findings.append(Finding(code, Severity.WARNING, name, text))
                continue
        if not folder.is_dir():
            continue
        key = name if _SUBJECT.fullmatch(name) else folder_key(name)
        facts = dict(known.get(name, {}))
        if "weight_kg" in facts and _sidecar_weight(folder):
            del facts["weight_kg"]
        sessions = _sessions(folder) if per_session else []
        if not _holds_file(folder):
            text = "the subject holds no files; its study will be refused"
            findings.append(Finding("W_BATCH_EMPTY", Severity.WARNING, name, text))
        for session in sessions:
            tasks.append(
                StudyTask(
                    f"{key}_{session}",
                    folder / session,
                    facts=facts,
                    source=f"{name}/{session}",
                )
            )
        if not sessions:
            tasks.append(StudyTask(key, folder, facts=facts, source=name))
    missing = sorted(set(known) - set(names))
    if missing:
        text = f"participants.tsv lists subjects without a folder ({', '.join(missing[:20])})"
        where = f"{len(missing)} subjects"
        findings.append(Finding("W_BATCH_EMPTY", Severity.WARNING, where, text))
    return StageResult(tuple(tasks), tuple(findings))


def _sessions(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and _SESSION.fullmatch(e.name))
    except OSError:
        return []


def _holds_file(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))


def _sidecar_weight(folder: Path) -> bool:
    """Tell whether a PET side-car says what the patient weighed: it lies nearer to the scan."""
    for sidecar in folder.rglob("*_pet.json"):
        content = _json(sidecar)
        if isinstance(content.get("PatientWeight"), int | float):
            return True
    return False


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _participants(root: Path, findings: list[Finding]) -> dict[str, dict[str, Any]]:
    """Read weight, height and sex of every subject, as far as their meaning is stated."""
    table = root / "participants.tsv"
    try:
        text = table.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        findings.append(_unused("participants.tsv cannot be read"))
        return {}
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    meanings = _json(root / "participants.json")
    units = {
        column: str(about.get("Units", "")).strip().lower()
        for column, about in meanings.items()
        if isinstance(about, Mapping)
    }
    columns = {str(c) for row in rows for c in row if c is not None}
    weight = "weight" in columns and units.get("weight") in ("kg", "kilogram", "kilograms")
    metres = _METRES.get(units.get("height", ""), 0.0) if "height" in columns else 0.0
    for column, used in (("weight", weight), ("height", metres > 0.0)):
        if column in columns and not used:
            findings.append(
                _unused(
                    f"the column {column!r} of participants.tsv is not used, because "
                    'participants.json does not state its unit as "Units": '
                    + ('"kg"' if column == "weight" else '"m" or "cm"')
                )
            )
    known: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = str(row.get("participant_id") or "").strip()
        facts: dict[str, Any] = {}
        kilograms = _number(row.get("weight")) if weight else 0.0
        if kilograms:
            facts["weight_kg"] = kilograms
        height = _number(row.get("height")) * metres if metres else 0.0
        if height:
            facts["height_m"] = round(height, 4)
        sex = _SEXES.get(str(row.get("sex") or "").strip().lower())
        if sex:
            facts["sex"] = sex
        if name:
            known[name] = facts
    return known


def _number(cell: object) -> float:
    """Read a positive number; ``n/a`` and anything else is 0, which says nothing."""
    try:
        number = float(str(cell))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _unused(text: str) -> Finding:
    return Finding("W_BATCH_PARTICIPANTS", Severity.WARNING, "participants.tsv", text)
