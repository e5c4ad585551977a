"""Read maps that were made elsewhere (Ktrans, ve, vp, perfusion, R2 ...) as covariates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, GeometryError, InputError, UnitsError, raise_faults
from eprimg.io.bridge import with_rising_slices
from eprimg.io.read_nifti import read_nifti_volume
from eprimg.io.sidecar import read_side_car
from eprimg.io.study_file_maps import MapEntry
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.maps import ExternalMap, QuantityMap
from eprimg.model.study import Placed
from eprimg.quantities import Quantity, quantity

__all__ = ["read_external_map", "read_external_maps"]

_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"


def read_external_maps(
    entries: Sequence[MapEntry], series: Sequence[Placed], *, where: str
) -> StageResult[tuple[ExternalMap, ...]]:
    """Read all maps that a study file names.

    Parameters
    ----------
    entries : sequence of MapEntry
        From the study file.
    series : sequence of Placed
        Series of the study.
    where : str
        Name of the study file, for messages.

    Returns
    -------
    StageResult of tuple of ExternalMap
        In the order of the study file.

    Raises
    ------
    EprimgError
        All faults of all maps; see `read_external_map`.
    """
    maps: list[ExternalMap] = []
    findings: list[Finding] = []
    faults: list[EprimgError] = []
    for entry in entries:
        try:
            result = read_external_map(entry, series, where=where)
        except EprimgError as error:
            faults.append(error)
            continue
        maps.append(result.value)
        findings += result.findings
    raise_faults(faults)
    return StageResult(tuple(maps), tuple(findings))


def read_external_map(
    entry: MapEntry, series: Sequence[Placed], *, where: str
) -> StageResult[ExternalMap]:
    """Read one map and join it to the series whose frame of reference it shares.

    Parameters
    ----------
    entry : MapEntry
        Path, quantity and what was said of frame and unit.
    series : sequence of Placed
        Series of the study.
    where : str
        Name of the study file, for messages.

    Returns
    -------
    StageResult of ExternalMap
        The map on its own grid; ``I_EXTERNAL_MAP`` says what was read and how many voxels are
        missing.

    Raises
    ------
    GeometryError
        ``E_FOR`` when it is not known, or contradictory, in which frame the map lies.
    UnitsError
        ``E_EXTERNAL_MAP_UNIT`` when a DICOM map states another unit or another quantity.
    InputError
        ``E_EXTERNAL_MAP`` when it is no 3-D map or holds no finite value, ``E_STUDY_FILE`` when
        ``on`` names no series, the codes of `eprimg.io.read_nifti.read_nifti_volume`.
    """
    kind = quantity(entry.quantity)
    own = _series_of(entry, series, where)
    if entry.path.name.lower().endswith((".nii", ".nii.gz")):
        values, grid = _from_nifti(entry, own, series)
        stated = entry.unit
    else:
        values, grid = _from_dicom(entry, kind)
        stated = kind.unit.text
    on = own or next(
        (s for s in series if s.grid.frame_of_reference == grid.frame_of_reference), None
    )
    if on is None or on.grid.frame_of_reference != grid.frame_of_reference:
        raise GeometryError(
            f"the map {entry.key} lies in no frame of reference of this study"
            if on is None
            else f"the map {entry.key} lies in another frame of reference than {on.key}, on which "
            "it is said to lie",
            code="E_FOR",
            where=entry.path.name,
            value=grid.frame_of_reference,
            action="say in study.toml on which series it lies (maps.on); a map of another session "
            "has to be resampled to one of the series first",
        )
    valid = np.isfinite(values)
    if not valid.any():
        raise InputError(
            f"the map {entry.key} holds no finite value",
            code="E_EXTERNAL_MAP",
            where=entry.path.name,
            action="give a map with values",
        )
    kept = np.where(valid, values, np.float32(np.nan)).astype(np.float32, copy=False)
    map_ = QuantityMap(
        values=kept,
        grid=grid,
        quantity=kind,
        valid=valid,
        method=f"{kind.name} read from {entry.path.name}; made elsewhere, not checked.",
        sources=(on.key,),
        facts={"unit_stated": stated, "phase": entry.phase},
    )
    digest = hashlib.sha256(np.ascontiguousarray(kept).data).hexdigest()
    missing = int(valid.size - np.count_nonzero(valid))
    unit = kind.unit.text
    said = f"{unit}, as stated" if stated else f"{unit} taken for granted: no unit was stated"
    text = (
        f"{entry.path.name} is measured as {kind.name} ({said}) in the frame of {on.key}. "
        f"{missing} of {valid.size} voxels are not finite and count as missing. It is a covariate "
        "and places nothing in a tier."
    )
    finding = Finding("I_EXTERNAL_MAP", Severity.INFO, entry.key, text)
    return StageResult(ExternalMap(entry.key, on.key, map_, entry.phase, digest), (finding,))


def _series_of(entry: MapEntry, series: Sequence[Placed], where: str) -> Placed | None:
    if not entry.on:
        return None
    found = next((s for s in series if entry.on in (s.key, str(s.role))), None)
    if found is None:
        raise InputError(
            f"maps.on names {entry.on!r}, which is not among the series that are read",
            code="E_STUDY_FILE",
            where=where,
            action=f"use one of {', '.join(s.key for s in series)}",
        )
    return found


def _from_nifti(
    entry: MapEntry, own: Placed | None, series: Sequence[Placed]
) -> tuple[npt.NDArray[Any], Grid]:
    """Read a NIfTI map; a frame in its side-car is believed before what the user says."""
    written = str(read_side_car(entry.path).get("FrameOfReferenceUID") or "")
    frame = written or (own.grid.frame_of_reference if own is not None else "")
    volume = read_nifti_volume(entry.path, entry.quantity, frame_of_reference=frame or None)
    if volume.data.ndim != 3:
        raise InputError(
            f"the map {entry.key} has several values per voxel",
            code="E_EXTERNAL_MAP",
            where=entry.path.name,
            value=volume.data.shape,
            action="give one 3-D map per file",
        )
    return volume.data, volume.grid


def _from_dicom(entry: MapEntry, kind: Quantity) -> tuple[npt.NDArray[Any], Grid]:
    import highdicom as hd

    name = entry.path.name
    try:
        image = hd.imread(entry.path)
        sort = str(image.SOPClassUID)
    except Exception as error:
        raise _unreadable(name, type(error).__name__) from error
    if sort != _PARAMETRIC_MAP:
        raise _unreadable(name, f"SOP class {sort}")
    mappings = _mappings(image)
    _check_meaning(mappings, kind, name)
    slope, intercept = _line(mappings, name)
    try:
        # Stored values: a real world value mapping takes those, not rescaled ones (PS3.3 C.7.6.16).
        volume = image.get_volume(apply_real_world_transform=False, apply_modality_transform=False)
        stored, affine = with_rising_slices(np.asarray(volume.array, np.float64), volume.affine)
        array = (slope * stored + intercept).astype(np.float32)
    except Exception as error:
        raise _unreadable(name, str(error)[:140]) from error
    frame = str(getattr(image, "FrameOfReferenceUID", "") or "")
    if not frame:
        raise GeometryError(
            f"the map {entry.key} names no frame of reference",
            code="E_FOR",
            where=f"FrameOfReferenceUID (0020,0052) in {name}",
            action="export it again",
        )
    if array.ndim != 3:
        raise _unreadable(name, f"{array.ndim} axes")
    k, j, i = array.shape
    return array, Grid((k, j, i), affine, frame)


def _mappings(image: Any) -> list[Any]:
    """All real world value mappings of a DICOM map, shared and per frame."""
    groups = [
        *getattr(image, "SharedFunctionalGroupsSequence", []),
        *getattr(image, "PerFrameFunctionalGroupsSequence", []),
    ]
    return [m for g in groups for m in getattr(g, "RealWorldValueMappingSequence", [])]


def _line(mappings: list[Any], name: str) -> tuple[float, float]:
    """Slope and intercept from stored to real values, the same for all frames."""
    try:
        lines = {(float(m.RealWorldValueSlope), float(m.RealWorldValueIntercept)) for m in mappings}
    except (AttributeError, TypeError, ValueError) as error:
        raise _unreadable(name, "a mapping to real values without slope and intercept") from error
    if len(lines) != 1:
        raise _unreadable(name, f"{len(lines)} different mappings to real values")
    return lines.pop()


def _check_meaning(mappings: list[Any], kind: Quantity, name: str) -> None:
    """Refuse a DICOM map whose own words contradict the study file."""
    units = {str(m.MeasurementUnitsCodeSequence[0].CodeValue) for m in mappings}
    if units != {kind.unit.ucum}:
        raise UnitsError(
            f"the map states the unit {', '.join(sorted(units)) or 'none'}, and {kind.name} is "
            f"taken in {kind.unit.text} ({kind.unit.ucum})",
            code="E_EXTERNAL_MAP_UNIT",
            where=f"MeasurementUnitsCodeSequence (0040,08EA) in {name}",
            action="convert the map; nothing is converted silently",
        )
    codes = {
        str(code.CodeValue)
        for m in mappings
        for item in getattr(m, "QuantityDefinitionSequence", [])
        for code in getattr(item, "ConceptCodeSequence", [])
    }
    if codes and kind.code.scheme == "DCM" and kind.code.value not in codes:
        raise UnitsError(
            f"the map states the quantity {', '.join(sorted(codes))}, not {kind.name} "
            f"({kind.code.value})",
            code="E_EXTERNAL_MAP_UNIT",
            where=f"QuantityDefinitionSequence (0040,9220) in {name}",
            action="correct maps.quantity in study.toml",
        )


def _unreadable(name: str, why: str) -> InputError:
    return InputError(
        f"this is neither NIfTI nor a readable DICOM parametric map ({why})",
        code="E_EXTERNAL_MAP",
        where=name,
        action="give a NIfTI file or a DICOM parametric map; eprimg map writes an SUV map of a "
        "PET series",
    )
