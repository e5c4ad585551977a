"""A series on the grid of another one, to be looked at; nothing is measured in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eprimg.kernels.resample import resample_map
from eprimg.model.grid import Grid
from eprimg.model.study import Series
from eprimg.model.transform import Transform
from eprimg.model.volume import EchoStack
from eprimg.stages._carry_bend import bend_of
from eprimg.stages.carry import output_to_input

__all__ = ["moved_series"]


def moved_series(series: Series, grid: Grid, transform: Transform) -> npt.NDArray[np.float32]:
    """Interpolate a series once at the voxels of another grid.

    Parameters
    ----------
    series : Series
        One value per voxel.
    grid : Grid
        Where it is wanted.
    transform : Transform
        From the frame of ``grid`` to the frame of the series.

    Returns
    -------
    ndarray of float32, shape (k, j, i)
        Linear between voxels; NaN where the series does not reach.
    """
    volume = series.pixels.volume if isinstance(series.pixels, EchoStack) else series.pixels
    moved = resample_map(
        np.asarray(volume.data, dtype=np.float32),
        output_to_input=output_to_input(grid, volume.grid, transform),
        output_shape=grid.shape,
        order=1,
        erode_valid=False,
        bend=bend_of(grid, volume.grid, transform),
    )
    return np.where(moved.valid, moved.values, np.nan).astype(np.float32)
