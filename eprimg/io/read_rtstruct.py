"""DICOM RT structure sets: contours to labels, on the grid of the series they were drawn on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eprimg.errors import EprimgError, GeometryError, InputError, raise_faults
from eprimg.io.read_seg import doubtful_names
from eprimg.io.region_choice import RegionChoice
from eprimg.io.region_layers import RegionMask, in_layers
from eprimg.io.region_names import region_from_name
from eprimg.io.rtstruct_file import Outline, StructureSet, read_structure_set
from eprimg.io.rtstruct_raster import Rasterised, lies_in_slices, rasterise
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole

__all__ = ["SeriesGrid", "read_rtstruct"]

_NO_TISSUE = frozenset(
    {
        *("EXTERNAL", "SUPPORT", "FIXATION", "BOLUS", "ISOCENTER", "MARKER", "REGISTRATION"),
        *("CONTROL", "DOSE_REGION", "DOSE_MEASUREMENT", "TREATED_VOLUME", "IRRAD_VOLUME"),
        *("BRACHY_CHANNEL", "BRACHY_ACCESSORY", "BRACHY_SRC_APP", "BRACHY_CHNL_SHLD"),
    }
)
"""RT ROI Interpreted Types (3006,00A4) of what is neither a lesion nor an organ."""
_MARGIN = frozenset(("CTV", "PTV", "ITV"))
_MARGIN_NAME = re.compile(r"(?<![A-Za-z])(?:CTV|PTV|ITV)(?![A-Za-z])", re.IGNORECASE)
_POINTS = frozenset(("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"))
_OF_TYPE = {"GTV": "tumour"}
_LARGEST_ID = 65535
_VOLUME = 0.05
"""Relative difference between contours and voxels that is worth a word."""


@dataclass(frozen=True, eq=False, slots=True)
class SeriesGrid:
    """A series on whose voxels contours can be put.

    Parameters
    ----------
    key : str
        E.g. ``pet``.
    grid : Grid
        Its grid.
    uid : str
        Series Instance UID (several, for a joined series, with blanks between), empty when there
        is none.
    """

    key: str
    grid: Grid
    uid: str = ""


def read_rtstruct(
    path: Path | str,
    *,
    series: Sequence[SeriesGrid],
    names: Mapping[int, str] | None = None,
    fill_gaps: bool = False,
    choice: RegionChoice | None = None,
) -> StageResult[tuple[LesionSet, ...]]:
    """Read the regions of a DICOM RT structure set as labels.

    Parameters
    ----------
    path : Path
        The file.
    series : sequence of SeriesGrid
        Series of the study.  A region is put on the one that the file names as drawn on; else on
        the first one of its frame of reference in whose slices its contours lie.
    names : Mapping of int to str, optional
        ROI number -> name, instead of that of the file; a region that is named here is used also
        when its type says that it is neither lesion nor organ.
    fill_gaps : bool
        Fill slices without a contour, between others, by shape-based interpolation.  By default
        they stay empty.  Both is told.
    choice : RegionChoice, optional
        Regions that are wanted, by the name or the number of the ROI, and their role.  Only these
        are looked at, whatever their type is.

    Returns
    -------
    StageResult of tuple of LesionSet
        One set per grid; more when regions share voxels.  Ids are the ROI numbers.  The settings
        of each hold the rule, the volumes that the contours enclose and the colours.

    Raises
    ------
    EprimgError
        ``E_RT_READ``; ``E_RT_GRID`` without a series; when no region is left, the reasons:
        ``E_FOR``, ``E_RT_CONTOUR``, ``E_RT_PLANE``, ``E_RT_GAP``, ``E_SEG_EMPTY``.  While other
        regions can be used, these become findings, but not for regions that were chosen.
        ``E_MASK_ROI`` for a choice that the file does not have.

    Notes
    -----
    A voxel belongs to a region when at least half of it lies inside the contours (DICOM PS3.3
    C.8.8.6: contours enclose areas; CLOSEDPLANAR_XOR combines those of one plane by exclusive or).
    Older files draw holes as contours inside contours without saying so; that is how they are read,
    and it is told.
    """
    path = Path(path)
    found = read_structure_set(path)
    if not series:
        raise InputError(
            "contours have no voxels of their own, and there is no series to put them on",
            code="E_RT_GRID",
            where=path.name,
            action="read it together with the series it was drawn on",
        )
    findings: list[Finding] = []
    faults: list[EprimgError] = []
    asked = dict(names or {})
    choice = choice or RegionChoice()
    wanted = choice.numbers({o.number: o.name for o in found.outlines}, path.name)
    ids = _ids(found, path.name, findings)
    masks: dict[str, list[RegionMask]] = {}
    outlined: dict[str, dict[str, float]] = {}
    outlines = (
        _chosen(found, asked, path.name, findings)
        if wanted is None
        else [o for o in found.outlines if o.number in wanted]
    )
    for outline in outlines:
        where = f"{outline.name} in {path.name}"
        try:
            if wanted is not None and not outline.contours:
                raise InputError("the region has no contour", code="E_SEG_EMPTY", where=where)
            name = asked.get(outline.number, "")
            region = choice.apply(_region(outline, ids[outline.number], name))
            target, own = _target(outline, found, series, where)
            raise_faults(outline.faults)
            voxels = rasterise(
                outline,
                target.grid,
                own_series=own,
                fill_gaps=fill_gaps,
                where=where,
                on=target.key,
            )
            findings += _notes(voxels, where, target)
        except EprimgError as error:
            faults.append(error)
            continue
        masks.setdefault(target.key, []).append(RegionMask(region, voxels.voxels, voxels.corner))
        outlined.setdefault(target.key, {})[str(region.id)] = round(voxels.outlined_ml, 4)
    if not masks or (wanted is not None and faults):
        _nothing_left(faults, path.name)
    findings += [
        Finding.from_error(fault) for error in faults for fault in error.faults or (error,)
    ]
    sets: list[LesionSet] = []
    colours = {str(ids[o.number]): list(o.colour) for o in found.outlines if o.colour}
    for key, of_series in masks.items():
        target = next(s for s in series if s.key == key)
        part = "" if wanted is None else f" ({', '.join(o.name for o in outlines)})"
        settings = {
            f"{path.name}{part}": {
                "rule": "voxels at least half inside the contours",
                "gaps": "interpolated" if fill_gaps else "left empty",
                "drawn_on": key,
                "outlined_ml": outlined[key],
                "colours": {i: c for i, c in colours.items() if i in outlined[key]},
            }
        }
        layers, shared = in_layers(of_series, target.grid, origin=path.name, settings=settings)
        sets += layers
        findings += shared
    findings += doubtful_names([r for s in sets for r in s.regions], path.name)
    return StageResult(tuple(sets), tuple(findings))


def _ids(found: StructureSet, where: str, findings: list[Finding]) -> dict[int, int]:
    """Region ids by ROI number: the same, as long as a label can hold it."""
    numbers = [o.number for o in found.outlines]
    odd = [n for n in numbers if not 1 <= n <= _LARGEST_ID]
    ids = {n: n for n in numbers}
    taken = set(numbers)
    for number in odd:
        ids[number] = next(n for n in range(1, _LARGEST_ID) if n not in taken)
        taken.add(ids[number])
    if odd:
        said = ", ".join(f"{n} became {ids[n]}" for n in odd[:8])
        text = f"ROI numbers that a label cannot hold were replaced: {said}"
        findings.append(Finding("I_IDS_SHIFTED", Severity.INFO, where, text))
    return ids


def _chosen(
    found: StructureSet, asked: Mapping[int, str], where: str, findings: list[Finding]
) -> list[Outline]:
    """Leave out what is no region of tissue, in words."""
    chosen: list[Outline] = []
    aside: list[str] = []
    for outline in found.outlines:
        kinds = {c.kind for c in outline.contours}
        if not outline.contours and not outline.faults:
            aside.append(f"{outline.name} (no contour)")
        elif kinds and kinds <= _POINTS and not outline.faults:
            aside.append(f"{outline.name} ({', '.join(sorted(kinds))}: encloses no volume)")
        elif outline.number in asked:
            chosen.append(outline)
        elif outline.kind in _NO_TISSUE:
            aside.append(f"{outline.name} ({outline.kind})")
        elif outline.kind in _MARGIN or (
            outline.kind != "GTV" and _MARGIN_NAME.search(outline.name.replace("_", " "))
        ):
            aside.append(f"{outline.name} (a planning volume with margins, not the lesion)")
        else:
            chosen.append(outline)
    if aside:
        more = f" and {len(aside) - 12} more" if len(aside) > 12 else ""
        text = (
            f"left out: {', '.join(aside[:12])}{more}. To use one of them, give it a name by its "
            "ROI number in study.toml (masks.names)"
        )
        findings.append(Finding("W_RT_SKIPPED", Severity.WARNING, where, text))
    absent = sorted(set(asked) - {o.number for o in found.outlines})
    if absent:
        text = f"named ROI numbers that the file does not have: {', '.join(map(str, absent[:12]))}"
        findings.append(Finding("W_SEG_EMPTY", Severity.WARNING, where, text))
    return chosen


def _region(outline: Outline, number: int, name: str) -> Region:
    if name:
        return region_from_name(number, name)
    region = region_from_name(number, outline.name, property_meaning=_OF_TYPE.get(outline.kind, ""))
    if region.notes and outline.kind in ("ORGAN", "AVOIDANCE"):
        return replace(region, role=RegionRole.REFERENCE, notes=())
    return region


def _target(
    outline: Outline, found: StructureSet, series: Sequence[SeriesGrid], where: str
) -> tuple[SeriesGrid, bool]:
    """Return the series to put a region on, and whether it was drawn on that series."""
    same = [s for s in series if s.grid.frame_of_reference == outline.frame_of_reference]
    if not outline.frame_of_reference or not same:
        raise GeometryError(
            "the contours lie in a frame of reference that none of the series has"
            if outline.frame_of_reference
            else "the contours name no frame of reference",
            code="E_FOR",
            where=where,
            value=outline.frame_of_reference or None,
            action="add the series on which they were drawn to the study",
        )
    named = set(found.series_uids)
    own = [s for s in same if named & set(s.uid.split())]
    for target in [*own, *same]:
        if lies_in_slices(outline, target.grid):
            return target, target in own
    return (own or same)[0], bool(own)


def _notes(voxels: Rasterised, where: str, target: SeriesGrid) -> list[Finding]:
    """Say what a reader should know; refuse a region that has no voxel."""
    notes = list(voxels.notes)
    volume = int(voxels.voxels.sum()) * target.grid.voxel_volume_ml
    outside = voxels.outside_ml / voxels.outlined_ml if voxels.outlined_ml > 0 else 0.0
    if not volume:
        why = "outside of its field of view" if outside > 0.5 else "smaller than half a voxel there"
        holes = any(code == "W_RT_HOLE" for code, _ in notes)
        taken = [text for code, text in notes if code in ("W_RT_HOLE", "W_RT_PLANES")]
        how = f". How it was read: {'; '.join(taken)}" if taken else ""
        raise InputError(
            f"no voxel of {target.key} lies inside the contours: the region is {why}{how}",
            code="E_SEG_EMPTY",
            where=where,
            action="check on which series it was drawn"
            + (", and whether one outline is there twice" if holes else ""),
        )
    inside_ml = voxels.outlined_ml - voxels.outside_ml
    if outside > 1e-3:
        words = f"{100 * outside:.1f} % of the outlined volume lies outside of the field of view"
        notes.append(("W_RT_OUTSIDE", f"{words} of {target.key}"))
    if abs(volume - inside_ml) > _VOLUME * inside_ml:
        words = (
            f"the contours enclose {inside_ml:.3g} mL, their voxels on {target.key} hold "
            f"{volume:.3g} mL: the voxels are coarse for this region"
        )
        notes.append(("W_RT_VOLUME", words))
    return [Finding(code, Severity.WARNING, where, text) for code, text in notes]


def _nothing_left(faults: Sequence[EprimgError], where: str) -> None:
    raise_faults([fault for error in faults for fault in error.faults or (error,)])
    raise InputError(
        "the structure set holds no lesion and no organ with closed contours",
        code="E_SEG_EMPTY",
        where=where,
        action="name the regions that you want by their ROI numbers in study.toml (masks.names)",
    )
