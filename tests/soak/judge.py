"""What must be left of a batch, whatever was done to it.

The judge reads the files itself: names and layout are those that the documentation promises, the
hashes of files are its own.  Of eprimg it uses only `verify_folder`, the check that a user has.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from tests.soak.studies import SECRETS, Planned

_TIMED = {"manifest.json", "provenance.json", "report.html"}
"""Files of a study that say when and where it was run; all others are equal to the byte."""
_EXITS_SOME = {"refused": 8, "failed": 9}


@dataclass(frozen=True)
class Left:
    """What a good study left: its result hash, and the judge's own hash of its files."""

    result_hash: str
    files: str


def own_hash(folder: Path) -> str:
    """Hash names and bytes of all files of a study that do not say when and where it was run."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in _TIMED):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def records(out: Path) -> dict[str, dict[str, Any]]:
    """Read the records; one that cannot be read is an empty one."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((out / "records").glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found[path.stem] = {}
    return found


def left(out: Path) -> dict[str, Left]:
    """Return what the good studies of a batch left, by key."""
    return {
        key: Left(str(record["result_hash"]), own_hash(out / "studies" / key))
        for key, record in records(out).items()
        if record.get("status") == "ok"
    }


def judge(
    out: Path,
    planned: Iterable[Planned],
    *,
    exit_code: int,
    undisturbed: Mapping[str, Left] | None = None,
) -> list[str]:
    """Judge a finished batch.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    planned : iterable of Planned
        All studies that were handed over.
    exit_code : int
        What the last run ended with.
    undisturbed : Mapping of str to Left, optional
        What the same studies left when nothing disturbed them.

    Returns
    -------
    list of str
        Faults in words; empty when all is well.
    """
    studies = {study.key: study for study in planned}
    found = records(out)
    faults = [f"{key}: lost, no record" for key in studies.keys() - found.keys()]
    faults += [f"{key}: a record of no study" for key in found.keys() - studies.keys()]
    for key in sorted(studies.keys() & found.keys()):
        faults += _one(out, studies[key], found[key])
    faults += half_written(out)
    faults += _summary(out, found)
    faults += leaks(out)
    if undisturbed is not None:
        now = left(out)
        faults += [
            f"{key}: other results than the undisturbed run"
            for key in sorted(undisturbed.keys() | now.keys())
            if undisturbed.get(key) != now.get(key)
        ]
    states = {str(record.get("status")) for record in found.values()}
    wanted = max((_EXITS_SOME.get(state, 0) for state in states), default=0)
    if exit_code != wanted:
        faults.append(f"exit code {exit_code}, not {wanted}")
    return faults


def _one(out: Path, study: Planned, record: Mapping[str, Any]) -> list[str]:
    status, code = record.get("status"), record.get("code")
    folder = out / "studies" / study.key
    who = f"{study.key} ({study.bad or study.kind})"
    if study.bad:
        faults = []
        if status not in ("refused", "failed") or code != study.code:
            faults.append(f"{who}: {status} {code}, not {study.code}")
        if folder.exists():
            faults.append(f"{who}: a bad study left an output folder")
        if not record.get("message"):
            faults.append(f"{who}: refused without a word")
        return faults
    if status != "ok":
        return [f"{who}: {status} {code}: {record.get('message')}"]
    try:
        verify_folder(folder)
    except OutputError as error:
        return [f"{who}: {error}"]
    return []


def half_written(out: Path) -> list[str]:
    """Find what a killed process left: temporary files and folders, locks, folders without record.

    Parameters
    ----------
    out : Path
        Output folder of the batch.

    Returns
    -------
    list of str
        Faults.
    """
    guard = out / "locks" / ".guard"  # an empty file that the locks themselves are guarded with
    faults = [
        f"left over: {path.relative_to(out)}"
        for path in sorted(out.rglob("*"))
        if path != guard
        and (path.name.startswith(".") or ".tmp" in path.name or ".partial" in path.name)
    ]
    known = records(out).keys()
    faults += [
        f"{folder.name}: an output folder without a record"
        for folder in sorted((out / "studies").glob("*"))
        if folder.name not in known
    ]
    faults += [f"{key}: a record that is not whole" for key, r in records(out).items() if not r]
    return faults


def _summary(out: Path, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    faults = []
    with (out / "cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["study"]: row for row in csv.DictReader(file)}
    page = (out / "index.html").read_text(encoding="utf-8")
    for key in sorted(found.keys() | rows.keys()):
        record, row = found.get(key), rows.get(key)
        if record is None or row is None:
            faults.append(f"{key}: in the records or in cohort.csv, not in both")
            continue
        for name in ("status", "code", "result_hash"):
            if (row[name] or "") != (record.get(name) or ""):
                faults.append(f"{key}: cohort.csv says {name} {row[name]!r}, {record.get(name)!r}")
        if key not in page:
            faults.append(f"{key}: not in index.html")
    with (out / "cohort_lesions.csv").open(encoding="utf-8", newline="") as file:
        lesions = {row["study"] for row in csv.DictReader(file)}
    for key, record in found.items():
        measured = bool(record.get("digest", {}).get("n_lesions"))
        if measured != (key in lesions):
            faults.append(f"{key}: lesions in the record or in cohort_lesions.csv, not in both")
    return faults


def leaks(out: Path, *more: Path) -> list[str]:
    """Find names of patients where none may be.

    Parameters
    ----------
    out : Path
        Output folder of a batch; ``sources.csv`` says which folder is which and is private.
    *more : Path
        Further files, e.g. what was printed.

    Returns
    -------
    list of str
        Faults.
    """
    faults = []
    private = out / "sources.csv"
    for path in (*(p for p in out.rglob("*") if p.is_file() and p != private), *more):
        content = path.read_bytes()
        if path in more:  # a folder without files is named to the person at the screen
            content = b"\n".join(x for x in content.splitlines() if b"W_BATCH_EMPTY" not in x)
        faults += [
            f"{path.name}: holds {secret!r}" for secret in SECRETS if secret.encode() in content
        ]
    return faults
