"""Records of a batch on disk: the truth about each study, whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from eprimg.errors import OutputError
from eprimg.io.batch_files import BatchPaths, disk_error, sync_folder, write_whole
from eprimg.io.batch_hashes import input_hash, input_stamp, result_hash
from eprimg.io.batch_tasks import StudyTask
from eprimg.io.output_folder import check_target, output_path
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study_record import (
    CaseDigest,
    Light,
    PatientTierWord,
    Status,
    StudyRecord,
    digest_case,
)

__all__ = [
    "Action",
    "CaseDigest",
    "Decision",
    "Light",
    "PatientTierWord",
    "Status",
    "StudyRecord",
    "decide",
    "digest_case",
    "input_hash",
    "input_stamp",
    "read_record",
    "read_records",
    "refresh_stamp",
    "remove_results",
    "result_hash",
    "withdraw",
    "write_record",
]

_FORMAT: Final = "eprimg study record 1"
_NO_ROOM: Final = ("E_DISK", "E_OUTPUT_UNWRITABLE")
"""Failures of the place, not of the study: tried again whenever the batch is run again."""


def _payload(record: StudyRecord) -> dict[str, Any]:
    return {"format": _FORMAT, **asdict(record)}


def _checksum(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(out: Path, record: StudyRecord) -> None:
    """Write the record of a study; it replaces an earlier one as a whole.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    record : StudyRecord
        What became of the study.

    Raises
    ------
    OutputError
        ``E_DISK`` or ``E_OUTPUT_UNWRITABLE``; the earlier record stays.
    """
    payload = json.loads(json.dumps(_payload(record)))
    payload["check"] = _checksum(payload)
    write_whole(
        BatchPaths(out).record(record.key),
        json.dumps(payload, indent=1, ensure_ascii=False) + "\n",
    )


def withdraw(out: Path, key: str) -> None:
    """Remove the record of a study, because its results are about to be replaced.

    Otherwise a process that is killed between the new results and their record leaves the old
    record beside them, and a return to the old settings would take them for done.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    key : str
        Key of the study.

    Raises
    ------
    OutputError
        ``E_OUTPUT_UNWRITABLE`` when it cannot be removed.
    """
    path = BatchPaths(out).record(key)
    try:
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, path.name) from error


def remove_results(out: Path, key: str) -> None:
    """Remove results that no record stands for any more; anything else there stays.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    key : str
        Key of the study.
    """
    paths = BatchPaths(out)
    with contextlib.suppress(OSError):
        paths.thumbnail(key).unlink(missing_ok=True)
    with contextlib.suppress(OutputError):
        check_target(paths.study(key), overwrite=True)
        shutil.rmtree(paths.study(key), ignore_errors=True)


def _parse(text: str, key: str) -> StudyRecord:
    """Turn the text of a record into the record; anything odd is a ValueError."""
    payload = json.loads(text)
    if not isinstance(payload, dict) or payload.get("format") != _FORMAT:
        raise ValueError("it is not a study record of this version")
    if payload.pop("check", None) != _checksum(payload) or payload.get("key") != key:
        raise ValueError("its content does not fit its checksum")
    del payload["format"]
    digest = payload.pop("digest")
    tiers = tuple(
        PatientTierWord(**{**tier, "labels": tuple(tier["labels"])}) for tier in digest["tiers"]
    )
    findings = tuple((str(c), str(s), str(t)) for c, s, t in digest["findings"])
    digest |= {"tiers": tiers, "findings": findings, "light": Light(digest["light"])}
    payload["status"] = Status(payload["status"])
    return StudyRecord(**payload, digest=CaseDigest(**digest))


def _read(path: Path) -> tuple[StudyRecord | None, str]:
    """Read one record; the words say why there is none."""
    try:
        return _parse(path.read_text(encoding="utf-8"), path.name.removesuffix(".json")), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"it cannot be read ({error.strerror})"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, "it is damaged, or of another version"


def read_record(out: Path, key: str) -> StudyRecord | None:
    """Read the record of a study.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    key : str
        Key of the study.

    Returns
    -------
    StudyRecord or None
        None when there is none, or when it is damaged: the study is then done again.
    """
    return _read(BatchPaths(out).record(key))[0]


def read_records(out: Path) -> StageResult[tuple[StudyRecord, ...]]:
    """Read all records of a batch.

    Parameters
    ----------
    out : Path
        Output folder of the batch.

    Returns
    -------
    StageResult of tuple of StudyRecord
        Sorted by key; ``W_BATCH_RECORD`` for each one that cannot be used.
    """
    records: list[StudyRecord] = []
    findings: list[Finding] = []
    try:
        with os.scandir(BatchPaths(out).records) as entries:
            paths = sorted(
                e.path for e in entries if e.name.endswith(".json") and not e.name.startswith(".")
            )
    except FileNotFoundError:
        paths = []
    for path in map(Path, paths):
        record, problem = _read(path)
        if record is not None:
            records.append(record)
        elif problem:
            findings.append(
                Finding(
                    "W_BATCH_RECORD",
                    Severity.WARNING,
                    path.stem,
                    f"The record of this study is not used: {problem}. The study will be done "
                    "again.",
                )
            )
    return StageResult(tuple(records), tuple(findings))


class Action(StrEnum):
    """What is to be done with a study."""

    SKIP = "skip"
    RUN = "run"
    REDO = "redo"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a study, and why.

    Parameters
    ----------
    action : Action
        Skip (done), run (new), redo (something changed, or tried again) or keep (it failed or was
        refused before, and nothing changed).
    reason : str
        In words.
    record : StudyRecord or None
        The earlier record.
    stamp : str
        Stamp of the input now.
    """

    action: Action
    reason: str
    record: StudyRecord | None
    stamp: str

    @property
    def to_run(self) -> bool:
        """True when a process is to be started."""
        return self.action in (Action.RUN, Action.REDO)


def decide(
    task: StudyTask, out: Path, config_hash: str, version: str, *, retry_failed: bool = False
) -> Decision:
    """Decide whether a study is run; files are read only when their stamp changed.

    Parameters
    ----------
    task : StudyTask
        The study.
    out : Path
        Output folder of the batch.
    config_hash : str
        Hash of the settings of this study.
    version : str
        Version of eprimg.
    retry_failed : bool
        Try failed studies again; those that failed for want of room on the disk are tried again
        anyway. A refused study is tried again only when something changed: its input decides
        alone.

    Returns
    -------
    Decision
        What to do.
    """
    stamp = input_stamp(task.path, task.study_file, task.facts)
    record = read_record(out, task.key)
    if record is None:
        return Decision(Action.RUN, "it has no record", None, stamp)

    def redo(reason: str) -> Decision:
        return Decision(Action.REDO, reason, record, stamp)

    if record.version != version:
        return redo("the version of eprimg changed")
    if record.config_hash != config_hash:
        return redo("the settings changed")
    same = stamp != "" and stamp == record.stamp
    if not same and record.input_hash != input_hash(task.path, task.study_file, task.facts):
        return redo("the input changed")
    if record.status == Status.OK:
        if not output_path(BatchPaths(out).study(task.key), "manifest").is_file():
            return redo("its output folder is gone")
        return Decision(Action.SKIP, "done", record, stamp)
    if record.status == Status.FAILED and (retry_failed or record.code in _NO_ROOM):
        return redo("it failed before")
    return Decision(Action.KEEP, f"{record.status} before, and nothing changed", record, stamp)


def refresh_stamp(out: Path, decision: Decision) -> None:
    """Remember the stamp of an input that was copied or touched but holds the same.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    decision : Decision
        A decision not to run.

    Raises
    ------
    OutputError
        When the record cannot be written.
    """
    record = decision.record
    if record is None or decision.to_run or decision.stamp in ("", record.stamp):
        return
    write_record(out, replace(record, stamp=decision.stamp))
