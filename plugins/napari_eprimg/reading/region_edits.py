"""Edits of outlines, and the numbers that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg import pipeline
from eprimg.errors import GeometryError, InputError
from eprimg.io.region_names import region_from_name
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.stages.affected import affected_regions
from eprimg.stages.carry import reference_series
from napari_eprimg.reading.drawn_edits import DrawnChange, GrowthChange, apply_drawn
from napari_eprimg.reading.edits import (
    Edit,
    RecordChange,
    VoxelChange,
    apply_edit,
    identity_of,
    touched_ids,
    voxel_change,
)
from napari_eprimg.reading.reading_steps import Step
from napari_eprimg.reading.reading_tasks import StepTasks
from napari_eprimg.reading.region_shapes import lps_of, sphere_voxels, threshold_mask
from napari_eprimg.reading.shown_labels import Box, painted_voxels
from napari_eprimg.view.display import DisplayGrid

__all__ = ["ANATOMIES", "OutlineEdits"]

ANATOMIES = ("liver", "spleen", "blood", "muscle", "kidney", "marrow")
"""Organs that a reference region can stand for."""

_DRAWN = "drawn by the reader"
_GROWN_ON = ("suvbw", "pid_per_kg", "dr2star", "r2star_post", "r2star_pre")
"""Maps that a click grows a lesion on, the first one there is."""


class OutlineEdits(StepTasks):
    """A reading whose outlines can be edited.

    The truth is the label volume on the reference grid.  Every edit can be undone; numbers follow
    with `measure_dirty`.  Ids are never renumbered and never given twice.
    """

    # ------------------------------------------------------------------ outlines

    def write_labels(self, labels: npt.NDArray[Any], words: str) -> None:
        """Take a new label volume on the reference grid.

        Parameters
        ----------
        labels : ndarray of integer, shape (k, j, i)
            Whole volume; a new number becomes a new lesion.
        words : str
            What was done, for undo.

        Raises
        ------
        EprimgError
            For another shape, or the number of a region that was deleted.
        """
        lesions = self._lesions()
        if labels.shape != lesions.grid.shape:
            raise GeometryError(
                "the labels do not have the shape of the reference grid",
                code="E_GEOM_MATRIX",
                value=(labels.shape, lesions.grid.shape),
            )
        places = np.flatnonzero(labels != lesions.labels).astype(np.int64)
        self._paint(lesions, places, labels.ravel()[places].astype(np.int32), words)

    def write_shown_labels(
        self,
        shown: npt.NDArray[Any],
        grid: DisplayGrid,
        words: str,
        *,
        box: Box | None = None,
    ) -> None:
        """Take labels that were painted on the display grid.

        Only voxels that differ from what is shown are carried back; see `shown_labels`.

        Parameters
        ----------
        shown : ndarray of integer, shape (S, P, L)
            Whole displayed label volume.
        grid : DisplayGrid
            Its grid.
        words : str
            What was done, for undo.
        box : tuple of slice, optional
            Part outside which nothing was painted; saves time.

        Raises
        ------
        EprimgError
            For another shape, or the number of a region that was deleted.
        """
        lesions = self._lesions()
        labels = np.asarray(lesions.labels, dtype=np.int32)
        places, values = painted_voxels(labels, lesions.grid, shown, grid, box=box)
        self._paint(lesions, places, values, words)

    def _paint(
        self,
        lesions: LesionSet,
        places: npt.NDArray[np.int64],
        values: npt.NDArray[np.int32],
        words: str,
    ) -> None:
        voxels = voxel_change(np.asarray(lesions.labels, dtype=np.int32), places, values)
        if voxels is None:
            return
        known = {r.id for r in lesions.regions}
        new = sorted(set(np.unique(voxels.after).tolist()) - known - {0})
        gone = [n for n in new if n <= self._highest_id]
        if gone or any(n < 0 for n in new):
            raise InputError(
                f"there is no region {(gone or new)[0]} any more; numbers are not given twice",
                code="E_SEG_LABELS",
                value=gone or new,
                action="choose a region of the table, or make a new lesion",
            )
        records = [RecordChange(n, None, self._new(lesions, n)) for n in new]
        self._do(words, voxels, records)

    # ------------------------------------------------------------------ new regions from a click

    def threshold_lesion(
        self,
        point_mm: Sequence[float],
        *,
        percent: float,
        radius_mm: float,
        map_key: str | None = None,
    ) -> int:
        """Make a lesion from a click: a percentage of the local maximum, connected to it.

        Parameters
        ----------
        point_mm : sequence of 3 floats
            The click: S, P, L in mm.
        percent : float
            Percentage of the maximum within the sphere.
        radius_mm : float
            Radius of the sphere.
        map_key : str, optional
            Map on the reference grid; SUVbw when left out, or what there is without PET.

        Returns
        -------
        int
            Id of the new lesion.

        Raises
        ------
        InputError
            ``E_ARGUMENT`` when there is no map, no value near the click, or nothing left beside
            the other lesions.
        """
        lesions = self._lesions()
        assert self._case is not None
        maps = self._case.registered
        key = map_key or next((k for k in _GROWN_ON if k in maps), "")
        if key not in maps:
            raise InputError(
                "there is no map to grow a lesion on",
                code="E_ARGUMENT",
                value=key or None,
                action="run 'maps' first, or paint the lesion",
            )
        mask = threshold_mask(maps[key], lps_of(point_mm), percent=percent, radius_mm=radius_mm)
        number = self._highest_id + 1
        region = replace(self._new(lesions, number), source=RegionSource.CONFIRMED)
        words = f"{region.name} at {percent:g} % of the maximum"
        taken = (RegionRole.LESION, RegionRole.EXCLUDE)
        self._draw(words, lesions, np.flatnonzero(mask), region, taken)
        return number

    def place_reference(self, anatomy: str, point_mm: Sequence[float], diameter_mm: float) -> int:
        """Place a spherical reference region; one of the same organ is replaced.

        Parameters
        ----------
        anatomy : str
            One of `ANATOMIES`.
        point_mm : sequence of 3 floats
            Centre: S, P, L in mm.
        diameter_mm : float
            Diameter of the sphere.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        InputError
            ``E_ARGUMENT`` for an unknown organ, a diameter that is not positive, or a sphere
            without a free voxel.
        """
        if anatomy not in ANATOMIES or not diameter_mm > 0:
            raise InputError(
                f"a reference region is one of {', '.join(ANATOMIES)}, with a positive diameter",
                code="E_ARGUMENT",
                value=(anatomy, diameter_mm),
            )
        lesions = self._lesions()
        index = sphere_voxels(lesions.grid, lps_of(point_mm), diameter_mm / 2.0)
        flat = np.ravel_multi_index(tuple(index.T), lesions.grid.shape)
        before = lesions.reference(anatomy)
        number = before.id if before is not None else self._highest_id + 1
        named = region_from_name(number, self._free_name(lesions, anatomy))
        region = before or replace(named, role=RegionRole.REFERENCE, anatomy=anatomy, notes=())
        verb = "replace" if before is not None else "place"
        words = f"{verb} the {anatomy} reference"
        taken = (RegionRole.LESION, RegionRole.EXCLUDE)
        self._draw(words, lesions, np.asarray(flat), identity_of(region), taken, renew=True)
        return number

    def _draw(
        self,
        words: str,
        lesions: LesionSet,
        flat: npt.NDArray[np.int64],
        region: Region,
        keep: tuple[RegionRole, ...],
        *,
        renew: bool = False,
    ) -> None:
        """Give voxels to a region, except those of regions in the roles that keep theirs."""
        labels = np.asarray(lesions.labels, dtype=np.int32)
        owners = [r.id for r in lesions.regions if r.role in keep and r.id != region.id]
        free = flat[~np.isin(labels.ravel()[flat], owners)].astype(np.int64)
        if not free.size:
            raise InputError(
                f"no free voxel lies there for {region.name}",
                code="E_ARGUMENT",
                action="click inside the field of view, beside the other lesions",
            )
        old = np.flatnonzero(labels == region.id) if renew else np.empty(0, dtype=np.int64)
        places = np.union1d(free, old).astype(np.int64)
        values = np.where(np.isin(places, free), region.id, 0).astype(np.int32)
        known = next((r for r in lesions.regions if r.id == region.id), None)
        before = identity_of(known) if known is not None else None
        self._do(
            words,
            voxel_change(labels, places, values),
            [RecordChange(region.id, before, region)],
        )

    # ------------------------------------------------------------------ numbers

    def measure_dirty(self) -> frozenset[int]:
        """Measure edited regions again, and those whose numbers depend on them; then the tiers.

        Returns
        -------
        frozenset of int
            Regions whose numbers were renewed; empty when there was nothing to do, or when the
            step `lesions` must be run again as a whole.
        """
        case = self._case
        if not self._dirty or case is None or case.lesions is None or not self.done(Step.LESIONS):
            return frozenset()
        present = {r.id for r in case.lesions.regions}
        before = self._measured or case.lesions
        ids = affected_regions(before, case.lesions, self._config) | (self._dirty & present)
        tiers = self.done(Step.TIERS)
        self._case = pipeline.run(
            case.study,
            self._config,
            case=case,
            start="measure",
            stop="stratify" if tiers else "measure",
            ids=ids,
            schemes=self._schemes.edited,
        )
        self._dirty.clear()
        self._measured = self._case.lesions
        self.regions_changed.emit(ids)
        if tiers:
            self.tiers_changed.emit()
        self.steps_changed.emit()
        return ids

    # ------------------------------------------------------------------ parts

    def _lesions(self) -> LesionSet:
        """Regions as they are; an empty set when the stages found none."""
        if self._case is None or Step.LESIONS not in self._progressed.ran:
            raise InputError(
                "regions cannot be edited yet",
                code="E_STAGE",
                action="run the steps up to 'lesions' first",
            )
        if self._case.lesions is not None:
            return self._case.lesions
        grid = reference_series(self._case.study).grid
        return LesionSet(np.zeros(grid.shape, dtype=np.int32), grid, (), _DRAWN)

    def _new(self, lesions: LesionSet, number: int) -> Region:
        return Region(number, self._free_name(lesions, f"lesion-{number}"), RegionRole.LESION)

    @staticmethod
    def _free_name(lesions: LesionSet, name: str) -> str:
        used, free, count = {r.name for r in lesions.regions}, name, 2
        while free in used:
            free, count = f"{name}-{count}", count + 1
        return free

    def _do(
        self,
        words: str,
        voxels: VoxelChange | None,
        records: Sequence[RecordChange],
        *,
        growth: tuple[GrowthChange, ...] = (),
        drawn: DrawnChange | None = None,
    ) -> None:
        """Apply a new edit of regions and keep it for undo."""
        changes = [*records, *self._confirmed(voxels, {r.region_id for r in records})]
        edit = Edit(words, voxels, tuple(changes), growth=growth, drawn=drawn)
        self._highest_id = max([self._highest_id, *touched_ids(edit)])
        self._undo.push(edit)
        self._apply_regions(edit)

    def _confirmed(self, voxels: VoxelChange | None, told: set[int]) -> list[RecordChange]:
        """Confirm candidates that gained voxels, or of which some were erased."""
        if voxels is None:
            return []
        ids = set(np.unique(voxels.after).tolist())
        ids |= set(np.unique(voxels.before[voxels.after == 0]).tolist())
        return [
            RecordChange(
                r.id, identity_of(r), replace(identity_of(r), source=RegionSource.CONFIRMED)
            )
            for r in self._lesions().regions
            if r.id in ids - told and r.source == RegionSource.CANDIDATE
        ]

    def _apply_regions(self, edit: Edit) -> None:
        """Apply the region part of an edit and tell everybody."""
        assert self._case is not None
        ids = touched_ids(edit)
        drawn = self._case.drawn_lesions
        if edit.drawn is not None:
            drawn = apply_drawn(drawn, edit.drawn)
        lesions = apply_edit(self._lesions(), edit)
        self._case = replace(self._case, lesions=lesions, drawn_lesions=drawn)
        self._dirty |= ids
        self._touched()
        self._progressed.make_stale(Step.REPORT)
        self.select(self._selected)
        self.regions_changed.emit(ids)
        self.steps_changed.emit()
