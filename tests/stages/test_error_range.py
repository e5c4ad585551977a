"""What a map and a region say of the range of their standard errors; codes are written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.kernels.error_range import ErrorRange
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role
from eprimg.quantities import quantity
from eprimg.stages.error_range import (
    ERROR_RANGE,
    ERROR_RANGE_REMARK,
    error_range_finding,
    error_range_words,
    outside_share,
)
from eprimg.stages.measure import measure
from eprimg.stages.measure_mr import measure_r2star
from eprimg.stages.numbers import find_number
from eprimg.stages.quantify import quantify

IN, HIGH, FEW, NO, UNKNOWN = (
    np.uint8(ErrorRange.CALIBRATED),
    np.uint8(ErrorRange.HIGH_RATE),
    np.uint8(ErrorRange.FEW_ECHOES),
    np.uint8(ErrorRange.NO_ERROR),
    np.uint8(ErrorRange.UNKNOWN_NOISE),
)


def test_voxels_without_an_error_are_neither_inside_nor_outside():
    codes = np.array([IN, IN, IN, HIGH, NO, NO])
    assert outside_share(codes) == 0.25
    assert outside_share(np.array([NO])) == 0.0
    # weights 1, 1, 1 inside and -1 outside; what has no error weighs nothing
    assert outside_share(codes, np.array([1.0, 1.0, 1.0, -1.0, 9.0, 9.0])) == 0.25


def test_the_words_name_every_reason_and_its_share():
    codes = np.array([IN] * 5 + [HIGH] * 3 + [FEW] * 2 + [NO] * 10)
    said = error_range_words(codes)
    assert "in 50 % of the voxels" in said
    assert "too high for its S0 / sigma and these echo times: 30 %" in said
    assert "fewer than 4 echoes in the fit: 20 %" in said
    assert "no standard error" not in said
    assert error_range_words(np.array([IN] * 5 + [NO])) == ""


def test_a_region_says_that_its_error_is_outside_the_range(scene):
    grid = scene.grid("pre", shape=(1, 2, 20), spacing=(4.0, 3.0, 3.0))
    labels = np.repeat([[1], [2]], 20, axis=1)[None].astype(np.int32)
    codes = np.full(grid.shape, IN)
    codes[0, 0, :5] = HIGH
    mapped = QuantityMap(
        np.full(grid.shape, 300.0), grid, quantity("r2star"), np.ones(grid.shape, bool), "test",
        standard_error=np.full(grid.shape, 3.0), details={ERROR_RANGE: codes},
    )  # fmt: skip
    regions = LesionSet(
        labels, grid, (Region(1, "a", RegionRole.LESION), Region(2, "b", RegionRole.LESION))
    )
    numbers = {1: [], 2: []}
    measure_r2star(numbers, regions, mapped, "mr_post", scene.config)
    first, second = (find_number(numbers, {}, n, "r2star", "mean", "mr_post") for n in (1, 2))
    assert "known to be calibrated in 25 % of the voxels" in first.note
    assert first.uncertainty_note.endswith(ERROR_RANGE_REMARK)
    assert second.note == ""
    assert "calibrated" not in second.uncertainty_note
    # a spread is no standard error
    assert find_number(numbers, {}, 1, "r2star", "sd", "mr_post").note == ""


@pytest.fixture
def post(scene):
    """Decays of 400 1/s and less with S0 / sigma of 30 in the scene's post scan."""
    return scene.study(
        scene.mr_series(Role.MR_PRE, "pre", noise=5.0),
        scene.mr_series(Role.MR_POST, "post", column=1, noise=5.0),
    )


def test_a_map_holds_the_range_of_every_voxel_and_the_differences_say_it(scene, post):
    plain = scene.config.with_settings({"r2star": {"sigma": 5.0}})
    result = quantify(post, (), plain)
    r2star = result.value.maps["r2star_post"]
    codes = r2star.details[ERROR_RANGE]
    assert codes.shape == r2star.values.shape
    assert np.array_equal(codes == NO, ~np.isfinite(r2star.standard_error))
    s0 = result.value.maps["s0_post"]
    inside = codes == IN
    assert inside.any()
    # the documented limits: S0/sigma of at least 20, and at most 400 1/s
    assert (s0.values[inside] >= 20.0 * 5.0).all()
    assert (r2star.values[inside] <= 400.0).all()


def test_the_differences_say_it_too(scene, post):
    config = scene.config.with_settings({"r2star": {"sigma": 0.5, "method": "loglin"}})
    moved = (scene.registration("mr_post", shift=(1.5, 0.0, 0.0)),)
    made = quantify(post, moved, config).value
    found = measure(post, moved, made.maps, made.registered, scene.region_set(), config).value
    lesion = next(r for r in found.lesions.regions if r.name == "lesion")
    for source, words in (
        ("mr_post-mr_pre", "mr_post: outside the range"),
        ("registered", "100 % of the voxels after, 100 % before"),
    ):
        change = lesion.measurement("dr2star", "mean", source)
        assert words in change.note
        assert ERROR_RANGE_REMARK in change.uncertainty_note


def test_estimators_for_comparison_are_said_in_a_finding(scene, post):
    config = scene.config.with_settings({"r2star": {"sigma": 5.0, "method": "loglin"}})
    result = quantify(post, (), config)
    said = [f for f in result.findings if f.code == "I_ERROR_RANGE"]
    assert len(said) == 2
    assert "not shown for this estimator" in said[0].text
    assert "100 % of the voxels" in said[0].text


def test_tissue_is_what_has_signal(scene):
    grid = scene.grid("pre", shape=(1, 1, 4), spacing=(4.0, 3.0, 3.0))
    s0 = QuantityMap(
        np.array([[[5.0, 5.0, 500.0, 500.0]]]), grid, quantity("s0"), np.ones(grid.shape, bool), "t"
    )
    codes = np.array([[[HIGH, HIGH, HIGH, IN]]])
    (said,) = error_range_finding(codes, s0, 1.0, "mr_post")
    assert "in 50 % of the voxels" in said.text  # 75 % with the air
    codes[..., 2] = IN
    assert error_range_finding(codes, s0, 1.0, "mr_post") == []
    (unknown,) = error_range_finding(np.full(codes.shape, UNKNOWN), s0, None, "mr_post")
    assert "noise level is not known: 100 %" in unknown.text
