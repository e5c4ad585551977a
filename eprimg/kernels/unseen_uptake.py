"""Uptake that a search for lesions left out: parts above a level, away from what was looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.label_boxes import label_boxes
from eprimg.kernels.thresholds import connected_regions

__all__ = ["UnseenPart", "unseen_parts"]


class UnseenPart(NamedTuple):
    """Connected uptake that was not looked at.

    Attributes
    ----------
    volume_ml : float
        Volume of its voxels.
    maximum : float
        Its highest voxel, in the unit of the map.
    maximum_index : (int, int, int)
        Where that voxel lies, (k, j, i).
    """

    volume_ml: float
    maximum: float
    maximum_index: tuple[int, int, int]


def unseen_parts(
    values: NDArray[np.floating[Any]],
    looked: NDArray[np.bool_],
    spacing_mm: Sequence[float],
    *,
    level: float,
    margin_mm: float,
    minimum_volume_ml: float,
    valid: NDArray[np.bool_] | None = None,
) -> tuple[UnseenPart, ...]:
    """Find connected uptake above a level that lies away from what was looked at.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Map; NaN is left out.
    looked : ndarray of bool, shape (k, j, i)
        Voxels that were looked at: above the search threshold, in a candidate, in a known organ.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    level : float
        Uptake that counts, in the unit of the map.
    margin_mm : float
        So far around `looked`, in mm from centre to centre, uptake is the blur of what was seen; 0
        and more.
    minimum_volume_ml : float
        Parts of less volume, in mL, are noise.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels that may be used.

    Returns
    -------
    tuple of UnseenPart
        The largest first.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: a number is out of range.
    GeometryError
        ``E_ARGUMENT``: the shapes differ.

    Notes
    -----
    Parts are joined over faces, edges and corners (26 neighbours).  A lesion within the margin of
    a hot organ is not told from the organ's blur, so what is found is a lower bound.
    """
    if values.ndim != 3 or any(m is not None and m.shape != values.shape for m in (looked, valid)):
        raise GeometryError(
            "the map, what was looked at and what is valid need one shape (k, j, i)",
            code="E_ARGUMENT",
            where="values",
            value=values.shape,
        )
    if not (math.isfinite(level) and math.isfinite(margin_mm) and margin_mm >= 0.0):
        raise InputError(
            "the level must be finite, and the margin finite and not negative",
            code="E_ARGUMENT",
            where="level, margin_mm",
            value=(level, margin_mm),
            action="give a level in the unit of the map and a margin in mm",
        )
    mask = np.greater_equal(values, level) & ~looked
    if valid is not None:
        mask &= valid
    places = np.argwhere(mask)
    if places.size and looked.any():
        step = np.asarray(spacing_mm, dtype=np.float64)
        seen = cKDTree(np.argwhere(looked) * step)
        bound = np.nextafter(margin_mm, math.inf)  # the bound itself is not within
        far, _ = seen.query(places * step, distance_upper_bound=bound)
        near = places[np.isfinite(far)]
        mask[near[:, 0], near[:, 1], near[:, 2]] = False
    voxel_ml = math.prod(float(s) for s in spacing_mm) / 1000.0
    found = connected_regions(mask, voxel_volume_ml=voxel_ml, minimum_volume_ml=minimum_volume_ml)
    parts = []
    for number, box in label_boxes(found, int(found.max(initial=0))).items():
        mine = found[box] == number
        local = np.where(mine, values[box], -np.inf)
        top = np.unravel_index(int(np.argmax(local)), local.shape)
        k, j, i = (int(t) + b.start for t, b in zip(top, box, strict=True))
        volume = float(np.count_nonzero(mine)) * voxel_ml
        parts.append(UnseenPart(volume, float(local[top]), (k, j, i)))
    return tuple(parts)
