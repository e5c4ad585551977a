import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from eprimg.errors import ClockError, EprimgError, MissingTagError
from eprimg.io.pet_header import NuclideCode
from eprimg.io.pet_rules import pet_acquisition
from eprimg.model.acquisition import Origin
from tests.io.pet_headers import CU64, f18, slices, zr89
from tests.io.pet_uptake import uptake

TRUTH = json.loads(
    (Path(__file__).parent.parent / "truth" / "pet_long_lived.json").read_text(encoding="utf-8")
)
LN2 = math.log(2)


def codes(result):
    return {f.code for f in result.findings}


def at_hours(nuclide, hours, **changes):
    injected = datetime(2024, 1, 4, 10, 30) - timedelta(hours=hours)
    facts = {
        "start_datetime": injected.strftime("%Y%m%d%H%M%S"),
        "start_time": injected.strftime("%H%M%S"),
        **changes,
    }
    return zr89(**facts) if nuclide == "89Zr" else zr89(nuclide=CU64, **facts)


@pytest.mark.parametrize("case", TRUTH["cases"], ids=lambda c: c["name"])
def test_days_between_injection_and_scan_count_in_full(case):
    header = at_hours(
        case["nuclide"],
        case["hours"],
        dose=case["dose_bq"],
        half_life_s=case["half_life_s"],
        weight_kg=case["weight_kg"],
    )
    result = pet_acquisition(header)
    scale = uptake(result.value)
    assert scale.suvbw_factor == pytest.approx(
        case["suvbw_factor"], rel=TRUTH["tolerance_relative"]
    )
    assert result.value.hours_after_injection == pytest.approx(case["hours"])
    assert ("W_UPTAKE_LONG" in codes(result)) is case["warn"]
    assert result.value.injection.nuclide.value == case["nuclide"]
    assert result.value.injection.instant.origin is Origin.HEADER


@pytest.mark.parametrize("hours", [24.5, 72.5, 144.5])
def test_dropping_the_date_would_have_been_seen(hours):
    # guards the test above: clock times alone give another number, by the factor of the truth file
    right = uptake(pet_acquisition(at_hours("89Zr", hours)).value).suvbw_factor
    clock = uptake(pet_acquisition(at_hours("89Zr", hours % 24)).value).suvbw_factor
    expected = TRUTH["dropped_date"]["hours_to_factor"][str(hours)]
    assert clock / right == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("nuclide", "half_life_s"), [("89Zr", 282276.0), ("64Cu", 45721.44)])
def test_a_clock_time_alone_is_refused_for_long_lived_nuclides(nuclide, half_life_s):
    header = at_hours(nuclide, 24.5, start_datetime="", half_life_s=half_life_s)
    with pytest.raises(ClockError) as caught:
        pet_acquisition(header)
    text = str(caught.value)
    assert caught.value.code == "E_SUV_TIME"
    assert "(0018,1072)" in text
    assert "(0018,1078)" in text
    assert "study.toml" in text
    assert "instant" in text


def test_an_entered_instant_mends_it_and_is_recorded():
    header = at_hours("89Zr", 72.5, start_datetime="")
    result = pet_acquisition(header, entered={"injection_instant": "2024-01-01T10:00:00"})
    assert uptake(result.value).suvbw_factor == pytest.approx(
        TRUTH["cases"][1]["suvbw_factor"], rel=1e-9
    )
    assert result.value.injection.instant.origin is Origin.ENTERED
    assert "I_ENTERED" in codes(result)


def test_start_admin_and_none_by_their_formulas():
    # independent: plain formulas of the IBSI manual with math.exp
    rate, dose, grams = LN2 / 6586.2, 370e6, 70000.0
    start = uptake(pet_acquisition(f18()).value)
    assert start.suvbw_factor == pytest.approx(grams / (dose * math.exp(-rate * 3600)), rel=1e-12)
    assert start.slice_factors == (1.0,) * 6
    assert start.dose_at_reference_bq == pytest.approx(dose * math.exp(-rate * 3600), rel=1e-12)
    admin = uptake(pet_acquisition(f18(decay_correction="ADMIN")).value)
    assert admin.suvbw_factor == pytest.approx(grams / dose, rel=1e-12)
    pieces = tuple(
        replace(s, acquisition_time=t, duration_s=d)
        for s, t, d in zip(
            slices(3), ("103000", "103500", "104000"), (300.0, 300.0, 1200.0), strict=True
        )
    )
    none = uptake(
        pet_acquisition(
            f18(decay_correction="NONE", slices=pieces, corrections=("ATTN", "SCAT"))
        ).value,
        n_slices=3,
    )
    for factor, late, length in zip(
        none.slice_factors, (0, 300, 600), (300, 300, 1200), strict=True
    ):
        expected = rate * length / (1 - math.exp(-rate * length)) * math.exp(rate * (3600 + late))
        assert factor == pytest.approx(expected, rel=1e-10)
    assert none.dose_at_reference_bq == dose


def test_admin_needs_neither_clock_nor_half_life():
    header = zr89(decay_correction="ADMIN", start_datetime="")
    result = pet_acquisition(header)
    assert uptake(result.value).suvbw_factor == pytest.approx(70000 / 37e6)
    assert result.value.hours_after_injection is None
    assert "W_UPTAKE_UNKNOWN" in codes(result)
    bare = zr89(decay_correction="ADMIN", half_life_s=None, nuclide=f18().nuclide.__class__())
    assert uptake(pet_acquisition(bare).value).dose_at_reference_bq == 37e6


def test_all_faults_come_together():
    header = zr89(units="CNTS", weight_kg=None, dose=0.0, start_datetime="", corrections=("SCAT",))
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(header)
    assert {f.code for f in caught.value.faults} == {
        "E_PET_UNITS",
        "E_SUV_WEIGHT",
        "E_SUV_DOSE",
        "E_SUV_TIME",
        "E_UNCORRECTED",
    }


def test_faults_found_before_are_raised_too():
    before = [MissingTagError("x", code="E_NUMERIC")]
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(zr89(weight_kg=None), faults=before)
    assert [f.code for f in caught.value.faults] == ["E_NUMERIC", "E_SUV_WEIGHT"]
    assert len(before) == 1


def test_a_residual_is_taken_off_at_the_injection():
    # 20 MBq measured one hour after the injection were 20 * 2^(3600/6586.2) at the injection
    result = pet_acquisition(
        f18(), entered={"residual_mbq": 20.0, "residual_instant": datetime(2024, 1, 4, 10, 30)}
    )
    expected = 370e6 - 20e6 * 2 ** (3600 / 6586.2)
    assert result.value.injection.dose_bq.value == pytest.approx(expected, rel=1e-12)
    assert result.value.injection.dose_bq.origin is Origin.ENTERED
    assert "I_RESIDUAL" in codes(result)
    with pytest.raises(EprimgError, match="residual"):
        pet_acquisition(
            f18(), entered={"residual_mbq": 300.0, "residual_instant": datetime(2024, 1, 4, 10, 30)}
        )


@pytest.mark.parametrize(
    ("kind", "right"),
    # by hand: W / (D 2^(-t/T)), 70 kg, 370 MBq, one hour of 6586.2 s; ADMIN W / D
    [("START", 70000.0 / (370e6 * 2.0 ** (-3600.0 / 6586.2))), ("ADMIN", 70000.0 / 370e6)],
)
def test_private_vendor_factors_are_compared_never_used(kind, right):
    def judged(suv):
        return pet_acquisition(
            f18(decay_correction=kind, philips_suv_factor=suv, philips_activity_factor=0.5)
        )

    other = judged(right)
    assert "W_PHILIPS_FACTOR" in codes(other)
    assert any("+100.00 %" in f.text for f in other.findings)
    assert uptake(other.value).suvbw_factor == pytest.approx(right, rel=1e-12)
    # agreement is within 1 %
    assert "I_PHILIPS_FACTOR" in codes(judged(right * 0.5 * 1.0099))
    assert "W_PHILIPS_FACTOR" in codes(judged(right * 0.5 * 1.0101))


def test_private_vendor_factors_say_nothing_about_values_that_are_not_decay_corrected():
    result = pet_acquisition(
        f18(decay_correction="NONE", philips_suv_factor=1.0, philips_activity_factor=0.5)
    )
    assert not {"I_PHILIPS_FACTOR", "W_PHILIPS_FACTOR"} & codes(result)


def test_no_acquisition_time_is_refused_unless_the_reference_was_entered():
    header = f18(slices=slices(acquisition_time=""))
    with pytest.raises(ClockError):
        pet_acquisition(header)
    result = pet_acquisition(header, entered={"reference_instant": datetime(2024, 1, 4, 10, 30)})
    assert result.value.hours_after_injection == pytest.approx(1.0)
    assert result.value.reference_rule == "entered by the user"


def test_the_report_is_told_rule_and_uptake_time():
    result = pet_acquisition(f18())
    texts = {f.code: f.text for f in result.findings}
    assert "SeriesTime" in texts["I_REFERENCE_TIME"]
    assert "1.00 h after the injection" in texts["I_UPTAKE_TIME"]


def test_suv_is_linear_in_weight_and_inverse_in_dose():
    one = uptake(pet_acquisition(zr89()).value).suvbw_factor
    heavy = uptake(pet_acquisition(zr89(weight_kg=140.0)).value).suvbw_factor
    strong = uptake(pet_acquisition(zr89(dose=74e6)).value).suvbw_factor
    assert heavy == pytest.approx(2 * one)
    assert strong == pytest.approx(one / 2)


def test_a_residual_on_another_kind_of_clock_is_refused():
    from datetime import UTC

    with pytest.raises(ClockError, match="offset"):
        pet_acquisition(
            f18(),
            entered={
                "residual_mbq": 1.0,
                "residual_instant": datetime(2024, 1, 4, 10, 30, tzinfo=UTC),
            },
        )


def test_entered_instants_without_offset_are_on_the_clock_of_the_header():
    header = f18(offset="+0100", start_datetime="")
    result = pet_acquisition(
        header,
        entered={
            "reference_instant": datetime(2024, 1, 4, 10, 30),
            "residual_mbq": 1.0,
            "residual_instant": datetime(2024, 1, 4, 9, 30),
        },
    )
    assert result.value.reference_instant.utcoffset() == timedelta(hours=1)
    assert result.value.injection.dose_bq.value == pytest.approx(369e6)


# 89Zr coded (282276 s), half-life of 64Cu (45721.44 s): SUV differs by 2^(hours x 0.0659842), by
# hand from 3600/45721.44 - 3600/282276; that is 1.2 at 3.986 h and 27.55 at 72.5 h
CU64_S = 45721.44


def test_a_half_life_that_contradicts_the_nuclide_and_makes_the_number_is_refused():
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(at_hours("89Zr", 72.5, half_life_s=CU64_S))
    assert caught.value.code == "E_SUV_HALF_LIFE"
    text = str(caught.value)
    for words in ("45721.4 s", "282276 s", "89Zr", "27.5 times", "(0018,1075)", "nuclide"):
        assert words in text
    assert "study.toml" in text


@pytest.mark.parametrize("kind", ["START", "NONE"])
def test_twenty_per_cent_of_suv_divide_warning_and_refusal(kind):
    facts = {"half_life_s": CU64_S, "decay_correction": kind}
    if kind == "NONE":
        facts["corrections"] = ("ATTN", "SCAT")
    assert "W_NUCLIDE" in codes(pet_acquisition(at_hours("89Zr", 3.97, **facts)))
    with pytest.raises(EprimgError, match="1.2 times"):
        pet_acquisition(at_hours("89Zr", 4.0, **facts))


def test_without_decay_correction_the_latest_slice_counts():
    late = (*slices(2), replace(slices(1)[0], acquisition_time="110000"))
    header = at_hours(
        "89Zr",
        3.6,
        half_life_s=CU64_S,
        decay_correction="NONE",
        corrections=("ATTN", "SCAT"),
        slices=late,
    )
    with pytest.raises(EprimgError, match="over the 4.1 h"):
        pet_acquisition(header)


@pytest.mark.parametrize(
    ("entered", "half_life_s"),
    [({"nuclide": "89Zr"}, 282276.0), ({"half_life_s": CU64_S}, CU64_S)],
)
def test_an_entered_nuclide_or_half_life_decides(entered, half_life_s):
    result = pet_acquisition(at_hours("89Zr", 72.5, half_life_s=CU64_S), entered=entered)
    assert result.value.injection.half_life_s.value == half_life_s
    assert result.value.injection.half_life_s.origin is Origin.ENTERED
    assert "I_ENTERED" in codes(result)


def test_with_admin_no_half_life_can_change_the_number():
    result = pet_acquisition(at_hours("89Zr", 72.5, half_life_s=CU64_S, decay_correction="ADMIN"))
    assert uptake(result.value).suvbw_factor == pytest.approx(70000 / 37e6)
    assert "W_NUCLIDE" in codes(result)


def test_code_and_text_that_name_two_nuclides_cannot_stand_in_for_a_half_life():
    header = at_hours("64Cu", 24.5, half_life_s=None)
    result = pet_acquisition(header)
    assert result.value.injection.half_life_s.value == CU64_S
    assert "W_HALF_LIFE" in codes(result)
    torn = replace(header, nuclide=NuclideCode(CU64.value, "SRT", "^89^Zirconium"))
    with pytest.raises(EprimgError, match="two half-lives"):
        pet_acquisition(torn)


def test_spect_in_bq_per_ml_is_read_when_the_user_says_that_it_is_spect():
    # 111In, ICRP 107: 2.8047 d, three days and half an hour after the injection
    indium = {"nuclide": NuclideCode("C-145A4", "SRT", "^111^Indium"), "half_life_s": 242326.08}
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(zr89(**indium))
    assert caught.value.code == "E_PET_KIND"
    assert "111In" in str(caught.value.action)
    result = pet_acquisition(zr89(**indium), entered={"nuclide": "111In"})
    assert "W_SPECT" in codes(result)
    expected = 70000 / (37e6 * 2 ** (-72.5 / 24 / 2.8047))
    assert uptake(result.value).suvbw_factor == pytest.approx(expected, rel=1e-9)
