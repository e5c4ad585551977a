"""Imported masks of every format, on the grid they were drawn on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.config import ReadConfig
from eprimg.errors import InputError
from eprimg.io.entries import SeriesEntry
from eprimg.io.index_nifti import is_nrrd
from eprimg.io.read_nifti import read_nifti_labels
from eprimg.io.read_nrrd import read_nrrd_regions
from eprimg.io.read_rtstruct import SeriesGrid, read_rtstruct
from eprimg.io.read_seg import absent_labels, doubtful_names, read_seg
from eprimg.io.region_choice import RegionChoice
from eprimg.io.region_names import region_from_name, region_from_record
from eprimg.io.rtstruct_file import RT_STRUCTURE_SET
from eprimg.io.shared_voxels import shared_from_side_car, whole_lesions
from eprimg.io.sidecar import nifti_stem, read_side_car
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.distinct_names import distinct_names
from eprimg.model.lesions import LesionSet, Region

__all__ = ["read_region_sets", "read_regions", "region_from_name"]

_IN_FOLDER = 1000
"""Files of one folder that are looked at for masks."""


def read_regions(
    path_or_entry: Path | str | SeriesEntry,
    *,
    names: Mapping[int, str] | Mapping[str, str] | None = None,
    frame_of_reference: str | None = None,
) -> StageResult[LesionSet]:
    """Read regions that fit into one label volume, and nothing that needs a decision.

    Parameters
    ----------
    path_or_entry : Path or SeriesEntry
        File (NIfTI or NRRD labels, DICOM segmentation), or entry of the index (its first file).
    names : Mapping, optional
        Label -> name; else the side-car ``<stem>.json`` (``{"labels": {"1": "liver"}}`` or
        ``{"1": "liver"}``, or tables as in our own ``labels.json``, whose role, anatomy and
        tracking identifier are kept); else labels are taken as lesions, which is noted.
    frame_of_reference : str, optional
        Frame of reference in which a NIfTI mask lies, when its side-car does not say.

    Returns
    -------
    StageResult of LesionSet
        Labels, grid and regions; ids are the label values of the file.

    Raises
    ------
    EprimgError
        E_SEG_EMPTY, E_SEG_LABELS, E_SEG_OVERLAP, E_SEG_FRACTIONAL, E_SEG_READ, E_FOR, E_NII_...,
        E_NRRD, E_RT_GRID.

    See Also
    --------
    read_region_sets : Reads also fractional and overlapping segments and structure sets.
    """
    entry = path_or_entry if isinstance(path_or_entry, SeriesEntry) else None
    if entry is not None and not entry.paths:
        raise InputError("the entry holds no file", code="E_EMPTY", where=entry.key)
    path = entry.paths[0] if entry is not None else Path(str(path_or_entry))
    findings: list[Finding] = []
    if entry is not None and len(entry.paths) > 1:
        findings.append(
            Finding(
                "W_SEG_SEVERAL",
                Severity.WARNING,
                entry.key,
                f"{len(entry.paths)} segmentation files in one series; {path.name} was read, give "
                "the others by name in study.toml",
            )
        )
    known = _checked_names(names, path.name)
    result = _read_file(path, known, frame_of_reference, (), None, RegionChoice())
    if len(result.value) > 1:
        shared = next(f.text for f in result.findings if f.code == "W_SEG_OVERLAP")
        raise InputError(
            "segments overlap: a voxel would belong to two regions. " + shared.partition(". ")[0],
            code="E_SEG_OVERLAP",
            where=path.name,
            action="separate them, or give one file per segment",
        )
    return StageResult(result.value[0], (*findings, *result.findings))


def read_region_sets(
    path_or_entry: Path | str | SeriesEntry,
    *,
    series: Sequence[SeriesGrid] = (),
    names: Mapping[int, str] | Mapping[str, str] | None = None,
    frame_of_reference: str | None = None,
    config: ReadConfig | None = None,
    choice: RegionChoice | None = None,
) -> StageResult[tuple[LesionSet, ...]]:
    """Read all regions of a mask: as many label volumes as are needed to lose none.

    Parameters
    ----------
    path_or_entry : Path or SeriesEntry
        File or folder (NIfTI or NRRD labels, DICOM segmentation, RT structure set), or entry of the
        index (all its files).
    series : sequence of SeriesGrid
        Series of the study: contours are put on one of them.
    names : Mapping, optional
        Label, segment number or ROI number -> name, as in `read_regions`.
    frame_of_reference : str, optional
        Frame of reference in which a NIfTI or NRRD mask lies, when its side-car does not say.
    config : ReadConfig, optional
        Threshold of fractional segmentations, and what to do about gaps between contours.
    choice : RegionChoice, optional
        Regions of the file that are wanted, and their role; all of them, as their names say, when
        left out.

    Returns
    -------
    StageResult of tuple of LesionSet
        One set per file, or more where regions share voxels or lie on different grids.

    Raises
    ------
    EprimgError
        E_EMPTY, E_SEG_EMPTY, E_SEG_LABELS, E_SEG_READ, E_FOR, E_NII_..., E_NRRD, E_RT_...;
        E_MASK_ROI for a region that the file does not have.
    """
    choice = choice or RegionChoice()
    entry = path_or_entry if isinstance(path_or_entry, SeriesEntry) else None
    paths = list(entry.paths) if entry is not None else _files(Path(str(path_or_entry)))
    if not paths:
        where = entry.key if entry is not None else Path(str(path_or_entry)).name
        raise InputError("there is no file to read regions from", code="E_EMPTY", where=where)
    if choice.rois and len(paths) > 1:
        raise InputError(
            f"rois choose regions of one file, and there are {len(paths)}",
            code="E_MASK_ROI",
            where="masks.rois",
            action="name the file, one [[masks]] for each",
        )
    sets: list[LesionSet] = []
    findings: list[Finding] = []
    for path in paths:
        known = _checked_names(names, path.name)
        config = config or ReadConfig()
        result = _read_file(path, known, frame_of_reference, series, config, choice)
        for each in result.value:
            layers, told = whole_lesions(each)
            sets += layers
            findings += told
        findings += result.findings
    for each in sets:
        findings += _flat(each)
    return StageResult(tuple(sets), tuple(findings))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    return [p for p in found if p.suffix.lower() not in (".json", ".toml", ".txt")][:_IN_FOLDER]


def _read_file(
    path: Path,
    names: dict[int, str],
    frame: str | None,
    series: Sequence[SeriesGrid],
    config: ReadConfig | None,
    choice: RegionChoice,
) -> StageResult[tuple[LesionSet, ...]]:
    """Read the regions of one file, and tell those apart that share a name."""
    read = _of_format(path, names, frame, series, config, choice)
    regions = [(n, r) for n, each in enumerate(read.value) for r in each.regions]
    named = distinct_names([r for _, r in regions])
    changed = [(old.name, new.name) for (_, old), new in zip(regions, named, strict=True)]
    changed = [(old, new) for old, new in changed if old != new]
    if not changed:
        return read
    sets = tuple(
        each.with_regions(tuple(r for (k, _), r in zip(regions, named, strict=True) if k == n))
        for n, each in enumerate(read.value)
    )
    twice = ", ".join(repr(name) for name in dict.fromkeys(old for old, _ in changed))
    text = (
        f"{path.name} gives the name {twice} to several regions; they are called "
        f"{', '.join(new for _, new in changed[:12])} here, with their numbers. Each is measured."
    )
    finding = Finding("W_REGIONS_RENAMED", Severity.WARNING, path.name, text)
    return StageResult(sets, (*read.findings, finding))


def _of_format(
    path: Path,
    names: dict[int, str],
    frame: str | None,
    series: Sequence[SeriesGrid],
    config: ReadConfig | None,
    choice: RegionChoice,
) -> StageResult[tuple[LesionSet, ...]]:
    if path.name.lower().endswith((".nii", ".nii.gz")):
        one = _from_nifti(path, names, frame, choice)
        return StageResult((one.value,), one.findings)
    if is_nrrd(path):
        return read_nrrd_regions(path, names=names, frame_of_reference=frame, choice=choice)
    if _is_structure_set(path):
        fill = config is not None and config.contour_gaps == "interpolate"
        return read_rtstruct(path, series=series, names=names, fill_gaps=fill, choice=choice)
    threshold = config.fractional_threshold if config is not None else None
    return read_seg(
        path,
        names=names,
        frame_of_reference=frame,
        fractional_threshold=threshold,
        choice=choice,
    )


def _is_structure_set(path: Path) -> bool:
    import pydicom

    try:
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    except Exception:  # the reader of segmentations says what is wrong with it
        return False
    return str(head.get("SOPClassUID", "")) == RT_STRUCTURE_SET


def _flat(regions: LesionSet) -> list[Finding]:
    """Say which regions lie in a single slice of several: a volume of one slice is a guess."""
    if min(regions.grid.shape) == 1:
        flat = [r.name for r in regions.regions]
    else:
        flat = []
        for region in regions.regions:
            slices = (regions.labels == region.id).any(axis=(1, 2))
            if np.count_nonzero(slices) == 1:
                flat.append(region.name)
    if not flat:
        return []
    text = (
        f"regions in a single slice: {', '.join(flat[:12])}. Their volume is one slice thick, "
        "whatever the lesion is."
    )
    return [Finding("W_REGION_FLAT", Severity.WARNING, regions.origin, text)]


def _checked_names(names: Mapping[Any, str] | None, where: str) -> dict[int, str]:
    checked: dict[int, str] = {}
    for label, name in (names or {}).items():
        try:
            number = int(label)
        except (TypeError, ValueError):
            number = 0
        if number < 1 or not isinstance(name, str) or not name.strip():
            raise InputError(
                'names of labels have the form "1": "liver"',
                code="E_SEG_LABELS",
                where=where,
                value=(label, name),
                action="use whole numbers from 1 on and plain names",
            )
        if number in checked:
            raise InputError(
                f"label {number} is named twice",
                code="E_SEG_LABELS",
                where=where,
                value=(checked[number], name.strip()),
                action="give every label one name",
            )
        checked[number] = name.strip()
    return checked


def _side_car_regions(path: Path, car: Mapping[str, Any]) -> tuple[dict[int, Region], str | None]:
    """Return the named regions and the frame of reference of the side-car."""
    frame = car.get("FrameOfReferenceUID")
    labels = car.get("labels", car.get("Labels"))
    if not isinstance(labels, dict):
        labels = {k: v for k, v in car.items() if re.fullmatch(r"\d+", str(k))}
    where = nifti_stem(path) + ".json"
    records = {k: v for k, v in labels.items() if isinstance(v, Mapping)}
    plain = {k: v for k, v in labels.items() if k not in records}
    regions = {n: region_from_name(n, name) for n, name in _checked_names(plain, where).items()}
    for label, record in records.items():
        # a stand-in name: the table's own is checked with the table
        (number,) = _checked_names({label: "table"}, where)
        if number in regions:
            _checked_names({number: regions[number].name, str(label): "table"}, where)
        regions[number] = region_from_record(number, record, where=where)
    return regions, str(frame) if frame else None


def _from_nifti(
    path: Path, names: dict[int, str], frame_of_reference: str | None, choice: RegionChoice
) -> StageResult[LesionSet]:
    car = read_side_car(path)
    known, own_frame = _side_car_regions(path, car)
    labels, grid = read_nifti_labels(path, frame_of_reference=frame_of_reference or own_frame)
    for n, name in names.items():
        uid = known[n].tracking_uid if n in known else ""
        known[n] = region_from_name(n, name, tracking_uid=uid)
    present = [int(n) for n in np.unique(labels) if n]
    if not present:
        raise InputError(
            "the mask is empty: no voxel carries a label",
            code="E_SEG_EMPTY",
            where=path.name,
            action="give a mask with at least one region",
        )
    findings = []
    unnamed = [n for n in present if n not in known]
    if unnamed:
        stem = nifti_stem(path)
        from_stem = region_from_name(unnamed[0], stem)
        if len(present) == 1 and not from_stem.notes:
            known[unnamed[0]] = from_stem
        else:
            known.update({n: region_from_name(n, f"lesion-{n}") for n in unnamed})
            findings.append(
                Finding(
                    "W_LABEL_NAMES",
                    Severity.WARNING,
                    path.name,
                    f"labels {', '.join(map(str, unnamed[:12]))} have no name; they are taken as "
                    "lesions. Give names in a side-car or in study.toml",
                )
            )
    shared, lost = shared_from_side_car(
        car.get("Shared"), labels, {n: r.name for n, r in known.items()}, path.name
    )
    # a lesion that lies wholly within another one shows no voxel of its own
    present = sorted({*present, *(s.id for s in shared)})
    wanted = choice.numbers({n: known[n].name for n in present}, path.name)
    whole = LesionSet(
        labels, grid, tuple(known[n] for n in present), origin=path.name, shared=shared
    )
    if wanted is not None:
        # what a region that is left out shows of another one is that one's
        labels = whole.labels_without([n for n in present if n not in wanted])
        present = [n for n in present if n in wanted]
        whole = replace(
            whole,
            labels=labels.astype(np.int32),
            shared=tuple(s for s in shared if {s.id, s.owner} <= set(present)),
        )
        findings = []
    else:
        findings += absent_labels({n: r.name for n, r in known.items()}, present, path.name)
    regions = tuple(choice.apply(known[n]) for n in present)
    findings += [*doubtful_names(list(regions), path.name), *lost]
    return StageResult(whole.with_regions(regions), tuple(findings))
