"""The reading room around a case that was measured before, and what is read off its screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialog, QLabel, QLineEdit, QScrollArea, QWidget

from eprimg.model.case import Case
from napari_eprimg.reading.reading import Reading, Step, reading_of
from tests.gui.hands import Hands
from tests.plugins import screen

PLANES = ("axial", "coronal", "sagittal")

_LAYER = ("visible", "opacity", "blending", "mode")
_IMAGE = ("gamma", "interpolation2d", "colormap")
_LABELS = ("selected_label", "brush_size", "n_edit_dimensions", "contour")
"""How a layer is drawn and painted on."""


class MeasuredRoom(Hands):
    """A room that shows a case; cases can be changed, as when another study is opened.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Shown, with the reading room around it.
    study : MeasuredStudy
        Folder and plan.
    case : Case, optional
        What is shown; that of the study by default.
    """

    def __init__(self, viewer: Any, study: Any, case: Case | None = None) -> None:
        super().__init__(viewer)
        self._study = study
        self.window.move(0, 0)
        self.show(study.case if case is None else case)
        self._remember()

    OF_NO_CASE = frozenset(
        {"order", "selected", "undo", "edges", "entered", "settings", "saved", "step", "docks"}
    )
    """What `as_opened` says that is the same for every case and size of the window."""

    @property
    def reading(self) -> Reading:
        """What is behind the window: looked at, never told anything."""
        return reading_of(self.viewer)

    def reset(self, case: Case | None = None, size: tuple[int, int] = (1600, 1000)) -> MeasuredRoom:
        """Make the room as it is when it was just opened, and show a case in it.

        Everything a reader can leave in it is put back; `as_opened` says whether that was enough.
        """
        from napari_eprimg.lesions.click_hand import click_tool_of
        from napari_eprimg.workspace import open_workspace

        workspace, reading = open_workspace(self.viewer), self.reading
        table: Any = workspace.widgets["lesions"]
        planes: Any = workspace.widgets["planes"]
        workflow = workspace.workflow
        table.tools.flush()
        for dialog in self.window.findChildren(QDialog):
            dialog.close()
        click_tool_of(self.viewer).take_up(False)
        self.window.resize(*size)
        self.viewer.dims.order = (0, 1, 2)
        workflow.open_step(Step.OPEN)
        workflow.findChild(QLineEdit, "study_path").clear()
        for name in ("workflow", "lesions"):
            workspace.show_dock(name)
        table.view.clearSelection()
        reading.select(0)
        reading.view.clear()
        reading._clear()
        reading.adopt(self._study.folder, self._study.plan, case or self._study.case)
        for _, viewer, _ in self.panes().values():
            (cut,) = viewer.dims.not_displayed
            here = viewer.dims.point[cut]
            viewer.dims._go_to_center_step()  # so are the other axes, which a roll shows
            viewer.dims.set_point(cut, here)
        planes.set_radiological(True)
        planes.fusion.choose(self._fusion)
        for layer in self.viewer.layers:
            facts = layer.metadata["eprimg"]
            for name, value in self._layers.get(facts["key"], {}).items():
                setattr(layer, name, value)
            if "auto_window" in facts:
                layer.contrast_limits = facts["auto_window"]
        table.view.clearSelection()  # a label that is chosen for painting chose its row
        reading.select(0)
        table.filter_by_number(0)
        table.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        for panel in (table.view, workflow.findChild(QScrollArea)):
            for bar in (panel.horizontalScrollBar(), panel.verticalScrollBar()):
                bar.setValue(bar.minimum())
        QTest.mouseMove(self.window, QPoint(1, 1))  # away from the planes
        screen.settle(0.3)
        for pane in (planes.main, *planes.panes):
            pane.fit()
        screen.settle(0.1)
        return self

    def _remember(self) -> None:
        """Keep how layers are drawn in a room that was just opened."""
        from napari_eprimg.workspace import open_workspace

        planes: Any = open_workspace(self.viewer).widgets["planes"]
        self._fusion = planes.fusion.choice()
        self._layers = {
            layer.metadata["eprimg"]["key"]: {
                name: getattr(layer, name)
                for name in (*_LAYER, *(_LABELS if hasattr(layer, "contour") else _IMAGE))
            }
            for layer in self.viewer.layers
        }

    def at_rest(self) -> dict[str, Any]:
        """What `as_opened` says once the window has found its places."""
        seen: list[dict[str, Any]] = [{}, self.as_opened()]
        while seen[-2] != seen[-1] and len(seen) < 50:
            screen.settle(0.2)
            seen.append(self.as_opened())
        return seen[-1]

    def as_opened(self) -> dict[str, Any]:
        """What a test could have left in the window: to be the same after every reset."""
        from napari_eprimg.workspace import open_workspace

        workspace, reading = open_workspace(self.viewer), self.reading
        table: Any = workspace.widgets["lesions"]
        planes: Any = workspace.widgets["planes"]
        seen: dict[str, Any] = {
            "window": (self.window.width(), self.window.height()),
            "order": tuple(self.viewer.dims.order),
            "crosshair": tuple(round(x, 3) for x in reading.cursor_mm or ()),
            "selected": (reading.selected, table.selected_ids()),
            "rows": self.rows(),
            "undo": (reading.can_undo, reading.can_redo),
            "edges": [(x.key, x.edges) for x in reading.schemes],
            "entered": dict(reading.entered),
            "settings": reading.config,
            "saved": (reading.saved_as, reading.must_be_saved),
            "lights": [str(x.light) for x in reading.states],
            "step": workspace.workflow.step,
            "fusion": planes.fusion.choice(),
            "docks": [k for k in workspace.widgets if self._in_front(workspace.widgets[k])],
        }
        for name, (canvas, viewer, _) in self.panes().items():
            camera = viewer.scene.camera
            seen[name] = {
                "size": (canvas.width(), canvas.height()),
                "slice": tuple(round(float(x), 3) for x in viewer.dims.point),
                "zoom": round(camera.zoom, 3),
                "center": tuple(round(float(x), 2) for x in camera.center),
                "letters": self.letters(name),
                "layers": [_drawn(layer) for layer in viewer.layers],
            }
        return seen

    @staticmethod
    def _in_front(widget: QWidget) -> bool:
        return widget.isVisible() and not widget.visibleRegion().isEmpty()

    def show(self, case: Case) -> None:
        """Take over a case, as opening a study that was measured before does."""
        reading_of(self.viewer).adopt(self._study.folder, self._study.plan, case)
        screen.settle(0.6)

    def panes(self) -> dict[str, tuple[QWidget, Any, Any]]:
        """Canvas, viewer and QtViewer of each plane."""
        from napari.qt import QtViewer

        found = {"axial": (self.canvas, self.viewer, self.qt_viewer)}
        for name in PLANES[1:]:
            inner = self.find(f"{name}_pane").findChild(QtViewer)
            found[name] = (inner.canvas.native, inner.viewer, inner)
        return found

    def letters(self, name: str) -> tuple[str, ...]:
        """Letters at the left, right, top and bottom of a plane, as they are drawn."""
        canvas = self.panes()[name][0]
        read = []
        for edge in ("left", "right", "top", "bottom"):
            (label,) = canvas.findChildren(QLabel, f"letter_{edge}")
            assert label.isVisible()
            assert canvas.rect().contains(label.geometry()), "a letter is cut off"
            read.append(label.text())
        return tuple(read)

    def picture(self, name: str) -> np.ndarray:
        """Pixels of a plane without scale bar and without what Qt draws over it."""
        _, viewer, qt_viewer = self.panes()[name]
        bar = viewer.canvas.overlays.scale_bar
        shown, bar.visible = bar.visible, False
        taken = screen.pixels(qt_viewer)
        bar.visible = shown
        return taken

    def at(self, name: str, point: Any) -> tuple[int, int]:
        """Row and column of a point (S, P, L) in a plane."""
        canvas, viewer, _ = self.panes()[name]
        row, column = screen.px(canvas, viewer, point)
        return round(row), round(column)

    def point_at(self, point: Any) -> None:
        """Put the crosshair: a click in the coronal plane, one in the axial plane.

        The coronal click gives S and L, the axial one P (and L again).
        """
        for name in ("coronal", "axial"):
            canvas, viewer, _ = self.panes()[name]
            cut = viewer.dims.not_displayed[0]
            here = list(point)
            here[cut] = float(viewer.dims.point[cut])
            screen.click(canvas, *screen.px(canvas, viewer, here))

    def only(self, key: str) -> None:
        """Show one layer alone, whole and opaque (as with napari's own layer list)."""
        for layer in self.viewer.layers:
            layer.visible = layer.metadata["eprimg"]["key"] == key
            layer.opacity = 1.0
        screen.settle(0.1)


def _drawn(layer: Any) -> dict[str, Any]:
    """How a layer is drawn and painted on."""
    names = ("name", "contrast_limits", "editable", *_LAYER, *_LABELS, *_IMAGE)
    seen = {name: str(getattr(layer, name)) for name in names if hasattr(layer, name)}
    table = getattr(layer.colormap, "color_dict", {})
    colours = {str(key): [round(float(x), 3) for x in colour] for key, colour in table.items()}
    seen["colormap"] = str(colours or layer.colormap.name)
    return seen | {"type": str(layer.data.dtype), "shape": layer.data.shape}
