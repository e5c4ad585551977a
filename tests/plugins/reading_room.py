"""The reading room as a person finds it: a window to look at, a mouse and a keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialog, QToolButton, QWidget

from eprimg import pipeline
from eprimg.io.write_tables import lesions_csv
from napari_eprimg.reading.reading import reading_of
from napari_eprimg.view.main_canvas import qt_viewer_of
from napari_eprimg.workspace import open_workspace
from tests.plugins.screen import px, settle, wait_until

NONE = Qt.KeyboardModifier.NoModifier
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class ReadingRoom:
    """A viewer with everything in place and a measured case.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Shown on the screen.
    study : MeasuredStudy
        Folder, plan and case.
    """

    def __init__(self, viewer: Any, study: Any) -> None:
        self.viewer = viewer
        self.reading = reading_of(viewer)
        self.reading.adopt(study.folder, study.plan, study.case)
        self.qt_viewer = qt_viewer_of(viewer)
        self.qt_viewer.window().resize(1600, 1000)
        settle(0.3)
        self.workspace = open_workspace(viewer)
        self.table = self.workspace.widgets["lesions"]
        self.canvas: QWidget = self.qt_viewer.canvas.native
        settle(0.8)
        self._first_point = self.reading.cursor_mm

    def reset(self, study: Any) -> None:
        """Put everything back to where it was at first."""
        settle(0.05)
        self.table.tools.flush()
        for dialog in self.qt_viewer.window().findChildren(QDialog):
            dialog.close()
        self.reading.view.clear()
        self.reading.adopt(study.folder, study.plan, study.case)
        self.reading.select(0)
        self.reading.move_cursor(self._first_point)
        layer = self.layer
        layer.mode, layer.selected_label, layer.n_edit_dimensions = "pan_zoom", 1, 2
        self.workspace.widgets["planes"].main.fit()
        self.workspace.show_dock("lesions")
        self.table.filter_by_number(0)
        self.table.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.table.view.clearSelection()
        self.table.view.horizontalScrollBar().setValue(0)
        self.table.buttons.percent.setValue(41)
        self.table.buttons.radius.setValue(15)
        settle(0.1)

    def close(self) -> None:
        """Let timers end and let go of the windows, so that a leak is the program's own."""
        settle(0.2)
        self.__dict__.clear()

    # ------------------------------------------------------------------ what is shown

    @property
    def layer(self) -> Any:
        """The label layer of the main canvas."""
        return self.table.tools.layer

    @property
    def csv(self) -> str:
        """Text of the table on the screen."""
        return self.table.model.table.text

    def fresh_csv(self) -> str:
        """Text of ``lesions.csv`` when every region of the edited case is measured again."""
        case = self.reading.case
        whole = pipeline.run(
            case.study, self.reading.config, case=case, start="measure",
            schemes=case.schemes,
        )  # fmt: skip
        return lesions_csv(whole)

    def cell(self, region_id: int, column: str) -> str:
        """What a cell of the table shows."""
        table = self.table.model.table
        row = next(r for r in table.rows if r.region_id == region_id)
        return row.shown[table.column(column)]

    def middle(self, region_id: int) -> tuple[float, float, float]:
        """Centroid of a region: S, P, L in mm."""
        lesions = self.reading.case.lesions
        index = np.argwhere(np.asarray(lesions.labels) == region_id)
        x, y, z = lesions.grid.index_to_lps_mm(index).mean(axis=0)
        return float(z), float(y), float(x)

    def voxels(self) -> np.ndarray:
        """A copy of the labels on the reference grid."""
        return np.array(self.reading.case.lesions.labels)

    # ------------------------------------------------------------------ mouse and keyboard

    def press(self, name: str) -> None:
        """Click on the button of that name above the table."""
        button = self.table.findChild(QToolButton, name)
        assert button is not None, name
        assert button.isEnabled(), button.toolTip()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        settle()

    def click_row(self, region_id: int) -> None:
        """Click on the row of a region."""
        view, model = self.table.view, self.table.filter
        source = self.table.model.index(self.table.model.row_of(region_id), 1)
        index = model.mapFromSource(source)
        view.scrollTo(index)
        settle(0.05)
        place = view.visualRect(index).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, NONE, place)
        settle()

    def key(self, key: Any, modifiers: Any = NONE) -> None:
        """Press a key while the canvas has the focus."""
        QTest.keyClick(self.canvas, key, modifiers)
        settle()

    def pixel(self, point: Sequence[float]) -> tuple[float, float]:
        """Where a point (S, P, L) is drawn on the main canvas: (row, column)."""
        return px(self.canvas, self.viewer, point)

    def place(self, point: Sequence[float]) -> QPoint:
        """The same as a place for the mouse."""
        row, column = self.pixel(point)
        return QPoint(round(column), round(row))

    def stroke(self, start: Sequence[float], end: Sequence[float]) -> None:
        """Draw with the left button from point to point (S, P, L), and let the table follow."""
        from tests.plugins.screen import drag

        drag(self.canvas, self.pixel(start), self.pixel(end))
        self.calm()

    def calm(self) -> None:
        """Wait until what was painted is measured and shown."""
        settle(0.15)
        wait_until(lambda: not self.table.tools.waiting)
        settle(0.1)

    def dialog(self, kind: type[QDialog]) -> Any:
        """The open dialog of a kind."""
        settle()
        found = [d for d in self.table.findChildren(kind) if d.isVisible()]
        assert len(found) == 1
        return found[0]
