from __future__ import annotations

import csv
from pathlib import Path

import pytest

from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_inputs import write_sources
from eprimg.io.batch_records import write_record
from eprimg.io.batch_summary import summarise, write_summary
from eprimg.io.batch_tasks import StudyTask
from eprimg.model.study_record import BatchSummary, Status, StudyRecord


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Four studies are listed; one went well, one was refused, one record is damaged."""
    paths = BatchPaths(tmp_path)
    tasks = [StudyTask(f"S-{n}", Path(f"p{n}"), source=f"p{n}") for n in range(1, 5)]
    write_sources(tmp_path, tasks)
    write_whole(paths.batch, '{"format": "eprimg batch 1", "version": "0.1.0", "created": "then"}')
    write_record(tmp_path, StudyRecord("S-1", Status.OK))
    write_record(tmp_path, StudyRecord("S-2", Status.REFUSED, "E_EMPTY"))
    write_whole(paths.record("S-3"), "{")
    write_whole(paths.study("S-1") / "lesions.csv", "region_id,name\n1,a\n")
    write_whole(paths.thumbnail("S-1"), b"x")
    write_whole(paths.log("S-2"), "x")
    return tmp_path


def test_the_summary_is_read_from_the_disk(batch: Path) -> None:
    summary = summarise(batch)
    assert summary.counts == {"ok": 1, "refused": 1, "failed": 0, "waiting": 2}
    assert summary.waiting == ("S-3", "S-4")
    assert [(f.code, f.where) for f in summary.findings] == [("W_BATCH_RECORD", "S-3")]
    assert (summary.version, summary.created) == ("0.1.0", "then")
    assert (summary.thumbnails, summary.logs) == ({"S-1"}, {"S-2"})


def test_a_study_that_was_done_since_is_in_the_next_summary(batch: Path) -> None:
    write_record(batch, StudyRecord("S-4", Status.FAILED, "E_BATCH_TIME"))
    assert summarise(batch).counts == {"ok": 1, "refused": 1, "failed": 1, "waiting": 1}


def test_tables_and_page_are_written(batch: Path) -> None:
    seen: list[BatchSummary] = []

    def render(summary: BatchSummary) -> str:
        seen.append(summary)
        return "<p>page"

    summary = write_summary(batch, render)
    assert seen == [summary]
    paths = BatchPaths(batch)
    assert paths.page.read_text() == "<p>page"
    with paths.cohort.open(newline="") as file:
        assert [row["study"] for row in csv.DictReader(file)] == ["S-1", "S-2", "S-3", "S-4"]
    assert paths.cohort_lesions.read_text() == "study,region_id,name\nS-1,1,a\n"


def test_a_lost_table_is_in_the_findings_of_the_page(batch: Path) -> None:
    (BatchPaths(batch).study("S-1") / "lesions.csv").unlink()
    summary = write_summary(batch, lambda summary: summary.findings[-1].code)
    assert summary.findings[-1].code == "W_BATCH_TABLE"
    assert BatchPaths(batch).page.read_text() == "W_BATCH_TABLE"


def test_a_study_that_left_the_input_is_told(batch: Path) -> None:
    write_record(batch, StudyRecord("S-9", Status.OK))
    summary = summarise(batch)
    assert [(f.code, f.where) for f in summary.findings][1:] == [("W_BATCH_UNLISTED", "S-9")]
    assert summary.counts["ok"] == 2  # it is still on disk, so it still counts


def test_a_folder_that_is_no_batch_gives_an_empty_summary(tmp_path: Path) -> None:
    assert summarise(tmp_path) == BatchSummary()
