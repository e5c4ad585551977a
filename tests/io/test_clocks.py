from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from eprimg.errors import ClockError
from eprimg.io.clocks import (
    combine,
    parse_date,
    parse_datetime,
    parse_offset,
    parse_time,
    shown,
)

PLUS_ONE = timezone(timedelta(hours=1))


@pytest.mark.parametrize("text", ["20240229", "20240229  ", "2024.02.29", "20240229\0"])
def test_dates(text):
    assert parse_date(text, where="SeriesDate (0008,0021)") == date(2024, 2, 29)


@pytest.mark.parametrize("text", ["", "202402", "20240230", "20230229", "2024-2-29", "x"])
def test_a_date_that_is_none_is_refused_with_its_tag(text):
    with pytest.raises(ClockError) as caught:
        parse_date(text, where="SeriesDate (0008,0021)")
    assert caught.value.code == "E_SUV_TIME"
    assert "(0008,0021)" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("101112", time(10, 11, 12)),
        ("101112.5", time(10, 11, 12, 500000)),
        ("101112.000001 ", time(10, 11, 12, 1)),
        ("1011", time(10, 11)),
        ("10:11:12", time(10, 11, 12)),
        ("235959.999999", time(23, 59, 59, 999999)),
    ],
)
def test_clock_times(text, expected):
    assert parse_time(text, where="t") == expected


@pytest.mark.parametrize("text", ["", "10", "101", "246000", "101261", "101112.1234567", "1011:12"])
def test_a_clock_time_that_is_none_or_only_an_hour_is_refused(text):
    with pytest.raises(ClockError):
        parse_time(text, where="t")


@pytest.mark.parametrize(
    ("text", "minutes"), [("+0100", 60), ("-0330", -210), ("+0000", 0), ("+1400", 840)]
)
def test_offsets(text, minutes):
    assert parse_offset(text, where="t").utcoffset(None) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "0100", "+1", "-0000", "+1500", "-1230", "+0160"])
def test_impossible_offsets_are_refused(text):
    with pytest.raises(ClockError):
        parse_offset(text, where="t")


def test_date_times_take_their_own_offset_first_then_the_headers():
    assert parse_datetime("20240101101112.25", where="t") == datetime(
        2024, 1, 1, 10, 11, 12, 250000
    )
    assert parse_datetime("202401011011", where="t", offset=PLUS_ONE) == datetime(
        2024, 1, 1, 10, 11, tzinfo=PLUS_ONE
    )
    own = parse_datetime("20240101101112+0200 ", where="t", offset=PLUS_ONE)
    assert own.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    "text", ["20240101", "2024010110", "2024", "20240101+0100", "20240132101112"]
)
def test_a_truncated_date_time_is_refused(text):
    with pytest.raises(ClockError):
        parse_datetime(text, where="t")


def test_combine_never_borrows_a_date():
    made = combine("20240101", "101112", date_where="d", time_where="t", offset=PLUS_ONE)
    assert made == datetime(2024, 1, 1, 9, 11, 12, tzinfo=UTC)
    with pytest.raises(ClockError):
        combine("", "101112", date_where="d", time_where="t")


def test_instants_are_shown_to_the_nearest_second():
    assert shown(datetime(2024, 1, 1, 10, 59, 59, 900000)) == "2024-01-01 11:00:00"
