"""The layers of the main viewer once more in a side pane, sharing their arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerMirror"]

_SHOWN = ("visible", "opacity", "blending", "colormap")
_IMAGE = ("contrast_limits", "gamma", "interpolation2d")
_LABELS = ("contour", "selected_label", "show_selected_label")


class LayerMirror:
    """Keep the image and label layers of one viewer in another one.

    Parameters
    ----------
    source : ViewerModel
        The main viewer.
    target : ViewerModel
        The pane's viewer.
    """

    def __init__(self, source: ViewerModel, target: ViewerModel) -> None:
        self._source = source
        self._target = target
        self._copies: dict[Layer, Layer] = {}
        self._links: dict[Layer, list[tuple[Any, Callable[..., None]]]] = {}
        events = source.layers.events
        self._list_links = [
            (events.inserted, self._on_change),
            (events.removed, self._on_change),
            (events.moved, self._on_change),
            (events.reordered, self._on_change),
            (events.begin_batch, self._wait),
            (events.end_batch, self._go_on),
        ]
        self._waits = False
        for emitter, slot in self._list_links:
            emitter.connect(slot)
        self._on_change()

    def close(self) -> None:
        """Stop following the main viewer."""
        for emitter, slot in self._list_links:
            emitter.disconnect(slot)
        for layer in list(self._copies):
            self._forget(layer)

    def refresh_labels(self) -> None:
        """Draw the label layers again after their array was written in place."""
        for layer, copy in self._copies.items():
            if hasattr(layer, "selected_label"):
                if copy.data is not layer.data:
                    copy.data = layer.data
                    copy.editable = False  # napari lets new labels be painted on
                copy.refresh(thumbnail=False, highlight=False, extent=False)

    def _wait(self, event: object = None) -> None:
        self._waits = True

    def _go_on(self, event: object = None) -> None:
        self._waits = False
        self._on_change()

    def _on_change(self, event: object = None) -> None:
        if self._waits:
            return
        wanted = [layer for layer in self._source.layers if _flat(layer)]
        gone = [known for known in self._copies if known not in wanted]
        if gone:
            # napari collects garbage after every removal; with many layers that takes seconds
            with self._target.layers.batched_update():
                for layer in gone:
                    self._target.layers.remove(self._copies[layer])
                    self._forget(layer)
        for layer in wanted:
            if layer not in self._copies:
                self._add(layer)
        for place, layer in enumerate(wanted):
            now = self._target.layers.index(self._copies[layer])
            if now != place:
                self._target.layers.move(now, place)

    def _add(self, layer: Layer) -> None:
        from napari.layers import Layer as AnyLayer

        data, state, kind = layer.as_layer_data_tuple()
        copy = AnyLayer.create(data, state, kind)
        names = [*_SHOWN, *(_IMAGE if kind == "image" else _LABELS)]
        if kind == "labels":
            copy.contour = layer.contour
            copy.editable = False
        self._copies[layer] = copy
        self._links[layer] = [
            (getattr(layer.events, name), _setter(layer, copy, name))
            for name in [*names, "scale", "translate", "data"]
        ]
        for emitter, slot in self._links[layer]:
            emitter.connect(slot)
        self._target.layers.append(copy)

    def _forget(self, layer: Layer) -> None:
        for emitter, slot in self._links.pop(layer):
            emitter.disconnect(slot)
        del self._copies[layer]


def _flat(layer: Layer) -> bool:
    """Tell a layer that the panes show: an image or labels with three axes."""
    from napari.layers import Image, Labels

    return (
        isinstance(layer, Image | Labels) and layer.ndim == 3 and not getattr(layer, "rgb", False)
    )


def _setter(layer: Layer, copy: Layer, name: str) -> Callable[..., None]:
    source, target = weakref.ref(layer), weakref.ref(copy)

    def carry(event: object = None) -> None:
        here, there = source(), target()
        if here is None or there is None:
            return
        value = getattr(here, name)
        if name == "data":
            if there.data is not value:
                there.data = value
                if hasattr(there, "selected_label"):
                    there.editable = False  # napari lets new labels be painted on
            return
        setattr(there, name, value)

    return carry
