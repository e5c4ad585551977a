from __future__ import annotations

import numpy as np
import pytest

from eprimg.kernels.r2star import R2StarReason
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.noise_floor import voxel_doubts


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


def test_regions_and_maps_that_are_not_there(row, scene):
    empty = LesionSet(np.zeros(row.grid.shape, dtype=np.int32), row.grid, ())
    assert voxel_doubts({"mr_post": empty}, {"r2star_post": row}, scene.config) == {"mr_post": {}}
    assert voxel_doubts({}, {"r2star_post": row}, scene.config) == {}
    assert voxel_doubts({"mr_post": empty}, {}, scene.config) == {}
