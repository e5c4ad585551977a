from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.thresholds import (
    connected_regions,
    fixed_threshold_mask,
    percent_of_max_mask,
)


def test_fixed_threshold_includes_the_threshold_and_leaves_nan_out() -> None:
    values = np.asarray([3.9, 4.0, 4.1, np.nan, np.inf], dtype=np.float32)
    np.testing.assert_array_equal(fixed_threshold_mask(values, threshold=4.0), [0, 1, 1, 0, 1])
    valid = np.asarray([True, True, False, True, False])
    found = fixed_threshold_mask(values, threshold=4.0, valid=valid)
    np.testing.assert_array_equal(found, [0, 1, 0, 0, 0])


def test_percent_of_max_uses_the_maximum_of_the_region() -> None:
    values = np.asarray([100.0, 10.0, 5.0, 4.9, np.nan])
    region = np.asarray([False, True, True, True, True])
    found = percent_of_max_mask(values, percent=50.0, region=region)
    np.testing.assert_array_equal(found, [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(percent_of_max_mask(values, percent=100.0), [1, 0, 0, 0, 0])
    valid = np.asarray([True, False, True, True, True])
    found = percent_of_max_mask(values, percent=98.0, region=region, valid=valid)
    np.testing.assert_array_equal(found, [0, 0, 1, 1, 0])


def test_half_maximum_of_a_gaussian_has_its_known_volume() -> None:
    # exp(-r^2 / 2 s^2) >= 1/2 is a sphere of radius s sqrt(2 ln 2).
    sigma = 10.0
    axis = np.arange(-15, 16.0)
    k, j, i = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    values = np.exp(-(k**2 + j**2 + i**2) / (2 * sigma**2))
    expected = 4.0 / 3.0 * np.pi * (sigma * np.sqrt(2 * np.log(2.0))) ** 3
    count = percent_of_max_mask(values, percent=50.0).sum()
    assert count == pytest.approx(expected, rel=0.02)


def test_regions_are_numbered_by_falling_volume() -> None:
    mask = np.zeros((6, 8, 8), dtype=bool)
    mask[0, 0, 0] = True
    mask[2, 2:4, 2:5] = True
    mask[5, 6:8, 6:8] = True
    mask[4, 0, 5:9] = True  # three voxels
    found = connected_regions(mask, voxel_volume_ml=0.1, minimum_volume_ml=0.3)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(found.ravel())[1:], [6, 4, 3])
    assert found[2, 2, 2] == 1
    assert found[5, 6, 6] == 2
    assert found[4, 0, 5] == 3
    assert found[0, 0, 0] == 0
    assert connected_regions(mask, voxel_volume_ml=0.1, minimum_volume_ml=0).max() == 4
    assert connected_regions(mask, voxel_volume_ml=0.1, minimum_volume_ml=9).max() == 0
    assert connected_regions(mask & False, voxel_volume_ml=0.1, minimum_volume_ml=0).max() == 0


def test_connectivity_by_faces_edges_and_corners() -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[1, 1, 2] = mask[2, 2, 2] = True
    for connectivity, n in ((6, 3), (18, 2), (26, 1)):
        found = connected_regions(
            mask,
            voxel_volume_ml=1.0,
            minimum_volume_ml=0.0,
            connectivity=connectivity,  # type: ignore[arg-type]
        )
        assert found.max() == n


def test_bad_arguments_are_refused() -> None:
    values, mask = np.ones((2, 2, 2)), np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(InputError):
        fixed_threshold_mask(values, threshold=np.nan)
    with pytest.raises(GeometryError):
        fixed_threshold_mask(values, threshold=1.0, valid=mask[0])
    with pytest.raises(InputError):
        percent_of_max_mask(values, percent=0.0)
    with pytest.raises(InputError, match="positive maximum"):
        percent_of_max_mask(values, percent=41.0, region=mask & False)
    with pytest.raises(InputError, match="positive maximum"):
        percent_of_max_mask(-values, percent=41.0)
    with pytest.raises(GeometryError):
        connected_regions(mask[0], voxel_volume_ml=1.0, minimum_volume_ml=0.0)
    with pytest.raises(InputError):
        connected_regions(
            mask,
            voxel_volume_ml=1.0,
            minimum_volume_ml=0.0,
            connectivity=8,  # type: ignore[arg-type]
        )
    with pytest.raises(InputError):
        connected_regions(mask, voxel_volume_ml=0.0, minimum_volume_ml=0.0)
    with pytest.raises(InputError):
        connected_regions(mask, voxel_volume_ml=1.0, minimum_volume_ml=-1.0)
