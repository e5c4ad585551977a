"""Expected means come from scipy.ndimage.map_coordinates (another implementation of the spline).

The weights follow the prefilter over eight voxels: 0.268^8 = 3e-5 of a value is left out.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.resample import resample_map
from eprimg.kernels.resampled_mean import (
    resampled_mean,
    resampled_mean_error,
    resampled_mean_weights,
)

TURNED = np.array(
    [
        [0.93, 0.11, -0.05, 2.3],
        [-0.08, 0.88, 0.13, 1.7],
        [0.06, -0.12, 0.91, 2.9],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def shifted(*shift, scale=1.0):
    matrix = np.eye(4)
    matrix[:3, :3] *= scale
    matrix[:3, 3] = shift
    return matrix


def indices(low, high):
    return np.stack([a.ravel() for a in np.mgrid[low:high, low:high, low:high]], axis=1)


def reference_mean(values, where, matrix, order):
    at = where @ matrix[:3, :3].T + matrix[:3, 3]
    return ndimage.map_coordinates(values, at.T, order=order, mode="mirror").mean()


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("matrix", [TURNED, shifted(0.4, 0.25, 0.7), shifted(3, 3, 3, scale=0.5)])
def test_weights_times_values_are_the_mean_of_the_interpolated_map(order, matrix):
    values = np.random.default_rng(1).normal(100.0, 30.0, (15, 17, 19))
    where = indices(2, 9)
    found = resampled_mean_weights(
        where, output_to_input=matrix, input_shape=values.shape, order=order
    )
    assert np.sum(found.weights * values[found.box]) == pytest.approx(
        reference_mean(values, where, matrix, order), rel=1e-6
    )
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("shape", [(15, 17, 19), (2, 9, 3), (1, 12, 12)])
def test_weights_at_the_border_follow_the_mirror(shape):
    """At the border the prefilter is not symmetric; a single slice reaches half a slice."""
    values = np.random.default_rng(2).normal(0.0, 1.0, shape)
    where = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1]])
    matrix = shifted(0.3 if shape[0] > 1 else 0.0, 0.2, 0.6)
    found = resampled_mean_weights(where, output_to_input=matrix, input_shape=shape)
    assert np.sum(found.weights * values[found.box]) == pytest.approx(
        reference_mean(values, where, matrix, 3), abs=3e-5
    )


def test_far_voxels_are_left_out_and_do_not_matter():
    values = np.random.default_rng(3).normal(0.0, 1.0, (60, 60, 60))
    where = indices(28, 31)
    matrix = shifted(0.5, 0.5, 0.5)
    found = resampled_mean_weights(where, output_to_input=matrix, input_shape=values.shape)
    assert found.weights.size < values.size / 10
    # 2 - sqrt(3) to the power of 8 is 3e-5; the values are of the order of 1
    assert np.sum(found.weights * values[found.box]) == pytest.approx(
        reference_mean(values, where, matrix, 3), abs=3e-5
    )


def test_error_without_movement_is_that_of_a_plain_mean():
    where = indices(3, 7)
    found = resampled_mean_weights(where, output_to_input=np.eye(4), input_shape=(12, 12, 12))
    error, independent = resampled_mean_error(np.full((12, 12, 12), 4.0), found)
    assert error == pytest.approx(4.0 / math.sqrt(64))  # sixty-four independent voxels
    assert independent == pytest.approx(64.0)


def test_a_finer_grid_makes_no_new_information():
    """Each input voxel is cut into 4 x 4 x 4; a naive error would be 8 times too small."""
    fine = shifted(3, 3, 3, scale=0.25)
    where = indices(0, 16)  # 16 fine voxels reach over 3.75 steps between input centres
    found = resampled_mean_weights(where, output_to_input=fine, input_shape=(12, 12, 12))
    error, independent = resampled_mean_error(np.full((12, 12, 12), 4.0), found)
    naive = 4.0 / math.sqrt(len(where))
    assert error > 6.0 * naive
    assert 3.0**3 < independent < 5.0**3


@pytest.mark.parametrize("matrix", [TURNED, shifted(0.5, 0.5, 0.5)])
def test_error_is_the_scatter_of_repeated_noise(matrix):
    """600 noisy maps through `resample_map`, clipping and all; their means scatter by the error.

    The relative standard error of that scatter is 1 / sqrt(2 * 599) = 2.9 %; allowed are 10 %,
    because clipping takes a little noise away.
    """
    rng = np.random.default_rng(4)
    where = indices(3, 7)
    spread = rng.uniform(2.0, 6.0, (13, 13, 13))
    found = resampled_mean_weights(where, output_to_input=matrix, input_shape=spread.shape)
    means = []
    for _ in range(600):
        moved = resample_map(
            100.0 + spread * rng.standard_normal(spread.shape),
            output_to_input=matrix,
            output_shape=(8, 8, 8),
        )
        means.append(moved.values[tuple(where.T)].mean())
    error, _ = resampled_mean_error(spread, found)
    assert np.std(means, ddof=1) == pytest.approx(error, rel=0.10)


def test_a_failed_voxel_is_given_the_error_of_the_others():
    where = indices(3, 7)
    found = resampled_mean_weights(where, output_to_input=np.eye(4), input_shape=(12, 12, 12))
    spread = np.full((12, 12, 12), 4.0)
    spread[3, 3, 3] = np.nan
    assert resampled_mean_error(spread, found)[0] == pytest.approx(4.0 / 8.0)
    nothing = resampled_mean_error(np.full(spread.shape, np.nan), found)[0]
    assert math.isnan(nothing)


def test_faults():
    with pytest.raises(InputError, match="at least one"):
        resampled_mean_weights(
            np.zeros((0, 3), int), output_to_input=np.eye(4), input_shape=(4, 4, 4)
        )
    with pytest.raises(InputError, match="order"):
        resampled_mean_weights(
            np.zeros((1, 3), int), output_to_input=np.eye(4), input_shape=(4, 4, 4), order=2
        )
    with pytest.raises(GeometryError, match="outside"):
        resampled_mean_weights(
            np.array([[5, 0, 0]]), output_to_input=np.eye(4), input_shape=(4, 4, 4)
        )


def test_the_mean_of_a_map_is_that_of_its_unclipped_spline():
    """A step of 20 to 300: scipy's spline overshoots, and so does the mean that it gives."""
    values = np.full((15, 17, 19), 300.0)
    values[4:9, 5:10, 6:11] = 20.0
    where = indices(3, 8)
    found = resampled_mean_weights(where, output_to_input=TURNED, input_shape=values.shape)
    expected = reference_mean(values, where, TURNED, 3)
    assert resampled_mean(values, found) == pytest.approx(expected, abs=0.02)
    clipped = resample_map(values, output_to_input=TURNED, output_shape=(10, 10, 10)).values
    assert abs(clipped[3:8, 3:8, 3:8].mean() - expected) > 1.0


def test_a_failed_voxel_takes_the_value_of_its_nearest_valid_neighbour():
    values = np.random.default_rng(3).normal(100.0, 30.0, (15, 17, 19))
    values[0, :, :] = np.nan  # beyond the support of every voxel below
    where = indices(5, 9)
    matrix = shifted(0.4, 0.25, 0.7)
    found = resampled_mean_weights(where, output_to_input=matrix, input_shape=values.shape)
    filled = values.copy()
    filled[0] = filled[1]
    expected = reference_mean(filled, where, matrix, 3)
    assert resampled_mean(values, found) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(resampled_mean(np.full_like(values, np.nan), found))
