import math

import pytest

from eprimg.errors import EprimgError
from eprimg.io.pet_bounds import check_bounds
from eprimg.io.pet_header import NuclideCode
from eprimg.io.pet_rules import pet_acquisition
from eprimg.model.acquisition import Known, Origin
from tests.io.pet_headers import f18, zr89
from tests.io.test_pet_bids import judged as judged_bids
from tests.io.test_pet_bids import refused as refused_bids

DOSE, WEIGHT, HALF_LIFE = "dose_bq", "weight_kg", "half_life_s"


def checked(what, value, **options):
    findings, faults = [], []
    check_bounds(findings, faults, **{what: Known(value, Origin.HEADER, "here")}, **options)
    assert {f.where for f in (*findings, *faults)} <= {"here"}
    return [f.code for f in (*findings, *faults)]


@pytest.mark.parametrize(
    ("what", "value", "expected"),
    [
        (DOSE, 1e10, []),
        (DOSE, 1.0001e10, ["W_DOSE_HIGH"]),
        (DOSE, 1e11, ["W_DOSE_HIGH"]),
        (DOSE, 1.0001e11, ["E_SUV_DOSE"]),
        (WEIGHT, 300.0, []),
        (WEIGHT, 300.1, ["W_WEIGHT_HIGH"]),
        (HALF_LIFE, 1e8, []),
        (HALF_LIFE, 1.0001e8, ["E_SUV_HALF_LIFE"]),
        (DOSE, None, []),
        (WEIGHT, None, []),
        (HALF_LIFE, None, []),
    ],
)
def test_both_sides_of_every_bound(what, value, expected):
    assert checked(what, value) == expected


@pytest.mark.parametrize(
    ("what", "value"),
    [
        # largest single dose: CardioGen-82 prescribing information, section 2
        (DOSE, 2.22e9),
        # 400 MBq of 18F, a mouse's 89Zr, a line source
        (DOSE, 4e8),
        (DOSE, 2e6),
        (DOSE, 1e5),
        # 200 mCi of 131I or 177Lu, seen by SPECT
        (DOSE, 7.4e9),
        # a mouse of 20 g, a rat, a cylinder of 5 kg, a man of 250 kg
        (WEIGHT, 0.02),
        (WEIGHT, 0.35),
        (WEIGHT, 5.0),
        (WEIGHT, 250.0),
        # 82Rb; 68Ge, 270.95 d; 22Na, 2.6029 y of 365.242 d
        (HALF_LIFE, 75.5),
        (HALF_LIFE, 270.95 * 86400),
        (HALF_LIFE, 2.6029 * 365.242 * 86400),
    ],
)
def test_what_is_really_scanned_is_not_told(what, value):
    assert checked(what, value) == []


def test_a_dose_that_is_not_applied_is_told_only():
    assert checked(DOSE, 3.7e14, divides=False) == ["W_DOSE_HIGH"]
    assert checked(DOSE, 3.7e8, divides=False) == []


def answer(header, entered=None, mode="lenient"):
    """Codes of the warnings, or of the refusal; nothing else is expected of the header."""
    try:
        result = pet_acquisition(header, entered=entered, mode=mode)
    except EprimgError as fault:
        return sorted(f.code for f in fault.faults or (fault,))
    return sorted(f.code for f in result.findings if f.code[0] == "W")


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_the_header_is_held_to_the_bounds_in_both_modes(mode):
    def of(header, **entered):
        return answer(header, entered, mode)

    assert of(f18()) == []
    assert of(f18(dose=9.9e9)) == []
    assert of(f18(dose=3.7e10)) == ["W_DOSE_HIGH"]
    assert of(f18(dose=3.7e11)) == ["E_SUV_DOSE"]
    assert of(f18(weight_kg=299.0)) == []
    assert of(f18(weight_kg=700.0)) == ["W_WEIGHT_HIGH"]
    # grams: a rabbit, a cow, and nothing that lives
    assert of(f18(weight_kg=3000.0)) == ["W_WEIGHT_GRAMS"]
    assert of(f18(weight_kg=700_000.0)) == ["W_WEIGHT_GRAMS", "W_WEIGHT_HIGH"]
    assert of(f18(weight_kg=1e6)) == ["W_WEIGHT_GRAMS", "W_WEIGHT_HIGH"]
    assert of(f18(weight_kg=1.001e6)) == ["E_SUV_WEIGHT"]
    unknown = {"nuclide": NuclideCode()}
    assert of(f18(half_life_s=8.3e7, **unknown)) == []
    assert of(f18(half_life_s=1e9, **unknown)) == ["E_SUV_HALF_LIFE"]
    # nothing decays that is decay corrected to the injection
    assert of(f18(half_life_s=1e9, decay_correction="ADMIN", **unknown)) == []
    assert of(f18(), dose_bq=3.7e10) == ["W_DOSE_HIGH"]
    assert of(f18(), dose_mbq=3.7e8) == ["E_SUV_DOSE"]
    assert of(f18(), weight_kg=400.0) == ["W_WEIGHT_HIGH"]
    assert of(f18(**unknown), half_life_s=1e9) == ["E_SUV_HALF_LIFE"]


def test_a_dose_that_is_told_is_kept_as_it_is():
    result = pet_acquisition(zr89(dose=2e10, weight_kg=350.0)).value
    assert (result.injection.dose_bq.value, result.weight_kg.value) == (2e10, 350.0)
    # by hand: the dose decays, the weight is no multiple
    decayed = 2e10 * math.exp(-math.log(2) * 72.5 * 3600 / 282276.0)
    assert decayed == pytest.approx(1.0538e10, rel=1e-3)


def test_an_uptake_value_of_the_scanner_needs_no_dose():
    assert answer(f18(units="GML", dose=3.7e14)) == ["W_DOSE_HIGH"]
    # its weight makes %ID/kg; one that is none in kg and none in g is left out
    stored = pet_acquisition(f18(units="GML", weight_kg=1e7)).value
    assert stored.weight_kg.value is None


def test_the_side_car_is_held_to_the_same_bounds(tmp_path):
    def told(**changes):
        codes = {f.code for f in judged_bids(tmp_path, **changes).findings}
        return codes & {"W_DOSE_HIGH", "W_WEIGHT_HIGH"}

    assert told() == told(InjectedRadioactivity=9.9, InjectedRadioactivityUnits="GBq") == set()
    assert told(InjectedRadioactivity=37, InjectedRadioactivityUnits="GBq") == {"W_DOSE_HIGH"}
    assert told(BodyWeight=350) == {"W_WEIGHT_HIGH"}
    assert told(BodyWeight=0.02) == told(BodyWeight=300) == set()
    # Bq that are called MBq
    codes, text = refused_bids(tmp_path, InjectedRadioactivity=37e6)
    assert codes == ["E_SUV_DOSE"]
    assert "37000 GBq" in text
    codes, _ = refused_bids(tmp_path, TracerRadionuclide=None, RadionuclideHalfLife=1e9)
    assert codes == ["E_SUV_HALF_LIFE"]
