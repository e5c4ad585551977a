from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.measure_pet import measure_pet
from eprimg.stages.numbers import find_number


@pytest.fixture
def small(scene):
    """A lesion of eight voxels (values 2, 4) and one of blood (value 1, 30 voxels, 1.92 mL)."""
    grid = scene.grid("pet", shape=(12, 12, 12), spacing=(4.0, 4.0, 4.0))
    values = np.full(grid.shape, 1.0)
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[5:7, 5:7, 5:7] = 1
    values[5, 5:7, 5:7], values[6, 5:7, 5:7] = 2.0, 4.0
    labels[8:10, 8:11, 4:9] = 2
    regions = (
        Region(1, "lesion", RegionRole.LESION),
        Region(2, "aorta", RegionRole.REFERENCE, anatomy="blood"),
    )
    uptake = QuantityMap(values, grid, quantity("suvbw"), np.ones(grid.shape, bool), "test")
    return LesionSet(labels, grid, regions), uptake


def run(regions, uptake, config, kept=None, ids=(1, 2)):
    numbers = {i: [] for i in ids}
    measure_pet(numbers, kept or {}, regions, {"suvbw": uptake}, config)
    return numbers


def get(numbers, region, statistic, name="suvbw"):
    return find_number(numbers, {}, region, name, statistic, "pet")


def test_statistics(small, scene):
    numbers = run(*small, scene.config)
    sd = math.sqrt(8.0 / 7.0)  # four voxels 1 below and four 1 above the mean of 3
    assert get(numbers, 1, "mean").value == pytest.approx(3.0)
    assert get(numbers, 1, "median").value == pytest.approx(3.0)
    assert get(numbers, 1, "max").value == pytest.approx(4.0)
    assert get(numbers, 1, "sd").value == pytest.approx(sd)
    assert get(numbers, 1, "mean").uncertainty == pytest.approx(sd / math.sqrt(8))
    assert "lower bound" in get(numbers, 1, "mean").uncertainty_note
    # The 12.4 mm sphere reaches beyond the lesion of 8 mm, so it holds background too.
    assert 1.0 < get(numbers, 1, "peak").value < 4.0
    assert get(numbers, 1, "peak").note == ""
    assert "neighbouring region" in get(numbers, 2, "peak").note


def test_ratio_states_its_statistic(small, scene):
    ratio = get(run(*small, scene.config), 1, "ratio", "lesion_blood_ratio")
    assert ratio.value == pytest.approx(3.0)
    assert ratio.note == "mean of the region / mean of aorta"
    assert get(run(*small, scene.config), 2, "ratio", "lesion_blood_ratio") is None
    # first order: sqrt(se_a^2 + (r se_b)^2) / b; the blood is flat, so its standard error is 0
    se_a = math.sqrt(8.0 / 7.0) / math.sqrt(8)
    assert ratio.uncertainty == pytest.approx(se_a / 1.0)


def test_a_ratio_without_its_reference_says_so_of_lesions_only(small, scene):
    numbers = run(*small, scene.config)
    for anatomy in ("muscle", "liver"):
        ratio = get(numbers, 1, "ratio", f"lesion_{anatomy}_ratio")
        assert math.isnan(ratio.value)
        assert math.isnan(ratio.uncertainty)
        assert ratio.note == f"not computed: there is no reference region of {anatomy}"
        assert get(numbers, 2, "ratio", f"lesion_{anatomy}_ratio") is None


def test_lesion_over_liver(small, scene):
    regions, uptake = small
    liver = replace(regions.regions[1], name="liver", anatomy="liver")
    numbers = run(regions.with_regions((regions.regions[0], liver)), uptake, scene.config)
    ratio = get(numbers, 1, "ratio", "lesion_liver_ratio")
    assert ratio.value == pytest.approx(3.0)
    assert ratio.note == "mean of the region / mean of liver"


def test_a_ratio_below_zero_has_an_error_too(small, scene):
    regions, uptake = small
    values = np.array(uptake.values)
    values[regions.labels == 1] = -values[regions.labels == 1]
    values[regions.labels == 2] = np.tile([0.5, 1.5], 15)
    ratio = get(
        run(regions, replace(uptake, values=values), scene.config), 1, "ratio", "lesion_blood_ratio"
    )
    # lesion -3 +- sqrt(8/7)/sqrt 8; blood 1 +- (0.5 sqrt(30/29))/sqrt 30
    se = math.hypot(math.sqrt(1 / 7), 3.0 * 0.5 / math.sqrt(29))
    assert ratio.value == pytest.approx(-3.0)
    assert ratio.uncertainty == pytest.approx(se)


def test_volumes_and_total_uptake_by_three_rules(small, scene):
    """Eight voxels of 0.064 mL, four of 2 and four of 4: 41 % of 4 is 1.64, 60 % is 2.4."""
    numbers = run(*small, scene.config)
    for statistic, volume, total in (
        ("region", 0.512, 3.0 * 0.512),
        ("percent_of_max", 0.512, 3.0 * 0.512),
        ("fixed", 0.256, 4.0 * 0.256),  # SUVbw 4
    ):
        assert get(numbers, 1, statistic, "metabolic_volume").value == pytest.approx(volume)
        assert get(numbers, 1, statistic, "total_lesion_glycolysis").value == pytest.approx(total)
    tight = scene.config.with_settings({"uptake": {"mtv_percent": 60.0, "mtv_suvbw": 5.0}})
    numbers = run(*small, tight)
    assert get(numbers, 1, "percent_of_max", "metabolic_volume").value == pytest.approx(0.256)
    assert get(numbers, 1, "fixed", "metabolic_volume").value == 0.0
    assert get(numbers, 1, "fixed", "total_lesion_glycolysis").value == 0.0
    assert get(numbers, 2, "region", "metabolic_volume") is None


def test_ratio_with_a_reference_that_was_not_measured(small, scene):
    ratio = get(run(*small, scene.config, ids=(1,)), 1, "ratio", "lesion_blood_ratio")
    assert math.isnan(ratio.value)
    assert "was not measured" in ratio.note


def test_a_ratio_needs_enough_of_the_reference(small, scene):
    """The lesion's mean is 3, the blood's 1: the ratio is 3 where it can be formed."""
    regions, uptake = small
    labels = np.array(regions.labels)
    labels[labels == 2] = 0
    labels[8, 8, 4:8] = 2  # four voxels of 0.064 mL
    few = LesionSet(labels, regions.grid, regions.regions)
    ratio = get(run(few, uptake, scene.config), 1, "ratio", "lesion_blood_ratio")
    assert math.isnan(ratio.value)
    assert "the aorta has 4 voxels (0.26 mL), fewer than 20 or less than 0.5 mL" in ratio.note
    labels[8, 8:11, 2:10] = 2  # 24 voxels, 1.54 mL: less than the 1.57 mL of PERCIST
    small_one = LesionSet(labels, regions.grid, regions.regions)
    ratio = get(run(small_one, uptake, scene.config), 1, "ratio", "lesion_blood_ratio")
    assert ratio.value == pytest.approx(3.0)
    assert "the aorta is small (1.5 mL)" in ratio.note


@pytest.mark.parametrize(
    ("share", "value", "words"),
    [
        (0.95, 3.0, ""),
        (0.7, 3.0, "only 70 % of the aorta lies in the field of view of pet"),
        (0.4, math.nan, "only 40 % of the aorta lies in the field of view of pet, less than 50 %"),
    ],
)
def test_a_ratio_by_a_cut_reference(small, scene, share, value, words):
    seen = Measurement("coverage", "share", "pet", share, math.nan, "none", 30, "reference grid")
    numbers = {1: [], 2: [seen]}
    measure_pet(numbers, {}, small[0], {"suvbw": small[1]}, scene.config)
    ratio = get(numbers, 1, "ratio", "lesion_blood_ratio")
    assert ratio.value == pytest.approx(value, nan_ok=True)
    assert words in ratio.note
    assert bool(words) == ("field of view" in ratio.note)


def test_a_cut_sphere_is_said(small, scene):
    regions, uptake = small
    labels = np.zeros(regions.grid.shape, dtype=np.int32)
    labels[0, 5:7, 5:7] = 1
    labels[11, 11, 11] = 2
    cut = LesionSet(labels, regions.grid, regions.regions)
    numbers = run(cut, uptake, scene.config)
    peak = get(numbers, 1, "peak")
    assert "% of the sphere lies inside the PET volume" in peak.note
    corner = get(numbers, 2, "peak")
    assert math.isnan(corner.value)
    assert "corner" in corner.note
    assert math.isnan(corner.uncertainty)


def test_a_region_off_the_grid(small, scene):
    numbers = run(*small, scene.config, ids=(9,))
    assert math.isnan(get(numbers, 9, "peak").value)
    assert "PET grid" in get(numbers, 9, "peak").note
