"""Step 2: read the pixels; see what was noticed; enter what the headers do not say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from eprimg.io.nuclides import nuclides
from eprimg.model.acquisition import Known
from napari_eprimg.dock.panel_parts import (
    Fold,
    RunButton,
    card,
    push_button,
    row,
    still_on_wheel,
    words,
)
from napari_eprimg.dock.pet_facts_shown import FACTS, Fact, header_facts, read_value, write_value
from napari_eprimg.dock.step_frame import StepBody
from napari_eprimg.reading.reading import Step

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs
    from napari_eprimg.reading.reading import Reading

__all__ = ["CheckStep", "FactRow"]

_SEXES: Final = {"F": "female", "M": "male", "O": "other"}
_MISSING, _ENTERED = "color: #ff8f80;", "color: #7cc4f0;"


class FactRow(QWidget):
    """One fact: its value, where it comes from, and a field to enter another one.

    Parameters
    ----------
    step : CheckStep
        The step it belongs to.
    fact : Fact
        Which fact.
    """

    def __init__(self, step: CheckStep, fact: Fact) -> None:
        super().__init__()
        self._step = step
        self.fact = fact
        self.origin = words()
        self.undo_button = push_button(
            "Undo", self._forget, tip="Take the entered value back and use the header's"
        )
        self.undo_button.setObjectName(f"forget_{fact.key}")
        self.field: QLineEdit | QComboBox
        if fact.kind in ("sex", "nuclide"):
            self.field = QComboBox()
            self.field.addItem("as in the header", "")
            named = _SEXES if fact.kind == "sex" else {n.key: n.key for n in nuclides()}
            for key, text in named.items():
                self.field.addItem(text, key)
            self.field.setMinimumContentsLength(8)
            still_on_wheel(self.field)
            self.field.activated.connect(self._chosen)
        else:
            self.field = QLineEdit()
            self.field.editingFinished.connect(self._typed)
        self.field.setObjectName(f"fact_{fact.key}")
        self.field.setAccessibleName(fact.label)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(words(fact.label))
        layout.addLayout(row(self.field, self.undo_button))
        layout.addWidget(self.origin)

    def show_fact(self, known: Known[Any] | None, entered: Any) -> None:
        """Show value and origin.

        Parameters
        ----------
        known : Known or None
            What the header says; None when headers never hold this fact.
        entered : object
            What the reader entered; None when nothing.
        """
        stated = known is not None and known.value is not None
        header = write_value(known.value) if known is not None else ""
        if isinstance(self.field, QLineEdit):
            self.field.setPlaceholderText(header or ("missing" if self.fact.needed else "none"))
            if not self.field.hasFocus() or entered is not None:
                self.field.setText(write_value(entered))
        else:
            self.field.setCurrentIndex(max(self.field.findData(entered or ""), 0))
        self.undo_button.setVisible(entered is not None)
        if entered is not None:
            self._say("entered by reader" + (f" (header: {header})" if stated else ""), _ENTERED)
        elif known is None:
            self._say("only when it was measured" if "residual" in self.fact.key else "", "")
        elif stated:
            self._say(f"{header}, from the header {known.where}".rstrip(), "color: #a9b0b8;")
        else:
            mark = "✖ missing" if self.fact.needed else "missing"
            style = _MISSING if self.fact.needed else "color: #a9b0b8;"
            self._say(f"{mark} {known.where}".rstrip(), style)

    def _say(self, text: str, style: str) -> None:
        self.origin.setText(text)
        self.origin.setStyleSheet(style)
        self.origin.setVisible(bool(text))

    def _typed(self) -> None:
        assert isinstance(self.field, QLineEdit)
        text = self.field.text().strip()
        entered = self._step.reading.entered.get(self.fact.key)
        if text == write_value(entered):
            return
        if not text:
            self._forget()
            return
        try:
            value = read_value(self.fact, text)
        except ValueError as error:
            self._say(f"✖ {error}", _MISSING)
            return
        self._step.enter(self.fact.key, value)

    def _chosen(self, place: int) -> None:
        assert isinstance(self.field, QComboBox)
        value = self.field.itemData(place)
        if value:
            self._step.enter(self.fact.key, value)
        else:
            self._forget()

    def _forget(self) -> None:
        if isinstance(self.field, QLineEdit):
            self.field.clear()
        self._step.forget(self.fact.key)


class CheckStep(StepBody):
    """Findings, facts, and the button that reads the pixels.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.CHECK
    title = "Check"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.run_button = RunButton("Read and check", lambda: self.run(reading.check_task))
        self.run_button.button.setObjectName("run_check")
        self.layout_.addWidget(self.run_button)
        self.add_findings("read", "")
        self._facts_title = words("What SUV depends on", bold=True)
        self.rows = {fact.key: FactRow(self, fact) for fact in FACTS}
        needed = [self.rows[f.key] for f in FACTS if f.needed]
        others = QWidget()
        inner = QVBoxLayout(others)
        inner.setContentsMargins(0, 0, 0, 0)
        for fact in FACTS:
            if not fact.needed:
                inner.addWidget(self.rows[fact.key])
        self.more = Fold("More facts", others)
        self.form = card([self._facts_title, *needed, self.more])
        self.layout_.addWidget(self.form)
        self.add_settings("read")
        self._known_for: object = None
        self._known: dict[str, Known[Any]] = {}

    def enter(self, key: str, value: Any) -> None:
        """Record a fact that wins over the header.

        Parameters
        ----------
        key : str
            Key of the fact.
        value : object
            Its value.
        """
        self.attempt(partial(self.reading.enter, key, value))
        self.refresh()

    def forget(self, key: str) -> None:
        """Take an entered fact back.

        Parameters
        ----------
        key : str
            Key of the fact.
        """
        if key in self.reading.entered:
            self.attempt(partial(self.reading.forget, key))
        self.refresh()

    def refresh(self) -> None:
        """Show findings and facts."""
        reading = self.reading
        self.run_button.show_why(self.why_not())
        self.show_settings()
        self.show_findings()
        source = (reading.plan, reading.study, tuple(reading.roles.items()))
        if source != self._known_for:
            self._known_for, self._known = source, dict(header_facts(reading))
        self.form.setVisible(bool(self._known))
        self.form.setEnabled(not self.jobs.busy)
        for key, each in self.rows.items():
            each.show_fact(self._known.get(key), reading.entered.get(key))
