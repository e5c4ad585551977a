"""Read a PET or SPECT series: voxels in Bq/mL or SUVbw, and the facts that SUV depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io.entries import SeriesEntry
from eprimg.io.instance import Instance
from eprimg.io.nm_frames import NM_CLASS, nm_datasets, nm_findings
from eprimg.io.pet_checks import ENHANCED_PET
from eprimg.io.pet_enhanced import frame_datasets
from eprimg.io.pet_header import PetHeader, header_from_datasets
from eprimg.io.pet_rules import pet_acquisition
from eprimg.io.pet_units import voxel_rule
from eprimg.io.spect_facts import spect_facts_refused, spect_header
from eprimg.io.stack import StackGeometry, stack_geometry, stack_instances
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, StageResult
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["PetHeaderChecked", "pet_header", "read_pet_series"]

_WHAT = "PET series"
_HALF_COUNT = 0.5
_NOT_A_STACK = frozenset({"E_PET_FRAMES", "E_PET_KIND", "E_NM_GEOMETRY"})
"""Faults after which the geometry of a stack would only be a follow-on fault."""


@dataclass(frozen=True, eq=False, slots=True)
class PetHeaderChecked:
    """What the headers of a PET series say, after every check.

    Parameters
    ----------
    header : PetHeader
        The facts as they stand in the files.
    judged : StageResult of PETAcquisition
        The facts that SUV depends on, and what was noticed about them.
    geometry : StackGeometry
        Where the slices lie.
    instances : tuple of Instance
        The slices, each with its own rescale, in the order of the index.
    spans : tuple
        Range of stored values that the real-world value mapping of a frame covers, if there is one.
    told : tuple of Finding
        What the mapping of frames noticed.
    """

    header: PetHeader
    judged: StageResult[PETAcquisition]
    geometry: StackGeometry
    instances: tuple[Instance, ...]
    spans: tuple[tuple[float, float] | None, ...]
    told: tuple[Finding, ...]


def read_pet_series(
    entry: SeriesEntry,
    *,
    key: str = "pet",
    config: ReadConfig,
    entered: Mapping[str, object] | None = None,
    mode: str = "lenient",
) -> StageResult[Series]:
    """Read a PET series and judge everything that its SUV depends on.

    Parameters
    ----------
    entry : SeriesEntry
        What the index found; its instances are the slices.
    key : str
        Key of the series inside the study.
    config : ReadConfig
        Reading settings.
    entered : Mapping, optional
        Facts that the user entered (see `eprimg.io.pet_entered.ENTERED_KEYS`); they win over the
        header and are recorded.
    mode : {"lenient", "strict"}
        See `eprimg.config.PetConfig`.

    Returns
    -------
    StageResult of Series
        Activity in Bq/mL (after slope and vendor factor), or SUVbw in g/mL where the scanner has
        normalised already, with a `PETAcquisition` that is complete for SUVbw and %ID/kg;
        findings of the header rules and of the stack.

    Raises
    ------
    EprimgError
        All faults of header and geometry together; pixels are read only when there are none.
    """
    checked = pet_header(entry, config=config, entered=entered, mode=mode)
    header, judged, instances = checked.header, checked.judged, checked.instances
    stacked = stack_instances(
        instances, position_tolerance_mm=config.position_tolerance_mm, what=_WHAT
    )
    size = judged.value
    rule = voxel_rule(header, size.weight_kg, size.height_m, size.sex, [])
    if rule is None:
        raise AssertionError("a header that passed has a rule for its voxels")
    pixels = stacked.pixels
    _check_spans(pixels, instances, stacked.instances, checked.spans)
    if rule.factor != 1.0:
        np.multiply(pixels, np.float32(rule.factor), out=pixels)
    acquisition = _in_slice_order(judged.value, instances, stacked.instances)
    series = Series(
        key=key,
        role=Role.PET,
        pixels=Volume(pixels, stacked.grid, quantity(rule.quantity)),
        acquisition=acquisition,
        description=entry.description,
        source_uid=next(iter(entry.series_uids), ""),
        source_hash=stacked.sha256,
        study_uid=entry.study_uid,
        n_files=entry.n_files,
        tracer=header.radiopharmaceutical,
    )
    return StageResult(series, (*checked.told, *judged.findings, *stacked.findings))


def pet_header(
    entry: SeriesEntry,
    *,
    config: ReadConfig,
    entered: Mapping[str, object] | None = None,
    mode: str = "lenient",
) -> PetHeaderChecked:
    """Judge everything that the headers of a PET series say; no pixel is read.

    Parameters
    ----------
    entry, config, entered, mode
        As in `read_pet_series`.

    Returns
    -------
    PetHeaderChecked
        Facts and geometry, both without a fault.

    Raises
    ------
    EprimgError
        All faults of header and geometry together.
    """
    instances = entry.instances
    if not instances:
        raise InputError(
            "the PET series has no slices",
            code="E_PET_KIND",
            where=entry.key,
            action="check the folder with `eprimg scan`",
        )
    spans: Sequence[tuple[float, float] | None] = ()
    before: Sequence[EprimgError] = ()
    told: tuple[Finding, ...] = ()
    spect = any(i.sop_class == NM_CLASS for i in instances)
    if spect:
        mapped = nm_datasets(instances)
        header, faults = header_from_datasets(mapped.datasets, mapped.names)
        spans, before, told = mapped.spans, mapped.faults, nm_findings(mapped)
        header = spect_header(header, entered or {}, faults)
        instances = tuple(
            replace(i, slope=s.slope or 0.0, intercept=s.intercept or 0.0)
            for i, s in zip(instances, header.slices, strict=True)
        )
    elif any(i.sop_class in ENHANCED_PET or i.frame is not None for i in instances):
        mapped = frame_datasets(instances)
        header, faults = header_from_datasets(mapped.datasets, mapped.names)
        spans, before = mapped.spans, mapped.faults
        instances = tuple(
            replace(i, slope=s.slope or 0.0, intercept=s.intercept or 0.0)
            for i, s in zip(instances, header.slices, strict=True)
        )
    else:
        header, faults = header_from_datasets(*_headers(instances))
    faults = [*before, *faults]
    if not spect:
        faults += spect_facts_refused(entered or {})
    judged: StageResult[PETAcquisition] | None = None
    geometry: StackGeometry | None = None
    try:
        judged = pet_acquisition(header, entered=entered, faults=faults, mode=mode)
    except EprimgError as refused:
        faults = list(refused.faults or (refused,))
    if not any(f.code in _NOT_A_STACK for f in faults):
        try:
            geometry = stack_geometry(
                instances, position_tolerance_mm=config.position_tolerance_mm, what=_WHAT
            )
        except EprimgError as refused:
            faults.extend(refused.faults or (refused,))
    raise_faults(faults)
    if judged is None or geometry is None:
        raise AssertionError("a refused header leaves at least one fault")
    return PetHeaderChecked(header, judged, geometry, tuple(instances), tuple(spans), tuple(told))


def _check_spans(
    pixels: npt.NDArray[np.float32],
    read: Sequence[Instance],
    stacked: Sequence[Instance],
    spans: Sequence[tuple[float, float] | None],
) -> None:
    """Refuse stored values outside the range that a frame's real-world value mapping covers."""
    places = {(i.path, i.frame): span for i, span in zip(read, spans, strict=False)}
    for plane, each in zip(pixels, stacked, strict=True):
        span = places.get((each.path, each.frame))
        if span is None:
            continue
        low, high = (float(v) / each.slope for v in (plane.min(), plane.max()))
        if low < span[0] - _HALF_COUNT or high > span[1] + _HALF_COUNT:
            raise InputError(
                f"stored values from {low:.0f} to {high:.0f} leave the range {span[0]:g} to "
                f"{span[1]:g} that the real-world value mapping covers",
                code="E_PET_SLOPE",
                where=f"RealWorldValueMappingSequence (0040,9096), {each.name}",
                action="export the series again",
            )


def _headers(instances: Sequence[Instance]) -> tuple[list[Any], list[str]]:
    """Read the headers of all slices; the index keeps only what every modality needs."""
    import pydicom

    datasets, names = [], []
    for each in instances:
        try:
            datasets.append(pydicom.dcmread(each.path, stop_before_pixels=True, force=True))
        except OSError as error:
            raise InputError(
                f"the file cannot be read: {error.strerror}", code="E_FILE", where=each.path.name
            ) from error
        names.append(each.path.name)
    return datasets, names


def _in_slice_order(
    acquisition: PETAcquisition, read: Sequence[Instance], stacked: Sequence[Instance]
) -> PETAcquisition:
    """Put per-slice facts into the order of the volume's first axis."""
    if not acquisition.frame_times:
        return acquisition
    times = {
        (each.path, each.frame): t for each, t in zip(read, acquisition.frame_times, strict=True)
    }
    return replace(acquisition, frame_times=tuple(times[each.path, each.frame] for each in stacked))
