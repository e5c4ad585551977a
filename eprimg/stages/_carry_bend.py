"""What a deformable transform adds when maps and labels travel; see `eprimg.stages.carry`."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from eprimg.kernels.resample import Bend
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

__all__ = ["bend_of", "inverse_of", "shifts_at"]


def bend_of(output: Grid, source: Grid, transform: Transform) -> Bend | None:
    """Return what the displacement of a transform adds to `output_to_input`.

    Parameters
    ----------
    output : Grid
        Grid of the result.
    source : Grid
        Grid of the values.
    transform : Transform
        From the frame of ``output`` to the frame of ``source``.

    Returns
    -------
    Bend or None
        None for an affine transform.
    """
    field = transform.displacement
    if field is None:
        return None

    def shifts(low: Sequence[int], high: Sequence[int]) -> npt.NDArray[np.float64]:
        shape = [b - a for a, b in zip(low, high, strict=True)]
        index = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1) + np.asarray(low)
        return shifts_at(index, output, source, transform)

    flat = field.vectors_mm.reshape(-1, 3) @ _linear(source, transform).T.astype(np.float32)
    return Bend(shifts, np.abs(flat).max(axis=0).astype(np.float64))


def shifts_at(
    index: npt.ArrayLike, output: Grid, source: Grid, transform: Transform
) -> npt.NDArray[np.float64]:
    """Return what the displacement adds to the input index of some output voxels.

    Parameters
    ----------
    index : array_like, shape (..., 3)
        Indices (k, j, i) of ``output``.
    output : Grid
        Grid of the result.
    source : Grid
        Grid of the values.
    transform : Transform
        From the frame of ``output`` to the frame of ``source``.

    Returns
    -------
    ndarray, shape (..., 3)
        Voxels of ``source``; zero for an affine transform.
    """
    if transform.displacement is None:
        return np.zeros(np.shape(index))
    shift = transform.displacement.at(output.index_to_lps_mm(index))
    return np.asarray(shift @ _linear(source, transform).T)


def _linear(source: Grid, transform: Transform) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.inv(source.affine)[:3, :3] @ transform.matrix[:3, :3])


_INVERSES: WeakKeyDictionary[Displacement, Transform] = WeakKeyDictionary()
"""Undoing a field takes a second, and is asked for after every stroke of the brush."""


def inverse_of(transform: Transform) -> Transform:
    """Return the transform that goes back; that of a bent one is found once.

    Parameters
    ----------
    transform : Transform
        From the reference series to another.

    Returns
    -------
    Transform
        As `Transform.inverse`.
    """
    if transform.displacement is None:
        return transform.inverse()
    known = _INVERSES.get(transform.displacement)
    back = np.linalg.inv(transform.matrix)
    if known is None or not np.array_equal(known.matrix, back):
        known = transform.inverse()
        _INVERSES[transform.displacement] = known
    return known
