from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.errors import OutputError
from eprimg.io import batch_files, batch_hashes
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_records import (
    Action,
    CaseDigest,
    Light,
    PatientTierWord,
    Status,
    StudyRecord,
    decide,
    input_hash,
    input_stamp,
    read_record,
    read_records,
    refresh_stamp,
    remove_results,
    withdraw,
    write_record,
)
from eprimg.io.batch_tasks import StudyTask
from eprimg.io.output_folder import whole_folder

DIGEST = CaseDigest(
    "P-1",
    Light.LOOK,
    (
        PatientTierWord("demo", "high", 0.97, ("low", "high"), "example, not validated"),
        PatientTierWord("other", "not tiered"),
    ),
    6,
    1,
    4,
    {"error": 0, "warning": 2, "info": 3},
    "warning",
    (("W_REGION_SMALL", "warning", "lesion-6 is small"),),
    2,
    1,
)
RECORD = StudyRecord(
    "S-0123456789",
    Status.OK,
    input_hash="in",
    config_hash="conf",
    version="0.1.0",
    stamp="stamp",
    result_hash="out",
    seconds=12.5,
    peak_memory_mb=812.25,
    attempts=2,
    exit="0",
    started="2026-11-21T06:00:00+00:00",
    finished="2026-11-21T06:00:12+00:00",
    host="node-1",
    pid=4711,
    digest=DIGEST,
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path, RECORD.key) == RECORD
    failed = StudyRecord("S-2", Status.FAILED, "E_BATCH_TIME", "too long: 1 h", "more time")
    write_record(tmp_path, failed)
    assert read_records(tmp_path).value == (RECORD, failed)


def test_there_is_no_record_before_there_is_one(tmp_path: Path) -> None:
    assert read_record(tmp_path, "S-1") is None
    assert read_records(tmp_path).value == ()
    assert read_records(tmp_path).findings == ()


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _flipped(text: str) -> str:
    return text.replace("812.25", "812.35")


def _of_another_key(text: str) -> str:
    return text.replace("S-0123456789", "S-0000000000")


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _flipped,
        _of_another_key,
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: '"text"',
        lambda text: "{}",
        lambda text: "\0" * 500,
        lambda text: "[" * 100_000,
        lambda text: text.replace("study record 1", "study record 0"),
    ],
)
def test_a_damaged_record_is_none_and_is_told(tmp_path: Path, damage: Callable[[str], str]) -> None:
    write_record(tmp_path, RECORD)
    write_record(tmp_path, replace(RECORD, key="S-good"))
    path = BatchPaths(tmp_path).record(RECORD.key)
    path.write_text(damage(path.read_text()))
    assert read_record(tmp_path, RECORD.key) is None
    read = read_records(tmp_path)
    assert [r.key for r in read.value] == ["S-good"]
    assert [(f.code, f.where) for f in read.findings] == [("W_BATCH_RECORD", RECORD.key)]


def test_a_record_with_a_right_checksum_and_wrong_fields_is_damaged(tmp_path: Path) -> None:
    from eprimg.io.batch_records import _checksum, _payload

    payload = json.loads(json.dumps(_payload(RECORD)))
    del payload["status"]
    payload["check"] = _checksum(payload)
    write_whole(BatchPaths(tmp_path).record(RECORD.key), json.dumps(payload))
    assert read_record(tmp_path, RECORD.key) is None


def test_a_full_disk_keeps_the_earlier_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, RECORD)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch_files.os, "fsync", full)
    with pytest.raises(OutputError, match="E_DISK"):
        write_record(tmp_path, replace(RECORD, status=Status.FAILED))
    assert read_record(tmp_path, RECORD.key) == RECORD


def test_leftovers_and_other_files_are_no_records(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    records = BatchPaths(tmp_path).records
    (records / ".S-1.json.tmp-00000000-1-00000000").write_text("{")
    (records / ".S-2.json").write_text("{")
    (records / "notes.txt").write_text("x")
    read = read_records(tmp_path)
    assert (len(read.value), read.findings) == (1, ())


def test_ten_thousand_records_are_read_in_seconds(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    text = BatchPaths(tmp_path).record(RECORD.key).read_text()
    payload = json.loads(text)
    records = BatchPaths(tmp_path).records
    from eprimg.io.batch_records import _checksum

    del payload["check"]
    for number in range(10_000):  # without fsync: the disk is not what is measured
        payload["key"] = f"S-{number:05d}"
        whole = {**payload, "check": _checksum(payload)}
        (records / f"S-{number:05d}.json").write_text(json.dumps(whole))
    clock = time.perf_counter()
    read = read_records(tmp_path)
    seconds = time.perf_counter() - clock
    assert len(read.value) == 10_001
    assert seconds < 20.0  # about 1 s on an idle core; the bound only catches a wrong order


# --- what is to be done -------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path: Path) -> StudyTask:
    folder = tmp_path / "root" / "p1"
    folder.mkdir(parents=True)
    (folder / "1.dcm").write_bytes(b"one")
    return StudyTask("S-1", folder)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files of the test be older than the clock can tell apart."""
    now = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("eprimg.io.batch_hashes.time.time_ns", lambda: now)


def _done(task: StudyTask, out: Path, **changes: object) -> StudyRecord:
    record = StudyRecord(
        task.key,
        Status.OK,
        input_hash=input_hash(task.path, None, {}),
        config_hash="conf",
        version="1",
        stamp=input_stamp(task.path, None, {}),
    )
    record = replace(record, **changes)  # type: ignore[arg-type]
    write_record(out, record)
    manifest = BatchPaths(out).study(task.key) / "manifest.json"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("{}")
    return record


def test_a_new_study_is_run(task: StudyTask, tmp_path: Path) -> None:
    decision = decide(task, tmp_path / "out", "conf", "1")
    assert (decision.action, decision.to_run) == (Action.RUN, True)


@pytest.mark.usefixtures("later")
def test_a_study_that_is_done_is_skipped_without_reading_it(
    task: StudyTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    _done(task, out)

    def never(*args: object) -> str:
        raise AssertionError("the files were read")

    monkeypatch.setattr("eprimg.io.batch_records.input_hash", never)
    assert decide(task, out, "conf", "1").action == Action.SKIP


def test_a_fresh_study_is_compared_by_content(task: StudyTask, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _done(task, out)
    assert decide(task, out, "conf", "1").action == Action.SKIP
    (task.path / "1.dcm").write_bytes(b"two")  # the same size, within one tick of the clock
    assert decide(task, out, "conf", "1").action == Action.REDO


@pytest.mark.usefixtures("later")
def test_a_touched_study_is_read_once_and_then_remembered(task: StudyTask, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _done(task, out)
    os.utime(task.path / "1.dcm", ns=(1, 1))
    decision = decide(task, out, "conf", "1")
    assert decision.action == Action.SKIP
    refresh_stamp(out, decision)
    record = read_record(out, task.key)
    assert record is not None
    assert record.stamp == decision.stamp != ""


@pytest.mark.parametrize(
    ("config_hash", "version", "words"), [("new", "1", "settings"), ("conf", "2", "version")]
)
def test_other_settings_or_another_version_are_redone(
    task: StudyTask, tmp_path: Path, config_hash: str, version: str, words: str
) -> None:
    _done(task, tmp_path)
    decision = decide(task, tmp_path, config_hash, version)
    assert decision.action == Action.REDO
    assert words in decision.reason


def test_other_facts_are_redone(task: StudyTask, tmp_path: Path) -> None:
    _done(task, tmp_path)
    decision = decide(replace(task, facts={"weight_kg": 70.0}), tmp_path, "conf", "1")
    assert (decision.action, decision.reason) == (Action.REDO, "the input changed")


def test_a_study_whose_results_are_gone_is_redone(task: StudyTask, tmp_path: Path) -> None:
    _done(task, tmp_path)
    (BatchPaths(tmp_path).study(task.key) / "manifest.json").unlink()
    assert decide(task, tmp_path, "conf", "1").action == Action.REDO


def test_a_record_is_withdrawn_before_its_results_are_replaced(
    task: StudyTask, tmp_path: Path
) -> None:
    _done(task, tmp_path)
    withdraw(tmp_path, task.key)
    withdraw(tmp_path, task.key)
    assert decide(task, tmp_path, "conf", "1").action == Action.RUN
    assert BatchPaths(tmp_path).study(task.key).is_dir()
    BatchPaths(tmp_path).record(task.key).mkdir()
    with pytest.raises(OutputError, match="E_OUTPUT_UNWRITABLE"):
        withdraw(tmp_path, task.key)


def test_only_own_results_are_removed(tmp_path: Path) -> None:
    paths = BatchPaths(tmp_path)
    with whole_folder(paths.study("S-1")) as folder:
        (folder / "numbers.csv").write_text("1")
    paths.study("S-2").mkdir()
    (paths.study("S-2") / "notes.txt").write_text("of a person")
    for key in ("S-1", "S-2", "S-3"):
        write_whole(paths.thumbnail(key), b"picture")
        remove_results(tmp_path, key)
    assert [p.name for p in paths.studies.iterdir()] == ["S-2"]
    assert list(paths.thumbnails.iterdir()) == []


def test_a_damaged_record_is_run_again(task: StudyTask, tmp_path: Path) -> None:
    _done(task, tmp_path)
    BatchPaths(tmp_path).record(task.key).write_text("{")
    assert decide(task, tmp_path, "conf", "1").action == Action.RUN


@pytest.mark.parametrize(
    ("status", "code", "retry", "action"),
    [
        (Status.FAILED, "E_BATCH_TIME", False, Action.KEEP),
        (Status.FAILED, "E_BATCH_TIME", True, Action.REDO),
        (Status.FAILED, "E_DISK", False, Action.REDO),
        (Status.REFUSED, "E_SUV_WEIGHT", False, Action.KEEP),
        (Status.REFUSED, "E_SUV_WEIGHT", True, Action.KEEP),
    ],
)
def test_failed_studies_are_tried_again_when_asked_and_refused_ones_are_not(
    task: StudyTask, tmp_path: Path, status: Status, code: str, retry: bool, action: Action
) -> None:
    _done(task, tmp_path, status=status, code=code)
    assert decide(task, tmp_path, "conf", "1", retry_failed=retry).action == action


def test_a_refused_study_that_was_mended_is_redone(task: StudyTask, tmp_path: Path) -> None:
    _done(task, tmp_path, status=Status.REFUSED, code="E_SUV_WEIGHT")
    (task.path / "study.toml").write_text("[patient]\nweight_kg = 70.0\n")
    assert decide(task, tmp_path, "conf", "1").action == Action.REDO


def test_the_hashes_are_offered_with_the_records() -> None:
    assert input_hash is batch_hashes.input_hash
