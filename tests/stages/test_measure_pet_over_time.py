"""Retention, area, permeability index and influx of PET sessions against closed forms.

Blood falls as B0 exp(-k t); the lesion holds Ki times the integral of blood plus V times blood, so
a Patlak plot through any sessions is a straight line (Patlak et al., J Cereb Blood Flow Metab
1983;3:1-7, doi:10.1038/jcbfm.1983.1).
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Study, Timepoint
from eprimg.stages.measure_pet_over_time import measure_pet_over_time

HOURS = {"pet_2": 24.0, "pet_3": 72.0, "pet": 144.0}
B0, RATE = 18.0, math.log(2.0) / 40.0  # %ID/kg, per hour
KI, V = 0.01, 0.3  # per hour, without unit


def blood_at(hours):
    return B0 * np.exp(-RATE * np.asarray(hours))


def lesion_at(hours):
    return KI * B0 * (1.0 - np.exp(-RATE * np.asarray(hours))) / RATE + V * blood_at(hours)


def mean(value, source, error):
    return Measurement(
        "pid_per_kg", "mean", source, float(value), error, "spread", 400, f"native {source}"
    )


def numbers_of(scene, error=0.0, shown=tuple(HOURS)):
    numbers = {scene.ids["lesion"]: [], scene.ids["blood"]: []}
    for key in shown:
        at = HOURS[key]
        numbers[scene.ids["lesion"]].append(mean(lesion_at(at), key, error))
        numbers[scene.ids["blood"]].append(mean(blood_at(at), key, error))
    volume = Measurement("volume", "volume", "reference", 14.0, math.nan, "", 400, "reference grid")
    numbers[scene.ids["blood"]].append(volume)
    return numbers


def study_of(scene):
    points = []
    for key, hours in HOURS.items():
        facts = scene.pet_acquisition(hours_after_injection=hours)
        series = replace(scene.pet_series(key, facts), key=key)
        points.append(Timepoint(key, scene.injected + timedelta(hours=hours), (series,)))
    return Study("case-1", tuple(points))


def made(scene, numbers, regions=None, config=None, plasma=None):
    regions = regions or scene.region_set(names=("lesion", "blood"))
    config = config or scene.config
    measure_pet_over_time(numbers, {}, regions, study_of(scene), config, plasma=plasma)
    rows = numbers[scene.ids["lesion"]]
    return {(m.quantity, m.source): m for m in rows if m.quantity != "pid_per_kg"}


ALL = "pet/pet_3/pet_2"


def test_closed_forms(scene):
    found = made(scene, numbers_of(scene))
    early, late = lesion_at(24.0), lesion_at(144.0)
    assert found["uptake_retention", "pet/pet_2"].value == pytest.approx(late / early, rel=1e-9)
    middle = lesion_at(72.0)
    assert found["uptake_retention", "pet_3/pet_2"].value == pytest.approx(middle / early)
    # Trapezoids by hand: 0 to 24 h rising from zero, 24 to 72 h, 72 to 144 h.
    area = 12.0 * early + 24.0 * (early + middle) + 36.0 * (middle + late)
    assert found["uptake_auc", ALL].value == pytest.approx(area, rel=1e-9)
    slope = ((middle - early) - (blood_at(72.0) - blood_at(24.0))) / 48.0
    assert found["permeability_index", "pet_3/pet_2"].value == pytest.approx(slope, rel=1e-9)
    assert found["patlak_ki", ALL].value == pytest.approx(KI, rel=1e-6)
    assert found["patlak_intercept", ALL].value == pytest.approx(V, rel=1e-6)
    assert "3 sessions from 24 h on" in found["patlak_ki", ALL].note
    assert found["patlak_ki", ALL].grid == "native pet_2 and pet_3 and pet"


def test_standard_errors_cover_the_scatter(scene):
    """Oracle: the scatter of the results over repeated noise, within 10 % (500 repetitions)."""
    rng = np.random.default_rng(4)
    said, values = [], {"patlak_ki": [], "uptake_auc": [], "permeability_index": []}
    for _ in range(500):
        numbers = numbers_of(scene, 0.02)
        noisy = {
            i: [replace(m, value=m.value + rng.normal(0.0, 0.02)) if m.source in HOURS else m
                for m in rows]
            for i, rows in numbers.items()
        }  # fmt: skip
        found = made(scene, noisy)
        said.append([m.uncertainty for (q, _), m in sorted(found.items()) if q in values])
        for quantity, _ in sorted(found):
            if quantity in values:
                values[quantity].append(
                    next(m.value for (q, _), m in found.items() if q == quantity)
                )
    mean_said = np.sqrt(np.mean(np.square(said), axis=0))
    for name, stated in zip(sorted(values), mean_said, strict=True):
        assert stated == pytest.approx(np.std(values[name], ddof=1), rel=0.1), name


def test_samples_take_the_place_of_the_blood_region(scene):
    times = np.array([1.0, 12.0, 24.0, 48.0, 96.0, 150.0])
    # %ID/kg back to Bq/mL of whole blood: dose 74 MBq, 1 mL taken as 1 g.
    activity = blood_at(times) * scene.dose_bq / 1e5 / 1.6
    samples = PlasmaInput(times * 3600.0, activity, None, False, "6 samples")
    config = scene.config.with_assignments(["kinetics.plasma_over_blood=1.6"])
    found = made(scene, numbers_of(scene), config=config, plasma=samples)
    assert found["patlak_ki", ALL].value == pytest.approx(KI, rel=1e-6)
    assert "6 samples, plasma over blood 1.6" in found["patlak_ki", ALL].note
    plasma = replace(samples, activity_bq_per_ml=1.6 * activity, is_plasma=True)
    again = made(scene, numbers_of(scene), config=config, plasma=plasma)
    assert again["patlak_ki", ALL].value == pytest.approx(KI, rel=1e-6)


def test_what_is_missing_is_said(scene):
    lone = made(scene, numbers_of(scene), scene.region_set(names=("lesion",)))
    assert math.isnan(lone["patlak_ki", ALL].value)
    assert lone["patlak_ki", ALL].note == "not computed: there is no blood region"
    assert math.isnan(lone["permeability_index", "pet_3/pet_2"].value)
    assert math.isfinite(lone["uptake_auc", ALL].value)
    late = scene.config.with_assignments(["kinetics.patlak_start_h=100"])
    few = made(scene, numbers_of(scene), config=late)
    assert "three scans" in few["patlak_ki", ALL].note
    two = scene.config.with_assignments(["kinetics.patlak_start_h=48"])
    line = made(scene, numbers_of(scene), config=two)["patlak_ki", ALL]
    # A line through two points has a slope and no error.
    assert line.value == pytest.approx(KI, rel=1e-6)
    assert (math.isnan(line.uncertainty), line.uncertainty_note[:4]) == (True, "none")


def test_a_session_that_missed_the_lesion_is_left_out(scene):
    numbers = numbers_of(scene)
    rows = numbers[scene.ids["lesion"]]
    rows[1] = replace(rows[1], value=math.nan)
    found = made(scene, numbers)
    assert ("uptake_retention", "pet_3/pet_2") not in found
    assert found["uptake_retention", "pet/pet_2"].value == pytest.approx(
        lesion_at(144.0) / lesion_at(24.0)
    )
    assert found["patlak_ki", "pet/pet_2"].value == pytest.approx(KI, rel=1e-6)


def test_one_session_gives_nothing(scene):
    numbers = numbers_of(scene, shown=("pet",))
    assert made(scene, numbers) == {}
    assert isinstance(scene.region_set(), LesionSet)
