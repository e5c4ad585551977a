"""Who may start: the planned memory of all running studies of a machine stays within a budget.

The workers are processes of their own, so they share a small file.  The first who waits is the
first who starts; a large study is not overtaken for ever by small ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from eprimg.errors import EngineError
from eprimg.io.batch_processes import own_process, same_process_lives

__all__ = ["MemoryLedger"]

_PAUSE_S = 0.1


class MemoryLedger:
    """Shares the memory of one machine (or one SLURM job) among the studies that run on it.

    Parameters
    ----------
    budget_mb : float
        What all running studies may use together.
    folder : Path, optional
        Where the file lies; in the temporary folder of this user when left out.
    """

    def __init__(self, budget_mb: float, folder: Path | None = None) -> None:
        self.budget_mb = budget_mb
        if folder is None:
            user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
            job = os.environ.get("SLURM_JOB_ID", "")
            name = f"eprimg-memory-{user}" + (f"-{job}" if job else "")
            folder = Path(tempfile.gettempdir()) / name
        self.path = folder / "ledger.json"

    def _require_fit(self, need_mb: float) -> None:
        if need_mb > self.budget_mb:
            raise EngineError(
                f"the study is planned to need {need_mb:.0f} MB of memory, and all studies "
                f"together may use {self.budget_mb:.0f} MB",
                code="E_BATCH_MEMORY_PLAN",
                action="give more with --memory, or a larger machine, then run again with "
                "--retry-failed",
            )

    @contextmanager
    def share(self, need_mb: float, *, go_on: Callable[[], bool] = lambda: True) -> Iterator[bool]:
        """Wait until there is room, hold it, and give it back.

        Parameters
        ----------
        need_mb : float
            Planned peak memory.
        go_on : callable
            Asked while waiting; False gives up.

        Yields
        ------
        bool
            True when the memory was granted.

        Raises
        ------
        EngineError
            ``E_BATCH_MEMORY_PLAN`` when it can never fit.
        """
        self._require_fit(need_mb)
        ticket = uuid4().hex
        mine = {"ticket": ticket, "need_mb": need_mb, "granted": False, "process": own_process()}
        try:
            granted = self._try(mine)
            while not granted and go_on():
                time.sleep(_PAUSE_S)
                granted = self._try(mine)
            yield granted
        finally:
            with self._open() as entries:
                entries[:] = [e for e in entries if e["ticket"] != ticket]

    def _try(self, mine: dict[str, Any]) -> bool:
        with self._open() as entries:
            if not any(e["ticket"] == mine["ticket"] for e in entries):
                entries.append(mine)
            used = sum(float(e["need_mb"]) for e in entries if e["granted"])
            for entry in entries:
                if entry["granted"]:
                    continue
                if used + float(entry["need_mb"]) > self.budget_mb:
                    return False
                if entry["ticket"] == mine["ticket"]:
                    entry["granted"] = True
                    return True
                used += float(entry["need_mb"])
            return False

    @contextmanager
    def _open(self) -> Iterator[list[dict[str, Any]]]:
        """Give the living entries for change; nobody else looks meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.open("a+", encoding="utf-8") as file:
            _lock(file)
            file.seek(0)
            entries: list[dict[str, Any]] = []
            with contextlib.suppress(ValueError):  # cut off by a full disk
                entries = list(json.loads(file.read() or "[]"))
            living = [e for e in entries if same_process_lives(e["process"]) is not False]
            yield living
            file.seek(0)
            file.truncate()
            file.write(json.dumps(living))
            file.flush()


def _lock(file: IO[str]) -> None:
    """Wait for the file; closing it lets the next one in."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file, fcntl.LOCK_EX)
