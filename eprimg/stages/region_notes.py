"""What a reader of a region's numbers has to know: cut, small, noise floor, carrier organ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from eprimg.config import Config
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.noise_floor import VoxelDoubts

__all__ = ["INSIDE_CARRIER", "IS_SMALL", "note_regions"]

INSIDE_CARRIER = "lies inside the"
"""How the note of a lesion in a carrier organ begins."""

IS_SMALL = "is small:"
"""How the note of a lesion begins that is too small for its R2* statistics."""

_CARRIER_ORGANS = ("liver", "spleen", "marrow")
"""Organs of the phagocytes, where carriers go whatever the tumour does."""

Boxes = Sequence[tuple[slice, ...] | None]
"""Bounding box per label, as `scipy.ndimage.find_objects` gives them."""

_INSIDE = 0.5
_BESIDE = 0.1
"""Parts of the rim in a carrier organ above which a lesion lies inside, or borders on it."""


def note_regions(
    lesions: LesionSet,
    carried: Mapping[str, LesionSet],
    doubts: VoxelDoubts,
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
    doubts : Mapping
        Doubtful voxels of the R2* maps, by source and region id.
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
            notes += _edge_notes(region, each, name, lesions, box, config)
        if region.role == RegionRole.LESION:
            notes += _size_notes(region, config)
            notes += _carrier_notes(
                region, lesions, _box(boxes["the reference grid"], region.id), config
            )
        floor = _noise_floor_notes(region, doubts, config)
        failed = _failed_notes(region, doubts, config)
        notes += [*floor, *failed]
        findings += _findings(region, notes, floor, failed)
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
    config: Config,
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
    share = region.measurement("coverage", "share", name)
    if share is not None and share.value < config.measure.minimum_coverage:
        return [f"only {100 * share.value:.0f} % of its volume lies in the field of view{where}"]
    return [f"touches the edge of the field of view{where}"] if touches else []


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
            f"{IS_SMALL} equivalent diameter {diameter:.1f} mm, below {limit:g} mm; partial volume "
            "pulls the numbers towards the surroundings"
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
            notes.append(f"{INSIDE_CARRIER} {organ.name}: carrier background")
        elif share > _BESIDE:
            notes.append(f"borders on the {organ.name}: carrier background nearby")
    return notes


def _noise_floor_notes(region: Region, doubts: VoxelDoubts, config: Config) -> list[str]:
    return [
        doubt.words(source)
        for source, each in doubts.items()
        if (doubt := each.get(region.id)) is not None
        and doubt.above > config.measure.noise_floor_share
    ]


def _failed_notes(region: Region, doubts: VoxelDoubts, config: Config) -> list[str]:
    """Voxels without a value; of organs, which reach into vessels and lung, it is no news."""
    if region.role != RegionRole.LESION:
        return []
    return [
        f"{100 * doubt.failed:.0f} % of its voxels have no R2* on {source} and enter no statistic"
        for source, each in doubts.items()
        if (doubt := each.get(region.id)) is not None
        and doubt.failed > config.measure.failed_voxel_share
    ]


def _findings(
    region: Region, notes: list[str], floor: list[str], failed: list[str]
) -> list[Finding]:
    found = [
        Finding("W_NOISE_FLOOR", Severity.WARNING, region.name, f"{region.name}: {note}.")
        for note in floor
    ]
    found += [
        Finding("W_VOXELS_FAILED", Severity.WARNING, region.name, f"{region.name}: {note}.")
        for note in failed
    ]
    codes = (
        ("field of view", "W_REGION_CUT"),
        ("has no voxel", "W_REGION_EMPTY"),
        (IS_SMALL, "W_REGION_SMALL"),
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
