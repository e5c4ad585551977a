"""Threshold masks and connected regions: proposals for a person to confirm, not lesions."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError

__all__ = ["connected_regions", "fixed_threshold_mask", "percent_of_max_mask"]

_CONNECTIVITY_RANK = {6: 1, 18: 2, 26: 3}


def fixed_threshold_mask(
    values: NDArray[np.floating], *, threshold: float, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Voxels at or above a fixed value.

    Parameters
    ----------
    values : ndarray of float, any shape
        Map values; NaN is never in the mask.
    threshold : float
        Finite threshold in the unit of the map.
    valid : ndarray of bool, same shape, optional
        Voxels that may be used.

    Returns
    -------
    ndarray of bool, same shape
        ``values >= threshold`` where valid.

    Raises
    ------
    InputError
        The threshold is not finite.
    GeometryError
        Shapes differ.

    Notes
    -----
    A fixed SUV misses cold or small lesions and marks healthy organs; SUV 4 is a convention of FDG
    in lymphoma and is not validated for nanoparticles.
    """
    if not math.isfinite(threshold):
        raise InputError(
            "The threshold must be finite.",
            code="E_ARGUMENT",
            where="threshold",
            value=threshold,
            action="Give a threshold in the unit of the map.",
        )
    mask = np.greater_equal(values, threshold)
    if valid is not None:
        _same_shape(values, valid, "valid")
        mask &= valid
    return np.asarray(mask, dtype=np.bool_)


def percent_of_max_mask(
    values: NDArray[np.floating],
    *,
    percent: float,
    region: NDArray[np.bool_] | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Voxels at or above a percentage of the maximum within a region.

    Parameters
    ----------
    values : ndarray of float, any shape
        Map values; NaN is left out.
    percent : float
        Percentage of the maximum, above 0 and at most 100.
    region : ndarray of bool, same shape, optional
        Search region; the mask stays inside it.  The whole map when not given.
    valid : ndarray of bool, same shape, optional
        Voxels that may be used.

    Returns
    -------
    ndarray of bool, same shape
        ``values >= percent / 100 * maximum`` within the region.

    Raises
    ------
    InputError
        The percentage is out of range, no voxel can be used, or the maximum is not positive.
    GeometryError
        Shapes differ.

    Notes
    -----
    The maximum is set by noise, so the mask shrinks with noise.  Below about 2.5:1 of lesion to
    background (lesions in the liver) 41 % of the maximum lies under the background and the mask
    leaks through the whole organ.
    """
    if not 0.0 < percent <= 100.0:
        raise InputError(
            "The percentage must be above 0 and at most 100.",
            code="E_ARGUMENT",
            where="percent",
            value=percent,
            action="Give for instance 41 for 41 %.",
        )
    usable = np.isfinite(values)
    for name, mask in (("region", region), ("valid", valid)):
        if mask is not None:
            _same_shape(values, mask, name)
            usable &= mask
    maximum = float(np.max(values, where=usable, initial=-np.inf))
    if not maximum > 0.0:
        raise InputError(
            "There is no positive maximum in the region.",
            code="E_ARGUMENT",
            where="values",
            value=maximum,
            action="Check that the region lies on the map and that the map has valid voxels.",
        )
    usable &= np.greater_equal(values, percent / 100.0 * maximum)
    return np.asarray(usable, dtype=np.bool_)


def connected_regions(
    mask: NDArray[np.bool_],
    *,
    voxel_volume_ml: float,
    minimum_volume_ml: float,
    connectivity: Literal[6, 18, 26] = 26,
) -> NDArray[np.int32]:
    """Group a mask into connected regions, numbered by falling volume.

    Parameters
    ----------
    mask : ndarray of bool, shape (k, j, i)
        Voxels to group.
    voxel_volume_ml : float
        Volume of one voxel in mL.
    minimum_volume_ml : float
        Regions of less volume are dropped; 0 keeps all.
    connectivity : {6, 18, 26}, optional
        Neighbours that belong together: faces; also edges; also corners.

    Returns
    -------
    ndarray of int32, shape (k, j, i)
        0 for background, 1 for the largest region, and so on; regions of equal volume keep the
        order of their first voxel.

    Raises
    ------
    InputError
        A volume or the connectivity is out of range.
    GeometryError
        The mask is not three-dimensional.
    """
    if mask.ndim != 3:
        raise GeometryError(
            "Connected regions need a mask with the axes (k, j, i).",
            code="E_ARGUMENT",
            where="mask",
            value=mask.shape,
            action="Give one volume.",
        )
    if connectivity not in _CONNECTIVITY_RANK:
        raise InputError(
            "The connectivity must be 6, 18 or 26.",
            code="E_ARGUMENT",
            where="connectivity",
            value=connectivity,
            action="Use 26.",
        )
    if not (math.isfinite(voxel_volume_ml) and voxel_volume_ml > 0.0):
        raise InputError(
            "The voxel volume must be finite and positive.",
            code="E_ARGUMENT",
            where="voxel_volume_ml",
            value=voxel_volume_ml,
            action="Give the volume in mL: the product of the spacings in mm, divided by 1000.",
        )
    if not (math.isfinite(minimum_volume_ml) and minimum_volume_ml >= 0.0):
        raise InputError(
            "The minimum volume must be finite and not negative.",
            code="E_ARGUMENT",
            where="minimum_volume_ml",
            value=minimum_volume_ml,
            action="Use 0 to keep every region.",
        )
    structure = ndimage.generate_binary_structure(3, _CONNECTIVITY_RANK[connectivity])
    labels = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=structure, output=labels)
    sizes = np.bincount(labels.ravel(), minlength=int(count) + 1)[1:]
    # A region of exactly the minimum volume is kept in spite of rounding.
    kept = np.flatnonzero(sizes * voxel_volume_ml >= minimum_volume_ml * (1.0 - 1e-9))
    ordered = kept[np.argsort(-sizes[kept], kind="stable")]
    renumbered = np.zeros(sizes.size + 1, dtype=np.int32)
    renumbered[ordered + 1] = np.arange(1, ordered.size + 1, dtype=np.int32)
    return np.take(renumbered, labels, out=labels)


def _same_shape(values: NDArray[np.floating], mask: NDArray[np.bool_], name: str) -> None:
    """Refuse a mask of another shape."""
    if mask.shape != values.shape:
        raise GeometryError(
            f"{name} must have the shape of the values, {values.shape}.",
            code="E_ARGUMENT",
            where=name,
            value=mask.shape,
            action="Bring the mask to the grid of the map first.",
        )
