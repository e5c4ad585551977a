import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from eprimg.errors import ClockError, MissingTagError
from eprimg.io.pet_reference import (
    acquisition_instants,
    counted_from,
    reference_instant,
    relative_change,
    series_offset,
)
from tests.io.pet_headers import f18, slices

HALF_LIFE_S = 6586.2
SERIES = datetime(2024, 1, 4, 10, 30)
COMPUTED = "AcquisitionTime and FrameReferenceTime"


def choose(header, half_life_s=HALF_LIFE_S, **options):
    return reference_instant(header, acquisition_instants(header), half_life_s, **options)


def mean_time_s(duration_s):
    # numeric mean of the decaying activity over the frame, solved for the time it is reached
    rate, n = math.log(2) / HALF_LIFE_S, 20000
    step = duration_s / n
    mean = sum(math.exp(-rate * (k + 0.5) * step) for k in range(n)) / n
    return -math.log(mean) / rate


def beds(times, references, duration_s=300.0):
    return tuple(
        replace(s, acquisition_time=t, frame_reference_s=r, duration_s=duration_s)
        for s, t, r in zip(slices(len(times)), times, references, strict=True)
    )


def test_series_time_is_taken_when_it_is_not_later_than_the_acquisition():
    found = choose(f18())
    assert (found.instant, found.rule) == (SERIES, "SeriesTime")
    assert found.findings == ()


def test_a_private_decay_date_time_comes_first():
    header = f18(private_decay="20240104102800.00", private_decay_where="GE (0009,100D)")
    found = choose(header)
    assert found.instant == datetime(2024, 1, 4, 10, 28)
    assert found.rule == "private decay date-time"
    # 2 min of 18F are 1.27 %: told
    assert [f.code for f in found.findings] == ["W_REFERENCE_TIME"] * 2
    assert "1.3 %" in found.findings[0].text


@pytest.mark.parametrize("text", ["19600104102800", "2024", "20240104102800+0100"])
def test_a_private_date_time_that_cannot_be_used_is_told_and_left(text):
    found = choose(f18(private_decay=text, private_decay_where="GE (0009,100D)"))
    assert found.rule == "SeriesTime"
    assert found.findings[0].code == "W_REFERENCE_TIME"


def test_a_late_series_time_is_replaced_by_the_back_computed_instant():
    shift = mean_time_s(300.0)
    pieces = beds(("103000", "103500"), (shift + 60.0, shift + 360.0))
    found = choose(f18(series_time="110000", slices=pieces))
    assert found.rule == COMPUTED
    assert abs((found.instant - datetime(2024, 1, 4, 10, 29)).total_seconds()) < 1e-3
    assert {f.code for f in found.findings} == {"W_REFERENCE_TIME"}
    assert any("later than the acquisition" in f.text for f in found.findings)
    names = dict(found.candidates)
    assert names["SeriesTime (later than the acquisition, not used)"] == datetime(2024, 1, 4, 11)


def test_ge_counts_frame_reference_time_from_the_frame_start():
    pieces = beds(("103000", "103500"), (0.0, 300.0))
    header = f18(manufacturer="GE MEDICAL SYSTEMS", series_time="110000", slices=pieces)
    found = choose(header)
    assert (found.rule, found.instant) == (COMPUTED, SERIES)


def test_six_beds_with_one_acquisition_time_keep_series_time():
    pieces = beds(("103000",) * 6, tuple(243.0 * k for k in range(6)))
    found = choose(f18(manufacturer="GE MEDICAL SYSTEMS", slices=pieces))
    assert (found.rule, found.instant) == ("SeriesTime", SERIES)
    assert any("differs by 1215 s between slices, not used" in n for n, _ in found.candidates)
    assert found.findings == ()


def test_without_anything_else_the_earliest_acquisition_is_taken_and_told():
    found = choose(f18(series_time=""))
    assert (found.rule, found.instant) == ("earliest AcquisitionTime", SERIES)
    assert [f.code for f in found.findings] == ["W_REFERENCE_TIME"]


@pytest.mark.parametrize("manufacturer", ["", "SIEMENS"])
def test_the_last_rule_needs_the_frame_duration(manufacturer):
    pieces = beds(("103000",) * 2, (150.0, 150.0), None)
    with pytest.raises(MissingTagError) as caught:
        choose(f18(manufacturer=manufacturer, series_time="110000", slices=pieces))
    assert caught.value.code == "E_PET_DURATION"
    # not needed when SeriesTime can be used, nor for GE
    assert choose(f18(slices=pieces)).rule == "SeriesTime"
    general = choose(f18(manufacturer="GE", series_time="110000", slices=pieces))
    assert general.rule == COMPUTED


def test_candidates_that_disagree_by_more_than_a_fifth_are_refused_until_decided():
    # 40 min of 18F are 29 %
    header = f18(series_time="095000")
    with pytest.raises(ClockError, match="in doubt") as caught:
        choose(header)
    assert caught.value.code == "E_SUV_TIME"
    decided = choose(header, entered=SERIES)
    assert (decided.instant, decided.rule) == (SERIES, "entered by the user")
    assert "W_REFERENCE_TIME" in {f.code for f in decided.findings}


def test_a_late_frame_of_a_long_series_is_no_doubt_when_two_sources_agree():
    # frame 25 of a dynamic series: start 40 min after the series, FrameReferenceTime says so
    piece = beds(("103000",), (2400.0 + mean_time_s(300.0),))
    found = choose(f18(series_time="095000", slices=piece))
    assert (found.rule, found.instant) == ("SeriesTime", datetime(2024, 1, 4, 9, 50))
    assert [f.code for f in found.findings] == ["W_REFERENCE_TIME"]


def test_several_starts_behind_one_computed_reference_confirm_it():
    starts = ("103000", "111000", "115000")
    shift = mean_time_s(300.0)
    pieces = beds(starts, tuple(shift + 2400.0 * (k + 1) for k in range(3)))
    found = choose(f18(series_time="120000", slices=pieces))
    assert found.rule == COMPUTED
    assert abs((found.instant - datetime(2024, 1, 4, 9, 50)).total_seconds()) < 1e-3


def test_a_series_date_from_another_year_is_not_used():
    found = choose(f18(series_date="19600104"))
    assert found.rule == "earliest AcquisitionTime"
    assert any("over a day before" in n for n, _ in found.candidates)
    unreadable = choose(f18(series_date="1960"))
    assert unreadable.rule == "earliest AcquisitionTime"


def test_the_offset_of_the_header_is_part_of_the_instant():
    header = f18(offset="+0100")
    assert series_offset(header) == timezone(timedelta(hours=1))
    assert choose(header).instant == SERIES.replace(tzinfo=timezone(timedelta(hours=1)))
    assert series_offset(f18()) is None


def test_a_slice_without_acquisition_time_is_refused():
    with pytest.raises(ClockError) as caught:
        acquisition_instants(f18(slices=slices(acquisition_date="")))
    assert "(0008,0022)" in str(caught.value)


def test_a_stated_instant_is_the_definition_not_a_candidate():
    # half an hour before SeriesTime: 2^(1800/6586.2) is 21 %, which two candidates may not differ
    found = choose(f18(decay_datetime="20240104100000"))
    assert (found.rule, found.instant) == ("DecayCorrectionDateTime", datetime(2024, 1, 4, 10))
    assert any("20.9 %" in f.text for f in found.findings)
    with pytest.raises(ClockError):
        choose(f18(private_decay="20240104100000", private_decay_where="GE"))


def test_a_stated_instant_at_the_injection_is_taken_and_elsewhere_refused():
    days = {"start_datetime": "20240101100000", "start_time": ""}
    found = choose(f18(decay_datetime="20240101100000", **days), half_life_s=282276.0)
    assert found.instant == datetime(2024, 1, 1, 10)
    for odd in ("20240102100000", "2024", "20500101100000"):
        with pytest.raises(ClockError) as caught:
            choose(f18(decay_datetime=odd, **days), half_life_s=282276.0)
        assert "(0018,9701)" in str(caught.value)


def test_the_instant_that_frame_reference_time_is_counted_from():
    pieces = beds(("103000", "103500"), (60.0, 360.0))
    general = f18(manufacturer="GE MEDICAL SYSTEMS", slices=pieces)
    at = datetime(2024, 1, 4, 10, 29)
    acquired = acquisition_instants(general)
    assert counted_from(general, acquired, HALF_LIFE_S) == [at, at]
    other = counted_from(f18(slices=pieces), acquired, HALF_LIFE_S)
    assert [(o - at).total_seconds() for o in other] == pytest.approx([mean_time_s(300.0)] * 2)
    without = f18(slices=beds(("103000", "103500"), (60.0, 360.0), None))
    assert counted_from(without, acquired, HALF_LIFE_S) is None


def test_the_change_of_suv_by_a_moved_instant():
    assert relative_change(HALF_LIFE_S, HALF_LIFE_S) == pytest.approx(1.0)
    assert relative_change(-HALF_LIFE_S / 2, HALF_LIFE_S) == pytest.approx(math.sqrt(2) - 1)
    assert math.isfinite(relative_change(1e300, 1e-5))
