from dataclasses import replace

import pytest

from eprimg.errors import ClockError, EprimgError
from eprimg.io.pet_frame_times import check_frame_times
from eprimg.io.pet_reference import acquisition_instants
from eprimg.io.pet_rules import pet_acquisition
from tests.io.pet_headers import f18, slices, zr89

F18_S, ZR89_S = 6586.2, 282276.0
GE = "GE MEDICAL SYSTEMS"


def told(header, half_life_s=F18_S):
    findings = []
    check_frame_times(header, acquisition_instants(header), half_life_s, findings)
    assert all("(" in f.where for f in findings)
    return [f.code for f in findings]


def beds(references, times=("103000",) * 6, duration_s=240.0, **header):
    pieces = tuple(
        replace(s, acquisition_time=t, frame_reference_s=r, duration_s=duration_s)
        for s, t, r in zip(slices(len(references)), times, references, strict=False)
    )
    return f18(slices=pieces, decay_correction="NONE", corrections=("ATTN", "SCAT"), **header)


def test_the_instant_that_stands_for_a_frame_is_compared():
    def by(stamp):
        return told(f18(slices=slices(reference_datetime=stamp)))

    # the mean time of 300 s is 149 s after 10:30
    assert by("20240104103229") == []
    assert by("") == []
    assert by("20240104103500") == ["W_REFERENCE_TIME"]
    with pytest.raises(ClockError, match="FrameReferenceDateTime"):
        by("20240104113229")


@pytest.mark.parametrize("manufacturer", [GE, "SIEMENS", ""])
def test_beds_with_one_acquisition_time_are_told_or_refused(manufacturer):
    def by(step_s, half_life_s=F18_S):
        references = tuple(100.0 + step_s * k for k in range(6))
        return told(beds(references, manufacturer=manufacturer), half_life_s)

    # 2^(1215 s / 6586.2 s) - 1 = 13.6 %
    assert by(243.0) == ["W_REFERENCE_TIME"]
    # 1 % of 18F: 6586.2 log2(1.01) = 94.55 s over five steps
    assert by(94.4 / 5) == []
    assert by(94.7 / 5) == ["W_REFERENCE_TIME"]
    # 20 %: 6586.2 log2(1.2) = 1732.4 s
    assert by(1732.0 / 5) == ["W_REFERENCE_TIME"]
    with pytest.raises(ClockError, match="FrameReferenceTime") as caught:
        by(1733.0 / 5)
    assert caught.value.code == "E_SUV_TIME"
    assert "(0054,1300)" in str(caught.value)
    assert caught.value.action
    # 89Zr hardly decays in 20 min: 0.3 %
    assert by(243.0, ZR89_S) == []


def test_times_that_agree_are_not_told():
    starts = ("103000", "103400", "103800", "104200", "104600", "105000")
    own = tuple(240.0 * k for k in range(6))
    assert told(beds(own, starts, manufacturer=GE)) == []
    assert told(beds(tuple(119.5 + r for r in own), starts)) == []
    # 50 min of beds; FrameReferenceTime of each counted from its own start, or not given
    far = ("103000", "104000", "105000", "110000", "111000", "112000")
    assert told(beds((119.5,) * 6, far)) == []
    assert told(beds((0.0,) * 6, far)) == []
    assert told(beds((None,) * 6, far)) == []
    assert told(beds((0.0, None, 2.0, 3.0, 4.0, 5.0), far)) == []
    # one bed: all slices at once
    assert told(beds((3000.0,) * 6)) == []
    # without a duration the header is refused elsewhere
    assert told(beds((1.0, 9999.0), duration_s=None)) == []


def test_one_reference_longer_than_the_frame_is_counted_from_the_series():
    # every slice 3000 s after it by the one clock, 0 to 900 s apart by the other: 9.9 %
    starts = ("103000", "103300", "103600", "103900", "104200", "104500")
    assert told(beds((3000.0,) * 6, starts)) == ["W_REFERENCE_TIME"]


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_the_reader_asks_only_where_nothing_is_decay_corrected(mode):
    def codes(header):
        found = pet_acquisition(header, mode=mode).findings
        return [f.code for f in found if f.code == "W_REFERENCE_TIME"]

    none = beds(tuple(243.0 * k for k in range(6)), manufacturer=GE)
    assert codes(none) == ["W_REFERENCE_TIME"]
    # START, with SeriesTime, is sure
    assert codes(replace(none, decay_correction="START", corrections=("DECY", "ATTN"))) == []
    with pytest.raises(EprimgError) as caught:
        codes(beds(tuple(400.0 * k for k in range(6)), manufacturer=GE))
    assert caught.value.code == "E_SUV_TIME"
    slow = zr89(slices=none.slices, decay_correction="NONE", corrections=("ATTN",))
    assert codes(replace(slow, start_datetime="20240103100000")) == []
