"""Bring a map or labels to another grid, once.

Interpolation changes noise and edges, so a map is resampled one time, from its native grid, through
the composed transform.  Labels travel by signed distance.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError
from eprimg.kernels._resample_boxes import (
    Bend,
    level,
    moved_distance,
    output_box,
    put_nearest,
    signed_distance,
    slices,
)
from eprimg.kernels._resample_numba import interpolate

__all__ = ["Bend", "Resampled", "claimed_box", "resample_labels", "resample_map"]

_F = TypeVar("_F", np.float32, np.float64)
_I = TypeVar("_I", bound=np.integer)

# A voxel counts as inside a label when its distance is above this part of the smallest spacing.
_TIE = 1e-6
_FEWEST_VOXELS = 20.0
"""Below this a count of voxels says little about a volume (digital abdomen, 10 mm lesion on voxels
of 3.2 x 3.2 x 5 mm: Dice 1.00 without, 0.57 with the shift; 13 mm and more gain by it)."""
_VOXELS_AT_ONCE = 200_000
"""Voxels between two calls of the progress function: some hundredths of a second."""
_NO_SHIFTS = np.zeros((0, 0, 0, 3), dtype=np.float32)


class Resampled(NamedTuple):
    """A map on another grid.

    Attributes
    ----------
    values : ndarray of float32 or float64, shape (k, j, i)
        Values, NaN where not valid.
    valid : ndarray of bool, shape (k, j, i)
        False outside the field of view and next to failed voxels.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]


def resample_map(
    values: NDArray[_F],
    *,
    output_to_input: ArrayLike,
    output_shape: Sequence[int],
    order: Literal[1, 3] = 3,
    valid: NDArray[np.bool_] | None = None,
    erode_valid: bool = True,
    bend: Bend | None = None,
    progress: Callable[[float], object] | None = None,
) -> Resampled:
    """Interpolate a map at the voxel centres of another grid.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (k, j, i)
        Map on its native grid; NaN and infinite values are failed voxels.
    output_to_input : array-like of float, shape (4, 4)
        Affine from output index (k, j, i, 1) to input index.
    output_shape : sequence of int, shape (3,)
        Shape (k, j, i) of the output grid.
    order : {3, 1}, optional
        3: cubic B-spline that passes through the samples; 1: linear.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels of the input that may be used.
    erode_valid : bool, optional
        Ask for valid voxels one step further than the 2x2x2 neighbours.
    bend : Bend, optional
        What a deformable transform adds to the matrix.
    progress : callable, optional
        Called with the finished share between pieces of the work; what it raises ends it.

    Returns
    -------
    Resampled
        Values in the dtype of the input and their validity.

    Raises
    ------
    InputError
        The order, the matrix or the shape is not usable.
    GeometryError
        `valid` has another shape, or the map is not three-dimensional.

    Notes
    -----
    * Overshoot of the cubic spline is clipped to the range of the 2x2x2 surrounding input voxels.
    * Failed voxels are replaced by the nearest valid one before the spline, so that they do not
      ring into their neighbours; the result is then valid only where all surrounding input voxels
      are valid: 2x2x2, with `erode_valid` 4x4x4, which is the whole support of the cubic kernel.
      Along an axis on which the output falls on input voxels (within 1e-4 of a voxel) only those
      voxels are asked for, so that an identity changes neither values nor validity.
    * The field of view ends at the outermost voxel centres (a single slice: half a slice to each
      side); beyond it the result is NaN.  Its border does not erode; the spline is mirrored there.

    Cubic interpolation keeps 0.92 of the noise SD and the lesion edges (bias 0.0 1/s in the
    project's R2* test), linear 0.81 with a pull of 3-4 1/s towards the neighbouring organ: say
    which one was used, and never resample twice.  The kernel samples points: an output grid that is
    much coarser than the input aliases.  Memory: one copy of the input for the spline and the
    output; with failed voxels, 12 bytes per input voxel more.

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
            action="Use 3 for maps.",
        )
    matrix, shape = _grid(values, output_to_input, output_shape)
    if valid is not None and valid.shape != values.shape:
        raise GeometryError(
            f"valid must have the shape of the values, {values.shape}.",
            code="E_ARGUMENT",
            where="valid",
            value=valid.shape,
            action="Give the mask on the grid of the map.",
        )
    dtype: np.dtype[Any] = np.dtype(np.float32 if values.dtype == np.float32 else np.float64)
    good = np.isfinite(values)
    if valid is not None:
        good &= valid
    result = np.full(shape, np.nan, dtype=dtype)
    result_valid = np.zeros(shape, dtype=np.bool_)
    if not good.any() or 0 in shape:
        return Resampled(result, result_valid)
    samples: NDArray[Any] = np.asarray(values, dtype=dtype)
    tell = progress or (lambda share: None)
    tell(0.0)
    if not good.all():
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        samples = samples[tuple(nearest)]
        del nearest
    samples = np.ascontiguousarray(samples)
    coefficients = samples
    if order == 3:
        for axis in range(3):  # what ndimage.spline_filter does
            tell(0.1 + 0.1 * axis)
            coefficients = ndimage.spline_filter1d(
                coefficients, 3, axis, output=dtype, mode="mirror"
            )
    interpolation = _compiled_interpolation()
    planes = max(1, _VOXELS_AT_ONCE // max(shape[1] * shape[2], 1))
    erode = bool(erode_valid)
    for first in range(0, shape[0], planes):
        tell(0.4 + 0.6 * first / shape[0])
        end = min(first + planes, shape[0])
        shifts = _NO_SHIFTS
        if bend is not None:
            found = bend.shifts((first, 0, 0), (end, shape[1], shape[2]))
            shifts = np.ascontiguousarray(found, dtype=np.float32)
        interpolation(
            *(coefficients, samples, good, matrix, shifts, order, erode),
            *(result, result_valid, first, end),
        )
    return Resampled(result, result_valid)


def resample_labels(
    labels: NDArray[_I],
    *,
    output_to_input: ArrayLike,
    output_shape: Sequence[int],
    input_spacing_mm: Sequence[float] | NDArray[np.floating],
    method: Literal["signed-distance", "nearest"] = "signed-distance",
    keep_volume: bool = False,
    boxes: Mapping[int, tuple[slice, ...]] | None = None,
    window: tuple[slice, ...] | None = None,
    bend: Bend | None = None,
    masks: Mapping[int, NDArray[np.bool_]] | None = None,
) -> NDArray[_I]:
    """Bring labels to another grid.

    Parameters
    ----------
    labels : ndarray of int, shape (k, j, i)
        Labels; zero is background.
    output_to_input : array-like of float, shape (4, 4)
        Affine from output index (k, j, i, 1) to input index.
    output_shape : sequence of int, shape (3,)
        Shape (k, j, i) of the output grid.
    input_spacing_mm : sequence of float, shape (3,)
        Voxel spacing of the input along (k, j, i) in mm, for the distances.
    method : {"signed-distance", "nearest"}, optional
        How to interpolate.
    keep_volume : bool, optional
        With "signed-distance": shift the distances of each label so that it keeps its volume.
        A label of fewer than 20 output voxels is not shifted, so that it does not spread over
        voxels that are mostly its surroundings.
    boxes : Mapping of int to tuple of slice, optional
        Carry only these labels, whose bounding boxes are known; all labels when left out.
    window : tuple of slice, optional
        Part of the output that is wanted; the values are those of the whole output there.  The
        whole when left out.
    bend : Bend, optional
        What a deformable transform adds to the matrix.
    masks : Mapping of int to ndarray of bool, optional
        Voxels of a label within its box of ``boxes``, where they are not those that carry its
        number because labels overlap; with "signed-distance" only.

    Returns
    -------
    ndarray of int, shape `output_shape`, or that of the window
        Labels in the dtype of the input; 0 outside the field of view.

    Raises
    ------
    InputError
        The matrix, the shape, the spacing or the method is not usable, or a label is negative.
    GeometryError
        The labels are not three-dimensional.

    Notes
    -----
    "signed-distance": for each label, within its bounding box, the distance to the nearest voxel
    centre of the other side (positive inside, negative outside) is interpolated linearly; a voxel
    belongs to the label when the result is above 0.  Where several labels claim a voxel the largest
    distance wins, at equal distance the lowest label; a voxel exactly on the seam of two labels
    goes to the lower one, exactly on the border to the background.  Mean Dice 0.935 on moved lesion
    masks against 0.908 for nearest, volume ratio 0.974 against 1.022 (project prototypes).
    Distances take the input axes as orthogonal.

    With a level of 0 small labels shrink, most on anisotropic grids: balls of 8 / 10 / 13 / 17 / 22
    mm at 4 x 1.45 x 1.45 mm keep 0.72 / 0.81 / 0.88 / 0.92 / 0.96 of their volume (Dice with the
    true ball 0.80 / 0.86 / 0.91 / 0.93 / 0.96), and labels thinner than an output voxel can vanish.
    With `keep_volume` each label takes the level at which its count of output voxels is nearest to
    its volume, at least one voxel: 1.00 / 0.99 / 0.99 / 0.99 / 1.00 (Dice 0.86 / 0.90 / 0.93 / 0.95
    / 0.96).  Where labels touch, the larger shifted distance wins, so their volumes are then kept
    only nearly.  Work and memory follow the bounding boxes of the labels, not the volume.
    """
    matrix, shape = _grid(labels, output_to_input, output_shape)
    spacing = np.asarray(input_spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not np.all(np.isfinite(spacing) & (spacing > 0.0)):
        raise InputError(
            "The spacing must be three finite, positive numbers in mm.",
            code="E_ARGUMENT",
            where="input_spacing_mm",
            value=spacing.tolist(),
            action="Give the spacing along (k, j, i).",
        )
    if labels.dtype.kind not in "iu" or (boxes is None and labels.size and labels.min() < 0):
        raise InputError(
            "Labels must be integers that are not negative.",
            code="E_ARGUMENT",
            where="labels",
            value=str(labels.dtype),
            action="Use 0 for background and positive numbers for regions.",
        )
    if method not in ("signed-distance", "nearest"):
        raise InputError(
            "The method must be signed-distance or nearest.",
            code="E_ARGUMENT",
            where="method",
            value=method,
            action="Use signed-distance for lesions, nearest for organs that fill space.",
        )
    part = window or tuple(slice(0, n) for n in shape)
    first = np.asarray([w.start for w in part])
    end = np.asarray([w.stop for w in part])
    result: NDArray[_I] = np.zeros(tuple(end - first), dtype=labels.dtype)
    if labels.size == 0 or 0 in result.shape or (boxes is None and int(labels.max()) == 0):
        return result
    if boxes is None:
        found = enumerate(ndimage.find_objects(labels), start=1)
        boxes = {label: box for label, box in found if box is not None}
    inverse = np.linalg.inv(matrix).astype(np.float64)
    if method == "nearest":
        put_nearest(result, labels, boxes, matrix, inverse, first, bend)
        return result
    # Untouched pages of these two are never allocated.
    best = np.zeros(result.shape, dtype=np.float32)
    seam: NDArray[_I] = np.zeros(result.shape, dtype=labels.dtype)
    eps = np.float32(_TIE * float(spacing.min()))
    for label, box in sorted(boxes.items()):
        low, high = output_box(box, inverse, bend)
        start, stop = np.maximum(low, first), np.minimum(high, end)
        if np.any(start >= stop):
            continue
        if not keep_volume:
            # The same in every window: rounding depends on where the interpolation starts.
            low, high = np.maximum(low, 0), np.minimum(high, shape)
        own = (masks or {}).get(label)
        distance = signed_distance(labels[box] == label if own is None else own, spacing)
        local = matrix.copy()
        local[:3, 3] += matrix[:3, :3] @ low - np.asarray([b.start - 2 for b in box])
        moved, shrinks = moved_distance(distance, local, low, high, bend)
        if keep_volume:
            wanted = np.count_nonzero(distance > 0) / shrinks
            if wanted >= _FEWEST_VOXELS or not (moved > 0).any():
                moved -= np.float32(level(moved, wanted, 0.5 * float(spacing.min())))
        moved = moved[slices(start - low, stop - low)]
        target = slices(start - first, stop - first)
        there, highest, edge = result[target], best[target], seam[target]
        wins = moved > np.maximum(highest, eps)
        there[wins] = label
        highest[wins] = moved[wins]
        on_edge = np.abs(moved) <= eps
        shared = on_edge & (edge != 0) & (there == 0)
        there[shared] = edge[shared]
        edge[on_edge & (edge == 0)] = label
    return result


def claimed_box(
    box: tuple[slice, ...],
    *,
    output_to_input: ArrayLike,
    output_shape: Sequence[int],
    bend: Bend | None = None,
) -> tuple[slice, ...] | None:
    """Return the part of the output outside of which `resample_labels` gives a label no voxel.

    Parameters
    ----------
    box : tuple of slice
        Bounding box of the label in the input.
    output_to_input : array-like of float, shape (4, 4)
        As in `resample_labels`.
    output_shape : sequence of int, shape (3,)
        As in `resample_labels`.
    bend : Bend, optional
        As in `resample_labels`.

    Returns
    -------
    tuple of slice or None
        None when that part is empty.
    """
    inverse = np.linalg.inv(np.asarray(output_to_input, dtype=np.float64))
    low, high = output_box(box, inverse, bend)
    start, stop = np.maximum(low, 0), np.minimum(high, np.asarray(output_shape))
    return None if np.any(start >= stop) else slices(start, stop)


def _grid(
    array: NDArray[Any], output_to_input: ArrayLike, output_shape: Sequence[int]
) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Check the volume, the matrix and the shape."""
    if array.ndim != 3:
        raise GeometryError(
            "Resampling needs one volume with the axes (k, j, i).",
            code="E_ARGUMENT",
            where="values",
            value=array.shape,
            action="Give one volume at a time.",
        )
    matrix = np.array(output_to_input, dtype=np.float64)
    if (
        matrix.shape != (4, 4)
        or not np.all(np.isfinite(matrix))
        or not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0])
        or math.isclose(float(np.linalg.det(matrix[:3, :3])), 0.0, abs_tol=1e-12)
    ):
        raise InputError(
            "output_to_input must be an invertible, affine 4x4 matrix.",
            code="E_ARGUMENT",
            where="output_to_input",
            value=matrix.tolist(),
            action="Compose it as inverse(input affine) @ transform @ output affine.",
        )
    shape = tuple(int(n) for n in output_shape)
    if len(shape) != 3 or min(shape) < 0:
        raise InputError(
            "The output shape must be three numbers (k, j, i).",
            code="E_ARGUMENT",
            where="output_shape",
            value=shape,
            action="Give the shape of the output grid.",
        )
    return matrix, (shape[0], shape[1], shape[2])


@cache
def _compiled_interpolation() -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(interpolate)
    return compiled
