"""Sessions and injections are told from headers, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eprimg.io.entries import SeriesEntry
from eprimg.io.index import scan
from eprimg.io.pet_points import in_sessions, one_injection
from eprimg.model.study import Role
from tests.io.dicom_factory import write_pet

HOUR = timedelta(hours=1)
NINE = datetime(2024, 3, 1, 9, 0)


def entry(hours, study, **facts):
    instant = None if hours is None else NINE + hours * HOUR
    base = {"instant": instant, "study_uid": study, "patient_key": "p", **facts}
    return SeriesEntry("pt-1", Role.UNUSED, "", "PT", "", **base)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (entry(24, "b"), True),
        (entry(1, "b"), True),
        (entry(0.9, "b"), False),
        (entry(24, "a"), False),
        (entry(None, "b"), False),
        (entry(24, "b", patient_key="q"), False),
        (entry(0, "b", instant=datetime(2024, 3, 2, 9, 0, tzinfo=UTC)), False),
    ],
)
def test_sessions(second, expected):
    assert in_sessions([entry(0, "a"), second], HOUR) is expected
    assert in_sessions([second, entry(0, "a")], HOUR) is expected
    assert not in_sessions([second], HOUR)


def test_one_injection_needs_every_header_to_say_so(tmp_path):
    def seconds_apart(d, k, e):
        agent = d.RadiopharmaceuticalInformationSequence[0]
        agent.RadiopharmaceuticalStartDateTime = "20240227090530.000000"
        agent.RadionuclideTotalDose = 37.1e6

    write_pet(tmp_path / "a")
    write_pet(tmp_path / "b", study="2.25.5", series="2.25.6", change=seconds_apart)
    series = scan(tmp_path).series
    assert one_injection(series)
    (tmp_path / "b").rename(tmp_path / "gone")
    assert not one_injection(series)  # a file that cannot be read says nothing
