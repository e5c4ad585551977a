"""Radians of a stored phase value: only what the header states."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.errors import InputError
from eprimg.io.instance import Instance
from eprimg.io.phase_scale import phase_rescale, sign_words

SIEMENS = Instance(
    Path("p.dcm"), manufacturer="SIEMENS", bits_allocated=16, bits_stored=12, slope=2.0,
    intercept=-4096.0, rescale_type="US",
)  # fmt: skip
PHILIPS = replace(
    SIEMENS, manufacturer="Philips Medical Systems", slope=6284 / 4095, intercept=-3142.0,
    rescale_type="mrad", philips_scale_slope=651.739501953125,
)  # fmt: skip


def refused(frame):
    with pytest.raises(InputError) as caught:
        phase_rescale(frame, what="series mr-1")
    assert caught.value.code == "E_PHASE"
    assert "0028,1053" in str(caught.value.where)
    return str(caught.value)


def test_siemens_full_scale_is_one_turn():
    # -4096 is -pi, 0 is 0, 4094 is the last step before +pi (CMRR-C2P/MB issue 238)
    slope, intercept = phase_rescale(SIEMENS, what="x")
    assert intercept == pytest.approx(-math.pi, rel=1e-12)
    assert slope * 2048 + intercept == pytest.approx(0.0, abs=1e-12)
    assert slope * 4095 + intercept == pytest.approx(math.pi * 4094 / 4096, rel=1e-12)


def test_philips_milliradian():
    slope, intercept = phase_rescale(PHILIPS, what="x")
    assert (slope * 4095 + intercept, intercept) == pytest.approx((3.142, -3.142), rel=1e-9)


@pytest.mark.parametrize("word", ["", "US", "normalized"])
def test_philips_without_the_word_by_its_full_scale(word):
    assert phase_rescale(replace(PHILIPS, rescale_type=word), what="x") == phase_rescale(
        PHILIPS, what="x"
    )


def test_signed_stored_values():
    frame = replace(
        SIEMENS, pixel_representation=1, slope=1.0, intercept=0.0, bits_stored=12,
        rescale_type="mrad", manufacturer="Imaginary",
    )  # fmt: skip
    assert phase_rescale(frame, what="x") == (0.001, 0.0)  # -2.048 to 2.047 rad


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 1.0, "intercept": 0.0},  # stored 0 to 4095 without a rescale
        {"intercept": -4000.0},  # not symmetric
        {"slope": 1.0},  # half the range
        {"manufacturer": "GE MEDICAL SYSTEMS"},  # no full scale defined
        {"manufacturer": ""},
        {"bits_stored": 16},
    ],
)
def test_a_range_that_is_not_stated_is_refused(change):
    assert "does not state" in refused(replace(SIEMENS, **change))


def test_ge_milliradian_without_a_unit_is_refused():
    ge = replace(
        SIEMENS, manufacturer="GE MEDICAL SYSTEMS", slope=1.0, intercept=0.0, bits_stored=16,
        pixel_representation=1,
    )  # fmt: skip
    assert "does not state" in refused(ge)


def test_more_than_one_turn_is_refused():
    assert "more than one turn" in refused(replace(PHILIPS, slope=2 * 6284 / 4095))
    assert "more than one turn" in refused(
        replace(PHILIPS, rescale_type="rad", philips_scale_slope=None)
    )


def test_philips_scale_slope_that_contradicts_is_refused():
    assert "scale slope" in refused(replace(PHILIPS, philips_scale_slope=600.0))


def test_the_sign_is_not_claimed():
    assert "no element states" in sign_words([PHILIPS])
