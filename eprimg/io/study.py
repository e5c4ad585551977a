"""From a folder to a Study: plan the roles from headers, then read the pixels once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.config import Config
from eprimg.errors import (
    Cancelled,
    EprimgError,
    cancellable,
    raise_faults,
)
from eprimg.io.entries import refuse_damaged
from eprimg.io.index import SeriesEntry
from eprimg.io.series_head import ct_in_nifti
from eprimg.io.study_parts import read_parts
from eprimg.io.study_plan import READ_ROLES, Progress, StudyPlan, check_plan, plan_study
from eprimg.io.time_points import check_pet_points, point_keys, with_primaries
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.manual_help import ManualHelp
from eprimg.model.maps import ExternalMap
from eprimg.model.study import Role, Series, Study, Timepoint

__all__ = ["read_series", "read_study", "refused_findings"]


def read_series(
    entry: SeriesEntry,
    *,
    role: Role,
    config: Config,
    entered: Mapping[str, Any] | None = None,
    agent_phase: str | None = None,
    key: str = "",
) -> StageResult[Series]:
    """Read the pixels of one series in a role.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    role : Role
        What it is read as.
    config : Config
        Settings.
    entered : Mapping, optional
        Facts that a user entered (PET only).
    agent_phase : str, optional
        ``pre``, ``post`` or ``unknown`` (MR only); from the role when left out.
    key : str, optional
        Key of the series in the study; the role when left out.

    Returns
    -------
    StageResult of Series
        The series and what reading it noticed.
    """
    refuse_damaged(entry)
    key = key or str(role)
    if role in (Role.MR_PRE, Role.MR_POST):
        if entry.source == "nifti":
            from eprimg.io.nifti_complex import read_nifti_entry

            return read_nifti_entry(entry, key=key, role=role, agent_phase=agent_phase)
        from eprimg.io.read_mr import read_mr_series

        phase = agent_phase or ("pre" if role == Role.MR_PRE else "post")
        return read_mr_series(entry, key=key, role=role, config=config.read, agent_phase=phase)
    if entry.source == "nifti" and role == Role.PET:
        from eprimg.io.read_pet_nifti import read_pet_nifti

        return read_pet_nifti(entry.paths[0], key=key, entered=entered or {}, mode=config.pet.mode)
    if entry.source == "nifti":
        raise ct_in_nifti(entry)
    if role == Role.PET:
        from eprimg.io.read_pet import read_pet_series

        return read_pet_series(
            entry, key=key, config=config.read, entered=entered or {}, mode=config.pet.mode
        )
    from eprimg.io.read_ct import read_ct_series

    return read_ct_series(entry, key=key, config=config.read)


def _timepoints(
    series: list[Series], instants: Mapping[str, datetime | None]
) -> tuple[Timepoint, ...]:
    """Gather series into sessions: one for each MR, and one for each PET with its CT."""
    points = []
    for label, role in (("pre ferumoxytol", Role.MR_PRE), ("post ferumoxytol", Role.MR_POST)):
        own = [s for s in series if s.role == role]
        points += _numbered([(label, instants.get(s.key), (s,)) for s in own])
    pets = [s for s in series if s.role == Role.PET]
    cts = [s for s in series if s.role == Role.CT]
    sessions = []
    for pet in pets:
        facts = pet.acquisition
        nuclide, modality = "", "PET"
        if isinstance(facts, PETAcquisition):
            nuclide, modality = facts.injection.nuclide.value or "", facts.modality
        frame = pet.grid.frame_of_reference
        own = [c for c in cts if c.grid.frame_of_reference == frame]
        # The only CT goes with the primary PET, whatever its frame.
        own = own or (cts if len(cts) == 1 and pet.key == str(Role.PET) else [])
        cts = [c for c in cts if c not in own]
        sessions.append((f"{nuclide} {modality}".strip(), instants.get(pet.key), (pet, *own)))
    # A CT whose PET was left out.
    sessions += [("PET", instants.get(ct.key), (ct,)) for ct in cts]
    points += _numbered(sessions)
    known = [p for p in points if p.instant is not None]
    if len(known) == len(points):
        points.sort(key=lambda p: p.instant.isoformat() if p.instant else "")
    return tuple(points)


def _numbered(
    sessions: list[tuple[str, datetime | None, tuple[Series, ...]]],
) -> list[Timepoint]:
    """Put sessions of one kind in order of time and tell them apart by their number."""
    dates = [s[1] for s in sessions if s[1] is not None]
    if len(sessions) > 1 and len(dates) == len(sessions):
        # `point_faults` refused instants that cannot be compared.
        order = sorted(range(len(sessions)), key=lambda n: dates[n])
        sessions = [sessions[n] for n in order]
    count = len(sessions)
    return [
        Timepoint(label if count == 1 else f"{label}, {n} of {count}", instant, own)
        for n, (label, instant, own) in enumerate(sessions, start=1)
    ]


def _grid_text(grid: Grid) -> str:
    return f"{grid.shape} {np.round(grid.affine, 6).tolist()} {grid.frame_of_reference}"


def _input_hash(
    series: list[Series],
    regions: Sequence[LesionSet],
    overrides: object,
    maps: tuple[ExternalMap, ...] = (),
    help_: ManualHelp | None = None,
) -> str:
    """Hash everything that a number depends on: voxels, places, header facts, masks, entries."""
    digest = hashlib.sha256()
    for s in sorted(series, key=lambda s: s.key):
        digest.update(f"{s.key} {s.source_uid} {s.source_hash} {s.study_uid}\n".encode())
        digest.update(f"{_grid_text(s.grid)} {s.acquisition!r}\n".encode())
    for r in regions:
        digest.update(_grid_text(r.grid).encode())
        digest.update(r.labels.tobytes())
        digest.update(repr([(x.id, x.name, str(x.role), x.anatomy) for x in r.regions]).encode())
    for m in maps:
        digest.update(f"{m.key} {m.on} {m.source_hash} {_grid_text(m.map.grid)}\n".encode())
    digest.update(json.dumps(overrides, sort_keys=True, default=str).encode())
    digest.update((help_ or ManualHelp()).digest().encode())
    return digest.hexdigest()


def refused_findings(error: EprimgError, entry: SeriesEntry, role: str) -> list[Finding]:
    """Turn every fault of a series that is left out into a finding.

    Parameters
    ----------
    error : EprimgError
        Why it was refused.
    entry : SeriesEntry
        The series.
    role : str
        Its key in the study.

    Returns
    -------
    list of Finding
        One of severity error per fault.
    """
    found = []
    for fault in error.faults or (error,):
        said = Finding.from_error(fault)
        place = f" [{fault.where}]" if fault.where and fault.where not in (role, entry.key) else ""
        text = f"{role} was left out: {said.text}{place}"
        found.append(Finding(fault.code, Severity.ERROR, role, text))
    return found


def read_study(
    path: Path | str,
    *,
    study_file: Path | str | None = None,
    plan: StudyPlan | None = None,
    config: Config | None = None,
    leave_out_refused: bool = False,
    progress: Progress | None = None,
) -> StageResult[Study]:
    """Read a study from a folder: headers first, pixels once.

    Parameters
    ----------
    path : Path
        Folder with DICOM (or NIfTI with side-cars), or one multi-frame file.
    study_file : Path, optional
        ``study.toml`` with roles, facts and masks.
    plan : StudyPlan, optional
        A plan made earlier; saves the scan.
    config : Config, optional
        Settings.
    leave_out_refused : bool
        Leave out a series that is refused, with one finding of severity error per fault, and read
        the others; otherwise refuse the study.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of Study
        The study and what reading it noticed.

    Raises
    ------
    EprimgError
        When something that the numbers depend on is missing, contradictory or damaged; all
        faults of one input are collected first.
    """
    config = config or Config()
    plan = plan or plan_study(path, study_file=study_file, progress=progress)
    findings = [*plan.findings, *check_plan(plan, config)]
    wanted = [e for role in READ_ROLES for e in plan.entries(role)]
    keys, noticed = point_keys(wanted, plan.study_file, config.time_points)
    findings += noticed
    series: list[Series] = []
    instants: dict[str, datetime | None] = {}
    faults: list[EprimgError] = []
    watched = cancellable(progress)
    for number, entry in enumerate(wanted):

        def tell(share: float, *, number: int = number, key: str = keys[entry.key]) -> None:
            watched(f"read {key}", (number + share) / len(wanted))

        tell(0.0)
        try:
            result = read_series(
                entry,
                role=entry.role,
                config=config,
                entered=plan.study_file.entered,
                key=keys[entry.key],
            )
        except Cancelled:
            raise
        except EprimgError as error:
            if leave_out_refused:
                findings += [*entry.findings, *refused_findings(error, entry, keys[entry.key])]
            else:
                faults.append(error)
            continue
        series.append(result.value)
        instants[result.value.key] = entry.instant
        findings += [*entry.findings, *result.findings]
    raise_faults(faults)
    named, noticed = with_primaries(series)
    instants |= {new.key: instants[old.key] for old, new in zip(series, named, strict=True)}
    series, findings = named, [*findings, *noticed]
    timepoints = _timepoints(series, instants)
    check_pet_points([s for t in timepoints for s in t.series if s.role == Role.PET])
    watched("read masks", 1.0)
    parts = read_parts(plan, series, config, leave_out_refused=leave_out_refused, tell=watched)
    findings += parts.findings
    regions, help_, maps = parts.value.regions, parts.value.help, parts.value.maps
    watched("read", 1.0)
    overrides = plan.study_file.overrides()
    patient = next((e.patient_key for e in wanted if e.patient_key), "")
    pseudonym = plan.study_file.pseudonym or (f"P-{patient[:8]}" if patient else "P-unnamed")
    study = Study(
        pseudonym=pseudonym,
        timepoints=timepoints,
        regions=regions,
        overrides=overrides,
        input_hash=_input_hash(series, regions, overrides, maps, help_),
        external_maps=maps,
        clicks=parts.value.clicks,
        help=help_,
    )
    return StageResult(study, tuple(findings))
