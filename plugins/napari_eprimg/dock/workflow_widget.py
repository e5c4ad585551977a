"""The reading workflow: seven steps below each other, one open at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from eprimg.model.lesions import RegionRole, RegionSource
from napari_eprimg.dock.jobs import JobBar, Outcome, jobs_of
from napari_eprimg.dock.notices import NoticeView
from napari_eprimg.dock.panel_parts import Fold, follow, push_button
from napari_eprimg.dock.step_check import CheckStep
from napari_eprimg.dock.step_frame import StepBody, StepSection, fusion_of
from napari_eprimg.dock.step_lesions import LesionsStep
from napari_eprimg.dock.step_maps import MapsStep
from napari_eprimg.dock.step_open import OpenStep
from napari_eprimg.dock.step_register import RegisterStep
from napari_eprimg.dock.step_report import ReportStep
from napari_eprimg.dock.step_tiers import TiersStep
from napari_eprimg.reading.reading import Light, Step, reading_of
from napari_eprimg.view.view_memory import restore_view

if TYPE_CHECKING:
    import napari

    from napari_eprimg.reading.reading import Task

__all__ = ["WorkflowWidget"]

_STEPS: Final = (
    OpenStep,
    CheckStep,
    RegisterStep,
    MapsStep,
    LesionsStep,
    TiersStep,
    ReportStep,
)
_WIDTH = 360
_FITTED_MS = 120


class WorkflowWidget(QWidget):
    """Everything that is run in a reading, from the folder to the report.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where the reading is shown.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("eprimg_workflow")
        self.setAcceptDrops(True)
        self.setMinimumWidth(_WIDTH - 20)
        self.reading = reading_of(napari_viewer)
        self.jobs = jobs_of(self.reading)
        self._all: Task | None = None
        self.run_all_button = push_button("Run all", self._run_all)
        self.run_all_button.setObjectName("run_all")
        self.sections: dict[Step, StepSection] = {}
        titles = [kind.title for kind in _STEPS]
        inside = QWidget()
        steps = QVBoxLayout(inside)
        steps.setContentsMargins(0, 0, 4, 0)
        steps.setSpacing(3)
        for number, kind in enumerate(_STEPS, start=1):
            body = kind(napari_viewer, self.reading, self.jobs)
            section = StepSection(number, body, titles[number] if number < len(titles) else "")
            section.wanted.connect(lambda step=kind.step: self._pressed(step))
            section.next_wanted.connect(lambda step=kind.step: self._go_on(step))
            self.sections[kind.step] = section
            steps.addWidget(section)
        steps.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(inside)
        self.bar = JobBar(self.jobs)
        self.notices = NoticeView(self.jobs.log)
        self.notices_fold = Fold("What happened", self.notices)
        self.notices_fold.button.setObjectName("what_happened")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(self.run_all_button)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self.notices_fold)
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._restore_timer = QTimer(self)
        self._restore_timer.setSingleShot(True)
        self._restore_timer.timeout.connect(self._restore_view)
        self._scroll_timer = QTimer(self)
        self._scroll_timer.setSingleShot(True)
        self._scroll_timer.timeout.connect(self._scroll_to_open)
        self._follow()
        self.open_step(Step.OPEN)
        self.refresh()

    def sizeHint(self) -> QSize:  # noqa: N802 (name of Qt)
        """Width of the dock when there is room.

        Returns
        -------
        QSize
            In pixels.
        """
        return QSize(_WIDTH, 760)

    @property
    def step(self) -> Step | None:
        """The step that is open."""
        return next((step for step, each in self.sections.items() if each.is_open), None)

    def body(self, step: Step) -> StepBody:
        """Return the body of a step.

        Parameters
        ----------
        step : Step
            Which one.

        Returns
        -------
        StepBody
            Also when it is closed.
        """
        return self.sections[step].body

    def open_step(self, step: Step | None) -> None:
        """Open a step and close the others.

        Parameters
        ----------
        step : Step or None
            Which one; None closes all.
        """
        for each, section in self.sections.items():
            if each != step and section.is_open:
                section.set_open(False)
        if step is not None:
            self.sections[step].set_open(True)
            self._scroll_timer.start(30)

    def open_path(self, path: Path | str) -> None:
        """Open a study folder or a saved case, as the step "open" does.

        Parameters
        ----------
        path : Path or str
            The folder.
        """
        self.open_step(Step.OPEN)
        body = self.body(Step.OPEN)
        assert isinstance(body, OpenStep)
        body.open_path(path)

    def refresh(self) -> None:
        """Show the state of the reading in every step."""
        for section in self.sections.values():
            section.refresh()
        why = self.jobs.why_not
        if not why and self.reading.plan is None and self.reading.case is None:
            why = "Open a study folder first."
        self.run_all_button.setEnabled(not why)
        self.run_all_button.setToolTip(
            why or "Run every step that is not done yet, up to the tiers"
        )

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (name of Qt)
        """Take one folder or file.

        Parameters
        ----------
        event : QDragEnterEvent
            From Qt.
        """
        if _dropped(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (name of Qt)
        """Open what was dropped.

        Parameters
        ----------
        event : QDropEvent
            From Qt.
        """
        path = _dropped(event)
        if path is not None:
            event.acceptProposedAction()
            self.open_path(path)

    def _follow(self) -> None:
        reading = self.reading
        for signal in (
            reading.steps_changed,
            reading.case_changed,
            reading.regions_changed,
            reading.tiers_changed,
        ):
            follow(self, signal, self._on_change)
        follow(self, reading.cursor_changed, self._on_cursor)
        self.jobs.changed.connect(self.refresh)
        self.jobs.finished.connect(self._on_finished)
        self.destroyed.connect(self.jobs.stopper())

    def _on_change(self, *_: Any) -> None:
        self.refresh()

    def _on_cursor(self, *_: Any) -> None:
        section = self.sections[Step.MAPS]
        if section.is_open:
            section.body.refresh()

    def _on_finished(self, outcome: Outcome) -> None:
        step = outcome.task.step
        ran_all, self._all = outcome.task is self._all, None
        if outcome.error is not None and step is not None:
            self.open_step(step)  # where the sentence with the next action stands
        elif ran_all and outcome.ok:
            self.open_step(self._worth_a_look())
        elif outcome.ok and step == Step.OPEN and self.reading.saved_as is not None:
            self._restore_timer.start(_FITTED_MS)
        self.refresh()

    def _restore_view(self) -> None:
        """Show a reopened case as it was left, after the canvases fitted themselves to it."""
        restore_view(self._viewer, self.reading, fusion_of(self._viewer))

    def _pressed(self, step: Step) -> None:
        section = self.sections[step]
        # The heading is checkable: Qt has turned it already.
        self.open_step(step if section.header.isChecked() else None)
        section.set_open(section.header.isChecked())

    def _go_on(self, step: Step) -> None:
        order = list(self.sections)
        self.open_step(order[order.index(step) + 1])

    def _scroll_to_open(self) -> None:
        if self.step is not None:
            section = self.sections[self.step]
            area, last = self._scroll, section.next_button
            area.ensureWidgetVisible(last if last.isVisible() else section, 0, 0)
            area.ensureWidgetVisible(section.header, 0, 0)

    def _run_all(self) -> None:
        body = self.body(self.step or Step.OPEN)

        def make() -> Task:
            self._all = self.reading.run_all_task()
            return self._all

        body.run(make)

    def _worth_a_look(self) -> Step:
        """Choose the step to show after all were run: what was refused, or waits for the reader."""
        refused = [s.step for s in self.reading.states if s.light == Light.REFUSED]
        if refused:
            return refused[0]
        lesions = self.reading.case.lesions if self.reading.case is not None else None
        waits = any(
            r.source == RegionSource.CANDIDATE and r.role == RegionRole.LESION
            for r in (lesions.regions if lesions is not None else ())
        )
        return Step.LESIONS if waits else Step.TIERS


def _dropped(event: QDropEvent) -> Path | None:
    """Return the one local path of a drop; None when it is something else."""
    urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
    if len(urls) != 1 or not urls[0].isLocalFile():
        return None
    return Path(urls[0].toLocalFile())
