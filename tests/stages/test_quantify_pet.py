"""Expected numbers are worked out in the tests from the IBSI SUV manual's formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pytest

from eprimg.model.case import Severity
from eprimg.stages.quantify import quantify
from eprimg.stages.quantify_pet import mass_balance_fault, pet_scale


def codes(result):
    return [f.code for f in result.findings]


def test_start_decays_the_dose_to_the_reference_instant(scene):
    result = quantify(scene.study(), scene.registrations(), scene.config)
    maps = result.value.maps
    # 72 h of 78.41 h: 74 MBq x 2^(-72/78.41) = 39.16 MBq
    dose = 74.0e6 * 2.0 ** (-72.0 / 78.41)
    assert maps["suvbw"].facts["dose_at_reference_bq"] == pytest.approx(dose, rel=1e-9)
    np.testing.assert_allclose(maps["suvbw"].values[5, 14, 10], 12000.0 * 72000.0 / dose, rtol=1e-6)
    np.testing.assert_allclose(
        maps["pid_per_kg"].values[5, 14, 10], 1e5 * 12000.0 / dose, rtol=1e-6
    )
    # male, 72 kg, 1.75 m: BMI 23.51; 9270 x 72 / (6680 + 216 BMI) = 56.77 kg
    bmi = 72.0 / 1.75**2
    lean_g = 1000.0 * 9270.0 * 72.0 / (6680.0 + 216.0 * bmi)
    np.testing.assert_allclose(
        maps["sul_janmahasatian"].values[5, 14, 10], 12000.0 * lean_g / dose, rtol=1e-6
    )
    facts = maps["suvbw"].facts
    assert facts["hours_after_injection"] == 72.0
    assert facts["nuclide"] == "89Zr"
    assert facts["weight_kg"] == 72.0
    assert facts["reference_rule"] == "SeriesTime"


def test_admin_leaves_the_dose_alone(scene):
    acquisition = scene.pet_acquisition(decay_correction="ADMIN", reference_instant=None)
    study = scene.study(scene.pet_series("pet", acquisition))
    maps = quantify(study, (), scene.config).value.maps
    np.testing.assert_allclose(
        maps["suvbw"].values[5, 14, 10], 12000.0 * 72000.0 / 74.0e6, rtol=1e-6
    )


def test_none_corrects_every_slice_from_its_own_frame(scene):
    # Two beds: 6 slices from the reference instant on, 6 slices 300 s later; frames of 300 s.
    times = ((0.0, 300.0),) * 6 + ((300.0, 300.0),) * 6
    acquisition = scene.pet_acquisition(decay_correction="NONE", frame_times=times)
    study = scene.study(scene.pet_series("pet", acquisition))
    maps = quantify(study, (), scene.config).value.maps
    constant = math.log(2.0) / 282276.0
    x = constant * 300.0
    mean_time = math.log(x / (1.0 - math.exp(-x))) / constant
    for k, start in ((5, 0.0), (6, 300.0)):
        elapsed = 72.0 * 3600.0 + start + mean_time
        expected = 12000.0 * math.exp(constant * elapsed) * 72000.0 / 74.0e6
        np.testing.assert_allclose(maps["suvbw"].values[k, 14, 10], expected, rtol=1e-6)
    assert maps["activity"].values[6, 14, 10] > maps["activity"].values[5, 14, 10] > 12000.0


def test_ignoring_the_injection_date_would_change_suv(scene):
    right = quantify(scene.study(), scene.registrations(), scene.config).value.maps["suvbw"]
    same_day = scene.pet_acquisition(reference_instant=scene.injected)
    wrong = quantify(scene.study(scene.pet_series("pet", same_day)), (), scene.config)
    ratio = wrong.value.maps["suvbw"].values / right.values
    np.testing.assert_allclose(ratio, 2.0 ** (-72.0 / 78.41), rtol=1e-5)  # x 0.53


def test_missing_weight_refuses_suv_but_not_percent_id(scene):
    study = scene.study(scene.pet_series("pet", scene.pet_acquisition(weight_kg=scene.known(None))))
    result = quantify(study, (), scene.config)
    assert "E_SUV_WEIGHT" in codes(result)
    assert "suvbw" not in result.value.maps
    assert "pid_per_kg" in result.value.maps


def test_injection_after_the_scan_is_refused(scene):
    late = scene.pet_acquisition(reference_instant=scene.injected - timedelta(hours=2))
    result = quantify(scene.study(scene.pet_series("pet", late)), (), scene.config)
    assert codes(result) == ["E_SUV_TIME"]
    assert set(result.value.maps) == {"activity"}


def test_one_clock_with_an_offset_and_one_without_is_refused(scene):
    mixed = scene.pet_acquisition(
        reference_instant=(scene.injected + timedelta(hours=72)).replace(tzinfo=UTC)
    )
    result = quantify(scene.study(scene.pet_series("pet", mixed)), (), scene.config)
    assert codes(result) == ["E_SUV_TIME"]


def test_unknown_decay_correction_and_missing_frames(scene):
    odd = scene.pet_acquisition(decay_correction="")
    assert codes(quantify(scene.study(scene.pet_series("pet", odd)), (), scene.config)) == [
        "E_DECAY"
    ]
    none = scene.pet_acquisition(decay_correction="NONE")
    assert codes(quantify(scene.study(scene.pet_series("pet", none)), (), scene.config)) == [
        "E_PET_DURATION"
    ]


def test_height_in_centimetres_stops_sul_only(scene):
    study = scene.study(scene.pet_series("pet", scene.pet_acquisition(height_m=scene.known(175.0))))
    result = quantify(study, (), scene.config)
    assert "W_SUL_REFUSED" in codes(result)
    assert "sul_janmahasatian" not in result.value.maps
    assert "suvbw" in result.value.maps


def test_cross_calibration_divides_every_uptake_value(scene):
    """A scanner that reads 5 % more than the dose calibrator: W A / (1.05 D)."""
    plain = quantify(scene.study(scene.pet_series("pet")), (), scene.config).value.maps
    acquisition = scene.pet_acquisition(pet_over_dose_calibrator=scene.known(1.05))
    maps = quantify(scene.study(scene.pet_series("pet", acquisition)), (), scene.config).value.maps
    for key in ("suvbw", "pid_per_kg", "sul_janmahasatian"):
        np.testing.assert_allclose(maps[key].values * 1.05, plain[key].values, rtol=1e-6)
    facts = maps["suvbw"].facts
    assert facts["pet_over_dose_calibrator"] == 1.05
    assert facts["dose_bq"] == 74.0e6
    assert "multiplied by 1.05" in maps["suvbw"].method


def test_the_rule_and_its_facts_are_told(scene):
    scale, faults = pet_scale(scene.pet_acquisition(), 12)
    assert faults == []
    assert scale.rule == (
        "START: values belong to the reference instant (SeriesTime); the dose was decayed over "
        "72.00 h"
    )
    assert scale.facts["decay_rule"] == scale.rule
    assert scale.facts["half_life_s"] == 282276.0
    assert scale.facts["dose_bq"] == 74.0e6
    assert scale.facts["injection_instant"] == "2024-03-05T11:15:00"
    assert scale.facts["reference_instant"] == "2024-03-08T11:15:00"


def test_admin_has_factors_of_one_and_needs_no_half_life(scene):
    acquisition = scene.pet_acquisition(decay_correction="ADMIN", reference_instant=None)
    injection = replace(acquisition.injection, half_life_s=scene.known(None))
    scale, faults = pet_scale(replace(acquisition, injection=injection), 3)
    assert faults == []
    assert (scale.dose_bq, scale.slice_factor) == (74.0e6, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reference_instant": None}, "E_SUV_TIME"),
        ({"decay_correction": "SOMETIMES"}, "E_DECAY"),
        ({"decay_correction": "NONE", "frame_times": ()}, "E_PET_DURATION"),
        ({"decay_correction": "NONE", "frame_times": ((0.0, 0.0),) * 6}, "E_PET_DURATION"),
        ({"decay_correction": "NONE", "frame_times": ((0.0, 300.0),) * 5}, "E_PET_DURATION"),
    ],
)
def test_a_missing_fact_is_refused(scene, change, code):
    scale, faults = pet_scale(scene.pet_acquisition(**change), 6)
    assert scale is None
    assert [f.code for f in faults] == [code]


def test_missing_dose_half_life_and_instant_are_told_together(scene):
    nothing = scene.known(None)
    injection = replace(
        scene.pet_acquisition().injection, dose_bq=nothing, half_life_s=nothing, instant=nothing
    )
    scale, faults = pet_scale(scene.pet_acquisition(injection=injection), 6)
    assert scale is None
    assert [f.code for f in faults] == ["E_SUV_DOSE", "E_SUV_HALF_LIFE", "E_SUV_TIME"]


def test_a_delay_beyond_the_range_of_numbers_is_a_fault_not_a_crash(scene):
    # 18F, 109.77 min: 100 days are 1312 half-lives, 2^-1312 is 0 in double precision
    injection = replace(scene.pet_acquisition().injection, half_life_s=scene.known(6586.2))
    late = scene.injected + timedelta(days=100)
    for change in ({}, {"decay_correction": "NONE", "frame_times": ((0.0, 300.0),) * 6}):
        acquisition = scene.pet_acquisition(injection=injection, reference_instant=late, **change)
        scale, faults = pet_scale(acquisition, 6)
        assert scale is None
        assert [f.code for f in faults] == ["E_ARGUMENT"]


def test_the_activity_in_view_is_a_part_of_the_dose(scene):
    """Voxels of 0.036 mL; activities and boxes of the tiny study, the last to be painted wins."""
    voxels = {"liver": 512, "spleen": 512, "blood": 108, "muscle": 360, "lesion": 100}
    total = sum(n * scene.tissue[name][2] for name, n in voxels.items())
    total += (12 * 20 * 24 - sum(voxels.values())) * scene.tissue["background"][2]
    dose = 74.0e6 * 2.0 ** (-72.0 / 78.41)
    result = quantify(scene.study(), scene.registrations(), scene.config)
    facts = result.value.maps["pid_per_kg"].facts
    assert facts["percent_id_in_field_of_view"] == pytest.approx(
        100.0 * total * 0.036 / dose, rel=1e-6
    )
    assert "E_MASS_BALANCE" not in codes(result)


def test_more_activity_than_was_injected(scene):
    """A dose entered in the wrong unit: 0.3 MBq instead of 74 makes 0.9 % into more than 200 %."""
    acquisition = scene.pet_acquisition()
    injection = replace(acquisition.injection, dose_bq=scene.known(0.3e6))
    pet = scene.pet_series("pet", replace(acquisition, injection=injection))
    result = quantify(scene.study(pet), (), scene.config)
    finding = next(f for f in result.findings if f.code == "E_MASS_BALANCE")
    assert finding.severity == Severity.ERROR
    assert "of the injected dose, more than 110 %" in finding.text
    assert mass_balance_fault(result.value.maps["pid_per_kg"].facts)


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        ({}, False),
        ({"percent_id_in_field_of_view": 110.0}, False),
        ({"percent_id_in_field_of_view": 111.0}, True),
    ],
)
def test_limit_of_the_mass_balance(facts, refused):
    assert bool(mass_balance_fault(facts)) is refused


def test_a_failed_voxel_is_failed_in_every_map(scene):
    values = scene.paint(2)
    values[5, 14, 10] = np.nan
    result = quantify(scene.study(scene.pet_series("pet", values=values)), (), scene.config)
    maps = result.value.maps
    for key in ("activity", "suvbw", "pid_per_kg", "sul_janmahasatian"):
        assert not maps[key].valid[5, 14, 10]
        assert np.count_nonzero(~maps[key].valid) == 1
        assert np.isnan(maps[key].values[5, 14, 10])
    total = np.nansum(scene.paint(2)) - 12000.0  # the lesion's voxel is not counted
    dose = 74.0e6 * 2.0 ** (-72.0 / 78.41)
    assert maps["pid_per_kg"].facts["percent_id_in_field_of_view"] == pytest.approx(
        100.0 * total * 0.036 / dose, rel=1e-6
    )
