"""Tables over all studies of a batch: one row per study, and all lesions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eprimg.io.batch_files import BatchPaths, whole_file
from eprimg.io.output_folder import output_path
from eprimg.model.case import Finding, Severity
from eprimg.model.study_record import BatchSummary, Status, StudyRecord

__all__ = ["cohort_csv", "write_cohort_lesions"]

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
_STUDY: Final = "study"
_LEADING: Final = (_STUDY, "status", "code", "qc_light", "pseudonym")
_NUMBERS: Final = (
    "n_lesions",
    "n_candidates",
    "n_references",
    "n_registrations",
    "n_registrations_accepted",
    "n_findings_error",
    "n_findings_warning",
    "n_findings_info",
)
_TRAILING: Final = (
    "seconds",
    "peak_memory_mb",
    "attempts",
    "exit",
    "finished",
    "eprimg",
    "config_hash",
    "input_hash",
    "result_hash",
)


def _text(value: str) -> str:
    """Quote a cell that a spreadsheet would take for a formula."""
    value = value.replace("\r", " ").replace("\n", " ")
    return f"'{value}" if value.startswith(_RISKY) else value


def cohort_csv(summary: BatchSummary) -> str:
    """Write one row per study, waiting ones included.

    Parameters
    ----------
    summary : BatchSummary
        All studies.

    Returns
    -------
    str
        CSV text. A study without numbers has empty cells; so has a tier whose confidence cannot
        be stated.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    tiers = [
        name
        for s in summary.schemes
        for name in (f"patient_tier_{s}", f"patient_tier_confidence_{s}")
    ]
    names = [*_LEADING, *tiers, *_NUMBERS, *_TRAILING]
    writer.writerow(names)
    for record in summary.records:
        writer.writerow(_row(record, summary.schemes))
    for key in summary.waiting:
        writer.writerow([key, "waiting", *[""] * (len(names) - 2)])
    return sink.getvalue()


def _row(record: StudyRecord, schemes: tuple[str, ...]) -> list[str]:
    digest = record.digest
    placed = {t.scheme: t for t in digest.tiers}
    cells = [
        record.key,
        str(record.status),
        record.code,
        str(record.light),
        _text(digest.pseudonym),
    ]
    for scheme in schemes:
        tier = placed.get(scheme)
        known = tier is not None and tier.confidence is not None
        cells.append(_text(tier.label) if tier is not None else "")
        cells.append(f"{tier.confidence:.9g}" if tier is not None and known else "")
    if record.status == Status.OK:
        counts = digest.n_findings
        numbers = (
            digest.n_lesions,
            digest.n_candidates,
            digest.n_references,
            digest.n_registrations,
            digest.n_accepted,
            *(counts.get(str(s), 0) for s in (Severity.ERROR, Severity.WARNING, Severity.INFO)),
        )
        cells += [str(n) for n in numbers]
    else:
        cells += [""] * len(_NUMBERS)
    return [
        *cells,
        f"{record.seconds:.3f}",
        f"{record.peak_memory_mb:.1f}",
        str(record.attempts),
        _text(record.exit),
        record.finished,
        record.version,
        record.config_hash,
        record.input_hash,
        record.result_hash,
    ]


def write_cohort_lesions(out: Path, summary: BatchSummary) -> tuple[Finding, ...]:
    """Write all rows of every ``lesions.csv``, with the key of the study before them.

    Columns are those of all tables together: studies with other schemes have other columns, and a
    cell stays empty where a study does not have the column.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    summary : BatchSummary
        Its records.

    Returns
    -------
    tuple of Finding
        ``W_BATCH_TABLE`` for each study whose table could not be read.

    Raises
    ------
    OutputError
        When the table cannot be written; the old one stays.
    """
    paths = BatchPaths(out)
    columns: list[str] = []
    usable: list[tuple[str, Path]] = []
    findings: list[Finding] = []
    for record in summary.records:
        if record.status != Status.OK:
            continue
        table = output_path(paths.study(record.key), "lesions")
        try:
            rows = list(_rows(table))
        except (OSError, ValueError, csv.Error):
            findings.append(
                Finding(
                    "W_BATCH_TABLE",
                    Severity.WARNING,
                    record.key,
                    "The lesion table of this study cannot be read; its lesions are missing in "
                    "cohort_lesions.csv. Remove its record to have the study done again.",
                )
            )
            continue
        columns = _united(columns, rows[0])
        usable.append((record.key, table))
    with whole_file(paths.cohort_lesions) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([_STUDY, *columns])
        for key, table in usable:
            rows = list(_rows(table))
            for cells in rows[1:]:
                held = dict(zip(rows[0], cells, strict=True))
                writer.writerow([key, *(held.get(c, "") for c in columns)])
        text.flush()
        text.detach()
    return tuple(findings)


def _rows(table: Path) -> Iterator[list[str]]:
    """Read a table and refuse one that was cut off."""
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        head = next(reader, None)
        if not head:
            raise ValueError("the table has no columns")
        yield head
        for cells in reader:
            if len(cells) != len(head):
                raise ValueError("the table was cut off")
            yield cells


def _united(columns: list[str], more: list[str]) -> list[str]:
    """Put new columns where their table has them: after the column before them."""
    united = list(columns)
    place = 0
    for name in more:
        if name in united:
            place = united.index(name) + 1
        else:
            united.insert(place, name)
            place += 1
    return united
