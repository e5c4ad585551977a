"""The fusion bar: which map lies over which series, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSlider, QWidget

from napari_eprimg.view.layers import find_layer, layer_facts
from napari_eprimg.view.windows import fusion_opacities, see_through

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.utils import Colormap
    from napari.viewer import Viewer

    from napari_eprimg.reading.reading import Reading

__all__ = ["COLOURS", "FusionBar", "colour_table", "short_words"]

COLOURS: Final = {
    "hot colours": "inferno",
    "inverted grey": "gray_r",
    "green to yellow": "viridis",
    "red to yellow": "magma",
    "grey": "gray",
}
"""Colour maps by the words that the reader chooses."""

_UPPER_FIRST = ("suvbw", "pid_per_kg", "dr2star", "r2star_post", "r2star_pre")
_MIDDLE = 50


def _is_map(layer: Image) -> bool:
    return layer_facts(layer).get("role") == "map" and "key" in layer_facts(layer)


def colour_table(name: str, *, fading: bool) -> Colormap:
    """Return a colour map.

    Parameters
    ----------
    name : str
        Name that napari knows.
    fading : bool
        True: the lower end fades out, so that what lies below shows.

    Returns
    -------
    Colormap
        256 colours.
    """
    from napari.utils import Colormap
    from napari.utils.colormaps import ensure_colormap

    if not fading:
        return ensure_colormap(name)
    table = ensure_colormap(name).map(np.linspace(0.0, 1.0, 256))
    return Colormap(see_through(table), name=f"{name} fading", display_name=f"{name}, fading")


def short_words(name: str, timepoint: str) -> str:
    """Shorten the name of a layer for a narrow list, so that what tells it from others is seen.

    Parameters
    ----------
    name : str
        Name of the layer: quantity, details, unit, time point.
    timepoint : str
        Its time point.

    Returns
    -------
    str
        Quantity and time point.
    """
    quantity = name.partition(" [")[0].partition(" echo ")[0]
    return f"{quantity}, {timepoint}" if timepoint else quantity


class FusionBar(QWidget):
    """Two layers and the slider between them.

    Parameters
    ----------
    viewer : Viewer
        The main viewer.
    reading : Reading
        Its view state keeps the slider.
    """

    changed = Signal()
    """Another layer or another share."""

    def __init__(self, viewer: Viewer, reading: Reading) -> None:
        super().__init__()
        self._viewer = viewer
        self._reading = reading
        self._chosen: tuple[str | None, str | None] = (None, None)
        self.lower = _combo("Series that lies below")
        self.upper = _combo("Map that lies above")
        self.upper.setPlaceholderText("no map yet")
        self.colours = _combo("Colours of the map above")
        self.colours.addItems(list(COLOURS))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setToolTip("0 %: only the series below.  100 %: only the map above.")
        self.slider.setAccessibleName("Fusion")
        self.share_words = QLabel()
        self.share_words.setMinimumWidth(self.fontMetrics().horizontalAdvance("100 %  "))
        self.share_words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for row, (words, widget, columns) in enumerate(
            (
                ("Below", self.lower, 2),
                ("Above", self.upper, 2),
                ("Colours", self.colours, 2),
                ("Fusion", self.slider, 1),
            )
        ):
            grid.addWidget(QLabel(words), row, 0)
            grid.addWidget(widget, row, 1, 1, columns)
        grid.addWidget(self.share_words, 3, 2)
        grid.setColumnStretch(1, 1)
        self.slider.setValue(round(float(reading.view.get("fusion", _MIDDLE))))
        self.lower.activated.connect(self._on_activated)
        self.upper.activated.connect(self._on_activated)
        self.colours.activated.connect(self._on_colours)
        self.slider.valueChanged.connect(self.apply)
        for emitter in (viewer.layers.events.inserted, viewer.layers.events.removed):
            emitter.connect(self._on_layers)
        self._on_layers()

    def disconnect_all(self) -> None:
        """Stop following the layers."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_layers)
        events.removed.disconnect(self._on_layers)

    def lower_layer(self) -> Image | None:
        """Return the layer below.

        Returns
        -------
        Image or None
            None when there is none.
        """
        return self._layer(self.lower)

    def upper_layer(self) -> Image | None:
        """Return the layer above.

        Returns
        -------
        Image or None
            None when there is none.
        """
        return self._layer(self.upper)

    def choice(self) -> dict[str, Any]:
        """Return what is chosen.

        Returns
        -------
        dict
            For `choose`; plain JSON values.
        """
        return {
            "below": self.lower.currentData() or "",
            "above": self.upper.currentData() or "",
            "colours": self.colours.currentText(),
            "percent": self.slider.value(),
        }

    def choose(self, choice: Mapping[str, Any]) -> None:
        """Choose layers, colours and share as they were.

        Parameters
        ----------
        choice : Mapping
            From `choice`; a layer that is not there is left out.
        """
        for combo, key in ((self.lower, "below"), (self.upper, "above")):
            place = combo.findData(choice.get(key))
            if place >= 0:
                combo.setCurrentIndex(place)
        self._on_activated()
        if choice.get("colours") in COLOURS:
            self.colours.setCurrentText(choice["colours"])
            self._on_colours()
        self.slider.setValue(int(choice.get("percent", self.slider.value())))

    def apply(self) -> None:
        """Draw both layers as the slider says."""
        share = self.slider.value() / 100.0
        self.share_words.setText(f"{self.slider.value()} %")
        lower, upper = self.lower_layer(), self.upper_layer()
        if upper is None or lower is None:
            for layer in (lower, upper):
                if layer is not None:
                    layer.opacity = 1.0
                    layer.visible = True
        else:
            below, above = fusion_opacities(share)
            lower.opacity, upper.opacity = below, above
            lower.visible, upper.visible = below > 0, above > 0
            self._colour(upper, fading=share < 1)
        self._reading.view["fusion"] = self.slider.value()
        self.changed.emit()

    def _layer(self, combo: QComboBox) -> Image | None:
        key = combo.currentData()
        return None if key is None else find_layer(self._viewer, key)

    def _colour(self, layer: Image, *, fading: bool) -> None:
        name = COLOURS[self.colours.currentText()]
        table = colour_table(name, fading=fading)
        if layer.colormap.name != table.name:
            layer.colormap = table

    def _on_activated(self) -> None:
        self._chosen = (self.lower.currentData(), self.upper.currentData())
        self._on_choice()

    def _on_choice(self) -> None:
        chosen = {self.lower.currentData(), self.upper.currentData()}
        for layer in self._ours():
            if layer_facts(layer).get("key") not in chosen:
                layer.visible = False
        upper = self.upper_layer()
        if upper is not None:
            self._show_colours_of(upper)
        self.apply()

    def _on_colours(self) -> None:
        upper = self.upper_layer()
        if upper is not None:
            self._colour(upper, fading=self.slider.value() < 100)
        self.changed.emit()

    def _ours(self) -> list[Image]:
        found = [layer for layer in self._viewer.layers if layer_facts(layer)]
        return [layer for layer in found if layer_facts(layer).get("role") in ("series", "map")]

    def _on_layers(self, event: object = None) -> None:
        """Offer what there is; what the reader chose stays chosen while it is there."""
        before = (self.lower.currentData(), self.upper.currentData())
        keys = {
            facts["key"]: short_words(layer.name, str(facts.get("timepoint", "")))
            for layer in self._ours()
            if (facts := layer_facts(layer)).get("aligned") and "key" in facts
        }
        of_maps = {layer_facts(each)["key"] for each in self._ours() if _is_map(each)}
        series = [k for k in keys if k not in of_maps]
        # Maps of further time points come after those of the primary one.
        maps = [k for k in _UPPER_FIRST if k in keys]
        maps += [k for k in keys if k in of_maps and k not in maps]
        _fill(self.lower, {k: keys[k] for k in [*series, *reversed(maps)]}, self._chosen[0])
        _fill(self.upper, {k: keys[k] for k in [*maps, *series[1:]]}, self._chosen[1])
        for widget in (self.colours, self.slider):
            widget.setEnabled(self.upper.count() > 0)
        if before != (self.lower.currentData(), self.upper.currentData()):
            upper = self.upper_layer()
            if upper is not None:
                self._show_colours_of(upper)
            self._on_choice()
        else:
            self.apply()

    def _show_colours_of(self, layer: Image) -> None:
        name = layer.colormap.name.removesuffix(" fading")
        words = next((w for w, n in COLOURS.items() if n == name), None)
        if words is not None:
            self.colours.setCurrentText(words)


def _combo(tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setAccessibleName(tip)
    combo.setMinimumContentsLength(8)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def _fill(combo: QComboBox, entries: dict[str, str], chosen: str | None) -> None:
    combo.blockSignals(True)
    combo.clear()
    for key, name in entries.items():
        combo.addItem(name, key)
    # a box with words for "nothing yet" chooses nothing by itself
    if entries:
        combo.setCurrentIndex(list(entries).index(str(chosen)) if chosen in entries else 0)
    combo.setEnabled(combo.count() > 0)
    combo.blockSignals(False)
