"""What is cut off, hidden or too wide in a window: measured, not looked at."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractScrollArea,
    QCheckBox,
    QDockWidget,
    QLabel,
    QMainWindow,
    QPushButton,
    QRadioButton,
    QTabBar,
    QTableView,
    QToolButton,
    QWidget,
)

__all__ = ["cut_off", "hidden_tabs", "sideways"]


def _name(widget: QWidget) -> str:
    return widget.objectName() or type(widget).__name__


def _docks(window: QMainWindow) -> Iterator[QDockWidget]:
    for dock in window.findChildren(QDockWidget):
        if dock.isVisible():
            yield dock


def cut_off(window: QMainWindow) -> list[str]:
    """Texts that are wider than the widget that shows them, or that lie outside their dock."""
    found = []
    for dock in _docks(window):
        for label in dock.findChildren(QLabel):
            text = label.text()
            if not label.isVisible() or not text:
                continue
            lines = text.splitlines()
            wide = max(label.fontMetrics().horizontalAdvance(line) for line in lines)
            if not label.wordWrap() and wide > label.contentsRect().width() + 1:
                found.append(f"label {_name(label)}: {text!r}")
            if label.wordWrap():
                need = label.heightForWidth(label.width())
                if need > label.height() + 1:
                    found.append(f"height {label.height()} of {need}, {_name(label)}: {text!r}")
        for kind in (QPushButton, QToolButton, QCheckBox, QRadioButton):
            for button in dock.findChildren(kind):
                if button.isVisible() and button.text():
                    wide = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
                    if wide > button.width():
                        found.append(f"button {_name(button)}: {button.text()!r}")
        for child in dock.findChildren(QWidget):
            if not child.isVisible() or _in_scroll_area(child):
                continue
            right = child.mapTo(dock, QPoint(child.width(), 0)).x()
            if isinstance(child, QLabel | QPushButton) and right > dock.width() + 1:
                found.append(f"outside: {_name(child)}")
    return found


def _in_scroll_area(widget: QWidget) -> bool:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        if isinstance(parent, QAbstractScrollArea):
            return True
        parent = parent.parentWidget()
    return False


def sideways(window: QMainWindow) -> list[str]:
    """Panels that must be scrolled sideways; a table with many columns may."""
    return [
        _name(area)
        for dock in _docks(window)
        for area in dock.findChildren(QAbstractScrollArea)
        if area.isVisible()
        and not isinstance(area, QTableView)
        and area.horizontalScrollBar().maximum() > 0
        and area.horizontalScrollBarPolicy() != Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    ]


def hidden_tabs(window: QMainWindow) -> list[str]:
    """Tabs that are cut off, lie outside the window, or hide behind arrows."""
    found = []
    for bar in window.findChildren(QTabBar):
        if not bar.isVisible():
            continue
        for at in range(bar.count()):
            rect = bar.tabRect(at)
            text = bar.tabText(at)
            if rect.right() > bar.width() or rect.left() < 0:
                found.append(text)
            elif bar.fontMetrics().horizontalAdvance(text) > rect.width():
                found.append(f"narrow: {text}")
        found += ["arrow" for button in bar.findChildren(QToolButton) if button.isVisible()]
    return found
