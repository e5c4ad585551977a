from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.blood_volume import BLOOD_FREE_MEAN, correct_blood_volume
from eprimg.stages.measure_pet import measure_pet
from eprimg.stages.numbers import find_number

SCALE = 2e-4  # g/mL of SUVbw per Bq/mL


@pytest.fixture
def room(scene):
    """A lesion (5.0 +- 1), blood (3.0 +- 0.5) and, in Bq/mL, 5000 times as much."""
    grid = scene.grid("pet", shape=(12, 12, 12), spacing=(4.0, 4.0, 4.0))
    rng = np.random.default_rng(3)
    suv = np.ones(grid.shape)
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[2:5, 2:5, 2:5], labels[7:10, 7:10, 3:9] = 1, 2
    suv[labels == 1] = 5.0 + rng.standard_normal(27)
    suv[labels == 2] = 3.0 + 0.5 * rng.standard_normal(54)
    activity = suv / SCALE
    activity[0, 0, 0] = np.nan
    maps = {
        key: QuantityMap(v, grid, quantity(key), np.isfinite(v), "test")
        for key, v in (("suvbw", suv), ("activity", activity))
    }
    regions = (
        Region(1, "lesion", RegionRole.LESION),
        Region(2, "aorta", RegionRole.REFERENCE, anatomy="blood"),
    )
    return LesionSet(labels, grid, regions), maps


def run(room, *assignments, ids=(1, 2)):
    lesions, maps = room
    config = Config().with_assignments([f"blood_volume.{a}" for a in assignments])
    numbers = {i: [] for i in ids}
    measure_pet(numbers, {}, lesions, {"suvbw": maps["suvbw"]}, config)
    correct_blood_volume(numbers, {}, lesions, maps, config)
    return numbers


def get(numbers, region, statistic):
    return find_number(numbers, {}, region, "suvbw", statistic, "pet")


def test_blood_is_taken_off_the_mean_of_a_lesion(room):
    numbers = run(room, "fraction=0.1", "fraction_se=0.02")
    lesion, blood = get(numbers, 1, "mean"), get(numbers, 2, "mean")
    found = get(numbers, 1, BLOOD_FREE_MEAN)
    assert found.value == pytest.approx(lesion.value - 0.1 * blood.value)
    # Independent errors of a difference: squares add.
    variance = lesion.uncertainty**2 + (0.1 * blood.uncertainty) ** 2 + (0.02 * blood.value) ** 2
    assert found.uncertainty == pytest.approx(math.sqrt(variance))
    order = [m.statistic for m in numbers[1]]
    assert order[order.index("mean") + 1] == BLOOD_FREE_MEAN
    assert get(numbers, 2, BLOOD_FREE_MEAN) is None
    assert "0.1 of the mean of the blood-pool region" in found.note


def test_a_blood_sample_takes_the_place_of_the_region(room):
    numbers = run(room, "fraction=0.2", "blood_bq_per_ml=10000", "blood_se_bq_per_ml=500")
    lesion, found = get(numbers, 1, "mean"), get(numbers, 1, BLOOD_FREE_MEAN)
    assert found.value == pytest.approx(lesion.value - 0.2 * 10000 * SCALE)
    assert found.uncertainty == pytest.approx(math.hypot(lesion.uncertainty, 0.2 * 500 * SCALE))
    assert "blood sample" in found.note


def test_nothing_without_a_fraction_and_a_reason_without_blood(room):
    assert get(run(room), 1, BLOOD_FREE_MEAN) is None
    lesions, maps = room
    bare = LesionSet(np.where(lesions.labels == 1, 1, 0), lesions.grid, lesions.regions[:1])
    found = get(run((bare, maps), "fraction=0.1", ids=(1,)), 1, BLOOD_FREE_MEAN)
    assert math.isnan(found.value)
    assert "no blood-pool region and no blood sample" in found.note
    none = get(run((bare, {"suvbw": maps["suvbw"]}), "fraction=0.1", "blood_bq_per_ml=1", ids=(1,)),
               1, BLOOD_FREE_MEAN)  # fmt: skip
    assert "no activity" in none.note
    unseen = get(run(room, "fraction=0.1", ids=(1,)), 1, BLOOD_FREE_MEAN)
    assert "was not measured" in unseen.note


def test_too_much_blood_is_kept_and_said(room):
    found = get(run(room, "fraction=0.9", "blood_bq_per_ml=90000"), 1, BLOOD_FREE_MEAN)
    assert found.value < 0.0
    assert "too high" in found.note
