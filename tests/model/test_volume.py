"""Volume and echo stack: shapes, times, read-only."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.model.volume import EchoStack, Volume, read_only
from eprimg.quantities import quantity

GRID = Grid((2, 3, 4), np.diag([2.0, 1.0, 1.0, 1.0]), "1.2")


def test_arrays_are_frozen_and_shaped() -> None:
    array = np.zeros((2, 3, 4), np.float32)
    volume = Volume(array, GRID, quantity("suvbw"))
    with pytest.raises(ValueError, match="read-only"):
        volume.data[0, 0, 0] = 1
    array[0, 0, 0] = 1  # the caller's own array stays writable
    assert "SUVbw" in repr(volume)
    assert not read_only(array).flags.writeable
    with pytest.raises(GeometryError):
        Volume(np.zeros((2, 3, 5)), GRID, quantity("suvbw"))


def test_echo_stack_needs_one_rising_time_per_echo() -> None:
    volume = Volume(np.ones((2, 3, 4, 2), np.float32), GRID, quantity("signal"))
    stack = EchoStack(volume, (0.001, 0.002))
    assert stack.grid is GRID
    assert "1, 2 ms" in repr(stack)
    for times in ((0.001,), (0.002, 0.001), (0.001, 0.001), (0.0, 0.001), (float("nan"), 1.0)):
        with pytest.raises(InputError) as caught:
            EchoStack(volume, times)
        assert caught.value.code == "E_ECHO"
