"""napari's own canvas as a plane of the reading room: side of the patient, crosshair, letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.qt import QtViewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QWidget

from napari_eprimg.view.canvas_marks import CanvasMarks
from napari_eprimg.view.orientation import camera_orientation
from napari_eprimg.view.pointing import Pointing, another_slice

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_eprimg.lesions.click_tool import ClickTool
    from napari_eprimg.reading.reading import Reading

__all__ = ["MainCanvas", "qt_viewer_of"]


def qt_viewer_of(viewer: ViewerModel) -> QtViewer | None:
    """Find the widget that shows a viewer.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer.

    Returns
    -------
    QtViewer or None
        None for a viewer without a window.
    """
    model = getattr(viewer, "__wrapped__", viewer)
    for widget in QApplication.allWidgets():
        if isinstance(widget, QtViewer) and widget.viewer is model:
            return widget
    return None


class MainCanvas:
    """The main canvas: axial unless the reader rolls it.

    Parameters
    ----------
    viewer : Viewer
        The main viewer.
    reading : Reading
        Whose crosshair is followed and moved.
    center, window_layer, hover, tool
        See `napari_eprimg.view.pointing.Pointing`.

    Attributes
    ----------
    marks : CanvasMarks or None
        Letters and crosshair; None for a viewer without a window.
    """

    def __init__(
        self,
        viewer: Viewer,
        reading: Reading,
        *,
        center: Callable[[tuple[float, ...]], None],
        window_layer: Callable[[], Image | None],
        hover: Callable[[tuple[float, ...]], None],
        tool: ClickTool | None = None,
    ) -> None:
        self._viewer = viewer
        self._reading = reading
        self._following = False
        self._radiological = True
        widget = qt_viewer_of(viewer)
        self.canvas: QWidget | None = None if widget is None else widget.canvas.native
        self.marks: CanvasMarks | None = None
        if self.canvas is not None:
            self.marks = CanvasMarks(self.canvas, viewer, scale_bar=False)
        self._pointing = Pointing(
            viewer, reading, center=center, window_layer=window_layer, hover=hover, tool=tool
        )
        self._fitted = self._view()
        self._later = QTimer()  # the canvas learns its new size after the widget
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.fit)
        if self.canvas is not None:
            self.canvas.resized.connect(self._on_resized)
        viewer.layers.events.inserted.connect(self._on_resized)
        viewer.scale_bar.visible = True
        viewer.dims.events.order.connect(self._orient)
        viewer.dims.events.ndim.connect(self._orient)
        viewer.dims.events.point.connect(self._on_slider)
        self._orient()

    def disconnect_all(self) -> None:
        """Stop following and give napari its own mouse actions back."""
        self._pointing.close()
        self._later.stop()
        if self.canvas is not None:
            self.canvas.resized.disconnect(self._on_resized)
        self._viewer.layers.events.inserted.disconnect(self._on_resized)
        dims = self._viewer.dims
        dims.events.order.disconnect(self._orient)
        dims.events.ndim.disconnect(self._orient)
        dims.events.point.disconnect(self._on_slider)
        if self.marks is not None:
            self.marks.disconnect_all()

    def set_radiological(self, radiological: bool) -> None:
        """Choose the side of the patient's right.

        Parameters
        ----------
        radiological : bool
            See `napari_eprimg.view.orientation.camera_orientation`.
        """
        self._radiological = radiological
        self._orient()

    def show_point(self, point: tuple[float, float, float]) -> None:
        """Cut through a point and put the crosshair there.

        Parameters
        ----------
        point : tuple of float
            S, P, L in mm.
        """
        dims = self._viewer.dims
        if dims.ndim == 3 and dims.ndisplay == 2:
            axis = dims.not_displayed[0]
            if another_slice(dims, axis, point[axis]):
                self._following = True
                try:
                    dims.set_point(axis, point[axis])
                finally:
                    self._following = False
        if self.marks is not None:
            self.marks.set_point(point)

    def center_on(self, point: tuple[float, ...]) -> None:
        """Bring a point to the middle.

        Parameters
        ----------
        point : tuple of float
            S, P, L in mm.
        """
        dims = self._viewer.dims
        if dims.ndim == 3 and dims.ndisplay == 2:
            self._viewer.scene.camera.center = tuple(point[axis] for axis in dims.displayed)

    def fit(self) -> None:
        """Show the whole plane."""
        if len(self._viewer.layers) and self._viewer.dims.ndisplay == 2:
            self._viewer.fit_to_view(margin=0.02)
            self._fitted = self._view()

    def _view(self) -> tuple[float, ...]:
        camera = self._viewer.scene.camera
        return (*camera.center, camera.zoom)

    def _on_resized(self, event: object = None) -> None:
        """Fit again, unless the reader chose a part of the plane."""
        if self._view() == self._fitted or len(self._viewer.layers) == 1:
            self._later.start()

    def _orient(self, event: object = None) -> None:
        dims = self._viewer.dims
        if dims.ndim == 3 and dims.ndisplay == 2:
            self._viewer.scene.camera.orientation2d = camera_orientation(
                dims.displayed, radiological=self._radiological
            )

    def _on_slider(self, event: object = None) -> None:
        """Take a slice that was chosen with the slider as the new place of the crosshair."""
        dims = self._viewer.dims
        if self._following or dims.ndim != 3 or dims.ndisplay != 2:
            return
        axis = dims.not_displayed[0]
        here = self._reading.cursor_mm
        if here is None or abs(here[axis] - dims.point[axis]) < 1e-6:
            return
        point = list(here)
        point[axis] = float(dims.point[axis])
        self._reading.move_cursor((point[0], point[1], point[2]))
