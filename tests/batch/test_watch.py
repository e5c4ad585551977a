"""A child as its parent sees it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from eprimg.batch.orders import StudyOrder
from eprimg.batch.watch import StudyProcess

Order = Callable[..., StudyOrder]


def test_the_child_waits_until_it_may_go_on(order_for: Order, tmp_path: Path) -> None:
    with StudyProcess(order_for("ok 1"), tmp_path) as child:
        child.listen(until="need")
        assert child.said["need"]["mb"] == 10.0
        assert len(child.said["input"]["input_hash"]) == 64
        time.sleep(0.5)
        assert child.alive
        assert "end" not in child.said
        assert not (tmp_path / "starts").exists()
        child.go_on()
        child.listen()
        child.end()
        assert (child.said["end"]["how"], child.exit_code) == ("ok", 0)


def test_leaving_kills_the_child(order_for: Order, tmp_path: Path) -> None:
    with StudyProcess(order_for("ok 1"), tmp_path) as child:
        child.listen(until="need")
        os.kill(child.pid, signal.SIGSTOP)  # it cannot end by itself
    assert child.exit_code == -9
    with StudyProcess(order_for("ok 1"), tmp_path) as child:
        child.listen(until="need")
        os.kill(child.pid, signal.SIGKILL)
        child.listen()
        child.go_on()  # to the dead: nothing happens
    assert not (tmp_path / "starts").exists()


def test_time_counts_over_both_parts(order_for: Order, tmp_path: Path) -> None:
    with StudyProcess(order_for("sleep 30", time_limit_s=3.0), tmp_path) as child:
        child.listen(until="need")
        left_s = child._left_s
        assert 0 < left_s < 3.0  # getting ready has taken its part
        child.go_on()
        child.listen()
        assert child.timed_out
        assert child._left_s <= 0


def test_ctrl_c_does_not_reach_the_child(order_for: Order, tmp_path: Path) -> None:
    with StudyProcess(order_for("ok 1"), tmp_path) as child:
        os.kill(child.pid, signal.SIGINT)  # at once, before it can set anything itself
        child.listen(until="need")
        child.go_on()
        child.listen()
        child.end()
        assert (child.said["end"]["how"], child.exit_code) == ("ok", 0)
