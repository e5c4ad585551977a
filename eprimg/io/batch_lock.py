"""A lock on the output folder of a batch: it names computer and process, and the dead lose it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from eprimg.errors import OutputError
from eprimg.io.batch_files import BatchPaths, disk_error, sweep_leftovers, write_whole
from eprimg.io.batch_processes import own_process, same_process_lives

__all__ = ["OutputLock"]

_FORMAT: Final = "eprimg batch lock 1"
_GUARD: Final = ".guard"
_PATIENCE_S: Final = 20.0


class OutputLock:
    """Keep a second batch out of the same output folder.

    Shards of one count may run together; each has a lock of its own.  A lock whose process has
    died is taken over; one of another computer is refused, because nobody here can tell whether
    its process lives.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    shard : tuple of (int, int), optional
        Number and count of this shard; a batch without shards when left out.

    Raises
    ------
    OutputError
        On entering: ``E_BATCH_LOCKED``, ``E_DISK`` or ``E_OUTPUT_UNWRITABLE``.
    """

    def __init__(self, out: Path, *, shard: tuple[int, int] | None = None) -> None:
        self.out = Path(out)
        self.shard = shard
        name = "batch" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"
        self._path = BatchPaths(out).locks / f"{name}.json"
        self._held: dict[str, Any] | None = None

    def __enter__(self) -> OutputLock:
        """Take the lock, and sweep what killed batches left.

        Returns
        -------
        OutputLock
            Itself.
        """
        mine = {
            "format": _FORMAT,
            **own_process(),
            "shard": list(self.shard) if self.shard is not None else None,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with _guarded(self._path.parent):
            self._refuse_others()
            write_whole(self._path, json.dumps(mine, indent=1) + "\n")
        self._held = mine
        sweep_leftovers(self.out)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Sweep what processes killed meanwhile left, and give the lock back.

        One that somebody else has taken by now is left alone.
        """
        sweep_leftovers(self.out)
        with contextlib.suppress(OSError), _guarded(self._path.parent):
            if _read(self._path) == self._held:
                self._path.unlink()
        self._held = None

    def _refuse_others(self) -> None:
        for path in sorted(self._path.parent.glob("*.json")):
            who = _read(path)
            if who is None:
                raise _locked(
                    "a lock that cannot be read",
                    path,
                    "if no batch runs on this folder, remove the file and run again",
                )
            alive = same_process_lives(who)
            if alive is False:
                path.unlink(missing_ok=True)
            elif self._excludes(who):
                raise _held_by(who, path, alive)

    def _excludes(self, who: dict[str, Any]) -> bool:
        """Tell whether another batch must not run beside this one."""
        other = who.get("shard")
        if self.shard is None or not isinstance(other, list) or len(other) != 2:
            return True
        return bool(other[1] != self.shard[1] or other[0] == self.shard[0])


def _held_by(who: dict[str, Any], path: Path, alive: bool | None) -> OutputError:
    shard = who.get("shard")
    what = f"shard {shard[0]}/{shard[1]}" if isinstance(shard, list) else "a batch"
    text = (
        f"{what} holds this output folder: process {who.get('pid')} on {who.get('host')}, "
        f"since {who.get('since')}"
    )
    if alive:
        return _locked(text, path, "wait for it, stop it, or give another output folder")
    return _locked(
        f"{text}; whether it lives cannot be seen from here",
        path,
        f"look on {who.get('host')}; if that process is gone, remove the file and run again",
    )


def _locked(text: str, path: Path, action: str) -> OutputError:
    return OutputError(
        text,
        code="E_BATCH_LOCKED",
        where=f"{path.parent.name}/{path.name}",
        action=action,
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format") == _FORMAT else None


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Let one process at a time look at the locks and change them.

    The system frees this guard when its holder dies, so that it never has to be taken over.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        guard = (folder / _GUARD).open("a+b")
    except OSError as error:
        raise disk_error(error, folder.name) from error
    with guard:
        deadline = time.monotonic() + _PATIENCE_S
        while not _try_lock(guard.fileno()):
            if time.monotonic() > deadline:
                raise _locked(
                    "another batch has been looking at the locks for a long time",
                    folder / _GUARD,
                    "run again; if it stays so, the file system may not support locks",
                )
            time.sleep(0.05)
        yield  # closing the file frees the guard


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
