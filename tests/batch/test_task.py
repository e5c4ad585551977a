"""One study in its child: every way to end has a code, and nothing is left behind."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from eprimg.batch.orders import StudyOrder
from eprimg.batch.task import run_order, sweep_scratch
from eprimg.errors import EngineError
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_records import read_record
from eprimg.model.study_record import Status
from tests.batch.fake_studies import ROOT

Order = Callable[..., StudyOrder]


def _record(order: StudyOrder):
    record = read_record(order.out, order.task.key)
    assert record is not None
    return record


def test_a_good_study_leaves_results_record_and_log(order_for: Order, own_places: Path) -> None:
    order = order_for("ok 5")
    outcome = run_order(order)
    assert (outcome.status, outcome.code) == ("ok", "")
    record = _record(order)
    assert (record.status, record.exit, record.attempts) == (Status.OK, "0", 1)
    assert record.digest.n_lesions == 1
    assert len(record.input_hash) == len(record.result_hash) == 64
    assert 10 < record.peak_memory_mb < 500
    assert BatchPaths(order.out).log("S-1").is_file()
    assert [p.name for p in own_places.iterdir() if p.name.startswith("eprimg-batch")] == []


@pytest.mark.parametrize(
    ("deed", "status", "code", "end"),
    [
        ("refuse", "refused", "E_ECHO", "0"),
        ("fault oops", "failed", "E_BATCH_FAULT", "fault"),
        ("allocate 3000", "failed", "E_BATCH_MEMORY", "memory cap"),
        ("swallow", "failed", "E_BATCH_MEMORY", "memory cap"),
        ("segfault", "failed", "E_BATCH_CRASH", "signal 11"),
        ("killed", "failed", "E_BATCH_CRASH", "signal 9"),
        ("need 5000", "failed", "E_BATCH_MEMORY_PLAN", "not started"),
    ],
)
def test_every_bad_end_has_its_code(
    order_for: Order, deed: str, status: str, code: str, end: str
) -> None:
    order = order_for(deed)
    outcome = run_order(order)
    record = _record(order)
    assert (outcome.status, outcome.code) == (status, code)
    assert (str(record.status), record.code, record.exit) == (status, code, end)
    assert record.message
    assert record.action or code == "E_ECHO"
    assert not BatchPaths(order.out).study("S-1").exists()
    assert code in BatchPaths(order.out).log("S-1").read_text(encoding="utf-8")


def test_time_limit_ends_the_child_and_what_it_started(order_for: Order) -> None:
    order = order_for("hang", time_limit_s=2.5)
    assert run_order(order).code == "E_BATCH_TIME"
    assert _record(order).exit == "time limit"
    mine = [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(100)" in str(p.info)]
    assert mine == []


def test_a_child_killed_from_outside_is_tried_again(order_for: Order) -> None:
    order = order_for("killed-once")
    assert run_order(order).status == "ok"
    assert (order.out.parent / "starts" / "S-1").read_text() == "xx"


def test_a_full_disk_leaves_no_record(order_for: Order) -> None:
    order = order_for("disk")
    outcome = run_order(order)
    assert (outcome.status, outcome.code) == ("disk", "E_DISK")
    assert read_record(order.out, "S-1") is None


def test_results_of_another_input_do_not_outlive_a_refusal(order_for: Order) -> None:
    first = order_for("ok 1")
    run_order(first)
    write_whole(BatchPaths(first.out).thumbnail("S-1"), b"a picture")
    seen = _record(first)
    second = order_for("refuse", earlier_started=seen.started, earlier_attempts=1)
    assert run_order(second).status == "refused"
    assert not BatchPaths(second.out).study("S-1").exists()
    assert not BatchPaths(second.out).thumbnail("S-1").exists()
    assert _record(second).attempts == 2


def test_what_another_worker_finished_is_not_done_twice(order_for: Order) -> None:
    order = order_for("ok 1")
    run_order(order)
    assert run_order(order).status == "ok"
    assert (order.out.parent / "starts" / "S-1").read_text() == "x"


def test_nothing_begins_after_a_stop(order_for: Order) -> None:
    order = order_for("ok 1")
    order.stop_file.parent.mkdir(parents=True)
    order.stop_file.touch()
    assert run_order(order).status == "stopped"
    assert not (order.out.parent / "starts").exists()


def _worker(order: StudyOrder) -> subprocess.Popen[bytes]:
    """Run an order in a process that may be killed."""
    script = (
        "import pickle, sys; from eprimg.batch.task import run_order; "
        "run_order(pickle.load(sys.stdin.buffer))"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE)
    assert worker.stdin is not None
    with worker.stdin as pipe:
        pipe.write(pickle.dumps(order))
    return worker


def test_killed_between_results_and_record_leaves_no_earlier_record(order_for: Order) -> None:
    first = order_for("ok 1")
    run_order(first)
    seen = _record(first)
    second = order_for("cut-off", config_hash="other", earlier_started=seen.started)
    assert _worker(second).wait(timeout=60) == -signal.SIGKILL
    # the new results are there; the old record would call them those of the old settings
    assert BatchPaths(first.out).study("S-1").is_dir()
    assert read_record(first.out, "S-1") is None


def test_a_worker_of_another_version_runs_nothing(order_for: Order) -> None:
    order = order_for("ok 1", version="0.0.0-other")
    with pytest.raises(EngineError, match="0.0.0-other") as caught:
        run_order(order)
    assert caught.value.code == "E_BATCH_LOST"
    assert not (order.out.parent / "starts").exists()


def test_a_killed_worker_takes_its_child_along(order_for: Order, tmp_path: Path) -> None:
    order = order_for("sleep 100")
    worker = _worker(order)
    starts = tmp_path / "starts" / "S-1"
    deadline = time.monotonic() + 60
    while not starts.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (child,) = psutil.Process(worker.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    child.wait(timeout=30)
    assert read_record(order.out, "S-1") is None
    # the folder of the dead worker is swept by the next one
    assert sweep_scratch() == 1
    assert sweep_scratch() == 0


def test_the_log_names_neither_patient_nor_folder(order_for: Order, tmp_path: Path) -> None:
    import pydicom
    from pydicom.dataset import FileMetaDataset

    order = order_for("talk Roe^Jane *1950-02-03* MRN-777 roe", name="ROE_JANE_777")
    header = pydicom.Dataset()
    header.PatientName, header.PatientID, header.PatientBirthDate = (
        "Roe^Jane",
        "MRN-777",
        "19500203",
    )
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    header.save_as(order.task.path / "a.dcm", enforce_file_format=True)
    assert run_order(order).status == "ok"
    log = BatchPaths(order.out).log("S-1").read_text(encoding="utf-8")
    assert "<patient>" in log
    assert "<study>/x" in log
    for word in ("Roe", "roe", "Jane", "JANE", "1950", "777", str(tmp_path)):
        assert word not in log
    refused = order_for("refuse", name="ROE_JANE_777", earlier_started=_record(order).started)
    run_order(refused)
    kept = json.dumps(_record(refused).message)
    assert "ROE" not in kept
    assert str(tmp_path) not in kept
