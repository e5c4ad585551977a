"""First words of a child process: set its limits, then become the program (POSIX only).

Run by path as ``python -I -S _child_start.py PARENT DATA_MB PROGRAM ARGUMENT...``; it may import
nothing but the standard library.  Limits that are set here hold before the program's first
instruction and for everything that it starts; setting them between fork and exec of a process with
threads (a viewer) would not be safe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

NOT_STARTED = 127
"""Exit status when the program could not be started, as shells use it."""


def main(arguments: list[str]) -> None:
    """Set the limits and become the program.

    Parameters
    ----------
    arguments : list of str
        Number of the parent, limit of data in MB, program, its arguments.
    """
    parent, data_mb, *command = arguments
    if sys.platform.startswith("linux"):
        import ctypes

        pr_set_pdeathsig = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the system was asked
        os._exit(1)
    _limit_data(float(data_mb))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")  # when memory runs out, this process goes first, not the session
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(NOT_STARTED)


def _limit_data(data_mb: float) -> None:
    import resource

    limits = [resource.RLIMIT_CORE]
    wanted = {resource.RLIMIT_CORE: 0}
    if sys.platform.startswith("linux"):  # elsewhere it counts the old heap alone
        limits.append(resource.RLIMIT_DATA)
        wanted[resource.RLIMIT_DATA] = int(data_mb * 1024 * 1024)
    for kind in limits:
        value = wanted[kind]
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main(sys.argv[1:])
