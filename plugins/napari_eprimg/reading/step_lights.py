"""Which steps were run, which are stale, and what their lights say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eprimg.config import Config
from eprimg.errors import Cancelled, EprimgError
from eprimg.io.study_plan import StudyPlan
from eprimg.model.case import Case, Finding, Severity
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.study import Role
from napari_eprimg.reading.reading_steps import Light, Step, StepState
from napari_eprimg.reading.shown_place import known_names, shown_place

__all__ = ["STEPS", "Progressed", "step_states", "steps_of_settings"]

STEPS = tuple(Step)
"""All steps in order."""

_FINDINGS_OF: Mapping[Step, tuple[str, ...]] = {
    Step.CHECK: ("read",),
    Step.REGISTER: ("register",),
    Step.MAPS: ("quantify",),
    Step.LESIONS: ("segment", "measure"),
    Step.TIERS: ("stratify",),
}

_STEP_OF_SECTION = {
    "read": Step.CHECK,
    "register": Step.REGISTER,
    "r2star": Step.MAPS,
    "segment": Step.LESIONS,
    "segment_model": Step.LESIONS,
    "measure": Step.LESIONS,
    "iron": Step.LESIONS,
    "partial_volume": Step.LESIONS,
    "blood_volume": Step.LESIONS,
    "stratify": Step.TIERS,
    "report": Step.REPORT,
}

_IDLE = {
    Step.OPEN: "No study is open.",
    Step.CHECK: "The pixels have not been read yet.",
    Step.REGISTER: "The series have not been aligned yet.",
    Step.MAPS: "No map has been computed yet.",
    Step.LESIONS: "No region has been measured yet.",
    Step.TIERS: "No lesion has been placed in a tier yet.",
    Step.REPORT: "Nothing has been exported yet.",
}

_STALE = "Something that this step rests on was changed: run it again."

_BEFORE = {
    Step.CHECK: "Open a study first.",
    Step.REGISTER: "Run 'check' first.",
    Step.MAPS: "Run 'register' first.",
    Step.LESIONS: "Run 'maps' first.",
    Step.TIERS: "Run 'lesions' first.",
    Step.REPORT: "Run 'tiers' first.",
}


@dataclass(slots=True)
class Progressed:
    """How far a reading has come.

    Parameters
    ----------
    ran, stale : set of Step
        Steps that were run, and those of them that must be run again.
    refused : dict of Step to str
        Sentence of the error that stopped a step when it was last run.
    said : dict of Step to str
        Sentence of a step whose result is not part of the case.
    """

    ran: set[Step] = field(default_factory=set)
    stale: set[Step] = field(default_factory=set)
    refused: dict[Step, str] = field(default_factory=dict)
    said: dict[Step, str] = field(default_factory=dict)

    def stands(self, step: Step) -> bool:
        """Tell whether the results of a step count.

        Parameters
        ----------
        step : Step
            Which one.

        Returns
        -------
        bool
            True when it was run and is not stale.
        """
        return step in self.ran and step not in self.stale

    def make_stale(self, first: Step) -> None:
        """Mark a step and all later ones that were run as to be run again.

        Parameters
        ----------
        first : Step
            The first that depends on the change.
        """
        for step in STEPS[STEPS.index(first) :]:
            self.refused.pop(step, None)
            if step in self.ran:
                self.stale.add(step)

    def succeed(self, first: Step, last: Step | None = None) -> None:
        """Mark steps as run; later ones that rest on them become stale.

        Parameters
        ----------
        first, last : Step
            First and last step that was run; only the first by default.
        """
        stop = STEPS.index(last or first) + 1
        for step in STEPS[STEPS.index(first) : stop]:
            self.ran.add(step)
            self.stale.discard(step)
            self.refused.pop(step, None)
        if stop < len(STEPS):
            self.make_stale(STEPS[stop])

    def fail(self, step: Step, error: BaseException) -> None:
        """Keep the sentence of an error; stopping a step by hand is no error.

        Parameters
        ----------
        step : Step
            The step that raised it.
        error : BaseException
            What it raised.
        """
        if isinstance(error, Cancelled):
            return
        if isinstance(error, EprimgError):
            self.refused[step] = _of_error(error)
        else:
            self.refused[step] = f"This step failed unexpectedly ({type(error).__name__})."


def steps_of_settings(before: Config, after: Config) -> frozenset[Step]:
    """Name the steps whose settings differ.

    Parameters
    ----------
    before, after : Config
        Two sets of settings.

    Returns
    -------
    frozenset of Step
        The first step that each changed section has a part in; none for the number of threads.
    """
    changed = {
        step
        for section, step in _STEP_OF_SECTION.items()
        if getattr(before, section) != getattr(after, section)
    }
    if before.measure.map_order != after.measure.map_order:
        changed.add(Step.MAPS)  # maps are resampled there, not where regions are measured
    return frozenset(changed)


def step_states(
    progressed: Progressed, plan: StudyPlan | None, case: Case | None, roles: Mapping[str, Role]
) -> tuple[StepState, ...]:
    """Say the state of every step.

    Parameters
    ----------
    progressed : Progressed
        What was run.
    plan : StudyPlan or None
        What lies in the folder.
    case : Case or None
        What is known.
    roles : Mapping of str to Role
        Role of every series.

    Returns
    -------
    tuple of StepState
        In order.
    """
    states = []
    for number, step in enumerate(STEPS):
        ready = number == 0 or progressed.stands(STEPS[number - 1])
        blocked = "" if ready else _BEFORE[step]
        if step in progressed.refused:
            light, sentence = Light.REFUSED, progressed.refused[step]
        elif step not in progressed.ran:
            light, sentence = Light.IDLE, _IDLE[step]
        elif step in progressed.stale:
            light, sentence = Light.STALE, _STALE
        else:
            found = _found(step, plan, case)
            light = _light(found)
            worst = _worst(found, known_names(roles, case))
            sentence = " ".join(filter(None, (_outcome(step, progressed, case, roles), worst)))
        states.append(StepState(step, light, sentence, blocked))
    return tuple(states)


def _found(step: Step, plan: StudyPlan | None, case: Case | None) -> tuple[Finding, ...]:
    if step == Step.OPEN:
        return plan.findings if plan is not None else ()
    stages = _FINDINGS_OF.get(step, ())
    return tuple(f for f in case.findings if f.stage in stages) if case is not None else ()


def _light(findings: Sequence[Finding]) -> Light:
    severities = {f.severity for f in findings}
    if Severity.ERROR in severities:
        return Light.REFUSED
    return Light.DOUBT if Severity.WARNING in severities else Light.DONE


def _worst(findings: Sequence[Finding], known: frozenset[str]) -> str:
    """Say the heaviest finding, and how many more there are."""
    for severity in (Severity.ERROR, Severity.WARNING):
        found = [f for f in findings if f.severity == severity]
        if found:
            first = found[0]
            where = shown_place(first.where, known)
            place = f" [{where}]" if where and where not in first.text else ""
            more = f" And {len(found) - 1} more." if len(found) > 1 else ""
            return f"{first.text}{place}{more}"
    return ""


def _of_error(error: EprimgError) -> str:
    place = shown_place(str(error.where or ""), known_names(tuple(Step)))
    where = f" [{place}]" if place else ""
    action = f" Next: {error.action}." if error.action else ""
    return f"{error.message[:1].upper()}{error.message[1:]}{where}.{action}".replace("..", ".")


def _outcome(
    step: Step, progressed: Progressed, case: Case | None, roles: Mapping[str, Role]
) -> str:
    if step == Step.OPEN:
        used = sum(r != Role.UNUSED for r in roles.values())
        return f"{_count(len(roles), 'series', 'series')} found, {used} with a role."
    if step == Step.REPORT or case is None:
        return progressed.said.get(step, "")
    if step == Step.CHECK:
        keys = ", ".join(s.key for s in case.study.series)
        masks = sum(len(r.regions) for r in case.study.regions)
        drawn = f" and {_count(masks, 'drawn region')}" if masks else ""
        return f"Read: {keys}{drawn}."
    if step == Step.REGISTER:
        accepted = sum(r.accepted for r in case.registrations)
        if not case.registrations:
            return "There is nothing to align."
        return f"{accepted} of {_count(len(case.registrations), 'alignment')} accepted."
    if step == Step.MAPS:
        names = dict.fromkeys(m.quantity.name for m in case.maps.values())
        return f"Maps: {', '.join(names)}." if names else "No map could be computed."
    if step == Step.LESIONS:
        return _regions_in_words(case)
    return _tiers_in_words(case)


def _regions_in_words(case: Case) -> str:
    regions = case.lesions.regions if case.lesions is not None else ()
    lesions = [r for r in regions if r.role == RegionRole.LESION]
    parts = [_count(len(lesions), "lesion")]
    for role, word in (
        (RegionRole.REFERENCE, "reference region"),
        (RegionRole.EXCLUDE, "excluded region"),
    ):
        number = sum(r.role == role for r in regions)
        if number:
            parts.append(_count(number, word))
    candidates = sum(r.source == RegionSource.CANDIDATE for r in lesions)
    waiting = f" {_count(candidates, 'candidate')} to be confirmed." if candidates else ""
    return f"{', '.join(parts)}.{waiting}"


def _tiers_in_words(case: Case) -> str:
    said = []
    for tier in case.patient_tiers:
        sure = (
            f" ({100 * tier.confidence:.0f} % sure)" if tier.confidence == tier.confidence else ""
        )
        said.append(f"{tier.scheme}: {tier.label}{sure}")
    return f"Patient: {'; '.join(said)}." if said else "No scheme was applied."


def _count(number: int, word: str, several: str | None = None) -> str:
    return f"{number} {word if number == 1 else several or word + 's'}"
