"""Buttons above the lesion table: tools of the canvas, and what can be done with a region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSpinBox, QToolButton, QVBoxLayout, QWidget

from eprimg.model.lesions import RegionRole, RegionSource
from napari_eprimg.dock.panel_parts import blocked, still_on_wheel
from napari_eprimg.lesions.lesion_dialogs import AskText
from napari_eprimg.lesions.lesion_tools import LesionTools

__all__ = ["LesionButtons", "tool_button"]

_LOOK = (
    "QToolButton { background: rgba(255, 255, 255, 26); border-radius: 3px; padding: 2px 5px; }"
    "QToolButton:hover { background: rgba(255, 255, 255, 48); }"
    "QToolButton:checked, QToolButton:pressed { background: #0072B2; color: white; }"
    "QToolButton:disabled { background: rgba(255, 255, 255, 10); color: #7b828a; }"
    "QToolButton::menu-indicator { image: none; }"
)


class LesionButtons(QWidget):
    """Two rows of buttons.

    Parameters
    ----------
    tools : LesionTools
        What they call.
    selected : callable
        Gives the ids that are selected in the table.
    """

    def __init__(self, tools: LesionTools, selected: Callable[[], Sequence[int]]) -> None:
        super().__init__()
        self.tools, self.reading = tools, tools.reading
        self._selected = selected
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(self._edit_row())
        self.record_row = self._record_row()
        layout.addLayout(self.record_row)
        tools.exclude_wanted.connect(self.ask_exclude)
        tools.confirm_wanted.connect(self.confirm_selected)
        tools.delete_wanted.connect(self.delete_selected)

    def _edit_row(self) -> QHBoxLayout:
        tools = self.tools
        self.percent = _spin(5, 95, 41, " %", "Part of the highest uptake in the sphere")
        self.percent.setObjectName("threshold_percent")
        self.radius = _spin(3, 80, 15, " mm", "Radius of the sphere around the crosshair")
        self.radius.setObjectName("threshold_radius")
        self.brush = tool_button(
            "Brush", "brush", partial(tools.use, "paint"), "Paint the selected lesion (key 2)"
        )
        self.erase = tool_button(
            "Erase", "erase", partial(tools.use, "erase"), "Erase voxels of any region (key 1)"
        )
        self.pick = tool_button(
            "Pick", "pick", partial(tools.use, "pick"), "Click on a lesion to select it (key 5)"
        )
        self.new = tool_button(
            "New", "new_lesion", tools.new_lesion, "Make a lesion and take up the brush"
        )
        self.threshold = tool_button(
            "Threshold",
            "threshold",
            lambda: tools.threshold_at_cursor(self.percent.value(), self.radius.value()),
            "Make a lesion from the hot voxels around the crosshair",
        )
        self.undo = tool_button("Undo", "undo", tools.undo, "")
        self.redo = tool_button("Redo", "redo", tools.redo, "")
        row = _row(
            self.brush, self.erase, self.pick, self.new, self.threshold, self.percent, self.radius,
            self.undo, self.redo,
        )  # fmt: skip
        row.addStretch(1)
        return row

    def _record_row(self) -> QHBoxLayout:
        self.confirm = tool_button(
            "Confirm",
            "confirm",
            self.confirm_selected,
            "Accept a candidate as a lesion, so that it gets a tier (Alt+C)",
        )
        self.rename = tool_button("Rename", "rename", self.ask_name, "Give it another name")
        self.exclude = tool_button(
            "Exclude",
            "exclude",
            self.ask_exclude,
            "Leave it out, with a reason, or take it in again (Alt+X)",
        )
        self.delete = tool_button(
            "Delete",
            "delete",
            self.delete_selected,
            "Delete the selected regions; undo brings them back (Delete)",
        )
        row = _row(self.confirm, self.rename, self.exclude, self.delete)
        row.addStretch(1)
        return row

    def show_state(self) -> None:
        """Allow what can be done now; say why the rest cannot."""
        reading = self.reading
        ids = self._selected()
        region = self.tools.region(reading.selected)
        none = "" if region is not None else "Click on a row first."
        case = reading.case
        no_case = (
            ""
            if case is not None and case.lesions is not None
            else ("Find or import lesions first (step Lesions).")
        )
        candidates = [
            i for i in ids if (r := self.tools.region(i)) and r.source == RegionSource.CANDIDATE
        ]
        excluded = region is not None and region.role == RegionRole.EXCLUDE
        for button in (self.brush, self.erase, self.pick, self.new, self.threshold):
            blocked(button, no_case, button.property("tip"))
        for button in (self.rename, self.exclude, self.delete):
            blocked(button, none, button.property("tip"))
        blocked(
            self.confirm,
            "" if candidates else "Nothing to confirm: no candidate is selected.",
            self.confirm.property("tip"),
        )
        self.exclude.setText("Include" if excluded else "Exclude")
        undo, redo = reading.undo_words, reading.redo_words
        for button, verb, said, able in (
            (self.undo, "Undo", undo, reading.can_undo),
            (self.redo, "Redo", redo, reading.can_redo),
        ):
            blocked(button, "" if able else f"Nothing to {verb.lower()}", f"{verb}: {said}")

    def confirm_selected(self) -> None:
        """Confirm the selected candidates."""
        ids = [
            i
            for i in self._selected()
            if (r := self.tools.region(i)) and r.source == RegionSource.CANDIDATE
        ]
        if ids:
            self.tools.edit(lambda: self.reading.confirm(ids))

    def delete_selected(self) -> None:
        """Delete the selected regions."""
        ids = self._selected()
        if ids:
            self.tools.edit(lambda: self.reading.delete(ids))

    def ask_name(self) -> None:
        """Ask for another name."""
        region = self.tools.region(self.reading.selected)
        if region is None:
            return
        AskText(
            "Rename",
            f"Name of region {region.id}; no name of a patient.",
            lambda text: self.tools.edit(lambda: self.reading.rename(region.id, text)),
            text=region.name,
            parent=self,
        ).open()

    def ask_exclude(self) -> None:
        """Ask why a region is left out; take an excluded one in again."""
        region = self.tools.region(self.reading.selected)
        if region is None:
            return
        if region.role == RegionRole.EXCLUDE:
            self.tools.edit(lambda: self.reading.include(region.id))
            return
        AskText(
            "Exclude",
            f"Why is {region.name} left out? The reason is kept in the tables.",
            lambda text: self.tools.edit(lambda: self.reading.exclude(region.id, text)),
            parent=self,
        ).open()


def _spin(low: int, high: int, value: int, suffix: str, tip: str) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    # Keys change it; napari's buttons at both sides would hide the number.  (Without any buttons
    # Qt gives the number no room at all in this style.)
    spin.setStyleSheet(
        "QSpinBox { min-width: 40px; padding: 1px 4px; }"
        "QSpinBox::up-button, QSpinBox::down-button { width: 1px; }"
        "QSpinBox::up-arrow, QSpinBox::down-arrow { width: 0px; image: none; }"
    )
    spin.setFixedWidth(spin.fontMetrics().horizontalAdvance(f"{high}{suffix}") + 24)
    still_on_wheel(spin)
    return spin


def tool_button(text: str, name: str, pressed: Callable[[], Any] | None, tip: str) -> QToolButton:
    """Make a small button.

    Parameters
    ----------
    text, name : str
        What it says; its object name.
    pressed : callable or None
        Called without arguments.
    tip : str
        What it says on a closer look.

    Returns
    -------
    QToolButton
        Connected.
    """
    button = QToolButton()
    button.setText(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setProperty("tip", tip)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
    button.setStyleSheet(_LOOK)
    if pressed is not None:
        button.clicked.connect(lambda _checked=False: pressed())
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row
