"""One step of the workflow: a heading with its state light, and a body that opens below it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from eprimg.config import Config
from eprimg.errors import ConfigError
from napari_eprimg.dock.findings_view import FindingsView
from napari_eprimg.dock.panel_parts import Fold, words
from napari_eprimg.dock.settings_form import SettingsForm
from napari_eprimg.dock.state_light import StateLight
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.reading.reading import Light, Step, StepState

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs
    from napari_eprimg.reading.reading import Reading, Task
    from napari_eprimg.view.fusion import FusionBar

__all__ = ["StepBody", "StepSection", "fusion_of", "state_of"]


def state_of(reading: Reading, step: Step) -> StepState:
    """Return the state of a step.

    Parameters
    ----------
    reading : Reading
        The reading.
    step : Step
        Which one.

    Returns
    -------
    StepState
        Idle when the reading says nothing about it.
    """
    found = (state for state in reading.states if state.step == step)
    return next(found, StepState(step, Light.IDLE, ""))


def fusion_of(viewer: napari.viewer.Viewer) -> FusionBar | None:
    """Find the fusion bar of a viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Returns
    -------
    FusionBar or None
        None when the planes are not shown.
    """
    for widget in dict(viewer.window.dock_widgets).values():
        fusion = getattr(getattr(widget, "__wrapped__", widget), "fusion", None)
        if fusion is not None:
            return fusion
    return None


class StepBody(QWidget):
    """What is below the heading of a step; children fill `layout_` and answer `refresh`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the reading is shown.
    reading : Reading
        What is read.
    jobs : Jobs
        Runs the tasks.
    """

    step: Step
    title: str

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__()
        self.viewer = viewer
        self.reading = reading
        self.jobs = jobs
        self.layout_ = QVBoxLayout(self)
        self.layout_.setContentsMargins(8, 2, 4, 8)
        self.layout_.setSpacing(6)
        self._forms: dict[str, SettingsForm] = {}

    def refresh(self) -> None:
        """Show the state of the reading; called after every change and only while open."""

    def opened(self, is_open: bool) -> None:
        """Take note of being opened or closed.

        Parameters
        ----------
        is_open : bool
            False when another step was opened instead.
        """

    def why_not(self) -> str:
        """Why the step cannot be run now.

        Returns
        -------
        str
            Words; empty when it can.
        """
        return self.jobs.why_not or state_of(self.reading, self.step).blocked_by

    def add_settings(self, section: str, **options: Any) -> Fold:
        """Add the settings of one section of the configuration, folded.

        Parameters
        ----------
        section : str
            Name of the section in `Config`.
        **options
            For `SettingsForm`.

        Returns
        -------
        Fold
            It is added to the body.
        """
        form = SettingsForm(getattr(self.reading.config, section), **options)
        form.edited.connect(self._take_edit)
        self._forms[section] = form
        fold = Fold("Settings", form)
        fold.button.setObjectName(f"settings_{section}")
        self.layout_.addWidget(fold)
        return fold

    def add_findings(self, *stages: str) -> FindingsView:
        """Add the list of what some stages noticed.

        Parameters
        ----------
        *stages : str
            As in `Finding.stage`.

        Returns
        -------
        FindingsView
            It is added to the body and filled by `show_findings`.
        """
        self.findings = FindingsView(self.reading)
        self._stages = stages
        self.layout_.addWidget(self.findings)
        return self.findings

    def show_findings(self) -> None:
        """Show what the stages of this step noticed."""
        found = [f for f in self.reading.findings if f.stage in self._stages]
        self.findings.show_findings(found)

    def _take_edit(self) -> None:
        """Take an edit at once; one that contradicts another setting is told when the step runs."""
        with suppress(ConfigError):
            self.take_settings()

    def take_settings(self) -> None:
        """Write the forms into the configuration record of the reading."""
        settings = {section: form.values() for section, form in self._forms.items()}
        config: Config = self.reading.config
        if config.with_settings(settings) != config:
            self.reading.set_config(settings)

    def show_settings(self) -> None:
        """Show the configuration record of the reading in the forms."""
        for section, form in self._forms.items():
            form.show_record(getattr(self.reading.config, section))
            form.setEnabled(not self.jobs.busy)

    def run(self, make_task: Callable[[], Task]) -> None:
        """Fill the record, make the task and start it; a refusal is told once.

        Parameters
        ----------
        make_task : callable
            Makes the task.
        """

        def start() -> None:
            lesion_tools_of(self.viewer).flush()  # what was painted a moment ago counts too
            self.take_settings()
            self.jobs.start(make_task())

        self.attempt(start)

    def attempt(self, action: Callable[[], Any]) -> bool:
        """Do something small at once; a refusal is told once and leaves the window alive.

        Parameters
        ----------
        action : callable
            Called without arguments.

        Returns
        -------
        bool
            True when nothing was raised.
        """
        try:
            action()
        except Exception as error:
            self.jobs.log.error(error)
            return False
        return True


class StepSection(QWidget):
    """Heading, light, sentence and body of a step.

    Parameters
    ----------
    number : int
        Place in the list, from 1.
    body : StepBody
        Body of the step.
    following : str
        Title of the next step; empty for the last one.
    """

    wanted = Signal()
    """The heading was pressed."""
    next_wanted = Signal()
    """The button to the next step was pressed."""

    def __init__(self, number: int, body: StepBody, following: str = "") -> None:
        super().__init__()
        self.body = body
        self.header = QPushButton()
        self.header.setObjectName(f"step_{body.step.value}")
        self.header.setCheckable(True)
        self.header.setMinimumHeight(32)
        self.header.clicked.connect(lambda _checked=False: self.wanted.emit())
        self._arrow = QLabel("▸")
        title = QLabel(f"{number}  {body.title}")
        title.setStyleSheet("font-weight: bold;")
        self.light = StateLight()
        inside = QHBoxLayout(self.header)
        inside.setContentsMargins(8, 0, 8, 0)
        for part in (self._arrow, title):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            part.setStyleSheet(part.styleSheet() + "background: transparent;")
            inside.addWidget(part)
        inside.addStretch(1)
        inside.addWidget(self.light)
        self.sentence = words()
        self.sentence.setContentsMargins(10, 2, 4, 2)
        self.sentence.setObjectName(f"sentence_{body.step.value}")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.header)
        layout.addWidget(self.sentence)
        layout.addWidget(body)
        self.next_button = QPushButton(f"Next: {following} ▸")
        self.next_button.setObjectName(f"next_{body.step.value}")
        self.next_button.clicked.connect(lambda _checked=False: self.next_wanted.emit())
        self._has_next = bool(following)
        layout.addWidget(self.next_button)
        self.set_open(False)

    @property
    def is_open(self) -> bool:
        """True when the body is shown."""
        return self.header.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the body.

        Parameters
        ----------
        is_open : bool
            Whether it is shown.
        """
        self.header.setChecked(is_open)
        self._arrow.setText("▾" if is_open else "▸")
        self.body.setVisible(is_open)
        self.body.opened(is_open)
        self.refresh()

    def refresh(self) -> None:
        """Show light and sentence; the body too when it is open."""
        state = state_of(self.body.reading, self.body.step)
        self.light.set_light(state.light)
        self.header.setAccessibleName(f"{self.body.title}: {self.light.word}")
        self.header.setToolTip(state.sentence)
        self.sentence.setText(state.sentence)
        shown = self.is_open or state.light == Light.REFUSED
        self.sentence.setVisible(shown and bool(state.sentence))
        passed = state.light in (Light.DONE, Light.DOUBT)
        self.next_button.setVisible(self.is_open and self._has_next and passed)
        if self.is_open:
            self.body.refresh()
