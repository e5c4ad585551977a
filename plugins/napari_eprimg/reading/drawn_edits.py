"""What an edit changes besides labels and records: outlines on other grids, and how they grew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.native_labels import OUTLINES

__all__ = ["DrawnChange", "GrowthChange", "apply_drawn", "drawn_change", "grown_after"]


@dataclass(frozen=True, slots=True)
class GrowthChange:
    """How a region was grown.

    Parameters
    ----------
    region_id : int
        Which one.
    before, after : Mapping or None
        Records of `eprimg.stages.grow_click`; None when it was not grown from clicks.
    """

    region_id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def reversed(self) -> GrowthChange:
        """Return the change that takes this one back.

        Returns
        -------
        GrowthChange
            With before and after exchanged.
        """
        return GrowthChange(self.region_id, self.after, self.before)


@dataclass(frozen=True, eq=False, slots=True)
class DrawnChange:
    """An outline on the grid of a series other than the reference.

    Parameters
    ----------
    key : str
        The series.
    grid : Grid
        Its grid.
    places : ndarray of int64, shape (n,)
        Flat indices into that grid.
    before, after : ndarray of int32, shape (n,)
        Labels there.
    region : Region
        The region.
    outline_before, outline_after : str
        Outline on the reference grid that it belongs to (`eprimg.stages.carry.fingerprints`);
        empty when the region has no outline on this grid.
    """

    key: str
    grid: Grid
    places: npt.NDArray[np.int64]
    before: npt.NDArray[np.int32]
    after: npt.NDArray[np.int32]
    region: Region
    outline_before: str
    outline_after: str

    @property
    def nbytes(self) -> int:
        """Memory of the voxel record."""
        return sum(a.nbytes for a in (self.places, self.before, self.after))

    def reversed(self) -> DrawnChange:
        """Return the change that takes this one back.

        Returns
        -------
        DrawnChange
            With before and after exchanged.
        """
        return replace(
            self,
            before=self.after,
            after=self.before,
            outline_before=self.outline_after,
            outline_after=self.outline_before,
        )


def drawn_change(
    drawn: Mapping[str, LesionSet],
    lesions: LesionSet,
    key: str,
    grid: Grid,
    mask: npt.NDArray[np.bool_],
    region: Region,
    outline: str,
) -> DrawnChange:
    """Say what changes when a region gets an outline on the grid of a series.

    Parameters
    ----------
    drawn : Mapping of str to LesionSet
        Outlines so far (`Case.drawn_lesions`).
    lesions : LesionSet
        Regions that there are; other lesions keep their voxels.
    key, grid
        The series.
    mask : ndarray of bool
        The outline.
    region : Region
        Whose it is; an earlier outline of it is taken away.
    outline : str
        Its outline on the reference grid.

    Returns
    -------
    DrawnChange
        For `apply_drawn`.
    """
    known = drawn.get(key)
    if known is not None and known.grid.matches(grid):
        labels = np.asarray(known.labels, dtype=np.int32)
        belongs = _outlines(known)
    else:
        labels, belongs = np.zeros(grid.shape, dtype=np.int32), {}
    keep = [r.id for r in lesions.regions if r.role != RegionRole.REFERENCE and r.id != region.id]
    free = mask & ~np.isin(labels, keep)
    places = np.flatnonzero(free | (labels == region.id)).astype(np.int64)
    return DrawnChange(
        key,
        grid,
        places,
        labels.ravel()[places].copy(),
        np.where(free.ravel()[places], region.id, 0).astype(np.int32),
        region,
        belongs.get(str(region.id), ""),
        outline,
    )


def apply_drawn(drawn: Mapping[str, LesionSet], change: DrawnChange) -> dict[str, LesionSet]:
    """Return the outlines on other grids after a change.

    Parameters
    ----------
    drawn : Mapping of str to LesionSet
        Outlines before.
    change : DrawnChange
        What changes.

    Returns
    -------
    dict of str to LesionSet
        New sets; the old ones are as they were.
    """
    known = drawn.get(change.key)
    if known is None or not known.grid.matches(change.grid):
        empty = np.zeros(change.grid.shape, dtype=np.int32)
        known = LesionSet(empty, change.grid, (), "clicks of the reader")
    labels = np.array(known.labels, dtype=np.int32)
    labels.ravel()[change.places] = change.after
    number = change.region.id
    regions = [r for r in known.regions if r.id != number]
    belongs = {k: v for k, v in _outlines(known).items() if k != str(number)}
    if change.outline_after:
        regions.append(change.region)
        belongs[str(number)] = change.outline_after
    others = {k: v for k, v in drawn.items() if k != change.key}
    if not regions:
        return others
    made = replace(
        known,
        labels=labels,
        regions=tuple(sorted(regions, key=lambda r: r.id)),
        settings={**known.settings, OUTLINES: belongs},
    )
    return {**others, change.key: made}


def grown_after(
    grown: Mapping[str, Any], changes: tuple[GrowthChange, ...]
) -> dict[str, Mapping[str, Any]]:
    """Return the records of growing after some changes.

    Parameters
    ----------
    grown : Mapping
        Records by region id as text.
    changes : tuple of GrowthChange
        What changes.

    Returns
    -------
    dict
        New records.
    """
    found = dict(grown)
    for change in changes:
        found.pop(str(change.region_id), None)
        if change.after is not None:
            found[str(change.region_id)] = change.after
    return found


def _outlines(drawn: LesionSet) -> dict[str, str]:
    found = drawn.settings.get(OUTLINES)
    return dict(found) if isinstance(found, Mapping) else {}
