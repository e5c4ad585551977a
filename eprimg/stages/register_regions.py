"""Masks of one lesion or organ on both series, as a test of an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.transform import Transform

__all__ = ["RegionFit", "RegionPair", "region_fits", "region_pairs"]

FloatArray = npt.NDArray[np.float64]

_MARGIN_MM = 25.0
_MOST_POINTS = 150_000


@dataclass(frozen=True, slots=True)
class RegionPair:
    """A region that was drawn on both series.

    Parameters
    ----------
    name : str
        Name on the fixed series.
    is_lesion : bool
        Lesion, or a reference organ.
    fixed, moving : LesionSet
        Where it was drawn.
    fixed_id, moving_id : int
        Its label values there.
    """

    name: str
    is_lesion: bool
    fixed: LesionSet
    moving: LesionSet
    fixed_id: int
    moving_id: int


@dataclass(frozen=True, slots=True)
class RegionFit:
    """How well the two masks of a region lie on each other.

    Parameters
    ----------
    name : str
        The region.
    is_lesion : bool
        Lesion or organ.
    centroid_mm : float
        Distance of the centroids.
    dice : float
        Twice the common volume over the sum of both, where both series show the place and within 25
        mm of the mask on the fixed series; NaN when there is no such place.
    """

    name: str
    is_lesion: bool
    centroid_mm: float
    dice: float


def region_pairs(regions: Sequence[LesionSet], fixed: Grid, moving: Grid) -> tuple[RegionPair, ...]:
    """Find the regions that were drawn on both series.

    Parameters
    ----------
    regions : sequence of LesionSet
        Imported masks.
    fixed, moving : Grid
        Grids of both series.

    Returns
    -------
    tuple of RegionPair
        Lesions of one tracking UID or name, reference organs of one anatomy.  Series that share
        their frame are told apart by their grids.
    """
    sides: tuple[dict[str, tuple[LesionSet, Region]], dict[str, tuple[LesionSet, Region]]] = (
        {},
        {},
    )
    for each in regions:
        side = _side(each.grid, fixed, moving)
        if side is None:
            continue
        drawn = set(np.unique(each.labels).tolist())
        for region in each.regions:
            key = _key(region)
            if key and region.id in drawn:
                sides[side].setdefault(key, (each, region))
    return tuple(
        RegionPair(
            region.name,
            region.role == RegionRole.LESION,
            drawn_on,
            sides[1][key][0],
            region.id,
            sides[1][key][1].id,
        )
        for key, (drawn_on, region) in sides[0].items()
        if key in sides[1]
    )


def region_fits(pairs: Sequence[RegionPair], transform: Transform) -> tuple[RegionFit, ...]:
    """Compare the masks of every pair through a transform.

    Parameters
    ----------
    pairs : sequence of RegionPair
        The regions.
    transform : Transform
        From the fixed frame to the moving frame.

    Returns
    -------
    tuple of RegionFit
        One per pair.
    """
    return tuple(_fit(pair, transform) for pair in pairs)


def _fit(pair: RegionPair, transform: Transform) -> RegionFit:
    here = pair.fixed.labels == pair.fixed_id
    index = np.argwhere(here)
    there = np.argwhere(pair.moving.labels == pair.moving_id)
    grid, other = pair.fixed.grid, pair.moving.grid
    few = index[:: max(1, len(index) // _MOST_POINTS)]
    mapped = transform.apply(grid.index_to_lps_mm(few)).mean(axis=0)
    away = float(np.linalg.norm(mapped - other.index_to_lps_mm(there).mean(axis=0)))
    margin = np.ceil(_MARGIN_MM / np.array(grid.spacing_mm)).astype(int)
    low = np.maximum(index.min(axis=0) - margin, 0)
    high = np.minimum(index.max(axis=0) + margin + 1, grid.shape)
    stride = max(1, int(np.ceil((float(np.prod(high - low)) / _MOST_POINTS) ** (1.0 / 3.0))))
    axes = [np.arange(a, b, stride) for a, b in zip(low, high, strict=True)]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    place = np.rint(other.lps_mm_to_index(transform.apply(grid.index_to_lps_mm(box)))).astype(int)
    shown = ((place >= 0) & (place < np.array(other.shape))).all(axis=1)
    first = here[tuple(box[shown].T)]
    second = pair.moving.labels[tuple(place[shown].T)] == pair.moving_id
    both = np.count_nonzero(first) + np.count_nonzero(second)
    dice = 2.0 * np.count_nonzero(first & second) / both if both else float("nan")
    return RegionFit(pair.name, pair.is_lesion, away, dice)


def _key(region: Region) -> str:
    if region.role == RegionRole.LESION:
        return f"lesion {region.tracking_uid or region.name}"
    if region.role == RegionRole.REFERENCE:
        return f"organ {region.anatomy or region.name}"
    return ""


def _side(grid: Grid, fixed: Grid, moving: Grid) -> int | None:
    if fixed.frame_of_reference != moving.frame_of_reference:
        frames = (fixed.frame_of_reference, moving.frame_of_reference)
        return frames.index(grid.frame_of_reference) if grid.frame_of_reference in frames else None
    same = (grid.matches(fixed), grid.matches(moving))
    return same.index(True) if sum(same) == 1 else None
