"""The planes around a case that was made from formulas, as a person finds them."""

from __future__ import annotations

from typing import Any

from qtpy.QtTest import QTest

from eprimg.model.case import Case
from tests.plugins import marked_case as marked
from tests.plugins import screen


class PlanesRoom:
    """A viewer with the planes in its dock."""

    def __init__(self, viewer: Any) -> None:
        from napari_eprimg.view.planes_widget import PlanesWidget

        self.viewer = viewer
        self.reading = marked.PlainReading(None)
        viewer.window.resize(1600, 1000)
        self.planes = PlanesWidget(viewer, self.reading)
        assert viewer.scale_bar.visible
        viewer.scale_bar.visible = False  # napari draws it into the picture that is looked at
        viewer.window.add_dock_widget(self.planes, name="Planes", area="right")
        screen.settle(0.5)

    def show(self, case: Case | None = None) -> PlanesRoom:
        """Show a case in the first state of the window."""
        self.viewer.window.resize(1600, 1000)
        self.reading.cursor_mm = None
        self.viewer.dims.order = (0, 1, 2)
        planes = self.planes
        planes.fusion.choose({"colours": "hot colours", "percent": 50})
        planes.set_radiological(True)
        self.reading.show(case if case else marked.case())
        for layer in self.viewer.layers:
            layer.visible = True
            if "auto_window" in layer.metadata["eprimg"]:
                layer.contrast_limits = layer.metadata["eprimg"]["auto_window"]
        planes.fusion.apply()
        planes.windows.offer()
        labels = self.viewer.layers[-1]
        labels.opacity, labels.mode = 0.9, "pan_zoom"
        for pane in (planes.main, *planes.panes):
            pane.fit()
        QTest.mouseMove(planes.fusion)  # away from the planes
        screen.settle(0.3)
        return self

    def canvases(self) -> dict[str, tuple[Any, Any, Any]]:
        """Canvas, viewer and QtViewer of each plane by name."""
        from napari_eprimg.view.main_canvas import qt_viewer_of

        main = qt_viewer_of(self.viewer)
        planes = self.planes
        return {
            "axial": (main.canvas.native, self.viewer, main),
            "coronal": (planes.coronal.canvas, planes.coronal.viewer, planes.coronal.qt_viewer),
            "sagittal": (planes.sagittal.canvas, planes.sagittal.viewer, planes.sagittal.qt_viewer),
        }

    def only(self, key: str) -> None:
        """Show one layer alone, whole and opaque."""
        for layer in self.viewer.layers:
            layer.visible = layer.metadata["eprimg"]["key"] == key
            layer.opacity = 1.0
