"""Everything that reading a study would refuse and that needs no voxel of a series."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg.config import Config
from eprimg.errors import EprimgError, cancellable, raise_faults
from eprimg.io.series_head import SeriesHead, read_series_head
from eprimg.io.study import refused_findings
from eprimg.io.study_parts import StudyParts, read_parts
from eprimg.io.study_plan import READ_ROLES, Progress, StudyPlan, check_plan
from eprimg.io.time_points import check_pet_points, point_keys, with_primaries
from eprimg.model.case import StageResult
from eprimg.model.study import Role

__all__ = ["StudyHeads", "check_study"]


@dataclass(frozen=True, eq=False, slots=True)
class StudyHeads:
    """A study without the voxels of its series.

    Parameters
    ----------
    series : tuple of SeriesHead
        In the order of their roles.
    parts : StudyParts
        What lies on them; these files were read whole.
    """

    series: tuple[SeriesHead, ...]
    parts: StudyParts


def check_study(
    plan: StudyPlan,
    config: Config,
    *,
    leave_out_refused: bool = False,
    progress: Progress | None = None,
) -> StageResult[StudyHeads]:
    """Check a planned study with the code that reads it, and stop before the voxels of its series.

    Parameters
    ----------
    plan : StudyPlan
        Series with their roles.
    config : Config
        Settings.
    leave_out_refused : bool
        As in `eprimg.io.study.read_study`.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of StudyHeads
        Heads of the series, and the masks, maps, landmarks and transforms themselves; with the
        findings of plan, headers and masks.  Findings that need the voxels of a series are not
        among them.

    Raises
    ------
    EprimgError
        As `eprimg.io.study.read_study`, for what needs no voxel of a series.
    """
    findings = [*plan.findings, *check_plan(plan, config)]
    wanted = [e for role in READ_ROLES for e in plan.entries(role)]
    keys, noticed = point_keys(wanted, plan.study_file, config.time_points)
    findings += noticed
    heads: list[SeriesHead] = []
    faults: list[EprimgError] = []
    instants = {keys[e.key]: e.instant for e in wanted}
    watched = cancellable(progress)
    for number, entry in enumerate(wanted):
        key = keys[entry.key]
        watched(f"check {key}", number / len(wanted))
        try:
            head = read_series_head(entry, key=key, config=config, entered=plan.study_file.entered)
        except EprimgError as error:
            if leave_out_refused:
                findings += [*entry.findings, *refused_findings(error, entry, key)]
            else:
                faults.append(error)
            continue
        heads.append(head.value)
        findings += [*entry.findings, *head.findings]
    raise_faults(faults)
    pets = [h for h in heads if h.role == Role.PET]
    dates = [d for h in pets if (d := instants[h.key]) is not None]
    if len(dates) == len(pets):
        order = sorted(range(len(pets)), key=lambda n: dates[n])
        pets = [pets[n] for n in order]
    check_pet_points(pets)
    named, noticed = with_primaries(heads)
    parts = read_parts(plan, named, config, leave_out_refused=leave_out_refused, tell=watched)
    heads_with_parts = StudyHeads(tuple(named), parts.value)
    findings += [*noticed, *parts.findings]
    return StageResult(heads_with_parts, tuple(dict.fromkeys(findings)))
