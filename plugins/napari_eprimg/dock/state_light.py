"""The state light of a step: colour, symbol and word, so that colour is never needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QFont, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_eprimg.reading.reading import Light

__all__ = ["LIGHTS", "LightStyle", "StateLight"]


@dataclass(frozen=True)
class LightStyle:
    """How a light looks.

    Parameters
    ----------
    fill, ink : str
        Colours of the disc and of its symbol.
    symbol, word : str
        Tell the state without colour.
    striped : bool
        True for a result that no longer fits what was entered.
    """

    fill: str
    ink: str
    symbol: str
    word: str
    striped: bool = False


# Okabe and Ito, Color Universal Design (2008): told apart by colour-blind readers.
LIGHTS: Final[dict[Light, LightStyle]] = {
    Light.IDLE: LightStyle("#5b626b", "#ffffff", "", "not yet"),
    Light.DONE: LightStyle("#009E73", "#ffffff", "✓", "done"),
    Light.DOUBT: LightStyle("#E69F00", "#1b1b1b", "!", "look"),
    Light.REFUSED: LightStyle("#D5402B", "#ffffff", "✕", "refused"),
    Light.STALE: LightStyle("#8d949c", "#1b1b1b", "↻", "run again", striped=True),
}
"""One style for each state."""


class StateLight(QWidget):
    """A disc with a symbol, and the word beside it.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._light = Light.IDLE
        self.set_light(Light.IDLE)

    @property
    def light(self) -> Light:
        """The state that is shown."""
        return self._light

    @property
    def word(self) -> str:
        """The word that is shown."""
        return LIGHTS[self._light].word

    def set_light(self, light: Light) -> None:
        """Show a state.

        Parameters
        ----------
        light : Light
            The state.
        """
        self._light = light
        self.setAccessibleName(self.word)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (name of Qt)
        """Room for the longest word.

        Returns
        -------
        QSize
            In pixels.
        """
        metrics = self.fontMetrics()
        longest = max(metrics.horizontalAdvance(style.word) for style in LIGHTS.values())
        return QSize(longest + 28, max(20, metrics.height() + 4))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (name of Qt)
        """Draw disc, symbol and word.

        Parameters
        ----------
        event : QPaintEvent
            From Qt.
        """
        style = LIGHTS[self._light]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        disc = QRectF(1, (self.height() - 16) / 2, 16, 16)
        painter.setPen(QPen(QColor("#c8ccd1"), 1))
        painter.setBrush(QColor(style.fill))
        painter.drawEllipse(disc)
        if style.striped:
            painter.setBrush(QBrush(QColor("#3b4048"), Qt.BrushStyle.BDiagPattern))
            painter.drawEllipse(disc)
        font = QFont(self.font())
        font.setPixelSize(12)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(style.ink))
        painter.drawText(disc, Qt.AlignmentFlag.AlignCenter, style.symbol)
        painter.setFont(self.font())
        painter.setPen(self.palette().windowText().color())
        words = QRectF(22, 0, self.width() - 22, self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, style.word)
