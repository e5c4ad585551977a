"""Lesions around a point: exact small cases, spheres with a closed-form truth, refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels._pet_size import whole_voxels
from eprimg.kernels.pet_regions import PET_METHODS, segment_lesion
from eprimg.kernels.pet_thresholds import PetConstants
from tests.validation.pet_spheres import SCENES, dice, make_sphere

MM4 = (4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def sphere():
    """22 mm, 8:1 over soft tissue."""
    return make_sphere(SCENES[0], 22.0, 0)


@pytest.fixture(scope="module")
def block() -> np.ndarray:
    """A block of 10 over a ground of 2, without noise: 6 x 6 x 6 voxels of 4 mm."""
    values = np.full((24, 24, 24), 2.0)
    values[9:15, 9:15, 9:15] = 10.0
    return values


def test_a_block_without_interpolation_is_exact(block: np.ndarray) -> None:
    found = segment_lesion(block, MM4, (12, 12, 12), upsampling=1)
    whole = np.zeros(block.shape, np.bool_)
    whole[found.box] = found.mask
    assert np.array_equal(whole, block == 10.0)
    assert found.background == 2.0
    assert found.maximum == 10.0
    assert found.threshold == pytest.approx(2.0 + 0.41 * 8.0)
    assert found.volume_ml == pytest.approx(216 * 0.064)
    assert found.reason == ""
    assert not found.clipped
    assert not found.below_resolution


def test_the_result_scales_with_the_map_and_moves_with_the_lesion(sphere) -> None:
    one = segment_lesion(sphere.values, MM4, sphere.seed)
    many = segment_lesion(1e4 * sphere.values, MM4, sphere.seed)
    assert np.array_equal(one.fine_mask, many.fine_mask)
    assert many.threshold == pytest.approx(1e4 * one.threshold)
    moved = segment_lesion(
        np.roll(sphere.values, (1, -2, 1), axis=(0, 1, 2)),
        MM4,
        tuple(np.add(sphere.seed, (1, -2, 1))),
    )
    assert moved.volume_ml == pytest.approx(one.volume_ml, rel=1e-3)


def test_fraction_mask_and_volume_tell_the_same_story(sphere) -> None:
    found = segment_lesion(sphere.values, MM4, sphere.seed)
    assert found.fraction.sum() * 0.064 == pytest.approx(found.volume_ml, rel=1e-6)
    # Whole voxels: none is emptier than one that was left out; their volume is that of the outline.
    assert found.fraction[found.mask].min() >= found.fraction[~found.mask].max()
    assert abs(np.count_nonzero(found.mask) * 0.064 - found.volume_ml) <= 0.0321  # half a voxel
    blocks = found.fine_mask.reshape(*(n for s in found.mask.shape for n in (s, 2)))
    np.testing.assert_allclose(found.fraction, blocks.mean(axis=(1, 3, 5)))


@pytest.mark.parametrize("scene", SCENES)
def test_adaptive_bg_keeps_the_bounds_of_the_validation_page(scene: str) -> None:
    # Truth: the analytic sphere.  Bounds: mean Dice 0.92, volume within 15 % for 13 mm and more.
    scores, errors = [], []
    for diameter in (13.0, 22.0, 37.0):
        image = make_sphere(scene, diameter, 7)
        found = segment_lesion(image.values, MM4, image.seed)
        scores.append(dice(found.fine_mask, image.truth(found.box, 2)))
        errors.append(abs(found.volume_ml / image.volume_ml - 1.0))
        assert not found.below_resolution
    assert np.mean(scores) >= 0.92
    assert np.mean(errors) <= 0.15


@pytest.mark.parametrize("diameter", [13.0, 17.0, 28.0])
def test_labels_hold_the_volume_of_the_outline(diameter: float) -> None:
    # A noiseless ball whose surface is the threshold: the values fall with the distance from its
    # centre.  Truth: the analytic ball.  Voxels of which at least half lies inside are 3 to 8 %
    # too many on this grid, those of more than half 5 to 20 % too few.
    errors, middle = [], np.array([11.0, 11.0, 11.0])
    for shift in ((0.02, 0.05, 0.11), (0.25, 0.07, 0.48), (0.45, 0.41, 0.37), (0.1, 0.3, 0.4)):
        index = np.moveaxis(np.indices((23, 23, 23)), 0, -1) - (middle + shift)
        far = 4.0 * np.sqrt((index**2).sum(axis=-1))
        values = 1.0 + 8.0 / (1.0 + np.exp((far - 0.5 * diameter) / 1.5))
        found = segment_lesion(values, MM4, (11, 11, 11), method="fixed",
            constants=PetConstants(fixed=5.0), psf_fwhm_mm=4.0)  # fmt: skip
        labels_ml = np.count_nonzero(found.mask) * 0.064
        outline_ml = np.count_nonzero(found.fine_mask) * 0.008
        assert abs(labels_ml - outline_ml) <= 0.0321  # half a voxel
        errors.append(labels_ml / (np.pi / 6.0 * diameter**3 / 1000.0) - 1.0)
    one_voxel = 0.064 / (np.pi / 6.0 * diameter**3 / 1000.0)  # 5.6 % of the smallest ball
    assert abs(np.mean(errors)) <= max(0.03, one_voxel)
    assert np.max(np.abs(errors)) <= 0.08


def test_equally_full_voxels_are_taken_hottest_first() -> None:
    fraction = np.zeros((1, 3, 4), np.float32)
    fraction[0, 1] = (0.5, 1.0, 1.0, 0.5)
    fraction[0, 0, 1:3] = 0.5
    values = np.arange(12.0).reshape(1, 3, 4)
    # four halves and two whole ones are four voxels: both whole ones, and the halves of 7 and 4
    assert np.argwhere(whole_voxels(fraction, values)).tolist() == [
        [0, 1, 0], [0, 1, 1], [0, 1, 2], [0, 1, 3],
    ]  # fmt: skip
    # four halves that nothing tells apart: all of them would be 6 voxels in place of 4
    assert whole_voxels(fraction, np.ones_like(values)).sum() == 4
    # 36 full voxels with 4 corners of 3/4 hold 35: all 36 are within 3 %, and stay together
    square = np.ones((1, 6, 6), np.float32)
    square[0, ::5, ::5] = 0.75
    assert whole_voxels(square, np.ones(square.shape)).all()
    # less than half a voxel still has the fullest one
    least = np.zeros((1, 1, 3), np.float32)
    least[0, 0] = (0.125, 0.25, 0.0)
    assert whole_voxels(least, values[:, :1, :3])[0, 0].tolist() == [False, True, False]


def test_why_a_lesion_is_below_the_resolution_is_said_with_the_size_that_was_judged(
    block: np.ndarray,
) -> None:
    small = make_sphere(SCENES[0], 8.0, 1)
    found = segment_lesion(small.values, MM4, small.seed)
    assert found.below_reason.startswith(f"its outline is {found.equivalent_diameter_mm:.1f} mm")
    # nestle draws a threshold of 0.15 of the mean above the background: far wider than the lesion
    wide = segment_lesion(small.values, MM4, small.seed, method="nestle")
    assert wide.equivalent_diameter_mm > 1.3 * found.equivalent_diameter_mm
    assert f"although its outline is {wide.equivalent_diameter_mm:.1f} mm" in wide.below_reason
    judged = float(re.findall(r"background it is ([0-9.]+) mm wide", wide.below_reason)[0])
    assert judged == pytest.approx(found.equivalent_diameter_mm, abs=0.5)  # adaptive-bg's rule
    # 36 voxels in one slice, 26 mm wide in the plane: nothing is said of a small ball
    flat = np.where(np.arange(24)[:, None, None] == 12, block, 2.0)
    one = segment_lesion(flat, MM4, (12, 12, 12), upsampling=1)
    assert one.below_reason == "it is 1 voxel wide along k (slices), fewer than two"
    assert np.count_nonzero(one.mask) == 36
    assert segment_lesion(block, MM4, (12, 12, 12)).below_reason == ""


@pytest.mark.parametrize("method", PET_METHODS)
def test_every_method_finds_a_clear_lesion(sphere, method: str) -> None:
    found = segment_lesion(sphere.values, MM4, sphere.seed, method=method, reference=(1.0, 0.4))
    assert found.reason == ""
    # The worst of them, nestle and percist at these levels, still overlap by far more than half.
    assert dice(found.fine_mask, sphere.truth(found.box, 2)) > 0.6
    assert found.below_resolution is False


@pytest.mark.parametrize("scene", SCENES[:2])
def test_a_lesion_of_two_voxels_has_no_volume_and_one_of_ten_mm_has(scene: str) -> None:
    for method in ("adaptive-bg", "flab"):
        small = make_sphere(scene, 8.0, 1)
        found = segment_lesion(small.values, MM4, small.seed, method=method)
        assert found.below_resolution
        assert np.isnan(found.volume_ml)
        assert found.mask.any()
    larger = make_sphere(scene, 10.0, 1)
    found = segment_lesion(larger.values, MM4, larger.seed)
    assert not found.below_resolution
    assert found.volume_ml > 0


def test_a_threshold_under_the_background_is_refused_in_words() -> None:
    liver = make_sphere(SCENES[1], 10.0, 0)
    for method in ("percent-of-max", "fixed", "majority"):
        # 41 % of a maximum below 11 g/mL, and 4 g/mL, lie under a liver of 4.5 g/mL
        found = segment_lesion(liver.values, MM4, liver.seed, method=method)
        assert "leaks" in found.reason
        assert not found.mask.any()
        assert np.isnan(found.volume_ml)


def test_a_seed_without_a_lesion_and_a_threshold_that_nothing_reaches() -> None:
    flat = np.full((20, 20, 20), 3.0)
    assert "not above" in segment_lesion(flat, MM4, (10, 10, 10)).reason
    warm = flat.copy()
    warm[9:12, 9:12, 9:12] = 3.8
    assert "reaches" in segment_lesion(warm, MM4, (10, 10, 10), method="fixed").reason


def test_a_lesion_without_surroundings_has_no_background() -> None:
    values = np.ones((6, 6, 6))
    values[1:5, 1:5, 1:5] = 5.0  # one voxel of 4 mm around it, all within the blur
    found = segment_lesion(values, MM4, (2, 2, 2))
    assert "surroundings" in found.reason
    assert np.isnan(found.volume_ml)


def test_failed_voxels_stay_out(sphere) -> None:
    values = sphere.values.copy()
    hole = tuple(slice(c - 1, c + 1) for c in sphere.seed)
    values[hole] = np.nan
    found = segment_lesion(values, MM4, sphere.seed)
    whole = np.zeros(values.shape, np.bool_)
    whole[found.box] = found.mask
    assert not whole[hole].any()
    assert whole.sum() > 20
    by_flag = segment_lesion(sphere.values, MM4, sphere.seed, valid=np.isfinite(values))
    assert np.array_equal(by_flag.fine_mask, found.fine_mask)
    nothing = segment_lesion(np.full((6, 6, 6), np.nan), MM4, (3, 3, 3))
    assert nothing.reason == "no voxel at the seed can be used"


def test_the_lesion_stays_within_its_bounds_and_the_cut_is_said(sphere) -> None:
    within = np.zeros(sphere.values.shape, np.bool_)
    within[:, :, : sphere.seed[2] + 1] = True
    found = segment_lesion(sphere.values, MM4, sphere.seed, within=within, snap_mm=0.0)
    assert not (found.mask & ~within[found.box]).any()
    cut = segment_lesion(sphere.values[sphere.seed[0] :], MM4, (0, *sphere.seed[1:]))
    assert cut.clipped


def test_a_cold_core_is_filled_when_asked() -> None:
    image = make_sphere(SCENES[3], 37.0, 0)
    filled = segment_lesion(image.values, MM4, image.seed)
    hollow = segment_lesion(image.values, MM4, image.seed, fill_holes=False)
    # diameter of the core 0.45 of the lesion's: 0.091 of its volume, less what blur fills
    missing = 1.0 - hollow.volume_ml / filled.volume_ml
    assert 0.02 < missing < 0.095


def test_the_top_is_looked_for_near_the_seed(sphere) -> None:
    off = tuple(np.add(sphere.seed, (1, 0, -1)))
    assert np.array_equal(
        segment_lesion(sphere.values, MM4, off).fine_mask,
        segment_lesion(sphere.values, MM4, sphere.seed).fine_mask,
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "best"},
        {"method": "percist"},
        {"psf_fwhm_mm": 0.0},
        {"upsampling": 9},
        {"spacing_mm": (4.0, 4.0, -1.0)},
    ],
)
def test_bad_arguments_are_refused(bad: dict) -> None:
    options = {"spacing_mm": MM4, **bad}
    with pytest.raises(InputError) as caught:
        segment_lesion(np.ones((5, 5, 5)), seed_index=(2, 2, 2), **options)
    assert caught.value.code == "E_ARGUMENT"


def test_geometry_is_checked() -> None:
    ones = np.ones((5, 5, 5))
    with pytest.raises(GeometryError):
        segment_lesion(ones, MM4, (5, 0, 0))
    with pytest.raises(GeometryError):
        segment_lesion(ones, MM4, (2, 2, 2), valid=np.ones((4, 5, 5), np.bool_))


@pytest.mark.parametrize("shape", [(1, 30, 30), (30, 30, 1)])
def test_a_single_slice_has_an_outline_and_no_volume(shape: tuple[int, ...]) -> None:
    values = np.ones(shape)
    values[tuple(slice(12, 18) if n > 1 else slice(None) for n in shape)] = 8.0
    for method in ("adaptive-bg", "flab", "gmm", "gradient-watershed"):
        found = segment_lesion(values, MM4, [n // 2 for n in shape], method=method)
        assert found.mask.sum() == 36
        assert found.below_resolution
        assert np.isnan(found.volume_ml)
        assert found.clipped


@pytest.mark.parametrize("value", [0.0, -1.0, 5.0])
@pytest.mark.parametrize("method", PET_METHODS)
def test_a_constant_volume_holds_no_lesion(value: float, method: str) -> None:
    flat = np.full((8, 8, 8), value)
    found = segment_lesion(flat, MM4, (4, 4, 4), method=method, reference=(1.0, 0.1))
    assert "above its surroundings" in found.reason
    assert not found.mask.any()


def test_infinite_voxels_are_failed_voxels(block: np.ndarray) -> None:
    values = block.copy()
    values[0, 0, 0], values[5, 5, 5] = np.inf, -np.inf
    found = segment_lesion(values, MM4, (12, 12, 12), upsampling=1)
    assert found.volume_ml == pytest.approx(216 * 0.064)


def test_the_vote_counts_the_rules(sphere) -> None:
    low = segment_lesion(
        sphere.values, MM4, sphere.seed, method="majority", constants=PetConstants(vote_least=1)
    )
    high = segment_lesion(
        sphere.values, MM4, sphere.seed, method="majority", constants=PetConstants(vote_least=4)
    )
    single = [
        segment_lesion(sphere.values, MM4, sphere.seed, method=m, constants=PetConstants(fixed=f))
        for m, f in (("fixed", 2.5), ("fixed", 4.0), ("percent-of-max", 4.0), ("a50", 4.0))
    ]
    # one vote is enough: the largest of the four; all four: the smallest (thresholds are nested)
    assert low.volume_ml == pytest.approx(max(s.volume_ml for s in single))
    assert high.volume_ml == pytest.approx(min(s.volume_ml for s in single))
