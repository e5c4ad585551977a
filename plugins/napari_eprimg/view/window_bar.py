"""The window bar: from which value to which value a layer is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QWidget

from napari_eprimg.view.layers import layer_facts
from napari_eprimg.view.windows import next_preset, presets

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["WindowBar"]

_BY_HAND = "by hand"
_FARTHEST = 1e6


class WindowBar(QWidget):
    """Preset and limits of one layer.

    Parameters
    ----------
    layers : callable
        Gives the layers whose window can be chosen now, with a word for each; the first one is
        taken at the beginning.
    """

    def __init__(self, layers: Callable[[], list[tuple[str, Image]]]) -> None:
        super().__init__()
        self._offered = layers
        self._layer: Image | None = None
        self.target = QComboBox()
        self.target.setToolTip("Layer whose window is changed here and by dragging with Shift")
        self.target.setAccessibleName("Layer of the window")
        self.preset = QComboBox()
        self.preset.setToolTip("Window presets (Alt+W: the next one)")
        self.preset.setAccessibleName("Window preset")
        self.low, self.high = _box("Lowest value"), _box("Highest value")
        self.unit = QLabel()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.addWidget(QLabel("Window"), 0, 0)
        grid.addWidget(self.target, 0, 1)
        grid.addWidget(self.preset, 0, 2)
        grid.addWidget(self.unit, 1, 0)
        grid.addWidget(self.low, 1, 1)
        grid.addWidget(self.high, 1, 2)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        self.target.activated.connect(self._on_target)
        self.preset.activated.connect(self._on_preset)
        self.low.valueChanged.connect(self._on_boxes)
        self.high.valueChanged.connect(self._on_boxes)
        self.offer()

    @property
    def layer(self) -> Image | None:
        """The layer whose window is shown; None when there is none."""
        return self._layer

    def offer(self) -> None:
        """Look again which layers there are."""
        offered = self._offered()
        before = self._layer
        self.target.blockSignals(True)
        self.target.clear()
        for words, layer in offered:
            self.target.addItem(words)
            self.target.setItemData(
                self.target.count() - 1, layer.name, Qt.ItemDataRole.ToolTipRole
            )
        layers = [layer for _, layer in offered]
        if before in layers:
            self.target.setCurrentIndex(layers.index(before))
        self.target.blockSignals(False)
        self._on_target()

    def disconnect_all(self) -> None:
        """Stop following the layer."""
        if self._layer is not None:
            self._layer.events.contrast_limits.disconnect(self._show)
        self._layer = None

    def next_preset(self) -> None:
        """Choose the preset after the one in use."""
        if self._layer is not None:
            limits = tuple(self._layer.contrast_limits)
            chosen = next_preset(self._quantity(), limits, self._auto())
            self._apply(chosen.limits)

    def choose(self, layer: Image) -> None:
        """Show the window of a layer, if it is offered.

        Parameters
        ----------
        layer : Image
            The layer.
        """
        for row, (_, offered) in enumerate(self._offered()):
            if offered is layer:
                self.target.setCurrentIndex(row)
                self._on_target()

    def _quantity(self) -> str:
        return "" if self._layer is None else str(layer_facts(self._layer).get("quantity", ""))

    def _on_target(self) -> None:
        offered = self._offered()
        row = self.target.currentIndex()
        layer = offered[row][1] if 0 <= row < len(offered) else None
        if layer is not self._layer:
            self.disconnect_all()
            self._layer = layer
            if layer is not None:
                layer.events.contrast_limits.connect(self._show)
        self.preset.blockSignals(True)
        self.preset.clear()
        if layer is not None:
            self.preset.addItems([*(p.words for p in presets(self._quantity())), _BY_HAND])
        self.preset.blockSignals(False)
        for widget in (self.target, self.preset, self.low, self.high):
            widget.setEnabled(layer is not None)
        self._show()

    def _on_preset(self) -> None:
        offered = presets(self._quantity())
        if self.preset.currentIndex() < len(offered):
            self._apply(offered[self.preset.currentIndex()].limits)

    def _apply(self, limits: tuple[float, float] | None) -> None:
        if self._layer is None:
            return
        self._layer.contrast_limits = limits if limits is not None else self._auto()

    def _on_boxes(self) -> None:
        low, high = self.low.value(), self.high.value()
        if self._layer is not None and low < high:
            self._layer.contrast_limits = (low, high)

    def _show(self, event: object = None) -> None:
        layer = self._layer
        if layer is None:
            self.unit.setText("")
            return
        low, high = (float(x) for x in layer.contrast_limits)
        self.unit.setText(str(layer_facts(layer).get("unit", "")))
        decimals = 2 if high - low < 50 else 0
        for box, value in ((self.low, low), (self.high, high)):
            box.blockSignals(True)
            box.setDecimals(decimals)
            box.setSingleStep((high - low) / 20)
            if abs(box.value() - value) > 0.5 * 10**-decimals:
                box.setValue(value)
            box.blockSignals(False)
        offered = presets(self._quantity())
        rows = [
            row
            for row, preset in enumerate(offered)
            if preset.limits is not None
            and max(abs(preset.limits[0] - low), abs(preset.limits[1] - high)) < 1e-6
        ]
        auto = len(offered) - 1
        self.preset.blockSignals(True)
        if rows:
            self.preset.setCurrentIndex(rows[0])
        else:
            same = max(abs(a - b) for a, b in zip(self._auto(), (low, high), strict=True)) < 1e-6
            self.preset.setCurrentIndex(auto if same else auto + 1)
        self.preset.blockSignals(False)

    def _auto(self) -> tuple[float, float]:
        assert self._layer is not None
        low, high = layer_facts(self._layer).get("auto_window", self._layer.contrast_limits_range)
        return float(low), float(high)


def _box(name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(-_FARTHEST, _FARTHEST)
    box.setKeyboardTracking(False)
    box.setAccessibleName(name)
    box.setToolTip(f"{name} that is drawn; it may lie beyond the values of the map")
    return box
