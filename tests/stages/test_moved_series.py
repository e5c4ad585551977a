"""The moved series against a shift by whole voxels, where linear interpolation is exact."""

from __future__ import annotations

import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.stages.moved_series import moved_series


def test_a_shift_by_two_voxels() -> None:
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag((3.0, 3.0, 3.0, 1.0))
    there, here = Grid((5, 6, 7), affine, "b"), Grid((5, 6, 7), affine, "a")
    data = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    series = Series("pet", Role.PET, Volume(data, there, quantity("activity")), None)
    matrix = np.eye(4)
    matrix[0, 3] = 6.0  # x, the columns
    moved = moved_series(series, here, Transform(matrix, "a", "b"))
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved[:, :, :5], data[:, :, 2:], rtol=1e-6)
    # Beyond the field of view there is nothing, and not zero.
    assert np.isnan(moved[:, :, 5:]).all()
