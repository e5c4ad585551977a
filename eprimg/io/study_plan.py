"""What would be read as what: the scan with the user's roles, checked before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eprimg.config import Config
from eprimg.errors import ConfigError, EprimgError, InputError, cancellable, raise_faults
from eprimg.io.index import SeriesEntry, StudyIndex, scan
from eprimg.io.roles import agent_contradictions
from eprimg.io.study_file import (
    StudyFile,
    merge_study_files,
    parse_study_file,
    read_study_file,
)
from eprimg.io.time_points import dated, point_faults
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role

__all__ = ["Progress", "StudyPlan", "check_plan", "counting", "plan_study"]

Progress = Callable[[str, float], object]
"""Called with words for a person and the finished share; raises `Cancelled` or returns False to
stop the work."""

READ_ROLES = (Role.MR_PRE, Role.MR_POST, Role.PET, Role.CT)
"""Roles whose series are read as volumes; MR after the agent, PET and its CT at several times."""


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
        return self.index.by_role(role)


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
    tell = cancellable(progress)
    return lambda number, total: tell("scan", number / max(total, 1))


def _without_maps(index: StudyIndex, study_file: StudyFile) -> StudyIndex:
    """Take away the role that the scan gave to a file which the user names as a map."""
    named = {m.path.resolve() for m in study_file.maps}
    if not named:
        return index
    reason = f"a map of {study_file.source}"
    return replace(
        index,
        series=tuple(
            replace(entry, role=Role.UNUSED, reason=reason)
            if any(p.resolve() in named for p in entry.paths)
            else entry
            for entry in index.series
        ),
    )


def _apply_roles(index: StudyIndex, study_file: StudyFile) -> StudyIndex:
    index = _without_maps(index, study_file)
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
        elif entry.role in given and entry.role in READ_ROLES:
            entry = replace(
                entry,
                role=Role.UNUSED,
                reason=f"{study_file.source} gives this role to another series",
            )
        entries.append(entry)
    return replace(index, series=tuple(entries))


def plan_study(
    path: Path | str,
    *,
    study_file: Path | str | None = None,
    facts: Mapping[str, Any] | StudyFile | None = None,
    progress: Progress | None = None,
) -> StudyPlan:
    """Scan a folder and settle the role of every series.

    Parameters
    ----------
    path : Path
        Folder or file.
    study_file : Path, optional
        ``study.toml``; when left out, one that lies in the folder itself is taken.
    facts : Mapping or StudyFile, optional
        What was said besides the file, laid over it; as `parse_study_file` takes it.  A `StudyFile`
        is the whole of what was said: no file in the folder is looked for.
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
    whole = isinstance(facts, StudyFile)
    if study_file is None and not whole and (path / "study.toml").is_file():
        study_file = path / "study.toml"
    spoken = read_study_file(study_file) if study_file is not None else StudyFile()
    if facts:
        over = facts if isinstance(facts, StudyFile) else parse_study_file(facts)
        spoken = merge_study_files(spoken, over)
    index = scan(path, progress=counting(progress))
    findings = list(index.findings)
    if spoken.source:
        findings.append(
            Finding(
                "I_STUDY_FILE",
                Severity.INFO,
                spoken.source,
                "Roles and facts of this study file were used.",
            )
        )
    index = _apply_roles(index, spoken)
    index = replace(index, series=dated(index.series, spoken))
    return StudyPlan(index, spoken, tuple(findings))


def check_plan(plan: StudyPlan, config: Config) -> tuple[Finding, ...]:
    """Refuse a plan that cannot be read, and say what is doubtful about it.

    Parameters
    ----------
    plan : StudyPlan
        Series with their roles.
    config : Config
        Settings.

    Returns
    -------
    tuple of Finding
        Doubts about patients and about the order of the two MR series.

    Raises
    ------
    EprimgError
        ``E_ROLE``, ``E_NO_SERIES`` or ``E_PATIENT_MIX``.
    """
    _check_roles(plan)
    return (
        *_check_patients(plan, config),
        *agent_contradictions(plan.entries(Role.MR_PRE), plan.entries(Role.MR_POST)),
    )


def _check_roles(plan: StudyPlan) -> None:
    faults: list[EprimgError] = []
    for role in READ_ROLES:
        faults += point_faults(role, plan.entries(role), plan.entries(Role.PET))
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
    used = [e for r in (*READ_ROLES, Role.REGIONS) for e in plan.entries(r) if e.patient_key]
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
