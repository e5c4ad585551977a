"""Files of a batch: the layout of its folder and writes that arrive whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from eprimg.errors import ConfigError, OutputError
from eprimg.io.batch_processes import machine_mark, process_lives
from eprimg.io.output_folder import sweep_folders

__all__ = [
    "BatchPaths",
    "check_key",
    "disk_error",
    "sweep_leftovers",
    "sync_folder",
    "whole_file",
    "write_whole",
]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.tmp-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")
_FOREIGN_AGE_S = 24 * 3600.0
"""A leftover of another computer is swept when nobody can be writing it any more."""


class BatchPaths:
    """Where everything of a batch lies.

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        self.batch = self.out / "batch.json"
        self.settings = self.out / "settings.toml"
        self.sources = self.out / "sources.csv"
        self.cohort = self.out / "cohort.csv"
        self.cohort_lesions = self.out / "cohort_lesions.csv"
        self.page = self.out / "index.html"
        self.studies = self.out / "studies"
        self.records = self.out / "records"
        self.logs = self.out / "logs"
        self.thumbnails = self.out / "thumbs"
        self.locks = self.out / "locks"

    def study(self, key: str) -> Path:
        """Return the output folder of a study.

        Parameters
        ----------
        key : str
            Key of the study.

        Returns
        -------
        Path
            What `eprimg run` writes.
        """
        return self.studies / check_key(key)

    def record(self, key: str) -> Path:
        """Return the record of a study.

        Parameters
        ----------
        key : str
            Key of the study.

        Returns
        -------
        Path
            JSON file.
        """
        return self.records / f"{check_key(key)}.json"

    def log(self, key: str) -> Path:
        """Return the log of a study.

        Parameters
        ----------
        key : str
            Key of the study.

        Returns
        -------
        Path
            Text file.
        """
        return self.logs / f"{check_key(key)}.log"

    def thumbnail(self, key: str) -> Path:
        """Return the thumbnail of a study.

        Parameters
        ----------
        key : str
            Key of the study.

        Returns
        -------
        Path
            WebP file.
        """
        return self.thumbnails / f"{check_key(key)}.webp"


def check_key(key: str) -> str:
    """Refuse a key that could not be a file name everywhere.

    Parameters
    ----------
    key : str
        Key of a study.

    Returns
    -------
    str
        The same key.

    Raises
    ------
    ConfigError
        ``E_BATCH_KEY``.
    """
    if not _KEY.fullmatch(key) or key.endswith("."):
        raise ConfigError(
            "a study key is 1 to 64 letters (A to Z), digits, '.', '_' or '-' and starts with a "
            "letter or a digit",
            code="E_BATCH_KEY",
            value=key[:80],
            action="give the study another key in the manifest",
        )
    return key


def disk_error(error: OSError, where: str) -> OutputError:
    """Put a failed write into words.

    Parameters
    ----------
    error : OSError
        What the system said.
    where : str
        Name of the file.

    Returns
    -------
    OutputError
        ``E_DISK`` for a full disk, else ``E_OUTPUT_UNWRITABLE``.
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return OutputError(
        "the disk is full" if full else f"the file cannot be written: {error.strerror}",
        code="E_DISK" if full else "E_OUTPUT_UNWRITABLE",
        where=where,
        action="make room, then run again: what is done is kept"
        if full
        else "give a folder you may write to, then run again",
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears whole, in place of the old one, or not at all.

    Parameters
    ----------
    path : Path
        Final place; missing folders are made.

    Yields
    ------
    BinaryIO
        A temporary file beside it.

    Raises
    ------
    OutputError
        ``E_DISK`` or ``E_OUTPUT_UNWRITABLE``; the old file stays and nothing is left beside it.
    """
    mark = f"{machine_mark()}-{os.getpid()}-{uuid4().hex[:8]}"
    partial = path.with_name(f".{path.name}.tmp-{mark}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise disk_error(error, path.name) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text or bytes so that they appear whole or not at all.

    Parameters
    ----------
    path : Path
        Final place.
    content : str or bytes
        UTF-8 for text.

    Raises
    ------
    OutputError
        See `whole_file`.
    """
    with whole_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def sweep_leftovers(out: Path) -> int:
    """Remove temporary files and folders that killed processes left in a batch.

    Parameters
    ----------
    out : Path
        Output folder of the batch.

    Returns
    -------
    int
        How many were removed; those of living processes and recent ones of other computers stay.
    """
    paths = BatchPaths(out)
    removed = 0
    for folder in (paths.out, paths.records, paths.logs, paths.thumbnails, paths.locks):
        try:
            found = [Path(e.path) for e in os.scandir(folder) if e.name.startswith(".")]
        except OSError:  # not there yet
            continue
        for path in found:
            match = _LEFTOVER.fullmatch(path.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                if match["host"] == machine_mark():
                    dead = not process_lives(int(match["pid"]))
                else:
                    dead = time.time() - path.stat().st_mtime > _FOREIGN_AGE_S
                if dead:
                    path.unlink()
                    removed += 1
    return removed + sweep_folders(paths.studies)
