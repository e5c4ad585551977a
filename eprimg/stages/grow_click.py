"""A lesion grown from one click on a measured case, on the grid of the series that was clicked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.kernels.click import (
    CLICK_METHODS,
    NOT_A_LESION,
    click_segment,
)
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, RegionRole
from eprimg.model.study import Role, Series
from eprimg.stages._click_place import (
    GrownClick,
    Index,
    Mask,
    Point,
    check_place,
    check_room,
    click_methods,
    clickable_series,
    on_reference_grid,
    pet_map,
    plain,
    refused_click,
    series_to_click,
    voxel_of,
)
from eprimg.stages.candidates import find_candidates
from eprimg.stages.carry import transform_to
from eprimg.stages.clicks import click_contrast

__all__ = [
    "ClickRequest",
    "GrownClick",
    "click_methods",
    "clickable_series",
    "grow_click",
]


@dataclass(frozen=True, slots=True)
class ClickRequest:
    """What a person clicked.

    Parameters
    ----------
    on : str
        Key of the series that the lesion is grown on.
    point_mm : tuple of float
        Place in the lesion, LPS mm in the frame of the reference series.
    method : str
        One of `click_methods`; that of the settings when empty.
    background_mm : tuple of points
        Places that are not in the lesion; MR only.
    diameter_mm : float
        Rough largest diameter of the lesion, 0 for not known; MR only.
    """

    on: str
    point_mm: Point
    method: str = ""
    background_mm: tuple[Point, ...] = ()
    diameter_mm: float = 0.0


class _Outline(NamedTuple):
    mask: Mask
    looked_at: str
    volume_ml: float
    doubt: str
    notes: tuple[str, ...]
    settings: Mapping[str, Any]


def grow_click(
    case: Case, request: ClickRequest, config: Config, *, instead_of: int = 0
) -> GrownClick:
    """Grow a lesion from a click, or say why there is none.

    Parameters
    ----------
    case : Case
        Registered, with maps; its regions are not changed.
    request : ClickRequest
        What was clicked.
    config : Config
        ``clicks`` for MR, ``segment`` for PET.
    instead_of : int
        Region that the result is to take the place of; its voxels count as free.

    Returns
    -------
    GrownClick
        The lesion; nothing is given to it in the case yet.

    Raises
    ------
    InputError
        ``E_CLICK_REFUSED``: outside the field of view or the body, in another lesion, no contrast
        around the click, a region that reaches the limit it was given or another lesion;
        ``E_ARGUMENT`` for a series or method that is not there; what the engine of PET refuses.

    Notes
    -----
    Whether a click lies outside the body is judged on the reference series when that is MR
    (`eprimg.kernels.outside_body`).  A region whose border lies on no edge, or that is no larger
    than the ball around its click, is refused: in tissue without a lesion that is what grows.  On
    PET the way goes up from the click to the top of the uptake; a region that lies farther from
    the click than the blur of the scanner is refused.
    """
    series = series_to_click(case, request.on)
    method = request.method or (
        config.segment.method if series.role == Role.PET else config.clicks.method
    )
    if method not in click_methods(series):
        raise InputError(
            f"the method is one of {', '.join(click_methods(series))}",
            code="E_ARGUMENT",
            where="click",
            value=method,
        )
    check_place(case, request.point_mm, instead_of)
    points = (request.point_mm, *request.background_mm)
    transform = transform_to(case.study, case.registrations, series)
    assert transform is not None
    there = np.asarray(transform.apply(np.asarray(points, dtype=np.float64)))
    places = [voxel_of(series, point, f"the field of view of {series.key}") for point in there]
    if places[0] in places[1:]:
        raise refused_click(
            "one voxel was clicked as lesion and as background", "click farther from the lesion"
        )
    if series.role == Role.PET:
        made = _on_pet(case, series, places, method, config)
    else:
        made = _on_mr(series, places, method, request.diameter_mm, config)
    on_reference = on_reference_grid(case, series, made.mask)
    check_room(case, on_reference, instead_of)
    record = {
        "on": series.key,
        "looked_at": made.looked_at,
        "method": method,
        "seed_lps_mm": plain(request.point_mm),
        "seed_on_series_lps_mm": plain(there[0]),
        "background_lps_mm": [plain(p) for p in request.background_mm],
        "diameter_mm": request.diameter_mm or None,
        "volume_ml": None if math.isnan(made.volume_ml) else made.volume_ml,
        "doubt": made.doubt,
        "settings": dict(made.settings),
    }
    return GrownClick(series, made.mask, on_reference, made.doubt, made.notes, record)


def _on_mr(
    series: Series, places: list[Index], method: str, diameter_mm: float, config: Config
) -> _Outline:
    values, looked_at = click_contrast(series, config.clicks)
    made = click_segment(
        values,
        series.grid.spacing_mm,
        places[0],
        method=next(m for m in CLICK_METHODS if m == method),
        background_index=places[1:],
        diameter_mm=diameter_mm or None,
    )
    if made.refused:
        raise refused_click(made.refused, "click inside the lesion, on a series that shows it")
    if made.cut_off:
        raise refused_click(
            f"the region reaches the limit of {made.shell_mm:g} mm around the click",
            "type the largest diameter of the lesion, or Shift-click beside it to mark background, "
            "and click again",
        )
    if any(words in made.doubt for words in NOT_A_LESION):
        raise refused_click(
            "nothing stands out from its surroundings there",
            "click on a series that shows the lesion, or paint it",
        )
    volume = made.n_voxels * series.grid.voxel_volume_ml
    settings = {"echo_time_ms": config.clicks.echo_time_ms}
    return _Outline(made.mask, looked_at, volume, made.doubt, (), settings)


def _on_pet(
    case: Case, series: Series, places: list[Index], method: str, config: Config
) -> _Outline:
    if len(places) > 1:
        raise refused_click(
            "the methods for PET grow from one click and take no background",
            "choose another method, correct the outline with the eraser, or click on MR",
        )
    values = pet_map(case, series)
    assert values is not None
    chosen = replace(config.segment, engine="pet", method=method, remove="")
    organs = transform = None
    if method == "percist" and case.lesions is not None:  # the others look at no organ
        kept = tuple(r for r in case.lesions.regions if r.role != RegionRole.LESION)
        organs = LesionSet(case.lesions.labels, case.lesions.grid, kept)
        transform = transform_to(case.study, case.registrations, series)
    found, _ = find_candidates(
        values, series, chosen, organs=organs, transform=transform, seeds=(places[0],)
    )
    if not found.regions:
        removed = found.settings.get("removed", ())
        why = removed[0]["reason"] if isinstance(removed, tuple) and removed else "nothing grew"
        raise refused_click(
            str(why), "click on the hottest part of the lesion, or choose another method"
        )
    mask = np.asarray(found.labels) > 0
    away = (np.argwhere(mask) - places[0]) * series.grid.spacing_mm
    nearest = float(np.linalg.norm(away, axis=1).min())
    if nearest > config.segment.psf_fwhm_mm:
        raise refused_click(
            f"uptake rises from the click to another place, and what grows there is {nearest:.0f} "
            "mm away",
            "click on the hottest part of the lesion",
        )
    (region,) = found.regions
    facts: Any = found.settings["outlines_of_candidates"]
    about = facts[region.name]
    doubt = "it touches the edge of the volume" if about["clipped"] else ""
    settings = {k: v for k, v in asdict(chosen).items() if k not in _OF_THE_SEARCH}
    return _Outline(
        mask,
        f"{series.key} ({values.quantity.name})",
        float(about["volume_ml"]),
        doubt,
        region.notes,
        settings,
    )


_OF_THE_SEARCH = (
    "engine",
    "method",
    "rule",
    "minimum_volume_ml",
    "maximum_candidates",
    "accept_candidates",
    "split_depth",
    "organ_share",
    "remove",
)
"""Settings that have no part in what grows from a click."""
