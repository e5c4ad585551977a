"""Records of a saved case as plain values for JSON, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.io.read_nifti import read_nifti_labels
from eprimg.io.shared_voxels import shared_from_record, shared_record
from eprimg.io.study_file import StudyFile, parse_study_file
from eprimg.io.study_file_help import HELP_SECTIONS
from eprimg.io.write_maps import write_nifti
from eprimg.model.grid import Grid
from eprimg.model.lesions import (
    GROWN_FROM_CLICKS,
    LesionSet,
    Region,
    RegionRole,
    RegionSource,
)
from eprimg.model.tiers import TierScheme

__all__ = [
    "found_at",
    "grid_from_record",
    "grid_record",
    "place_of",
    "read_set",
    "region_from_record",
    "region_record",
    "scheme_record",
    "study_file_from_record",
    "study_file_record",
    "write_set",
]


def region_record(region: Region) -> dict[str, Any]:
    """Describe a region without its numbers.

    Parameters
    ----------
    region : Region
        Any region.

    Returns
    -------
    dict
        What a user said about it; measuring finds the rest again.
    """
    return {
        "id": region.id,
        "name": region.name,
        "role": str(region.role),
        "source": str(region.source),
        "anatomy": region.anatomy,
        "tracking_uid": region.tracking_uid,
        "notes": list(region.notes),
    }


def region_from_record(record: Mapping[str, Any]) -> Region:
    """Make a region from its record.

    Parameters
    ----------
    record : Mapping
        As `region_record` writes it.

    Returns
    -------
    Region
        Without measurements and tiers.
    """
    return Region(
        int(record["id"]),
        str(record["name"]),
        RegionRole(record["role"]),
        RegionSource(record["source"]),
        str(record["anatomy"]),
        str(record["tracking_uid"]),
        notes=tuple(str(n) for n in record["notes"]),
    )


def grid_record(grid: Grid) -> dict[str, Any]:
    """Describe a grid exactly.

    Parameters
    ----------
    grid : Grid
        Any grid.

    Returns
    -------
    dict
        Shape, affine in double precision, frame of reference.
    """
    return {
        "shape": list(grid.shape),
        "affine": grid.affine.tolist(),
        "frame_of_reference": grid.frame_of_reference,
    }


def grid_from_record(record: Mapping[str, Any]) -> Grid:
    """Make a grid from its record.

    Parameters
    ----------
    record : Mapping
        As `grid_record` writes it.

    Returns
    -------
    Grid
        Equal to the one that was described, bit by bit.
    """
    k, j, i = (int(n) for n in record["shape"])
    return Grid(
        (k, j, i), np.array(record["affine"], dtype=np.float64), record["frame_of_reference"]
    )


def scheme_record(scheme: TierScheme) -> dict[str, Any]:
    """Describe a tier scheme as its file does.

    Parameters
    ----------
    scheme : TierScheme
        Any scheme.

    Returns
    -------
    dict
        Content as `eprimg.model.schemes.parse_scheme` takes it.
    """
    record = asdict(scheme)
    del record["source_file"]
    record["edges"] = list(scheme.edges)
    record["labels"] = list(scheme.labels)
    if not scheme.edges:
        del record["edges"]
    return record


def study_file_record(
    study_file: StudyFile, place: Callable[[Path], Mapping[str, str]]
) -> dict[str, Any]:
    """Describe what a user said about a study.

    Parameters
    ----------
    study_file : StudyFile
        Pseudonym, roles, facts, masks, maps.
    place : callable
        Says where a file lies.

    Returns
    -------
    dict
        Sections of the study file; instants as ISO 8601 text.
    """
    content = study_file.to_content()
    for section in ("masks", "maps", *HELP_SECTIONS):
        for item in content.get(section, []):
            if "path" in item:
                item["path"] = dict(place(Path(item["path"])))
    return {"source": study_file.source, "content": content}


def study_file_from_record(
    record: Mapping[str, Any], found: Callable[[Mapping[str, str]], Path]
) -> StudyFile:
    """Make the study file from its record.

    Parameters
    ----------
    record : Mapping
        As `study_file_record` writes it.
    found : callable
        Finds a file where it lies now.

    Returns
    -------
    StudyFile
        Checked content.
    """
    content = dict(record["content"])
    for section in ("masks", "maps", *HELP_SECTIONS):
        content[section] = [
            {**item, "path": str(found(item["path"]))} if "path" in item else item
            for item in content.get(section, [])
        ]
    return parse_study_file(content, source=str(record["source"]), instants_as_text=True)


def write_set(regions: LesionSet, path: Path) -> dict[str, Any]:
    """Write the labels of a set and describe it.

    Parameters
    ----------
    regions : LesionSet
        Any set.
    path : Path
        Label volume to write, ending in ``.nii.gz``.

    Returns
    -------
    dict
        Grid, origin and regions; how regions grew from clicks, if any did.
    """
    largest = int(regions.labels.max(initial=0))
    labels = np.asarray(regions.labels, dtype=np.uint8 if largest < 256 else np.int32)
    write_nifti(labels, regions.grid, path, text="eprimg regions")
    record: dict[str, Any] = {
        "grid": grid_record(regions.grid),
        "origin": regions.origin,
        "regions": [region_record(r) for r in regions.regions],
        **({"shared": shared_record(regions)} if regions.shared else {}),
    }
    grown = regions.settings.get(GROWN_FROM_CLICKS)
    if isinstance(grown, Mapping):
        record[GROWN_FROM_CLICKS] = dict(grown)
    return record


def place_of(target: Path, folder: Path) -> dict[str, str]:
    """Say where something lies, seen from the saved case and on its own.

    Parameters
    ----------
    target : Path
        File or folder.
    folder : Path
        The saved case.

    Returns
    -------
    dict of str to str
        ``path``, and ``relative`` where there is a way from one to the other.
    """
    target, start = target.resolve(), folder.resolve()
    place = {"path": target.as_posix()}
    if target.anchor == start.anchor:
        place["relative"] = Path(os.path.relpath(target, start)).as_posix()
    return place


def found_at(place: Mapping[str, str], folder: Path) -> Path:
    """Find it where it lies now: seen from the saved case as before, else where it was.

    Parameters
    ----------
    place : Mapping of str to str
        As `place_of` writes it.
    folder : Path
        The saved case.

    Returns
    -------
    Path
        It may be gone.
    """
    relative = place.get("relative")
    moved = (folder.resolve() / relative).resolve() if relative else None
    return moved if moved is not None and moved.exists() else Path(place["path"])


def read_set(record: Mapping[str, Any], path: Path) -> LesionSet:
    """Read a set back.

    Parameters
    ----------
    record : Mapping
        As `write_set` returned it.
    path : Path
        Its label volume.

    Returns
    -------
    LesionSet
        The same labels, grid and regions.
    """
    grid = grid_from_record(record["grid"])
    # The record holds the grid exactly; a NIfTI header holds it in single precision.
    labels, _ = read_nifti_labels(path, frame_of_reference=grid.frame_of_reference)
    regions = tuple(region_from_record(each) for each in record["regions"])
    shared = tuple(shared_from_record(each) for each in record.get("shared", ()))
    grown = record.get(GROWN_FROM_CLICKS)
    settings = {GROWN_FROM_CLICKS: dict(grown)} if grown else {}
    return LesionSet(labels, grid, regions, str(record["origin"]), settings, shared=shared)
