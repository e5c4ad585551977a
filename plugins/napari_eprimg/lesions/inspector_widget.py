"""Voxel inspector: echo decay with its fit, at the crosshair and of the selected lesion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QPaintEvent, QResizeEvent
from qtpy.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_eprimg.dock.panel_parts import words
from napari_eprimg.lesions.decay_view import PHASES, Decay, mean_decays, point_decays
from napari_eprimg.lesions.lesion_buttons import tool_button
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.view.readout import ReadOut

if TYPE_CHECKING:
    import napari

__all__ = ["InspectorWidget"]

_CALM_MS: Final = 40
"""Time without a move of the crosshair before the curve is drawn again."""

_BACK, _INK, _LINES = "#262930", "#e6e8ea", "#454a52"
_WIDE: Final = 1.6
"""Width over height from which the words stand beside the curve."""


class InspectorWidget(QWidget):
    """Curve and numbers of the echo decay.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.tools = lesion_tools_of(napari_viewer)
        self.reading = self.tools.reading
        self.decays: tuple[Decay, ...] = ()
        self.at_point = _choice("At the crosshair", "decay_at_point")
        self.of_lesion = _choice("Mean of the lesion", "decay_of_lesion")
        self.at_point.setChecked(True)
        group = QButtonGroup(self)
        group.addButton(self.at_point)
        group.addButton(self.of_lesion)
        self.where = words(bold=True)
        self.said = words()
        self.said.setObjectName("decay_words")
        self._canvas: QWidget | None = None  # the plotting library is loaded when it is looked at
        self._stale = True
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._layout.setContentsMargins(6, 4, 6, 4)
        self._layout.addWidget(self._text(), 2)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_CALM_MS)
        self._timer.timeout.connect(self.refresh)
        group.buttonClicked.connect(self._later)
        signals = (
            self.reading.cursor_changed,
            self.reading.selection_changed,
            self.reading.regions_changed,
            self.reading.case_changed,
        )
        for signal in signals:
            signal.connect(self._later)
        self.destroyed.connect(partial(_let_go, signals, self._later))
        self.refresh()

    def _text(self) -> QWidget:
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        chosen = QHBoxLayout()
        chosen.setSpacing(4)
        chosen.addWidget(self.at_point)
        chosen.addWidget(self.of_lesion)
        chosen.addStretch(1)
        layout.addLayout(chosen)
        layout.addWidget(self.where)
        layout.addWidget(self.said)
        layout.addStretch(1)
        return holder

    def _make_canvas(self) -> QWidget:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self._figure = Figure(facecolor=_BACK, layout="constrained")
        self._figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr]
        self._axes = self._figure.add_subplot()
        canvas = FigureCanvasQTAgg(self._figure)
        canvas.setMinimumSize(200, 110)
        # Otherwise the curve asks for the 640 x 480 pixels of a figure on paper.
        canvas.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        canvas.setAccessibleName("Echo decay")
        return canvas

    def sizeHint(self) -> QSize:  # noqa: N802 (name of Qt)
        """Room for the curve, with the words beside it.

        Returns
        -------
        QSize
            In pixels.
        """
        return QSize(620, 260)

    def _later(self, *_: object) -> None:
        self._timer.start()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (name of Qt)
        """Catch up with what happened while nothing could be seen.

        Parameters
        ----------
        event : QPaintEvent
            From Qt.
        """
        super().paintEvent(event)
        if self._stale:
            self._later()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (name of Qt)
        """Put the words beside the curve when there is room.

        Parameters
        ----------
        event : QResizeEvent
            From Qt.
        """
        super().resizeEvent(event)
        directions = QBoxLayout.Direction
        wide = self.width() > _WIDE * self.height() and self.width() > 420
        self._layout.setDirection(directions.LeftToRight if wide else directions.TopToBottom)

    def refresh(self) -> None:
        """Show the decay at the crosshair, or of the selected lesion."""
        reading = self.reading
        region = self.tools.region(reading.selected)
        self.of_lesion.setText(f"Mean of {region.name}" if region else "Mean of the lesion")
        self.of_lesion.setEnabled(region is not None)
        self.of_lesion.setToolTip("" if region else "Select a lesion first.")
        if region is None and self.of_lesion.isChecked():
            self.at_point.setChecked(True)
        # A dock behind another tab is "visible" for Qt, but no part of it can be seen.
        self._stale = not self.isVisible() or self.visibleRegion().isEmpty()
        if self._stale:
            return
        if self.of_lesion.isChecked():
            self.decays = mean_decays(reading.case, reading.selected)
        else:
            self.decays = point_decays(reading.case, reading.cursor_mm)
        self.where.setText(self._place())
        self.said.setText("\n".join(d.words for d in self.decays) or self._why_nothing())
        self._draw()

    def _place(self) -> str:
        if not self.decays:
            return ""
        if self.of_lesion.isChecked():
            counts = ", ".join(f"{d.n_voxels} voxels {PHASES[d.role].words}" for d in self.decays)
            return f"Mean signal of {self.decays[0].where}: {counts}"
        return f"Voxel at {ReadOut(self.reading.cursor_mm or (0.0, 0.0, 0.0), ()).place}"

    def _why_nothing(self) -> str:
        case = self.reading.case
        if case is None:
            return "Open a study first."
        if not self.of_lesion.isChecked() and self.reading.cursor_mm is None:
            return "Click into a plane: the curve is that of the voxel at the crosshair."
        return "No multi-echo series reaches this place."

    def _draw(self) -> None:
        if self._canvas is None:
            self._canvas = self._make_canvas()
            self._layout.insertWidget(0, self._canvas, 3)
        axes = self._axes
        axes.clear()
        axes.set_facecolor(_BACK)
        for decay in self.decays:
            _draw_decay(axes, decay)
        axes.set_xlabel("echo time [ms]", color=_INK, fontsize=9)
        axes.set_ylabel("signal [arbitrary]", color=_INK, fontsize=9)
        axes.tick_params(colors=_INK, labelsize=8, which="both")
        for spine in axes.spines.values():
            spine.set_color(_LINES)
        axes.grid(True, color=_LINES, linewidth=0.6)
        if self.decays:
            _scale(axes, self.decays)
            axes.legend(loc="best", fontsize=8, facecolor=_BACK, edgecolor=_LINES, labelcolor=_INK)
        self._canvas.draw_idle()  # type: ignore[attr-defined]


def _draw_decay(axes: Any, decay: Decay) -> None:
    look = PHASES[decay.role]
    times_ms = 1000 * decay.echo_times_s
    positive = decay.signal > 0
    used = np.isin(np.arange(decay.signal.size), decay.used)
    # Echoes that were left out of the fit are hollow.
    for chosen, inside, label in (
        (positive & used, look.colour, look.words),
        (positive & ~used, "none", f"{look.words}, not in the fit"),
    ):
        if chosen.any():
            axes.plot(
                times_ms[chosen],
                decay.signal[chosen],
                look.marker,
                color=look.colour,
                markerfacecolor=inside,
                markersize=5,
                label=label,
            )
    if not decay.reason:
        fine = np.linspace(0.0, 1.03 * decay.echo_times_s[-1], 100)
        axes.plot(
            1000 * fine,
            decay.curve(fine),
            "--" if decay.above_range else "-",
            color=look.colour,
            linewidth=1.4,
        )


def _scale(axes: Any, decays: Sequence[Decay]) -> None:
    """Logarithmic signal with plain numbers, so that a mono-exponential decay is a line."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    signal = np.concatenate([d.signal for d in decays])
    positive = signal[signal > 0]
    if positive.size:
        tops = [d.s0 for d in decays if np.isfinite(d.s0) and d.s0 > 0]
        axes.set_yscale("log")
        axes.set_ylim(float(positive.min()) / 1.6, 1.3 * max([float(positive.max()), *tops]))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(0, 1060 * max(float(d.echo_times_s[-1]) for d in decays))


def _choice(text: str, name: str) -> QToolButton:
    button = tool_button(text, name, None, "")
    button.setCheckable(True)
    return button


def _let_go(signals: Sequence[Any], slot: Any, *_: object) -> None:
    """Disconnect a widget that is gone."""
    for signal in signals:
        signal.disconnect(slot, missing_ok=True)
