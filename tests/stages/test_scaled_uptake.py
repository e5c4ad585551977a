"""Numbers in further units are those of %ID/kg times a ratio worked out here."""

from __future__ import annotations

import math

import pytest

from eprimg.model.lesions import Measurement
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.scaled_uptake import measure_scaled


def measured(scene, settings=None, **facts):
    config = scene.config.with_settings(settings or {})
    study = scene.study(scene.pet_series("pet", scene.pet_acquisition(**facts)))
    made = quantify(study, (), config).value
    result = measure(study, (), made.maps, made.registered, scene.region_set("pet"), config)
    return {r.name: r for r in result.value.lesions.regions}


def value(region, key, statistic="mean"):
    return region.measurement(key, statistic, "pet").value


def test_the_whole_family_of_one_lesion(scene):
    """12 kBq/mL, 74 MBq decayed over 72 h of 89Zr (78.41 h), man of 72 kg and 1.75 m."""
    lesion = measured(scene)["lesion"]
    per_dose = 12000.0 / (74.0e6 * 2.0 ** (-72.0 / 78.41))
    bmi = 72.0 / 1.75**2
    lean_kg = 9270.0 * 72.0 / (6680.0 + 216.0 * bmi)
    ideal_kg = 48.0 + 1.06 * (175.0 - 152.0)
    surface_cm2 = 1e4 * 0.007184 * 72.0**0.425 * 175.0**0.725
    for key, body in (
        ("suvbw", 72000.0),
        ("sul_janmahasatian", 1000.0 * lean_kg),
        ("suvibw", 1000.0 * ideal_kg),
        ("suvbsa", surface_cm2),
        ("pid_per_kg", 1e5),
        ("pid_per_ml", 100.0),
    ):
        for statistic in ("mean", "median", "max"):
            assert value(lesion, key, statistic) == pytest.approx(per_dose * body, rel=1e-6), key


@pytest.mark.parametrize(("formula", "multiplier"), [("james128", 128.0), ("james120", 120.0)])
def test_sul_by_the_formula_of_the_settings(scene, formula, multiplier):
    lesion = measured(scene, {"uptake": {"sul_formula": formula}})["lesion"]
    lean = 1.10 * 72.0 - multiplier * (72.0 / 175.0) ** 2
    assert value(lesion, f"sul_{formula}") == pytest.approx(
        value(lesion, "suvbw") * lean / 72.0, rel=1e-6
    )
    assert lesion.measurement("sul_janmahasatian", "mean") is None


def test_errors_scale_with_their_number(scene):
    numbers = {1: [Measurement("pid_per_kg", "mean", "pet", 5.0, 0.5, "spread", 9, "native pet")]}
    facts = {"uptake_per_bq_per_ml": {"pid_per_kg": 2.0, "suvbw": 3.0, "pid_per_ml": 0.002}}
    measure_scaled(numbers, scene.region_set("pet"), facts, source="pet")
    by_key = {m.quantity: m for m in numbers[1]}
    assert (by_key["suvbw"].value, by_key["suvbw"].uncertainty) == pytest.approx((7.5, 0.75))
    assert by_key["pid_per_ml"].value == pytest.approx(0.005)
    assert by_key["suvbw"].n_voxels == 9


def test_a_missing_body_fact_is_a_reason_not_a_guess(scene):
    regions = measured(scene, height_m=scene.known(None))
    lesion = regions["lesion"]
    for key, words in (
        ("sul_janmahasatian", "not computed: height of the patient not known"),
        ("suvbsa", "not computed: height of the patient not known"),
        ("suvibw", "not computed: height of the patient not known"),
    ):
        for statistic in ("mean", "peak"):
            found = lesion.measurement(key, statistic, "pet")
            assert math.isnan(found.value)
            assert math.isnan(found.uncertainty)
            assert found.note == words
        assert regions["liver"].measurement(key, "mean", "pet") is None
    assert math.isfinite(value(lesion, "suvbw"))
    nothing = scene.known(None)
    bare = measured(scene, height_m=nothing, sex=nothing, weight_kg=nothing)["lesion"]
    assert bare.measurement("sul_janmahasatian", "mean", "pet").note == (
        "not computed: weight and height and sex of the patient not known"
    )
    assert math.isfinite(value(bare, "pid_per_ml"))


def test_maps_without_facts_are_left_alone(scene):
    numbers = {1: [Measurement("pid_per_kg", "mean", "pet", 5.0, 0.5, "spread", 9, "native pet")]}
    measure_scaled(numbers, scene.region_set("pet"), {}, source="pet")
    assert len(numbers[1]) == 1
