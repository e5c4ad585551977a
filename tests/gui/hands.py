"""A reader's eyes and hands: finds what is on the screen, and uses it by mouse and keyboard only.

Nothing here calls a slot.  A control is clicked at a place on the screen where a reader sees it:
panels are scrolled with the wheel first, and a control that is covered or cut off fails the test.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, QRect, Qt
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
PATIENCE_S = 10.0
"""How long a reader looks for a control: on a busy machine a page takes its time to appear."""
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
        patiently(lambda: len(self._shown(name, kind)) == 1)
        found = self._shown(name, kind)
        assert len(found) == 1, f"{name}: {len(found)} on the screen"
        return found.pop()

    def _shown(self, name: str, kind: type) -> set[Any]:
        windows = [self.window, *(d for d in self.window.findChildren(QDialog) if d.isVisible())]
        return {w for window in windows for w in window.findChildren(kind, name) if w.isVisible()}

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
        return self.cancel_button().isEnabled()

    def cancel_button(self) -> Any:
        """The button that stops the running job."""
        (cancel,) = [
            b
            for b in self.window.findChildren(QAbstractButton)
            if b.text() == "Cancel" and "running job" in b.toolTip()
        ]
        return cancel

    def wait(self, seconds: float = LONG_S) -> None:
        """Wait for the running job."""
        cancel = self.cancel_button()
        wait_until(lambda: not cancel.isEnabled(), seconds, every_s=0.03)
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

    def bring_into_view(
        self, widget: QWidget, place: QPoint | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        """Turn the wheel over the panel until a control is seen at its place, and stays there.

        A page that was just opened is laid out a moment later: as long as the control moves, or is
        behind another one, a person waits; one that is not to be seen after `patience_s` fails.
        """
        end = time.monotonic() + patience_s
        before = None
        while fault := self._unseen(widget, place, before):
            name = widget.objectName() or type(widget).__name__
            assert time.monotonic() < end, f"{name} {fault}"
            before = _on_screen(widget)
            settle(0.02)

    def _unseen(self, widget: QWidget, place: QPoint | None, before: QRect | None) -> str:
        """Why a control cannot be clicked now; empty when it can."""
        if not self._scrolled_to(widget):
            return "cannot be scrolled into view"
        where = widget.rect().center() if place is None else place
        seen = QApplication.widgetAt(widget.mapToGlobal(where))
        if seen is None:
            return "is off the screen"
        if seen is not widget and not widget.isAncestorOf(seen):
            return f"is behind {seen}"
        return "" if _on_screen(widget) == before else "does not stay at its place"

    def _scrolled_to(self, widget: QWidget) -> bool:
        """Turn the wheel over the panel until a control lies within it."""
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None:
            return True
        view = area.viewport()
        for _ in range(80):
            top = widget.mapTo(view, QPoint(0, 0)).y()
            low = top + widget.height() > view.height()
            if not low and top >= 0:
                return True
            if low and top <= 0:
                return True  # higher than the panel
            self._wheel(view, -1 if low else 1)
        return False

    def click(
        self, widget: QWidget, place: QPoint | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        """Click on a control where it is seen."""
        self.bring_into_view(widget, place, patience_s=patience_s)
        where = widget.rect().center() if place is None else place
        seen = QApplication.widgetAt(widget.mapToGlobal(where))
        QTest.mouseClick(
            seen, LEFT, NONE, seen.mapFrom(widget, where) if seen is not widget else where
        )
        settle(0.1)

    def press(self, name: str) -> None:
        """Click on a button; a disabled one fails with its own reason."""
        button = self.find(name, QAbstractButton)
        patiently(button.isEnabled)
        assert button.isEnabled(), f"{name}: {button.toolTip()}"
        self.click(button)

    def open_step(self, step: str) -> None:
        """Click on the heading of a step unless it is open."""
        header = self.find(f"step_{step}", QAbstractButton)
        if not header.isChecked():
            self.click(header, QPoint(40, header.height() // 2))
            patiently(header.isChecked)
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


def _on_screen(widget: QWidget) -> QRect:
    """Where a control lies on the screen."""
    return QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())


def patiently(true: Callable[[], bool]) -> None:
    """Wait as long as a reader would; whether it has happened is asked afterwards."""
    end = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < end:
        settle(0.02)
