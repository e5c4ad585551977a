"""Maps: every array has the shape of the grid and is frozen."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
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
