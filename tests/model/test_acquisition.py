"""Facts: known, entered or missing; an injection is never a clock time alone."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest

from eprimg.errors import ClockError, MissingTagError
from eprimg.model.acquisition import (
    Injection,
    Known,
    MRAcquisition,
    Origin,
    seconds_between,
)


def test_missing_facts_are_refused_with_their_place() -> None:
    with pytest.raises(MissingTagError, match="weight is missing") as caught:
        Known(where="(0010,1030)").require("weight", code="E_SUV_WEIGHT")
    assert caught.value.where == "(0010,1030)"
    assert Known(70.0, Origin.ENTERED).require("weight", code="E") == 70.0


def test_an_injection_cannot_hold_a_clock_time() -> None:
    known = Known(datetime(2026, 3, 1, 10, 0), Origin.HEADER)
    Injection(known, Known(1.0), Known("89Zr"), Known(1.0))
    with pytest.raises(ClockError, match="date and a time"):
        Injection(Known(time(10, 0)), Known(1.0), Known("89Zr"), Known(1.0))  # type: ignore[arg-type]


def test_mr_facts_default_to_missing() -> None:
    facts = MRAcquisition(echo_times_s=(0.001, 0.002))
    assert facts.field_strength_t.origin == Origin.MISSING
    assert facts.agent_phase == "unknown"


def test_instants_are_compared_not_clock_times():
    # 10:00 at +0200 (summer) to 10:00 at +0100 (winter) is a day and an hour
    start = datetime(2024, 10, 26, 10, tzinfo=timezone(timedelta(hours=2)))
    end = datetime(2024, 10, 27, 10, tzinfo=timezone(timedelta(hours=1)))
    assert seconds_between(start, end, where="t") == 25 * 3600
    with pytest.raises(ClockError, match="offset"):
        seconds_between(start, end.replace(tzinfo=None), where="t")
