from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.kernels.r2star import R2StarReason
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.noise_floor import (
    DOUBT_STATISTICS,
    measurable_limit_per_s,
    measure_doubts,
    voxel_doubts,
)


@pytest.fixture
def row(scene):
    """Twenty voxels: 12 at 100 1/s, 2 at 400 1/s, 4 without signal, 2 that did not converge."""
    grid = scene.grid("post", shape=(1, 1, 20))
    values = np.full(grid.shape, 100.0)
    values[..., 12:14] = 400.0
    values[..., 14:] = np.nan
    reason = np.zeros(grid.shape, dtype=np.uint8)
    reason[..., 14:18] = R2StarReason.NON_POSITIVE
    reason[..., 18:] = R2StarReason.NOT_CONVERGED
    return QuantityMap(
        values,
        grid,
        quantity("r2star"),
        np.isfinite(values),
        "test.",
        sources=("mr_post",),
        reason=reason,
        facts={"echo_times_s": [0.002, 0.014]},
    )


def test_voxels_without_signal_count_as_above_the_range(row, scene):
    labels = np.ones(row.grid.shape, dtype=np.int32)
    regions = LesionSet(labels, row.grid, (Region(1, "lesion", RegionRole.LESION),))
    doubt = voxel_doubts({"mr_post": regions}, {"r2star_post": row}, scene.config)["mr_post"][1]
    assert doubt.limit_per_s == pytest.approx(5.0 / 0.014)
    # (2 high + 4 without signal) of the 18 that have a value or no signal left
    assert doubt.above == pytest.approx(6 / 18)
    assert doubt.no_signal == pytest.approx(4 / 20)
    assert doubt.failed == pytest.approx(6 / 20)
    assert doubt.words("mr_post").startswith(
        "33 % of the R2* voxels of mr_post lie above the measurable range (357 1/s) (20 % have no "
        "signal left"
    )


@pytest.fixture
def corrected(scene):
    """Forty voxels of a truncated fit, first echo at 2 ms: saturated above 1000 1/s.

    20 at 400 1/s with four echoes above the noise, 4 at 600 with two, 2 at 1200 with one, 3 with
    signal in the first echo only, 1 without any, 10 that did not converge.
    """
    grid = scene.grid("post", shape=(1, 1, 40))
    values = np.full(grid.shape, np.nan)
    above = np.zeros(grid.shape, dtype=np.uint8)
    reason = np.zeros(grid.shape, dtype=np.uint8)
    values[..., :20], above[..., :20] = 400.0, 4
    values[..., 20:24], above[..., 20:24] = 600.0, 2
    values[..., 24:26], above[..., 24:26] = 1200.0, 1
    reason[..., 26:29] = R2StarReason.AT_BOUND
    reason[..., 29] = R2StarReason.LOW_SIGNAL
    reason[..., 30:] = R2StarReason.NOT_CONVERGED
    return QuantityMap(
        values,
        grid,
        quantity("r2star"),
        np.isfinite(values),
        "test.",
        sources=("mr_post",),
        reason=reason,
        facts={"echo_times_s": [0.002, 0.005, 0.008, 0.014], "noise": "truncate"},
        details={"echoes_above_noise": above},
    )


def doubt_of(made, config):
    labels = np.ones(made.grid.shape, dtype=np.int32)
    regions = LesionSet(labels, made.grid, (Region(1, "lesion", RegionRole.LESION),))
    return voxel_doubts({"mr_post": regions}, {"r2star_post": made}, config)["mr_post"][1]


def test_with_a_noise_mode_the_range_ends_where_echoes_are_missing(corrected, scene):
    doubt = doubt_of(corrected, scene.config)
    assert doubt.limit_per_s == pytest.approx(2.0 / 0.002)
    # 400 1/s is above 5 / 14 ms = 357 1/s, which no longer counts.  Of the 30 voxels that have a
    # value (26) or lost their signal (4): 4 + 2 with too few echoes and 4 lost.
    assert doubt.above == pytest.approx(10 / 30)
    assert doubt.few_echoes == pytest.approx(6 / 40)
    assert doubt.saturated == pytest.approx(2 / 40)
    assert doubt.at_bound == pytest.approx(3 / 40)
    assert doubt.low_signal == pytest.approx(1 / 40)
    assert doubt.failed == pytest.approx(14 / 40)
    assert doubt.n_voxels == 40
    # Median of 20 x 400, 4 x 600, 2 x 1200 1/s, times 2 ms.
    assert doubt.first_echo_product == pytest.approx(0.8)
    assert doubt.bias == "low"
    assert doubt.words("mr_post") == (
        "33 % of the R2* voxels of mr_post lie above the measurable range (8 % hold signal in the "
        "first echo only, and have no value, 2 % do not rise above the noise, and have no value, "
        "15 % rest on too few echoes above the noise, 5 % lie above 2 / TE of the first echo): "
        "R2* is too low"
    )
    two = scene.config.with_settings({"r2star": {"least_echoes_above_noise": 2}})
    assert doubt_of(corrected, two).few_echoes == pytest.approx(2 / 40)


def test_a_fit_of_the_mean_magnitude_has_no_known_direction(corrected, scene):
    rician = replace(corrected, facts={**corrected.facts, "noise": "rician"})
    doubt = doubt_of(rician, scene.config)
    assert doubt.bias == "unknown"
    assert doubt.words("mr_post").endswith("R2* is not certain")


def test_of_two_echoes_both_have_to_be_there(corrected, scene):
    facts = {**corrected.facts, "echo_times_s": [0.002, 0.005]}
    doubt = doubt_of(replace(corrected, facts=facts), scene.config)
    assert doubt.few_echoes == pytest.approx(2 / 40)  # those with one


def test_doubtful_voxels_become_numbers(corrected, scene):
    numbers = {1: [], 7: []}
    doubt = doubt_of(corrected, scene.config)
    measure_doubts(numbers, {"mr_post": {1: doubt}})
    assert numbers[7] == []
    found = {m.statistic: m for m in numbers[1]}
    assert set(found) == set(DOUBT_STATISTICS)
    assert found["saturated"].value == pytest.approx(2 / 40)
    assert found["above_range"].value == pytest.approx(10 / 30)
    assert {(m.quantity, m.source, m.n_voxels) for m in numbers[1]} == {
        ("r2star_voxels", "mr_post", 40)
    }


def test_limit_of_a_map(row, corrected):
    assert measurable_limit_per_s(row, 5.0) == pytest.approx(5.0 / 0.014)
    assert measurable_limit_per_s(corrected, 5.0) == pytest.approx(1000.0)


def test_regions_and_maps_that_are_not_there(row, scene):
    empty = LesionSet(np.zeros(row.grid.shape, dtype=np.int32), row.grid, ())
    assert voxel_doubts({"mr_post": empty}, {"r2star_post": row}, scene.config) == {"mr_post": {}}
    assert voxel_doubts({}, {"r2star_post": row}, scene.config) == {}
    assert voxel_doubts({"mr_post": empty}, {}, scene.config) == {}
