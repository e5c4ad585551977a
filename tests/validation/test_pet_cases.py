"""All 58 cases of IBSI-SUV v3.0.1, and 89Zr and 64Cu over many days, against the forward model."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.validation.pet_cases import ERRORS, VALID, Case, judge, make
from tests.validation.pet_objects import CU64, ZR89, Truth, Writing, write_classic

TOLERANCE = 1e-3
"""0.1 %: rounding to 16 bits is at most 0.03 % of the smallest value here."""


def test_there_are_58_cases() -> None:
    assert (len(VALID), len(ERRORS)) == (43, 15)
    assert len({c.number for c in VALID}) == 43


@pytest.mark.parametrize("mode", ["strict", "lenient"])
@pytest.mark.parametrize("case", VALID, ids=lambda c: c.number)
def test_a_valid_object_gives_the_true_suv(case: Case, mode: str, tmp_path) -> None:
    found = judge(make(case, tmp_path / "object"), mode)
    assert found.suv is not None, found.text
    assert [round(v, 2) for v in found.suv] == [0.20, 1.00, 4.00]
    assert found.worst < TOLERANCE
    assert found.facts.mode == mode
    assert found.facts.voxel_rule
    assert found.facts.reference_rule


@pytest.mark.parametrize("mode", ["strict", "lenient"])
@pytest.mark.parametrize("case", ERRORS, ids=lambda c: f"error-{c.number}")
def test_an_object_that_is_no_basis_is_refused_by_tag(case: Case, mode: str, tmp_path) -> None:
    found = judge(make(case, tmp_path / "object"), mode)
    if mode == "lenient" and case.lenient:
        assert found.suv is not None
        assert found.worst < 2e-3  # the table's half-life is the header's
        assert "W_HALF_LIFE" in found.codes
        return
    assert found.suv is None
    assert case.refused is not None
    code, number = case.refused
    assert found.codes == (code,)
    assert number in found.text


# 89Zr from 1 h to 10 d, 64Cu from 1 h to 72 h; odd minutes, so that midnight lies anywhere
AGES = [
    *((ZR89, h) for h in (1.0, 6.5, 24.5, 72.5, 120.0, 168.0, 240.0)),
    *((CU64, h) for h in (1.0, 4.2, 12.7, 24.0, 48.0, 72.0)),
]
SUMMER, WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
FAR = timezone(timedelta(hours=-5))


def scan_of_ages() -> datetime:
    """Just after midnight, so that any injection an hour earlier on is of another day."""
    return datetime(2024, 3, 8, 0, 20)


def object_at(half_life_s: float, hours: float, how: Writing, scan: datetime, folder):
    """Everything in the clock of the scanner; the elapsed time is what truly passed."""
    truth = Truth(
        injected=scan - timedelta(hours=hours),
        reference=scan,
        starts=(scan, scan + timedelta(minutes=5), scan + timedelta(minutes=10)),
        half_life_s=half_life_s,
        dose_bq=74e6,
    )
    return write_classic(folder, truth, how)


@pytest.mark.parametrize(("half_life_s", "hours"), AGES)
def test_long_lived_nuclides_over_many_days(half_life_s: float, hours: float, tmp_path) -> None:
    folder = object_at(half_life_s, hours, Writing("SIEMENS"), scan_of_ages(), tmp_path)
    found = judge(folder, "lenient")
    assert found.worst < TOLERANCE, found.text
    assert ("W_UPTAKE_LONG" in found.codes) is (hours * 3600 > 2 * half_life_s)
    strict = judge(folder, "strict")
    if hours * 3600 >= 2 * half_life_s:
        assert strict.codes == ("E_SUV_TIME",)
        assert "lenient" in strict.text
    else:
        assert strict.worst < TOLERANCE


@pytest.mark.parametrize(("half_life_s", "hours"), AGES)
def test_a_lost_date_is_refused_at_any_age(half_life_s: float, hours: float, tmp_path) -> None:
    how = Writing("SIEMENS", drug={"RadiopharmaceuticalStartDateTime": None})
    folder = object_at(half_life_s, hours, how, datetime(2024, 3, 8, 15, 20), tmp_path)
    for mode in ("lenient", "strict"):
        found = judge(folder, mode)
        assert found.codes == ("E_SUV_TIME",)
        assert "(0018,1078)" in found.text


@pytest.mark.parametrize(("half_life_s", "hours"), AGES)
@pytest.mark.parametrize("zone", [SUMMER, FAR], ids=["daylight saving", "other time zone"])
def test_instants_are_compared_across_clocks(half_life_s, hours, zone, tmp_path) -> None:
    # the clocks went forward in Europe on 2024-03-31 at 01:00 UTC: injected in winter time or in
    # another zone, scanned in summer time; all by the true time that passed
    scan = datetime(2024, 3, 31, 14, 0, tzinfo=SUMMER)
    injected = (scan - timedelta(hours=hours)).astimezone(WINTER if zone is SUMMER else FAR)
    stamp = injected.strftime("%Y%m%d%H%M%S%z")
    how = Writing(
        "SIEMENS",
        offset="+0200",
        drug={
            "RadiopharmaceuticalStartDateTime": stamp,
            "RadiopharmaceuticalStartTime": injected.strftime("%H%M%S"),
        },
    )
    folder = object_at(half_life_s, hours, how, scan.replace(tzinfo=None), tmp_path)
    found = judge(folder, "lenient")
    assert found.worst < TOLERANCE, found.text
    assert found.facts.hours_after_injection == pytest.approx(hours)
