"""Sums over boxed weights: against plain numpy and scipy on whole volumes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eprimg.kernels._partial_volume_regions import mean_covariance, mean_variance
from eprimg.kernels._partial_volume_sums import overlaps, pair_sums, spread_box, spread_rows

SHAPE = (9, 11, 13)
BOXES = (
    (slice(0, 3), slice(1, 5), slice(2, 7)),
    (slice(2, 6), slice(4, 9), slice(5, 12)),
    (slice(6, 9), slice(8, 11), slice(0, 2)),
    (slice(0, 9), slice(0, 11), slice(0, 13)),
)
# Odd lengths of which one is shorter and one longer than four, and one longer than the axis.
WEIGHTS = (
    np.array([0.2, 1.0, 0.2]),
    np.exp(-0.1 * np.arange(-4, 5) ** 2),
    np.exp(-0.02 * np.arange(-8, 9) ** 2),
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(8)
    return [(box, rng.normal(size=tuple(s.stop - s.start for s in box))) for box in BOXES]


def whole(box, array):
    """Lay a boxed array into a volume of zeros."""
    out = np.zeros(SHAPE)
    out[box] = array
    return out


def blurred(volume):
    """Correlate with the weights, nothing beyond the volume (scipy)."""
    for axis, weight in enumerate(WEIGHTS):
        volume = ndimage.correlate1d(volume, weight, axis=axis, mode="constant", cval=0.0)
    return volume


def test_overlaps_are_sums_of_products_over_the_volume(rows):
    found = overlaps(rows, rows[::-1])
    for a, one in enumerate(rows):
        for b, other in enumerate(rows[::-1]):
            expected = float((whole(*one) * whole(*other)).sum())
            assert found[a, b] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert overlaps([], rows).shape == (0, 4)
    assert overlaps(rows, []).shape == (4, 0)


def test_spread_is_the_correlation_cut_to_the_outer_box(rows):
    # Wider than the row, the same, apart from it, and smaller than it.
    outer = [BOXES[3], BOXES[1], BOXES[0], (slice(1, 4), slice(3, 9), slice(2, 11))]
    for (box, array), (wide, result) in zip(rows, spread_rows(rows, outer, WEIGHTS), strict=True):
        expected = blurred(whole(box, array))[wide]
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    narrow = spread_rows([(BOXES[0], rows[0][1].astype(np.float32))], [BOXES[3]], WEIGHTS)[0][1]
    assert narrow.dtype == np.float64
    np.testing.assert_allclose(narrow, blurred(whole(*rows[0])), atol=1e-5)


def test_the_compiled_loops_are_those_of_plain_python(rows):
    out = np.empty((4, 6, 9))
    first = np.array([1, 1, 2])
    box = tuple(slice(f, f + n) for f, n in zip(first, rows[0][1].shape, strict=True))
    spread_box(rows[0][1], first, *WEIGHTS, out)
    compiled = spread_rows([(box, rows[0][1])], [tuple(slice(0, n) for n in out.shape)], WEIGHTS)
    np.testing.assert_allclose(out, compiled[0][1], rtol=1e-13, atol=1e-13)
    ends = np.array([[e for s in b for e in (s.start, s.stop)] for b in BOXES[:2]])
    sums = np.empty(1)
    pair_sums(ends[0], rows[0][1], ends[1:], np.zeros(1, np.int64), rows[1][1].ravel(), sums)
    assert sums[0] == pytest.approx(overlaps(rows[:1], rows[1:2])[0, 0], rel=1e-12)


@pytest.mark.parametrize("noisy", ["one number", "a map"])
def test_covariance_of_weighted_means_is_the_double_sum_over_voxels(rows, noisy):
    rng = np.random.default_rng(4)
    sd = 0.7 if noisy == "one number" else rng.uniform(0.5, 1.5, SHAPE)
    volumes = [whole(box, array) * sd for box, array in rows]
    # cov(t_a, t_b) = sum over pairs of voxels of weights, noise and correlation.
    expected = np.array([[float((a * blurred(b)).sum()) for b in volumes] for a in volumes])
    found = mean_covariance(rows, sd, WEIGHTS, SHAPE)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(mean_variance(rows, sd, WEIGHTS), np.diag(expected), rtol=1e-11)
    white = np.array([[float((a * b).sum()) for b in volumes] for a in volumes])
    np.testing.assert_allclose(mean_covariance(rows, sd, None, SHAPE), white, atol=1e-11)
