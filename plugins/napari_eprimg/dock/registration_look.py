"""Looking at a registration: the two series in turn (flicker), and the checkerboard picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_eprimg.reading.reading import Task

if TYPE_CHECKING:
    import napari

    from eprimg.model.case import Case
    from eprimg.model.transform import Registration

__all__ = ["Flicker", "PictureWindow", "picture_task", "series_layers"]

_FLICKER_MS = 600


def series_layers(viewer: napari.viewer.Viewer, key: str) -> list[Any]:
    """Find the layers that show a series in the frame of the reference, or a map made from it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where to look.
    key : str
        Key of the series.

    Returns
    -------
    list of Layer
        The series itself first, then maps of it; found by their metadata, never by name.
    """
    found: list[tuple[int, Any]] = []
    for layer in viewer.layers:
        ours = layer.metadata.get("eprimg", {})
        if not ours.get("aligned"):
            continue
        if ours.get("role") == "series" and ours.get("key") == key:
            found.append((0, layer))
        elif ours.get("role") == "map" and list(ours.get("sources", ())) == [key]:
            found.append((1, layer))
    return [layer for _, layer in sorted(found, key=lambda pair: pair[0])]


class Flicker(QObject):
    """Shows the fixed and the moving series in turn, and gives back what was shown before.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    parent : QObject
        Owner.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._timer = QTimer(self)
        self._timer.setInterval(_FLICKER_MS)
        self._timer.timeout.connect(self._turn)
        self._before: list[tuple[Any, bool, float]] = []
        self._pair: tuple[Any, Any] | None = None

    @property
    def running(self) -> bool:
        """True while the layers are shown in turn."""
        return self._timer.isActive()

    def start(self, fixed: str, moving: str) -> bool:
        """Start with a pair of series.

        Parameters
        ----------
        fixed, moving : str
            Keys of the series.

        Returns
        -------
        bool
            False when one of them has no layer.
        """
        self.stop()
        first = series_layers(self._viewer, fixed)
        second = series_layers(self._viewer, moving)
        if not first or not second:
            return False
        self._before = [(a, a.visible, a.opacity) for a in self._viewer.layers]
        for layer in self._viewer.layers:
            layer.visible = layer is first[0]
        first[0].opacity = second[0].opacity = 1.0
        self._pair = (first[0], second[0])
        self._timer.start()
        return True

    def stop(self) -> None:
        """Stop, and show what was shown before."""
        self._timer.stop()
        for layer, visible, opacity in self._before:
            if layer in self._viewer.layers:
                layer.visible, layer.opacity = visible, opacity
        self._before, self._pair = [], None

    def _turn(self) -> None:
        if self._pair is None or any(a not in self._viewer.layers for a in self._pair):
            self.stop()
            return
        first, second = self._pair
        first.visible, second.visible = not first.visible, first.visible


def picture_task(case: Case, registration: Registration, show: Any) -> Task:
    """Make the task that draws the picture of the report for one registration.

    Parameters
    ----------
    case : Case
        The case.
    registration : Registration
        What is to be looked at.
    show : callable
        Called in the GUI thread with the picture, or None when it cannot be drawn.

    Returns
    -------
    Task
        It changes nothing of the reading.
    """

    def work(progress: Any) -> Any:
        from eprimg.report.registration_figure import registration_picture

        progress("drawing", 0.1)
        return registration_picture(case, registration, None)

    return Task(f"Picture of {registration.moving} on {registration.fixed}", work, show)


class PictureWindow(QDialog):
    """A picture in a window of its own.

    Parameters
    ----------
    png : bytes
        The picture.
    words : str
        What it shows; read out by screen readers.
    parent : QWidget
        Owner.
    """

    def __init__(self, png: bytes, words: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("eprimg: registration check")
        pixmap = QPixmap()
        pixmap.loadFromData(png)
        self.label = QLabel()
        self.label.setPixmap(pixmap)
        self.label.setAccessibleName(words)
        area = QScrollArea()
        area.setWidget(self.label)
        caption = QLabel(words)
        caption.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(area)
        layout.addWidget(caption)
        self.resize(min(pixmap.width() + 60, 1100), min(pixmap.height() + 110, 760))
