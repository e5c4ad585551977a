"""Categories at and around the published thresholds (Wahl 2009; Young 1999), by hand."""

from __future__ import annotations

import math

import pytest

from eprimg.errors import InputError
from eprimg.kernels.response import (
    EortcRules,
    EortcScan,
    PercistRules,
    PercistScan,
    ResponseCategory,
    eortc_response,
    percist_response,
)

PERCIST = PercistRules(1.5, 2.0, 0.3, 20.0, 15.0, 30.0, 0.8, 75.0, 5.0)
EORTC = EortcRules(25.0, 20.0, 15.0, 25.0)
LOOKED = {"new_lesion": False, "extent_grew": False, "resolved": False}
COMPLETE, PARTIAL, STABLE, PROGRESSIVE, NOT = ResponseCategory


def scan(*peaks, tlg=(), liver=1.5, sd=0.2, minutes=60.0):
    return PercistScan(tuple(peaks), tuple(tlg), liver, sd, minutes)


def judged(before, after, **statements):
    return percist_response(before, after, PERCIST, **{**LOOKED, **statements})


@pytest.mark.parametrize(
    ("after", "category"),
    [
        (7.0, PARTIAL),  # -30 % and -3
        (7.01, STABLE),  # -29.9 %
        (13.0, STABLE),  # +30 % is not above 30 %
        (13.01, PROGRESSIVE),
        (10.0, STABLE),
    ],
)
def test_thirty_per_cent(after, category):
    found = judged(scan(10.0, 4.0), scan(after, 2.0))
    assert found.category is category
    assert found.change == pytest.approx(after - 10.0)
    assert found.change_percent == pytest.approx(10.0 * (after - 10.0))


@pytest.mark.parametrize(
    ("after", "category"),
    # The liver of 0.8 +- 0.1 makes 1.4 the threshold; the first scan has 2.0.
    [(1.19, PARTIAL), (1.21, STABLE), (1.20, PARTIAL), (2.79, STABLE), (2.81, PROGRESSIVE)],
)
def test_eight_tenths_of_a_unit(after, category):
    """30 % of 2.0 are 0.6 only: the absolute limit of 0.8 decides."""
    liver = {"liver": 0.8, "sd": 0.1}
    assert judged(scan(2.0, **liver), scan(after, **liver)).category is category


def test_the_hottest_lesion_of_each_scan_counts():
    found = judged(scan(10.0, 6.0), scan(3.0, 6.5))
    assert found.category is PARTIAL
    assert found.change_percent == pytest.approx(-35.0)


def test_measurable_is_one_and_a_half_livers_and_two_sd():
    """1.5 x 1.5 + 2 x 0.2 = 2.65."""
    assert judged(scan(2.65), scan(1.0)).category is PARTIAL
    found = judged(scan(2.64), scan(1.0))
    assert found.category is NOT
    assert "2.64 is below 2.65" in found.reasons[0]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"minutes": 75.0}, "15 min"),
        ({"minutes": math.nan}, "not known"),
        ({"liver": 1.8}, "+0.30 SUL"),
        ({"liver": 1.2}, "-0.30 SUL"),
        ({"liver": math.nan}, "liver of a scan was not measured"),
    ],
)
def test_scans_that_cannot_be_compared(second, words):
    found = judged(scan(10.0), scan(3.0, **second))
    assert found.category is NOT
    assert any(words in r for r in found.reasons)
    assert found.change_percent == pytest.approx(-70.0)


def test_a_liver_that_changed_by_a_fifth():
    """Of 1.0, 0.25 is below 0.3 SUL but is 25 %."""
    found = judged(scan(10.0, liver=1.0), scan(3.0, liver=1.25))
    assert found.category is NOT
    assert "25 %" in found.reasons[0]
    assert judged(scan(10.0, liver=1.2), scan(3.0, liver=1.44)).category is PARTIAL  # 20 %
    assert judged(scan(10.0), scan(3.0, minutes=74.0)).category is PARTIAL


def test_all_obstacles_come_at_once():
    found = judged(scan(2.0), scan(1.0, minutes=90.0, liver=3.0))
    assert len(found.reasons) == 4  # time, liver absolute, liver relative, not measurable


@pytest.mark.parametrize("statement", ["new_lesion", "extent_grew"])
def test_a_reader_sees_progression_whatever_the_numbers(statement):
    assert judged(scan(10.0), scan(3.0), **{statement: True}).category is PROGRESSIVE


def test_total_lesion_glycolysis_of_the_five_hottest():
    """10 + 10 + 10 + 10 + 10 to 87.5 is +75 %, not above it; the sixth lesion does not count."""
    peaks = (9.0, 8.0, 7.0, 6.0, 5.0, 3.0)
    first = scan(*peaks, tlg=(10.0, 10.0, 10.0, 10.0, 10.0, 1.0))
    at = scan(*peaks, tlg=(47.5, 10.0, 10.0, 10.0, 10.0, 500.0))
    assert judged(first, at).category is STABLE
    above = scan(*peaks, tlg=(47.6, 10.0, 10.0, 10.0, 10.0, 1.0))
    found = judged(first, above)
    assert found.category is PROGRESSIVE
    assert "TLG +75.2 %" in found.reasons[0]


def test_complete_needs_a_reader_and_a_lesion_below_the_liver():
    assert judged(scan(10.0), scan(1.4), resolved=True).category is COMPLETE
    assert judged(scan(10.0), scan(), resolved=True).category is COMPLETE
    contradiction = judged(scan(10.0), scan(1.6), resolved=True)
    assert contradiction.category is NOT
    assert "not below the liver mean" in contradiction.reasons[0]
    assert judged(scan(10.0), scan(1.4)).category is PARTIAL
    assert judged(scan(10.0), scan()).category is NOT
    assert judged(scan(), scan(1.0)).category is NOT


def test_what_was_not_judged_is_said():
    found = percist_response(scan(10.0), scan(6.0), PERCIST)
    assert found.category is PARTIAL
    assert len(found.not_judged) == 4
    assert any("TLG" in m for m in found.not_judged)
    with_tlg = judged(scan(10.0, tlg=(5.0,)), scan(6.0, tlg=(4.0,)))
    assert with_tlg.not_judged == ()


@pytest.mark.parametrize(
    ("after", "cycles", "category"),
    [
        (85.0, 1, PARTIAL),
        (85.1, 1, STABLE),
        (85.0, 2, STABLE),
        (75.0, 2, STABLE),  # "greater than 25 %"
        (74.9, 2, PARTIAL),
        (125.0, 1, STABLE),
        (125.1, 1, PROGRESSIVE),
    ],
)
def test_eortc_thresholds(after, cycles, category):
    found = eortc_response(
        EortcScan((60.0, 40.0)),
        EortcScan((after - 30.0, 30.0)),
        EORTC,
        cycles=cycles,
        new_lesion=False,
        resolved=False,
    )
    assert found.category is category
    assert found.change_percent == pytest.approx(after - 100.0)
    assert ("left open" in " ".join(found.reasons)) == (cycles == 2 and after in (75.0, 85.0))


def test_eortc_extent_new_lesion_and_resolution():
    def judge(first_mm, second_mm, **statements):
        return eortc_response(
            EortcScan((10.0,), first_mm),
            EortcScan((5.0,), second_mm),
            EORTC,
            cycles=1,
            **statements,
        )

    assert judge(20.0, 24.0).category is PARTIAL
    assert judge(20.0, 24.1).category is PROGRESSIVE
    assert judge(20.0, 20.0, new_lesion=True).category is PROGRESSIVE
    assert judge(20.0, 20.0, resolved=True).category is COMPLETE
    assert len(judge(math.nan, 20.0).not_judged) == 3
    nothing = eortc_response(EortcScan((0.0,)), EortcScan((1.0,)), EORTC, cycles=1)
    assert nothing.category is NOT


def test_bad_arguments_are_refused():
    for call in (
        lambda: judged(scan(-1.0), scan(1.0)),
        lambda: judged(scan(math.nan), scan(1.0)),
        lambda: judged(scan(10.0, tlg=(1.0, 2.0)), scan(1.0)),
        lambda: eortc_response(EortcScan((1.0,)), EortcScan(()), EORTC, cycles=1),
        lambda: eortc_response(EortcScan((1.0,)), EortcScan((1.0,)), EORTC, cycles=0),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
