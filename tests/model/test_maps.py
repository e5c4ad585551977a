"""Maps: every array has the shape of the grid and is frozen."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap, echoes_of_map
from eprimg.quantities import quantity

GRID = Grid((2, 2, 2), np.eye(4), "1.2")


def test_shapes_and_read_only() -> None:
    valid = np.ones(GRID.shape, bool)
    valid[0, 0, 0] = False
    made = QuantityMap(np.ones(GRID.shape), GRID, quantity("r2star"), valid, "fit")
    assert "87.5 % valid" in repr(made)
    with pytest.raises(ValueError, match="read-only"):
        made.values[0, 0, 0] = 2
    with pytest.raises(GeometryError, match="standard_error"):
        QuantityMap(
            np.ones(GRID.shape),
            GRID,
            quantity("r2star"),
            valid,
            "fit",
            standard_error=np.ones((1, 2, 2)),
        )


def test_details_have_the_shape_of_the_grid_and_are_frozen() -> None:
    def made(rmse: np.ndarray) -> QuantityMap:
        ones = np.ones(GRID.shape)
        return QuantityMap(ones, GRID, quantity("r2star"), ones > 0, "fit", details={"rmse": rmse})

    with pytest.raises(ValueError, match="read-only"):
        made(np.ones(GRID.shape)).details["rmse"][0, 0, 0] = 2
    with pytest.raises(GeometryError, match="the rmse of a map"):
        made(np.ones((2, 2, 1)))


def test_echoes_that_a_map_was_fitted_to() -> None:
    ones = np.ones(GRID.shape)
    acquired = (0.001, 0.002, 0.003)
    made = QuantityMap(
        ones, GRID, quantity("r2star"), ones > 0, "fit", facts={"echo_times_s": [0.001, 0.003]}
    )
    assert echoes_of_map(made, acquired) == [0, 2]
    assert echoes_of_map(None, acquired) == [0, 1, 2]
