"""Touching lesions: one part for every top that a valley sets apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError

__all__ = ["split_touching", "zones"]

_CORNERS = ndimage.generate_binary_structure(3, 3)


def split_touching(
    values: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    *,
    depth: float = 0.25,
    least_voxels: int = 1,
) -> NDArray[np.int32]:
    """Split a mask into one part per top, by a watershed from its h-maxima.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Uptake; positive and finite in the mask.
    mask : ndarray of bool, shape (k, j, i)
        Connected voxels of one candidate.
    depth : float, optional
        A top counts as one of its own when every way to a higher one goes down by more than this
        part of its own height, between 0 and 1; 1 never splits.
    least_voxels : int, optional
        A part of fewer voxels stays with its neighbour.

    Returns
    -------
    ndarray of int32, shape (k, j, i)
        0 outside of the mask; the part with the highest top is 1, and so on.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: the depth is out of range, or a value in the mask is not above 0.
    GeometryError
        ``E_ARGUMENT``: shapes differ.

    Notes
    -----
    The h-maxima are those of the logarithm with ``h = -ln(1 - depth)``, so that a faint lesion
    beside a hot one is judged by its own height.  Noise makes tops too: the depth has to lie well
    above the noise (relative SD) in the lesion.

    References
    ----------
    .. [1] Soille P. Morphological Image Analysis, 2nd ed. Springer 2003, chapters 6 and 9.
    """
    if values.ndim != 3 or mask.shape != values.shape:
        raise GeometryError(
            "a mask to split has the shape of the values (k, j, i)",
            code="E_ARGUMENT",
            where="mask",
            value=(values.shape, mask.shape),
        )
    if not 0.0 < depth <= 1.0:
        raise _refused("depth", depth, "give a part between 0 and 1, e.g. 0.25")
    inside = values[mask]
    if inside.size == 0:
        return np.zeros(mask.shape, dtype=np.int32)
    if not (np.isfinite(inside).all() and inside.min() > 0.0):
        raise _refused("values", float(np.min(inside)), "split only voxels with uptake above 0")
    whole = mask.astype(np.int32)
    if depth == 1.0:
        return whole
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    floor = math.log(float(inside.min())) - 1.0
    height = np.where(mask, np.log(np.where(mask, values, 1.0)), floor)
    drop = -math.log1p(-depth)
    lowered = np.maximum(height - drop, floor)
    flat = np.asarray(reconstruction(lowered, height, method="dilation", footprint=_CORNERS))
    tops, count = ndimage.label(local_maxima(flat, connectivity=3) & mask, structure=_CORNERS)
    if count < 2:
        return whole
    peaks = ndimage.maximum(values, tops, np.arange(1, count + 1))
    order = np.argsort(-np.asarray(peaks), kind="stable")
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[order + 1] = np.arange(1, count + 1)
    markers = rank[tops]
    while True:
        parts = np.asarray(watershed(-height, markers, mask=mask, connectivity=_CORNERS))
        sizes = np.bincount(parts.ravel())[1:]
        small = np.flatnonzero((sizes > 0) & (sizes < least_voxels)) + 1
        if small.size == 0 or np.count_nonzero(sizes) < 2:
            break
        # one at a time, the faintest first: a neighbour may grow above the limit by it
        markers[markers == small[-1]] = 0
    _, dense = np.unique(parts, return_inverse=True)
    first = 0 if not mask.all() else 1
    return np.asarray(dense.reshape(parts.shape) + first, dtype=np.int32)


def zones(
    labels: NDArray[np.integer[Any]], spacing_mm: tuple[float, float, float]
) -> NDArray[np.int32]:
    """Give every voxel the label that lies nearest.

    Parameters
    ----------
    labels : ndarray of integer, shape (k, j, i)
        Labels; 0 is background.
    spacing_mm : tuple of float
        Voxel spacing along (k, j, i) in mm.

    Returns
    -------
    ndarray of int32, shape (k, j, i)
        Labels; 0 everywhere when there is none.
    """
    if not labels.any():
        return np.zeros(labels.shape, dtype=np.int32)
    nearest = ndimage.distance_transform_edt(
        labels == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.asarray(labels[tuple(nearest)], dtype=np.int32)


def _refused(where: str, value: object, action: str) -> InputError:
    return InputError(
        f"{where} cannot be used", code="E_ARGUMENT", where=where, value=value, action=action
    )
