"""A reference sphere placed near one click on a measured case, away from edges and vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.kernels.reference_sphere import place_reference_sphere
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, RegionRole
from eprimg.model.study import Role, Series
from eprimg.stages._click_place import (
    GrownClick,
    Mask,
    Point,
    check_place,
    check_room,
    on_reference_grid,
    pet_map,
    plain,
    refused_click,
    series_to_click,
    voxel_of,
)
from eprimg.stages.carry import carry_labels, reference_series, transform_to
from eprimg.stages.clicks import click_contrast

__all__ = ["SPHERE", "SphereRequest", "place_sphere"]

SPHERE = "reference-sphere"
"""Method of the record of a sphere."""


@dataclass(frozen=True, slots=True)
class SphereRequest:
    """Where a sphere is wanted.

    Parameters
    ----------
    on : str
        Key of the series whose values decide where it fits.
    point_mm : tuple of float
        Click in the organ, LPS mm in the frame of the reference series.
    diameter_mm : float
        Diameter of the sphere.
    """

    on: str
    point_mm: Point
    diameter_mm: float


def place_sphere(
    case: Case, request: SphereRequest, config: Config, *, instead_of: int = 0
) -> GrownClick:
    """Place a sphere in the tissue that was clicked, or say why none fits.

    Parameters
    ----------
    case : Case
        Registered, with maps; its regions are not changed.
    request : SphereRequest
        What was clicked.
    config : Config
        ``clicks.search_mm``, ``clicks.margin_mm``, ``clicks.tolerance``.
    instead_of : int
        Region that the sphere is to take the place of; its voxels count as free.

    Returns
    -------
    GrownClick
        The sphere on the series' grid and on the reference grid; the record holds the place, how
        far it moved from the click in mm, median and median absolute deviation in the unit of the
        values.

    Raises
    ------
    InputError
        ``E_CLICK_REFUSED``: outside the field of view or the body, in a lesion, or no sphere of
        that size fits without reaching into edges, vessels or another region; ``E_ARGUMENT`` for a
        series or a diameter that cannot be used.

    Notes
    -----
    See `eprimg.kernels.reference_sphere.place_reference_sphere`.  An organ mask on the whole organ
    counts as free when the sphere takes its place, and as taken otherwise.
    """
    series = series_to_click(case, request.on)
    check_place(case, request.point_mm, instead_of)
    transform = transform_to(case.study, case.registrations, series)
    assert transform is not None
    there = np.asarray(transform.apply(np.asarray([request.point_mm], dtype=np.float64)))[0]
    seed = voxel_of(series, there, f"the field of view of {series.key}")
    values, looked_at = _values(case, series, config)
    sphere = place_reference_sphere(
        values,
        series.grid.spacing_mm,
        seed,
        diameter_mm=request.diameter_mm,
        search_mm=config.clicks.search_mm,
        margin_mm=config.clicks.margin_mm,
        tolerance=config.clicks.tolerance,
        taken=_taken(case, series, instead_of),
    )
    if sphere.refused:
        raise refused_click(
            sphere.refused, "click farther inside the organ, or choose a smaller diameter"
        )
    on_reference = on_reference_grid(case, series, sphere.mask)
    check_room(case, on_reference, instead_of)
    record = {
        "on": series.key,
        "looked_at": looked_at,
        "method": SPHERE,
        "seed_lps_mm": plain(request.point_mm),
        "seed_on_series_lps_mm": plain(there),
        "background_lps_mm": [],
        "diameter_mm": request.diameter_mm,
        "volume_ml": int(np.count_nonzero(sphere.mask)) * series.grid.voxel_volume_ml,
        "doubt": "",
        "centre_lps_mm": plain(
            reference_series(case.study).grid.index_to_lps_mm(
                np.argwhere(on_reference).mean(axis=0)
            )
        ),
        "centre_on_series_lps_mm": plain(series.grid.index_to_lps_mm(sphere.centre_index)),
        "moved_mm": sphere.moved_mm,
        "median": sphere.median,
        "mad": sphere.mad,
        "settings": {
            "search_mm": config.clicks.search_mm,
            "margin_mm": config.clicks.margin_mm,
            "tolerance": config.clicks.tolerance,
            "echo_time_ms": config.clicks.echo_time_ms,
        },
    }
    return GrownClick(series, sphere.mask, on_reference, "", (), record)


def _values(case: Case, series: Series, config: Config) -> tuple[npt.NDArray[np.floating], str]:
    if series.role != Role.PET:
        return click_contrast(series, config.clicks)
    found = pet_map(case, series)
    assert found is not None
    values = np.where(found.valid, found.values, np.nan)
    return values, f"{series.key} ({found.quantity.name})"


def _taken(case: Case, series: Series, instead_of: int) -> Mask | None:
    """Voxels of lesions, excluded parts and other organs on the grid of the series."""
    lesions = case.lesions
    if lesions is None:
        return None
    ids = [
        r.id
        for r in lesions.regions
        if r.id != instead_of and (r.role != RegionRole.REFERENCE or r.anatomy)
    ]
    known = case.native_lesions.get(series.key)
    if known is not None and known.grid.matches(series.grid) and _up_to_date(known, lesions):
        return np.isin(known.labels, ids)
    labels = np.asarray(lesions.labels)
    if not lesions.grid.matches(series.grid):
        transform = transform_to(case.study, case.registrations, series)
        assert transform is not None
        labels = carry_labels(labels, lesions.grid, series.grid, transform.inverse())
    return np.isin(labels, ids)


def _up_to_date(native: LesionSet, lesions: LesionSet) -> bool:
    return {r.id for r in native.regions} == {r.id for r in lesions.regions}
