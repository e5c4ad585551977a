"""Tell a docked widget that its window is gone: Qt does not close what is inside a dock."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

__all__ = ["WindowEnd"]


class WindowEnd(QObject):
    """Calls back once when the window around a widget has really been closed.

    A viewer's model outlives its window, and what a widget hung onto the model (mouse actions,
    keys) keeps the widget and its canvases alive, so the widget must let go by itself.

    Parameters
    ----------
    widget : QWidget
        The widget; it may be put into another window later.
    ended : callable
        Called without arguments.
    """

    def __init__(self, widget: QWidget, ended: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._ended = ended
        self._window: QWidget | None = None
        self._asked = False
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (name of Qt)
        """Follow the widget into its window; act when that is hidden after a wish to close it.

        Parameters
        ----------
        watched : QObject
            The widget or its window.
        event : QEvent
            From Qt.

        Returns
        -------
        bool
            Always False: nothing is held up.
        """
        kind = event.type()
        if watched is self._widget and kind in (QEvent.Type.Show, QEvent.Type.ParentChange):
            self._follow(self._widget.window())
        elif watched is self._window:
            if kind == QEvent.Type.Close:
                self._asked = True  # the reader may still say no
                if not self._window.isVisible():  # nobody is asked, and no Hide will follow
                    self._end()
            elif kind == QEvent.Type.Show:
                self._asked = False
            elif kind == QEvent.Type.Hide and self._asked:
                self._end()
        return False

    def _end(self) -> None:
        self.stop()
        self._ended()

    def stop(self) -> None:
        """Follow nothing any more."""
        self._widget.removeEventFilter(self)
        self._follow(None)

    def _follow(self, window: QWidget | None) -> None:
        if window is self._window or window is self._widget:
            return
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._window, self._asked = window, False
        if window is not None:
            window.installEventFilter(self)
