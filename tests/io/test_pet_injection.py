from datetime import datetime, timedelta, timezone

import pytest

from eprimg.errors import ClockError
from eprimg.io.pet_injection import injection_instant
from eprimg.model.acquisition import Origin
from tests.io.pet_headers import f18, zr89

ANCHOR = datetime(2024, 1, 4, 10, 30)
ZR89_S, CU64_S, F18_S, C11_S = 282276.0, 45721.44, 6586.2, 1223.1
PLUS_ONE = timezone(timedelta(hours=1))


def codes(found):
    return {f.code for f in found.findings}


def test_a_dated_injection_is_used_as_it_is():
    found = injection_instant(zr89(), ANCHOR, ZR89_S)
    assert found.instant.value == datetime(2024, 1, 1, 10)
    assert found.instant.origin is Origin.HEADER
    assert "(0018,1078)" in found.instant.where
    assert found.findings == ()


@pytest.mark.parametrize(("days", "half_life_s"), [(7, ZR89_S), (2, CU64_S), (5, CU64_S)])
def test_late_immuno_pet_is_computed_with_a_warning(days, half_life_s):
    early = ANCHOR - timedelta(days=days)
    found = injection_instant(
        zr89(start_datetime=early.strftime("%Y%m%d%H%M%S"), start_time=""), ANCHOR, half_life_s
    )
    assert found.instant.value == early
    assert codes(found) == {"W_UPTAKE_LONG"}


@pytest.mark.parametrize(
    ("instant", "half_life_s"),
    [
        ("20231204103000", ZR89_S),  # 31 days
        ("20231230023000", CU64_S),  # 128 h, 10.1 half-lives
        ("20240104113100", ZR89_S),  # 61 min after the reference
        ("19600101100000", ZR89_S),
    ],
)
def test_the_window_of_long_lived_nuclides(instant, half_life_s):
    header = zr89(start_datetime=instant, start_time="", dates_modified=True)
    with pytest.raises(ClockError) as caught:
        injection_instant(header, ANCHOR, half_life_s)
    assert caught.value.code == "E_SUV_TIME"
    assert "(0018,1078)" in str(caught.value)
    assert "(0028,0303)" in str(caught.value)


def test_an_injection_up_to_an_hour_after_the_reference_is_told():
    found = injection_instant(zr89(start_datetime="20240104112900", start_time=""), ANCHOR, ZR89_S)
    assert codes(found) == {"W_INJECTION_LATE"}


def test_a_clock_time_of_a_short_lived_nuclide_takes_the_day_that_fits():
    found = injection_instant(f18(start_datetime=""), ANCHOR, F18_S)
    assert found.instant.value == datetime(2024, 1, 4, 9, 30)
    assert codes(found) == {"I_INJECTION_CLOCK"}


def test_midnight_between_injection_and_scan():
    anchor = datetime(2024, 1, 4, 0, 20)
    found = injection_instant(f18(start_datetime="", start_time="232000"), anchor, F18_S)
    assert found.instant.value == datetime(2024, 1, 3, 23, 20)
    assert "W_MIDNIGHT" in codes(found)
    # a dynamic scan that starts just before midnight, injected just after
    after = injection_instant(
        f18(start_datetime="", start_time="000030"), datetime(2024, 1, 3, 23, 59, 30), F18_S
    )
    assert after.instant.value == datetime(2024, 1, 4, 0, 0, 30)
    assert codes(after) >= {"W_MIDNIGHT", "W_INJECTION_LATE"}


@pytest.mark.parametrize(
    ("clock", "half_life_s"),
    [("042900", F18_S), ("120000", F18_S), ("080000", C11_S)],  # 6.02 h; 22.5 h; 7.4 half-lives
)
def test_a_clock_time_that_fits_no_day_is_refused(clock, half_life_s):
    with pytest.raises(ClockError, match="fits no day"):
        injection_instant(f18(start_datetime="", start_time=clock), ANCHOR, half_life_s)


@pytest.mark.parametrize(
    ("half_life_s", "coded"), [(ZR89_S, None), (CU64_S, None), (41400.0, None), (F18_S, ZR89_S)]
)
def test_a_clock_time_alone_is_refused_when_any_statement_says_long_lived(half_life_s, coded):
    # the last row: scanner left on 18F while the code says 89Zr
    with pytest.raises(ClockError, match="no date"):
        injection_instant(zr89(start_datetime=""), ANCHOR, half_life_s, coded_half_life_s=coded)


def test_just_below_the_limit_a_clock_time_is_enough():
    found = injection_instant(zr89(start_datetime=""), ANCHOR, 41399.0)
    assert found.instant.value == datetime(2024, 1, 4, 10)


def test_shifted_dates_are_rebuilt_for_short_and_refused_for_long_lived_nuclides():
    header = f18(start_datetime="19600614093000", start_time="")
    found = injection_instant(header, ANCHOR, F18_S)
    assert found.instant.value == datetime(2024, 1, 4, 9, 30)
    assert "W_INJECTION_DATE" in codes(found)
    with pytest.raises(ClockError):
        injection_instant(header, ANCHOR, F18_S, coded_half_life_s=ZR89_S)


def test_a_short_lived_injection_the_day_before_is_not_moved_silently():
    # 25 h before, 18F: impossible; the clock alone gives 1 h, which is told
    found = injection_instant(f18(start_datetime="20240103093000"), ANCHOR, F18_S)
    assert found.instant.value == datetime(2024, 1, 4, 9, 30)
    assert "W_INJECTION_DATE" in codes(found)


def test_neither_tag_is_refused():
    with pytest.raises(ClockError, match="missing") as caught:
        injection_instant(f18(start_datetime="", start_time=""), ANCHOR, F18_S)
    assert "study.toml" in (caught.value.action or "")


def test_a_truncated_date_time_is_refused():
    with pytest.raises(ClockError, match="full date and time"):
        injection_instant(f18(start_datetime="20240104"), ANCHOR, F18_S)


def test_two_clock_times_that_disagree_are_told():
    found = injection_instant(zr89(start_time="104500"), ANCHOR, ZR89_S)
    assert found.instant.value == datetime(2024, 1, 1, 10)
    assert codes(found) == {"W_INJECTION_TIME"}
    assert codes(injection_instant(zr89(start_time="x"), ANCHOR, ZR89_S)) == {"W_INJECTION_TIME"}


def test_offsets_count():
    header = zr89(start_datetime="20240101100000+0200", start_time="", offset="+0100")
    found = injection_instant(header, ANCHOR.replace(tzinfo=PLUS_ONE), ZR89_S)
    assert ANCHOR.replace(tzinfo=PLUS_ONE) - found.instant.value == timedelta(hours=73, minutes=30)
    header = zr89(start_datetime="20240101100000+0200", start_time="100000")
    found = injection_instant(header, ANCHOR, ZR89_S)
    assert found.instant.value == datetime(2024, 1, 1, 10)
    assert codes(found) == {"W_TIMEZONE"}
    with pytest.raises(ClockError, match="offset"):
        injection_instant(zr89(start_datetime="20240101100000+0200", start_time=""), ANCHOR, ZR89_S)


def test_an_entered_instant_wins_and_is_checked_like_the_headers():
    entered = datetime(2024, 1, 2, 10)
    found = injection_instant(zr89(), ANCHOR, ZR89_S, entered=entered)
    assert found.instant.value == entered
    assert found.instant.origin is Origin.ENTERED
    local = injection_instant(
        zr89(offset="+0100"), ANCHOR.replace(tzinfo=PLUS_ONE), ZR89_S, entered=entered
    )
    assert local.instant.value == entered.replace(tzinfo=PLUS_ONE)
    with pytest.raises(ClockError):
        injection_instant(zr89(), ANCHOR, ZR89_S, entered=datetime(2023, 1, 2, 10))
    with pytest.raises(ClockError, match="offset"):
        injection_instant(zr89(), ANCHOR, ZR89_S, entered=entered.replace(tzinfo=PLUS_ONE))


def test_strict_mode_takes_less_than_two_half_lives():
    # 2 x 78.41 h are 156.82 h
    for hours, good in ((156.0, True), (157.0, False), (168.0, False)):
        stamp = (ANCHOR - timedelta(hours=hours)).strftime("%Y%m%d%H%M%S")
        header = zr89(start_datetime=stamp, start_time="")
        assert injection_instant(header, ANCHOR, ZR89_S).instant.value is not None
        if good:
            assert injection_instant(header, ANCHOR, ZR89_S, strict=True).instant.value
            continue
        with pytest.raises(ClockError, match="half-lives") as caught:
            injection_instant(header, ANCHOR, ZR89_S, strict=True)
        assert "(0018,1078)" in str(caught.value)
        assert "pet.mode" in str(caught.value)


def test_a_rebuilt_date_keeps_the_clock_of_the_scanner():
    # 11:30 at +0300 is 09:30 on the scanner's clock at +0100; the year is of de-identification
    header = f18(start_datetime="20200104113000+0300", start_time="", offset="+0100")
    found = injection_instant(header, ANCHOR.replace(tzinfo=PLUS_ONE), F18_S)
    assert found.instant.value == datetime(2024, 1, 4, 9, 30, tzinfo=PLUS_ONE)
    assert "W_INJECTION_DATE" in codes(found)
