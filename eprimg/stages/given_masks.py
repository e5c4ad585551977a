"""Masks that a person drew on both series, as a check of their alignment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.rigid_settings import CheckSettings
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.transform import Registration, Transform

__all__ = ["Masks", "compare_masks", "mask_figures", "named_masks"]

FloatArray = npt.NDArray[np.float64]
Masks = Mapping[str, npt.NDArray[np.bool_]]
"""Masks by name, each of shape (k, j, i)."""

_LARGE_ML = 10.0
"""Smaller masks differ by a good share when nothing is wrong: one voxel at their rim is much."""

_APART_MM = 5.0
"""Centroids of one structure lie closer when the series are aligned, whatever its size; the same as
for lesions that ask for a bending (`largest_centroid_mm`) and for uptake (`W_LESION_APART`)."""


def named_masks(sets: Iterable[LesionSet], grid: Grid) -> dict[str, npt.NDArray[np.bool_]]:
    """Collect the masks that were drawn on a grid.

    Parameters
    ----------
    sets : iterable of LesionSet
        Imported regions, each on the grid that it was drawn on.
    grid : Grid
        Grid of a series.

    Returns
    -------
    dict
        Mask by name of its region.
    """
    found = {}
    for each in sets:
        if each.grid.frame_of_reference == grid.frame_of_reference and each.grid.matches(grid):
            found.update({r.name: each.labels == r.id for r in each.regions})
    return found


def mask_figures(
    fixed: Masks, fixed_grid: Grid, moving: Masks, moving_grid: Grid, transform: Transform
) -> dict[str, tuple[float, float]]:
    """Compare masks of the same name that were drawn on both series.

    Parameters
    ----------
    fixed, moving : Mapping of str to ndarray of bool, shape (k, j, i)
        Masks by name, each on the grid of its series.
    fixed_grid, moving_grid : Grid
        The grids.
    transform : Transform
        The alignment.

    Returns
    -------
    dict
        For each common name the Dice coefficient on the fixed grid (moving mask by nearest
        neighbour), and the distance in mm between the centroid of the fixed mask, mapped, and that
        of the moving mask; NaN for both where one of them is empty.

    Notes
    -----
    Dice is ``2 |A n B| / (|A| + |B|)``, over voxels whose place is in the moving field of view; 0
    to 1, and 0 when neither mask has a voxel there.

    References
    ----------
    Dice LR, Ecology 1945;26:297, doi 10.2307/1932409.
    """
    figures = {}
    for name in sorted(set(fixed) & set(moving)):
        first, second = fixed[name], moving[name]
        if not first.any() or not second.any():
            figures[name] = (math.nan, math.nan)
            continue
        carried, seen = _carried(second, moving_grid, fixed_grid, transform)
        here = first & seen
        total = int(here.sum()) + int(carried.sum())
        dice = 2.0 * int((here & carried).sum()) / total if total else 0.0
        ends = transform.apply(_centroid(first, fixed_grid)) - _centroid(second, moving_grid)
        figures[name] = (dice, float(np.linalg.norm(ends)))
    return figures


def compare_masks(
    registration: Registration,
    fixed: tuple[Masks, Grid],
    moving: tuple[Masks, Grid],
    check: CheckSettings,
) -> Registration:
    """Add what masks on both series say of an alignment.

    Parameters
    ----------
    registration : Registration
        The alignment.
    fixed, moving : tuple of Mapping and Grid
        Masks by name, on the grid of each series.
    check : CheckSettings
        The profile's limits.

    Returns
    -------
    Registration
        With ``mask_dice_<name>`` and ``mask_centroids_<name>_mm`` among its figures, and a doubt
        for every mask of 10 mL or more that hardly covers the other one, and for every mask of any
        size whose centroid lies more than 5 mm (and more than a voxel) from the other one's.

    Notes
    -----
    A structure that one field of view cuts has another centroid there though nothing is wrong: so
    the centroids of what both fields of view show must lie apart too.
    """
    limit_mm = max(_APART_MM, *fixed[1].spacing_mm, *moving[1].spacing_mm)
    found = mask_figures(fixed[0], fixed[1], moving[0], moving[1], registration.transform)
    figures: dict[str, float] = {}
    doubts: list[str] = []
    for name, (dice, apart_mm) in found.items():
        if not math.isfinite(apart_mm):
            continue
        figures[f"mask_dice_{name}"] = dice
        figures[f"mask_centroids_{name}_mm"] = apart_mm
        volume = float(fixed[0][name].sum()) * fixed[1].voxel_volume_ml
        if volume >= _LARGE_ML and not dice >= check.doubtful_mask_dice:
            doubts.append(
                f"the masks {name!r} of both series hardly cover each other (Dice {dice:.2f}, "
                f"below {check.doubtful_mask_dice:g}; centroids {apart_mm:.1f} mm apart)"
            )
        elif (
            apart_mm > limit_mm
            and _shown_apart_mm(
                fixed[0][name], fixed[1], moving[0][name], moving[1], registration.transform
            )
            > limit_mm
        ):
            doubts.append(
                f"the centroids of the masks {name!r} of both series lie {apart_mm:.1f} mm apart "
                f"(at most {limit_mm:g} mm; Dice {dice:.2f})"
            )
    return _with_doubts(registration, figures, doubts)


def _with_doubts(
    registration: Registration, figures: Mapping[str, float], doubts: Sequence[str]
) -> Registration:
    """Add figures and doubts to a registration; a refused one gets the figures only."""
    kept = tuple(doubts) if registration.accepted else ()
    return replace(
        registration,
        qc={**registration.qc, **figures},
        doubts=(*registration.doubts, *kept),
    )


def _shown_apart_mm(
    first: npt.NDArray[np.bool_],
    fixed: Grid,
    second: npt.NDArray[np.bool_],
    moving: Grid,
    transform: Transform,
) -> float:
    """Distance of the centroids of what both fields of view show; infinite for nothing."""
    carried, seen = _carried(second, moving, fixed, transform)
    here = first & seen
    if not here.any() or not carried.any():
        return math.inf
    return float(np.linalg.norm(_centroid(here, fixed) - _centroid(carried, fixed)))


def _carried(
    mask: npt.NDArray[np.bool_], grid: Grid, target: Grid, transform: Transform
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Bring a mask to another grid, slice by slice; also which voxels it could reach."""
    carried = np.zeros(target.shape, dtype=np.bool_)
    seen = np.zeros(target.shape, dtype=np.bool_)
    rows = np.moveaxis(np.indices(target.shape[1:], dtype=np.float64), 0, -1)
    for k in range(target.shape[0]):
        index = np.concatenate([np.full((*rows.shape[:2], 1), float(k)), rows], axis=-1)
        there = grid.lps_mm_to_index(transform.apply(target.index_to_lps_mm(index)))
        nearest = np.rint(there).astype(np.intp)
        inside = ((nearest >= 0) & (nearest < np.array(grid.shape))).all(axis=-1)
        seen[k] = inside
        found = nearest[inside]
        carried[k][inside] = mask[found[:, 0], found[:, 1], found[:, 2]]
    return carried, seen


def _centroid(mask: npt.NDArray[np.bool_], grid: Grid) -> FloatArray:
    return grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))
