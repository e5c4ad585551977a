"""Several masks of one study: copies of one drawing are told from different drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError
from eprimg.model.case import Finding, Severity
from eprimg.model.distinct_names import distinct_names
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet

__all__ = ["distinct_region_sets", "require_voxels_on"]

_SAME_PLACE_MM = 1.0
_SAME_VOLUME = 0.02
"""In one frame of reference a copy has the same centroids and volumes."""

_LIKE_VOLUME = 0.2
_LIKE_VOLUME_ML = 0.5
"""Drawn again on another grid, a region keeps its volume within this share, or this much."""


def distinct_region_sets(
    sets: Sequence[LesionSet], reference_frame: str
) -> tuple[list[LesionSet], list[Finding]]:
    """Keep one of several copies of the same regions; keep different regions, under new names.

    Parameters
    ----------
    sets : sequence of LesionSet
        As read, in order of preference within a frame of reference.
    reference_frame : str
        Frame of the reference series; sets that lie on it come first.

    Returns
    -------
    list of LesionSet
        Sets that differ. Where a name stands twice, the later one is called ``FILE:name``.
    list of Finding
        What was left out (``W_REGIONS_REPEATED``) or renamed (``W_REGIONS_RENAMED``).

    Notes
    -----
    Two sets are copies of one drawing when they name the same regions and, in the same frame of
    reference, the regions have the same places and volumes; in different frames (a drawing that was
    made again, or carried by another program) the volumes agree within 20 % or 0.5 mL.
    """
    kept: list[LesionSet] = []
    findings: list[Finding] = []
    first = [s for s in sets if s.grid.frame_of_reference == reference_frame]
    others = [s for s in sets if s.grid.frame_of_reference != reference_frame]
    for candidate in [*first, *others]:
        twin = next((k for k in kept if _is_copy(k, candidate)), None)
        if twin is not None:
            names = ", ".join(r.name for r in candidate.regions)
            findings.append(
                Finding(
                    "W_REGIONS_REPEATED",
                    Severity.WARNING,
                    candidate.origin,
                    f"The regions {names} of {candidate.origin} are the same as those of "
                    f"{twin.origin}, which were used; this copy was left out. To use it instead, "
                    "name it in study.toml under masks.",
                )
            )
            continue
        candidate, renamed = _renamed(candidate, {r.name for k in kept for r in k.regions})
        findings += renamed
        kept.append(candidate)
    return kept, findings


def require_voxels_on(sets: Sequence[LesionSet], grids: Mapping[str, Grid], where: str) -> None:
    """Refuse a mask of which no region reaches the series that it is said to lie on.

    Parameters
    ----------
    sets : sequence of LesionSet
        All regions of one mask.
    grids : Mapping of str to Grid
        Grids of the series by key; those in another frame of reference than a set are not asked.
    where : str
        Name of the mask.

    Raises
    ------
    InputError
        ``E_SEG_EMPTY``: no voxel of any region lies in the field of view of any series in the
        frame of the mask.  A frame that no series has is for others to refuse.

    Notes
    -----
    A voxel lies in a field of view when its centre does; the field of view ends at the outer faces
    of the outer voxels.
    """
    extents: list[str] = []
    fields: dict[str, Grid] = {}
    for each in sets:
        frame = each.grid.frame_of_reference
        same = {k: g for k, g in grids.items() if g.frame_of_reference == frame}
        if not same or any(_reaches(each, grid) for grid in same.values()):
            return
        ends = [
            np.flatnonzero(each.labels.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))
        ]
        extents.append(_extent(each.grid, ends))
        fields |= same
    if not extents:
        return
    told = [f"{k}: {_extent(g, [(0, n - 1) for n in g.shape])}" for k, g in fields.items()]
    raise InputError(
        f"no region of the mask has a voxel on {', '.join(fields)}: it lies outside of the field "
        "of view",
        code="E_SEG_EMPTY",
        where=where,
        value=f"mask: {', '.join(extents)}; {'; '.join(told)}",
        action="check masks.on, and the place that the mask's header names (RAS has the signs of x "
        "and y the other way round than LPS)",
    )


def _reaches(regions: LesionSet, grid: Grid) -> bool:
    """Tell whether any region has a voxel in a field of view; slice by slice, to bound memory."""
    for k, plane in enumerate(np.asarray(regions.labels)):
        here = np.argwhere(plane > 0)
        if not here.size:
            continue
        points = np.column_stack([np.full(len(here), k), here])
        index = grid.lps_mm_to_index(regions.grid.index_to_lps_mm(points))
        if ((index >= -0.5) & (index <= np.array(grid.shape) - 0.5)).all(axis=-1).any():
            return True
    return False


def _extent(grid: Grid, ends: Sequence[Any]) -> str:
    """Name the range of a box of voxels in LPS mm."""
    corners = np.array(np.meshgrid(*ends), dtype=np.float64).reshape(3, -1).T
    points = grid.index_to_lps_mm(corners)
    ranges = zip("xyz", points.min(axis=0), points.max(axis=0), strict=True)
    return " ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in ranges) + " mm LPS"


def _is_copy(one: LesionSet, other: LesionSet) -> bool:
    mine = {(r.name, str(r.role)): r.id for r in one.regions}
    theirs = {(r.name, str(r.role)): r.id for r in other.regions}
    if set(mine) != set(theirs):
        return False
    volumes, places = _summary(one)
    their_volumes, their_places = _summary(other)
    same_frame = one.grid.frame_of_reference == other.grid.frame_of_reference
    for key, label in mine.items():
        a, b = volumes.get(label, 0.0), their_volumes.get(theirs[key], 0.0)
        if same_frame:
            if abs(a - b) > _SAME_VOLUME * max(a, b):
                return False
            distance = np.linalg.norm(places[label] - their_places[theirs[key]]) if a and b else 0.0
            if distance > _SAME_PLACE_MM:
                return False
        elif abs(a - b) > max(_LIKE_VOLUME * max(a, b), _LIKE_VOLUME_ML):
            return False
    return True


def _summary(
    regions: LesionSet,
) -> tuple[dict[int, float], dict[int, npt.NDArray[np.float64]]]:
    """Volume (mL) and centroid (LPS mm) of every label."""
    index = np.argwhere(regions.labels > 0)
    labels = regions.labels[tuple(index.T)]
    volumes, places = {}, {}
    for label in np.unique(labels):
        here = index[labels == label]
        volumes[int(label)] = len(here) * regions.grid.voxel_volume_ml
        places[int(label)] = regions.grid.index_to_lps_mm(here.mean(axis=0))
    return volumes, places


def _renamed(regions: LesionSet, taken: set[str]) -> tuple[LesionSet, list[Finding]]:
    clash = [r.name for r in regions.regions if r.name in taken]
    if not clash:
        return regions, []
    stem = PurePath(regions.origin).name.split(".")[0] or "mask"
    changed = distinct_names(
        [replace(r, name=f"{stem}:{r.name}") if r.name in taken else r for r in regions.regions],
        taken,
    )
    text = (
        f"The names {', '.join(clash)} of {regions.origin} are taken by another mask with "
        f"different voxels; they are called {stem}:... here. Both are measured."
    )
    finding = Finding("W_REGIONS_RENAMED", Severity.WARNING, regions.origin, text)
    return regions.with_regions(changed), [finding]
