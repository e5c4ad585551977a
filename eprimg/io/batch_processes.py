"""Which process is meant, and whether it lives: a number alone is given to others later."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

__all__ = [
    "machine_mark",
    "own_process",
    "process_lives",
    "process_start",
    "same_process_lives",
]

_PROC: Final = Path("/proc")
"""What Linux tells about processes; absent elsewhere."""


def own_process() -> dict[str, Any]:
    """Describe this process so that others can tell whether it still lives.

    Returns
    -------
    dict
        ``host``, ``pid``, ``start``, ``boot`` (of the kernel), ``space`` (of process numbers) and
        ``job`` with ``restart`` (how often SLURM put the job on a node again).
    """
    restart = os.environ.get("SLURM_RESTART_COUNT", "0")
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start": process_start(os.getpid()),
        "boot": _boot(),
        "space": _space(),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "restart": int(restart) if restart.isdecimal() else 0,
    }


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _space() -> str:
    """Name the space of process numbers: a container has its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def machine_mark() -> str:
    """Name the place where a process number means something, for the name of a file.

    Returns
    -------
    str
        Eight hexadecimal digits of this computer and, in a container, of the container.
    """
    return hashlib.sha256(f"{socket.gethostname()} {_space()}".encode()).hexdigest()[:8]


def process_start(pid: int) -> str:
    """Tell when a process started, in the words of the system.

    Parameters
    ----------
    pid : int
        Number of the process.

    Returns
    -------
    str
        Ticks since the boot on Linux, else seconds since 1970; empty when there is no such
        process, or when it has ended and only waits to be collected.
    """
    if (_PROC / "self" / "stat").is_file():
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        # the name in brackets may hold blanks and brackets itself
        words = text.rpartition(")")[2].split()
        return "" if words[0] in "ZX" else words[19]
    psutil = import_module("psutil")
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return f"{process.create_time():.0f}"
    return ""


def process_lives(pid: int) -> bool:
    """Tell whether a process of this computer lives.

    Parameters
    ----------
    pid : int
        Number of the process.

    Returns
    -------
    bool
        False also for one that has ended and only waits to be collected.
    """
    return pid > 0 and process_start(pid) != ""


def same_process_lives(who: Mapping[str, Any]) -> bool | None:
    """Tell whether the very process of a description lives.

    Parameters
    ----------
    who : Mapping
        As `own_process` gives it.

    Returns
    -------
    bool or None
        None when this computer cannot know: the process belongs to another one or to another
        container.
    """
    own = own_process()
    same_job = who.get("job") == own["job"] != ""
    if same_job and int(who.get("restart", 0)) < own["restart"]:
        return False  # SLURM ends a job before it puts it on a node again
    if who.get("host") != own["host"]:
        return None
    if who.get("boot") != own["boot"]:
        return False  # the computer was started again since
    if who.get("space") != own["space"]:
        return None
    start = process_start(int(who.get("pid", 0)))
    return start != "" and start == str(who.get("start"))
