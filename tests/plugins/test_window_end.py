"""A docked widget hears once that its window was really closed."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_eprimg.view.window_end import WindowEnd


class _No(QObject):
    """A reader who does not want to close."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (name of Qt)
        if event.type() == QEvent.Type.Close:
            event.ignore()
            return True
        return False


def _docked(window: QMainWindow) -> tuple[QWidget, list[str]]:
    widget, heard = QWidget(), []
    WindowEnd(widget, lambda: heard.append("gone"))
    dock = QDockWidget(window)
    dock.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.show()
    return widget, heard


def test_a_hidden_window_is_not_a_closed_one(qapp) -> None:
    window = QMainWindow()
    _, heard = _docked(window)
    window.hide()
    window.show()
    assert heard == []
    window.close()
    assert heard == ["gone"]
    window.show()
    window.close()
    assert heard == ["gone"]  # once


def test_a_window_that_is_closed_while_it_is_hidden_is_gone(qapp) -> None:
    window = QMainWindow()
    _, heard = _docked(window)
    window.hide()
    window.close()
    assert heard == ["gone"]


def test_a_reader_who_says_no_keeps_the_widget(qapp) -> None:
    window = QMainWindow()
    _, heard = _docked(window)
    no = _No()
    window.installEventFilter(no)
    window.close()
    assert window.isVisible()
    assert heard == []
    window.removeEventFilter(no)
    window.close()
    assert heard == ["gone"]


def test_a_widget_moved_to_another_window_follows_that_one(qapp) -> None:
    first, second = QMainWindow(), QMainWindow()
    widget, heard = _docked(first)
    second.setCentralWidget(widget)
    second.show()
    first.close()
    assert heard == []
    second.close()
    assert heard == ["gone"]
