"""The soak: the same studies once in peace, and once with everything that can happen to a batch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from tests.soak.disturb import EPRIMG, Batch, Killer, Party, SmallDisk, small_disk
from tests.soak.judge import Left, judge, leaks, left, records
from tests.soak.studies import BAD, Planned, make_studies, plan

__all__ = ["BRIEF", "FULL", "MOUNTS", "Outcome", "Size", "soak"]

MOUNTS = "EPRIMG_SOAK_MOUNTS"
"""Set to ``own`` for a process that was started behind `unshare` and may mount."""


@dataclass(frozen=True)
class Size:
    """How much is done.

    Parameters
    ----------
    name : str
        For the report.
    phantom : str
        Size of the phantom.
    kinds : tuple of str
        Kind of every good study.
    bad : tuple of str
        Keys of `eprimg` faults, see `tests.soak.studies.BAD`.
    kill_every_s : float
        Pause between two kills (s).
    kills : int
        Most kills in one phase.
    disk_mb : int
        Size of the small disk (MB).
    arguments : tuple of str
        Further arguments of ``eprimg batch``.
    limit_s : float
        Longest time of one phase (s).
    """

    name: str
    phantom: str
    kinds: tuple[str, ...]
    bad: tuple[str, ...]
    kill_every_s: float
    kills: int
    disk_mb: int
    arguments: tuple[str, ...]
    limit_s: float


FULL = Size(
    name="full",
    phantom="small",
    kinds=("whole", "pet", "mr", "pet", "pair") * 10,
    bad=tuple(BAD),
    kill_every_s=5.0,
    kills=60,
    disk_mb=2048,
    # one bad study is meant for these limits: it is planned at 3.9 GB
    arguments=("--workers", "2", "--time-limit", "4", "--memory", "3.5"),
    limit_s=3600.0,
)
BRIEF = Size(
    name="brief",
    phantom="tiny",
    kinds=("pet", "pet", "mr", "pet", "pet"),
    bad=("missing weight", "truncated file"),
    kill_every_s=2.0,
    kills=4,
    disk_mb=256,
    arguments=("--workers", "2"),
    limit_s=300.0,
)


@dataclass
class Outcome:
    """What the soak found.

    Parameters
    ----------
    faults : list of str
        What is wrong; empty when all is well.
    notes : list of str
        What was done, with times.
    numbers : dict
        The same as numbers.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def say(self, words: str) -> None:
        """Note something and print it."""
        self.notes.append(words)
        print(words, flush=True)

    def wrong(self, phase: str, faults: list[str]) -> None:
        """Note faults of a phase and print them."""
        for fault in faults:
            self.faults.append(f"{phase}: {fault}")
            print(f"FAULT {phase}: {fault}", flush=True)


class Soak:
    """One soak in one folder.

    Parameters
    ----------
    work : Path
        Folder for everything; must be new.
    size : Size
        How much is done.
    made : Path, optional
        Studies that an earlier soak of this size made.
    """

    def __init__(self, work: Path, size: Size, made: Path | None = None) -> None:
        self.size, self.work = size, work
        self.root = made or work / "studies"
        self.planned: tuple[Planned, ...] = plan(size.kinds, size.bad)
        self.found = Outcome()
        self.killed = {"worker": 0, "study": 0}

    def run(self) -> Outcome:
        """Do everything and return what was found."""
        self.work.mkdir(parents=True)
        if not self.root.exists():
            with self._phase("studies"):
                make_studies(self.root, self.planned, size=self.size.phantom)
        undisturbed = self._undisturbed()
        with self._disk() as disk:
            out = (disk.path if disk is not None else self.work) / "disturbed"
            self._killed(out)
            self._without_scheduler(out)
            if disk is not None:
                self._full_disk(out, disk)
            self._finish(out, undisturbed)
        for kind, number in self.killed.items():
            if not number:
                self.found.wrong("kills", [f"no {kind} was ever killed: nothing was tested"])
        n_bad = sum(bool(study.bad) for study in self.planned)
        self.found.numbers |= {
            "studies": len(self.planned),
            "bad": n_bad,
            "killed_workers": self.killed["worker"],
            "killed_studies": self.killed["study"],
            "faults": len(self.found.faults),
        }
        return self.found

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        clock = time.perf_counter()
        yield
        seconds = time.perf_counter() - clock
        self.found.numbers[f"{name.replace(' ', '_')}_s"] = round(seconds, 1)
        self.found.say(f"{name}: {seconds:.0f} s")

    def _batch(self, name: str, out: Path, *more: object) -> Batch:
        # a scheduler has its own workers: the option is refused beside it
        own = self.size.arguments[2 if "--scheduler" in more else 0 :]
        arguments = [self.root, "--out", out, *own, *more]
        return Batch(self.work / f"{name}.log", arguments)

    def _disk(self) -> Any:
        """Give a small disk; where none can be made, say so, and in CI that is a fault."""
        if os.environ.get(MOUNTS) == "own":
            return small_disk(self.work / "disk", self.size.disk_mb)
        words = "full disk: not tested, no tmpfs can be mounted here (root or user namespaces)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            self.found.wrong("full disk", [words])
        else:
            self.found.say(words)
        return nullcontext(None)

    def _undisturbed(self) -> dict[str, Left]:
        out = self.work / "undisturbed"
        with self._phase("undisturbed"):
            batch = self._batch("undisturbed", out)
            code = batch.wait(self.size.limit_s)
        orphans = batch.end()
        self.found.wrong("undisturbed", [f"still running: {words}" for words in orphans])
        self.found.wrong("undisturbed", judge(out, self.planned, exit_code=code))
        self.found.wrong("undisturbed", leaks(out, batch.log))
        return left(out)

    def _n_records(self, out: Path) -> int:
        return len(list((out / "records").glob("[!.]*.json")))

    def _killed(self, out: Path) -> None:
        """Kill workers and studies every few seconds, and the client after a third."""
        name = "workers and client killed"
        third = len(self.planned) // 3
        with self._phase(name):
            batch = self._batch("killed", out)
            batch.until(lambda: bool(batch.parts()["study"]), self.size.limit_s)
            killer = Killer(batch, every_s=self.size.kill_every_s, most=self.size.kills)
            killer.start()
            in_time = batch.until(
                lambda: self._n_records(out) >= third and sum(killer.killed.values()) >= 2,
                self.size.limit_s,
            )
            self._count(killer)
            batch.client.kill()
            code = batch.wait(30.0)
            self._left_between(name, out, batch)
        if not in_time or code != -9:
            self.found.wrong(name, [f"the batch ended before it was killed, exit code {code}"])

    def _without_scheduler(self, out: Path) -> None:
        """Run on a scheduler of its own, kill on, and kill the scheduler after two thirds."""
        name = "scheduler killed"
        wanted = max(self._n_records(out) + 1, 2 * len(self.planned) // 3)
        cluster = Party(self.work / "cluster.log")
        with self._phase(name):
            file = self.work / "scheduler.json"
            dask = (sys.executable, "-m", "distributed.cli")
            scheduler = cluster.start(
                *dask[:2],
                "distributed.cli.dask_scheduler",
                *("--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
                *("--scheduler-file", file),
            )
            for _ in range(2):
                cluster.start(
                    *dask[:2],
                    "distributed.cli.dask_worker",
                    *("--scheduler-file", file, "--host", "127.0.0.1", "--no-dashboard"),
                    *("--nthreads", "1", "--death-timeout", "10"),
                    *("--local-directory", self.work / "scratch"),
                )
            _wait_for(file)
            address = json.loads(file.read_text(encoding="utf-8"))["address"]
            batch = self._batch("scheduler", out, "--scheduler", address)
            killer = Killer(cluster, every_s=self.size.kill_every_s, most=self.size.kills, seed=2)
            killer.start()
            in_time = batch.until(lambda: self._n_records(out) >= wanted, self.size.limit_s)
            self._count(killer)
            scheduler.kill()
            code = batch.wait(120.0)
            self._left_between(name, out, batch)
            self._left_between(name, out, cluster)
        if not in_time or code != 10:
            self.found.wrong(name, [f"exit code {code}, not 10 (engine lost)"])

    def _full_disk(self, out: Path, disk: SmallDisk) -> None:
        """Take away the room while studies are running."""
        name = "full disk"
        with self._phase(name):
            batch = self._batch("disk", out)
            in_time = batch.until(lambda: bool(batch.parts()["study"]), 120.0)
            disk.squeeze(leave_kb=200)
            code = batch.wait(self.size.limit_s)
            self._left_between(name, out, batch)
            disk.relax()
        said = batch.log.read_text(encoding="utf-8", errors="replace")
        told = "E_DISK" in said
        if not in_time or code != 6 or not told:
            self.found.wrong(
                name, [f"exit code {code}, E_DISK {'told' if told else 'not told anywhere'}"]
            )

    def _finish(self, out: Path, undisturbed: dict[str, Left]) -> None:
        """Run again in peace; then all must be as if nothing had happened."""
        name = "run again"
        with self._phase(name):
            batch = self._batch("again", out, "--retry-failed")
            code = batch.wait(self.size.limit_s)
        self.found.wrong(name, [f"still running: {words}" for words in batch.end()])
        self.found.wrong(name, judge(out, self.planned, exit_code=code, undisturbed=undisturbed))
        self.found.wrong(name, leaks(out, *sorted(self.work.glob("*.log"))))
        with self._phase("nothing to do"):
            batch = self._batch("nothing", out)
            again = batch.wait(self.size.limit_s)
        if again != code or left(out) != undisturbed:
            self.found.wrong("nothing to do", [f"a further run ended with {again} and changed"])
        status = subprocess.run(
            [*EPRIMG, "status", str(out)], capture_output=True, text=True, check=False
        )
        n_ok = sum(not study.bad for study in self.planned)
        if status.returncode != code or str(n_ok) not in status.stdout:
            words = f"`eprimg status` ended with {status.returncode}: {status.stdout[-300:]}"
            self.found.wrong("status", [words])

    def _count(self, killer: Killer) -> None:
        for kind, number in killer.halt().items():
            self.killed[kind] += number

    def _left_between(self, name: str, out: Path, party: Party) -> None:
        """Judge what a killed batch leaves: nothing visible that is not whole, nobody running."""
        faults = [f"still running: {words}" for words in party.end()]
        for key, record in records(out).items():
            if not record:
                faults.append(f"{key}: a record that is not whole")
        for folder in sorted((out / "studies").glob("[!.]*")):
            try:
                verify_folder(folder)
            except OutputError as error:
                faults.append(f"{folder.name}: {error}")
        self.found.wrong(name, faults)


def _wait_for(file: Path, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not (file.is_file() and file.stat().st_size):
        if time.monotonic() > limit:
            raise TimeoutError(f"{file.name} did not appear within {seconds:.0f} s")
        time.sleep(0.1)


def soak(work: Path, size: Size, *, made: Path | None = None, keep: bool = False) -> Outcome:
    """Run a soak.

    Parameters
    ----------
    work : Path
        Folder for everything; must be new.
    size : Size
        How much is done.
    made : Path, optional
        Studies that an earlier soak of this size made.
    keep : bool
        Keep the folder when all is well; it is always kept when something is wrong.

    Returns
    -------
    Outcome
        What was found.
    """
    found = Soak(work, size, made).run()
    if not found.faults and not keep:
        shutil.rmtree(work, ignore_errors=True)
    return found
