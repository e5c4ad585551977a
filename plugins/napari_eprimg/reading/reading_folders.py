"""Open, export, save and reopen: what a reading does with folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eprimg import pipeline
from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.io.output_folder import check_target
from eprimg.io.saved_case import (
    SavedCase,
    check_sources,
    is_saved_case,
    load_saved_case,
    refuse_saved_case,
    save_case,
    saved_case_of,
)
from eprimg.io.study import read_study
from eprimg.io.study_plan import StudyPlan, plan_study
from eprimg.model.case import Case
from napari_eprimg.reading.edits import SchemeChoice
from napari_eprimg.reading.known_cases import known_case
from napari_eprimg.reading.reading_steps import STAGES_OF, Progress, Step, Task
from napari_eprimg.reading.region_records import RecordEdits

__all__ = ["FolderTasks"]

_WINDOWS, _HIGHEST_ID = "windows", "highest_region_id"
"""What a saved case keeps for the windows, and the highest region id that was ever given."""


@dataclass(frozen=True, eq=False, slots=True)
class _Opened:
    """A study as it was found."""

    folder: Path
    plan: StudyPlan
    case: Case | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Reopened:
    """A saved case, run again."""

    path: Path
    saved: SavedCase
    plan: StudyPlan
    case: Case


class FolderTasks(RecordEdits):
    """A reading that opens, exports, saves and reopens."""

    def open_task(self, folder: Path | str) -> Task:
        """Scan a folder (headers only) and propose roles; a saved case is reopened.

        Parameters
        ----------
        folder : Path
            Study folder, or one multi-frame file, or a saved case.

        Returns
        -------
        Task
            Its result takes the place of whatever was open.
        """
        path = Path(folder)
        if is_saved_case(path):
            return self.reopen_task(path)

        plain = self._config == Config()

        def work(progress: Progress) -> _Opened:
            known = known_case(path) if plain else None
            if known is not None:
                return _Opened(path, known.plan, known.case)
            return _Opened(path, plan_study(path, progress=progress))

        def done(opened: _Opened) -> None:
            self._clear()
            if opened.case is not None:
                self.adopt(opened.folder, opened.plan, opened.case)
                return
            self._open(opened.folder, opened.plan)
            self._progressed.succeed(Step.OPEN)
            self._announce(Step.OPEN, Step.CHECK)

        return Task("Open a study", work, done, Step.OPEN, self._failure(Step.OPEN))

    def export_task(self, out: Path | str, *, overwrite: bool = False) -> Task:
        """Write everything that ``eprimg run`` writes, from the edited state.

        Parameters
        ----------
        out : Path
            Output folder.
        overwrite : bool
            Replace an earlier output folder of eprimg.

        Returns
        -------
        Task
            Report and files.

        Raises
        ------
        InputError
            ``E_STAGE`` when the tiers are missing or stale.
        OutputError
            When nothing can be written there.
        """
        self._require(Step.REPORT)
        self.measure_dirty()
        out, case, config = Path(out), self._case, self._config
        assert case is not None
        refuse_saved_case(out)
        check_target(out, overwrite=overwrite, source=self._folder)

        def work(progress: Progress) -> Path:
            return pipeline.export_case(case, config, out, overwrite=overwrite, progress=progress)

        def done(folder: Path) -> None:
            self._progressed.succeed(Step.REPORT)
            self._progressed.said[Step.REPORT] = f"Exported to the folder {folder.name}."
            self.steps_changed.emit()

        return self._guarded("Export the report", work, done, Step.REPORT)

    def save_task(self, path: Path | str, *, overwrite: bool = False) -> Task:
        """Save the case: regions, roles, facts, settings, cut-offs, view; no source voxel.

        Parameters
        ----------
        path : Path
            Folder to write.
        overwrite : bool
            Replace an earlier saved case.

        Returns
        -------
        Task
            Save.

        Raises
        ------
        InputError
            ``E_STAGE`` when nothing has been read.
        """
        if self._case is None or self._folder is None:
            raise InputError(
                "there is nothing to save yet",
                code="E_STAGE",
                action="open a study and run 'check' first",
            )
        self.measure_dirty()
        path, revision = Path(path), self._revision
        saved = saved_case_of(
            self._case,
            self._config,
            source=self._folder,
            study_file=self._study_file(),
            schemes=self._schemes.edited,
            view={_WINDOWS: dict(self.view), _HIGHEST_ID: self._highest_id},
        )

        def work(progress: Progress) -> Path:
            progress("save", 0.0)
            return save_case(path, saved, overwrite=overwrite)

        def done(folder: Path) -> None:
            if self._revision == revision:
                self._saved_as = folder
                self.steps_changed.emit()

        return Task("Save the case", work, done)

    def reopen_task(self, path: Path | str) -> Task:
        """Reopen a saved case and run it again; refused when its source has changed.

        Parameters
        ----------
        path : Path
            Folder of the saved case.

        Returns
        -------
        Task
            Its result takes the place of whatever was open.
        """
        path = Path(path)

        def work(progress: Progress) -> _Reopened:
            saved = load_saved_case(path)
            plan = plan_study(saved.source, facts=saved.study_file, progress=progress)
            read = read_study(
                saved.source,
                plan=plan,
                config=saved.config,
                leave_out_refused=True,
                progress=progress,
            )
            findings = (*read.findings, *check_sources(saved, read.value))
            case = pipeline.run(
                read.value,
                saved.config,
                regions=saved.regions,
                native=saved.drawn,
                schemes=saved.schemes,
                findings=findings,
                progress=progress,
            )
            return _Reopened(path, saved, plan, case)

        return Task(
            "Reopen a saved case", work, self._take_reopened, Step.OPEN, self._failure(Step.OPEN)
        )

    def _take_reopened(self, reopened: _Reopened) -> None:
        saved = reopened.saved
        self._config = saved.config
        self._clear()
        self.view = dict(saved.view.get(_WINDOWS, {}))
        self._schemes = SchemeChoice(saved.config.stratify.schemes, saved.schemes)
        self._highest_id = int(saved.view.get(_HIGHEST_ID, 0))
        self._edited_before = saved.regions is not None
        self.adopt(saved.source, reopened.plan, reopened.case)
        self._saved_as = reopened.path

    def adopt(self, folder: Path | str, plan: StudyPlan, case: Case) -> None:
        """Take over a case that was made elsewhere with the settings of this reading.

        Parameters
        ----------
        folder : Path
            Folder of the study.
        plan : StudyPlan
            Plan that the study was read by.
        case : Case
            As far as it was run; ``provenance.seconds`` tells which stages were.
        """
        self._open(Path(folder), plan)
        self._study = case.study
        self._progressed.succeed(Step.OPEN, Step.CHECK)
        for step, (first, last) in STAGES_OF.items():
            if not {first, last} <= set(case.provenance.seconds):
                break
            self._progressed.succeed(step)
        self._case = case
        self._count_measured(case)
        self._announce(Step.OPEN, Step.TIERS)

    def _open(self, folder: Path, plan: StudyPlan) -> None:
        self._folder, self._plan = folder, plan
        self._entered = dict(plan.study_file.entered)
