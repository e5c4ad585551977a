"""Keeps the number of SLURM jobs: those that ended or were cancelled are asked for again."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from eprimg.batch.feeding import Stop
from eprimg.errors import EngineError

__all__ = ["JobKeeper"]

_LOOK_EVERY_S = 10.0
_SILENT_ENDS = 3
"""So many jobs per asked job may end without a worker that answers, one after the other."""


class JobKeeper:
    """Looks after the jobs of a SLURM cluster while a batch runs.

    Dask replaces no job by itself: neither one at its time limit, nor one that was cancelled while
    it waited.  A long batch would be left without any worker.

    Parameters
    ----------
    cluster : dask_jobqueue.SLURMCluster
        The cluster; its jobs were asked for.
    jobs : int
        How many there are to be.
    logs : Path
        Where SLURM writes what a job says.
    stop : Stop
        Told when one job after the other ends before its worker answers.
    """

    def __init__(self, cluster: Any, jobs: int, logs: Path, stop: Stop) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._logs = logs
        self._stop = stop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="slurm jobs", daemon=True)
        self._silent_ends = 0
        self._missed: set[str] = set()

    def __enter__(self) -> JobKeeper:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            with contextlib.suppress(Exception):  # SLURM may be away for a while; ask later
                self.look()

    def look(self) -> None:
        """Forget the jobs that ended unheard, and ask for the full number.

        Raises
        ------
        Exception
            Of many kinds, when SLURM does not answer.
        """
        workers = dict(self._cluster.workers)
        answering = {str(w["name"]) for w in self._cluster.scheduler_info["workers"].values()}
        silent = {str(name) for name in workers} - answering
        if answering:
            self._silent_ends = 0
        gone = self._gone({str(w.job_id): str(name) for name, w in workers.items()})
        # a worker may be just about to answer, or its job be just too new for SLURM's list
        ended = gone & self._missed & silent
        self._missed = gone
        if ended:
            self._silent_ends += len(ended)
            if self._silent_ends >= _SILENT_ENDS * self._jobs:
                self._stop.trouble = self._trouble()
                return
            names = [name for name in workers if str(name) in ended]
            self._cluster.sync(self._cluster.scale_down, names)
        self._cluster.scale(jobs=self._jobs)

    @staticmethod
    def _gone(names: dict[str, str]) -> set[str]:
        """Return the names of jobs that SLURM no longer knows; none when it cannot be asked."""
        try:
            listed = _listed()
        except (OSError, subprocess.SubprocessError):
            return set()
        return {name for job, name in names.items() if job not in listed}

    def _trouble(self) -> EngineError:
        return EngineError(
            f"{self._silent_ends} SLURM jobs ended one after the other before their worker "
            "answered",
            code="E_BATCH_LOST",
            where=str(self._logs),
            action="read what the jobs wrote there (the nodes need the same Python environment and "
            "must see the output folder), then run the same command again to resume",
        )


def _listed() -> set[str]:
    """Return the jobs of this user that SLURM knows as waiting, running or ending."""
    command = ["squeue", "--noheader", "--me", "--format=%A"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return set(said.stdout.split())
