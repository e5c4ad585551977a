"""Orders go out a few at a time, outcomes come back; nothing of 100 000 studies piles up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any
from uuid import uuid4

from eprimg.batch.orders import StudyOrder, StudyOutcome
from eprimg.batch.task import run_order
from eprimg.errors import EngineError

__all__ = ["Stop", "feed_cluster", "feed_here"]

_PER_WORKER = 4
_LOOK_S = 0.05
_ROUNDS = 2
"""A study whose workers died is tried again when the others are done: it may be innocent."""

_NO_WORKER_S = 30.0
_UNTOLD_S = 10.0
"""Dask never tells an outcome whose way here was cut off; it is asked for again after so long."""


class Stop:
    """Whether the batch is to end, and why.

    Attributes
    ----------
    asked : bool
        Begin nothing more.
    now : bool
        End at once.
    watched : bool
        Somebody looks at `now` many times a second, so that a signal need not raise: what it raises
        can be lost when it comes within somebody else's callback, e.g. of the garbage collector.
    """

    def __init__(self) -> None:
        self.asked = self.now = self.watched = False
        self.disk: StudyOutcome | None = None
        self.trouble: EngineError | None = None


def feed_here(
    orders: Iterator[StudyOrder], take: Callable[[StudyOutcome], None], stop: Stop
) -> None:
    """Run orders one after the other in children of this process.

    Parameters
    ----------
    orders : iterator of StudyOrder
        What is to run.
    take : callable
        Told each outcome.
    stop : Stop
        Looked at before each order.
    """
    while not stop.asked:
        order = next(orders, None)
        if order is None:
            return
        _take(run_order(order), take, stop)


def _take(outcome: StudyOutcome, take: Callable[[StudyOutcome], None], stop: Stop) -> None:
    if outcome.status == "disk":
        stop.asked, stop.disk = True, outcome
    else:
        take(outcome)


def feed_cluster(
    client: Any,
    orders: Iterator[StudyOrder],
    take: Callable[[StudyOutcome], None],
    stop: Stop,
    *,
    poisoned: Callable[[StudyOrder], StudyOutcome],
    say: Callable[[str], None],
) -> None:
    """Run orders on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    orders : iterator of StudyOrder
        What is to run.
    take : callable
        Told each outcome.
    stop : Stop
        Looked at all the time.
    poisoned : callable
        Told an order whose workers died again and again; records it.
    say : callable
        Told what a person should know.

    Raises
    ------
    EngineError
        ``E_BATCH_LOST`` when the scheduler is gone, or no job brings a worker.
    KeyboardInterrupt
        When the batch is to end at once.
    """
    feeder = _Feeder(client, stop, say)
    waiting = orders
    stop.watched = True
    try:
        for last in (False, True):
            blamed = feeder.run(waiting, take)
            if last or stop.asked:
                for order in blamed if last else ():
                    take(poisoned(order))
                return
            waiting = iter(blamed)
    finally:
        stop.watched = False


class _Feeder:
    """Keeps a few orders per worker in flight."""

    def __init__(self, client: Any, stop: Stop, say: Callable[[str], None]) -> None:
        distributed: Any = import_module("distributed")
        self.client = client
        self.stop = stop
        self.say = say
        self.flying: dict[Any, StudyOrder] = {}
        self.ended_at: dict[Any, float] = {}
        # the outcome comes with the future: asking it later can find it pending again
        self.done = distributed.as_completed(
            [], loop=client.loop, with_results=True, raise_errors=False
        )
        self.alone_since: float | None = None
        self.n_workers = 1
        self.looked = 0.0

    def run(
        self, orders: Iterator[StudyOrder], take: Callable[[StudyOutcome], None]
    ) -> list[StudyOrder]:
        """Run all orders; return those whose workers died."""
        blamed: list[StudyOrder] = []
        more = True
        while not self.stop.disk:
            if self.stop.now:
                raise KeyboardInterrupt
            self._look_at_workers()
            while more and not self.stop.asked and len(self.flying) < _PER_WORKER * self.n_workers:
                order = next(orders, None)
                more = order is not None
                if order is not None:
                    self._submit(order)
            if not self.flying:
                return blamed
            if not self.done.has_ready():
                self._ask_again()
                if self.client.status not in ("running", "connecting"):
                    raise _lost("the connection to the scheduler is gone")
                time.sleep(_LOOK_S)
                continue
            future, result = next(self.done)
            self.ended_at.pop(future, None)
            order = self.flying.pop(future, None)
            if order is None:  # asked for twice, told twice
                continue
            if isinstance(result, StudyOutcome):
                _take(result, take, self.stop)
            elif _blames_the_study(result):
                blamed.append(order)
            else:
                raise _lost(_words(result))
        with contextlib.suppress(Exception):  # the disk is full: nothing more can be done
            self.client.cancel(list(self.flying))
        return []

    def _submit(self, order: StudyOrder) -> None:
        # a key that this scheduler has seen, also from another batch, would get the old answer
        key = f"{order.task.key}-{uuid4().hex}"
        future = self.client.submit(run_order, order, pure=False, retries=0, key=key)
        self.flying[future] = order
        self.done.add(future)

    def _ask_again(self) -> None:
        now = time.monotonic()
        for future in self.flying:
            if future.done() and now - self.ended_at.setdefault(future, now) > _UNTOLD_S:
                self.ended_at[future] = now
                self.done.add(future)

    def _look_at_workers(self) -> None:
        now = time.monotonic()
        if now - self.looked < 1.0:
            return
        self.looked = now
        if self.stop.trouble is not None:
            raise self.stop.trouble
        try:
            count = len(self.client.ncores())
        except Exception as error:  # comm errors of many kinds
            raise _lost(f"the scheduler does not answer ({type(error).__name__})") from error
        self.n_workers = max(1, count)
        if count:
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = now
        elif now - self.alone_since > _NO_WORKER_S:
            self.alone_since = float("inf")  # said once
            self.say("no worker has joined yet; waiting")


def _error(result: Any) -> BaseException | None:
    """Find the exception in what a future gave instead of an outcome."""
    if isinstance(result, BaseException):
        return result
    if isinstance(result, tuple) and len(result) > 1 and isinstance(result[1], BaseException):
        return result[1]
    return None


def _blames_the_study(result: Any) -> bool:
    killed_worker = import_module("distributed.scheduler").KilledWorker
    return isinstance(_error(result), killed_worker)


def _words(result: Any) -> str:
    error = _error(result)
    if error is None:
        return "a worker gave back nothing that can be understood; is its eprimg the same version?"
    return f"the engine stopped ({type(error).__name__}: {str(error)[:200]})"


def _lost(words: str) -> EngineError:
    return EngineError(
        words,
        code="E_BATCH_LOST",
        action="run the same command again to resume: what is done is kept",
    )
