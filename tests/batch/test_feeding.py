"""Orders go out a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from distributed import Client, LocalCluster

from eprimg.batch import feeding
from eprimg.batch.feeding import Stop, feed_cluster, feed_here
from eprimg.batch.orders import StudyOrder, StudyOutcome
from eprimg.errors import EngineError

Order = Callable[..., StudyOrder]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """One worker in this process."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _feed(client: Any, orders: Iterator[StudyOrder], stop: Stop | None = None) -> list[str]:
    taken: list[str] = []
    feed_cluster(
        client,
        orders,
        lambda outcome: taken.append(outcome.status),
        stop or Stop(),
        poisoned=lambda order: StudyOutcome(order.task.key, "failed"),
        say=taken.append,
    )
    return taken


def test_only_a_few_orders_are_in_flight(
    client: Any, order_for: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, drawn, waiting = order_for("ok 1"), [0], []
    monkeypatch.setattr(feeding, "run_order", lambda order: StudyOutcome("S-1", "ok"))

    def orders() -> Iterator[StudyOrder]:
        for _ in range(40):
            drawn[0] += 1
            waiting.append(drawn[0] - len(taken))
            yield order

    taken: list[StudyOutcome] = []
    feed_cluster(
        client, orders(), taken.append, Stop(), poisoned=lambda order: taken[0], say=lambda w: None
    )
    assert len(taken) == 40
    assert 2 <= max(waiting) <= 4  # four for the one worker


def test_an_answer_that_is_none_stops_the_batch(
    client: Any, order_for: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "run_order", lambda order: {"another": "version"})
    with pytest.raises(EngineError, match="same version") as caught:
        _feed(client, iter([order_for("ok 1")]))
    assert caught.value.code == "E_BATCH_LOST"

    def broken(order: StudyOrder) -> StudyOutcome:
        raise ModuleNotFoundError("No module named 'eprimg'")

    monkeypatch.setattr(feeding, "run_order", broken)
    with pytest.raises(EngineError, match="ModuleNotFoundError"):
        _feed(client, iter([order_for("ok 1")]))


def test_a_full_disk_ends_the_feeding(
    client: Any, order_for: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = StudyOutcome("S-1", "disk", "E_DISK", "full")
    monkeypatch.setattr(feeding, "run_order", lambda order: full)
    stop = Stop()
    assert _feed(client, (order_for("ok 1") for _ in range(100)), stop) == []
    assert stop.disk == full


def test_nothing_is_sent_after_a_stop(client: Any, order_for: Order) -> None:
    stop = Stop()
    stop.asked = True
    assert _feed(client, iter([order_for("ok 1")]), stop) == []
    taken: list[StudyOutcome] = []
    feed_here(iter([order_for("ok 1")]), taken.append, stop)
    assert taken == []


def test_a_wish_to_end_at_once_is_seen_while_orders_are_in_flight(
    client: Any, order_for: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "run_order", lambda order: StudyOutcome("S-1", "ok"))
    stop = Stop()

    def orders() -> Iterator[StudyOrder]:
        assert stop.watched  # a signal may leave it to the feeder
        stop.now = True
        yield order_for("ok 1")

    with pytest.raises(KeyboardInterrupt):
        _feed(client, orders(), stop)
    assert not stop.watched


def test_here_one_after_the_other(order_for: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "run_order", lambda order: StudyOutcome("S-1", "ok"))
    taken: list[StudyOutcome] = []
    feed_here(iter([order_for("ok 1")] * 3), taken.append, Stop())
    assert len(taken) == 3
