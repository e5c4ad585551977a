"""A reader's eyes and hands: finds what is on the screen, and uses it by mouse and keyboard only.

Nothing here calls a slot.  A control is clicked at a place on the screen where a reader sees it:
panels are scrolled with the wheel first, and a control that is covered or cut off fails the test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QGuiApplication, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QScrollArea,
    QTableView,
    QWidget,
)

from tests.plugins.screen import px, settle, wait_until

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LONG_S = 240.0
PICTURES = Path(os.environ.get("EPRIMG_GUI_PICTURES", "build/gui-pictures"))
"""Where the picture of each step is kept."""


class Hands:
    """One window of the reading room and what a reader does in it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Shown, with the reading room around it.
    """

    def __init__(self, viewer: Any) -> None:
        from napari.qt import QtViewer

        self.viewer = getattr(viewer, "__wrapped__", viewer)
        shown = [
            w
            for w in QApplication.allWidgets()
            if isinstance(w, QtViewer) and w.viewer is self.viewer
        ]
        self.qt_viewer: Any = shown[0]
        self.window: QWidget = self.qt_viewer.window()

    # ------------------------------------------------------------------ eyes

    @property
    def canvas(self) -> QWidget:
        """The main canvas: the axial plane."""
        return self.qt_viewer.canvas.native

    def find(self, name: str, kind: type = QWidget) -> Any:
        """The one control of that name that is shown, in the window or in an open dialog."""
        windows = [self.window, *(d for d in self.window.findChildren(QDialog) if d.isVisible())]
        found = {w for window in windows for w in window.findChildren(kind, name) if w.isVisible()}
        assert len(found) == 1, f"{name}: {len(found)} on the screen"
        return found.pop()

    def labels(self) -> list[str]:
        """Texts of all labels that are shown."""
        return [x.text() for x in self.window.findChildren(QLabel) if x.isVisible() and x.text()]

    def reads(self, words: str) -> bool:
        """Tell whether words stand somewhere in the window."""
        return any(words in text for text in self.labels())

    def light(self, step: str) -> str:
        """Word of the state light of a step, as it is read out."""
        return self.find(f"step_{step}", QAbstractButton).accessibleName().rpartition(": ")[2]

    def sentence(self, step: str) -> str:
        """Sentence below the heading of a step; empty when it is hidden."""
        (label,) = self.window.findChildren(QLabel, f"sentence_{step}")
        return label.text() if label.isVisible() else ""

    @property
    def busy(self) -> bool:
        """True while the cancel button can be pressed."""
        (cancel,) = [
            b
            for b in self.window.findChildren(QAbstractButton)
            if b.text() == "Cancel" and "running job" in b.toolTip()
        ]
        return cancel.isEnabled()

    def wait(self, seconds: float = LONG_S) -> None:
        """Wait for the running job."""
        wait_until(lambda: not self.busy, seconds)
        settle(0.15)

    def table(self) -> QTableView:
        """The lesion table."""
        return self.find("lesion_table", QTableView)

    def rows(self) -> list[dict[str, str]]:
        """What the table shows: a dict of column title to text for each row."""
        view = self.table()
        model = view.model()
        titles = [
            str(model.headerData(c, Qt.Orientation.Horizontal)) for c in range(model.columnCount())
        ]
        return [
            {
                title: str(model.data(model.index(r, c)) or "")
                for c, title in enumerate(titles)
                if not view.isColumnHidden(c)
            }
            for r in range(model.rowCount())
        ]

    def look(self, name: str) -> Path:
        """Keep a picture of the screen, dialogs and notifications included."""
        settle(0.25)
        PICTURES.mkdir(parents=True, exist_ok=True)
        target = PICTURES / f"{name}.png"
        place = self.window.frameGeometry()
        shot = QGuiApplication.primaryScreen().grabWindow(
            0, place.x(), place.y(), place.width(), place.height()
        )
        assert shot.save(str(target))
        return target

    def place(self, point: Sequence[float]) -> tuple[float, float]:
        """Row and column on the main canvas of a point (S, P, L) in mm."""
        return px(self.canvas, self.viewer, point)

    # ------------------------------------------------------------------ mouse

    def bring_into_view(self, widget: QWidget) -> None:
        """Turn the wheel over the panel until a control lies within it."""
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None:
            return
        view = area.viewport()
        for _ in range(80):
            top = widget.mapTo(view, QPoint(0, 0)).y()
            low = top + widget.height() > view.height()
            if not low and top >= 0:
                return
            if low and top <= 0:
                return  # higher than the panel
            self._wheel(view, -1 if low else 1)
        raise AssertionError(f"{widget.objectName()} cannot be scrolled into view")

    def click(self, widget: QWidget, place: QPoint | None = None) -> None:
        """Click on a control where it is seen."""
        self.bring_into_view(widget)
        where = widget.rect().center() if place is None else place
        seen = QApplication.widgetAt(widget.mapToGlobal(where))
        name = widget.objectName() or type(widget).__name__
        assert seen is not None, f"{name} is off the screen"
        assert seen is widget or widget.isAncestorOf(seen), f"{name} is behind {seen}"
        QTest.mouseClick(
            seen, LEFT, NONE, seen.mapFrom(widget, where) if seen is not widget else where
        )
        settle(0.1)

    def press(self, name: str) -> None:
        """Click on a button; a disabled one fails with its own reason."""
        button = self.find(name, QAbstractButton)
        assert button.isEnabled(), f"{name}: {button.toolTip()}"
        self.click(button)

    def open_step(self, step: str) -> None:
        """Click on the heading of a step unless it is open."""
        header = self.find(f"step_{step}", QAbstractButton)
        if not header.isChecked():
            self.click(header, QPoint(40, header.height() // 2))
        assert header.isChecked()

    def tab(self, words: str) -> None:
        """Click on the tab of a dock."""
        from qtpy.QtWidgets import QTabBar

        for bar in self.window.findChildren(QTabBar):
            for at in range(bar.count()):
                if bar.isVisible() and words in bar.tabText(at):
                    self.click(bar, bar.tabRect(at).center())
                    return
        raise AssertionError(f"no tab {words}")

    def click_row(self, region_id: int) -> None:
        """Click on the row of a region in the table."""
        view = self.table()
        model = view.model()
        ids = [str(model.data(model.index(r, 0))) for r in range(model.rowCount())]
        index = model.index(ids.index(str(region_id)), 1)
        for _ in range(200):
            place = view.visualRect(index)
            if place.top() < 0:
                self._wheel(view.viewport(), 1)
            elif place.bottom() > view.viewport().height():
                self._wheel(view.viewport(), -1)
            else:
                break
        self.click(view.viewport(), place.center())
        settle(0.1)

    def _wheel(self, widget: QWidget, notches: int) -> None:
        middle = QPointF(widget.rect().center())
        event = QWheelEvent(
            middle, widget.mapToGlobal(middle), QPoint(0, 0), QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton, NONE, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)
        settle(0.02)

    # ------------------------------------------------------------------ keyboard

    def type(self, name: str, text: str, *, enter: bool = True) -> None:
        """Click into a field, replace what is in it, and press Enter."""
        field = self.find(name)
        self.click(field)
        inner = field if isinstance(field, QLineEdit) else field.findChild(QLineEdit)
        QTest.keyClick(inner, Qt.Key.Key_A, CTRL)
        QTest.keyClicks(inner, text)
        assert text in inner.text()
        if enter:
            QTest.keyClick(inner, Qt.Key.Key_Return)
        settle(0.1)

    def choose(self, name: str, words: str) -> None:
        """Choose an entry of a combo box with the arrow keys."""
        combo = self.find(name, QComboBox)
        self.bring_into_view(combo)
        at = combo.findText(words)
        assert at >= 0, f"{words} is not offered"
        while combo.currentIndex() != at:
            key = Qt.Key.Key_Down if combo.currentIndex() < at else Qt.Key.Key_Up
            before = combo.currentIndex()
            QTest.keyClick(combo, key)
            assert combo.currentIndex() != before
        QTest.keyClick(combo, Qt.Key.Key_Return)
        settle(0.1)

    def key(self, key: Any, modifiers: Any = NONE) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas, key, modifiers)
        settle(0.15)

    def answer(self, text: str) -> None:
        """Fill the field of the open question and press Enter."""
        settle(0.1)
        field = self.find("answer", QLineEdit)
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)
        settle(0.2)


def inside(case: Any, region_id: int) -> tuple[float, float, float]:
    """A point (S, P, L) in mm in the middle of the largest slice of a region."""
    lesions = case.lesions
    index = np.argwhere(np.asarray(lesions.labels) == region_id)
    x, y, z = lesions.grid.index_to_lps_mm(index).mean(axis=0)
    return float(z), float(y), float(x)


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the window live until something has happened."""
    wait_until(true, seconds)
