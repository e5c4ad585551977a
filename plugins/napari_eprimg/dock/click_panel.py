"""Clicks in the lesions step: a lesion that grows, and a reference sphere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_eprimg.dock.panel_parts import (
    blocked,
    card,
    follow,
    push_button,
    row,
    still_on_wheel,
    words,
)
from napari_eprimg.lesions.click_hand import click_tool_of
from napari_eprimg.lesions.click_tool import LESION, SPHERE
from napari_eprimg.reading.region_edits import ANATOMIES

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs

__all__ = ["ClickPanel"]

_PRESSED = "QPushButton:checked { background: #0072B2; color: white; }"
_TIP = "One click grows a lesion (Alt+G)"
_SPHERE_TIP = "One click places a sphere in even tissue near it, or says why none fits"
_MR_ONLY = "For MR only: the methods for PET grow from one click alone."


class ClickPanel(QWidget):
    """Shows the click tool of a viewer and hands it what is chosen.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    jobs : Jobs
        Nothing is clicked while a job runs.
    """

    def __init__(self, viewer: napari.viewer.Viewer, jobs: Jobs) -> None:
        super().__init__()
        self.tool, self.jobs = click_tool_of(viewer), jobs
        self.button = push_button("Click a lesion", self._toggle, tip=_TIP)
        self.button.setObjectName("click_lesion")
        self.background = push_button("Background", self._mark)
        self.background.setObjectName("click_background")
        for button in (self.button, self.background):
            button.setCheckable(True)
            button.setStyleSheet(_PRESSED)
            button.setMinimumWidth(1)
        self.series, self.method = QComboBox(), QComboBox()
        self.series.setObjectName("click_series")
        self.series.setToolTip("Where the lesion is seen: it grows and is measured there")
        self.series.activated.connect(lambda _: self.tool.choose_series(self.series.currentData()))
        self.method.setObjectName("click_method")
        self.method.setToolTip("How it grows; the default is that of the settings")
        self.method.activated.connect(lambda _: self.tool.choose_method(self.method.currentData()))
        self.diameter = QDoubleSpinBox()
        self.diameter.setObjectName("click_diameter")
        self.diameter.setRange(0.0, 200.0)
        self.diameter.setDecimals(0)
        self.diameter.setSuffix(" mm")
        self.diameter.setSpecialValueText("any size")
        self.diameter.valueChanged.connect(self.tool.set_diameter)
        for control in (self.series, self.method, self.diameter):
            control.setMinimumWidth(1)
            still_on_wheel(control)
        self.anatomy, self.sphere_mm = QComboBox(), QDoubleSpinBox()
        self.anatomy.setObjectName("sphere_anatomy")
        for organ in ANATOMIES:
            self.anatomy.addItem("blood pool" if organ == "blood" else organ, organ)
        self.sphere_mm.setObjectName("sphere_diameter")
        self.sphere_mm.setRange(2.0, 100.0)
        self.sphere_mm.setDecimals(0)
        self.sphere_mm.setSuffix(" mm")
        self.sphere_mm.setValue(self.tool.sphere_mm)
        self.sphere_mm.setToolTip("Diameter of the sphere")
        self.anatomy.activated.connect(lambda _: self._choose_sphere())
        self.sphere_mm.valueChanged.connect(lambda _: self._choose_sphere())
        self.sphere = push_button("Reference sphere", self._toggle_sphere, tip=_SPHERE_TIP)
        self.sphere.setObjectName("click_sphere")
        self.sphere.setCheckable(True)
        self.sphere.setStyleSheet(_PRESSED)
        for control in (self.anatomy, self.sphere_mm):
            control.setMinimumWidth(1)
            still_on_wheel(control)
        self.next = words(dim=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(
            card(
                [
                    words("Regions from a click", bold=True),
                    self.series,
                    _wide_and_narrow(self.method, self.diameter),
                    _wide_and_narrow(self.button, self.background),
                    _wide_and_narrow(self.anatomy, self.sphere_mm),
                    self.sphere,
                    self.next,
                ]
            )
        )
        follow(self, self.tool.changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the state of the tool."""
        tool = self.tool
        _fill(self.series, tool.choices, tool.series)
        _fill(self.method, {m: m for m in tool.methods}, tool.method)
        self.button.setChecked(tool.active and tool.kind == LESION)
        self.sphere.setChecked(tool.active and tool.kind == SPHERE)
        self.anatomy.setCurrentIndex(self.anatomy.findData(tool.anatomy))
        self.background.setChecked(tool.active and tool.background)
        why = self.jobs.why_not or tool.why_not
        blocked(self.button, why, _TIP)
        blocked(self.sphere, why, _SPHERE_TIP)
        blocked(
            self.background,
            why
            or ("" if tool.is_mr else _MR_ONLY)
            or ("" if self.button.isChecked() else "Take up 'Click a lesion' first."),
            "The next clicks are no lesion; the last one grows anew (or Shift-click)",
        )
        self.diameter.setEnabled(tool.is_mr)
        self.diameter.setToolTip(
            "Largest diameter of the lesion, when you know it" if tool.is_mr else _MR_ONLY
        )
        self.next.setText(tool.next_words)
        self.next.setVisible(bool(tool.next_words))

    def _toggle(self) -> None:
        self.tool.take_up(self.button.isChecked(), LESION)

    def _toggle_sphere(self) -> None:
        self.tool.take_up(self.sphere.isChecked(), SPHERE)

    def _choose_sphere(self) -> None:
        self.tool.choose_sphere(self.anatomy.currentData(), self.sphere_mm.value())

    def _mark(self) -> None:
        self.tool.mark_background(self.background.isChecked())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (name of Qt)
        """Put the tool down with Esc.

        Parameters
        ----------
        event : QKeyEvent
            From Qt.
        """
        if event.key() == Qt.Key.Key_Escape and self.tool.active:
            self.tool.take_up(False)
            return
        super().keyPressEvent(event)


def _wide_and_narrow(wide: QWidget, narrow: QWidget) -> QHBoxLayout:
    both = row(wide, narrow)
    both.setStretch(0, 3)
    both.setStretch(1, 2)
    for each in (wide, narrow):
        each.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return both


def _fill(combo: QComboBox, entries: Mapping[str, str], chosen: str) -> None:
    known = {str(combo.itemData(n)): combo.itemText(n) for n in range(combo.count())}
    if known != dict(entries) or list(known) != list(entries):
        combo.clear()
        for key, text in entries.items():
            combo.addItem(text, key)
    combo.setCurrentIndex(combo.findData(chosen))
