"""The planes dock: coronal, sagittal and turning PET beside the axial main canvas."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from eprimg.model.case import Case
from napari_eprimg.lesions.click_hand import click_tool_of
from napari_eprimg.reading.reading import reading_of
from napari_eprimg.view.fusion import FusionBar, short_words
from napari_eprimg.view.layers import layer_facts, lesion_layer, sync_layers
from napari_eprimg.view.main_canvas import MainCanvas
from napari_eprimg.view.mip_widget import MipPane
from napari_eprimg.view.plane_pane import PlanePane
from napari_eprimg.view.readout import PointReader, ReadOut
from napari_eprimg.view.readout_panel import ReadOutPanel
from napari_eprimg.view.window_bar import WindowBar
from napari_eprimg.view.window_end import WindowEnd

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Layer

    from napari_eprimg.reading.reading import Reading

__all__ = ["PlanesWidget"]

_PAINT_MS = 30
"""Strokes of the brush that come closer together are drawn in the side panes at once."""


class PlanesWidget(QWidget):
    """Everything that is drawn besides the main canvas, and the crosshair that links it.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The main viewer.
    reading : Reading, optional
        What is read; the viewer's own by default.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, reading: Reading | None = None) -> None:
        super().__init__()
        self.setObjectName("planes")
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.reading: Reading = reading if reading is not None else reading_of(self._viewer)
        self._points: PointReader | None = None
        self._hovered: ReadOut | None = None
        self._painted: Layer | None = None
        self._closed = False
        self.layer_sync = sync_layers(self._viewer, self.reading)
        # Another reading than the viewer's own is for looking only.
        own = self.reading is reading_of(self._viewer)
        self._tool = click_tool_of(self._viewer) if own else None
        actions: dict[str, Any] = {
            "center": self.center_on,
            "window_layer": self._window_layer,
            "hover": self._on_hover,
            "tool": self._tool,
        }
        self.fusion = FusionBar(self._viewer, self.reading)
        self.windows = WindowBar(self._window_layers)
        self.main = MainCanvas(self._viewer, self.reading, **actions)
        self.coronal = PlanePane(self._viewer, self.reading, 1, **actions)
        self.sagittal = PlanePane(self._viewer, self.reading, 2, **actions)
        self.mip = MipPane(self.reading)
        self.read_out = ReadOutPanel()
        self._arrange()
        self._repaint = QTimer(self)
        self._repaint.setSingleShot(True)
        self._repaint.setInterval(_PAINT_MS)
        self._repaint.timeout.connect(self.refresh_labels)
        self._connect()
        self._end = WindowEnd(self, self.disconnect_all)
        for canvas in self._canvases():
            canvas.installEventFilter(self)
        self._on_case()

    @property
    def panes(self) -> tuple[PlanePane, PlanePane]:
        """The coronal and the sagittal pane."""
        return self.coronal, self.sagittal

    def set_radiological(self, radiological: bool) -> None:
        """Choose the side of the patient's right in every plane.

        Parameters
        ----------
        radiological : bool
            True: on the left of the screen; False: on the right (neurological).
        """
        for pane in (self.main, *self.panes, self.mip):
            pane.set_radiological(radiological)

    def center_on(self, point: tuple[float, ...]) -> None:
        """Bring a point to the middle of every plane.

        Parameters
        ----------
        point : tuple of float
            S, P, L in mm.
        """
        for pane in (self.main, *self.panes):
            pane.center_on(point)

    def refresh_labels(self) -> None:
        """Draw the labels of the side panes again after the array was written in place."""
        for pane in self.panes:
            pane.refresh_labels()

    def disconnect_all(self) -> None:
        """Stop following viewer and reading; called when the dock is closed."""
        if self._closed:
            return
        self._closed = True
        self._end.stop()
        for canvas in self._canvases():
            canvas.removeEventFilter(self)
        self._repaint.stop()
        for signal, slot in self._signals:
            signal.disconnect(slot)
        for emitter, slot in self._events:
            emitter.disconnect(slot)
        self._follow_paint(None)
        self.fusion.disconnect_all()
        self.windows.disconnect_all()
        self.main.disconnect_all()
        for pane in (*self.panes, self.mip):
            pane.disconnect_all()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a third of a screen, not for the size that a canvas would like.

        Returns
        -------
        QSize
            Wished size.
        """
        return QSize(430, 800)

    def closeEvent(self, event: object) -> None:  # noqa: N802 (Qt's name)
        """Let go of the viewer.

        Parameters
        ----------
        event : QCloseEvent
            Not looked at.
        """
        self.disconnect_all()
        super().closeEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Follow the mouse as it leaves a plane, and Esc.

        Then the values are those at the crosshair again.  Esc puts the click tool down; napari has
        the key for its polygon, before any key of the viewer.

        Parameters
        ----------
        watched : QObject
            A canvas.
        event : QEvent
            What happens to it.

        Returns
        -------
        bool
            False: the canvas sees the event too.
        """
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.key() == Qt.Key.Key_Escape
            and self._tool is not None
            and self._tool.active
        ):
            self._tool.take_up(False)
            return True
        if event.type() == QEvent.Type.Leave and self._hovered is not None:
            self._hovered = None
            self._show_values()
        return False

    def _canvases(self) -> tuple[QWidget, ...]:
        main = () if self.main.canvas is None else (self.main.canvas,)
        return (*main, *(pane.canvas for pane in self.panes))

    def _arrange(self) -> None:
        self.setMinimumWidth(310)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.fusion)
        layout.addWidget(self.windows)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        for pane in (*self.panes, self.mip):
            self.splitter.addWidget(pane)
        layout.addWidget(self.splitter, stretch=1)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        layout.addWidget(line)
        layout.addWidget(_Scrolled(self.read_out))

    def _connect(self) -> None:
        reading, viewer = self.reading, self._viewer
        self._signals = [
            (reading.case_changed, self._on_case),
            (reading.regions_changed, self._on_regions),
            (reading.tiers_changed, self._on_numbers),
            (reading.cursor_changed, self._on_cursor),
        ]
        for signal, slot in self._signals:
            signal.connect(slot)
        self._events = [
            (viewer.layers.events.inserted, self._on_layers),
            (viewer.layers.events.removed, self._on_layers),
            (viewer.layers.selection.events.active, self._on_active),
            (viewer.events.status, self._on_status),
        ]
        for emitter, slot in self._events:
            emitter.connect(slot)
        self.fusion.changed.connect(self.windows.offer)
        self.mip.ready.connect(self._link_mip)
        for each in (viewer, *(pane.viewer for pane in self.panes), self.mip.viewer):
            each.bind_key("Alt-W", _next_preset_of(self), overwrite=True)
        self._on_layers()

    def _on_case(self) -> None:
        self._on_numbers()
        if self._points is None:
            return
        here = self.reading.cursor_mm
        if here is None:
            middle = tuple(
                float(low + step * round((high - low) / step / 2))
                for low, high, step in self._viewer.dims.range
            )
            if len(middle) == 3 and len(self._viewer.layers):
                self.reading.move_cursor(middle)
        else:
            self._on_cursor(here)

    def _on_numbers(self) -> None:
        case = self.reading.case
        if case is None and self.reading.study is not None:
            case = Case(self.reading.study)
        self._points = None if case is None else PointReader(case)
        self._show_values()

    def _on_regions(self, ids: object) -> None:
        self._on_numbers()
        self._repaint.start()  # once for all that one edit tells

    def _on_cursor(self, point: tuple[float, float, float]) -> None:
        for pane in (self.main, *self.panes):
            pane.show_point(point)
        self._hovered = None
        self._show_values()

    def _on_hover(self, point: tuple[float, ...]) -> None:
        if self._points is None:
            return
        self._hovered = self._points.at(point)
        self._show_values()
        self._viewer.status = self._hovered.line()

    def _on_status(self, event: object = None) -> None:
        """Put our line back when napari writes its own over it."""
        if self._hovered is not None and self._viewer.status != self._hovered.line():
            self._viewer.status = self._hovered.line()

    def _show_values(self) -> None:
        here = self.reading.cursor_mm
        read = self._hovered
        if read is None and self._points is not None and here is not None:
            read = self._points.at(here)
        self.read_out.show_values(read, at_crosshair=self._hovered is None)

    def _on_layers(self, event: object = None) -> None:
        self.windows.offer()
        self._follow_paint(lesion_layer(self._viewer))

    def _follow_paint(self, layer: Layer | None) -> None:
        if layer is self._painted:
            return
        for known, act in ((self._painted, "disconnect"), (layer, "connect")):
            if known is not None:
                for emitter in (known.events.paint, known.events.labels_update):
                    getattr(emitter, act)(self._on_paint)
        self._painted = layer

    def _on_paint(self, event: object = None) -> None:
        self._repaint.start()

    def _on_active(self, event: object = None) -> None:
        layer = self._viewer.layers.selection.active
        if layer is not None and layer_facts(layer):
            self.windows.choose(layer)

    def _window_layers(self) -> list[tuple[str, Image]]:
        found = []
        for words, layer in (
            ("above", self.fusion.upper_layer()),
            ("below", self.fusion.lower_layer()),
        ):
            if layer is not None:
                found.append((f"{words}: {short_words(layer.name, '')}", layer))
        return found

    def _window_layer(self) -> Image | None:
        return self.windows.layer

    def _link_mip(self) -> None:
        """Start the projection in the window of its map and let it follow."""
        layer = next(
            (y for y in self._viewer.layers if layer_facts(y).get("key") == self.mip.shows()), None
        )
        if layer is None:
            return
        self.mip.set_window(tuple(layer.contrast_limits))
        layer.events.contrast_limits.connect(self._on_pet_window)

    def _on_pet_window(self, event: object) -> None:
        layer = next(
            (y for y in self._viewer.layers if layer_facts(y).get("key") == self.mip.shows()), None
        )
        if layer is not None and not self._closed:
            self.mip.set_window(tuple(layer.contrast_limits))


class _Scrolled(QScrollArea):
    """The read-out: whole where there is room, scrolled in a small window."""

    def __init__(self, inner: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(5 * self.fontMetrics().lineSpacing())
        self.setWidget(inner)
        inner.installEventFilter(self)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As high as what is inside."""
        inner = self.widget()
        return super().sizeHint() if inner is None else inner.sizeHint() + QSize(0, 8)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Ask for another height when there are more or fewer lines."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def _next_preset_of(planes: PlanesWidget) -> Callable[[object], None]:
    """Act on the widget without keeping it alive: a viewer's keys outlive its docks."""
    widget = weakref.ref(planes)

    def pressed(viewer: object) -> None:
        here = widget()
        if here is not None:
            here.windows.next_preset()

    return pressed
