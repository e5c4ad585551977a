from __future__ import annotations

import csv
import errno
import io
import os
from pathlib import Path

import pytest

from eprimg.errors import OutputError
from eprimg.io import batch_files
from eprimg.io.batch_cohort import cohort_csv, write_cohort_lesions
from eprimg.io.batch_files import BatchPaths
from eprimg.model.study_record import (
    BatchSummary,
    CaseDigest,
    Light,
    PatientTierWord,
    Status,
    StudyRecord,
)

GOOD = StudyRecord(
    "S-1",
    Status.OK,
    seconds=12.3456,
    peak_memory_mb=812.0,
    exit="0",
    version="0.1.0",
    result_hash="aa",
    digest=CaseDigest(
        "P-1",
        Light.LOOK,
        (PatientTierWord("demo", "=high", 0.97), PatientTierWord("other", "not tiered")),
        n_lesions=6,
        n_candidates=1,
        n_references=4,
        n_findings={"error": 0, "warning": 2, "info": 7},
        n_registrations=2,
        n_accepted=1,
    ),
)
REFUSED = StudyRecord("S-2", Status.REFUSED, "E_EMPTY", "no files", exit="3")


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_there_is_one_row_per_study_waiting_ones_included() -> None:
    rows = _rows(cohort_csv(BatchSummary((GOOD, REFUSED), waiting=("S-3",))))
    assert [(r["study"], r["status"]) for r in rows] == [
        ("S-1", "ok"),
        ("S-2", "refused"),
        ("S-3", "waiting"),
    ]
    good, refused, waiting = rows
    assert good["patient_tier_demo"] == "'=high"  # no formula for a spreadsheet
    assert good["patient_tier_confidence_demo"] == "0.97"
    assert (good["patient_tier_other"], good["patient_tier_confidence_other"]) == ("not tiered", "")
    assert (good["n_lesions"], good["n_candidates"], good["n_references"]) == ("6", "1", "4")
    assert (good["n_registrations"], good["n_registrations_accepted"]) == ("2", "1")
    assert (good["n_findings_error"], good["n_findings_warning"]) == ("0", "2")
    assert (good["qc_light"], refused["qc_light"]) == ("look", "refused")
    assert (refused["code"], refused["n_lesions"]) == ("E_EMPTY", "")
    assert set(waiting.values()) == {"S-3", "waiting", ""}


def test_an_empty_batch_has_a_head_line() -> None:
    assert cohort_csv(BatchSummary()).startswith("study,status,code,")


def _table(out: Path, key: str, text: str) -> StudyRecord:
    path = BatchPaths(out).study(key) / "lesions.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return StudyRecord(key, Status.OK)


def _joined(out: Path) -> list[list[str]]:
    with BatchPaths(out).cohort_lesions.open(newline="") as file:
        return list(csv.reader(file))


def test_tables_with_other_columns_are_joined(tmp_path: Path) -> None:
    records = (
        _table(tmp_path, "S-1", "region_id,name,tier_a,notes\n1,liver,high,x\n2,bone,low,\n"),
        _table(tmp_path, "S-2", 'region_id,name,tier_b,notes\n1,"a, b",low,y\n'),
        _table(tmp_path, "S-3", "region_id,name,notes\n"),
    )
    assert write_cohort_lesions(tmp_path, BatchSummary(records)) == ()
    assert _joined(tmp_path) == [
        ["study", "region_id", "name", "tier_b", "tier_a", "notes"],
        ["S-1", "1", "liver", "", "high", "x"],
        ["S-1", "2", "bone", "", "low", ""],
        ["S-2", "1", "a, b", "low", "", "y"],
    ]


def test_refused_studies_have_no_lesions(tmp_path: Path) -> None:
    _table(tmp_path, "S-2", "region_id\n1\n")
    write_cohort_lesions(tmp_path, BatchSummary((REFUSED,)))
    assert _joined(tmp_path) == [["study"]]


@pytest.mark.parametrize("text", [None, "", "region_id,name\n1\n", 'region_id\n"1\n'])
def test_a_table_that_cannot_be_read_is_told_and_the_others_stay(
    tmp_path: Path, text: str | None
) -> None:
    good = _table(tmp_path, "S-1", "region_id\n1\n")
    bad = StudyRecord("S-2", Status.OK) if text is None else _table(tmp_path, "S-2", text)
    findings = write_cohort_lesions(tmp_path, BatchSummary((good, bad)))
    assert [(f.code, f.where) for f in findings] == [("W_BATCH_TABLE", "S-2")]
    assert _joined(tmp_path) == [["study", "region_id"], ["S-1", "1"]]


def test_a_full_disk_keeps_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = BatchSummary((_table(tmp_path, "S-1", "region_id\n1\n"),))
    write_cohort_lesions(tmp_path, summary)
    before = _joined(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch_files.os, "fsync", full)
    with pytest.raises(OutputError, match="E_DISK"):
        write_cohort_lesions(tmp_path, BatchSummary())
    assert _joined(tmp_path) == before
