"""What a reader of a region's numbers has to know: cut, small, noise floor, carrier organ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from eprimg.config import Config
from eprimg.kernels.label_boxes import widened_box
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import (
    BELOW_RESOLUTION,
    NO_OUTLINE,
    PART_OUTLINED,
    LesionSet,
    Region,
    RegionRole,
)
from eprimg.stages.noise_floor import VoxelDoubts
from eprimg.stages.protocol_mr import FIRST_ECHO_PRODUCT
from eprimg.stages.region_voxels import RegionVoxels

__all__ = [
    "CARRIER_ORGANS",
    "EXCLUDED",
    "INSIDE_CARRIER",
    "IS_SMALL",
    "exclude_region",
    "note_regions",
    "rim_margin",
]

EXCLUDED = "excluded"
"""How the note of an excluded region begins."""

INSIDE_CARRIER = "lies inside the"
"""How the note of a lesion in a carrier organ begins."""

IS_SMALL = "is small:"
"""How the note of a lesion begins that is too small for its R2* statistics."""

CARRIER_ORGANS = ("liver", "spleen", "marrow")
"""Organs of the phagocytes, where carriers go whatever the tumour does."""

_NO_VOXEL = "has no voxel on the grid"
_ABOVE_RANGE = "above the measurable range"
_NO_R2STAR = "have no R2* on"
_LATE_ECHO = "R2* times the first echo time of"
"""Words by which a kept note is known again."""

_INSIDE = 0.5
_BESIDE = 0.1
"""Parts of the rim in a carrier organ above which a lesion lies inside, or borders on it."""


def exclude_region(region: Region, reason: str) -> Region:
    """Exclude a region: it keeps its id, its voxels and the reason, and is not measured.

    Parameters
    ----------
    region : Region
        Any region.
    reason : str
        Why, for the table.

    Returns
    -------
    Region
        Without measurements, tiers and objections.
    """
    said = reason.strip()
    return replace(
        region,
        role=RegionRole.EXCLUDE,
        measurements=(),
        tiers=(),
        objections=(),
        profiles=(),
        notes=(f"{EXCLUDED}: {said}" if said else f"{EXCLUDED} without a reason",),
    )


def note_regions(
    lesions: LesionSet | RegionVoxels,
    carried: Mapping[str, LesionSet] | Mapping[str, RegionVoxels],
    doubts: VoxelDoubts,
    wanted: Collection[int],
    config: Config,
) -> tuple[LesionSet, list[Finding]]:
    """Attach notes to the regions that were measured.

    Parameters
    ----------
    lesions : LesionSet or RegionVoxels
        Measured regions on the reference grid.
    carried : Mapping of str to LesionSet or RegionVoxels
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
        What the reader should see without opening the table, of all measured regions.
    """
    findings: list[Finding] = []
    regions = []
    here = RegionVoxels.of(lesions)
    lesions = here.lesions
    sets = {"the reference grid": here}
    for key, each in carried.items():
        voxels = RegionVoxels.of(each)
        if not voxels.lesions.grid.matches(lesions.grid):
            sets[key] = voxels
    for region in lesions.regions:
        if region.role == RegionRole.EXCLUDE:
            regions.append(region)
            continue
        if region.id in wanted:
            # what the segmenter said of its outline stays
            said = (BELOW_RESOLUTION, NO_OUTLINE, PART_OUTLINED)
            notes = [n for n in region.notes if n.startswith(said)]
            for name, each in sets.items():
                notes += _edge_notes(region, each, name, here, config)
            if region.role == RegionRole.LESION:
                notes += _size_notes(region, config)
                notes += _carrier_notes(region, here, config)
            notes += _noise_floor_notes(region, doubts, config)
            notes += _failed_notes(region, doubts, config)
            notes += _first_echo_notes(region, doubts)
            region = replace(region, notes=tuple(dict.fromkeys(notes)))
        findings += _findings(region)
        regions.append(region)
    return lesions.with_regions(tuple(regions)), findings


def _edge_notes(
    region: Region, labels: RegionVoxels, name: str, reference: RegionVoxels, config: Config
) -> list[str]:
    box = labels.boxes.get(region.id)
    where = "" if labels is reference else f" of {name}"
    if box is None:
        return [f"{_NO_VOXEL}{where or ' of the reference series'}"]
    # A grid of one slice has no neighbour to lose there.
    touches = any(
        n > 1 and (b.start == 0 or b.stop == n)
        for b, n in zip(box, labels.lesions.grid.shape, strict=True)
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


def _carrier_notes(region: Region, voxels: RegionVoxels, config: Config) -> list[str]:
    lesions, box = voxels.lesions, voxels.boxes.get(region.id)
    organs = [r for r in lesions.references if r.anatomy in CARRIER_ORGANS]
    if not organs or box is None:
        return []
    spacing = lesions.grid.spacing_mm
    width = config.measure.carrier_rim_mm
    wide = widened_box(box, rim_margin(spacing, config), lesions.grid.shape)
    part = np.asarray(lesions.labels[wide])
    distance = ndimage.distance_transform_edt(~voxels.within(region.id, wide), sampling=spacing)
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


def rim_margin(spacing_mm: tuple[float, float, float], config: Config) -> tuple[int, int, int]:
    """Return how far around a lesion its surroundings are looked at.

    Parameters
    ----------
    spacing_mm : tuple of float
        Voxel spacing along (k, j, i) in mm.
    config : Config
        ``measure.carrier_rim_mm``.

    Returns
    -------
    tuple of int
        Voxels along (k, j, i).
    """
    k, j, i = (math.ceil(config.measure.carrier_rim_mm / s) + 1 for s in spacing_mm)
    return k, j, i


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


def _first_echo_notes(region: Region, doubts: VoxelDoubts) -> list[str]:
    """Lesions that have lost most of their signal before the first echo."""
    if region.role != RegionRole.LESION:
        return []
    return [
        f"{_LATE_ECHO} {source} is {doubt.first_echo_product:.2g} in the median: most of the "
        "signal is gone before the first echo"
        for source, each in doubts.items()
        if (doubt := each.get(region.id)) is not None
        and doubt.first_echo_product > FIRST_ECHO_PRODUCT
    ]


def _findings(region: Region) -> list[Finding]:
    """Say in the findings what the notes say, also of a region that kept its notes."""
    found = [
        Finding(code, Severity.WARNING, region.name, f"{region.name}: {note}.")
        for words, code in (
            (_ABOVE_RANGE, "W_NOISE_FLOOR"),
            (_NO_R2STAR, "W_VOXELS_FAILED"),
            (_LATE_ECHO, "W_FIRST_ECHO_LATE"),
        )
        for note in region.notes
        if words in note
    ]
    codes = (
        ("field of view", "W_REGION_CUT"),
        (IS_SMALL, "W_REGION_SMALL"),
        ("carrier background", "W_CARRIER_BACKGROUND"),
    )
    if region.role != RegionRole.LESION:
        return found  # organs leave the field of view as a rule
    empty = [n.removeprefix(_NO_VOXEL) for n in region.notes if n.startswith(_NO_VOXEL)]
    if empty:
        text = f"{region.name} {_NO_VOXEL}{','.join(empty)}."
        found.append(Finding("W_REGION_EMPTY", Severity.WARNING, region.name, text))
    for note in region.notes:
        for words, code in codes:
            if words in note:
                found.append(Finding(code, Severity.WARNING, region.name, f"{region.name} {note}."))
                break
    return found
