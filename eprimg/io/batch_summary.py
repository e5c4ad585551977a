"""The summary of a batch, always made again from the records on disk."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from eprimg.io.batch_cohort import cohort_csv, write_cohort_lesions
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_records import read_records
from eprimg.model.case import Finding, Severity
from eprimg.model.study_record import BatchSummary

__all__ = ["BatchSummary", "summarise", "write_summary"]

_NAMED: Final = 20


def summarise(out: Path) -> BatchSummary:
    """Read what became of every study of a batch.

    Parameters
    ----------
    out : Path
        Output folder of the batch.

    Returns
    -------
    BatchSummary
        Records, and the keys of ``sources.csv`` that have none yet; ``W_BATCH_UNLISTED`` for
        records of studies that are no longer in the input.
    """
    paths = BatchPaths(out)
    read = read_records(out)
    known = {record.key for record in read.value}
    facts = _batch_facts(paths.batch)
    listed = _listed(paths.sources)
    return BatchSummary(
        records=read.value,
        waiting=tuple(k for k in listed if k not in known),
        findings=(*read.findings, *_unlisted(sorted(known.difference(listed)) if listed else [])),
        version=str(facts.get("version", "")),
        created=str(facts.get("created", "")),
        thumbnails=_stems(paths.thumbnails, ".webp"),
        logs=_stems(paths.logs, ".log"),
    )


def write_summary(out: Path, render: Callable[[BatchSummary], str]) -> BatchSummary:
    """Write ``cohort.csv``, ``cohort_lesions.csv`` and ``index.html`` from the records on disk.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    render : callable
        Draws the page: `eprimg.report.batch_page.render_batch_page`.

    Returns
    -------
    BatchSummary
        What was written, with ``W_BATCH_TABLE`` for each study whose table could not be used.

    Raises
    ------
    OutputError
        ``E_DISK`` or ``E_OUTPUT_UNWRITABLE``; a file that could not be written stays as it was.
    """
    paths = BatchPaths(out)
    summary = summarise(out)
    missing: tuple[Finding, ...] = write_cohort_lesions(out, summary)
    summary = replace(summary, findings=summary.findings + missing)
    write_whole(paths.cohort, cohort_csv(summary))
    write_whole(paths.page, render(summary))
    return summary


def _unlisted(keys: list[str]) -> tuple[Finding, ...]:
    """Tell of studies that were taken out of the input, e.g. a patient who withdrew."""
    if not keys:
        return ()
    shown = ", ".join(keys[:_NAMED]) + (" ..." if len(keys) > _NAMED else "")
    text = (
        "These studies are no longer in the input; their results are still here and in the "
        f"tables: {shown}. To drop one, remove its record, its folder in studies and its "
        "thumbnail, then run again."
    )
    where = f"{len(keys)} studies" if len(keys) > 1 else keys[0]
    return (Finding("W_BATCH_UNLISTED", Severity.WARNING, where, text),)


def _batch_facts(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _listed(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            next(rows, None)
            return [row[0] for row in rows if row]
    except (OSError, csv.Error):
        return []


def _stems(folder: Path, suffix: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries]
    except OSError:
        return frozenset()
    return frozenset(
        n.removesuffix(suffix) for n in names if n.endswith(suffix) and not n.startswith(".")
    )
