from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.measure_mr import (
    measure_differences,
    measure_r2star,
    rim_gradient_per_mm,
    tail_ratios,
    tail_statistic,
)
from eprimg.stages.noise_floor import VoxelDoubt
from eprimg.stages.numbers import find_number


@pytest.fixture
def two_regions(scene):
    """Lesion of voxels 1 .. 20, spleen of twenty voxels of 50 1/s, on one row each."""
    grid = scene.grid("pre", shape=(1, 3, 20), spacing=(4.0, 3.0, 3.0))
    values = np.zeros(grid.shape)
    values[0, 0] = np.arange(1.0, 21.0)
    values[0, 2] = 50.0
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[0, 0], labels[0, 2] = 1, 2
    regions = (
        Region(1, "lesion", RegionRole.LESION),
        Region(2, "spleen", RegionRole.REFERENCE, anatomy="spleen"),
    )
    error = np.full(grid.shape, 3.0)
    mapped = QuantityMap(
        values, grid, quantity("r2star"), np.ones(grid.shape, bool), "test", standard_error=error
    )
    return LesionSet(labels, grid, regions), mapped


def measured(regions, r2star, config, source="mr_post"):
    numbers = {r.id: [] for r in regions.regions}
    measure_r2star(numbers, regions, r2star, source, config)
    return numbers


def get(numbers, region, name, statistic, source="mr_post"):
    return find_number(numbers, {}, region, name, statistic, source)


def test_statistics_of_one_to_twenty(two_regions, scene):
    numbers = measured(*two_regions, scene.config)
    expected = {
        "mean": 10.5,
        "median": 10.5,
        "sd": math.sqrt(35.0),
        "p25": 5.75,
        "p75": 15.25,
        # the 90th percentile of 1..20 is 18.1; above it lie 19 and 20
        "p90_mean": 19.5,
    }
    for statistic, value in expected.items():
        assert get(numbers, 1, "r2star", statistic).value == pytest.approx(value)
    assert get(numbers, 1, "r2star", "p90_mean").n_voxels == 2


def test_fit_error_of_mean_and_median(two_regions, scene):
    numbers = measured(*two_regions, scene.config)
    # twenty independent voxels of standard error 3: 3 / sqrt(20); a median has sqrt(pi / 2) of it
    assert get(numbers, 1, "r2star", "mean").uncertainty == pytest.approx(3.0 / math.sqrt(20))
    assert get(numbers, 1, "r2star", "median").uncertainty == pytest.approx(
        3.0 / math.sqrt(20) * math.sqrt(math.pi / 2)
    )


def test_without_fit_errors_the_spread_stands_in(two_regions, scene):
    regions, r2star = two_regions
    bare = QuantityMap(r2star.values, r2star.grid, r2star.quantity, r2star.valid, "test")
    found = get(measured(regions, bare, scene.config), 1, "r2star", "mean")
    assert found.uncertainty == pytest.approx(math.sqrt(35.0) / math.sqrt(20))
    assert "spread" in found.uncertainty_note


def test_failed_voxels_are_left_out_and_said(two_regions, scene):
    regions, r2star = two_regions
    values, valid = np.array(r2star.values), np.array(r2star.valid)
    values[0, 0, 10:] = np.nan
    valid[0, 0, 10:] = False
    values[0, 2] = np.nan
    valid[0, 2] = False
    mapped = QuantityMap(
        values, r2star.grid, r2star.quantity, valid, "test", standard_error=r2star.standard_error
    )
    numbers = measured(regions, mapped, scene.config)
    lesion = get(numbers, 1, "r2star", "mean")
    assert lesion.value == pytest.approx(5.5)
    assert lesion.n_voxels == 10
    assert lesion.note.startswith("10 of 20 voxels could not be fitted")
    spleen = get(numbers, 2, "r2star", "mean")
    assert math.isnan(spleen.value)
    assert "in any voxel" in spleen.note


def test_tail_ratio_to_the_spleen(two_regions, scene):
    regions, r2star = two_regions
    numbers = measured(regions, r2star, scene.config)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), scene.config)
    assert get(numbers, 1, "rr2star90", "ratio").value == pytest.approx(19.5 / 50.0)


def test_tail_ratio_over_a_spleen_above_the_measurable_range(two_regions, scene):
    regions, r2star = two_regions
    numbers = measured(regions, r2star, scene.config)
    doubts = {"mr_post": {2: VoxelDoubt(0.84, 0.0, 0.0, 357.0)}}
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), scene.config, doubts=doubts)
    ratio = get(numbers, 1, "rr2star90", "ratio")
    assert ratio.value == pytest.approx(19.5 / 50.0)
    assert "spleen: 84 % of the R2* voxels of mr_post lie above" in ratio.note
    assert ratio.note.endswith("so the ratio is biased upward")


def test_tail_ratio_over_a_spleen_that_is_cut(two_regions, scene):
    regions, r2star = two_regions
    numbers = measured(regions, r2star, scene.config)
    numbers[2].append(
        Measurement("coverage", "share", "mr_post", 0.3, math.nan, "none", 60, "reference grid")
    )
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), scene.config)
    ratio = get(numbers, 1, "rr2star90", "ratio")
    assert math.isnan(ratio.value)
    assert "only 30 % of the spleen lies in the field of view of mr_post" in ratio.note


def test_tail_ratio_needs_a_spleen_and_the_published_quantile(two_regions, scene):
    regions, r2star = two_regions
    lesion_only = regions.with_regions(regions.regions[:1])
    numbers = measured(lesion_only, r2star, scene.config)
    measure_differences(numbers, {}, lesion_only, {}, (math.nan, ""), scene.config)
    ratio = get(numbers, 1, "rr2star90", "ratio")
    assert math.isnan(ratio.value)
    assert "no spleen region" in ratio.note
    other = scene.config.with_settings({"measure": {"tail_quantile": 0.8}})
    numbers = measured(regions, r2star, other)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), other)
    assert get(numbers, 1, "r2star", "p80_mean") is not None
    assert math.isnan(get(numbers, 1, "rr2star90", "ratio").value)
    assert tail_statistic(0.975) == "p97.5_mean"


def test_tail_ratio_over_other_organs_when_asked(two_regions, scene):
    regions, r2star = two_regions
    labels = np.array(regions.labels)
    labels[0, 1] = 3
    values = np.array(r2star.values)
    values[0, 1] = 39.0
    blood = Region(3, "aorta", RegionRole.REFERENCE, anatomy="blood")
    regions = LesionSet(labels, regions.grid, (*regions.regions, blood))
    mapped = QuantityMap(values, r2star.grid, r2star.quantity, r2star.valid, "test")
    asked = scene.config.with_settings({"measure": {"tail_references": ["spleen", "blood"]}})
    numbers = measured(regions, mapped, asked)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), asked)
    assert get(numbers, 1, "rr2star90", "ratio").value == pytest.approx(19.5 / 50.0)
    assert get(numbers, 1, "rr2star", "p90_over_blood").value == pytest.approx(19.5 / 39.0)
    # the published ratio has one name only
    assert get(numbers, 1, "rr2star", "p90_over_spleen") is None
    other = asked.with_settings({"measure": {"tail_quantile": 0.8}})
    numbers = measured(regions, mapped, other)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), other)
    # the 80th percentile of 1..20 is 16.2; above it lie 17 .. 20, mean 18.5
    assert get(numbers, 1, "rr2star", "p80_over_spleen").value == pytest.approx(18.5 / 50.0)
    assert math.isnan(get(numbers, 1, "rr2star90", "ratio").value)
    muscle = asked.with_settings({"measure": {"tail_references": ["muscle"]}})
    assert tail_ratios(muscle) == {"muscle": ("rr2star",), "spleen": ("rr2star90",)}
    numbers = measured(regions, mapped, muscle)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), muscle)
    missing = get(numbers, 1, "rr2star", "p90_over_muscle")
    assert math.isnan(missing.value)
    assert missing.note == "not computed: there is no muscle region"


def test_difference_adds_errors_in_quadrature(two_regions, scene):
    regions, r2star = two_regions
    numbers = measured(regions, r2star, scene.config)
    before = QuantityMap(
        np.asarray(r2star.values) / 2,
        r2star.grid,
        r2star.quantity,
        r2star.valid,
        "test",
        standard_error=np.full(r2star.grid.shape, 4.0),
    )
    measure_r2star(numbers, regions, before, "mr_pre", scene.config)
    measure_differences(numbers, {}, regions, {}, (math.nan, ""), scene.config)
    change = find_number(numbers, {}, 1, "dr2star", "mean", "mr_post-mr_pre")
    assert change.value == pytest.approx(5.25)
    assert change.uncertainty == pytest.approx(5.0 / math.sqrt(20))  # 3 and 4 make 5


def test_registration_term_of_a_ramp(scene):
    """A ramp of 2 1/s per mm along x has that gradient everywhere; 0.5 mm of error make 1 1/s."""
    grid = scene.grid("pre", shape=(8, 8, 12), spacing=(4.0, 3.0, 3.0))
    ramp = np.broadcast_to(2.0 * 3.0 * np.arange(12.0), grid.shape)
    change = QuantityMap(
        np.array(ramp), grid, quantity("dr2star"), np.ones(grid.shape, bool), "test"
    )
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[3:6, 3:6, 4:8] = 1
    regions = LesionSet(labels, grid, (Region(1, "lesion", RegionRole.LESION),))
    box = (slice(3, 6), slice(3, 6), slice(4, 8))
    assert rim_gradient_per_mm(change, labels, 1, box) == pytest.approx(2.0)
    numbers = {1: []}
    measure_differences(
        numbers, {}, regions, {"dr2star": change}, (0.5, "registration error 0.50 mm"), scene.config
    )
    term = find_number(numbers, {}, 1, "dr2star", "registration_error_term", "mr_post-mr_pre")
    assert term.value == pytest.approx(1.0)
    assert "registration error 0.50 mm" in term.note
    assert find_number(numbers, {}, 1, "dr2star", "mean", "registered").value == pytest.approx(
        2.0 * 3.0 * 5.5
    )


def test_a_region_off_the_grid_is_missing_with_a_reason(two_regions, scene):
    regions, r2star = two_regions
    numbers = {7: []}
    measure_r2star(numbers, regions, r2star, "mr_post", scene.config)
    found = get(numbers, 7, "r2star", "median")
    assert math.isnan(found.value)
    assert found.note == "no voxel of the region lies on the mr_post grid"
