"""Regions of one series alone: PET by the engine of the settings, MR from clicks."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.config import SegmentConfig
from eprimg.errors import EngineUnavailable, InputError
from eprimg.kernels.label_boxes import label_boxes, widened_box
from eprimg.kernels.peak import suv_peak
from eprimg.model.case import Finding, Severity
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.stages.candidates import find_candidates

__all__ = ["CLICK_METHODS", "SingleRegions", "seed_indices", "segment_mr", "segment_pet"]

CLICK_METHODS = ("random-walker", "grow-cut", "gradient-watershed")
"""Methods for a click on MR; ``gradient-watershed`` is one of PET as well."""


@dataclass(frozen=True, eq=False, slots=True)
class SingleRegions:
    """Regions of one series.

    Parameters
    ----------
    lesions : LesionSet
        Regions on the grid of the series; none when nothing was found.
    rows : tuple of Mapping
        One per region and per candidate that was left out or failed.
    findings : tuple of Finding
        What was noticed.
    """

    lesions: LesionSet
    rows: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...] = ()


def seed_indices(
    grid: Grid, seeds_lps_mm: Sequence[Sequence[float]], *, where: str = "--seed"
) -> tuple[tuple[int, int, int], ...]:
    """Bring points of the patient to voxels.

    Parameters
    ----------
    grid : Grid
        Of the series.
    seeds_lps_mm : sequence of (x, y, z)
        Points in LPS mm.
    where : str, optional
        What they were given as.

    Returns
    -------
    tuple of (int, int, int)
        Nearest voxels (k, j, i).

    Raises
    ------
    InputError
        ``E_SEG_SEED`` for a point outside the volume.
    """
    found = []
    for seed in seeds_lps_mm:
        index = np.rint(grid.lps_mm_to_index(np.asarray(seed, dtype=np.float64)))
        if not all(0 <= c < n for c, n in zip(index, grid.shape, strict=True)):
            corners = grid.index_to_lps_mm([(0, 0, 0), [n - 1 for n in grid.shape]])
            low, high = corners.min(axis=0), corners.max(axis=0)
            raise InputError(
                f"the {where.removeprefix('--')} point lies outside the volume",
                code="E_SEG_SEED",
                where=where,
                value=tuple(float(c) for c in seed),
                action="points are x,y,z in LPS mm; the volume runs from "
                f"{', '.join(f'{c:.0f}' for c in low)} to {', '.join(f'{c:.0f}' for c in high)}",
            )
        k, j, i = (int(c) for c in index)
        found.append((k, j, i))
    return tuple(found)


def segment_pet(
    values: QuantityMap,
    series: Series,
    config: SegmentConfig,
    *,
    seeds: tuple[tuple[int, int, int], ...] = (),
    organs: LesionSet | None = None,
) -> SingleRegions:
    """Find or outline lesions on one PET map.

    Parameters
    ----------
    values : QuantityMap
        SUVbw, or activity for methods that need no SUV.
    series : Series
        The series that it was made from.
    config : SegmentConfig
        Settings.
    seeds : tuple of (int, int, int)
        Voxels (k, j, i); all candidates are looked for when there are none.
    organs : LesionSet, optional
        Reference regions in the same frame of reference.

    Returns
    -------
    SingleRegions
        Candidates with max, peak and mean, and what was left out.

    Raises
    ------
    EprimgError
        What the engine refuses.
    """
    seen = values.values[values.valid]
    if not seeds and (seen.size == 0 or not seen.max() > max(float(seen.min()), 0.0)):
        raise InputError(
            "nothing can be outlined: the series has no voxel with a value, none above 0, or the "
            "same value everywhere",
            code="E_CONSTANT",
            where=series.description or series.key,
            action="look at the series: it may be empty, or a mask",
        )
    found, findings = find_candidates(values, series, config, organs=organs, seeds=seeds)
    if organs is not None:
        findings += _without_effect(organs, values.grid, series.key)
    outlines = found.settings.get("outlines_of_candidates", {})
    known = outlines if isinstance(outlines, Mapping) else {}
    rows = [_row(values, found, r, known.get(r.name, {}), config.method) for r in found.regions]
    removed = found.settings.get("removed", ())
    for each in removed if isinstance(removed, tuple) else ():
        failed = bool(seeds) and each["reason"] != "removed by a person"
        x, y, z = each["centre_lps_mm"]
        if failed:
            text = f"{each['name']}: {each['reason']}."
            findings.append(Finding("W_SEG_FAILED", Severity.WARNING, series.key, text))
        rows.append(
            {
                "name": each["name"],
                "status": "failed" if failed else "left out",
                "method": config.method,
                "centre_x_lps_mm": x,
                "centre_y_lps_mm": y,
                "centre_z_lps_mm": z,
                "volume_ml": math.nan if failed else each["volume_ml"],
                "note": each["reason"],
            }
        )
    findings += _told(values.valid, found, rows)
    return SingleRegions(found, tuple(rows), tuple(findings))


def _without_effect(organs: LesionSet, grid: Grid, where: str) -> list[Finding]:
    """Tell of a mask of organs that leaves nothing out: no organ in it, or not on this series."""
    names = [r.name for r in organs.regions if r.role == RegionRole.LESION]
    here = np.isin(organs.labels, [r.id for r in organs.regions if r.role != RegionRole.LESION])
    index = grid.lps_mm_to_index(organs.grid.index_to_lps_mm(np.argwhere(here)))
    if np.all((index >= -0.5) & (index <= np.array(grid.shape) - 0.5), axis=-1).any():
        return []
    why = "has no voxel on this series"
    if not here.any():
        why = f"holds no organ, only lesions ({', '.join(names)})"
    text = f"The mask given as reference organs {why}: no candidate was left out for it."
    return [Finding("W_REGION_EMPTY", Severity.WARNING, where, text)]


def _told(
    valid: npt.NDArray[np.bool_], found: LesionSet, rows: Sequence[dict[str, Any]]
) -> list[Finding]:
    """Add to the rows, and tell, what makes the numbers of a region those of a part of it."""
    findings = []
    boxes = label_boxes(found.labels, max((r.id for r in found.regions), default=0))
    by_id = {row["id"]: row for row in rows if "id" in row}
    for region in found.regions:
        box = widened_box(boxes[region.id], (1, 1, 1), found.labels.shape)
        mask = found.labels[box] == region.id
        near = ndimage.binary_dilation(
            mask, np.ones((3, 3, 3), dtype=np.bool_)
        ) | ndimage.binary_fill_holes(mask)
        failed = int(np.count_nonzero(near & ~valid[box]))
        faces = zip(boxes[region.id], found.labels.shape, strict=True)
        notes = []
        if any(part.start == 0 or part.stop == size for part, size in faces):
            notes.append(("W_REGION_CUT", "touches the edge of the field of view"))
        if min(b.stop - b.start for b in boxes[region.id]) == 1:
            notes.append(("W_REGION_FLAT", "lies in a single slice"))
        if failed:
            text = f"{failed} voxels in or beside it have no value; its numbers are of the others"
            notes.append(("W_VOXELS_FAILED", text))
        for code, text in notes:
            findings.append(Finding(code, Severity.WARNING, region.name, f"{region.name}: {text}."))
        row = by_id[region.id]
        row["note"] = "; ".join(n for n in (row.get("note", ""), *(t for _, t in notes)) if n)
    return findings


def segment_mr(
    values: npt.NDArray[np.floating[Any]],
    grid: Grid,
    seeds: Sequence[tuple[int, int, int]],
    *,
    method: str = "",
    background: Sequence[tuple[int, int, int]] = (),
    diameter_mm: float | None = None,
) -> SingleRegions:
    """Outline lesions on MR from one click each.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Signal.
    grid : Grid
        Where the voxels lie.
    seeds : sequence of (int, int, int)
        One voxel (k, j, i) per lesion.
    method : str
        One of `CLICK_METHODS`; that of the kernel when empty.
    background : sequence of (int, int, int)
        Voxels that are no lesion.
    diameter_mm : float, optional
        Rough diameter.

    Returns
    -------
    SingleRegions
        Candidates in the order of the seeds.

    Raises
    ------
    InputError
        ``E_SEG_CLICK`` without a seed.
    EngineUnavailable
        ``E_SEG_CLICK`` when the click methods are not installed.
    """
    if not seeds:
        raise InputError(
            "an MR volume is segmented from a click: there is no seed",
            code="E_SEG_CLICK",
            where="--seed",
            action="give --seed x,y,z (LPS mm) inside the lesion",
        )
    try:
        click: Any = importlib.import_module("eprimg.kernels.click")
    except ImportError as error:
        raise EngineUnavailable(
            f"the click methods for MR cannot be used here: {error}",
            code="E_SEG_CLICK",
            where="eprimg.kernels.click",
            action="install a version of eprimg that has them",
        ) from error
    chosen = {"method": method} if method else {}
    default = inspect.signature(click.click_segment).parameters.get("method")
    name_of_method = method or str(getattr(default, "default", "") or "click")
    labels = np.zeros(grid.shape, dtype=np.int32)
    regions, rows, findings = [], [], []
    for number, seed in enumerate(seeds, start=1):
        made = click.click_segment(
            values,
            grid.spacing_mm,
            seed,
            background_index=tuple(background),
            diameter_mm=diameter_mm,
            **chosen,
        )
        name = f"candidate-{number}"
        mask = np.asarray(getattr(made, "mask", made), dtype=np.bool_) & (labels == 0)
        note = str(getattr(made, "refused", "") or "")
        row: dict[str, Any] = {"name": name, "method": name_of_method, "unit": "arbitrary"}
        if note or not mask.any():
            note = note or "nothing was found that another region does not hold"
            text = f"{name}: {note}."
            findings.append(Finding("W_SEG_FAILED", Severity.WARNING, name, text))
            rows.append({**row, "status": "failed", "note": note})
            continue
        labels[mask] = number
        doubt = str(getattr(made, "doubt", "") or "")
        if doubt:
            text = f"{name}: look at the outline, {doubt}."
            findings.append(Finding("W_CLICK_DOUBT", Severity.WARNING, name, text))
        regions.append(
            Region(
                number,
                name,
                RegionRole.LESION,
                RegionSource.CANDIDATE,
                notes=(doubt,) if doubt else (),
            )
        )
        rows.append({**row, **_measured(values, grid, mask), "id": number, "note": doubt})
    found = LesionSet(labels, grid, tuple(regions), "click")
    findings += _told(np.isfinite(values), found, rows)
    return SingleRegions(found, tuple(rows), tuple(findings))


def _measured(values: npt.NDArray[Any], grid: Grid, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    inside = values[mask].astype(np.float64)
    x, y, z = grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))
    volume = inside.size * grid.voxel_volume_ml
    return {
        "status": "candidate",
        "centre_x_lps_mm": float(x),
        "centre_y_lps_mm": float(y),
        "centre_z_lps_mm": float(z),
        "n_voxels": int(inside.size),
        "volume_ml": volume,
        "equivalent_diameter_mm": float((6000.0 * volume / math.pi) ** (1.0 / 3.0)),
        "max": float(inside.max()),
        "mean": float(inside.mean()),
    }


def _row(
    values: QuantityMap,
    found: LesionSet,
    region: Region,
    outline: Mapping[str, Any],
    method: str,
) -> dict[str, Any]:
    mask = np.asarray(found.labels == region.id)
    usable = mask & values.valid
    row = _measured(values.values, values.grid, usable if usable.any() else mask)
    peak = suv_peak(
        values.values, mask.astype(np.int32), values.grid.spacing_mm, valid=values.valid
    )
    row.update(
        id=region.id,
        name=region.name,
        method=outline.get("method", method),
        n_voxels=int(np.count_nonzero(mask)),
        unit=values.quantity.unit.text,
        peak=float(peak.peak[0]),
        note="; ".join((*region.notes, *_unit_note(values))),
    )
    if "threshold" in outline:
        row.update({k: outline[k] for k in _OUTLINE_KEYS})
    return row


def _unit_note(values: QuantityMap) -> tuple[str, ...]:
    """Say beside the numbers that nobody said what they are."""
    if values.quantity.key != "pet_value":
        return ()
    return ("nobody said in which unit its values are",)


_OUTLINE_KEYS = (
    "volume_ml",
    "equivalent_diameter_mm",
    "threshold",
    "background",
    "below_resolution",
    "clipped",
)
