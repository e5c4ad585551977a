"""A third-party program in a child process: limits of time and memory, an end that is always clean.

An engine that crashes, hangs or eats the memory must not take the session with it, so what is not
ours to trust runs here.  The parent never parses what the program prints; it keeps the last lines
for the message.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from eprimg.engines._child_start import NOT_STARTED
from eprimg.errors import Cancelled, EngineError, EngineUnavailable, InputError

__all__ = ["ChildResult", "run_child"]

_MB = 1024.0 * 1024.0
_LINES = 20
_LINE_LENGTH = 300
_TAIL_BYTES = 64 * 1024
_LOOK_S = 0.02
"""How often the parent looks whether the child has ended."""
_MEMORY_S = 0.1
"""How often, at most, the resident memory of the child and of what it started is added up."""
_MEMORY_SHARE = 0.05
"""Part of one core that adding up may take; a machine with many processes is asked less often."""
_BACKSTOP_MB = 2048.0
"""Beyond twice the limit plus this, the system itself refuses memory: a burst between two looks.

Data that is asked for but never touched counts there (stacks of threads, buffers of libraries), so
it must lie well above the limit of resident memory.
"""
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "out of memory")


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How a program ended that did its work.

    Parameters
    ----------
    seconds : float
        Wall-clock time.
    peak_memory_mb : float
        Largest sum of the resident memory of the program and of all that it started, in MB
        (2^20 bytes), as seen about ten times per second; pages that processes share count once for
        each of them.
    last_lines : tuple of str
        The end of what it printed.
    """

    seconds: float
    peak_memory_mb: float
    last_lines: tuple[str, ...]


def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    time_limit_s: float,
    memory_limit_mb: float,
    should_stop: Callable[[], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    where: str,
) -> ChildResult:
    """Run a program to its end, within limits; nothing that it started outlives the call.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell is involved.
    folder : Path
        Private working folder; also its place for temporary files.
    time_limit_s : float
        Longest wall-clock time.
    memory_limit_mb : float
        Largest resident memory of the program and all that it starts, together.
    should_stop : callable, optional
        Asked about fifty times per second; True ends the program.
    environment : Mapping, optional
        Variables on top of those of this process.
    where : str
        Name of the engine or of the setting, for messages.

    Returns
    -------
    ChildResult
        Time, memory and the last lines.

    Raises
    ------
    EngineUnavailable
        ``E_ENGINE_START`` when the program cannot be started.
    EngineError
        ``E_ENGINE_TIME``, ``E_ENGINE_MEMORY``, ``E_ENGINE_CRASH`` (ended by a signal) or
        ``E_ENGINE_EXIT`` (ended with another status than 0); the last lines are in the message.
    Cancelled
        When ``should_stop`` said so.
    InputError
        ``E_ARGUMENT`` for a limit that is not a positive number.

    Notes
    -----
    On POSIX systems the child leads a session of its own and, on Linux, dies with its parent.
    Threads of this process are not disturbed.  An interrupt (Ctrl-C) ends the child too.
    """
    for name, limit in (("time_limit_s", time_limit_s), ("memory_limit_mb", memory_limit_mb)):
        if not 0 < limit < float("inf"):
            raise InputError(
                "a limit is a positive number", code="E_ARGUMENT", where=name, value=limit
            )
    process = _started(command, folder, memory_limit_mb, environment, where)
    tail = _Tail(process, folder)
    family = _Family(process.pid)
    begin = time.monotonic()
    ended, cause = False, ""
    try:
        while not cause:
            ended = _has_ended(process)
            seconds = time.monotonic() - begin
            if ended:
                break
            if family.resident_mb() > memory_limit_mb:
                cause = "memory"
            elif seconds > time_limit_s:
                cause = "time"
            elif should_stop is not None and should_stop():
                cause = "stop"
            else:
                time.sleep(_LOOK_S)
    finally:  # also after Ctrl-C, and for what the program left running
        seconds = time.monotonic() - begin
        family.kill(process)
        tail.close()
    result = ChildResult(seconds, family.peak_mb, tail.lines())
    if cause == "stop":
        raise Cancelled(where=where)
    _refuse(cause, process.returncode, result, command, time_limit_s, memory_limit_mb, where)
    return result


def _started(
    command: Sequence[str],
    folder: Path,
    memory_limit_mb: float,
    environment: Mapping[str, str] | None,
    where: str,
) -> subprocess.Popen[bytes]:
    variables = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    variables.update(environment or {})
    line = [str(word) for word in command]
    if os.name == "posix":
        first = Path(__file__).with_name("_child_start.py")
        data_mb = 2.0 * memory_limit_mb + _BACKSTOP_MB
        line = [sys.executable, "-I", "-S", str(first), str(os.getpid()), f"{data_mb:.0f}", *line]
    try:
        return subprocess.Popen(
            line,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        raise _not_started(command, where, error.strerror or str(error)) from error


def _not_started(command: Sequence[str], where: str, why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"the program could not be started ({why})",
        code="E_ENGINE_START",
        where=where,
        value=Path(str(command[0])).name,
        action="check that it is installed, and the setting that names it",
    )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether the child ended, without collecting it: its number stays taken till the kill."""
    if hasattr(os, "waitid"):
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, process.pid, flags) is not None
    return process.poll() is not None


class _Tail:
    """Reads what the program prints and keeps the end; a program that talks much costs nothing."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        assert process.stdout is not None
        self._stream: IO[bytes] = process.stdout
        self._folder = str(folder)
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), _TAIL_BYTES):
                self._chunks.append(chunk)
                self._size += len(chunk)
                while self._size - len(self._chunks[0]) > _TAIL_BYTES:
                    self._size -= len(self._chunks.popleft())

    def close(self) -> None:
        """Wait for the last words; everybody who could write is dead by now."""
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._stream.close()

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, without the path of the private folder."""
        text = b"".join(tuple(self._chunks)).decode("utf-8", errors="replace")
        text = text.replace(self._folder, "FOLDER").replace("\r", "\n")
        # unprintable signs (colours of a terminal, progress bars) have no place in a message
        plain = ("".join(c if c.isprintable() else " " for c in s) for s in text.split("\n"))
        return tuple(s.strip()[:_LINE_LENGTH] for s in plain if s.strip())[-_LINES:]


class _Family:
    """The child and all that it started: their memory, and their end."""

    def __init__(self, pid: int) -> None:
        self._ps: Any = import_module("psutil")
        self._known: set[Any] = set()
        with contextlib.suppress(self._ps.Error):
            self._known.add(self._ps.Process(pid))
        self._pid = pid
        self._next = 0.0
        self._latest = 0.0
        self.peak_mb = 0.0

    def _look(self) -> None:
        for process in tuple(self._known):
            with contextlib.suppress(self._ps.Error):
                self._known.update(process.children(recursive=True))
                if process.pid == self._pid:
                    break  # all that still hang together hang on the child
        self._known = {p for p in self._known if p.pid == self._pid or p.is_running()}

    def resident_mb(self) -> float:
        """Add up the resident memory, or repeat the last sum when it is too early to ask again."""
        begin = time.monotonic()
        if begin < self._next:
            return self._latest
        self._look()
        total = 0
        for process in self._known:
            with contextlib.suppress(self._ps.Error):
                total += process.memory_info().rss
        self._latest = total / _MB
        self.peak_mb = max(self.peak_mb, self._latest)
        now = time.monotonic()
        self._next = now + max(_MEMORY_S, (now - begin) / _MEMORY_SHARE)
        return self._latest

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill everybody, also those that left the session, and wait for the child."""
        with contextlib.suppress(self._ps.Error):
            self._look()
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for each in self._known:
            if each.pid != process.pid:
                with contextlib.suppress(self._ps.Error):
                    each.kill()  # refuses when the number was given to another process
        if process.returncode is None:
            with contextlib.suppress(OSError):
                process.kill()
        process.wait()


def _refuse(
    cause: str,
    status: int,
    result: ChildResult,
    command: Sequence[str],
    time_limit_s: float,
    memory_limit_mb: float,
    where: str,
) -> None:
    """Say in words how the program failed; do nothing when it did not."""
    said = f"; its last lines: {' | '.join(result.last_lines)}" if result.last_lines else ""
    name = Path(str(command[0])).name
    if cause == "time":
        raise EngineError(
            f"{name} was stopped: it ran longer than {time_limit_s:g} s{said}",
            code="E_ENGINE_TIME",
            where=where,
            action="allow more time in the settings of the engine, or give it less to do",
        )
    memory = any(w in line for line in result.last_lines for w in _OUT_OF_MEMORY)
    if cause == "memory" or (status != 0 and memory):
        raise EngineError(
            f"{name} was stopped: it needs more memory than the {memory_limit_mb:g} MB that it may "
            f"use (seen: {result.peak_memory_mb:.0f} MB){said}",
            code="E_ENGINE_MEMORY",
            where=where,
            action="allow more memory in the settings of the engine, or give it a smaller volume",
        )
    if status == NOT_STARTED and os.name == "posix" and result.last_lines:
        raise _not_started(command, where, result.last_lines[-1].rpartition(": ")[2])
    if status < 0:
        try:
            signal_name = signal.Signals(-status).name
        except ValueError:
            signal_name = f"signal {-status}"
        raise EngineError(
            f"{name} crashed or was killed ({signal_name}){said}",
            code="E_ENGINE_CRASH",
            where=where,
            action="the session goes on; run the program by hand to see what it needs",
        )
    if status != 0:
        raise EngineError(
            f"{name} failed with exit status {status}{said}",
            code="E_ENGINE_EXIT",
            where=where,
            action="see the last lines; run the program by hand to see what it needs",
        )
