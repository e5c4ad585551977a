"""What a reader of a region's numbers has to know: cut, small, noise floor, carrier organ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.config import Config
from eprimg.model.case import Finding, Severity
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap

__all__ = ["note_regions"]

_CARRIER_ORGANS = ("liver", "spleen", "marrow")
"""Organs of the phagocytes, where carriers go whatever the tumour does."""

Boxes = Sequence[tuple[slice, ...] | None]
"""Bounding box per label, as `scipy.ndimage.find_objects` gives them."""

_INSIDE = 0.5
_BESIDE = 0.1
"""Parts of the rim in a carrier organ above which a lesion lies inside, or borders on it."""

_CUT_VOLUME = 0.9
"""A region with less than this part of its volume on a native grid was cut."""


def note_regions(
    lesions: LesionSet,
    carried: Mapping[str, LesionSet],
    maps: Mapping[str, QuantityMap],
    wanted: Collection[int],
    config: Config,
) -> tuple[LesionSet, list[Finding]]:
    """Attach notes to the regions that were measured.

    Parameters
    ----------
    lesions : LesionSet
        Measured regions on the reference grid.
    carried : Mapping of str to LesionSet
        Labels on native grids by series key.
    maps : Mapping of str to QuantityMap
        Native maps.
    wanted : collection of int
        Regions that were measured; the others keep their notes.
    config : Config
        Settings.

    Returns
    -------
    LesionSet
        With notes.
    list of Finding
        What the reader should see without opening the table.
    """
    findings: list[Finding] = []
    regions = []
    sets = {"the reference grid": lesions}
    sets.update({key: s for key, s in carried.items() if not s.grid.matches(lesions.grid)})
    boxes: dict[str, Boxes] = {
        name: ndimage.find_objects(np.asarray(s.labels, dtype=np.int32)) for name, s in sets.items()
    }
    for region in lesions.regions:
        if region.id not in wanted:
            regions.append(region)
            continue
        notes: list[str] = []
        for name, each in sets.items():
            box = _box(boxes[name], region.id)
            notes += _edge_notes(region, each, name, lesions, box)
        if region.role == RegionRole.LESION:
            notes += _size_notes(region, config)
            notes += _carrier_notes(
                region, lesions, _box(boxes["the reference grid"], region.id), config
            )
        floor = _noise_floor_notes(region, carried, maps, boxes, config)
        notes += floor
        findings += _findings(region, notes, floor)
        regions.append(replace(region, notes=tuple(dict.fromkeys(notes))))
    return lesions.with_regions(tuple(regions)), findings


def _box(boxes: Boxes, number: int) -> tuple[slice, ...] | None:
    return boxes[number - 1] if number - 1 < len(boxes) else None


def _edge_notes(
    region: Region,
    labels: LesionSet,
    name: str,
    reference: LesionSet,
    box: tuple[slice, ...] | None,
) -> list[str]:
    where = "" if labels is reference else f" of {name}"
    if box is None:
        return [f"has no voxel on the grid{where or ' of the reference series'}"]
    # A grid of one slice has no neighbour to lose there.
    touches = any(
        n > 1 and (b.start == 0 or b.stop == n) for b, n in zip(box, labels.grid.shape, strict=True)
    )
    if labels is reference:
        return ["touches the edge of the field of view"] if touches else []
    whole = _volume_ml(reference.labels, reference.grid, region.id)
    here = _volume_ml(labels.labels, labels.grid, region.id)
    if touches and whole > 0 and here < _CUT_VOLUME * whole:
        return [f"only {100 * here / whole:.0f} % of its volume lies in the field of view{where}"]
    return [f"touches the edge of the field of view{where}"] if touches else []


def _volume_ml(labels: npt.NDArray[np.integer], grid: Grid, number: int) -> float:
    return float(np.count_nonzero(labels == number)) * grid.voxel_volume_ml


def _size_notes(region: Region, config: Config) -> list[str]:
    volume = region.measurement("volume", "volume")
    if volume is None or not volume.value > 0:
        return []
    diameter = (6.0 * 1000.0 * volume.value / math.pi) ** (1.0 / 3.0)
    limit = config.measure.small_lesion_mm
    if diameter >= limit:
        return []
    return [
        (
            f"is small: equivalent diameter {diameter:.1f} mm, below {limit:g} mm; partial volume "
            "lowers the numbers"
        )
    ]


def _carrier_notes(
    region: Region, lesions: LesionSet, box: tuple[slice, ...] | None, config: Config
) -> list[str]:
    organs = [r for r in lesions.references if r.anatomy in _CARRIER_ORGANS]
    if not organs or box is None:
        return []
    spacing = lesions.grid.spacing_mm
    width = config.measure.carrier_rim_mm
    margin = [math.ceil(width / s) + 1 for s in spacing]
    wide = tuple(slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, margin, strict=True))
    part = np.asarray(lesions.labels[wide])
    distance = ndimage.distance_transform_edt(part != region.id, sampling=spacing)
    # Other lesions say nothing about what surrounds this one.
    others = [r.id for r in lesions.lesions]
    rim = (distance > 0) & (distance <= width) & ~np.isin(part, others)
    if not rim.any():
        return []
    notes = []
    for organ in organs:
        share = float(np.mean(part[rim] == organ.id))
        if share > _INSIDE:
            notes.append(f"lies inside the {organ.name}: carrier background")
        elif share > _BESIDE:
            notes.append(f"borders on the {organ.name}: carrier background nearby")
    return notes


def _noise_floor_notes(
    region: Region,
    carried: Mapping[str, LesionSet],
    maps: Mapping[str, QuantityMap],
    boxes: Mapping[str, Boxes],
    config: Config,
) -> list[str]:
    notes = []
    for key in ("r2star_pre", "r2star_post"):
        r2star = maps.get(key)
        if r2star is None or r2star.sources[0] not in carried:
            continue
        source = r2star.sources[0]
        labels = carried[source]
        name = source if source in boxes else "the reference grid"
        box = _box(boxes[name], region.id)
        if box is None:
            continue
        inside = (labels.labels[box] == region.id) & r2star.valid[box]
        if not inside.any():
            continue
        limit = config.r2star.noise_floor_product / max(r2star.facts["echo_times_s"])
        share = float(np.mean(r2star.values[box][inside] > limit))
        if share > config.measure.noise_floor_share:
            notes.append(
                f"{100 * share:.0f} % of the R2* voxels of {source} lie above the "
                f"measurable range ({limit:.0f} 1/s): late echoes are noise, R2* is "
                "too low"
            )
    return notes


def _findings(region: Region, notes: list[str], floor: list[str]) -> list[Finding]:
    found = [
        Finding("W_NOISE_FLOOR", Severity.WARNING, region.name, f"{region.name}: {note}.")
        for note in floor
    ]
    codes = (
        ("field of view", "W_REGION_CUT"),
        ("has no voxel", "W_REGION_EMPTY"),
        ("is small:", "W_REGION_SMALL"),
        ("carrier background", "W_CARRIER_BACKGROUND"),
    )
    for note in notes:
        if region.role != RegionRole.LESION:
            continue  # organs leave the field of view as a rule
        for words, code in codes:
            if words in note:
                found.append(Finding(code, Severity.WARNING, region.name, f"{region.name} {note}."))
                break
    return found
