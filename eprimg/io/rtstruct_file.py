"""What a DICOM RT structure set says: its regions of interest and their contours, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, InputError

__all__ = ["CLOSED", "XOR", "Contour", "Outline", "StructureSet", "read_structure_set"]

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "INTERPOLATED_PLANAR"})
"""Contour Geometric Types (3006,0042) that enclose an area."""
XOR = "CLOSEDPLANAR_XOR"

_CONTOUR_DATA = 0x30060050
_MOST_CONTOURS = 200_000


@dataclass(frozen=True, eq=False, slots=True)
class Contour:
    """One contour.

    Parameters
    ----------
    kind : str
        Contour Geometric Type (3006,0042).
    points_mm : ndarray, shape (n, 3)
        LPS.
    slab_mm : float or None
        Contour Slab Thickness (3006,0044).
    """

    kind: str
    points_mm: npt.NDArray[np.float64]
    slab_mm: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """One region of interest of a structure set (in DICOM: ROI) with its contours.

    Parameters
    ----------
    number : int
        ROI Number (3006,0022).
    name : str
        ROI Name (3006,0026).
    frame_of_reference : str
        Referenced Frame of Reference UID (3006,0024), empty when absent.
    kind : str
        RT ROI Interpreted Type (3006,00A4), e.g. ``GTV``; empty when absent.
    algorithm : str
        ROI Generation Algorithm (3006,0036): ``AUTOMATIC``, ``SEMIAUTOMATIC``, ``MANUAL`` or empty.
    colour : tuple of int or None
        ROI Display Color (3006,002A), 0 to 255.
    contours : tuple of Contour
        All of them.
    faults : tuple of EprimgError
        What makes it unusable.
    """

    number: int
    name: str
    frame_of_reference: str
    kind: str = ""
    algorithm: str = ""
    colour: tuple[int, int, int] | None = None
    contours: tuple[Contour, ...] = ()
    faults: tuple[EprimgError, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class StructureSet:
    """Content of a structure set.

    Parameters
    ----------
    label : str
        Structure Set Label (3006,0002).
    outlines : tuple of Outline
        In the order of the file.
    series_uids : tuple of str
        Series on which was drawn, by RT Referenced Series Sequence (3006,0014).
    sop_uid : str
        SOP Instance UID (0008,0018).
    """

    label: str
    outlines: tuple[Outline, ...]
    series_uids: tuple[str, ...] = field(default=())
    sop_uid: str = ""


def read_structure_set(path: Path) -> StructureSet:
    """Read a structure set.

    Parameters
    ----------
    path : Path
        DICOM file.

    Returns
    -------
    StructureSet
        Its regions of interest; what is wrong with one of them stands in its ``faults``.

    Raises
    ------
    InputError
        ``E_RT_READ`` when it is not a structure set, or holds no region of interest, or the same
        number twice.
    """
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        if str(dataset.get("SOPClassUID", "")) != RT_STRUCTURE_SET:
            raise ValueError("another kind of object")
        found = _structure_set(dataset, path.name)
    except EprimgError:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise InputError(
            f"this is not a readable RT structure set ({type(error).__name__})",
            code="E_RT_READ",
            where=path.name,
            action="export it again, or give NIfTI labels or a DICOM SEG",
        ) from error
    numbers = [o.number for o in found.outlines]
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if not numbers or twice:
        raise InputError(
            "the structure set holds no region"
            if not numbers
            else f"ROI numbers stand more than once: {', '.join(map(str, twice[:6]))}",
            code="E_RT_READ",
            where=path.name,
            action="export it again",
        )
    return found


def _structure_set(dataset: Any, where: str) -> StructureSet:
    frames = list(dataset.get("ReferencedFrameOfReferenceSequence") or [])
    series = [
        str(s.SeriesInstanceUID)
        for f in frames
        for study in f.get("RTReferencedStudySequence") or []
        for s in study.get("RTReferencedSeriesSequence") or []
    ]
    only = str(frames[0].get("FrameOfReferenceUID", "") or "") if len(frames) == 1 else ""
    if not only:
        only = str(dataset.get("FrameOfReferenceUID", "") or "") if len(frames) < 2 else ""
    drawn = {int(i.ReferencedROINumber): i for i in dataset.get("ROIContourSequence") or []}
    about = {int(i.ReferencedROINumber): i for i in dataset.get("RTROIObservationsSequence") or []}
    outlines = []
    for item in dataset.get("StructureSetROISequence") or []:
        number = int(item.ROINumber)
        name = str(item.get("ROIName", "") or "").strip() or f"ROI-{number}"
        place = f"{name} in {where}"
        contours, faults = _contours(drawn.get(number), place)
        observed = about.get(number)
        kind = str(observed.get("RTROIInterpretedType", "") or "") if observed else ""
        outlines.append(
            Outline(
                number,
                name,
                str(item.get("ReferencedFrameOfReferenceUID", "") or "") or only,
                kind.strip().upper(),
                str(item.get("ROIGenerationAlgorithm", "") or "").strip().upper(),
                _colour(drawn.get(number)),
                tuple(contours),
                tuple(faults),
            )
        )
    return StructureSet(
        str(dataset.get("StructureSetLabel", "") or ""),
        tuple(outlines),
        tuple(dict.fromkeys(series)),
        str(dataset.get("SOPInstanceUID", "") or ""),
    )


def _colour(item: Any) -> tuple[int, int, int] | None:
    """Return the colour; one that cannot be read is not worth a word."""
    try:
        red, green, blue = (int(v) for v in item.ROIDisplayColor)
    except (AttributeError, TypeError, ValueError):
        return None
    return (red, green, blue) if all(0 <= v <= 255 for v in (red, green, blue)) else None


def _contours(item: Any, where: str) -> tuple[list[Contour], list[EprimgError]]:
    sequence = list(item.get("ContourSequence") or []) if item is not None else []
    if len(sequence) > _MOST_CONTOURS:
        return [], [_unusable(f"{len(sequence)} contours are more than can be meant", where)]
    contours: list[Contour] = []
    faults: list[EprimgError] = []
    for n, each in enumerate(sequence, start=1):
        kind = str(each.get("ContourGeometricType", "") or "").strip().upper()
        try:
            values = _numbers(each)
            slab = each.get("ContourSlabThickness")
            slab_mm = float(slab) if slab not in (None, "") else None
        except (TypeError, ValueError):
            values, slab_mm = np.array([np.nan]), None
        declared = each.get("NumberOfContourPoints")
        points = values.reshape(-1, 3) if values.size % 3 == 0 else None
        if points is None or not np.isfinite(values).all():
            faults.append(
                _unusable(f"contour {n}: its points are not triples of finite numbers", where)
            )
        elif declared not in (None, "") and int(declared) != len(points):
            faults.append(
                _unusable(
                    f"contour {n}: NumberOfContourPoints (3006,0046) says {int(declared)}, "
                    f"{len(points)} points are there",
                    where,
                )
            )
        else:
            contours.append(Contour(kind, points, slab_mm))
    return contours, faults


def _numbers(contour: Any) -> npt.NDArray[np.float64]:
    """Read Contour Data (3006,0050) without making an object of every number."""
    if _CONTOUR_DATA not in contour:
        return np.empty(0)
    raw = contour.get_item(_CONTOUR_DATA).value
    if isinstance(raw, bytes):
        text = raw.decode("ascii", errors="replace").strip("\0 ")
        return np.array([float(v) for v in text.split("\\")] if text else [], dtype=np.float64)
    return np.atleast_1d(np.array(raw if raw is not None else [], dtype=np.float64))


def _unusable(text: str, where: str) -> InputError:
    return InputError(
        text, code="E_RT_CONTOUR", where=where, action="correct the drawing and export it again"
    )
