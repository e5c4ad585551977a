"""What lies on the series of a study: masks, maps, clicks, and help for the alignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eprimg.config import Config
from eprimg.errors import ConfigError, EprimgError
from eprimg.io.manual_help import read_manual_help
from eprimg.io.region_sets import distinct_region_sets, require_voxels_on
from eprimg.io.study_plan import StudyPlan
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet
from eprimg.model.manual_help import ManualHelp
from eprimg.model.maps import ExternalMap
from eprimg.model.study import Click, Placed, Role

__all__ = ["StudyParts", "read_parts"]


@dataclass(frozen=True, eq=False, slots=True)
class StudyParts:
    """What was given besides the series.

    Parameters
    ----------
    regions : tuple of LesionSet
        Imported masks on the grid that they were drawn on.
    help : ManualHelp
        Transforms, landmarks and masks that were given for the alignment.
    maps : tuple of ExternalMap
        Maps made elsewhere.
    clicks : tuple of Click
        Points from which regions are made.
    """

    regions: tuple[LesionSet, ...] = ()
    help: ManualHelp = field(default_factory=ManualHelp)
    maps: tuple[ExternalMap, ...] = ()
    clicks: tuple[Click, ...] = ()


def read_parts(
    plan: StudyPlan,
    series: Sequence[Placed],
    config: Config,
    *,
    leave_out_refused: bool = False,
    tell: Callable[[str, float], None] = lambda words, share: None,
) -> StageResult[StudyParts]:
    """Read what lies on the series, whether their voxels were read or only their headers.

    Parameters
    ----------
    plan : StudyPlan
        The scan and the study file.
    series : sequence of Placed
        Series that are read, in the order of their roles.
    config : Config
        Settings.
    leave_out_refused : bool
        A map that is refused becomes findings.
    tell : callable, optional
        Called with words and the finished share before every mask.

    Returns
    -------
    StageResult of StudyParts
        With what reading them noticed.

    Raises
    ------
    EprimgError
        When something that the study file names, or a mask in the folder, cannot be used.
    """
    findings: list[Finding] = []
    regions: list[LesionSet] = []
    help_: StageResult[ManualHelp] = StageResult(ManualHelp())
    if series:
        regions, noticed = _read_masks(plan, series, tell, config)
        help_ = read_manual_help(plan, series)
        findings += [*noticed, *help_.findings]
    maps = _read_maps(plan, series, findings, leave_out=leave_out_refused)
    parts = StudyParts(tuple(regions), help_.value, maps, _clicks(plan, series))
    return StageResult(parts, tuple(findings))


def _frame_of(role: str, series: Sequence[Placed], where: str, key: str = "masks.on") -> str:
    found = next((s for s in series if s.key == role), None)
    found = found or next((s for s in series if str(s.role) == role), None)
    if found is None:
        raise ConfigError(
            f"{key} names {role!r}, which is not among the series that are read",
            code="E_STUDY_FILE",
            where=where,
            action=f"use one of {', '.join(s.key for s in series)}",
        )
    return found.grid.frame_of_reference


def _reference_frame(series: Sequence[Placed]) -> str:
    """Frame of the series that carries the regions: the primary one of the first role there is."""
    first = next((s for s in series if s.key == str(series[0].role)), series[0])
    return first.grid.frame_of_reference


def _read_masks(
    plan: StudyPlan, series: Sequence[Placed], tell: Callable[[str, float], None], config: Config
) -> tuple[list[LesionSet], list[Finding]]:
    from eprimg.io.read_regions import read_region_sets
    from eprimg.io.read_rtstruct import SeriesGrid

    grids = [SeriesGrid(s.key, s.grid, s.source_uid) for s in series]
    sets: list[LesionSet] = []
    findings: list[Finding] = []
    spoken = plan.study_file
    if spoken.masks:
        for mask in spoken.masks:
            tell("read masks", 1.0)
            frame = _frame_of(mask.on, series, spoken.source) if mask.on else None
            result = read_region_sets(
                mask.path,
                series=[g for g in grids if frame in (None, g.grid.frame_of_reference)],
                names=mask.names or None,
                frame_of_reference=frame,
                config=config.read,
                choice=mask.choice,
            )
            require_voxels_on(result.value, {g.key: g.grid for g in grids}, mask.path.name)
            sets += result.value
            findings += result.findings
        sets, noticed = distinct_region_sets(sets, _reference_frame(series))
        return sets, findings + noticed
    found: list[LesionSet] = []
    # DICOM first: of two copies the one with its own identifiers is kept.
    for entry in sorted(plan.entries(Role.REGIONS), key=lambda e: e.source != "dicom"):
        tell("read masks", 1.0)
        try:
            result = read_region_sets(entry, series=grids, config=config.read)
        except EprimgError as error:
            if entry.modality != "RTSTRUCT":
                raise
            # a plan for a therapy often lies beside the series; nobody said that it is a mask
            findings += [
                Finding.from_error(fault, fault.where or entry.key)
                for fault in error.faults or (error,)
            ]
            continue
        found += result.value
        findings += result.findings
    named = {m.path.resolve() for m in spoken.maps}
    unknown = [
        e
        for e in plan.entries(Role.UNUSED)
        if e.source == "nifti" and not any(p.resolve() in named for p in e.paths)
    ]
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
    kept, noticed = distinct_region_sets(found, _reference_frame(series))
    return kept, findings + noticed


def _clicks(plan: StudyPlan, series: Sequence[Placed]) -> tuple[Click, ...]:
    """Clicks on series that are read; one on another series is a mistake of the file."""
    for click in plan.study_file.clicks:
        _frame_of(click.on, series, plan.study_file.source, "clicks.on")
    return plan.study_file.clicks


def _read_maps(
    plan: StudyPlan, series: Sequence[Placed], findings: list[Finding], *, leave_out: bool
) -> tuple[ExternalMap, ...]:
    """Read the external maps that the study file names."""
    spoken = plan.study_file
    if not spoken.maps or not series:
        return ()
    from eprimg.io.read_external_maps import read_external_maps

    try:
        result = read_external_maps(spoken.maps, series, where=spoken.source)
    except EprimgError as error:
        if not leave_out:
            raise
        findings += [Finding.from_error(fault) for fault in error.faults or (error,)]
        return ()
    findings += result.findings
    return result.value
