"""Bounding boxes of labels, and what differs between two label volumes, each in one pass."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import GeometryError
from eprimg.kernels._label_scan import scan_boxes, scan_changes

__all__ = ["Box", "boxes_meet", "joined_box", "label_boxes", "label_changes", "widened_box"]

Box = tuple[slice, slice, slice]
"""Part of a volume along (k, j, i), with plain starts and stops."""


def label_boxes(labels: NDArray[np.integer], largest: int) -> dict[int, Box]:
    """Find the bounding box of every label.

    Parameters
    ----------
    labels : ndarray of integer, shape (k, j, i)
        Labels; zero and negative ones are background.
    largest : int
        Labels above it are not looked for.

    Returns
    -------
    dict of int to tuple of slice
        Boxes by label in rising order; a label without a voxel is missing.
    """
    _check(labels)
    ends = np.empty((max(largest, 0) + 1, 6), dtype=np.int64)
    ends[:, ::2] = np.iinfo(np.int64).max
    ends[:, 1::2] = -1
    if largest > 0 and labels.size:
        _compiled("boxes")(_readable(labels), ends)
    return {int(n): _box(ends[n]) for n in np.flatnonzero(ends[:, 1] >= 0)}


def label_changes(
    before: NDArray[np.integer], after: NDArray[np.integer]
) -> tuple[Box | None, frozenset[int]]:
    """Find where two label volumes differ, and which labels gained or lost voxels.

    Parameters
    ----------
    before, after : ndarray of integer, shape (k, j, i)
        Labels from 0 on.

    Returns
    -------
    tuple of slice or None
        Bounding box of the voxels that differ; None when there is none.
    frozenset of int
        Labels of those voxels in either volume, without 0.

    Raises
    ------
    GeometryError
        ``E_ARGUMENT`` when the shapes differ.
    """
    _check(before)
    _check(after)
    if before.shape != after.shape:
        raise GeometryError(
            "two label volumes of different shapes cannot be compared",
            code="E_ARGUMENT",
            where="after",
            value=(before.shape, after.shape),
            action="bring them to one grid first",
        )
    ends = np.array([np.iinfo(np.int64).max, -1] * 3, dtype=np.int64)
    if before.size:
        _compiled("changes")(_readable(before), _readable(after), ends)
    if ends[1] < 0:
        return None, frozenset()
    box = _box(ends)
    differs = before[box] != after[box]
    touched = np.union1d(before[box][differs], after[box][differs])
    return box, frozenset(int(n) for n in touched if n > 0)


def joined_box(*boxes: Box | None) -> Box | None:
    """Return the smallest box around some boxes.

    Parameters
    ----------
    *boxes : tuple of slice or None
        Boxes; None is left out.

    Returns
    -------
    tuple of slice or None
        None when there was no box.
    """
    known = [b for b in boxes if b is not None]
    if not known:
        return None
    k, j, i = (
        slice(min(b[axis].start for b in known), max(b[axis].stop for b in known))
        for axis in range(3)
    )
    return k, j, i


def boxes_meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes share a voxel.

    Parameters
    ----------
    one, other : tuple of slice
        Boxes.

    Returns
    -------
    bool
        True when they do.
    """
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def widened_box(box: Box, margin: tuple[int, int, int], shape: tuple[int, int, int]) -> Box:
    """Widen a box on all sides, within a volume.

    Parameters
    ----------
    box : tuple of slice
        The box.
    margin : tuple of int
        Voxels along (k, j, i).
    shape : tuple of int
        Shape of the volume.

    Returns
    -------
    tuple of slice
        The wider box.
    """
    k, j, i = (
        slice(max(b.start - m, 0), min(b.stop + m, n))
        for b, m, n in zip(box, margin, shape, strict=True)
    )
    return k, j, i


def _box(ends: NDArray[np.int64]) -> Box:
    k0, k1, j0, j1, i0, i1 = (int(n) for n in ends)
    return slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1)


def _check(labels: NDArray[np.integer]) -> None:
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise GeometryError(
            "labels are one volume of integers with the axes (k, j, i)",
            code="E_ARGUMENT",
            where="labels",
            value=(labels.shape, str(labels.dtype)),
            action="give one label volume at a time",
        )


def _readable(labels: NDArray[Any]) -> NDArray[Any]:
    """One kind of array for the compiled loop: contiguous and read-only."""
    view = np.ascontiguousarray(labels).view()
    view.flags.writeable = False
    return view


@cache
def _compiled(what: str) -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    loop = {"boxes": scan_boxes, "changes": scan_changes}[what]
    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(loop)
    return compiled
