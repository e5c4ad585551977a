"""A child as its parent sees it: started, listened to, let go on, ended."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from eprimg.batch import limits
from eprimg.batch.orders import StudyOrder

__all__ = ["StudyProcess"]


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Start a child that Ctrl-C does not reach: between fork and its own session it still could.

    The child keeps SIGINT blocked for good; this process gets what came meanwhile afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # not on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StudyProcess:
    """The process of one study; leaving the context kills it and all that it started.

    Parameters
    ----------
    order : StudyOrder
        What it is to do.
    scratch : Path
        Its temporary folder.
    """

    def __init__(self, order: StudyOrder, scratch: Path) -> None:
        self.printed = scratch / "printed"
        self.said: dict[str, dict[str, Any]] = {}
        self.timed_out = False
        self._left_s = order.time_limit_s
        self._buffer = b""
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "eprimg.batch.child"]
        with self.printed.open("wb") as printed, _interrupt_held_back():
            self._process = subprocess.Popen(
                [*command, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                env=limits.child_environment(scratch),
                start_new_session=True,
            )
        self._send(pickle.dumps(order))

    def __enter__(self) -> StudyProcess:
        """Give the process.

        Returns
        -------
        StudyProcess
            Itself.
        """
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing running."""
        self.end()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """Exit code; negative for a signal.  Only of a process that has ended."""
        return int(self._process.returncode)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def go_on(self) -> None:
        """Tell it that the machine has room."""
        self._send(b"go\n")

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: the exit code tells
            self._process.stdin.write(content)
            self._process.stdin.flush()

    def listen(self, until: str = "") -> None:
        """Read what it tells until a message comes, it hangs up, or its time is over.

        Parameters
        ----------
        until : str
            Kind of the message; empty listens to the end.
        """
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        begin = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not (until and until in self.said):
                left = self._left_s - (time.monotonic() - begin)
                if left <= 0:
                    self.timed_out = True
                    break
                if selector.select(left):
                    content = os.read(pipe, 1 << 16)
                    if not content:
                        break
                    self._hear(content)
        self._left_s -= time.monotonic() - begin

    def _hear(self, content: bytes) -> None:
        *lines, self._buffer = (self._buffer + content).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                message = json.loads(line)
                self.said[message["kind"]] = message

    def end(self) -> None:
        """Wait for its end when it has hung up by itself, else kill it and what it started."""
        if not self.timed_out and "end" in self.said:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        elif not self.timed_out:
            with contextlib.suppress(subprocess.TimeoutExpired):  # a crash takes its time to end
                self._process.wait(timeout=1)
        limits.kill_group(self._process)
