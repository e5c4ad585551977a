"""An order says where its stop file lies and refuses a time limit of nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from eprimg.batch.orders import StudyOrder
from eprimg.errors import ConfigError
from eprimg.io.batch_tasks import StudyTask


def test_order_travels_and_names_its_stop_file() -> None:
    order = StudyOrder(StudyTask("S-1", Path("a"), facts={"weight_kg": 70.0}), Path("out"))
    assert pickle.loads(pickle.dumps(order)) == order
    assert order.stop_file.parent == Path("out/locks")


def test_time_limit_is_above_zero() -> None:
    with pytest.raises(ConfigError, match="time limit"):
        StudyOrder(StudyTask("S-1", Path("a")), Path("out"), time_limit_s=0)
