"""Edits of regions and schemes as sparse records that can be taken back and done again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eprimg.model.lesions import GROWN_FROM_CLICKS, LesionSet, Region, RegionRole
from eprimg.model.tiers import TierScheme
from napari_eprimg.reading.drawn_edits import DrawnChange, GrowthChange, grown_after

__all__ = [
    "Edit",
    "RecordChange",
    "SchemeChoice",
    "SchemesChange",
    "UndoStack",
    "VoxelChange",
    "apply_edit",
    "identity_of",
    "touched_ids",
    "voxel_change",
]

_MOST_BYTES = 256 * 2**20
"""Older edits are forgotten when the stack holds more than this."""


@dataclass(frozen=True, eq=False, slots=True)
class VoxelChange:
    """Labels that changed.

    Parameters
    ----------
    places : ndarray of int64, shape (n,)
        Flat indices into the label volume of the reference grid.
    before, after : ndarray of int32, shape (n,)
        Labels there.
    """

    places: npt.NDArray[np.int64]
    before: npt.NDArray[np.int32]
    after: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A region whose record changed.

    Parameters
    ----------
    region_id : int
        Which one.
    before, after : Region or None
        Records without numbers (`identity_of`); None when the region was not there.
    with_notes : bool
        The outline was made anew, so the notes of the record replace those of the region.
    """

    region_id: int
    before: Region | None
    after: Region | None
    with_notes: bool = False


@dataclass(frozen=True, slots=True)
class SchemeChoice:
    """Which tier schemes are applied.

    Parameters
    ----------
    names : tuple of str
        ``stratify.schemes`` of the settings.
    edited : tuple of TierScheme or None
        All schemes, when one has cut-offs that the reader changed; None: those of ``names`` as
        they are.
    """

    names: tuple[str, ...]
    edited: tuple[TierScheme, ...] | None = None


@dataclass(frozen=True, slots=True)
class SchemesChange:
    """Tier schemes that were chosen or edited.

    Parameters
    ----------
    before, after : SchemeChoice
        What was applied, and what is.
    """

    before: SchemeChoice
    after: SchemeChoice


@dataclass(frozen=True, slots=True)
class Edit:
    """One step of the undo stack.

    Parameters
    ----------
    words : str
        What was done, e.g. ``paint lesion-3``.
    voxels : VoxelChange or None
        Labels that changed.
    records : tuple of RecordChange
        Regions that came, went or changed their record.
    schemes : SchemesChange or None
        Schemes that changed.
    growth : tuple of GrowthChange
        Regions that were grown from clicks, and how.
    drawn : DrawnChange or None
        Outline on another grid that changed.
    """

    words: str
    voxels: VoxelChange | None = None
    records: tuple[RecordChange, ...] = ()
    schemes: SchemesChange | None = None
    growth: tuple[GrowthChange, ...] = ()
    drawn: DrawnChange | None = None

    def reversed(self) -> Edit:
        """Return the edit that takes this one back.

        Returns
        -------
        Edit
            With before and after exchanged.
        """
        voxels, schemes = self.voxels, self.schemes
        return Edit(
            self.words,
            VoxelChange(voxels.places, voxels.after, voxels.before) if voxels else None,
            tuple(RecordChange(r.region_id, r.after, r.before, r.with_notes) for r in self.records),
            SchemesChange(schemes.after, schemes.before) if schemes else None,
            tuple(g.reversed() for g in self.growth),
            self.drawn.reversed() if self.drawn else None,
        )

    @property
    def on_regions(self) -> bool:
        """True when it changes outlines or records of regions."""
        return self.voxels is not None or bool(self.records)

    @property
    def nbytes(self) -> int:
        """Memory of the voxel records."""
        drawn = self.drawn.nbytes if self.drawn is not None else 0
        if self.voxels is None:
            return drawn
        voxels = (self.voxels.places, self.voxels.before, self.voxels.after)
        return drawn + sum(a.nbytes for a in voxels)


class UndoStack:
    """Edits that were done and edits that were taken back."""

    def __init__(self) -> None:
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._forgot_regions = False

    def push(self, edit: Edit) -> None:
        """Keep a new edit; what had been taken back is lost.

        Parameters
        ----------
        edit : Edit
            Already applied.
        """
        self._undone.clear()
        self._done.append(edit)
        while len(self._done) > 1 and sum(e.nbytes for e in self._done) > _MOST_BYTES:
            self._forgot_regions |= self._done.pop(0).on_regions

    def clear(self) -> None:
        """Forget everything, e.g. when other labels took the place of the edited ones."""
        self._done.clear()
        self._undone.clear()
        self._forgot_regions = False

    @property
    def holds_regions(self) -> bool:
        """True when an edit of regions was done and not taken back."""
        return self._forgot_regions or any(e.on_regions for e in self._done)

    def take_back(self) -> Edit | None:
        """Move the last edit to the undone ones.

        Returns
        -------
        Edit or None
            What has to be applied; None when there is nothing to undo.
        """
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1].reversed()

    def do_again(self) -> Edit | None:
        """Move the last undone edit back.

        Returns
        -------
        Edit or None
            What has to be applied; None when there is nothing to redo.
        """
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]

    @property
    def undo_words(self) -> str:
        """What undo would take back; empty when there is nothing."""
        return self._done[-1].words if self._done else ""

    @property
    def redo_words(self) -> str:
        """What redo would do again; empty when there is nothing."""
        return self._undone[-1].words if self._undone else ""


def identity_of(region: Region) -> Region:
    """Return the record of a region without anything that measuring fills in.

    Parameters
    ----------
    region : Region
        With or without numbers.

    Returns
    -------
    Region
        Its notes are kept only when it is excluded: those are the reader's reason.
    """
    notes = region.notes if region.role == RegionRole.EXCLUDE else ()
    return replace(region, measurements=(), tiers=(), objections=(), notes=notes)


def voxel_change(
    labels: npt.NDArray[np.int32],
    places: npt.NDArray[np.int64],
    after: npt.NDArray[np.int32] | int,
) -> VoxelChange | None:
    """Record a change of labels, leaving out the places that keep their label.

    Parameters
    ----------
    labels : ndarray of int32, shape (k, j, i)
        Labels before the change.
    places : ndarray of int64, shape (n,)
        Flat indices.
    after : ndarray of int32, shape (n,), or int
        New labels.

    Returns
    -------
    VoxelChange or None
        None when nothing changes.
    """
    before = labels.ravel()[places].astype(np.int32)
    new = np.broadcast_to(np.asarray(after, dtype=np.int32), before.shape)
    differs = before != new
    if not differs.any():
        return None
    return VoxelChange(places[differs], before[differs], new[differs].copy())


def touched_ids(edit: Edit) -> frozenset[int]:
    """Name the regions whose outline or record an edit changes.

    Parameters
    ----------
    edit : Edit
        Any edit.

    Returns
    -------
    frozenset of int
        Region ids.
    """
    ids = {r.region_id for r in edit.records}
    if edit.voxels is not None:
        ids |= set(np.unique(edit.voxels.before).tolist())
        ids |= set(np.unique(edit.voxels.after).tolist())
    return frozenset(ids - {0})


def apply_edit(lesions: LesionSet, edit: Edit) -> LesionSet:
    """Return the regions after an edit; numbers of untouched regions are kept.

    Parameters
    ----------
    lesions : LesionSet
        Regions before.
    edit : Edit
        What changes.

    Returns
    -------
    LesionSet
        A new set; the old one is as it was.
    """
    labels = lesions.labels
    if edit.voxels is not None:
        changed = np.array(labels, dtype=np.int32)
        changed.ravel()[edit.voxels.places] = edit.voxels.after
        labels = changed
    settings = lesions.settings
    if edit.growth:
        grown = settings.get(GROWN_FROM_CLICKS)
        known = grown if isinstance(grown, Mapping) else {}
        settings = {**settings, GROWN_FROM_CLICKS: grown_after(known, edit.growth)}
        if not settings[GROWN_FROM_CLICKS]:
            settings = {k: v for k, v in settings.items() if k != GROWN_FROM_CLICKS}
    records = _records(lesions.regions, edit.records)
    return replace(lesions, labels=labels, regions=records, settings=settings)


def _records(regions: tuple[Region, ...], changes: Iterable[RecordChange]) -> tuple[Region, ...]:
    found = {r.id: r for r in regions}
    for change in changes:
        if change.after is None:
            found.pop(change.region_id, None)
            continue
        current = found.get(change.region_id)
        after = change.after
        if current is not None and after.role == current.role != RegionRole.EXCLUDE:
            # The numbers stay until they are measured again.
            after = replace(
                current,
                name=after.name,
                source=after.source,
                anatomy=after.anatomy,
                tracking_uid=after.tracking_uid,
                notes=after.notes if change.with_notes else current.notes,
            )
        found[change.region_id] = after
    return tuple(found[number] for number in sorted(found))
