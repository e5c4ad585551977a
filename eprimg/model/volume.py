"""Voxel values with a place and a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.quantities import Quantity

__all__ = ["EchoStack", "Volume", "read_only"]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of an array that cannot be written through.

    Parameters
    ----------
    array : ndarray
        Any array; it is not copied.

    Returns
    -------
    ndarray
        Read-only view; the array itself when it cannot be written already.
    """
    if not array.flags.writeable:
        return array
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False, slots=True)
class Volume:
    """Voxel values on a grid.

    Parameters
    ----------
    data : ndarray, shape (k, j, i) or (k, j, i, m)
        Values; the last axis of a 4-D array holds measurements (echoes, frames).
    grid : Grid
        Where the voxels lie.
    quantity : Quantity
        What the values mean.
    """

    data: npt.NDArray[Any]
    grid: Grid
    quantity: Quantity

    def __post_init__(self) -> None:
        """Check the shape and freeze the array."""
        if self.data.ndim not in (3, 4) or self.data.shape[:3] != self.grid.shape:
            raise GeometryError(
                "the array does not have the shape of its grid",
                code="E_GEOM_MATRIX",
                value=(self.data.shape, self.grid.shape),
            )
        object.__setattr__(self, "data", read_only(self.data))

    def __repr__(self) -> str:
        """Short form."""
        return f"Volume({self.quantity.name}, {self.data.dtype}, {self.data.shape}, {self.grid!r})"


@dataclass(frozen=True, eq=False, slots=True)
class EchoStack:
    """Multi-echo magnitude signal.

    Parameters
    ----------
    volume : Volume
        Data of shape (k, j, i, n_echoes).
    echo_times_s : tuple of float
        One strictly rising echo time per last-axis entry, in seconds.
    """

    volume: Volume
    echo_times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that echoes and times go together."""
        times = tuple(float(t) for t in self.echo_times_s)
        if self.volume.data.ndim != 4 or self.volume.data.shape[3] != len(times):
            raise InputError(
                "an echo stack has one echo time per last-axis entry",
                code="E_ECHO",
                value=(self.volume.data.shape, len(times)),
            )
        if any(t <= 0 or not np.isfinite(t) for t in times) or any(
            b <= a for a, b in pairwise(times)
        ):
            raise InputError(
                "echo times are positive and strictly rising", code="E_ECHO", value=times
            )
        object.__setattr__(self, "echo_times_s", times)

    @property
    def grid(self) -> Grid:
        """Grid of the stack."""
        return self.volume.grid

    def __repr__(self) -> str:
        """Short form."""
        times = ", ".join(f"{1000 * t:g}" for t in self.echo_times_s)
        return f"EchoStack({len(self.echo_times_s)} echoes at {times} ms, {self.grid!r})"
