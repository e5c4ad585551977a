"""What a click needs to know of a case: where it may lie, on which series, and what it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import SegmentConfig
from eprimg.errors import InputError
from eprimg.kernels.click import CLICK_METHODS
from eprimg.kernels.outside_body import lies_outside_body
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack
from eprimg.stages._region_carrier import Carrier
from eprimg.stages.carry import reference_series, transform_to
from eprimg.stages.region_voxels import RegionVoxels

__all__ = [
    "GrownClick",
    "Index",
    "Mask",
    "Point",
    "check_place",
    "check_room",
    "click_methods",
    "clickable_series",
    "on_reference_grid",
    "pet_map",
    "plain",
    "refused_click",
    "series_to_click",
    "voxel_of",
]

Point = tuple[float, float, float]
Mask = npt.NDArray[np.bool_]
Index = tuple[int, int, int]

_PET_METHODS: tuple[str, ...] = SegmentConfig.__dataclass_fields__["method"].metadata["choices"]

_ON_PET = ("suvbw", "activity")
"""Quantities that a lesion is grown on, the first one there is."""


@dataclass(frozen=True, eq=False, slots=True)
class GrownClick:
    """What grew.

    Parameters
    ----------
    series : Series
        The series that was clicked.
    mask : ndarray of bool
        The lesion on the grid of the series.
    on_reference : ndarray of bool
        The lesion on the reference grid; the same array when that is the grid of the series.
    doubt : str
        Why the outline should be looked at with care; empty when nothing speaks against it.
    notes : tuple of str
        What a reader of the region must know, as in `Region.notes`.
    record : Mapping
        How it was made: series, method, points in LPS mm, settings; plain JSON values.
    """

    series: Series
    mask: Mask
    on_reference: Mask
    doubt: str
    notes: tuple[str, ...]
    record: Mapping[str, Any]


def click_methods(series: Series) -> tuple[str, ...]:
    """List the ways in which a lesion grows on a series.

    Parameters
    ----------
    series : Series
        Any series.

    Returns
    -------
    tuple of str
        Those of ``clicks.method`` for MR, those of ``segment.method`` for PET; none for others.
    """
    if series.role in (Role.MR_PRE, Role.MR_POST):
        return tuple(CLICK_METHODS)
    return _PET_METHODS if series.role == Role.PET else ()


def clickable_series(case: Case) -> tuple[Series, ...]:
    """List the series that a lesion can be grown on.

    Parameters
    ----------
    case : Case
        Registered, with maps.

    Returns
    -------
    tuple of Series
        PET with an uptake map and MR, each aligned with the reference series; PET first.
    """
    found = [
        s
        for s in case.study.series
        if click_methods(s)
        and transform_to(case.study, case.registrations, s) is not None
        and (s.role != Role.PET or pet_map(case, s) is not None)
    ]
    return tuple(sorted(found, key=lambda s: s.role != Role.PET))


def series_to_click(case: Case, key: str) -> Series:
    """Return a series that can be clicked, or refuse."""
    series = next((s for s in clickable_series(case) if s.key == key), None)
    if series is None:
        raise InputError(
            f"nothing can be clicked on {key or 'no series'}",
            code="E_ARGUMENT",
            where="click",
            value=key,
            action="choose a series that is aligned with the reference series and has a map",
        )
    return series


def on_reference_grid(case: Case, series: Series, mask: Mask) -> Mask:
    """Carry a mask to the reference grid; the same array when it lies there already."""
    reference = reference_series(case.study)
    if series.grid.matches(reference.grid):
        return mask
    transform = transform_to(case.study, case.registrations, series)
    assert transform is not None
    alone = (Region(1, "click", RegionRole.LESION),)
    voxels = RegionVoxels.of(LesionSet(mask.astype(np.uint8), series.grid, alone))
    # Only where the region can have voxels: the whole grid takes ten times as long.
    carrier = Carrier(voxels, reference.grid, transform)
    window = carrier.claim(1)
    carried = np.zeros(reference.grid.shape, dtype=np.bool_)
    if window is not None:
        carried[window] = carrier.carry([1], window) == 1
    return carried


def check_place(case: Case, point_mm: Point, instead_of: int) -> None:
    """Refuse a click outside of field of view and body, or in another lesion."""
    reference = reference_series(case.study)
    place = voxel_of(reference, np.asarray(point_mm), "the field of view")
    if case.lesions is not None:
        number = int(case.lesions.labels[place])
        owner = next((r for r in case.lesions.regions if r.id == number), None)
        if owner is not None and owner.role != RegionRole.REFERENCE and number != instead_of:
            raise refused_click(
                f"{owner.name} lies there already",
                "click beside it; or delete it first, or correct it with brush and eraser",
            )
    if reference.role == Role.PET:
        return
    pixels = reference.pixels
    data = pixels.volume.data if isinstance(pixels, EchoStack) else pixels.data
    if lies_outside_body(np.asarray(data[..., 0] if data.ndim == 4 else data), place):
        raise refused_click("the click lies outside the body", "click inside the lesion")


def check_room(case: Case, mask: Mask, instead_of: int) -> None:
    """Refuse a region without a voxel, or with voxels of another lesion."""
    if not mask.any():
        raise refused_click(
            "the region is smaller than a voxel of the reference grid", "paint it with the brush"
        )
    if case.lesions is None:
        return
    held = np.asarray(case.lesions.labels)[mask]
    numbers = set(np.unique(held).tolist()) - {0, instead_of}
    taken = [r for r in case.lesions.regions if r.id in numbers and r.role != RegionRole.REFERENCE]
    if taken:
        names = ", ".join(r.name for r in taken)
        raise refused_click(
            f"the region would reach into {names}",
            "Shift-click there to mark it as background (MR), choose another method or a smaller "
            "diameter, or paint the lesion",
        )


def pet_map(case: Case, series: Series) -> QuantityMap | None:
    """Map that a lesion is grown on: SUVbw, else activity, on the series' own grid."""
    own = [m for m in case.maps.values() if m.sources[:1] == (series.key,)]
    for key in _ON_PET:
        found = next((m for m in own if m.quantity.key == key), None)
        if found is not None and found.grid.matches(series.grid):
            return found
    return None


def voxel_of(series: Series, point_mm: npt.NDArray[np.float64], what: str) -> Index:
    """Voxel of a point in the frame of a series, or refuse."""
    k, j, i = (int(c) for c in np.rint(series.grid.lps_mm_to_index(point_mm)))
    if not all(0 <= c < n for c, n in zip((k, j, i), series.grid.shape, strict=True)):
        raise refused_click(f"the click lies outside {what}", "click inside the lesion")
    return k, j, i


def plain(point: Any) -> list[float]:
    """Write a point in mm as plain numbers."""
    return [round(float(c), 3) for c in point]


def refused_click(message: str, action: str) -> InputError:
    """Make the error of a click that gives no region."""
    return InputError(message, code="E_CLICK_REFUSED", where="click", action=action)
