"""A worker leaves Ctrl-C to the engine."""

from __future__ import annotations

import signal
import threading

from eprimg.batch.worker_setup import dask_setup


def test_interrupt_is_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        dask_setup(None)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=dask_setup, args=(None,))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) == before
