"""DICOM segmentations: binary, fractional and label map, also with segments that overlap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, GeometryError, InputError, raise_faults
from eprimg.io.bridge import with_rising_slices
from eprimg.io.region_choice import RegionChoice
from eprimg.io.region_layers import RegionMask, in_layers
from eprimg.io.region_names import region_from_name
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region

__all__ = ["absent_labels", "doubtful_names", "read_seg"]

_MEANT = {
    "OCCUPANCY": "the part of the voxel that the segment fills",
    "PROBABILITY": "the probability that the voxel belongs to the segment",
}
"""What the numbers of a fractional segmentation mean (0062,0010)."""


def read_seg(
    path: Path,
    *,
    names: Mapping[int, str] | None = None,
    frame_of_reference: str | None = None,
    fractional_threshold: float | None = None,
    choice: RegionChoice | None = None,
) -> StageResult[tuple[LesionSet, ...]]:
    """Read the regions of a DICOM segmentation on the grid that it was drawn on.

    Parameters
    ----------
    path : Path
        The file.
    names : Mapping of int to str, optional
        Segment number -> name, instead of that of the file.
    frame_of_reference : str, optional
        Frame of reference that it has to have.
    fractional_threshold : float, optional
        Voxels of a fractional segmentation with at least this value belong to a region (0 to 1);
        refused when left out.
    choice : RegionChoice, optional
        Segments that are wanted, by label or number, and their role.

    Returns
    -------
    StageResult of tuple of LesionSet
        One set; more when segments share voxels.  Ids are the segment numbers.

    Raises
    ------
    EprimgError
        E_SEG_READ, E_SEG_FRACTIONAL, E_SEG_EMPTY, E_FOR, E_MASK_ROI.
    """
    import highdicom as hd

    try:
        seg = hd.seg.segread(path)
        kind = str(seg.SegmentationType)
    except Exception as error:
        raise InputError(
            f"this is not a readable DICOM segmentation ({type(error).__name__})",
            code="E_SEG_READ",
            where=path.name,
            action="give NIfTI labels, a DICOM SEG or an RT structure set",
        ) from error
    faults: list[EprimgError] = []
    if kind == "FRACTIONAL" and fractional_threshold is None:
        faults.append(
            InputError(
                "a fractional segmentation has no borders of its own",
                code="E_SEG_FRACTIONAL",
                where=f"SegmentationType (0062,0001) in {path.name}",
                action="threshold it in the program that made it, and export it as BINARY; or read "
                "it with read.fractional_threshold",
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
    findings: list[Finding] = []
    settings: dict[str, object] = {}
    if kind == "FRACTIONAL":
        meaning = str(getattr(seg, "SegmentationFractionalType", "") or "")
        threshold = float(fractional_threshold or 0.0)
        settings = {
            path.name: {"fractional_type": meaning, "fractional_threshold": threshold},
        }
        text = (
            f"The segmentation is fractional ({_MEANT.get(meaning, 'of an unknown kind')}): voxels "
            f"with at least {threshold:g} belong to a region (read.fractional_threshold)."
        )
        findings.append(Finding("W_SEG_FRACTIONAL", Severity.WARNING, path.name, text))
    numbers = sorted({int(n) for n in seg.segment_numbers if int(n) > 0})
    choice = choice or RegionChoice()
    own = {n: str(seg.get_segment_description(n).segment_label or f"segment-{n}") for n in numbers}
    wanted = choice.numbers(own, path.name)
    regions = {
        n: choice.apply(_region(seg, n, (names or {}).get(n, "")))
        for n in numbers
        if wanted is None or n in wanted
    }
    masks, grid = _masks(seg, kind, regions, frame, fractional_threshold, path)
    if not masks:
        raise InputError(
            "the segmentation is empty: no voxel belongs to a segment",
            code="E_SEG_EMPTY",
            where=path.name,
            action="give a segmentation with at least one region",
        )
    sets, shared = in_layers(masks, grid, origin=path.name, settings=settings)
    present = [m.region.id for m in masks]
    findings += shared
    known = {n: r.name for n, r in regions.items()}
    known |= {n: name for n, name in (names or {}).items() if n not in own}
    findings += absent_labels(known, present, path.name)
    findings += doubtful_names([m.region for m in masks], path.name)
    return StageResult(sets, tuple(findings))


def _region(seg: Any, number: int, name: str) -> Region:
    about = seg.get_segment_description(number)
    kind_of = about.segmented_property_type
    return region_from_name(
        number,
        name or str(about.segment_label or f"segment-{number}"),
        property_meaning=str(kind_of.meaning) if kind_of else "",
        tracking_uid=str(about.tracking_uid or ""),
    )


def _masks(
    seg: Any,
    kind: str,
    regions: Mapping[int, Region],
    frame: str,
    threshold: float | None,
    path: Path,
) -> tuple[list[RegionMask], Grid]:
    """Return every segment that has a voxel, and the grid of the slab that they cover."""
    if kind != "FRACTIONAL":
        try:
            labels, affine = _volume(seg, path, combine_segments=True, dtype=np.uint16)
        except _OverlapError:
            pass
        else:
            found = _found(regions, lambda n: labels == n)
            return found, Grid(labels.shape, affine, frame)
    found = []
    grid: Grid | None = None
    for number, region in regions.items():  # one at a time: they may be many, and large
        values, affine = _volume(
            seg,
            path,
            segment_numbers=[number],
            combine_segments=False,
            dtype=np.float32 if kind == "FRACTIONAL" else np.uint8,
        )
        values = values[..., 0]
        grid = grid or Grid(values.shape, affine, frame)
        inside = values >= threshold if kind == "FRACTIONAL" else values > 0
        found += _found({number: region}, lambda _, inside=inside: inside)
    assert grid is not None
    return found, grid


def _found(regions: Mapping[int, Region], voxels_of: Any) -> list[RegionMask]:
    masks = []
    for number, region in regions.items():
        voxels = voxels_of(number)
        if not voxels.any():
            continue
        along = [np.flatnonzero(voxels.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))]
        place = tuple(slice(int(a[0]), int(a[-1]) + 1) for a in along)
        corner = (int(along[0][0]), int(along[1][0]), int(along[2][0]))
        masks.append(RegionMask(region, np.ascontiguousarray(voxels[place]), corner))
    return masks


class _OverlapError(Exception):
    """Segments share voxels: one label volume cannot hold them."""


def _volume(
    seg: Any, path: Path, **options: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return an array (k, j, i[, segment]) and its affine to LPS."""
    try:
        volume = seg.get_volume(**options)
    except Exception as error:
        if isinstance(error, RuntimeError) and "overlap" in str(error).lower():
            raise _OverlapError from error
        raise GeometryError(
            f"the segmentation's frames do not make one regular grid ({str(error)[:140]})",
            code="E_SEG_READ",
            where=path.name,
            action="export it again, on the grid of its source",
        ) from error
    return with_rising_slices(volume.array, volume.affine)


def absent_labels(names: Mapping[int, str], present: list[int], where: str) -> list[Finding]:
    """Say which named labels have no voxel.

    Parameters
    ----------
    names : Mapping of int to str
        Label -> name.
    present : list of int
        Labels with voxels.
    where : str
        File, for messages.

    Returns
    -------
    list of Finding
        ``W_SEG_EMPTY``, or nothing.
    """
    absent = [f"{n} ({name})" for n, name in sorted(names.items()) if n not in present]
    if not absent:
        return []
    text = f"named labels without a single voxel: {', '.join(absent[:12])}"
    return [Finding("W_SEG_EMPTY", Severity.WARNING, where, text)]


def doubtful_names(regions: list[Region], where: str) -> list[Finding]:
    """Say which names mean neither a lesion nor an organ.

    Parameters
    ----------
    regions : list of Region
        Records, as `region_from_name` makes them.
    where : str
        File, for messages.

    Returns
    -------
    list of Finding
        ``W_LABEL_NAMES``, or nothing.
    """
    doubtful = [r.name for r in regions if r.notes]
    if not doubtful:
        return []
    text = (
        f"names that say neither lesion nor organ are taken as lesions: {', '.join(doubtful[:12])}"
    )
    return [Finding("W_LABEL_NAMES", Severity.WARNING, where, text)]
