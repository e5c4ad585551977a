"""The steps of a reading as work for a thread; stages are ordered by `eprimg.pipeline` alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from eprimg import pipeline
from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.io.study import read_study
from eprimg.io.study_plan import plan_study
from eprimg.model.case import Case, Severity
from eprimg.model.tiers import TierScheme
from eprimg.stages.carry import reference_series
from eprimg.stages.register_judge import judge_case
from napari_eprimg.reading.edits import identity_of
from napari_eprimg.reading.reading_state import ReadingState
from napari_eprimg.reading.reading_steps import STAGES_OF, Progress, Step, Task
from napari_eprimg.reading.step_lights import STEPS

__all__ = ["StepTasks"]

_TITLES = {
    Step.CHECK: "Read the pixels",
    Step.REGISTER: "Align the series",
    Step.MAPS: "Compute the maps",
    Step.LESIONS: "Measure the regions",
    Step.TIERS: "Place the lesions in tiers",
}

_READ_SHARE = 0.2
"""Part of the progress bar that reading takes when all steps are run."""


class StepTasks(ReadingState):
    """A reading whose steps can be run."""

    # ------------------------------------------------------------------ check

    def check_task(self) -> Task:
        """Read the pixels with the roles and the entered facts.

        A series that is refused (e.g. PET without weight or injection time) is left out: the light
        turns red and says why, the rest stays usable.

        Returns
        -------
        Task
            Read and check.

        Raises
        ------
        InputError
            ``E_STAGE`` when no study is open.
        """
        self._require(Step.CHECK)
        read = self._reader()
        return self._guarded(_TITLES[Step.CHECK], read, self._take_read, Step.CHECK)

    def _reader(self) -> Callable[[Progress], Case]:
        """Work that reads the study as it stands now."""
        assert self._folder is not None
        assert self._plan is not None
        folder, plan, config = self._folder, self._plan, self._config
        spoken = self._study_file() if self._said_more() else None

        def work(progress: Progress) -> Case:
            settled = plan
            if spoken is not None:
                settled = plan_study(folder, facts=spoken, progress=progress)
            read = read_study(
                folder, plan=settled, config=config, leave_out_refused=True, progress=progress
            )
            if not read.value.series:
                raise _nothing_left(read.findings)
            return Case(
                read.value,
                findings=tuple(replace(f, stage=f.stage or "read") for f in read.findings),
            )

        return work

    def _take_read(self, case: Case) -> None:
        self._case = self._study_changed(_with_edits(case, self._edits()))
        self._progressed.succeed(Step.CHECK)
        self._announce(Step.CHECK, Step.CHECK)

    def _edits(self) -> Case | None:
        """Return the case whose regions a person edited; None when nobody did."""
        edited = self._edited and self._case is not None and self._case.lesions is not None
        return self._case if edited else None

    def _study_changed(self, case: Case) -> Case:
        """Note another study, and whether the edited regions could be kept."""
        self._study = case.study
        self._progressed.said.pop(Step.CHECK, None)
        if self._edits() is not None and case.lesions is None:
            self._progressed.said[Step.CHECK] = (
                "The edited regions lie on the grid of another series and were left out."
            )
        if case.lesions is None:
            self._edited_before = False
            self._dirty.clear()
            self._undo.clear()
        return case

    # ------------------------------------------------------------------ stages

    def run_task(self, step: Step) -> Task:
        """Run the stages of a step.

        Parameters
        ----------
        step : Step
            ``register``, ``maps``, ``lesions`` (segment and measure; edited regions are kept) or
            ``tiers``; ``check`` is the same as `check_task`.

        Returns
        -------
        Task
            Run.

        Raises
        ------
        InputError
            ``E_STAGE`` when the step before it has not been run, or for a step without stages.
        """
        if step == Step.CHECK:
            return self.check_task()
        if step not in STAGES_OF:
            raise InputError(
                f"the step {step} has no stage to run", code="E_STAGE", action="use its own task"
            )
        self._require(step)
        return self._guarded(
            _TITLES[step], self._runner(step, step), lambda case: self._take(case, step, step), step
        )

    def run_all_task(self) -> Task:
        """Run from the first step that is not done to the tiers.

        Returns
        -------
        Task
            Run; the tiers alone when everything is done.

        Raises
        ------
        InputError
            ``E_STAGE`` when no study is open.
        """
        steps = STEPS[STEPS.index(Step.CHECK) : STEPS.index(Step.TIERS)]
        first = next((s for s in steps if not self.done(s)), Step.TIERS)
        self._require(first)
        title = "Run all steps"
        if first != Step.CHECK:
            run = self._runner(first, Step.TIERS)
            return self._guarded(
                title, run, lambda case: self._take(case, first, Step.TIERS), first
            )
        read, edits = self._reader(), self._edits()
        run_from = partial(_run, self._config, self._schemes.edited, Step.REGISTER, Step.TIERS)

        def work(progress: Progress) -> tuple[Case, Case]:
            fresh = read(lambda words, share: progress(words, _READ_SHARE * share))
            fresh = _with_edits(fresh, edits)
            rest = 1.0 - _READ_SHARE
            case = run_from(
                fresh,
                fresh.lesions is not None,
                lambda words, share: progress(words, _READ_SHARE + rest * share),
            )
            return fresh, case

        def done(result: tuple[Case, Case]) -> None:
            self._study_changed(result[0])
            self._take(result[1], Step.CHECK, Step.TIERS)

        return self._guarded(title, work, done, Step.CHECK)

    def _runner(self, first: Step, last: Step) -> Callable[[Progress], Case]:
        """Work that runs the stages of some steps on the case as it stands now."""
        assert self._case is not None
        run = partial(_run, self._config, self._schemes.edited, first, last)
        return partial(run, self._case, self._edits() is not None)

    def _take(self, case: Case, first: Step, last: Step) -> None:
        """Put a case in place after some steps."""
        self._case, self._study = case, case.study
        covered = STEPS[STEPS.index(first) : STEPS.index(last) + 1]
        if Step.LESIONS in covered:
            self._dirty.clear()
            if not self._edited:
                self._undo.clear()
            self._count_measured(case)
        self._progressed.succeed(first, last)
        self._touched()
        self._announce(first, last)

    def reject_registration(self, moving: str, rejected: bool = True) -> None:
        """Reject an alignment that passed its checks, or use it again.

        It is a setting (``register.reject``), so that a run without a screen does the same.  The
        maps and all that rests on them become stale.

        Parameters
        ----------
        moving : str
            Key of the series that was aligned.
        rejected : bool
            False uses it again.

        Raises
        ------
        InputError
            ``E_STAGE`` when there is no such alignment, or its own check refused it.
        """
        case = self._case
        known = case.registrations if case is not None else ()
        passed = {r.moving for r in known if r.accepted or r.rejected}
        if case is None or moving not in passed:
            raise InputError(
                f"there is no alignment of {moving} that could be rejected",
                code="E_STAGE",
                where=Step.REGISTER,
                action="run the step 'register' first",
            )
        others = set(self._config.register.reject) - {moving}
        wanted = sorted(others | {moving} if rejected else others)
        if wanted == sorted(self._config.register.reject):
            return
        self._config = self._config.with_settings({"register": {"reject": wanted}})
        self._case = judge_case(case, self._config.register)
        self.case_changed.emit()
        self._stale_from(Step.MAPS)

    # ------------------------------------------------------------------ parts

    def _count_measured(self, case: Case) -> None:
        """Note the regions that numbers belong to, and the highest id among them."""
        self._measured = case.lesions
        regions = case.lesions.regions if case.lesions is not None else ()
        self._highest_id = max([self._highest_id, *(r.id for r in regions)])

    def _require(self, step: Step) -> None:
        """Refuse a step that cannot run yet, in the words that the workflow shows."""
        state = next(s for s in self.states if s.step == step)
        if state.blocked_by:
            raise InputError(
                f"the step '{step}' cannot run yet",
                code="E_STAGE",
                where=step,
                action=state.blocked_by.rstrip(".").replace("Open", "open").replace("Run", "run"),
            )

    def _failure(self, step: Step) -> Callable[[BaseException], None]:
        def failed(error: BaseException) -> None:
            self._progressed.fail(step, error)
            self.steps_changed.emit()

        return failed

    def _guarded(
        self, title: str, work: Callable[[Progress], Any], done: Callable[[Any], None], step: Step
    ) -> Task:
        """Make a task whose result is not taken when the reading changed while it ran."""
        revision = self._revision

        def apply(result: Any) -> None:
            if self._revision != revision:
                error = InputError(
                    "something was changed while this ran, so its result was not taken",
                    code="E_STAGE",
                    where=step,
                    action="run the step again",
                )
                self._failure(step)(error)
                raise error
            done(result)

        return Task(title, work, apply, step, self._failure(step))

    def _announce(self, first: Step, last: Step) -> None:
        """Emit what changed by some steps, layers first."""
        span = STEPS[STEPS.index(first) : STEPS.index(last) + 1]
        if {Step.OPEN, Step.CHECK, Step.REGISTER, Step.MAPS} & set(span):
            self.case_changed.emit()
        if {Step.CHECK, Step.LESIONS} & set(span):
            regions = self._case.lesions.regions if self._case and self._case.lesions else ()
            self.regions_changed.emit(frozenset(r.id for r in regions))
            self.select(self._selected)
        if Step.TIERS in span:
            self.tiers_changed.emit()
        self.steps_changed.emit()


def _run(
    config: Config,
    schemes: tuple[TierScheme, ...] | None,
    first: Step,
    last: Step,
    case: Case,
    keep_regions: bool,
    progress: Progress,
) -> Case:
    """Run the stages of some steps; edited regions take the place of what segmenting finds."""
    start, stop = STAGES_OF[first][0], STAGES_OF[last][1]
    order = pipeline.STAGES
    given = keep_regions and order.index(start) <= order.index("segment") <= order.index(stop)
    return pipeline.run(
        case.study,
        config,
        case=case,
        start=start,
        stop=stop,
        regions=case.lesions if given else None,
        native=case.drawn_lesions if given else None,
        schemes=schemes,
        progress=progress,
    )


def _with_edits(case: Case, edits: Case | None) -> Case:
    """Keep edited regions when they still lie on the reference grid."""
    if edits is None or edits.lesions is None:
        return case
    if not reference_series(case.study).grid.matches(edits.lesions.grid):
        return case
    kept = edits.lesions.with_regions(tuple(map(identity_of, edits.lesions.regions)))
    return replace(case, lesions=kept, drawn_lesions=edits.drawn_lesions)


def _nothing_left(findings: tuple[Any, ...]) -> InputError:
    refused = [f for f in findings if f.severity == Severity.ERROR]
    text = " ".join(f.text for f in refused)
    return InputError(
        f"no series of this study can be used: {text}".rstrip(": "),
        code=refused[0].code if refused else "E_NO_SERIES",
        action="enter what is missing, or change the roles",
    )
