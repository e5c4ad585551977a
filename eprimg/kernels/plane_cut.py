"""Linear interpolation on a plane through a volume, or the greatest value over a pile of planes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import GeometryError
from eprimg.kernels._plane_cut_numba import cut_points

__all__ = ["cut_plane"]

_ALL_GOOD: Final = np.zeros((0, 0, 0), dtype=np.bool_)
_NO_SHIFTS: Final = np.zeros((0, 0, 3))


def cut_plane(
    samples: NDArray[np.floating],
    *,
    origin: ArrayLike,
    down: ArrayLike,
    right: ArrayLike,
    shape: tuple[int, int],
    valid: NDArray[np.bool_] | None = None,
    ends: ArrayLike | None = None,
    step: ArrayLike = (0.0, 0.0, 0.0),
    steps: int = 1,
    shifts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Interpolate a volume linearly at the points of a plane.

    Parameters
    ----------
    samples : ndarray of float, shape (k, j, i)
        The volume; NaN and infinite values are not valid.
    origin : array-like of float, shape (3,)
        Fractional index (k, j, i) of the point in the first row and column.
    down, right : array-like of float, shape (3,)
        What a row and a column add to the index.
    shape : tuple of int
        Rows and columns.
    valid : ndarray of bool, shape (k, j, i), optional
        False for voxels that must not be used.
    ends : array-like of float, shape (3, 2), optional
        Lowest and highest index of every axis that has a value; half a voxel beyond the outermost
        voxel centres by default.  To be given when `samples` are a part of a volume.
    step : array-like of float, shape (3,), optional
        What the next plane of a pile adds to the index.
    steps : int, optional
        Planes in the pile; where there are more than one, the greatest value is taken.
    shifts : ndarray of float64, shape (rows, columns, 3), optional
        What a deformation adds to the index.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        NaN outside `ends` and where valid voxels have half of the weight or less.

    Raises
    ------
    GeometryError
        ``E_ARGUMENT`` when `samples` are not three-dimensional, or `valid` or `shifts` have another
        shape.

    Notes
    -----
    Between the outermost voxel centres and `ends` the value of the nearest point between the
    centres is taken.  With voxels that are not valid, the value is the mean of the valid corners of
    the cell by their weights.
    """
    if samples.ndim != 3 or 0 in samples.shape:
        raise _error("samples", samples.shape, "give a volume with the axes (k, j, i)")
    if valid is not None and valid.shape != samples.shape:
        raise _error("valid", valid.shape, "give the mask on the grid of the volume")
    if shifts is not None and shifts.shape != (*shape, 3):
        raise _error("shifts", shifts.shape, "give one shift for every point of the plane")
    good = np.isfinite(samples)
    if valid is not None:
        good &= valid
    if ends is None:
        ends = [(-0.5, n - 0.5) for n in samples.shape]
    result = np.full(shape, np.nan)
    # One kind of array, read-only, for the compiler to meet.
    given = np.ascontiguousarray(samples, dtype=np.float32).view()
    given.flags.writeable = False
    _compiled()(
        given,
        _ALL_GOOD if good.all() else good,
        np.ascontiguousarray(ends, dtype=np.float64),
        np.array([origin, down, right, step], dtype=np.float64),
        int(steps),
        _NO_SHIFTS if shifts is None else np.ascontiguousarray(shifts, dtype=np.float64),
        result,
    )
    return result


def _error(where: str, value: object, action: str) -> GeometryError:
    return GeometryError(
        "the arrays of a cut do not fit together",
        code="E_ARGUMENT",
        where=where,
        value=value,
        action=action,
    )


@cache
def _compiled() -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(cut_points)
    return compiled
