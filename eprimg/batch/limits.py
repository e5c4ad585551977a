"""What a child process may use, and how it ends together with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "child_environment",
    "die_with_parent",
    "end_own_group",
    "kill_group",
    "limit_memory",
    "offer_to_the_memory_killer",
    "peak_memory_mb",
]

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
_TRIM_OF_DASK = "65536"
_MAPPED_MB = 1024.0
"""Address space beyond the data: libraries, compiled code (measured: 590-660 MB)."""


def child_environment(scratch: Path) -> dict[str, str]:
    """Make the environment of a child: one thread everywhere, its own temporary folder.

    Parameters
    ----------
    scratch : Path
        Temporary folder of the child.

    Returns
    -------
    dict
        Environment variables.
    """
    environment = dict(os.environ)
    environment.update(dict.fromkeys(_ONE_THREAD, "1"))
    environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)))
    # every further heap of the C library reserves 64 MB of address space per thread
    environment["MALLOC_ARENA_MAX"] = "2"
    # Dask makes its workers give every 64 kB back to the system: good for a process that waits, but
    # a study would ask for the same pages over and over (measured: a quarter more time)
    if environment.get("MALLOC_TRIM_THRESHOLD_") == _TRIM_OF_DASK:
        del environment["MALLOC_TRIM_THRESHOLD_"]
    environment["MPLBACKEND"] = "agg"
    return environment


def die_with_parent(parent: int) -> None:
    """Ask the system to kill this process when its parent ends (Linux).

    Parameters
    ----------
    parent : int
        Number of the parent; when it is not the parent any more, this process ends at once: the
        parent died before the system was asked.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        pr_set_pdeathsig = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if hasattr(os, "getppid") and os.getppid() != parent:
        os._exit(1)


def end_own_group() -> None:
    """Kill this process and everything that it started; it leads a group of its own."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and everything that it started, and wait until it is gone.

    Parameters
    ----------
    process : subprocess.Popen
        A child that leads a group of its own.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def limit_memory(data_mb: float, *, final: bool) -> None:
    """Cap the memory of this process: its data, and its address space with what is mapped.

    Parameters
    ----------
    data_mb : float
        Memory of its own (heap, anonymous maps, stacks) in MB.
    final : bool
        The cap cannot be raised again.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return
    limits = [(resource.RLIMIT_AS, data_mb + _MAPPED_MB)]
    if sys.platform.startswith("linux"):  # elsewhere it counts the old heap alone
        limits.append((resource.RLIMIT_DATA, data_mb))
    for kind, mb in limits:
        hard = resource.getrlimit(kind)[1]
        wanted = int(mb * 1024 * 1024)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (wanted, wanted if final else hard))


def offer_to_the_memory_killer() -> None:
    """Let the system end this child first when memory runs out, not the worker or the user's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def peak_memory_mb(status: Mapping[str, str] | None = None) -> float:
    """Return the peak resident memory of this process.

    Parameters
    ----------
    status : Mapping, optional
        Lines of ``/proc/self/status``; read when left out.

    Returns
    -------
    float
        MB; 0 where the system does not tell.
    """
    if status is None:
        try:
            text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return _peak_by_usage()
        status = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(status.get("VmHWM", "0 kB").split()[0]) / 1024.0


def _peak_by_usage() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0 if sys.platform == "darwin" else 1024.0)
