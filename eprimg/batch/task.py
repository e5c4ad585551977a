"""What a worker does with an order: one child, watched, and the record of one that died."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import eprimg
from eprimg.batch.admission import MemoryLedger
from eprimg.batch.memory import default_budget_mb
from eprimg.batch.orders import StudyOrder, StudyOutcome
from eprimg.batch.private_log import Blackout
from eprimg.batch.verdict import Verdict, verdict_of
from eprimg.batch.watch import StudyProcess
from eprimg.errors import EngineError, OutputError
from eprimg.io.batch_files import BatchPaths, disk_error, write_whole
from eprimg.io.batch_hashes import input_hash, input_stamp
from eprimg.io.batch_processes import process_start
from eprimg.io.batch_records import read_record, remove_results, write_record
from eprimg.model.study_record import Status, StudyRecord

__all__ = ["run_order", "sweep_scratch"]

_LOG_BYTES = 400_000
_TRIES = 2
"""A child that the system or a person killed is started once more."""


@dataclass(frozen=True)
class _Ended:
    """A child that has ended: what it said and printed, and what that means."""

    child: StudyProcess
    verdict: Verdict
    printed: bytes
    started: str
    seconds: float
    attempt: int


def run_order(order: StudyOrder) -> StudyOutcome:
    """Run one study to its end; never raises for what the study does.

    Parameters
    ----------
    order : StudyOrder
        The study.

    Returns
    -------
    StudyOutcome
        What to show; the truth is the record on disk.

    Raises
    ------
    EngineError
        ``E_BATCH_LOST`` when this worker has another version of eprimg than the batch.
    """
    key = order.task.key
    if order.version != eprimg.__version__:
        raise EngineError(
            f"a worker has eprimg {eprimg.__version__}, this batch is of {order.version}",
            code="E_BATCH_LOST",
            action="install the same version everywhere, then run the same command again",
        )
    try:
        if order.stop_file.exists():
            return StudyOutcome(key, "stopped")
        done = read_record(order.out, key)
        if done is not None and done.started != order.earlier_started:
            return _shown(done)  # a worker that was given up for lost had finished it
        sweep_scratch()
        for attempt in range(1, _TRIES + 1):
            with _scratch() as scratch, StudyProcess(order, scratch) as child:
                ended = _watched(order, child, attempt)
                if not ended.verdict.again or attempt == _TRIES:
                    return _settled(order, ended)
    except OutputError as error:
        return StudyOutcome(key, "disk", error.code, error.message)
    except OSError as error:
        trouble = disk_error(error, Path(str(error.filename or "")).name)
        return StudyOutcome(key, "disk", trouble.code, trouble.message)
    raise AssertionError("a child is tried at least once")


def _shown(record: StudyRecord) -> StudyOutcome:
    return StudyOutcome(record.key, str(record.status), record.code, record.message, record.seconds)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a temporary folder whose name tells its owner, and remove it."""
    owner = f"{os.getpid()}-{process_start(os.getpid())}"
    folder = Path(tempfile.mkdtemp(prefix=f"eprimg-batch-{owner}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch() -> int:
    """Remove temporary folders of workers that were killed.

    Returns
    -------
    int
        How many were removed.
    """
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob("eprimg-batch-*-*-*"):
        _, _, pid, start, *_ = folder.name.split("-")
        if pid.isdigit() and process_start(int(pid)) != start:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _watched(order: StudyOrder, child: StudyProcess, attempt: int) -> _Ended:
    """Listen to a child until it ends; it starts its work when the machine has room."""
    started, clock = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    waited = 0.0
    verdict = None
    child.listen(until="need")
    if "need" in child.said and not child.timed_out:
        arrived = time.monotonic()
        try:
            with MemoryLedger(order.budget_mb or default_budget_mb()).share(
                float(child.said["need"]["mb"]), go_on=lambda: child.alive
            ):
                waited = time.monotonic() - arrived
                child.go_on()
                child.listen()
                child.end()  # the memory is given back when the child is gone, not before
        except EngineError as error:
            verdict = Verdict(
                Status.FAILED, error.code, error.message, error.action or "", "not started"
            )
    child.end()
    printed = child.printed.read_bytes()[-_LOG_BYTES:]
    verdict = verdict or verdict_of(
        child.said,
        child.exit_code,
        timed_out=child.timed_out,
        time_limit_s=order.time_limit_s,
        printed=printed,
    )
    seconds = time.monotonic() - clock - waited
    return _Ended(child, verdict, printed, started, seconds, attempt)


def _settled(order: StudyOrder, ended: _Ended) -> StudyOutcome:
    """Write the log, and the record when the child has not."""
    task, verdict, said = order.task, ended.verdict, ended.child.said
    paths = BatchPaths(order.out)
    places = ((order.out, "<out>"), (ended.child.printed.parent, "<temporary>"))
    words = said.get("identity", {}).get("words", [])
    black = Blackout(task.key, task.path, task.source, places, words)
    message, action = black(verdict.message), black(verdict.action)
    outcome = StudyOutcome(task.key, str(verdict.status), verdict.code, message, ended.seconds)
    if verdict.disk:
        return StudyOutcome(task.key, "disk", verdict.code, message, ended.seconds)
    # what was printed before the patient's words were known is not kept
    printed = black(ended.printed.decode("utf-8", "replace")) if "identity" in said else ""
    lines = [f"eprimg {order.version}, study {task.key}, started {ended.started}", printed.strip()]
    lines.append(f"{verdict.status} {verdict.code} ({verdict.exit}), {ended.seconds:.1f} s")
    lines += [line for line in (message, action and f"to do: {action}") if line]
    write_whole(paths.log(task.key), "\n".join(line for line in lines if line) + "\n")
    if verdict.recorded:
        return outcome
    remove_results(order.out, task.key)
    facts = said.get("input", {})
    known = (task.path, task.study_file, task.facts)
    end = said.get("end", {})
    write_record(
        order.out,
        StudyRecord(
            key=task.key,
            status=verdict.status,
            code=verdict.code,
            message=message,
            action=action,
            input_hash=facts.get("input_hash") or input_hash(*known),
            config_hash=order.config_hash,
            version=order.version,
            stamp=facts["stamp"] if facts else input_stamp(*known),
            seconds=round(ended.seconds, 3),
            peak_memory_mb=round(float(end.get("peak_memory_mb", 0.0)), 1),
            attempts=order.earlier_attempts + ended.attempt,
            exit=verdict.exit,
            started=ended.started,
            finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
            host=socket.gethostname(),
            pid=ended.child.pid,
        ),
    )
    return outcome
