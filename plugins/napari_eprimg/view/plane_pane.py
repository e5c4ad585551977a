"""A side pane: one plane of the volumes that the main canvas shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_eprimg.view.canvas_marks import CanvasMarks
from napari_eprimg.view.layer_mirror import LayerMirror
from napari_eprimg.view.orientation import PLANES, camera_orientation
from napari_eprimg.view.pointing import Pointing, another_slice
from napari_eprimg.view.side_canvas import side_canvas

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_eprimg.lesions.click_tool import ClickTool
    from napari_eprimg.reading.reading import Reading

__all__ = ["PlanePane"]

_ORDERS = {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 0, 1)}
"""Order of the axes for the plane cut across each axis: that axis first, then rows, columns."""


class PlanePane(QWidget):
    """Coronal, sagittal or axial plane in a canvas of its own.

    Parameters
    ----------
    source : ViewerModel
        The main viewer, whose layers are shown.
    reading : Reading
        Whose crosshair is followed.
    axis : int
        Axis that the plane is cut across: 0 axial, 1 coronal, 2 sagittal.
    center, window_layer, hover, tool
        See `napari_eprimg.view.pointing.Pointing`.
    """

    def __init__(
        self,
        source: ViewerModel,
        reading: Reading,
        axis: int,
        *,
        center: Callable[[tuple[float, ...]], None],
        window_layer: Callable[[], Image | None],
        hover: Callable[[tuple[float, ...]], None],
        tool: ClickTool | None = None,
    ) -> None:
        super().__init__()
        self.setObjectName(f"{PLANES[axis]}_pane")
        self.axis = axis
        self.viewer = ViewerModel(title=PLANES[axis])
        self.viewer.theme = source.theme
        self.qt_viewer = side_canvas(self.viewer)
        self.qt_viewer.setMinimumSize(160, 100)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.qt_viewer)
        self._shape: tuple[object, ...] = ()
        self._mirror = LayerMirror(source, self.viewer)
        self.marks = CanvasMarks(self.canvas, self.viewer)
        self._pointing = Pointing(
            self.viewer, reading, center=center, window_layer=window_layer, hover=hover, tool=tool
        )
        self._radiological = True
        self._fitted: tuple[float, ...] = ()
        self._later = QTimer(self)  # the canvas learns its new size after the widget
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.fit)
        self.viewer.layers.events.inserted.connect(self._on_layers)
        self.viewer.layers.events.removed.connect(self._on_layers)
        self.canvas.resized.connect(self._on_resized)
        self._on_layers()

    @property
    def canvas(self) -> QWidget:
        """The widget that is drawn on and takes the mouse."""
        return self.qt_viewer.canvas.native

    def disconnect_all(self) -> None:
        """Stop following the main viewer and close the canvas."""
        self._later.stop()
        self._mirror.close()
        self._pointing.close()
        self.marks.disconnect_all()
        self.qt_viewer.close()

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
        dims = self.viewer.dims
        if dims.ndim == 3 and another_slice(dims, self.axis, point[self.axis]):
            # napari slices for the point and again for the step; no slider needs the latter here.
            with dims.events.current_step.blocker():
                dims.set_point(self.axis, point[self.axis])
        self.marks.set_point(point)

    def center_on(self, point: tuple[float, ...]) -> None:
        """Bring a point to the middle.

        Parameters
        ----------
        point : tuple of float
            S, P, L in mm.
        """
        vertical, horizontal = _ORDERS[self.axis][1:]
        self.viewer.scene.camera.center = (point[vertical], point[horizontal])

    def refresh_labels(self) -> None:
        """Draw labels again after their array was written in place."""
        self._mirror.refresh_labels()

    def fit(self) -> None:
        """Show the whole plane."""
        if len(self.viewer.layers):
            self.viewer.fit_to_view(margin=0.02)
            self._fitted = self._view()

    def _view(self) -> tuple[float, ...]:
        camera = self.viewer.scene.camera
        return (*camera.center, camera.zoom)

    def _orient(self) -> None:
        if self.viewer.dims.ndim == 3:
            self.viewer.scene.camera.orientation2d = camera_orientation(
                _ORDERS[self.axis][1:], radiological=self._radiological
            )

    def _on_layers(self, event: object = None) -> None:
        if self.viewer.dims.ndim != 3 or not len(self.viewer.layers):
            self._shape = ()
            return
        if tuple(self.viewer.dims.order) != _ORDERS[self.axis]:
            self.viewer.dims.order = _ORDERS[self.axis]
        self._orient()
        extent = tuple(float(x) for side in self.viewer.dims.range for x in side[:2])
        if extent != self._shape:
            self._shape = extent
            self.fit()

    def _on_resized(self, event: object = None) -> None:
        """Fit again, unless the reader chose a part of the plane."""
        if self._view() == self._fitted:
            self._later.start()
