"""Edits of region records: new, delete, exclude, include, confirm, rename."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from eprimg.errors import InputError
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from napari_eprimg.reading.click_edits import ClickEdits
from napari_eprimg.reading.edits import RecordChange, identity_of, voxel_change

__all__ = ["RecordEdits", "reason_of"]

_REASON = "excluded by the reader"
_WAS_REFERENCE = " (a reference region)"


def reason_of(region: Region) -> str:
    """Say why a region was excluded.

    Parameters
    ----------
    region : Region
        Any region.

    Returns
    -------
    str
        The reader's words; empty when no reader excluded it.
    """
    note = next((n for n in region.notes if n.startswith(_REASON)), "")
    return note.partition(": ")[2]


class RecordEdits(ClickEdits):
    """A reading whose regions can be made, deleted, excluded, confirmed and renamed."""

    def new_lesion(self) -> int:
        """Make a lesion without voxels, ready to be painted.

        Returns
        -------
        int
            Its id.
        """
        lesions = self._lesions()
        number = self._highest_id + 1
        region = self._new(lesions, number)
        self._do(f"new {region.name}", None, [RecordChange(number, None, region)])
        return number

    def delete(self, ids: Iterable[int]) -> None:
        """Delete regions with their outlines; their ids are not given again.

        Parameters
        ----------
        ids : iterable of int
            Regions.

        Raises
        ------
        InputError
            ``E_SEG_LABELS`` for an id that is not there.
        """
        lesions = self._lesions()
        regions = [self._region(lesions, i) for i in dict.fromkeys(ids)]
        if not regions:
            return
        labels = np.asarray(lesions.labels, dtype=np.int32)
        gone = [r.id for r in regions]
        places = np.flatnonzero(np.isin(labels, gone)).astype(np.int64)
        # What a lesion showed of another one that it overlaps goes back to that one.
        after = lesions.labels_without(gone).ravel()[places].astype(np.int32)
        records = [RecordChange(r.id, identity_of(r), None) for r in regions]
        names = ", ".join(r.name for r in regions)
        self._do(f"delete {names}", voxel_change(labels, places, after), records)

    def exclude(self, region_id: int, reason: str) -> None:
        """Exclude a region: it gets no number and no tier, and its voxels count for nothing else.

        Parameters
        ----------
        region_id : int
            The region.
        reason : str
            Why, e.g. ``physiologic uptake``; kept in its notes.

        Raises
        ------
        InputError
            ``E_ARGUMENT`` without a reason, ``E_SEG_LABELS`` for an id that is not there.
        """
        region = self._region(self._lesions(), region_id)
        if not reason.strip():
            raise InputError(
                "an exclusion needs a reason", code="E_ARGUMENT", action="say why in a few words"
            )
        was = _WAS_REFERENCE if region.role == RegionRole.REFERENCE else ""
        if region.role == RegionRole.EXCLUDE and region.notes[:1]:
            was = _WAS_REFERENCE if _WAS_REFERENCE in region.notes[0] else ""
        note = f"{_REASON}{was}: {reason.strip()}"
        after = replace(identity_of(region), role=RegionRole.EXCLUDE, notes=(note,))
        self._change(f"exclude {region.name}", [(region, after)])

    def include(self, region_id: int) -> None:
        """Take an exclusion back.

        Parameters
        ----------
        region_id : int
            The region; one that is not excluded stays as it is.

        Raises
        ------
        InputError
            ``E_SEG_LABELS`` for an id that is not there.
        """
        region = self._region(self._lesions(), region_id)
        if region.role != RegionRole.EXCLUDE:
            return
        reference = bool(region.anatomy) or any(_WAS_REFERENCE in n for n in region.notes)
        role = RegionRole.REFERENCE if reference else RegionRole.LESION
        after = replace(identity_of(region), role=role, notes=())
        self._change(f"include {region.name}", [(region, after)])

    def confirm(self, ids: Iterable[int]) -> None:
        """Confirm candidates as lesions, so that they get tiers.

        Parameters
        ----------
        ids : iterable of int
            Regions; those that are no candidates stay as they are.

        Raises
        ------
        InputError
            ``E_SEG_LABELS`` for an id that is not there.
        """
        lesions = self._lesions()
        regions = [self._region(lesions, i) for i in dict.fromkeys(ids)]
        pairs = [
            (r, replace(identity_of(r), source=RegionSource.CONFIRMED))
            for r in regions
            if r.source == RegionSource.CANDIDATE
        ]
        if pairs:
            self._change(f"confirm {', '.join(r.name for r, _ in pairs)}", pairs)

    def rename(self, region_id: int, name: str) -> None:
        """Give a region another name.

        Parameters
        ----------
        region_id : int
            The region.
        name : str
            Not empty, and not the name of another region.

        Raises
        ------
        InputError
            ``E_SEG_LABELS``.
        """
        lesions = self._lesions()
        region, name = self._region(lesions, region_id), name.strip()
        if not name or any(r.name == name for r in lesions.regions if r.id != region_id):
            raise InputError(
                "a region needs a name of its own",
                code="E_SEG_LABELS",
                value=name,
                action="choose another name",
            )
        if name != region.name:
            after = replace(identity_of(region), name=name)
            self._change(f"rename {region.name}", [(region, after)])

    def _change(self, words: str, pairs: Sequence[tuple[Region, Region]]) -> None:
        self._do(words, None, [RecordChange(b.id, identity_of(b), a) for b, a in pairs])

    @staticmethod
    def _region(lesions: LesionSet, number: int) -> Region:
        found = next((r for r in lesions.regions if r.id == number), None)
        if found is None:
            raise InputError(
                f"there is no region {number}",
                code="E_SEG_LABELS",
                value=number,
                action="choose a region of the table",
            )
        return found
