"""How every input voxel weighs in the mean of a resampled map over a region, and that mean.

Interpolated voxels share their input voxels, so their errors are not independent, and a finer grid
brings no new information.  The mean of a region is linear in the input, though, and its weights
give its standard error exactly.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, ndimage

from eprimg.errors import GeometryError, InputError

__all__ = ["MeanWeights", "resampled_mean", "resampled_mean_error", "resampled_mean_weights"]

_REACH = 8
"""Voxels beyond the taps that the spline's prefilter is followed: its impulse response falls by
2 - sqrt(3) = 0.268 per voxel, to 3e-5 there, which is 1e-9 of a variance."""

_ON_LATTICE = 1e-4
"""Part of a voxel outside of the outermost centres that still is the border (as in `resample`)."""


class MeanWeights(NamedTuple):
    """Weights of the input voxels.

    Attributes
    ----------
    weights : ndarray of float64, shape of the box
        They sum to 1; their product with the input, summed, is the mean of the resampled map.
    box : tuple of slice
        Part of the input that has weight.
    """

    weights: NDArray[np.float64]
    box: tuple[slice, ...]


def resampled_mean_weights(
    where: NDArray[np.integer[Any]],
    *,
    output_to_input: ArrayLike,
    input_shape: Sequence[int],
    order: Literal[1, 3] = 3,
    shifts: NDArray[np.floating[Any]] | None = None,
) -> MeanWeights:
    """Weigh the input voxels in the mean of the map that `resample_map` makes of them.

    Parameters
    ----------
    where : ndarray of int, shape (n, 3)
        Indices (k, j, i) of the output voxels of the region, at least one.
    output_to_input : array-like of float, shape (4, 4)
        Affine from output index (k, j, i, 1) to input index.
    input_shape : sequence of int, shape (3,)
        Shape (k, j, i) of the input grid.
    order : {3, 1}, optional
        3: cubic B-spline through the samples, mirrored at the border; 1: linear.
    shifts : ndarray of float, shape (n, 3), optional
        What a deformable transform adds to the input index of each output voxel.

    Returns
    -------
    MeanWeights
        Weights and the part of the input that they belong to.

    Raises
    ------
    InputError
        There is no output voxel, or the order is not 1 or 3.
    GeometryError
        An output voxel lies outside of the input.

    Notes
    -----
    The mean over n output voxels is ``(1/n) sum_o sum_s B(x_o - s) (P f)_s`` with the B-spline
    kernel B and the prefilter P [1]_, so the weights are ``P^T b`` with ``b_s = (1/n) sum_o
    B(x_o - s)``.  P is the inverse of the tridiagonal matrix (1/6, 4/6, 1/6), whose first and last
    row mirror.  Clipping of overshoot and the filling of failed voxels are not linear and not in
    the weights.

    References
    ----------
    .. [1] B-spline signal processing, part II. IEEE Trans Signal Process 1993;41:834-848.
       doi:10.1109/78.193221
    """
    if order not in (1, 3):
        raise InputError(
            "The interpolation order must be 1 (linear) or 3 (cubic B-spline).",
            code="E_ARGUMENT",
            where="order",
            value=order,
            action="Use the order that the map was resampled with.",
        )
    if where.ndim != 2 or where.shape[0] == 0 or where.shape[1] != 3:
        raise InputError(
            "The region needs at least one output voxel (k, j, i).",
            code="E_ARGUMENT",
            where="where",
            value=where.shape,
            action="Leave an empty region out.",
        )
    matrix = np.asarray(output_to_input, dtype=np.float64)
    last = np.asarray(input_shape, dtype=np.float64) - 1.0
    positions = where @ matrix[:3, :3].T + matrix[:3, 3]
    if shifts is not None:
        positions = positions + shifts
    slack = np.where(last == 0.0, 0.5, 0.0) + _ON_LATTICE
    if np.any(positions < -slack) or np.any(positions > last + slack):
        raise GeometryError(
            "An output voxel lies outside of the input.",
            code="E_ARGUMENT",
            where="where",
            value=[float(v) for v in positions.min(axis=0)],
            action="Give the valid voxels of the resampled map only.",
        )
    positions = np.clip(positions, 0.0, last)
    reach = _REACH + 2 if order == 3 else 2
    low = np.maximum(np.floor(positions.min(axis=0)) - reach, 0.0).astype(np.int64)
    stop = np.minimum(np.floor(positions.max(axis=0)) + reach + 1, last + 1).astype(np.int64)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, stop, strict=True))
    weights = np.zeros(tuple(int(n) for n in stop - low))
    _compiled_scatter()(
        np.ascontiguousarray(positions), low, np.asarray(input_shape, np.int64), order, weights
    )
    weights /= len(where)
    if order == 3:
        for axis, n in enumerate(weights.shape):
            if n > 1:
                weights = _transposed_prefilter(weights, axis)
    return MeanWeights(weights, box)


def resampled_mean(values: NDArray[np.floating[Any]], found: MeanWeights) -> float:
    """Give the mean of a resampled map over a region, overshoot not clipped.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Input map; NaN where a voxel failed.
    found : MeanWeights
        Weights of the region.

    Returns
    -------
    float
        ``sum w f`` in the unit of the map; NaN when no voxel of the box has a value.

    Notes
    -----
    A failed voxel of the box is given the value of the nearest valid one, as in `resample_map`; it
    lies beyond the 4x4x4 support of every output voxel and weighs by the prefilter only.  The
    spline of a step overshoots on its one side and undershoots on its other; clipping takes both
    away, which is fair to a voxel, but a region that ends at the step has only one of them and
    its mean would be drawn across.  Unclipped they cancel.
    """
    part = np.asarray(values[found.box], dtype=np.float64)
    failed = ~np.isfinite(part)
    if failed.all():
        return math.nan
    if failed.any():
        nearest = ndimage.distance_transform_edt(
            failed, return_distances=False, return_indices=True
        )
        part = part[tuple(nearest)]
    return float(np.sum(found.weights * part))


def resampled_mean_error(
    standard_error: NDArray[np.floating[Any]], found: MeanWeights
) -> tuple[float, float]:
    """Give the standard error of the mean of a resampled map from those of the input voxels.

    Parameters
    ----------
    standard_error : ndarray of float, shape (k, j, i)
        Standard errors of the input voxels, taken as independent; NaN where a voxel failed.
    found : MeanWeights
        Weights of the region.

    Returns
    -------
    error : float
        ``sqrt(sum w^2 s^2)`` in the unit of the map; NaN when no voxel of the box has an error.
    independent : float
        ``1 / sum w^2``: the number of independent input voxels that the mean amounts to.

    Notes
    -----
    A failed voxel of the box lies beyond the 4x4x4 support of every output voxel and weighs by the
    prefilter only; it is given the root mean square error of the others.
    """
    squared = np.asarray(standard_error[found.box], dtype=np.float64) ** 2
    known = np.isfinite(squared)
    independent = 1.0 / float(np.sum(found.weights**2))
    if not known.any():
        return math.nan, independent
    squared = np.where(known, squared, squared[known].mean())
    return math.sqrt(float(np.sum(found.weights**2 * squared))), independent


def _transposed_prefilter(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Solve ``A^T w = b`` along an axis, A being what the prefilter inverts."""
    n = values.shape[axis]
    bands = np.empty((3, n))
    bands[0], bands[1], bands[2] = 1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0
    # Row 0 of A holds 2/6 beside its diagonal, and so does the last: columns of the transposed.
    bands[2, 0] = bands[0, n - 1] = 2.0 / 6.0
    moved = np.moveaxis(values, axis, 0)
    solved = linalg.solve_banded((1, 1), bands, moved.reshape(n, -1))
    return np.ascontiguousarray(np.moveaxis(solved.reshape(moved.shape), 0, axis))


def _scatter(
    positions: NDArray[np.float64],
    low: NDArray[np.int64],
    shape: NDArray[np.int64],
    order: int,
    weights: NDArray[np.float64],
) -> None:
    """Add the kernel of every position to the weights; compiled by numba."""
    taps = order + 1
    weight = np.zeros((3, 4))
    index = np.zeros((3, 4), dtype=np.int64)
    for o in range(positions.shape[0]):
        for axis in range(3):
            n = shape[axis]
            base = math.floor(positions[o, axis])
            t = positions[o, axis] - base
            if order == 3:
                weight[axis, 0] = (1.0 - t) ** 3 / 6.0
                weight[axis, 1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
                weight[axis, 2] = (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t * t * t) / 6.0
                weight[axis, 3] = t * t * t / 6.0
            else:
                weight[axis, 0] = 1.0 - t
                weight[axis, 1] = t
            for tap in range(taps):
                place = base + tap - (1 if order == 3 else 0)
                if n == 1:
                    place = 0
                if place < 0:
                    place = -place
                if place > n - 1:
                    place = 2 * (n - 1) - place
                index[axis, tap] = min(max(place, 0), n - 1) - low[axis]
        for a in range(taps):
            for b in range(taps):
                for c in range(taps):
                    weights[index[0, a], index[1, b], index[2, c]] += (
                        weight[0, a] * weight[1, b] * weight[2, c]
                    )


@cache
def _compiled_scatter() -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(_scatter)
    return compiled
