import json
import math

import pytest

from eprimg.errors import EprimgError
from eprimg.io.pet_bids import bids_acquisition
from eprimg.model.acquisition import Origin
from eprimg.stages.quantify_pet import pet_scale

# 89Zr, ICRP 107: 78.41 h; 64Cu, DDEP: 12.7004 h
ZR89_S, CU64_S = 282276.0, 45721.44
DAYS = 4.0


def car(**changes):
    """89Zr four days before a scan that TimeZero starts."""
    made = {
        "Units": "Bq/mL",
        "TracerRadionuclide": "Zr89",
        "InjectedRadioactivity": 74,
        "InjectedRadioactivityUnits": "MBq",
        "TimeZero": "10:30:00",
        "InjectionStart": -DAYS * 86400,
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "FrameTimesStart": [0],
        "FrameDuration": [600],
        "AttenuationCorrection": "CT-based",
        "BodyWeight": 70.0,
        **changes,
    }
    return {k: v for k, v in made.items() if v is not None}


def judged(tmp_path, entered=None, mode="lenient", **changes):
    path = tmp_path / "sub-01_pet.nii.gz"
    return bids_acquisition(car(**changes), path, entered=entered, mode=mode)


def factor(result):
    """SUVbw per Bq/mL, by the stage."""
    scale, faults = pet_scale(result.value, 1)
    assert scale is not None, faults
    weight_g = 1000 * result.value.weight_kg.value
    return scale.slice_factor[0] * weight_g / scale.dose_bq


def codes(result):
    return {f.code for f in result.findings}


def refused(tmp_path, **changes):
    with pytest.raises(EprimgError) as caught:
        judged(tmp_path, **changes)
    return [f.code for f in caught.value.faults or (caught.value,)], str(caught.value)


def test_seconds_from_time_zero_need_no_dates(tmp_path):
    result = judged(tmp_path)
    # by hand: W / (D 2^(-t/T))
    expected = 70000 / (74e6 * 2 ** (-DAYS * 86400 / ZR89_S))
    assert factor(result) == pytest.approx(expected, rel=1e-9)
    assert result.value.hours_after_injection == pytest.approx(96.0)
    assert "nominal" in result.value.reference_rule
    assert "W_BIDS_DATE" not in codes(result)


def test_correction_to_the_injection_and_no_correction(tmp_path):
    admin = judged(tmp_path, ImageDecayCorrectionTime=-DAYS * 86400)
    assert factor(admin) == pytest.approx(70000 / 74e6, rel=1e-9)
    assert "W_REFERENCE_TIME" in codes(admin)
    none = judged(tmp_path, ImageDecayCorrected=False, FrameTimesStart=[120], FrameDuration=[3600])
    rate = math.log(2) / ZR89_S
    grown = rate * 3600 / (1 - math.exp(-rate * 3600)) * math.exp(rate * (DAYS * 86400 + 120))
    assert factor(none) == pytest.approx(70000 / 74e6 * grown, rel=1e-9)


@pytest.mark.parametrize(
    ("value", "unit"), [(74, "MBq"), (74e6, "Bq"), (74e3, "kBq"), (0.074, "GBq"), (2.0, "mCi")]
)
def test_the_unit_of_the_dose_is_read(tmp_path, value, unit):
    # 1 Ci is 3.7e10 Bq by definition: 2 mCi are 74 MBq
    result = judged(tmp_path, InjectedRadioactivity=value, InjectedRadioactivityUnits=unit)
    assert result.value.injection.dose_bq.value == pytest.approx(74e6)


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"Units": "kcps"}, "E_PET_UNITS", "Units"),
        ({"InjectedRadioactivity": None}, "E_SUV_DOSE", "InjectedRadioactivity"),
        ({"InjectedRadioactivity": -1}, "E_SUV_DOSE", "InjectedRadioactivity"),
        ({"InjectedRadioactivity": "74"}, "E_SUV_DOSE", "InjectedRadioactivity"),
        ({"InjectedRadioactivity": [1, 2]}, "E_SUV_ADMINISTRATIONS", "InjectedRadioactivity"),
        ({"InjectedRadioactivityUnits": None}, "E_SUV_DOSE", "InjectedRadioactivityUnits"),
        ({"TimeZero": None}, "E_SUV_TIME", "TimeZero"),
        ({"TimeZero": "25:00:00"}, "E_SUV_TIME", "TimeZero"),
        ({"InjectionStart": None}, "E_SUV_TIME", "InjectionStart"),
        ({"InjectionStart": 7200}, "E_SUV_TIME", "InjectionStart"),
        ({"InjectionStart": -40 * 86400}, "E_SUV_TIME", "InjectionStart"),
        ({"ImageDecayCorrected": None}, "E_DECAY", "ImageDecayCorrected"),
        ({"ImageDecayCorrected": "true"}, "E_DECAY", "ImageDecayCorrected"),
        ({"ImageDecayCorrectionTime": None}, "E_SUV_TIME", "ImageDecayCorrectionTime"),
        ({"TracerRadionuclide": "Xx1"}, "E_SUV_HALF_LIFE", "TracerRadionuclide"),
        ({"RadionuclideHalfLife": 6586.2}, "E_SUV_HALF_LIFE", "RadionuclideHalfLife"),
        ({"AttenuationCorrection": "none"}, "E_UNCORRECTED", "AttenuationCorrection"),
        ({"AttenuationCorrection": None}, "E_UNCORRECTED", "AttenuationCorrection"),
        ({"FrameTimesStart": [0, 600]}, "E_PET_FRAMES", "FrameTimesStart"),
        ({"ImageDecayCorrected": False, "FrameDuration": None}, "E_PET_DURATION", "FrameDuration"),
        ({"BodyWeight": None}, "E_SUV_WEIGHT", "BodyWeight"),
        ({"BodyWeight": 0}, "E_SUV_WEIGHT", "BodyWeight"),
        ({"BodyWeight": 70000}, "E_SUV_WEIGHT", "BodyWeight"),
    ],
)
def test_what_is_missing_is_refused_by_key(tmp_path, changes, code, key):
    found, text = refused(tmp_path, **changes)
    assert found == [code]
    assert key in text


def test_all_faults_come_together(tmp_path):
    found, _ = refused(tmp_path, Units="", InjectedRadioactivity=None, BodyWeight=None)
    assert found == ["E_PET_UNITS", "E_SUV_DOSE", "E_SUV_WEIGHT"]


def participants(folder, units="kg", weight="81.5"):
    folder.mkdir(parents=True, exist_ok=True)
    text = f"participant_id\tweight\nsub-00\t50\nsub-01\t{weight}\n"
    (folder / "participants.tsv").write_text(text, encoding="utf-8")
    meaning = {"weight": {"Units": units}} if units else {}
    (folder / "participants.json").write_text(json.dumps(meaning), encoding="utf-8")


def test_the_weight_comes_from_the_side_car_then_the_table_then_nowhere(tmp_path):
    path = tmp_path / "sub-01" / "pet" / "sub-01_pet.nii.gz"
    participants(tmp_path)
    both = bids_acquisition(car(), path).value.weight_kg
    assert (both.value, both.origin) == (70.0, Origin.HEADER)
    table = bids_acquisition(car(BodyWeight=None), path).value.weight_kg
    assert (table.value, table.where) == (81.5, "participants.tsv weight")
    entered = bids_acquisition(car(), path, entered={"weight_kg": 60.0}).value.weight_kg
    assert (entered.value, entered.origin) == (60.0, Origin.ENTERED)
    for odd in ({"units": "lbs"}, {"units": ""}, {"weight": "n/a"}):
        participants(tmp_path, **odd)
        with pytest.raises(EprimgError) as caught:
            bids_acquisition(car(BodyWeight=None), path)
        assert caught.value.code == "E_SUV_WEIGHT"


def test_a_side_car_that_says_nothing_leaves_the_weight_to_the_table(tmp_path):
    path = tmp_path / "sub-01" / "pet" / "sub-01_pet.nii.gz"
    participants(tmp_path)
    for nothing in ("n/a", " N/A", "", ["n/a"]):
        found = bids_acquisition(car(BodyWeight=nothing), path).value.weight_kg
        assert (found.value, found.where) == (81.5, "participants.tsv weight")
    other = bids_acquisition(car(BodyWeight="n/a", PatientWeight=66), path).value.weight_kg
    assert (other.value, other.where) == (66.0, "side-car PatientWeight")
    for wrong in ("70", 0, 70000, [60, 70]):  # it says something that cannot be: nobody guesses
        with pytest.raises(EprimgError) as caught:
            bids_acquisition(car(BodyWeight=wrong), path)
        assert (caught.value.code, caught.value.where) == ("E_SUV_WEIGHT", "side-car BodyWeight")


def test_rows_of_one_subject_have_to_agree(tmp_path):
    path = tmp_path / "sub-01" / "pet" / "sub-01_pet.nii.gz"
    for again in ("81.5", "81.50", "n/a"):
        participants(tmp_path, weight=f"81.5\nsub-01\t{again}")
        assert bids_acquisition(car(BodyWeight=None), path).value.weight_kg.value == 81.5
    participants(tmp_path, weight="81.5\nsub-01\t70")
    with pytest.raises(EprimgError, match="its rows state 70 and 81.5 kg") as caught:
        bids_acquisition(car(BodyWeight=None), path)
    assert caught.value.code == "E_SUV_WEIGHT"
    assert bids_acquisition(car(), path).value.weight_kg.value == 70.0
    participants(tmp_path, weight="81.5\nsub-01\tabout 80")
    with pytest.raises(EprimgError) as caught:
        bids_acquisition(car(BodyWeight=None), path)
    assert caught.value.code == "E_SUV_WEIGHT"


def test_lost_days_are_told_and_strict_mode_has_its_window(tmp_path):
    assert "W_BIDS_DATE" in codes(judged(tmp_path, InjectionStart=-1800))
    late = {"TracerRadionuclide": "Cu64", "InjectionStart": -48 * 3600}
    result = judged(tmp_path, **late)
    assert "W_UPTAKE_LONG" in codes(result)
    expected = 70000 / (74e6 * 2 ** (-48 * 3600 / CU64_S))
    assert factor(result) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(EprimgError, match="strict"):
        judged(tmp_path, mode="strict", **late)


def test_entered_facts(tmp_path):
    result = judged(
        tmp_path,
        entered={"dose_mbq": 37.0, "nuclide": "64Cu", "height_m": 1.8, "sex": "F"},
        InjectedRadioactivity=None,
        InjectionStart=-3600,
    )
    facts = result.value
    assert facts.injection.dose_bq.value == 37e6
    assert facts.injection.half_life_s.value == CU64_S
    assert (facts.height_m.value, facts.sex.value) == (1.8, "F")
    with pytest.raises(EprimgError, match="no dates"):
        judged(tmp_path, entered={"injection_instant": "2024-01-01T10:00:00"})
    # The instant of an assay has a date, and nothing in the side-car to compare it with.
    assay = {"dose_mbq": 37.0, "dose_instant": "2024-01-01T08:00:00"}
    with pytest.raises(EprimgError, match="dose_instant cannot be used") as caught:
        judged(tmp_path, entered=assay)
    assert caught.value.code == "E_ENTERED"


def test_cross_calibration_divides_every_uptake(tmp_path):
    plain = judged(tmp_path)
    result = judged(tmp_path, entered={"pet_over_dose_calibrator": 1.1})
    assert factor(result) == pytest.approx(factor(plain) / 1.1, rel=1e-12)
    assert "I_ENTERED" in codes(result)
    assert factor(plain) == pytest.approx(70000 / (74e6 * 2 ** (-DAYS * 86400 / ZR89_S)), rel=1e-9)


def test_spect_in_activity_goes_through_the_same_door(tmp_path):
    # 111In, ICRP 107: 2.8047 d; two days
    result = judged(tmp_path, TracerRadionuclide="In111", InjectionStart=-2 * 86400)
    assert factor(result) == pytest.approx(70000 / (74e6 * 2 ** (-2 / 2.8047)), rel=1e-6)
    assert "W_SPECT" in codes(result)
