"""What a worker does first (Dask preload): it leaves Ctrl-C to the engine."""

from __future__ import annotations

import contextlib
import signal
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Ignore the interrupt of the terminal, which reaches every process of its group.

    The engine then decides: first no new studies, then an end at once.

    Parameters
    ----------
    worker : distributed.Worker
        The worker that starts.
    """
    with contextlib.suppress(ValueError):  # not in the main thread: it gets no interrupt anyway
        signal.signal(signal.SIGINT, signal.SIG_IGN)
