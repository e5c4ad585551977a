"""Which regions have to be measured again after an edit."""

from __future__ import annotations

from math import ceil

from eprimg.config import Config
from eprimg.kernels.label_boxes import (
    boxes_meet,
    joined_box,
    label_boxes,
    label_changes,
    widened_box,
)
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.partial_volume import partial_volume_reach_mm
from eprimg.stages.region_notes import rim_margin

__all__ = ["DENOMINATORS", "affected_regions"]

DENOMINATORS = ("spleen", "blood", "muscle", "liver")
"""Organs that the numbers of all regions are divided by or judged with."""

_REACH = 3
"""Voxels of the reference grid, on each side, within which a carried region can have voxels: the
distances that carry it end two voxels beyond its box; one more for rounding."""


def affected_regions(before: LesionSet, after: LesionSet, config: Config) -> frozenset[int]:
    """Find every region whose numbers may differ between two states of the labels.

    Parameters
    ----------
    before, after : LesionSet
        Regions on the reference grid before and after an edit.
    config : Config
        Settings.

    Returns
    -------
    frozenset of int
        Ids of ``after``, for ``ids`` of `eprimg.pipeline.run`: regions whose outline or record
        was edited; those so near that they share voxels of a native grid with them, or see them
        in their rim; all regions when a reference region that others are divided by is among
        them, or when a region changed its role.
    """
    everyone = frozenset(r.id for r in after.regions)
    if not before.grid.matches(after.grid):
        return everyone
    old = {r.id: r for r in before.regions}
    new = {r.id: r for r in after.regions}
    if any(_changed_role(old.get(i), new.get(i)) for i in {*old, *new}):
        return everyone
    changed, touched = label_changes(before.labels, after.labels)
    edited = {i for i in new if i in touched or i not in old or old[i].name != new[i].name}
    edited |= {i for i in old if i not in new}
    renamed = {i for i in edited if i in old and i in new and old[i].name != new[i].name}
    if any(new[i].role == RegionRole.REFERENCE for i in renamed):
        return everyone  # its name stands in the notes of others
    largest = max([0, *old, *new])
    boxes = label_boxes(after.labels, largest)
    earlier = label_boxes(before.labels, largest) if edited else {}
    shape = after.grid.shape
    found = set(edited)
    # Lesions that overlap hold voxels under each other's label.
    for each in (*before.shared, *after.shared):
        if {each.id, each.owner} & edited:
            found |= {each.id, each.owner}
    # Lesions that blur into each other are corrected together.
    blur_mm = partial_volume_reach_mm(config.partial_volume)

    def margin_of(regions: LesionSet) -> tuple[int, int, int]:
        k, j, i = (2 * _REACH + ceil(blur_mm / step) for step in regions.grid.spacing_mm)
        return k, j, i

    # Every edited region competes afresh for the voxels of the native grids, now and before.
    for number in edited:
        own = joined_box(boxes.get(number), earlier.get(number))
        if own is None:
            continue
        near = widened_box(own, margin_of(after), shape)
        found |= set(label_boxes(after.labels[near], largest))
        found |= set(label_boxes(before.labels[near], largest))
    if changed is not None:
        margin = rim_margin(after.grid.spacing_mm, config)
        found |= {
            r.id
            for r in after.lesions
            if r.id in boxes and boxes_meet(widened_box(boxes[r.id], margin, shape), changed)
        }
    if any(i in new and new[i].anatomy in DENOMINATORS for i in found):
        return everyone
    return frozenset(found) & everyone


def _changed_role(old: Region | None, new: Region | None) -> bool:
    """Whether a region that others depend on appeared, went or became something else."""
    if old is None or new is None:
        one = old or new
        return one is not None and one.role == RegionRole.REFERENCE
    return (old.role, old.anatomy) != (new.role, new.anatomy)
