"""Injected 2024-01-04 09:30 (18F, 6586.2 s); expected doses from 2^(-t/T) by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eprimg.errors import EprimgError
from eprimg.io.pet_rules import pet_acquisition
from eprimg.model.acquisition import Origin
from tests.io.pet_headers import f18, zr89

T_S = 6586.2


def judged(**entered):
    return pet_acquisition(f18(), entered=entered)


def codes(result):
    return [f.code for f in result.findings]


def at(hour, minute=0, day=4):
    return datetime(2024, 1, day, hour, minute)


def test_an_assay_is_decayed_to_the_injection():
    result = judged(dose_mbq=400.0, dose_instant=at(8, 30))
    dose = result.value.injection.dose_bq
    assert dose.value == pytest.approx(400e6 * 2.0 ** (-3600.0 / T_S), rel=1e-12)
    assert dose.origin is Origin.ENTERED
    assert dose.where == "study.toml [injection] dose decayed to the injection"
    assert "I_ASSAY" in codes(result)
    assert "W_RESIDUAL" not in codes(result)


def test_assay_and_residual_each_from_their_own_instant():
    result = judged(dose_mbq=400.0, dose_instant=at(9), residual_mbq=10.0, residual_instant=at(10))
    expected = 400e6 * 2.0 ** (-1800.0 / T_S) - 10e6 * 2.0 ** (1800.0 / T_S)
    assert result.value.injection.dose_bq.value == pytest.approx(expected, rel=1e-12)
    assert {"I_ASSAY", "I_RESIDUAL"} <= set(codes(result))
    assert "W_RESIDUAL" not in codes(result)


def test_a_residual_beside_the_dose_of_the_header_is_doubted():
    result = judged(residual_mbq=5.0, residual_instant=at(10))
    said = next(f.text for f in result.findings if f.code == "W_RESIDUAL")
    assert "may be net of it already" in said
    large = judged(dose_mbq=370.0, residual_mbq=60.0, residual_instant=at(9, 40))
    # 60 x 2^(600/6586.2) = 63.9 of 370 is 17 %
    assert "17 % of the syringe" in next(f.text for f in large.findings if f.code == "W_RESIDUAL")


@pytest.mark.parametrize(
    "entered",
    [
        {"dose_mbq": 400.0, "dose_instant": at(11)},  # 1.5 h after the injection
        {"dose_mbq": 400.0, "dose_instant": at(9, day=3)},  # 13 half-lives before it
        {"dose_mbq": 400.0, "residual_mbq": 5.0, "residual_instant": at(8)},  # before it
        {"dose_mbq": 400.0, "residual_mbq": 5.0, "residual_instant": at(10, day=5)},
        {"dose_mbq": 400.0, "dose_instant": datetime(2024, 1, 4, 9, tzinfo=UTC)},
    ],
)
def test_a_syringe_measured_at_an_impossible_time_is_refused(entered):
    with pytest.raises(EprimgError) as caught:
        judged(**entered)
    assert caught.value.code == "E_SUV_TIME"


def test_no_dose_left_is_refused():
    with pytest.raises(EprimgError) as caught:
        judged(dose_mbq=20.0, residual_mbq=20.0, residual_instant=at(10))
    assert caught.value.code == "E_SUV_DOSE"
    assert caught.value.where == "study.toml [injection] residual"


def test_a_residual_that_cannot_be_brought_to_the_injection_is_not_dropped():
    """Values corrected to the injection need no half-life, but the residual does."""
    plain = zr89(decay_correction="ADMIN", half_life_s=None, nuclide=type(zr89().nuclide)())
    assert pet_acquisition(plain).value.injection.dose_bq.value == 37e6
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(
            plain, entered={"residual_mbq": 1.0, "residual_instant": datetime(2024, 1, 1, 11)}
        )
    assert caught.value.code == "E_SUV_TIME"


def test_cross_calibration_is_kept_with_its_origin():
    known = judged(pet_over_dose_calibrator=1.05)
    factor = known.value.pet_over_dose_calibrator
    assert (factor.value, factor.origin) == (1.05, Origin.ENTERED)
    assert known.value.injection.dose_bq.value == 370e6
    assert "W_CROSS_CALIBRATION" not in codes(known)
    assert "W_CROSS_CALIBRATION" in codes(judged(pet_over_dose_calibrator=0.85))
    assert judged().value.pet_over_dose_calibrator.origin is Origin.MISSING
