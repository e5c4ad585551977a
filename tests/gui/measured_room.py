"""The reading room around a case that was measured before, and what is read off its screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QLabel, QWidget

from eprimg.model.case import Case
from napari_eprimg.reading.reading import Reading, reading_of
from tests.gui.hands import Hands
from tests.plugins import screen

PLANES = ("axial", "coronal", "sagittal")


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

    @property
    def reading(self) -> Reading:
        """What is behind the window: looked at, never told anything."""
        return reading_of(self.viewer)

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
