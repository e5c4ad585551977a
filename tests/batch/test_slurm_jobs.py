"""Jobs that end unheard are asked for again, but not for ever; SLURM is a script of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eprimg.batch import slurm_jobs
from eprimg.batch.feeding import Stop
from eprimg.batch.slurm_jobs import JobKeeper


class Cluster:
    """The part of a SLURM cluster that the keeper sees; jobs get numbers 1, 2, 3 and so on."""

    def __init__(self) -> None:
        self.workers: dict[int, Any] = {}
        self.answering: set[int] = set()
        self.asked = 0
        self.asks: list[int] = []

    @property
    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": {f"tls://{n}": {"name": n} for n in self.answering}}

    def sync(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)

    def scale_down(self, names: Sequence[int]) -> None:
        for name in names:
            del self.workers[name]

    def scale(self, jobs: int) -> None:
        self.asks.append(jobs)
        while len(self.workers) < jobs:
            self.asked += 1
            self.workers[self.asked] = SimpleNamespace(job_id=str(self.asked))


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[int]], None]:
    """Set which jobs SLURM knows."""
    program, listed = tmp_path / "squeue", tmp_path / "listed"
    program.write_text(f"#!/bin/sh\ncat '{listed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def known(jobs: Sequence[int]) -> None:
        listed.write_text("".join(f"{job}\n" for job in jobs))

    known([])
    return known


def test_a_job_cancelled_while_it_waits_is_asked_for_again(
    squeue: Callable[[Sequence[int]], None], tmp_path: Path
) -> None:
    cluster, stop = Cluster(), Stop()
    cluster.scale(2)
    keeper = JobKeeper(cluster, 2, tmp_path, stop)
    squeue([1, 2])
    keeper.look()
    squeue([1])  # somebody cancels job 2
    keeper.look()
    assert sorted(cluster.workers) == [1, 2], "SLURM's list may be behind: one look is not enough"
    keeper.look()
    assert sorted(cluster.workers) == [1, 3]
    assert stop.trouble is None


def test_a_worker_that_answers_is_never_taken_away(
    squeue: Callable[[Sequence[int]], None], tmp_path: Path
) -> None:
    cluster, stop = Cluster(), Stop()
    cluster.scale(2)
    cluster.answering = {1, 2}
    squeue([])  # SLURM forgot them, but they work
    keeper = JobKeeper(cluster, 2, tmp_path, stop)
    for _ in range(20):
        keeper.look()
    assert sorted(cluster.workers) == [1, 2]
    assert stop.trouble is None
    assert set(cluster.asks) == {2}


def test_jobs_that_all_end_at_once_stop_the_batch(
    squeue: Callable[[Sequence[int]], None], tmp_path: Path
) -> None:
    cluster, stop = Cluster(), Stop()
    cluster.scale(2)
    squeue([])
    keeper = JobKeeper(cluster, 2, tmp_path / "slurm", stop)
    looks = 0
    while stop.trouble is None:
        keeper.look()
        looks += 1
        assert looks < 20
    assert stop.trouble.code == "E_BATCH_LOST"
    assert str(tmp_path / "slurm") in str(stop.trouble)
    assert cluster.asked == 6  # three for each of the two


@pytest.mark.parametrize(
    "fault", [OSError("no squeue"), subprocess.CalledProcessError(1, "squeue")]
)
def test_jobs_are_asked_for_also_when_slurm_lists_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Exception
) -> None:
    def listed() -> set[str]:
        raise fault

    cluster, stop = Cluster(), Stop()
    monkeypatch.setattr(slurm_jobs, "_listed", listed)
    keeper = JobKeeper(cluster, 3, tmp_path, stop)
    for _ in range(20):
        keeper.look()
    assert sorted(cluster.workers) == [1, 2, 3], "nobody is taken away on a guess"
    assert stop.trouble is None


def test_slurm_that_takes_no_job_is_asked_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Busy(Cluster):
        def scale(self, jobs: int) -> None:
            super().scale(jobs)
            if len(self.asks) == 1:
                raise OSError("sbatch does not answer")

    cluster = Busy()
    monkeypatch.setattr(slurm_jobs, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(slurm_jobs, "_listed", set)
    with JobKeeper(cluster, 3, tmp_path, Stop()) as keeper:
        while len(cluster.asks) < 2:
            assert keeper._thread.is_alive()
    assert set(cluster.asks) == {3}
