import json
from pathlib import Path

import pytest

from eprimg.errors import EprimgError
from eprimg.io.pet_rules import pet_acquisition
from eprimg.io.pet_units import stored_uptake, voxel_rule
from tests.io.pet_headers import f18, zr89

# 80 kg, 1.60 m; (W/H)^2 = 0.25, by hand:
# LBM M 58, F 48.6, O 53.3; James 128 M 56, O 52.3; IBW M 56.48, F 52.78, O 54.63
# Janmahasatian at BMI 31.25: M 741600/13430, F 741600/16405
JANMA = (741600 / 13430.0, 741600 / 16405.0)
BODY = [
    ("LBM", "M", 58.0),
    ("LBM", "F", 48.6),
    ("LBM", "O", 53.3),
    ("LBMJAMES128", "M", 56.0),
    ("LBMJAMES128", "F", 48.6),
    ("LBMJAMES128", "O", 52.3),
    ("IBW", "M", 56.48),
    ("IBW", "F", 52.78),
    ("IBW", "O", 54.63),
    ("LBMJANMA", "M", JANMA[0]),
    ("LBMJANMA", "F", JANMA[1]),
    ("LBMJANMA", "O", 0.5 * sum(JANMA)),
]


def rule(header):
    faults = []
    facts = pet_acquisition(header).value
    found = voxel_rule(header, facts.weight_kg, facts.height_m, facts.sex, faults)
    assert faults == []
    return found, facts


def refused(header):
    with pytest.raises(EprimgError) as caught:
        pet_acquisition(header)
    return [f.code for f in caught.value.faults or (caught.value,)], str(caught.value)


@pytest.mark.parametrize(("kind", "sex", "size"), BODY)
def test_grams_by_another_body_size_become_suvbw(kind, sex, size):
    header = zr89(units="GML", suv_type=kind, sex=sex, weight_kg=80.0, height_m=1.6)
    found, facts = rule(header)
    assert found.quantity == "suvbw"
    assert found.factor == pytest.approx(80.0 / size, rel=1e-12)
    assert kind in facts.voxel_rule


@pytest.mark.parametrize("kind", ["", "BW"])
def test_suvbw_is_taken_as_it_is_without_dose_weight_or_clock(kind):
    header = zr89(
        units="GML", suv_type=kind, dose=None, weight_kg=None, start_datetime="", height_m=None
    )
    found, facts = rule(header)
    assert (found.quantity, found.factor) == ("suvbw", 1.0)
    assert facts.hours_after_injection is None
    assert stored_uptake(header)


@pytest.mark.parametrize("kind", ["", "BSA"])
def test_square_centimetres_become_suvbw(kind):
    # Du Bois 1916 for 80 kg, 160 cm, by hand with logarithms: exp(0.425 ln 80 + 0.725 ln 160)
    # = exp(1.862351 + 3.679501) = exp(5.541852) = 255.15; x 0.007184 = 1.83300 m2
    header = zr89(units="CM2ML", suv_type=kind, weight_kg=80.0, height_m=1.6)
    found, _ = rule(header)
    assert found.quantity == "suvbw"
    assert found.factor == pytest.approx(80.0 / 18.330, rel=1e-4)


def test_counts_by_the_vendors_two_factors():
    suv, _ = rule(zr89(units="CNTS", philips_suv_factor=0.5, dose=None, weight_kg=None))
    assert (suv.quantity, suv.factor) == ("suvbw", 0.5)
    one, _ = rule(zr89(units="CNTS", philips_activity_factor=3.0))
    assert (one.quantity, one.factor) == ("activity", 3.0)
    both = f18(units="CNTS", philips_activity_factor=3.0, philips_suv_factor=1.0)
    found, facts = rule(both)
    assert (found.quantity, found.factor) == ("activity", 3.0)
    assert any("W_PHILIPS_FACTOR" in w for w in facts.warnings)


@pytest.mark.parametrize("units", ["CNTS", "PROPCNTS", "PROPCPS", "CPS", "1CM", "", "UGM2"])
def test_all_other_units_are_refused_by_name(units):
    codes, text = refused(zr89(units=units))
    assert codes == ["E_PET_UNITS"]
    assert "(0054,1001)" in text
    assert units in text


@pytest.mark.parametrize(
    ("units", "kind"), [("GML", "BSA"), ("GML", "LEAN"), ("CM2ML", "BW"), ("CM2ML", "LBM")]
)
def test_units_and_kind_of_suv_have_to_agree(units, kind):
    codes, text = refused(zr89(units=units, suv_type=kind))
    assert codes == ["E_PET_UNITS"]
    assert "(0054,1006)" in text


@pytest.mark.parametrize(
    ("change", "code", "number"),
    [
        ({"height_m": None}, "E_SUV_HEIGHT", "(0010,1020)"),
        ({"height_m": 0.0}, "E_SUV_HEIGHT", "(0010,1020)"),
        ({"sex": ""}, "E_SUV_SEX", "(0010,0040)"),
        ({"sex": "X"}, "E_SUV_SEX", "(0010,0040)"),
        ({"weight_kg": None}, "E_SUV_WEIGHT", "(0010,1030)"),
        ({"weight_kg": 300.0, "height_m": 1.4, "sex": "F"}, "E_SUV_HEIGHT", "(0010,1020)"),
    ],
)
def test_what_the_scanner_divided_by_has_to_be_known(change, code, number):
    codes, text = refused(zr89(units="GML", suv_type="LBM", **change))
    assert codes == [code]
    assert number in text


def test_an_uptake_value_without_decay_correction_is_refused():
    for facts in ({"units": "GML"}, {"units": "CNTS", "philips_suv_factor": 1.0}):
        header = zr89(decay_correction="NONE", corrections=("ATTN", "SCAT"), **facts)
        assert refused(header)[0] == ["E_DECAY"]


def test_an_entered_weight_does_not_replace_the_one_the_scanner_used():
    header = zr89(units="GML", suv_type="IBW", weight_kg=80.0, height_m=1.6, sex="M")
    result = pet_acquisition(header, entered={"weight_kg": 60.0})
    assert result.value.weight_kg.value == 80.0
    assert "W_STORED_SUV" in {f.code for f in result.findings}
    bare = pet_acquisition(zr89(units="GML", weight_kg=None), entered={"weight_kg": 60.0})
    assert bare.value.weight_kg.value == 60.0
    assert "taken as the one" in next(f.text for f in bare.findings if f.code == "W_STORED_SUV")
    same = pet_acquisition(header, entered={"weight_kg": 80.1})
    assert "W_STORED_SUV" not in {f.code for f in same.findings}


def test_every_result_carries_rule_mode_candidates_and_warnings():
    result = pet_acquisition(zr89(dose=37.0), mode="strict")
    facts = result.value
    assert facts.mode == "strict"
    assert facts.voxel_rule.startswith("BQML")
    assert any(w.startswith("W_DOSE_MBQ") for w in facts.warnings)
    assert {"SeriesTime", "earliest AcquisitionTime"} <= {n for n, _ in facts.reference_candidates}


def test_the_truth_of_the_shared_objects_names_the_units_that_are_covered():
    path = Path(__file__).parent.parent / "truth" / "pet_ibsi_suv_dro.json"
    assert {"2_0", "2_4"} <= set(json.loads(path.read_text(encoding="utf-8"))["computed"])
