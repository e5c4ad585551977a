"""Voxels of a new region: what a threshold grows from a click, and a sphere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError
from eprimg.kernels.thresholds import connected_regions, percent_of_max_mask
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap

__all__ = ["lps_of", "sphere_voxels", "threshold_mask"]


def lps_of(point_mm: Sequence[float]) -> npt.NDArray[np.float64]:
    """Turn a displayed point (s, p, l) into LPS.

    Parameters
    ----------
    point_mm : sequence of 3 floats
        S, P, L in mm.

    Returns
    -------
    ndarray, shape (3,)
        L, P, S in mm.
    """
    return np.asarray(point_mm, dtype=np.float64)[::-1]


def sphere_voxels(
    grid: Grid, centre_lps_mm: npt.ArrayLike, radius_mm: float
) -> npt.NDArray[np.int64]:
    """Find the voxels whose centre lies in a sphere.

    Parameters
    ----------
    grid : Grid
        Any grid, oblique ones too.
    centre_lps_mm : array_like, shape (3,)
        Centre in LPS mm.
    radius_mm : float
        Radius.

    Returns
    -------
    ndarray of int64, shape (n, 3)
        Indices (k, j, i); empty when the sphere lies outside the grid.
    """
    centre = grid.lps_mm_to_index(centre_lps_mm)
    reach = radius_mm / np.asarray(grid.spacing_mm)
    low = np.clip(np.ceil(centre - reach), 0, np.array(grid.shape)).astype(int)
    high = np.clip(np.floor(centre + reach) + 1, 0, np.array(grid.shape)).astype(int)
    box = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    index = np.stack(np.meshgrid(*box, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = (index - centre) * grid.spacing_mm  # the axes stand at right angles
    return np.asarray(index[(distance**2).sum(axis=1) <= radius_mm**2], dtype=np.int64)


def threshold_mask(
    map_: QuantityMap, centre_lps_mm: npt.ArrayLike, *, percent: float, radius_mm: float
) -> npt.NDArray[np.bool_]:
    """Grow a region around a click: a percentage of the local maximum, connected to it.

    Parameters
    ----------
    map_ : QuantityMap
        Map to threshold, on its own grid.
    centre_lps_mm : array_like, shape (3,)
        The click, in the frame of the map.
    percent : float
        Percentage of the maximum within the sphere.
    radius_mm : float
        Radius of the sphere that is searched; the region stays inside it.

    Returns
    -------
    ndarray of bool, shape (k, j, i)
        The region.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` when the sphere holds no valid voxel above zero.
    """
    grid = map_.grid
    voxels = sphere_voxels(grid, centre_lps_mm, radius_mm)
    region = np.zeros(grid.shape, dtype=bool)
    region[tuple(voxels.T)] = True
    usable = region & map_.valid & np.isfinite(map_.values)
    if not usable.any():
        raise InputError(
            f"there is no {map_.quantity.name} value within {radius_mm:g} mm of the click",
            code="E_ARGUMENT",
            where="threshold",
            action="click inside the field of view of the map",
        )
    mask = percent_of_max_mask(map_.values, percent=percent, region=region, valid=map_.valid)
    groups = connected_regions(mask, voxel_volume_ml=grid.voxel_volume_ml, minimum_volume_ml=0.0)
    hottest = np.argmax(np.where(usable, map_.values, -np.inf))
    return np.asarray(groups == groups.ravel()[hottest], dtype=bool)
