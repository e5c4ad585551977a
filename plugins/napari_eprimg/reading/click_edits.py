"""Regions from clicks: lesions that grow, also anew with a background click, and spheres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eprimg.errors import InputError
from eprimg.io.region_names import region_from_name
from eprimg.model.lesions import (
    GROWN_FROM_CLICKS,
    LesionSet,
    Region,
    RegionRole,
    RegionSource,
)
from eprimg.model.study import Role, Series
from eprimg.stages.carry import fingerprints
from eprimg.stages.grow_click import (
    ClickRequest,
    GrownClick,
    click_methods,
    clickable_series,
    grow_click,
)
from eprimg.stages.place_sphere import SPHERE, SphereRequest, place_sphere
from napari_eprimg.reading.drawn_edits import GrowthChange, drawn_change
from napari_eprimg.reading.edits import RecordChange, VoxelChange, identity_of, voxel_change
from napari_eprimg.reading.region_edits import ANATOMIES, OutlineEdits
from napari_eprimg.reading.region_shapes import lps_of

__all__ = ["ClickEdits"]

_OUTLINE = "outline"
"""Key of a record of growing: the outline that grew, so that a later edit by hand is noticed."""


class ClickEdits(OutlineEdits):
    """A reading in which a click grows a lesion.

    The lesion grows on the grid of the series that was clicked, is measured there as it grew, and
    is carried to the reference grid for everything else.  One edit holds all of it.
    """

    def clickable_series(self) -> tuple[Series, ...]:
        """List the series that a click grows a lesion on.

        Returns
        -------
        tuple of Series
            PET first; none before there are maps.
        """
        return clickable_series(self._case) if self._case is not None else ()

    def click_methods(self, key: str) -> tuple[str, ...]:
        """List the ways in which a lesion grows on a series, that of the settings first.

        Parameters
        ----------
        key : str
            Key of the series.

        Returns
        -------
        tuple of str
            None for a series that cannot be clicked.
        """
        series = next((s for s in self.clickable_series() if s.key == key), None)
        if series is None:
            return ()
        config = self._config
        first = config.segment.method if series.role == Role.PET else config.clicks.method
        methods = click_methods(series)
        return (first, *(m for m in methods if m != first))

    def grown(self, region_id: int) -> Mapping[str, Any] | None:
        """Say how a region grew.

        Parameters
        ----------
        region_id : int
            The region.

        Returns
        -------
        Mapping or None
            Series, method, points in LPS mm, settings; None when it did not grow from a click.
        """
        lesions = self._case.lesions if self._case is not None else None
        known = lesions.settings.get(GROWN_FROM_CLICKS) if lesions is not None else None
        found = known.get(str(region_id)) if isinstance(known, Mapping) else None
        return found if isinstance(found, Mapping) else None

    def grow_lesion(
        self,
        point_mm: Sequence[float],
        on: str,
        *,
        method: str = "",
        diameter_mm: float = 0.0,
        background_mm: Sequence[Sequence[float]] = (),
    ) -> int:
        """Make a lesion from a click.

        Parameters
        ----------
        point_mm : sequence of 3 floats
            The click: S, P, L in mm.
        on : str
            Key of the series that it grows on.
        method : str
            See `click_methods`; that of the settings when empty.
        diameter_mm : float
            Rough largest diameter, 0 for not known; MR only.
        background_mm : sequence of points
            Clicks that are not in the lesion, S, P, L in mm; MR only.

        Returns
        -------
        int
            Its id.  With a doubt about the outline it is a candidate, which gets a tier when it is
            confirmed; without one it counts as confirmed by the click.

        Raises
        ------
        EprimgError
            ``E_CLICK_REFUSED`` when nothing can grow there, in words; nothing is changed then.
        """
        lesions = self._lesions()
        assert self._case is not None
        points = tuple(_lps(p) for p in background_mm)
        request = ClickRequest(on, _lps(point_mm), method, points, diameter_mm)
        made = grow_click(self._case, request, self._config)
        number = self._highest_id + 1
        self._take_grown(lesions, self._new(lesions, number), made, "grow")
        return number

    def add_background(
        self,
        region_id: int,
        point_mm: Sequence[float],
        *,
        method: str = "",
        diameter_mm: float = 0.0,
    ) -> None:
        """Grow a lesion anew with one more click that is not in it.

        Parameters
        ----------
        region_id : int
            A lesion that grew from a click and was not edited by hand since.
        point_mm : sequence of 3 floats
            The click: S, P, L in mm.
        method : str
            As in `grow_lesion`; the one that it grew by when empty.
        diameter_mm : float
            As in `grow_lesion`.

        Raises
        ------
        EprimgError
            ``E_CLICK_REFUSED``; nothing is changed then.
        """
        lesions = self._lesions()
        assert self._case is not None
        region = next((r for r in lesions.regions if r.id == region_id), None)
        record = self.grown(region_id)
        if region is None or record is None or record["method"] == SPHERE:
            raise _refused(
                "there is no lesion that grew from a click and could grow anew",
                "click on the lesion first, then beside it",
            )
        if fingerprints(lesions, ids={region_id})[str(region_id)] != record[_OUTLINE]:
            raise _refused(
                f"{region.name} was edited by hand since it grew, and would lose that",
                "correct it with brush and eraser, or undo the edits first",
            )
        request = ClickRequest(
            str(record["on"]),
            _three(record["seed_lps_mm"]),
            method or str(record["method"]),
            (*(_three(p) for p in record["background_lps_mm"]), _lps(point_mm)),
            diameter_mm,
        )
        made = grow_click(self._case, request, self._config, instead_of=region_id)
        self._take_grown(lesions, region, made, "grow anew")

    def place_sphere(
        self, anatomy: str, point_mm: Sequence[float], on: str, diameter_mm: float
    ) -> int:
        """Place a sphere as reference region near a click, away from edges and other regions.

        Parameters
        ----------
        anatomy : str
            One of `ANATOMIES`; a region of the same organ is replaced.
        point_mm : sequence of 3 floats
            The click: S, P, L in mm.
        on : str
            Key of the series whose values decide where it fits.
        diameter_mm : float
            Diameter of the sphere.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        EprimgError
            ``E_CLICK_REFUSED`` when no sphere of that size fits; ``E_ARGUMENT`` for an unknown
            organ.  Nothing is changed then.
        """
        if anatomy not in ANATOMIES:
            raise InputError(
                f"a reference region is one of {', '.join(ANATOMIES)}",
                code="E_ARGUMENT",
                value=anatomy,
            )
        lesions = self._lesions()
        assert self._case is not None
        known = lesions.reference(anatomy)
        number = known.id if known is not None else self._highest_id + 1
        region = known
        if region is None:
            named = region_from_name(number, self._free_name(lesions, anatomy))
            region = replace(named, role=RegionRole.REFERENCE, anatomy=anatomy, notes=())
        request = SphereRequest(on, _lps(point_mm), diameter_mm)
        made = place_sphere(self._case, request, self._config, instead_of=number)
        self._take_grown(lesions, region, made, "replace" if known is not None else "place")
        return number

    def _take_grown(self, lesions: LesionSet, region: Region, made: GrownClick, verb: str) -> None:
        """Give a region what grew, on both grids, as one edit."""
        assert self._case is not None
        known = next((r for r in lesions.regions if r.id == region.id), None)
        source = RegionSource.CANDIDATE if made.doubt else RegionSource.CONFIRMED
        after = replace(identity_of(region), source=source, notes=made.notes)
        before = replace(identity_of(known), notes=known.notes) if known is not None else None
        labels = np.asarray(lesions.labels, dtype=np.int32)
        own = labels == region.id
        places = np.flatnonzero(made.on_reference | own).astype(np.int64)
        values = np.where(made.on_reference.ravel()[places], region.id, 0).astype(np.int32)
        voxels = voxel_change(labels, places, values)
        outline = _outline_after(lesions, voxels, after)
        drawn = None
        series = made.series
        if made.mask is not made.on_reference:
            drawn = drawn_change(
                self._case.drawn_lesions, lesions, series.key, series.grid, made.mask, after,
                outline,
            )  # fmt: skip
        record = {**made.record, _OUTLINE: outline}
        growth = GrowthChange(region.id, self.grown(region.id), record)
        self._do(
            f"{verb} {region.name} on {series.key} ({made.record['method']})",
            voxels,
            [RecordChange(region.id, before, after, with_notes=True)],
            growth=(growth,),
            drawn=drawn,
        )


def _outline_after(lesions: LesionSet, voxels: VoxelChange | None, region: Region) -> str:
    labels = np.array(lesions.labels, dtype=np.int32)
    if voxels is not None:
        labels.ravel()[voxels.places] = voxels.after
    then = LesionSet(labels, lesions.grid, (region,))
    return fingerprints(then)[str(region.id)]


def _lps(point_mm: Sequence[float]) -> tuple[float, float, float]:
    return _three(lps_of(point_mm))


def _three(point: Sequence[float] | Any) -> tuple[float, float, float]:
    x, y, z = (float(c) for c in point)
    return x, y, z


def _refused(message: str, action: str) -> InputError:
    return InputError(message, code="E_CLICK_REFUSED", where="click", action=action)
