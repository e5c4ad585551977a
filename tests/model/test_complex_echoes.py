"""The complex echo stack checks itself."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.model.complex_echoes import ComplexEchoStack
from eprimg.model.grid import Grid

GRID = Grid((2, 3, 4), np.eye(4), "frame")


def stack(data=None, times=(0.001, 0.002)):
    return ComplexEchoStack(
        np.zeros((2, 3, 4, 2), dtype=np.complex64) if data is None else data, GRID, times
    )


def test_whole_and_read_only():
    made = stack()
    assert made.data.flags.writeable is False
    assert made.field_strength_t.value is None
    assert "2 echoes at 1, 2 ms" in repr(made)


def test_shape_type_and_times():
    with pytest.raises(GeometryError):
        stack(np.zeros((2, 3, 4, 3), dtype=np.complex64))
    with pytest.raises(InputError):
        stack(np.zeros((2, 3, 4, 2), dtype=np.float32))
    for times in ((0.002, 0.001), (0.0, 0.001), (0.001, float("nan"))):
        with pytest.raises(InputError):
            stack(times=times)
