"""What a run of a folder would do: settings, output folder and headers, before any pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.provenance import check_settings

if TYPE_CHECKING:
    from eprimg.io.saved_case import SavedCase
    from eprimg.io.study_plan import StudyPlan
    from eprimg.model.case import Finding

__all__ = ["FolderPlan", "check_folder", "plan_folder"]


@dataclass(frozen=True, eq=False, slots=True)
class FolderPlan:
    """What `eprimg.pipeline.run_folder` would do.

    Parameters
    ----------
    source : Path
        Folder with the study.
    plan : StudyPlan
        Series with their roles.
    config : Config
        Settings.
    saved : SavedCase or None
        The saved case, when one was given.
    """

    source: Path
    plan: StudyPlan
    config: Config
    saved: SavedCase | None


def plan_folder(
    folder: Path | str | None,
    out: Path | str,
    config: Config | None = None,
    *,
    study_file: Path | str | None = None,
    facts: Mapping[str, Any] | None = None,
    saved_case: Path | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[str, float], object] | None = None,
) -> FolderPlan:
    """Check settings, output folder and headers of one study; read no pixel, write nothing.

    Parameters
    ----------
    folder, out, config, study_file, facts, saved_case, overwrite, resume, progress
        As in `eprimg.pipeline.run_folder`.

    Returns
    -------
    FolderPlan
        What would be read as what.

    Raises
    ------
    EprimgError
        As in `eprimg.pipeline.run_folder`.
    """
    from eprimg.io.output_folder import check_target
    from eprimg.io.saved_case import load_saved_case, refuse_saved_case
    from eprimg.io.study_file import StudyFile, merge_study_files, parse_study_file
    from eprimg.io.study_plan import plan_study

    saved = load_saved_case(saved_case, source=folder) if saved_case is not None else None
    source = Path(folder) if folder is not None else (saved.source if saved is not None else None)
    if source is None:
        raise ConfigError(
            "there is no study to run", code="E_EMPTY", action="give a folder, or a saved case"
        )
    config = config or (saved.config if saved is not None else Config())
    check_settings(config)
    refuse_saved_case(out)
    check_target(Path(out), overwrite=overwrite, resume=resume, source=source)
    said: Mapping[str, Any] | StudyFile | None = facts
    if saved is not None:
        said = merge_study_files(saved.study_file, parse_study_file(facts or {}, source=""))
    plan = plan_study(source, study_file=study_file, facts=said, progress=progress)
    return FolderPlan(source, plan, config, saved)


def check_folder(
    planned: FolderPlan, *, progress: Callable[[str, float], object] | None = None
) -> tuple[Finding, ...]:
    """Find out what a run would refuse, with the code of the run, before a voxel of a series.

    Masks, maps, landmarks and transforms are read: only so it is known whether they fit.

    Parameters
    ----------
    planned : FolderPlan
        From `plan_folder`.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    tuple of Finding
        What the plan, the headers and the masks notice.

    Raises
    ------
    EprimgError
        As in `eprimg.pipeline.run_folder`, for what needs no voxel of a series.
    """
    from eprimg.io.study_check import check_study
    from eprimg.stages.before_run import check_before_run

    saved = planned.saved is not None
    heads = check_study(planned.plan, planned.config, leave_out_refused=saved, progress=progress)
    parts = heads.value.parts
    # The regions of a saved case take the place of the masks.
    regions = () if saved else parts.regions
    more = check_before_run(heads.value.series, regions, parts.help, planned.config)
    return (*heads.findings, *more)
