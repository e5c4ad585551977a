"""Spheres and thresholds on grids whose answers can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from napari_eprimg.reading.region_shapes import lps_of, sphere_voxels, threshold_mask

# k along S with 4 mm, j along P with 2 mm, i along L with 1 mm.
GRID = Grid(
    (5, 9, 17), np.array([[0, 0, 1, 0], [0, 2, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1]], float), "1.2.3"
)


def test_a_displayed_point_is_turned_into_lps() -> None:
    assert lps_of((1.0, 2.0, 3.0)).tolist() == [3.0, 2.0, 1.0]


def test_a_sphere_holds_the_centres_within_its_radius() -> None:
    centre = (8.0, 8.0, 8.0)  # voxel (2, 4, 8)
    found = {tuple(v) for v in sphere_voxels(GRID, centre, 4.0).tolist()}
    # Along i: 4 on either side, along j: 2, along k: 1 (each exactly at the radius).
    assert {(2, 4, 4), (2, 4, 12), (2, 2, 8), (2, 6, 8), (1, 4, 8), (3, 4, 8)} <= found
    wanted = {
        (k, j, i)
        for k, j, i in np.ndindex(5, 9, 17)
        if (4 * k - 8) ** 2 + (2 * j - 8) ** 2 + (i - 8) ** 2 <= 16
    }
    assert found == wanted
    assert len(sphere_voxels(GRID, (100.0, 8.0, 8.0), 4.0)) == 0
    assert len(sphere_voxels(GRID, (0.0, 0.0, 0.0), 1.5)) == 2  # (0,0,0) and (0,0,1)


def _map(values: np.ndarray) -> QuantityMap:
    return QuantityMap(values, GRID, quantity("suvbw"), np.isfinite(values), "made by hand")


def test_the_region_is_connected_to_the_maximum_within_the_sphere() -> None:
    values = np.ones(GRID.shape, dtype=np.float32)
    values[2, 4, 8] = 10.0
    values[2, 4, 9] = 6.0
    values[2, 4, 12] = 9.0  # above the threshold, but not connected
    values[2, 4, 2] = 100.0  # outside the sphere
    mask = threshold_mask(_map(values), (8.0, 8.0, 8.0), percent=50.0, radius_mm=5.0)
    assert [tuple(v) for v in np.argwhere(mask).tolist()] == [(2, 4, 8), (2, 4, 9)]


def test_no_value_near_the_click_is_refused() -> None:
    values = np.ones(GRID.shape, dtype=np.float32)
    values[:, :, :10] = np.nan
    with pytest.raises(InputError, match="within 3 mm"):
        threshold_mask(_map(values), (2.0, 8.0, 8.0), percent=50.0, radius_mm=3.0)
    with pytest.raises(InputError):
        threshold_mask(_map(-np.ones_like(values)), (8.0, 8.0, 8.0), percent=50.0, radius_mm=3.0)
