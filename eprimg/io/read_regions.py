"""Imported masks: NIfTI labels and DICOM segmentations, on the grid they were drawn on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.errors import EprimgError, GeometryError, InputError, raise_faults
from eprimg.io.bridge import with_rising_slices
from eprimg.io.entries import SeriesEntry
from eprimg.io.read_nifti import read_nifti_labels
from eprimg.io.region_names import region_from_name, region_from_record
from eprimg.io.sidecar import nifti_stem, read_side_car
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region

__all__ = ["read_regions", "region_from_name"]


def read_regions(
    path_or_entry: Path | str | SeriesEntry,
    *,
    names: Mapping[int, str] | Mapping[str, str] | None = None,
    frame_of_reference: str | None = None,
) -> StageResult[LesionSet]:
    """Read regions from a NIfTI label volume or a DICOM segmentation.

    Parameters
    ----------
    path_or_entry : Path or SeriesEntry
        File, or entry of the index (its first file).
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
        E_SEG_EMPTY, E_SEG_LABELS, E_SEG_OVERLAP, E_SEG_FRACTIONAL, E_SEG_READ, E_FOR, E_NII_...
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
    if path.name.lower().endswith((".nii", ".nii.gz")):
        result = _from_nifti(path, _checked_names(names, path.name), frame_of_reference)
    else:
        result = _from_seg(path, _checked_names(names, path.name), frame_of_reference)
    return StageResult(result.value, (*findings, *result.findings))


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
        checked[number] = name.strip()
    return checked


def _side_car_regions(path: Path) -> tuple[dict[int, Region], str | None]:
    """Return the named regions and the frame of reference of the side-car."""
    car = read_side_car(path)
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
        regions[number] = region_from_record(number, record, where=where)
    return regions, str(frame) if frame else None


def _from_nifti(
    path: Path, names: dict[int, str], frame_of_reference: str | None
) -> StageResult[LesionSet]:
    known, own_frame = _side_car_regions(path)
    if frame_of_reference and own_frame and frame_of_reference != own_frame:
        raise GeometryError(
            "the mask's side-car names another frame of reference than the series that it is "
            "said to lie on",
            code="E_FOR",
            where=f"FrameOfReferenceUID of {nifti_stem(path)}.json",
            value=(own_frame, frame_of_reference),
            action="correct masks.on in study.toml, or the side-car",
        )
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
    findings += _absent({n: r.name for n, r in known.items()}, present, path.name)
    regions = tuple(known[n] for n in present)
    findings += _noted(regions, path.name)
    return StageResult(LesionSet(labels, grid, regions, origin=path.name), tuple(findings))


def _absent(names: Mapping[int, str], present: list[int], where: str) -> list[Finding]:
    absent = [f"{n} ({name})" for n, name in sorted(names.items()) if n not in present]
    if not absent:
        return []
    return [
        Finding(
            "W_SEG_EMPTY",
            Severity.WARNING,
            where,
            f"named labels without a single voxel: {', '.join(absent[:12])}",
        )
    ]


def _noted(regions: tuple[Region, ...], where: str) -> list[Finding]:
    doubtful = [r.name for r in regions if r.notes]
    if not doubtful:
        return []
    return [
        Finding(
            "W_LABEL_NAMES",
            Severity.WARNING,
            where,
            f"names that say neither lesion nor organ are taken as lesions: "
            f"{', '.join(doubtful[:12])}",
        )
    ]


def _from_seg(
    path: Path, names: dict[int, str], frame_of_reference: str | None
) -> StageResult[LesionSet]:
    import highdicom as hd

    try:
        seg = hd.seg.segread(path)
        kind = str(seg.SegmentationType)
    except Exception as error:
        raise InputError(
            f"this is not a readable DICOM segmentation ({type(error).__name__})",
            code="E_SEG_READ",
            where=path.name,
            action="give NIfTI labels or a DICOM SEG",
        ) from error
    faults: list[EprimgError] = []
    if kind == "FRACTIONAL":
        faults.append(
            InputError(
                "a fractional segmentation has no borders of its own",
                code="E_SEG_FRACTIONAL",
                where=f"SegmentationType (0062,0001) in {path.name}",
                action="threshold it in the program that made it, and export it as BINARY",
            )
        )
    frame = str(getattr(seg, "FrameOfReferenceUID", "") or "")
    if not frame:
        faults.append(
            GeometryError(
                "the segmentation names no frame of reference",
                code="E_FOR",
                where=f"FrameOfReferenceUID (0020,0052) in {path.name}",
                action="export it again",
            )
        )
    elif frame_of_reference and frame != frame_of_reference:
        faults.append(
            GeometryError(
                "the segmentation lies in another frame of reference than the series that it is "
                "said to lie on",
                code="E_FOR",
                where=f"FrameOfReferenceUID (0020,0052) in {path.name}",
                value=(frame, frame_of_reference),
                action="correct masks.on in study.toml",
            )
        )
    raise_faults(faults)
    labels, affine = _seg_labels(seg, path)
    numbers = [int(n) for n in seg.segment_numbers if int(n) > 0]
    present = [int(n) for n in np.unique(labels) if n]
    if not present:
        raise InputError(
            "the segmentation is empty: no voxel belongs to a segment",
            code="E_SEG_EMPTY",
            where=path.name,
            action="give a segmentation with at least one region",
        )
    known: dict[int, str] = {}
    regions = []
    for number in numbers:
        about = seg.get_segment_description(number)
        name = names.get(number) or str(about.segment_label or f"segment-{number}")
        known[number] = name
        if number in present:
            kind_of = about.segmented_property_type
            regions.append(
                region_from_name(
                    number,
                    name,
                    property_meaning=str(kind_of.meaning) if kind_of else "",
                    tracking_uid=str(about.tracking_uid or ""),
                )
            )
    findings = [*_absent(known, present, path.name), *_noted(tuple(regions), path.name)]
    grid = Grid((labels.shape[0], labels.shape[1], labels.shape[2]), affine, frame)
    return StageResult(LesionSet(labels, grid, tuple(regions), origin=path.name), tuple(findings))


def _seg_labels(seg: Any, path: Path) -> tuple[Any, Any]:
    """Return labels (k, j, i) and affine to LPS of the slab that the segmentation covers."""
    try:
        volume = seg.get_volume(combine_segments=True, dtype=np.uint16)
    except RuntimeError as error:
        if "overlap" in str(error).lower():
            raise InputError(
                "segments overlap: a voxel would belong to two regions",
                code="E_SEG_OVERLAP",
                where=path.name,
                action="separate them, or give one file per segment",
            ) from error
        raise _unplaced(path, error) from error
    except Exception as error:
        raise _unplaced(path, error) from error
    array, affine = with_rising_slices(volume.array, volume.affine)
    return np.ascontiguousarray(array), affine


def _unplaced(path: Path, error: Exception) -> GeometryError:
    return GeometryError(
        f"the segmentation's frames do not make one regular grid ({str(error)[:140]})",
        code="E_SEG_READ",
        where=path.name,
        action="export it again, on the grid of its source",
    )
