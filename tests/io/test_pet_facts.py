import pytest

from eprimg.io import pet_facts
from eprimg.io.pet_entered import EnteredFacts
from eprimg.io.pet_header import NuclideCode
from eprimg.model.acquisition import Origin
from tests.io.pet_headers import CU64, F18, f18, zr89

NOTHING = EnteredFacts()


def call(function, header, entered=NOTHING, **options):
    findings, faults = [], []
    known = function(header, entered, findings, faults, **options)
    return known, [f.code for f in findings], [f.code for f in faults]


@pytest.mark.parametrize("value", [None, 0.0, -1.0, 50000.0])
def test_a_dose_that_is_none_is_refused(value):
    known, _, faults = call(pet_facts.dose, zr89(dose=value))
    assert known.value is None
    assert faults == ["E_SUV_DOSE"]


def test_a_dose_in_mbq_is_read_and_told():
    known, findings, faults = call(pet_facts.dose, zr89(dose=37.5))
    assert known.value == 37.5e6
    assert (findings, faults) == (["W_DOSE_MBQ"], [])
    known, findings, _ = call(pet_facts.dose, zr89(dose=37.5e6))
    assert (known.value, findings) == (37.5e6, [])
    assert known.where == "RadionuclideTotalDose (0018,1074)"


@pytest.mark.parametrize(("weight", "height"), [(None, 1.7), (0.0, 1.7), (-70.0, 1.7), (1.7, 70.0)])
def test_a_weight_that_is_none_is_refused(weight, height):
    known, _, faults = call(pet_facts.weight, zr89(weight_kg=weight, height_m=height))
    assert known.value is None
    assert faults == ["E_SUV_WEIGHT"]


def test_a_weight_in_grams_is_read_and_told():
    known, findings, _ = call(pet_facts.weight, zr89(weight_kg=70500.0))
    assert known.value == 70.5
    assert findings == ["W_WEIGHT_GRAMS"]


def test_small_animals_have_small_weights():
    known, findings, faults = call(pet_facts.weight, zr89(weight_kg=0.025, height_m=None))
    assert (known.value, findings, faults) == (0.025, [], [])


def test_entered_facts_win():
    entered = EnteredFacts(dose_bq=40e6, weight_kg=71.0, height_m=1.8, sex="M", half_life_s=6600.0)
    header = zr89(dose=None, weight_kg=None, height_m=None, sex="")
    assert call(pet_facts.dose, header, entered)[0].value == 40e6
    weight, _, faults = call(pet_facts.weight, header, entered)
    assert (weight.value, weight.origin, faults) == (71.0, Origin.ENTERED, [])
    assert pet_facts.height(header, entered, []).value == 1.8
    assert pet_facts.sex(header, entered).value == "M"
    decay, _, _ = call(pet_facts.half_life, f18(), entered, needed=True)
    assert decay.half_life_s.value == 6600.0
    assert decay.half_life_s.origin is Origin.ENTERED


def test_height_and_sex():
    findings = []
    assert pet_facts.height(zr89(height_m=170.0), NOTHING, findings).value == 1.7
    assert [f.code for f in findings] == ["W_HEIGHT_CM"]
    assert pet_facts.height(zr89(height_m=None), NOTHING, []).value is None
    assert pet_facts.height(zr89(height_m=1.7), NOTHING, []).value == 1.7
    assert pet_facts.sex(zr89(sex="F"), NOTHING).value == "F"
    assert pet_facts.sex(zr89(sex="X"), NOTHING).value is None


def test_the_headers_half_life_is_used():
    decay, findings, faults = call(pet_facts.half_life, f18(half_life_s=6588.0), needed=True)
    assert decay.half_life_s.value == 6588.0
    assert decay.nuclide.value == "18F"
    assert (findings, faults) == ([], [])


@pytest.mark.parametrize(
    ("header", "longest"),
    [
        (zr89(nuclide=CU64, half_life_s=6586.2), 45721.44),  # scanner left on 18F
        (zr89(nuclide=F18, half_life_s=282276.0), 282276.0),
        (f18(nuclide=NuclideCode("C-111A1", "SRT", "^89^Zirconium")), 282276.0),
        (f18(radiopharmaceutical="89Zr-trastuzumab", nuclide=NuclideCode("C-111A1")), 282276.0),
    ],
)
def test_nuclide_and_half_life_that_disagree_are_told_loudly(header, longest):
    decay, findings, _ = call(pet_facts.half_life, header, needed=True)
    assert findings == ["W_NUCLIDE"]
    assert decay.longest_s == longest


def test_two_per_cent_are_tolerated():
    _, findings, _ = call(pet_facts.half_life, f18(half_life_s=6586.2 * 1.019), needed=True)
    assert findings == []
    _, findings, _ = call(pet_facts.half_life, f18(half_life_s=6586.2 * 1.021), needed=True)
    assert findings == ["W_NUCLIDE"]


def test_the_table_stands_in_for_a_missing_half_life_of_a_coded_nuclide():
    decay, findings, faults = call(pet_facts.half_life, zr89(half_life_s=None), needed=True)
    assert decay.half_life_s.value == 282276.0  # 78.41 h, ICRP 107
    assert (findings, faults) == (["W_HALF_LIFE"], [])


def test_no_half_life_and_no_code_is_refused_where_it_is_needed():
    header = zr89(half_life_s=None, nuclide=NuclideCode())
    assert call(pet_facts.half_life, header, needed=True)[2] == ["E_SUV_HALF_LIFE"]
    assert call(pet_facts.half_life, header, needed=False)[2] == []
    assert call(pet_facts.half_life, zr89(half_life_s=0.0), needed=True)[2] == ["E_SUV_HALF_LIFE"]


def test_an_entered_nuclide_gives_the_half_life():
    decay, findings, _ = call(pet_facts.half_life, f18(), EnteredFacts(nuclide="64Cu"), needed=True)
    assert decay.half_life_s.value == 45721.44  # 12.7004 h, DDEP 2011
    assert decay.nuclide.origin is Origin.ENTERED
    assert findings == []


def test_spect_stored_as_pet_is_refused():
    header = zr89(nuclide=NuclideCode("C-145A4", "SRT", "^111^Indium"), half_life_s=242326.08)
    assert call(pet_facts.half_life, header, needed=True)[2] == ["E_PET_KIND"]


@pytest.mark.parametrize(
    ("header", "entered", "other"),
    [
        (zr89(), NOTHING, None),
        (zr89(half_life_s=45721.44), NOTHING, "89Zr"),
        (zr89(half_life_s=45721.44), EnteredFacts(nuclide="89Zr"), None),
        (zr89(half_life_s=45721.44), EnteredFacts(half_life_s=45721.44), None),
        (zr89(half_life_s=None), NOTHING, None),
        (
            zr89(half_life_s=None, radiopharmaceutical="64Cu-x", nuclide=NuclideCode("C-168A4")),
            NOTHING,
            "64Cu",
        ),
        # nothing but the text names the nuclide
        (f18(nuclide=NuclideCode(), radiopharmaceutical="89Zr-trastuzumab"), NOTHING, "89Zr"),
        (zr89(nuclide=NuclideCode()), NOTHING, None),
    ],
)
def test_who_contradicts_the_half_life(header, entered, other):
    decay, _, _ = call(pet_facts.half_life, header, entered, needed=True)
    assert (decay.contradicted_by.key if decay.contradicted_by else None) == other


@pytest.mark.parametrize(
    ("value", "expected"), [(0.37, None), (0.999, None), (1.0, 1e6), (1e4, 1e10), (10001.0, None)]
)
def test_a_dose_is_read_as_mbq_only_where_it_can_be_nothing_else(value, expected):
    # 0.37 is 370 MBq in GBq, or a hundredth of a mouse's dose in MBq: nobody can tell
    known, _, faults = call(pet_facts.dose, zr89(dose=value))
    assert known.value == expected
    assert faults == ([] if expected else ["E_SUV_DOSE"])


def test_the_dose_of_an_enhanced_object_is_defined_in_mbq():
    enhanced = "1.2.840.10008.5.1.4.1.1.130"
    assert call(pet_facts.dose, zr89(sop_class=enhanced))[1] == ["W_DOSE_BQ"]
    assert call(pet_facts.dose, zr89(sop_class=enhanced, dose=37.0))[0].value == 37e6


def test_strict_mode_takes_no_half_life_from_the_table():
    header = zr89(half_life_s=None)
    known, found, faults = call(pet_facts.half_life, header, needed=True, strict=True)
    assert known.half_life_s.value is None
    assert (found, faults) == ([], ["E_SUV_HALF_LIFE"])
    known, found, _ = call(pet_facts.half_life, header, needed=True)
    assert known.half_life_s.value == 282276.0
    assert found == ["W_HALF_LIFE"]
