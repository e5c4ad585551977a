"""What is done to a batch on purpose: kill -9 of its parts, and a disk without room."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil

_MARK = "EPRIMG_SOAK"
"""Environment variable that all processes of one batch inherit: the family tree of a process is
lost when its parent is killed, its environment is not."""

EPRIMG = (sys.executable, "-m", "eprimg.cli")


class Party:
    """Processes started together, and every process that comes from them.

    Parameters
    ----------
    log : Path
        File for what they print.
    """

    def __init__(self, log: Path) -> None:
        self.mark = uuid4().hex
        self.log = log
        self.roots: list[subprocess.Popen[bytes]] = []

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        """Start a process of the party."""
        environment = {**os.environ, _MARK: self.mark, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as sink:
            process = subprocess.Popen(
                [str(word) for word in command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self.roots.append(process)
        return process

    def family(self) -> list[psutil.Process]:
        """Return every living process of the party, whoever its parent is now."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get(_MARK) == self.mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def parts(self) -> dict[str, list[psutil.Process]]:
        """Sort the family: ``worker`` (child of a root) and ``study`` (child of a worker)."""
        roots = {process.pid for process in self.roots}
        family = [p for p in self.family() if p.pid not in roots and not _is_tracker(p)]
        workers = [p for p in family if _parent(p) in roots]
        pids = {p.pid for p in workers}
        return {"worker": workers, "study": [p for p in family if _parent(p) in pids]}

    def end(self, seconds: float = 20.0) -> list[str]:
        """Wait until no process of the party lives; kill what stays and return its command lines.

        Parameters
        ----------
        seconds : float
            How long a process may take to notice that it is alone.

        Returns
        -------
        list of str
            Processes that had to be killed.
        """
        limit = time.monotonic() + seconds
        while (left := self.family()) and time.monotonic() < limit:
            time.sleep(0.2)
        words = []
        for process in left:
            try:
                words.append(" ".join(process.cmdline())[:160])
                process.kill()
            except psutil.Error:
                continue
        for process in self.roots:
            process.wait()
        return words


def _is_tracker(process: psutil.Process) -> bool:
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return True


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


class Batch(Party):
    """A running ``eprimg batch``.

    Parameters
    ----------
    log : Path
        File for what it prints.
    arguments : sequence
        What follows ``eprimg batch``.
    prefix : sequence of str
        What comes before the command, e.g. ``unshare``.
    """

    def __init__(self, log: Path, arguments: Sequence[object], prefix: Sequence[str] = ()) -> None:
        super().__init__(log)
        self.client = self.start(*prefix, *EPRIMG, "batch", *arguments)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code (negative for a signal)."""
        try:
            return self.client.wait(seconds)
        except subprocess.TimeoutExpired:
            self.client.kill()
            self.client.wait()
            raise

    def until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; False when the batch ended, or time ran out, before."""
        limit = time.monotonic() + seconds
        while not ready():
            if self.client.poll() is not None or time.monotonic() > limit:
                return False
            time.sleep(0.05)
        return True


class Killer(threading.Thread):
    """Kill -9 a worker or the process of a study every few seconds.

    Parameters
    ----------
    party : Party
        Whose processes.
    every_s : float
        Pause between two kills (s).
    most : int
        How many in all.
    seed : int
        Of the choice.
    """

    def __init__(self, party: Party, *, every_s: float, most: int, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self._party, self._every, self._most = party, every_s, most
        self._random = random.Random(seed)
        self._halt = threading.Event()

    def run(self) -> None:
        """Kill until halted."""
        while sum(self.killed.values()) < self._most and not self._halt.wait(self._every):
            # by turns, so that both kinds are met however few kills there are
            kind = "worker" if self.killed["worker"] <= self.killed["study"] else "study"
            victims = self._party.parts()[kind]
            if not victims:
                continue
            try:
                self._random.choice(victims).kill()
            except psutil.Error:
                continue
            self.killed[kind] += 1

    def halt(self) -> Counter[str]:
        """Stop killing and tell what was killed."""
        self._halt.set()
        self.join()
        return self.killed


class SmallDisk:
    """A disk that can be filled up and emptied again.

    Parameters
    ----------
    path : Path
        Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def squeeze(self, leave_kb: int) -> None:
        """Fill the disk up to the last few kilobytes."""
        free = os.statvfs(self.path)
        size = free.f_bavail * free.f_frsize - leave_kb * 1024
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def relax(self) -> None:
        """Make room again."""
        self._ballast.unlink()


def may_mount() -> bool:
    """Tell whether this process may mount a tmpfs in a mount namespace of its own."""
    return subprocess.run([*unshare(), "true"], capture_output=True, check=False).returncode == 0


def unshare() -> tuple[str, ...]:
    """Return the command that gives a process mounts of its own, which end with it."""
    if os.geteuid() == 0:
        return ("unshare", "--mount")
    return ("unshare", "--mount", "--user", "--map-root-user")


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a small tmpfs; the process has to run behind `unshare`.

    Parameters
    ----------
    path : Path
        Folder to mount it on; made when absent.
    megabytes : int
        Its size (MB).

    Yields
    ------
    SmallDisk
        The disk.
    """
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
