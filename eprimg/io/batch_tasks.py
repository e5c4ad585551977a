"""One study of a batch before it is run: its key, its place and what a user said about it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError

__all__ = ["StudyTask", "folder_key", "shard", "with_distinct_keys"]

_DIGITS = 10


@dataclass(frozen=True, slots=True)
class StudyTask:
    """One study to run.

    Parameters
    ----------
    key : str
        Stands for the study in every output; never a folder name, which may hold a person's name.
    path : Path
        Folder (or file) of the study.
    study_file : Path, optional
        ``study.toml`` when it does not lie in the folder itself.
    settings : tuple of str
        Settings of this study alone, each ``section.key=value``.
    facts : Mapping
        What the manifest says of the study, as `eprimg.pipeline.run_folder` takes it:
        ``weight_kg``, ``dose_mbq``, ``injection_instant`` (datetime), ``pseudonym``, ``roles``
        (series -> role) ...
    source : str
        Path below the root; it may hold names, so it stays out of every shared output.
    """

    key: str
    path: Path
    study_file: Path | None = None
    settings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def folder_key(source: str, digits: int = _DIGITS) -> str:
    """Make the key of a folder from its place below the root.

    Parameters
    ----------
    source : str
        Relative path with forward slashes.
    digits : int
        Hexadecimal digits.

    Returns
    -------
    str
        ``S-`` and the head of the SHA-256.
    """
    return f"S-{hashlib.sha256(os.fsencode(source)).hexdigest()[:digits]}"


def with_distinct_keys(tasks: Sequence[StudyTask]) -> tuple[StudyTask, ...]:
    """Lengthen the folder keys that two tasks share (one in 2000 batches of 50 000 studies).

    Parameters
    ----------
    tasks : sequence of StudyTask
        Tasks of a folder tree.

    Returns
    -------
    tuple of StudyTask
        The same, all keys different.
    """
    counts = Counter(task.key for task in tasks)
    return tuple(
        replace(task, key=folder_key(task.source, 2 * _DIGITS)) if counts[task.key] > 1 else task
        for task in tasks
    )


def shard(tasks: Sequence[StudyTask], number: int, count: int) -> tuple[StudyTask, ...]:
    """Choose the tasks of one shard; the choice depends on the keys alone.

    Parameters
    ----------
    tasks : sequence of StudyTask
        All tasks of the batch.
    number : int
        Number of this shard, from 1.
    count : int
        How many shards there are.

    Returns
    -------
    tuple of StudyTask
        Every task is in exactly one shard, whatever else is in the batch.

    Raises
    ------
    ConfigError
        ``E_ARGUMENT`` when the number is not between 1 and the count.
    """
    if not 1 <= number <= count:
        raise ConfigError(
            "a shard is a number from 1 to the count of shards",
            code="E_ARGUMENT",
            where="--shard",
            value=f"{number}/{count}",
            action="e.g. --shard 1/8 to --shard 8/8",
        )
    return tuple(t for t in tasks if _spread(t.key) % count == number - 1)


def _spread(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
