"""Which part of a region's mask lies inside the field of view of a series."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.study import Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.stages._carry_bend import inverse_of, shifts_at
from eprimg.stages.carry import output_to_input, transform_to
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["Drawn", "add_coverage_notes", "coverage_of", "covered_shares", "measure_coverage"]

_TOLERANCE = 1e-6
"""Part of a voxel by which a centre on the very border still counts as inside."""

_WHOLE = 0.995
"""A share that reads "100 %" is not worth a note."""


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """Where regions were drawn, for those that were drawn on another grid than the reference.

    Parameters
    ----------
    sets : Mapping of str to LesionSet
        Labels on native grids, by series key.
    on : Mapping of int to str
        Series key that a region was drawn on, by region id.
    """

    sets: Mapping[str, LesionSet]
    on: Mapping[int, str]


def covered_shares(
    regions: RegionVoxels, target: Grid, transform: Transform, ids: Collection[int]
) -> dict[int, tuple[float, int]]:
    """Count the voxels of regions whose centre lies inside another grid.

    Parameters
    ----------
    regions : RegionVoxels
        Regions on their grid.
    target : Grid
        Grid whose voxels, reaching half a voxel beyond their centres, are the field of view.
    transform : Transform
        From the frame of the regions to the frame of ``target``.
    ids : collection of int
        Regions that are wanted.

    Returns
    -------
    dict
        Share inside (0 to 1) and number of voxels, by region; one without a voxel is missing.
    """
    matrix = output_to_input(regions.lesions.grid, target, transform)
    last = np.asarray(target.shape) - 0.5
    shares = {}
    for number in ids:
        if number not in regions.boxes:
            continue
        corner = [b.start for b in regions.boxes[number]]
        index = np.argwhere(regions.inside(number)) + corner
        there = index @ matrix[:3, :3].T + matrix[:3, 3]
        there += shifts_at(index, regions.lesions.grid, target, transform)
        inside = np.all((there >= -0.5 - _TOLERANCE) & (there <= last + _TOLERANCE), axis=1)
        shares[number] = (float(np.count_nonzero(inside) / inside.size), int(inside.size))
    return shares


def measure_coverage(
    numbers: Numbers,
    study: Study,
    registrations: Sequence[Registration],
    lesions: LesionSet | RegionVoxels,
    series: Series,
    drawn: Drawn,
    *,
    voxels: Mapping[str, RegionVoxels] | None = None,
) -> None:
    """Append the part of every region inside the field of view of a series.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    lesions : LesionSet or RegionVoxels
        Regions on the reference grid.
    series : Series
        The series that is going to be measured.
    drawn : Drawn
        Regions that were drawn on another grid are judged by that mask: what the reference grid
        cut off is not known there.
    voxels : Mapping of str to RegionVoxels, optional
        The sets of ``drawn``, looked up already.
    """
    regions = RegionVoxels.of(lesions)

    def drawn_voxels(key: str) -> RegionVoxels:
        return voxels[key] if voxels is not None else RegionVoxels(drawn.sets[key])

    to_series = transform_to(study, registrations, series)
    of_mask: dict[str, dict[int, tuple[float, int]]] = {"": {}}
    if to_series is not None:
        own = [number for number in numbers if number not in drawn.on]
        of_mask[""] = covered_shares(regions, series.grid, to_series, own)
        for key in {drawn.on[n] for n in numbers if n in drawn.on} - {series.key}:
            other = next(s for s in study.series if s.key == key)
            back = transform_to(study, registrations, other)
            there = [n for n in numbers if drawn.on.get(n) == key]
            if back is not None:
                through = inverse_of(back).then(to_series)
                of_mask[key] = covered_shares(drawn_voxels(key), series.grid, through, there)
            else:
                of_mask[""] |= covered_shares(regions, series.grid, to_series, there)
    for number, measured in numbers.items():
        key = drawn.on.get(number, "")
        if key == series.key:
            n = drawn_voxels(key).count(number)
            share, n, where = (1.0 if n else NAN), n, f"native {key}"
        else:
            key = key if key in of_mask else ""
            share, n = of_mask[key].get(number, (NAN, 0))
            where = f"native {key}" if key else "reference grid"
        note = "" if n else "the region has no voxel on the reference grid"
        measured.append(
            Measurement(
                "coverage",
                "share",
                series.key,
                share,
                NAN,
                "none: voxels of the mask are counted",
                n,
                where,
                note,
            )
        )


def coverage_of(numbers: Numbers, kept: Kept, region: int, source: str) -> float:
    """Return the part of a region inside the field of view of a series; 1 when not measured.

    Parameters
    ----------
    numbers, kept
        As in `find_number`.
    region : int
        Region id.
    source : str
        ``mr_pre``, ``mr_post`` or ``pet``.

    Returns
    -------
    float
        Between 0 and 1.
    """
    found = find_number(numbers, kept, region, "coverage", "share", source)
    return 1.0 if found is None or not np.isfinite(found.value) else found.value


def add_coverage_notes(numbers: Numbers, source: str) -> None:
    """Say at every number of a source that only a part of the region was seen.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; changed in place.
    source : str
        ``mr_pre``, ``mr_post`` or ``pet``.
    """
    for number, measured in numbers.items():
        share = coverage_of(numbers, {}, number, source)
        if share >= _WHOLE:
            continue
        said = f"only {100 * share:.0f} % of the region lies in the field of view of {source}"
        for place, m in enumerate(measured):
            if m.source == source and m.quantity != "coverage":
                measured[place] = replace(m, note="; ".join(n for n in (m.note, said) if n))
