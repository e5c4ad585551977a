"""Multi-echo MR series into an echo stack: one grid, float32, one echo time per entry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eprimg.config import ReadConfig
from eprimg.errors import GeometryError, InputError
from eprimg.io.complex_echoes import DicomComplexEchoes
from eprimg.io.echo_checks import (
    TRUE_TIMES,
    check_echo_numbers,
    one_time_for_all,
    timing_findings,
)
from eprimg.io.echo_times import check_echo_times_ms
from eprimg.io.entries import SeriesEntry
from eprimg.io.frame_types import by_echo, is_spin_echo
from eprimg.io.image_notes import image_notes
from eprimg.io.instance import Instance
from eprimg.io.mr_scale import one_scale
from eprimg.io.pixels import read_pixels, require_readable
from eprimg.io.sidecar import seconds_from_ms
from eprimg.io.stack import StackGeometry, stack_geometry
from eprimg.model.acquisition import Known, MRAcquisition, Origin
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity

__all__ = ["echo_geometry", "read_mr_series"]


def read_mr_series(
    entry: SeriesEntry,
    *,
    key: str,
    role: Role,
    config: ReadConfig,
    agent_phase: str = "unknown",
) -> StageResult[Series]:
    """Read a multi-echo magnitude series.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    key : str
        Key of the series in the study.
    role : Role
        What it is used for.
    config : ReadConfig
        Tolerances.
    agent_phase : str
        ``pre``, ``post`` or ``unknown``.

    Returns
    -------
    StageResult of Series
        Echo stack of float32, shape (k, j, i, echo), each slice with its own rescale applied.

    Raises
    ------
    EprimgError
        E_MOSAIC, E_IMAGETYPE, E_ECHO, E_GRID_MISMATCH and those of `stack_instances`.
    """
    if entry.source == "nifti":
        from eprimg.io.nifti_complex import read_nifti_entry

        return read_nifti_entry(entry, key=key, role=role, agent_phase=agent_phase)
    what = f"series {entry.key}"
    findings: list[Finding] = []
    times, trains = echo_geometry(entry, config)
    findings += timing_findings(by_echo(entry.instances), entry.key)
    findings += _distinct(f for train in trains for f in train.findings)
    notes = image_notes([train.instances for train in trains])
    trains, scale_findings = one_scale(trains, entry.key)
    findings += scale_findings
    grid = trains[0].grid
    data = np.empty((*grid.shape, len(times)), dtype=np.float32)
    digest = hashlib.sha256()
    for n, train in enumerate(trains):
        digest.update(f"{times[n]!r}|".encode())
        digest.update(read_pixels(train.instances, data[..., n], what=what).encode())
    expected = max((f.echo_train_length or 0) for f in entry.instances)
    if expected > len(times):
        findings.append(
            Finding(
                "W_ECHO_COUNT",
                Severity.WARNING,
                entry.key,
                f"EchoTrainLength (0018,0091) says {expected}, {len(times)} echo times are there",
            )
        )
    if len(times) == 2:
        findings.append(
            Finding(
                "I_TWO_ECHOES",
                Severity.INFO,
                entry.key,
                "two echoes give R2* without a standard error and without a check of the model",
            )
        )
    first = trains[0].instances[0]
    series = Series(
        key=key,
        role=role,
        pixels=EchoStack(
            Volume(data, grid, quantity("signal")), tuple(map(seconds_from_ms, times))
        ),
        acquisition=replace(_acquisition(first, times, agent_phase), image_notes=notes),
        description=entry.description,
        source_uid=first.series_uid,
        source_hash=digest.hexdigest(),
        study_uid=entry.study_uid,
        n_files=len({f.path for train in trains for f in train.instances}),
        complex_echoes=_complex_echoes(entry, config),
    )
    return StageResult(series, tuple(findings))


def echo_geometry(
    entry: SeriesEntry, config: ReadConfig
) -> tuple[list[float], list[StackGeometry]]:
    """Check everything that the headers of a DICOM echo train say; no pixel is read.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    config : ReadConfig
        Tolerances.

    Returns
    -------
    list of float
        Echo times in ms, in the order of the index.
    list of StackGeometry
        The slices of each echo, all on one grid.

    Raises
    ------
    EprimgError
        As `read_mr_series`, for what needs no pixel.
    """
    what = f"series {entry.key}"
    _check_frames(entry, what)
    groups = by_echo(entry.instances)
    times = [t for t in groups if t is not None]
    _check_echoes(entry, groups.get(None, []), times, what)
    trains = [
        stack_geometry(
            groups[t],
            position_tolerance_mm=config.position_tolerance_mm,
            what=f"{what}, echo {t:g} ms",
        )
        for t in times
    ]
    _check_same_grid(trains, times, what)
    for train in trains:
        require_readable(train.instances, what=what)
    return times, trains


def _complex_echoes(entry: SeriesEntry, config: ReadConfig) -> DicomComplexEchoes | None:
    """Name the frames of the complex signal; nothing of them is read here."""
    if not entry.companions:
        return None
    field = _known(entry.instances[0].field_strength_t, 1.0, "MagneticFieldStrength (0018,0087)")
    return DicomComplexEchoes(entry.companions, entry.key, config.position_tolerance_mm, field)


def _check_frames(entry: SeriesEntry, what: str) -> None:
    if entry.instances:
        return
    words = "; ".join(f"{n} {reason}" for reason, n in entry.dropped) or "no frames"
    if any("mosaic" in reason for reason, _ in entry.dropped):
        raise InputError(
            f"{what} holds mosaics, many slices tiled into one frame: {words}",
            code="E_MOSAIC",
            where="ImageType (0008,0008)",
            action="export it as enhanced DICOM, or convert it to NIfTI with side-cars",
        )
    raise InputError(
        f"{what} has no magnitude frames ({words})",
        code="E_IMAGETYPE",
        where="ImageType (0008,0008)",
        action="give the magnitude series",
    )


def _check_echoes(
    entry: SeriesEntry, without: list[Instance], times: list[float], what: str
) -> None:
    tag = "EchoTime (0018,0081) or EffectiveEchoTime (0018,9082)"
    if all(is_spin_echo(f) for f in entry.instances):
        raise InputError(
            f"{what} is a spin echo: its decay gives R2, not R2*",
            code="E_ECHO",
            where="ScanningSequence (0018,0020)",
            action="give a multi-echo gradient-echo series",
        )
    if without:
        raise InputError(
            f"{what}: {len(without)} of {len(entry.instances)} frames have no echo time",
            code="E_ECHO",
            where=f"{tag} in {without[0].name}",
            action="export the series again, or convert it to NIfTI and give --echo-times-ms",
        )
    shortest_everywhere = one_time_for_all(entry.instances)
    if shortest_everywhere:
        raise InputError(
            f"{what}: {shortest_everywhere}",
            code="E_ECHO",
            where=f"{tag} in {entry.instances[0].name}",
            value=times,
            action=TRUE_TIMES,
        )
    if len(times) < 2 and entry.dropped:
        words = " and ".join(f"{n} {reason}" for reason, n in entry.dropped)
        field_map = any("field-map" in reason for reason, _ in entry.dropped)
        raise InputError(
            f"{what} has a single magnitude echo ({times[0]:g} ms, {len(entry.instances)} frames) "
            f"and {words}"
            + ("; it is a field map, not an echo train" if field_map else "")
            + ": R2* needs magnitude at two or more echo times",
            code="E_ECHO",
            where=tag,
            value=times,
            action="give a multi-echo gradient-echo series",
        )
    check_echo_times_ms(times, where=f"{tag} of {what}")
    check_echo_numbers(by_echo(entry.instances), what)


def _check_same_grid(trains: list[StackGeometry], times: list[float], what: str) -> None:
    first = trains[0]
    counts = [t.grid.shape[0] for t in trains]
    if len(set(counts)) > 1:
        listed = ", ".join(f"{n} at {t:g} ms" for n, t in zip(counts, times, strict=True))
        raise GeometryError(
            f"{what}: the echoes differ in their number of slices ({listed})",
            code="E_GEOM_GAP",
            where="ImagePositionPatient (0020,0032)",
            action="transfer the series again, completely",
        )
    for train, time in zip(trains[1:], times[1:], strict=True):
        if not train.grid.matches(first.grid):
            raise GeometryError(
                f"{what}: echo {time:g} ms lies on another grid than echo {times[0]:g} ms "
                f"({train.grid!r} and {first.grid!r})",
                code="E_GRID_MISMATCH",
                action="give the echoes of one acquisition",
            )


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Keep one finding per code and text without the echo's name (all echoes say the same)."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.code, finding.text), finding)
    return list(kept.values())


def _known(value: float | None, factor: float, where: str) -> Known[float]:
    return Known(where=where) if value is None else Known(value * factor, Origin.HEADER, where)


def _acquisition(first: Instance, times: list[float], agent_phase: str) -> MRAcquisition:
    return MRAcquisition(
        echo_times_s=tuple(map(seconds_from_ms, times)),
        field_strength_t=_known(first.field_strength_t, 1.0, "MagneticFieldStrength (0018,0087)"),
        agent_phase=agent_phase,
        manufacturer=first.manufacturer,
        model=first.model,
        sequence=first.sequence_name or first.scanning_sequence,
        repetition_time_s=_known(first.repetition_time_ms, 1e-3, "RepetitionTime (0018,0080)"),
        flip_angle_deg=_known(first.flip_angle_deg, 1.0, "FlipAngle (0018,1314)"),
    )
