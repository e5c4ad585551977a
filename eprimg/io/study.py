"""From a folder to a Study: plan the roles from headers, then read the pixels once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.config import Config
from eprimg.errors import ConfigError, EprimgError, InputError, raise_faults
from eprimg.io.index import SeriesEntry, StudyIndex, scan
from eprimg.io.region_sets import distinct_region_sets
from eprimg.io.roles import agent_contradictions
from eprimg.io.study_file import StudyFile, read_study_file
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role, Series, Study, Timepoint

__all__ = ["StudyPlan", "counting", "plan_study", "read_series", "read_study"]

Progress = Callable[[str, float], None]

_SINGLE = (Role.MR_PRE, Role.MR_POST, Role.PET, Role.CT)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Which series would be read as what.

    Parameters
    ----------
    index : StudyIndex
        The scan, with the user's roles applied.
    study_file : StudyFile
        What the user said.
    findings : tuple of Finding
        What the scan and the roles noticed.
    """

    index: StudyIndex
    study_file: StudyFile
    findings: tuple[Finding, ...]

    def entries(self, role: Role) -> tuple[SeriesEntry, ...]:
        """Return the series that play a role.

        Parameters
        ----------
        role : Role
            The role.

        Returns
        -------
        tuple of SeriesEntry
            In the order of the index.
        """
        return tuple(e for e in self.index.series if e.role == role)


def counting(progress: Progress | None) -> Callable[[int, int], None] | None:
    """Turn words-and-share progress into the number-of-total progress of the scan.

    Parameters
    ----------
    progress : callable or None
        Called with words and the finished share.

    Returns
    -------
    callable or None
        Called with the number of files done and their total.
    """
    if progress is None:
        return None
    return lambda number, total: progress("scan", number / max(total, 1))


def _apply_roles(index: StudyIndex, study_file: StudyFile) -> StudyIndex:
    if not study_file.roles:
        return index
    unknown = [
        k for k in study_file.roles if not any(k in (e.key, *e.series_uids) for e in index.series)
    ]
    raise_faults(
        [
            ConfigError(
                f"no series has the key {key!r}",
                code="E_ROLE",
                where=f"{study_file.source}, [roles]",
                action="`eprimg scan` lists the keys",
            )
            for key in unknown
        ]
    )
    entries = []
    given = set(study_file.roles.values())
    for entry in index.series:
        role = next(
            (study_file.roles[k] for k in (entry.key, *entry.series_uids) if k in study_file.roles),
            None,
        )
        if role is not None:
            entry = replace(entry, role=role, reason=f"given in {study_file.source}")
        elif entry.role in given and entry.role in _SINGLE:
            entry = replace(
                entry,
                role=Role.UNUSED,
                reason=f"{study_file.source} gives this role to another series",
            )
        entries.append(entry)
    return replace(index, series=tuple(entries))


def plan_study(
    path: Path | str, *, study_file: Path | str | None = None, progress: Progress | None = None
) -> StudyPlan:
    """Scan a folder and settle the role of every series.

    Parameters
    ----------
    path : Path
        Folder or file.
    study_file : Path, optional
        ``study.toml``; when left out, one that lies in the folder itself is taken.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StudyPlan
        Series with roles; nothing but headers was read.

    Raises
    ------
    EprimgError
        When the folder or the study file cannot be used.
    """
    path = Path(path)
    if study_file is None and (path / "study.toml").is_file():
        study_file = path / "study.toml"
    spoken = read_study_file(study_file) if study_file is not None else StudyFile()
    index = scan(path, progress=counting(progress))
    findings = list(index.findings)
    if study_file is not None:
        findings.append(
            Finding(
                "I_STUDY_FILE",
                Severity.INFO,
                spoken.source,
                "Roles and facts of this study file were used.",
            )
        )
    return StudyPlan(_apply_roles(index, spoken), spoken, tuple(findings))


def _check_single(plan: StudyPlan) -> None:
    faults: list[EprimgError] = []
    for role in _SINGLE:
        entries = plan.entries(role)
        if len(entries) > 1:
            keys = ", ".join(e.key for e in entries)
            faults.append(
                ConfigError(
                    f"{len(entries)} series would play the role {role}: {keys}",
                    code="E_ROLE",
                    action='choose one in study.toml: [roles] KEY = "' + role + '"',
                )
            )
    if not any(plan.entries(r) for r in (Role.MR_PRE, Role.MR_POST, Role.PET)):
        left_out = "; ".join(f"{e.key}: {e.reason}" for e in plan.index.series[:5])
        faults.append(
            InputError(
                "neither a multi-echo MR series nor a PET series was found"
                + (f" ({left_out})" if left_out else ""),
                code="E_NO_SERIES",
                where=plan.index.root.name,
                action="`eprimg scan` shows every series; roles can be given in study.toml",
            )
        )
    raise_faults(faults)


def _check_patients(plan: StudyPlan, config: Config) -> list[Finding]:
    used = [e for r in (*_SINGLE, Role.REGIONS) for e in plan.entries(r) if e.patient_key]
    if len({e.patient_key for e in used}) < 2:
        return []
    keys = ", ".join(e.key for e in used)
    if not config.read.allow_patient_mix:
        raise InputError(
            f"the series {keys} carry different patient identifiers",
            code="E_PATIENT_MIX",
            where=plan.index.root.name,
            action="separate the patients; if only the de-identification differs, "
            "set read.allow_patient_mix=true (it is recorded)",
        )
    return [
        Finding(
            "W_PATIENT_MIX",
            Severity.WARNING,
            keys,
            "The patient identifiers of these series differ; reading them together was "
            "allowed by read.allow_patient_mix.",
        )
    ]


def read_series(
    entry: SeriesEntry,
    *,
    role: Role,
    config: Config,
    entered: Mapping[str, Any] | None = None,
) -> StageResult[Series]:
    """Read the pixels of one series in a role.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    role : Role
        What it is read as; also the key of the series.
    config : Config
        Settings.
    entered : Mapping, optional
        Facts that a user entered (PET only).

    Returns
    -------
    StageResult of Series
        The series and what reading it noticed.
    """
    key = str(role)
    if role in (Role.MR_PRE, Role.MR_POST):
        if entry.source == "nifti":
            from eprimg.io.read_nifti import read_nifti_echoes

            return read_nifti_echoes(entry.paths, key=key, role=role)
        from eprimg.io.read_mr import read_mr_series

        phase = "pre" if role == Role.MR_PRE else "post"
        return read_mr_series(entry, key=key, role=role, config=config.read, agent_phase=phase)
    if entry.source == "nifti":
        raise InputError(
            "PET in NIfTI is not read by this version",
            code="E_SIDECAR",
            where=entry.paths[0].name if entry.paths else entry.key,
            action="give the DICOM series",
        )
    if role == Role.PET:
        from eprimg.io.read_pet import read_pet_series

        return read_pet_series(entry, key=key, config=config.read, entered=entered or {})
    from eprimg.io.read_ct import read_ct_series

    return read_ct_series(entry, key=key, config=config.read)


def _frame_of(role: str, series: list[Series], where: str) -> str:
    found = next((s for s in series if s.key == role or str(s.role) == role), None)
    if found is None:
        raise ConfigError(
            f"masks.on names {role!r}, which is not among the series that are read",
            code="E_STUDY_FILE",
            where=where,
            action=f"use one of {', '.join(s.key for s in series)}",
        )
    return found.grid.frame_of_reference


def _read_masks(plan: StudyPlan, series: list[Series]) -> tuple[list[LesionSet], list[Finding]]:
    from eprimg.io.read_regions import read_regions

    sets: list[LesionSet] = []
    findings: list[Finding] = []
    spoken = plan.study_file
    if spoken.masks:
        for mask in spoken.masks:
            frame = _frame_of(mask.on, series, spoken.source) if mask.on else None
            result = read_regions(mask.path, names=mask.names or None, frame_of_reference=frame)
            sets.append(result.value)
            findings += result.findings
        sets, noticed = distinct_region_sets(sets, series[0].grid.frame_of_reference)
        return sets, findings + noticed
    found: list[LesionSet] = []
    # DICOM first: of two copies the one with its own identifiers is kept.
    for entry in sorted(plan.entries(Role.REGIONS), key=lambda e: e.source != "dicom"):
        result = read_regions(entry)
        found.append(result.value)
        findings += result.findings
    unknown = [e for e in plan.entries(Role.UNUSED) if e.source == "nifti"]
    if not found and unknown:
        findings.append(
            Finding(
                "W_MASK_UNUSED",
                Severity.WARNING,
                ", ".join(e.key for e in unknown[:6]),
                "No mask was recognised, but these NIfTI files were not used: "
                + "; ".join(f"{e.key} ({e.reason})" for e in unknown[:6])
                + ". If one of them is a mask, name it in study.toml under masks.",
            )
        )
    # The first series is the reference.
    kept, noticed = distinct_region_sets(found, series[0].grid.frame_of_reference)
    return kept, findings + noticed


def _timepoints(series: list[Series], plan: StudyPlan) -> tuple[Timepoint, ...]:
    instants = {str(e.role): e.instant for e in plan.index.series}
    mr = [("pre ferumoxytol", "mr_pre"), ("post ferumoxytol", "mr_post")]
    points = []
    for label, key in mr:
        own = tuple(s for s in series if s.key == key)
        if own:
            points.append(Timepoint(label, instants.get(key), own))
    pet = tuple(s for s in series if s.key in ("pet", "ct"))
    if pet:
        facts = pet[0].acquisition
        nuclide = (facts.injection.nuclide.value or "") if isinstance(facts, PETAcquisition) else ""
        points.append(Timepoint(f"{nuclide} PET".strip(), instants.get(pet[0].key), pet))
    known = [p for p in points if p.instant is not None]
    if len(known) == len(points):
        points.sort(key=lambda p: p.instant.isoformat() if p.instant else "")
    return tuple(points)


def _grid_text(grid: Grid) -> str:
    return f"{grid.shape} {np.round(grid.affine, 6).tolist()} {grid.frame_of_reference}"


def _input_hash(series: list[Series], regions: list[LesionSet], overrides: object) -> str:
    """Hash everything that a number depends on: voxels, places, header facts, masks, entries."""
    digest = hashlib.sha256()
    for s in sorted(series, key=lambda s: s.key):
        digest.update(f"{s.key} {s.source_uid} {s.source_hash} {s.study_uid}\n".encode())
        digest.update(f"{_grid_text(s.grid)} {s.acquisition!r}\n".encode())
    for r in regions:
        digest.update(_grid_text(r.grid).encode())
        digest.update(r.labels.tobytes())
        digest.update(repr([(x.id, x.name, str(x.role), x.anatomy) for x in r.regions]).encode())
    digest.update(json.dumps(overrides, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def read_study(
    path: Path | str,
    *,
    study_file: Path | str | None = None,
    plan: StudyPlan | None = None,
    config: Config | None = None,
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
    _check_single(plan)
    findings = [
        *plan.findings,
        *_check_patients(plan, config),
        *agent_contradictions(plan.entries(Role.MR_PRE), plan.entries(Role.MR_POST)),
    ]
    wanted = [e for role in _SINGLE for e in plan.entries(role)]
    series: list[Series] = []
    faults: list[EprimgError] = []
    for number, entry in enumerate(wanted):
        if progress is not None:
            progress(f"read {entry.role}", number / len(wanted))
        try:
            result = read_series(
                entry, role=entry.role, config=config, entered=plan.study_file.entered
            )
        except EprimgError as error:
            faults.append(error)
            continue
        series.append(result.value)
        findings += [*entry.findings, *result.findings]
    raise_faults(faults)
    regions, noticed = _read_masks(plan, series)
    findings += noticed
    overrides = plan.study_file.overrides()
    patient = next((e.patient_key for e in wanted if e.patient_key), "")
    pseudonym = plan.study_file.pseudonym or (f"P-{patient[:8]}" if patient else "P-unnamed")
    study = Study(
        pseudonym=pseudonym,
        timepoints=_timepoints(series, plan),
        regions=tuple(regions),
        overrides=overrides,
        input_hash=_input_hash(series, regions, overrides),
    )
    return StageResult(study, tuple(findings))
