"""Counts against scipy's interpolation and numpy's bincount, and against a case done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eprimg.errors import GeometryError
from eprimg.kernels._joint_histogram_numba import count_pairs
from eprimg.kernels.joint_histogram import joint_histogram

BINS = 8


@pytest.fixture(scope="module")
def moving() -> np.ndarray:
    rough = np.random.default_rng(3).random((9, 14, 17))
    return ndimage.gaussian_filter(rough, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def fixed_bins() -> np.ndarray:
    return np.random.default_rng(4).integers(0, BINS, (7, 11, 13)).astype(np.uint8)


def affine(seed: int, moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Middle on middle, turned, stretched or mirrored, and shifted by some voxels."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix[:3, :3] = 1.2 * turned if seed % 2 else np.eye(3) + rng.normal(0, 0.1, (3, 3))
    middles = (np.array(moving.shape) - 1) / 2, (np.array(fixed.shape) - 1) / 2
    matrix[:3, 3] = middles[0] - matrix[:3, :3] @ middles[1] + rng.normal(0, 2, 3)
    return matrix


def by_scipy(fixed_bins: np.ndarray, moving: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    warped = ndimage.affine_transform(
        moving, matrix[:3, :3], matrix[:3, 3], output_shape=fixed_bins.shape, order=1,
        mode="constant", cval=np.nan,
    )  # fmt: skip
    inside = np.isfinite(warped)
    second = np.clip((warped[inside] * (BINS / moving.max())).astype(int), 0, BINS - 1)
    pairs = fixed_bins[inside].astype(int) * BINS + second
    return np.bincount(pairs, minlength=BINS * BINS).reshape(BINS, BINS)


def count(fixed_bins: np.ndarray, moving: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    top = float(moving.max())
    return joint_histogram(fixed_bins, moving, output_to_input=matrix, top=top, bins=BINS)


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_scipy_and_numpy(
    seed: int, moving: np.ndarray, fixed_bins: np.ndarray
) -> None:
    matrix = affine(seed, moving, fixed_bins)
    expected = by_scipy(fixed_bins, moving, matrix)
    assert 0 < expected.sum() < fixed_bins.size  # part of the lattice lies outside
    np.testing.assert_array_equal(count(fixed_bins, moving, matrix), expected)


def test_whole_voxels_reach_the_outermost_centres(moving: np.ndarray) -> None:
    bins = np.clip(moving / moving.max() * BINS, 0, BINS - 1).astype(np.uint8)
    found = count(bins, moving, np.eye(4))
    # A volume with itself, nothing interpolated: only pairs of equal bins, and every voxel.
    np.testing.assert_array_equal(found, np.diag(np.bincount(bins.ravel(), minlength=BINS)))
    beyond = np.eye(4)
    beyond[2, 3] = 1e-9  # the last column is now outside by a hair
    assert count(bins, moving, beyond).sum() == moving[:, :, :-1].size


def test_values_beyond_the_ends_count_in_the_outermost_bin_and_nan_does_not() -> None:
    moving = np.array([[[-5.0, 0.4, 99.0, np.nan, 1.9]]], dtype=np.float32)
    fixed = np.array([[[0, 1, 1, 0, 0]]], dtype=np.uint8)
    found = joint_histogram(fixed, moving, output_to_input=np.eye(4), top=2.0, bins=2)
    # By hand: bins of 1.0 wide; -5 and 0.4 in the first, 99 and 1.9 in the second.  The NaN voxel,
    # and 99 whose neighbour it is (NaN times a weight of 0 is NaN), are not counted.
    assert found.tolist() == [[1, 1], [1, 0]]


def test_the_loop_gives_the_same_without_the_compiler(
    moving: np.ndarray, fixed_bins: np.ndarray
) -> None:
    matrix = affine(1, moving, fixed_bins)
    counts = np.zeros((BINS, BINS), dtype=np.int64)
    count_pairs(fixed_bins, moving, matrix, np.float32(BINS / moving.max()), counts)
    np.testing.assert_array_equal(counts, count(fixed_bins, moving, matrix))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"fixed_bins": np.zeros((3, 3), np.uint8)}, "fixed_bins"),
        ({"fixed_bins": np.full((2, 2, 2), BINS, np.uint8)}, "fixed_bins"),
        ({"moving": np.zeros((3, 0, 3), np.float32)}, "moving"),
        ({"bins": 257}, "bins"),
        ({"top": 0.0}, "top"),
        ({"top": float("nan")}, "top"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], where: str) -> None:
    given = {
        "fixed_bins": np.zeros((2, 2, 2), np.uint8),
        "moving": np.ones((2, 2, 2), np.float32),
        "output_to_input": np.eye(4),
        "top": 1.0,
        "bins": BINS,
        **change,
    }
    with pytest.raises(GeometryError) as caught:
        joint_histogram(**given)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.where) == ("E_ARGUMENT", where)
