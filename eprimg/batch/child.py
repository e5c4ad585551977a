"""One study in a process of its own: ``python -m eprimg.batch.child PARENT``.

The parent sends the order on standard input and is told on standard output, line by line: what the
child needs, and how it ended.  Whatever else is printed goes to standard error, which the parent
keeps for the log.  The child writes the results, then the record; a child that dies writes none.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from eprimg.batch import limits
from eprimg.batch.orders import StudyOrder

__all__ = ["Line", "caused_by_memory", "main"]


class Line:
    """The line to the parent; when the parent hangs up, this process ends."""

    def __init__(self) -> None:
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)  # what anybody prints goes to the log
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._admitted = threading.Event()

    def order(self) -> StudyOrder:
        """Receive the order, then listen for the rest of this process's life.

        Returns
        -------
        StudyOrder
            The study to run.
        """
        order = pickle.load(self._in)
        assert isinstance(order, StudyOrder)
        threading.Thread(target=self._listen, daemon=True).start()
        return order

    def _listen(self) -> None:
        while self._in.readline():
            self._admitted.set()
        limits.end_own_group()

    def tell(self, kind: str, **facts: Any) -> None:
        """Tell the parent something.

        Parameters
        ----------
        kind : str
            ``input``, ``identity``, ``need`` or ``end``.
        **facts : object
            Anything that JSON can hold.
        """
        self._out.write(json.dumps({"kind": kind, **facts}).encode() + b"\n")

    def admit(self, need_mb: float) -> None:
        """Wait until the machine has room.

        Parameters
        ----------
        need_mb : float
            Planned peak memory; the cap of this process is set from it.
        """
        from eprimg.batch.memory import PLANNING_MB, cap_mb

        self.tell("need", mb=need_mb)
        self._admitted.wait()
        limits.limit_memory(max(cap_mb(need_mb), PLANNING_MB), final=True)


def caused_by_memory(error: BaseException) -> bool:
    """Tell whether an error goes back to the memory cap.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    bool
        True for a MemoryError anywhere in its chain, and for ITK's and LLVM's words.
    """
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        words = str(step)
        if isinstance(step, MemoryError) or any(
            w in words for w in ("bad_alloc", "Failed to allocate memory", "Cannot allocate memory")
        ):
            return True
        step = step.__cause__ or step.__context__
    return False


def main() -> None:
    """Run one study."""
    limits.die_with_parent(int(sys.argv[1]))
    limits.offer_to_the_memory_killer()
    line = Line()
    order = line.order()
    clock = time.perf_counter()
    from eprimg.batch.memory import PLANNING_MB

    limits.limit_memory(PLANNING_MB, final=False)
    from eprimg.batch.private_log import Blackout, identity_words

    words = identity_words(order.task.path)
    line.tell("identity", words=words)
    black = Blackout(order.task.key, order.task.path, order.task.source, words=words)
    try:
        ended = _run(order, line, clock, black)
    except BaseException as error:
        ended = _how_it_ended(error)
    line.tell("end", **ended, peak_memory_mb=limits.peak_memory_mb())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # nothing is left to do; libraries take long to unload


def _run(
    order: StudyOrder, line: Line, clock: float, black: Callable[[str], str]
) -> dict[str, Any]:
    from eprimg.batch.work import load_work
    from eprimg.io.batch_files import BatchPaths
    from eprimg.io.batch_hashes import input_hash, input_stamp, result_hash
    from eprimg.io.batch_records import withdraw, write_record
    from eprimg.model.study_record import Status, StudyRecord

    task = order.task
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    stamp = input_stamp(task.path, task.study_file, task.facts)
    record = StudyRecord(
        key=task.key,
        status=Status.OK,
        input_hash=input_hash(task.path, task.study_file, task.facts),
        config_hash=order.config_hash,
        version=order.version,
        stamp=stamp,
        attempts=order.earlier_attempts + 1,
        exit="0",
        started=started,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    line.tell("input", stamp=stamp, input_hash=record.input_hash)
    work = load_work(order.work)
    withdraw(order.out, task.key)  # from here on the earlier results may be replaced
    digest = work(order, line.admit)
    findings = tuple((code, severity, black(text)) for code, severity, text in digest.findings)
    folder = BatchPaths(order.out).study(task.key)
    record = replace(
        record,
        digest=replace(digest, findings=findings),
        result_hash=result_hash(folder) if folder.is_dir() else "",
        seconds=round(time.perf_counter() - clock, 3),
        peak_memory_mb=round(limits.peak_memory_mb(), 1),
        finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    write_record(order.out, record)
    return {"how": "ok"}


def _how_it_ended(error: BaseException) -> dict[str, Any]:
    """Put what was raised into plain facts; the parent writes the record."""
    from eprimg.errors import EprimgError, OutputError

    if caused_by_memory(error):
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return {"how": "memory"}
    if isinstance(error, EprimgError):
        sys.stderr.write(f"refused: {error}\n")
        kind = "disk" if error.code == "E_DISK" else "output"
        return {
            "how": kind if isinstance(error, OutputError) else "refused",
            "code": error.code,
            "message": f"{error.message} [{error.where}]" if error.where else error.message,
            "action": error.action or "",
        }
    traceback.print_exception(error)
    return {"how": "fault", "error": type(error).__name__}


if __name__ == "__main__":
    main()
