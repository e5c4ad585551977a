"""Looking at and clicking on what is drawn: pixels, mouse, waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

ROUNDS = 4
"""What an event brings about in later ones is seen too when one of them took all the time."""


def settle(seconds: float = 0.15) -> None:
    """Let the window draw."""
    end, rounds = time.monotonic() + seconds, 0
    while rounds < ROUNDS or time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01 if seconds > 0.1 else 0.005)
        rounds += 1


def wait_until(true: Callable[[], bool], seconds: float = 20.0, *, every_s: float = 0.01) -> None:
    """Let the window live until something has happened."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        QApplication.processEvents()
        time.sleep(every_s)


def pixels(qt_viewer: Any) -> np.ndarray:
    """Take the picture of a canvas, without what Qt draws over it: (rows, columns, RGB)."""
    settle()
    return np.asarray(qt_viewer.screenshot(flash=False))[..., :3].astype(int)


def n_colours(picture: np.ndarray) -> int:
    """Count the colours: a canvas that was not drawn has one."""
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def centroid(mask: np.ndarray) -> tuple[float, float]:
    """Return row and column of the middle of a mask."""
    assert mask.any(), "nothing of that colour is drawn"
    row, column = np.argwhere(mask).mean(axis=0)
    return float(row), float(column)


def widths(mask: np.ndarray) -> tuple[int, int]:
    """Return height and width of a mask in pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def px(pane: Any, viewer: Any, point: Sequence[float]) -> tuple[float, float]:
    """Say where a point (S, P, L) is drawn, from camera and canvas: (row, column)."""
    camera = viewer.scene.camera
    vertical, horizontal = viewer.dims.displayed
    down = 1 if str(camera.orientation2d[0]) == "down" else -1
    right = 1 if str(camera.orientation2d[1]) == "right" else -1
    row = pane.height() / 2 + down * camera.zoom * (point[vertical] - camera.center[-2])
    column = pane.width() / 2 + right * camera.zoom * (point[horizontal] - camera.center[-1])
    return row, column


def click(
    canvas: QWidget, row: float, column: float, modifiers: Any = Qt.KeyboardModifier.NoModifier
) -> None:
    """Click with the left button."""
    place = QPoint(round(column), round(row))
    QTest.mouseMove(canvas, place)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, modifiers, place)
    settle()


def double_click(canvas: QWidget, row: float, column: float) -> None:
    """Double click with the left button."""
    place = QPoint(round(column), round(row))
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=place)
    settle()


def drag(
    canvas: QWidget,
    start: tuple[float, float],
    end: tuple[float, float],
    modifiers: Any = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Drag with the left button from (row, column) to (row, column)."""
    places = [
        QPoint(round(start[1] + t * (end[1] - start[1])), round(start[0] + t * (end[0] - start[0])))
        for t in np.linspace(0, 1, 6)
    ]
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, modifiers, places[0])
    for place in places[1:]:
        _move(canvas, place, modifiers)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, modifiers, places[-1])
    settle()


def hover(canvas: QWidget, row: float, column: float) -> None:
    """Move the mouse without a button."""
    QTest.mouseMove(canvas, QPoint(round(column), round(row)))
    settle()


def scroll(canvas: QWidget, notches: int, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
    """Turn the wheel over the middle of a canvas; positive: away from the hand."""
    middle = QPointF(canvas.width() / 2, canvas.height() / 2)
    for _ in range(abs(notches)):
        event = QWheelEvent(
            middle,
            canvas.mapToGlobal(middle),
            QPoint(0, 0),
            QPoint(0, 120 if notches > 0 else -120),
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(canvas, event)
    settle()


def _move(canvas: QWidget, place: QPoint, modifiers: Any) -> None:
    """Move with the left button held: QTest.mouseMove forgets the button."""
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        modifiers,
    )
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()
