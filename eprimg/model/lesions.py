"""Regions: lesions, reference organs and excluded parts, with their measurements."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.model.tiers import Objection, Tier
from eprimg.model.volume import read_only

__all__ = [
    "BELOW_RESOLUTION",
    "GROWN_FROM_CLICKS",
    "NO_OUTLINE",
    "PART_OUTLINED",
    "LesionSet",
    "MatchedLesions",
    "Measurement",
    "Profile",
    "Region",
    "RegionRole",
    "RegionSource",
    "SharedVoxels",
]

BELOW_RESOLUTION = "below the resolution of the PET"
"""How the note of a region begins whose volume is that of the blur: its volume is not stated."""

NO_OUTLINE = "not outlined:"
"""How the note of a candidate begins that has the voxels of the search and no outline."""

PART_OUTLINED = "outlined in part:"
"""How the note of a candidate begins whose outline leaves much of what was found outside."""

GROWN_FROM_CLICKS = "grown_from_clicks"
"""Setting of a label set: how each region grew that a reader clicked, by id as text."""


_FURTHER = re.compile(r"^(mr_post|pet|registered)_\d+(-mr_pre)?$")
"""Sources of further time points; a source that names two of them compares them."""


class RegionRole(StrEnum):
    """What a region stands for."""

    LESION = "lesion"
    REFERENCE = "reference"
    EXCLUDE = "exclude"


class RegionSource(StrEnum):
    """Where a region comes from."""

    MASK = "mask"
    CANDIDATE = "candidate"
    """Found by an engine and not reviewed: measured, never tiered."""
    CONFIRMED = "confirmed"
    """A candidate that a user accepted."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number about a region.

    Parameters
    ----------
    quantity : str
        Key of the quantity, e.g. ``dr2star``.
    statistic : str
        ``mean``, ``median``, ``max``, ``peak``, ``sd``, ``p90_mean``, ``volume``, ``ratio`` ...
    source : str
        Key of the series or map it was measured on, e.g. ``mr_post``.
    value : float
        In the unit of the quantity; NaN when it could not be measured.
    uncertainty : float
        Standard error, same unit; NaN when there is none.
    uncertainty_note : str
        What the uncertainty covers, or why there is none.
    n_voxels : int
        Number of valid voxels it rests on.
    grid : str
        Grid it was measured on, e.g. ``native mr_post``.
    note : str
        Why the value is NaN or should be read with care.
    """

    quantity: str
    statistic: str
    source: str
    value: float
    uncertainty: float
    uncertainty_note: str
    n_voxels: int
    grid: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """Mean of a quantity against the distance from a region's rim.

    Parameters
    ----------
    quantity, source, grid : str
        As in `Measurement`.
    from_mm, to_mm : tuple of float
        Edges of the bins, from the rim inwards.
    mean, standard_error : tuple of float
        Per bin, in the unit of the quantity; NaN where there are too few voxels.
    n_voxels : tuple of int
        Voxels per bin.
    note : str
        What to know about it.
    """

    quantity: str
    source: str
    grid: str
    from_mm: tuple[float, ...]
    to_mm: tuple[float, ...]
    mean: tuple[float, ...]
    standard_error: tuple[float, ...]
    n_voxels: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A lesion or a reference region.

    Parameters
    ----------
    id : int
        Label value in the label volume; never renumbered.
    name : str
        E.g. ``lesion-3`` or ``liver``.
    role : RegionRole
        Lesion, reference or exclude.
    source : RegionSource
        Mask, candidate or confirmed.
    anatomy : str
        Canonical organ of a reference region: ``liver``, ``spleen``, ``blood``, ``muscle``,
        ``kidney``, ``marrow``, or empty.
    tracking_uid : str
        Stable identifier across time.
    measurements : tuple of Measurement
        All numbers about it.
    tiers : tuple of Tier
        One per scheme.
    notes : tuple of str
        Remarks for the reader, e.g. ``touches the edge of the field of view``.
    objections : tuple of Objection
        Reasons against a tier that measuring found.
    profiles : tuple of Profile
        Quantities against the distance from the rim.
    """

    id: int
    name: str
    role: RegionRole
    source: RegionSource = RegionSource.MASK
    anatomy: str = ""
    tracking_uid: str = ""
    measurements: tuple[Measurement, ...] = ()
    tiers: tuple[Tier, ...] = ()
    notes: tuple[str, ...] = ()
    objections: tuple[Objection, ...] = ()
    profiles: tuple[Profile, ...] = ()

    def measurement(
        self, quantity: str, statistic: str, source: str | None = None
    ) -> Measurement | None:
        """Find one number.

        Parameters
        ----------
        quantity, statistic : str
            What is wanted.
        source : str, optional
            Series key.  When left out any but a further time point (``pet_2``): a number of
            another day never stands in for one that is missing.

        Returns
        -------
        Measurement or None
            The first match.
        """
        for m in self.measurements:
            if (
                m.quantity == quantity
                and m.statistic == statistic
                and (m.source == source or (source is None and not _FURTHER.search(m.source)))
            ):
                return m
        return None


@dataclass(frozen=True, slots=True)
class MatchedLesions:
    """Lesions of two series that belong together.

    Parameters
    ----------
    first_series, second_series : str
        Keys of the series that they were drawn on.
    first, second : tuple of int
        Region ids; one side is empty for a lesion that has no partner.
    kind : str
        ``same``, ``split``, ``merge``, ``mixed``, ``gone`` or ``new``.
    by : str
        ``overlap``, ``distance`` or empty.
    dice : float
        On the reference grid, before one lesion took voxels from the other; NaN without a partner.
    distance_mm : float
        Between the centres; NaN without a partner.
    """

    first_series: str
    second_series: str
    first: tuple[int, ...]
    second: tuple[int, ...]
    kind: str
    by: str
    dice: float
    distance_mm: float


@dataclass(frozen=True, eq=False, slots=True)
class SharedVoxels:
    """Voxels of a lesion that the label volume shows as another lesion.

    Parameters
    ----------
    id : int
        Region that they belong to as well.
    owner : int
        Region whose label the voxels carry.  Where an edit gave a voxel to anything else, it is
        shared no more.
    corner : tuple of int
        Index of the first voxel of ``voxels`` in the grid.
    voxels : ndarray of bool, shape (k, j, i)
        True where shared.
    """

    id: int
    owner: int
    corner: tuple[int, int, int]
    voxels: npt.NDArray[np.bool_]

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """The part of the grid."""
        k, j, i = (slice(c, c + n) for c, n in zip(self.corner, self.voxels.shape, strict=True))
        return k, j, i

    def now(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell which of the voxels are shared still.

        Parameters
        ----------
        labels : ndarray of integer, shape of the grid
            The label volume, as it may have been edited.

        Returns
        -------
        ndarray of bool, shape of ``voxels``
            True where the label is the owner's.
        """
        shown: npt.NDArray[np.bool_] = labels[self.place] == self.owner
        return self.voxels & shown


@dataclass(frozen=True, eq=False, slots=True)
class LesionSet:
    """Label volume with its regions.

    Parameters
    ----------
    labels : ndarray of integer, shape (k, j, i)
        0 is background; every other value is the id of one region.
    grid : Grid
        Where the labels lie.
    regions : tuple of Region
        In order of id.
    origin : str
        File or engine that made it.
    settings : Mapping
        Settings of the engine, if any.
    shared : tuple of SharedVoxels
        Where lesions overlap: what a lesion holds beside the voxels that carry its label.
    """

    labels: npt.NDArray[Any]
    grid: Grid
    regions: tuple[Region, ...]
    origin: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    shared: tuple[SharedVoxels, ...] = ()

    def __post_init__(self) -> None:
        """Check shape, ids and label values."""
        if self.labels.shape != self.grid.shape:
            raise GeometryError(
                "labels must have the shape of their grid",
                code="E_GEOM_MATRIX",
                value=(self.labels.shape, self.grid.shape),
            )
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise InputError(
                "labels are integers", code="E_SEG_LABELS", value=str(self.labels.dtype)
            )
        ids = [r.id for r in self.regions]
        if len(set(ids)) != len(ids) or any(i < 1 for i in ids):
            raise InputError("region ids are unique and positive", code="E_SEG_LABELS", value=ids)
        for each in self.shared:
            ends = [part.stop for part in each.place]
            if min(each.corner) < 0 or any(
                e > n for e, n in zip(ends, self.grid.shape, strict=True)
            ):
                raise GeometryError(
                    "shared voxels lie outside of the grid of the labels",
                    code="E_GEOM_MATRIX",
                    value=(each.corner, each.voxels.shape, self.grid.shape),
                )
        object.__setattr__(self, "labels", read_only(self.labels))

    def with_regions(self, regions: tuple[Region, ...]) -> LesionSet:
        """Return the same labels with other region records.

        Parameters
        ----------
        regions : tuple of Region
            Records with the same ids.

        Returns
        -------
        LesionSet
            The new set.
        """
        return replace(self, regions=regions)

    def shared_by(self, id: int) -> tuple[SharedVoxels, ...]:
        """Return what a lesion shares now: an edit, or another role, may have ended it.

        Parameters
        ----------
        id : int
            Region id.

        Returns
        -------
        tuple of SharedVoxels
            Some of `shared`, with at least one voxel each.
        """
        lesions = {r.id for r in self.lesions}
        return tuple(
            s
            for s in self.shared
            if s.id == id and {s.id, s.owner} <= lesions and s.now(self.labels).any()
        )

    def labels_without(self, ids: Collection[int]) -> npt.NDArray[Any]:
        """Return the labels without some regions.

        Parameters
        ----------
        ids : collection of int
            Regions that go.

        Returns
        -------
        ndarray of integer, shape (k, j, i)
            0 where they were; what one of them showed of another lesion carries that one's label.
        """
        labels = np.where(np.isin(self.labels, list(ids)), 0, self.labels)
        here = {r.id for r in self.lesions} - set(ids)
        for each in self.shared:
            if each.owner in ids and each.id in here:
                free = each.now(self.labels) & (labels[each.place] == 0)
                labels[each.place][free] = each.id
        return labels

    @property
    def lesions(self) -> tuple[Region, ...]:
        """Regions whose role is lesion."""
        return tuple(r for r in self.regions if r.role == RegionRole.LESION)

    @property
    def references(self) -> tuple[Region, ...]:
        """Regions whose role is reference."""
        return tuple(r for r in self.regions if r.role == RegionRole.REFERENCE)

    def reference(self, anatomy: str) -> Region | None:
        """Return the reference region of an organ.

        Parameters
        ----------
        anatomy : str
            E.g. ``spleen``.

        Returns
        -------
        Region or None
            The first one, or None.
        """
        return next((r for r in self.references if r.anatomy == anatomy), None)

    def __repr__(self) -> str:
        """Short form."""
        return (
            f"LesionSet({len(self.lesions)} lesions, {len(self.references)} reference regions, "
            f"{self.grid!r})"
        )
