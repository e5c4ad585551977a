"""What is drawn over a canvas: edge letters, crosshair, slice position, scale bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel, QWidget

from napari_eprimg.view.orientation import PLANES, EdgeLetters, edge_letters

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["CanvasMarks", "bar_length_mm", "position_words"]

_GAP_PX = 9
"""The crosshair leaves the voxel itself free."""

_MARGIN_PX = 5
_DIRECTIONS = (("S", "I"), ("P", "A"), ("L", "R"))


def position_words(axis: int, mm: float) -> str:
    """Say where a slice lies.

    Parameters
    ----------
    axis : int
        0 = S, 1 = P, 2 = L.
    mm : float
        World coordinate.

    Returns
    -------
    str
        Name of the plane, direction letter and distance from the origin.
    """
    letter = _DIRECTIONS[axis][0 if mm >= 0 else 1]
    return f"{PLANES[axis]}  {letter} {abs(mm):.1f} mm"


def bar_length_mm(mm_per_px: float, width_px: float) -> float:
    """Choose a round length for the scale bar.

    Parameters
    ----------
    mm_per_px : float
        Size of a pixel.
    width_px : float
        Width of the canvas.

    Returns
    -------
    float
        1, 2 or 5 times a power of ten, at most a quarter of the canvas.
    """
    most = max(0.25 * width_px * mm_per_px, 1e-6)
    power = 10.0 ** math.floor(math.log10(most))
    return float(max(m for m in (1, 2, 5) if m * power <= most * (1 + 1e-9)) * power)


class CanvasMarks(QWidget):
    """A see-through widget over a canvas; the mouse goes through it.

    Parameters
    ----------
    canvas : QWidget
        The canvas.
    viewer : ViewerModel
        Its viewer.
    dark : bool
        True: light letters on a dark canvas.
    scale_bar : bool
        True: draw a scale bar in mm.
    letters : callable, optional
        Gives the letters at the edges; by default they follow the displayed axes and the camera.
    """

    def __init__(
        self,
        canvas: QWidget,
        viewer: ViewerModel,
        *,
        dark: bool = True,
        scale_bar: bool = True,
        letters: Callable[[], EdgeLetters | None] | None = None,
    ) -> None:
        super().__init__(canvas)
        self._viewer = viewer
        self._dark = dark
        self._scale_bar = scale_bar
        self._letters_of = letters or self._letters_of_view
        self._point: tuple[float, ...] | None = None
        self._words: str | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        ink, back = ("#f5f5f5", "rgba(0,0,0,120)") if dark else ("#202020", "rgba(255,255,255,150)")
        style = (
            f"color: {ink}; background: {back}; border-radius: 3px; padding: 0px 3px;"
            " font-size: {size}px; {weight}"
        )
        self.letters = {edge: self._label(f"letter_{edge}") for edge in EdgeLetters._fields}
        for label in self.letters.values():
            label.setStyleSheet(style.format(size=15, weight="font-weight: bold;"))
        self.words = self._label("slice_position")
        self.words.setStyleSheet(style.format(size=12, weight=""))
        self.bar_words = self._label("scale_bar")
        self.bar_words.setStyleSheet(style.format(size=12, weight=""))
        self._bar_px = 0.0
        camera = viewer.scene.camera
        self._sources = [
            camera.events.center,
            camera.events.zoom,
            camera.events.orientation,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.dims.events.point,
        ]
        for source in self._sources:
            source.connect(self.refresh)
        canvas.installEventFilter(self)
        self.setGeometry(canvas.rect())
        self.refresh()
        self.show()

    def disconnect_all(self) -> None:
        """Stop following the viewer."""
        for source in self._sources:
            source.disconnect(self.refresh)
        parent = self.parentWidget()
        if parent is not None:
            parent.removeEventFilter(self)

    def set_point(self, point: Sequence[float] | None) -> None:
        """Put the crosshair.

        Parameters
        ----------
        point : sequence of float or None
            World coordinates, one for each axis of the viewer; None hides it.
        """
        self._point = None if point is None else tuple(float(x) for x in point)
        self.refresh()

    def set_words(self, words: str | None) -> None:
        """Replace the slice position by other words.

        Parameters
        ----------
        words : str or None
            None: the slice position again.
        """
        self._words = words
        self.refresh()

    def crosshair_px(self) -> tuple[float, float] | None:
        """Return where the crosshair is drawn.

        Returns
        -------
        tuple of float or None
            Distance from the left and from the top, in pixels; None when it is not drawn.
        """
        if self._point is None or self._viewer.dims.ndisplay != 2:
            return None
        camera = self._viewer.scene.camera
        vertical, horizontal = self._viewer.dims.displayed[-2:]
        down = 1.0 if str(camera.orientation2d[0]) == "down" else -1.0
        right = 1.0 if str(camera.orientation2d[1]) == "right" else -1.0
        x = self.width() / 2 + right * camera.zoom * (self._point[horizontal] - camera.center[-1])
        y = self.height() / 2 + down * camera.zoom * (self._point[vertical] - camera.center[-2])
        return x, y

    def refresh(self, event: object = None) -> None:
        """Draw everything again.

        Parameters
        ----------
        event : object
            The change that asked for it; not looked at.
        """
        flat = self._viewer.dims.ndisplay == 2
        letters = self._letters_of() if flat else None
        for edge, label in self.letters.items():
            text = "" if letters is None else getattr(letters, edge)
            _set_text(label, text)
        _set_text(self.words, self._position() if flat else "")
        zoom = self._viewer.scene.camera.zoom
        if self._scale_bar and flat and zoom > 0 and self.width() > 0:
            length = bar_length_mm(1.0 / zoom, self.width())
            self._bar_px = length * zoom
            _set_text(self.bar_words, f"{length:g} mm")
        else:
            self._bar_px = 0.0
            _set_text(self.bar_words, "")
        self._arrange()
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Follow the size of the canvas.

        Parameters
        ----------
        watched : QObject
            The canvas.
        event : QEvent
            What happens to it.

        Returns
        -------
        bool
            False: the canvas sees the event too.
        """
        if event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self.setGeometry(self.parentWidget().rect())
            self.refresh()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw crosshair and scale bar.

        Parameters
        ----------
        event : QPaintEvent
            The region to draw.
        """
        painter = QPainter(self)
        place = self.crosshair_px()
        if place is not None:
            x, y = place
            painter.setPen(QPen(QColor(0, 200, 210, 210) if self._dark else QColor(0, 110, 120), 1))
            painter.drawLine(QPointF(0, y), QPointF(x - _GAP_PX, y))
            painter.drawLine(QPointF(x + _GAP_PX, y), QPointF(self.width(), y))
            painter.drawLine(QPointF(x, 0), QPointF(x, y - _GAP_PX))
            painter.drawLine(QPointF(x, y + _GAP_PX), QPointF(x, self.height()))
        if self._bar_px > 0:
            ink = QColor("#f5f5f5" if self._dark else "#202020")
            painter.setPen(QPen(ink, 2))
            right, y = self.width() - 2 * _MARGIN_PX, self.height() - 2 * _MARGIN_PX
            painter.drawLine(QPointF(right - self._bar_px, y), QPointF(right, y))
        painter.end()

    def _label(self, name: str) -> QLabel:
        label = QLabel(self)
        label.setObjectName(name)
        label.setTextFormat(Qt.TextFormat.PlainText)
        return label

    def _letters_of_view(self) -> EdgeLetters | None:
        displayed = self._viewer.dims.displayed
        if self._viewer.dims.ndim != 3 or len(displayed) != 2:
            return None
        return edge_letters(displayed, self._viewer.scene.camera.orientation2d)

    def _position(self) -> str:
        if self._words is not None:
            return self._words
        dims = self._viewer.dims
        if dims.ndim != 3:
            return ""
        axis = dims.not_displayed[0]
        return position_words(axis, dims.point[axis])

    def _arrange(self) -> None:
        width, height = self.width(), self.height()
        for edge, label in self.letters.items():
            size = label.sizeHint()
            label.resize(size)
            x = {"left": _MARGIN_PX, "right": width - size.width() - _MARGIN_PX}
            y = {"top": _MARGIN_PX, "bottom": height - size.height() - _MARGIN_PX}
            label.move(
                x.get(edge, (width - size.width()) // 2),
                y.get(edge, (height - size.height()) // 2),
            )
        self.words.resize(self.words.sizeHint())
        self.words.move(_MARGIN_PX, _MARGIN_PX)
        size = self.bar_words.sizeHint()
        self.bar_words.resize(size)
        middle = width - 2 * _MARGIN_PX - self._bar_px / 2
        left = min(middle - size.width() / 2, width - size.width() - _MARGIN_PX)
        self.bar_words.move(int(left), height - size.height() - 3 * _MARGIN_PX)


def _set_text(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
