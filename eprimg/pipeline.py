"""The main job: the stages in order, and what they leave behind.

The command line, the batch engine and the plugin all call `run`; nobody else orders stages.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eprimg.config import Config
from eprimg.errors import ConfigError, cancellable
from eprimg.folder_plan import FolderPlan, plan_folder
from eprimg.model.case import Case, Finding, Provenance, Severity
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Study
from eprimg.model.tiers import TierScheme
from eprimg.provenance import (
    check_settings,
    engines_of,
    peak_memory_mb,
    settings_hash,
    versions,
)
from eprimg.stage_order import STAGES, with_findings

__all__ = [
    "STAGES",
    "FolderPlan",
    "Progress",
    "check_settings",
    "export_case",
    "plan_folder",
    "run",
    "run_folder",
    "settings_hash",
]

Progress = Callable[[str, float], object]
"""Called with words for a person and the finished share (0 to 1).  It stops the work within a
second by raising `eprimg.errors.Cancelled`, or by returning False; nothing is then changed."""


def _span(start: str | None, stop: str | None) -> tuple[int, int]:
    for name in (start, stop):
        if name is not None and name not in STAGES:
            raise ConfigError(
                f"there is no stage {name!r}",
                code="E_STAGE",
                value=name,
                action=f"use one of {', '.join(STAGES)}",
            )
    first = STAGES.index(start) if start else 0
    last = STAGES.index(stop) if stop else len(STAGES) - 1
    if last < first:
        raise ConfigError(
            "the run would stop before it starts", code="E_STAGE", value=(start, stop)
        )
    return first, last


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """What a run was asked for, beside its settings."""

    config: Config
    ids: Collection[int] | None = None
    regions: LesionSet | None = None
    native: Mapping[str, LesionSet] = field(default_factory=dict)
    schemes: tuple[TierScheme, ...] | None = None


def _given_regions(case: Case, asked: _Asked) -> Case:
    """Put regions that were handed in where the segment stage would have put its own."""
    return replace(
        case,
        lesions=asked.regions,
        native_lesions=asked.native,
        drawn_lesions=asked.native,
        lesion_matches=(),
    )


def _advance(stage: str, case: Case, asked: _Asked, progress: Callable[[str, float], None]) -> Case:
    """Run one stage and grow the case by what it returns."""
    config = asked.config
    findings: tuple[Finding, ...]
    if stage == "register":
        from eprimg.stages.register import register

        registered = register(case.study, config, progress=progress)
        case = replace(case, registrations=registered.value)
        findings = registered.findings
    elif stage == "quantify":
        from eprimg.stages.quantify import quantify

        quantified = quantify(case.study, case.registrations, config, progress=progress)
        case = replace(case, maps=quantified.value.maps, registered=quantified.value.registered)
        findings = quantified.findings
    elif stage == "segment":
        from eprimg.stages.segment import segment

        if asked.regions is not None:
            case = _given_regions(case, asked)
            text = "Regions were handed in with the run; masks in the folder were not used."
            findings = (Finding("I_REGIONS_GIVEN", Severity.INFO, asked.regions.origin, text),)
        else:
            made = segment(
                case.study,
                case.maps,
                config,
                registrations=case.registrations,
                progress=progress,
            )
            drawn = made.value.native
            case = replace(
                case,
                lesions=made.value.lesions,
                native_lesions=drawn,
                drawn_lesions=drawn,
                lesion_matches=made.value.matches,
            )
            findings = made.findings
    elif stage == "measure":
        from eprimg.io.blood_samples import load_plasma
        from eprimg.io.eligibility import load_eligibility
        from eprimg.io.recovery_table import load_recovery_table
        from eprimg.io.relaxivity import load_relaxivity
        from eprimg.stages.lesion_distance import lesion_distances
        from eprimg.stages.measure import measure

        if case.lesions is None:
            return case
        measured = measure(
            case.study,
            case.registrations,
            case.maps,
            case.registered,
            case.lesions,
            config,
            native=case.drawn_lesions or case.native_lesions,
            before=case.native_lesions,
            ids=asked.ids,
            relaxivity=load_relaxivity(config.iron),
            recovery=load_recovery_table(t) if (t := config.partial_volume.recovery_table) else (),
            plasma=load_plasma(config.kinetics, case.study),
            eligibility=load_eligibility(config.eligibility),
            progress=progress,
        )
        of = measured.value
        case = replace(
            case, lesions=of.lesions, native_lesions=of.native_lesions, registered=of.registered
        )
        at = lesion_distances(case, boxes=of.boxes)
        case = replace(case, uptake_apart_mm=at.value.apart_mm, uptake_centres=at.value.centres)
        findings = (*measured.findings, *at.findings)
    else:
        from eprimg.io.schemes import load_cohort, load_schemes
        from eprimg.stages.stratify import stratify

        schemes = asked.schemes if asked.schemes is not None else load_schemes(config.stratify)
        cohorts = load_cohort(config.stratify.cohort_file) if config.stratify.cohort_file else ()
        placed = stratify(case.study, case.lesions, config, schemes=schemes, cohorts=cohorts)
        case = replace(
            case,
            lesions=placed.value.lesions,
            schemes=schemes,
            patient_tiers=placed.value.patient_tiers,
        )
        findings = placed.findings
    return replace(case, findings=with_findings(case.findings, findings, stage))


def run(
    study: Study,
    config: Config | None = None,
    *,
    case: Case | None = None,
    start: str | None = None,
    stop: str | None = None,
    ids: Collection[int] | None = None,
    regions: LesionSet | None = None,
    native: Mapping[str, LesionSet] | None = None,
    schemes: Sequence[TierScheme] | None = None,
    findings: tuple[Finding, ...] = (),
    seconds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Case:
    """Run the stages of the main job on a study.

    Parameters
    ----------
    study : Study
        What was read; see `eprimg.io.study.read_study`.
    config : Config, optional
        Settings; the defaults when left out.
    case : Case, optional
        A case to go on from, e.g. after an edit; needed when ``start`` is not the first stage.
    start, stop : str, optional
        First and last stage to run (`STAGES`); all of them when left out.
    ids : collection of int, optional
        Measure only these regions again, the others keep their numbers; see
        `eprimg.stages.affected.affected_regions`.  All when left out.
    regions : LesionSet, optional
        Regions on the reference grid that take the place of those that the segment stage would
        find; that stage is then not run.
    native : Mapping of str to LesionSet, optional
        With ``regions``: those that were drawn on another grid than the reference, as in
        `Case.drawn_lesions`.
    schemes : sequence of TierScheme, optional
        Tier schemes that take the place of those that the settings name, e.g. with other cut-offs;
        one that differs from its namesake is marked as edited and not validated.
    findings : tuple of Finding
        What reading noticed; kept at the head of the case's findings.
    seconds : Mapping of str to float, optional
        What was spent before, e.g. on reading; kept in the provenance.
    progress : callable, optional
        Called with words and the finished share, several times a second; see `Progress`.

    Returns
    -------
    Case
        Everything that is known; nothing has been written to disk.  The findings of a stage that
        is run again take the place of its earlier ones.

    Raises
    ------
    Cancelled
        ``E_CANCELLED`` when ``progress`` asked for it.
    EprimgError
        When an input cannot be used.
    """
    config = config or Config()
    first, last = _span(start, stop)
    if schemes is not None:
        from eprimg.io.schemes import load_schemes
        from eprimg.stages.stratify import marked_schemes

        schemes = marked_schemes(schemes, load_schemes(config.stratify))
    asked = _Asked(config, ids, regions, native or {}, schemes)
    if case is None:
        if first > 0:
            raise ConfigError(
                "a run that starts later needs the case it goes on from",
                code="E_STAGE",
                value=start,
            )
        case = Case(study, findings=tuple(replace(f, stage=f.stage or "read") for f in findings))
    else:
        case = replace(case, study=study)
    if regions is not None and first > STAGES.index("segment"):
        case = _given_regions(case, asked)
    watched = cancellable(progress)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    spent = {**(seconds or {}), **case.provenance.seconds}
    for number, stage in enumerate(STAGES[first : last + 1]):
        count = last - first + 1

        def tell(words: str, share: float, *, number: int = number, count: int = count) -> None:
            watched(words, (number + min(max(share, 0.0), 1.0)) / count)

        tell(stage, 0.0)
        clock = time.perf_counter()
        case = _advance(stage, case, asked, tell)
        spent[stage] = time.perf_counter() - clock
        tell(stage, 1.0)
    return replace(
        case,
        provenance=Provenance(
            versions=versions(),
            config_hash=settings_hash(config, schemes),
            input_hash=study.input_hash,
            started=case.provenance.started or started,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=spent,
            peak_memory_mb=peak_memory_mb(),
            engines=engines_of(case, config),
            threads=config.threads or (os.cpu_count() or 1),
        ),
    )


def run_folder(
    folder: Path | str | None,
    out: Path | str,
    config: Config | None = None,
    *,
    study_file: Path | str | None = None,
    facts: Mapping[str, Any] | None = None,
    saved_case: Path | str | None = None,
    plan: FolderPlan | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Case:
    """Plan, read, run and export one study: what ``eprimg run`` does.

    Parameters
    ----------
    folder : Path or None
        Folder with the study; None: the one that the saved case names.
    out : Path
        Output folder.
    config : Config, optional
        Settings; those of the saved case, else the defaults, when left out.
    study_file : Path, optional
        ``study.toml``; when left out, one that lies in the folder itself is taken.
    facts : Mapping, optional
        What was said besides the file, laid over it and recorded as entered; see
        `eprimg.io.study_file.parse_study_file`.
    saved_case : Path, optional
        A saved reading: its regions, roles, entered facts and schemes are used.
    plan : FolderPlan, optional
        What `plan_folder` gave for the same study, so that the headers are not read again; it
        takes the place of settings, study file, facts and saved case.
    overwrite : bool
        Replace an earlier output folder of eprimg.
    resume : bool
        Do nothing when the same run is already there.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    Case
        The finished case; with ``resume``, when the run was already there, the case as read, whose
        ``provenance.finished`` is empty.

    Raises
    ------
    EprimgError
        When an input cannot be used or the output cannot be written; nothing half-written stays.
    """
    from eprimg.io.output_folder import is_done
    from eprimg.io.saved_case import check_sources
    from eprimg.io.study import read_study

    clock = time.perf_counter()
    planned = plan or plan_folder(
        folder,
        out,
        config,
        study_file=study_file,
        facts=facts,
        saved_case=saved_case,
        overwrite=overwrite,
        resume=resume,
        progress=progress,
    )
    out, config, saved = Path(out), planned.config, planned.saved
    # A reading may go on without a refused series, and is then saved without it (`check_sources`
    # refuses a case in which another series is missing now).
    read = read_study(
        planned.source,
        plan=planned.plan,
        config=config,
        leave_out_refused=saved is not None,
        progress=progress,
    )
    findings = read.findings
    if saved is not None:
        findings += check_sources(saved, read.value)
    seconds = {"read": time.perf_counter() - clock}
    schemes = saved.schemes if saved is not None else None
    done = settings_hash(config, schemes)
    if saved is not None:
        done = hashlib.sha256(f"{done} {saved.regions_hash}".encode()).hexdigest()
    if resume and is_done(out, read.value.input_hash, done):
        return Case(read.value, findings=findings)
    case = run(
        read.value,
        config,
        regions=saved.regions if saved is not None else None,
        native=saved.drawn if saved is not None else None,
        schemes=schemes,
        findings=findings,
        seconds=seconds,
        progress=progress,
    )
    case = replace(case, provenance=replace(case.provenance, config_hash=done))
    export_case(case, config, out, overwrite=overwrite or resume, progress=progress)
    return case


def export_case(
    case: Case,
    config: Config,
    out: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Render the report and write the output folder, atomically.

    Parameters
    ----------
    case : Case
        A finished case.
    config : Config
        Settings of the run.
    out : Path
        Output folder; see `eprimg.io.output_folder.check_target`.
    overwrite : bool
        Replace an earlier output folder of eprimg.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    Path
        The output folder.

    Raises
    ------
    OutputError
        When it cannot be written; nothing half-written is left.
    """
    from eprimg.io.outputs import write_case
    from eprimg.io.saved_case import refuse_saved_case
    from eprimg.report.html import render_report

    refuse_saved_case(out)
    tell = cancellable(progress)
    clock = time.perf_counter()
    tell("report", 0.0)
    page = render_report(
        case, config, progress=lambda words, share: tell(words, 0.5 * min(share, 1.0))
    )
    seconds = dict(case.provenance.seconds) | {"report": time.perf_counter() - clock}
    case = replace(
        case, provenance=replace(case.provenance, seconds=seconds, peak_memory_mb=peak_memory_mb())
    )
    tell("write", 0.5)
    folder = write_case(
        case,
        config,
        Path(out),
        report_html=page,
        overwrite=overwrite,
        progress=lambda words, share: tell(words, 0.5 + 0.5 * min(share, 1.0)),
    )
    if progress is not None:
        progress("write", 1.0)  # too late to stop: everything is there
    return folder
