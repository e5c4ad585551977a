"""Keep the layers of a viewer in step with a reading."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import joined_box, label_boxes, label_changes
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.stages.influx_maps import INFLUX_KEYS
from napari_eprimg.lesions.tier_view import label_colours, scheme_by_key
from napari_eprimg.settings import plugin_settings
from napari_eprimg.view.display import DisplayGrid, part_of, shown_box
from napari_eprimg.view.layer_specs import (
    LESIONS,
    LayerSpec,
    LayerTuple,
    layer_specs,
    layer_tuples,
    region_features,
    shown_labels,
)

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_eprimg.reading.reading import Reading

__all__ = [
    "LESIONS",
    "LayerSpec",
    "LayerSync",
    "LayerTuple",
    "find_layer",
    "layer_facts",
    "layer_specs",
    "layer_tuples",
    "lesion_layer",
    "sync_layers",
]

Colours = Callable[[], Mapping[int | None, Any]]
"""Gives the colour of each region id now, and of None for any other label."""


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return what a layer is for us.

    Parameters
    ----------
    layer : Layer
        Any layer.

    Returns
    -------
    dict
        The metadata that eprimg wrote; empty for a layer of another origin.
    """
    facts = layer.metadata.get("eprimg", {})
    return facts if isinstance(facts, dict) else {}


def find_layer(viewer: Viewer, key: str) -> Layer | None:
    """Find a layer by its key.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    key : str
        Key of a map or series, or ``lesions``.

    Returns
    -------
    Layer or None
        None when there is none.
    """
    return next((layer for layer in viewer.layers if layer_facts(layer).get("key") == key), None)


def lesion_layer(viewer: Viewer) -> Layer | None:
    """Find the label layer.

    Parameters
    ----------
    viewer : Viewer
        The viewer.

    Returns
    -------
    Layer or None
        None before there are regions.
    """
    return find_layer(viewer, LESIONS)


def sync_layers(viewer: Viewer, reading: Reading, colours: Colours | None = None) -> LayerSync:
    """Show a reading in a viewer and keep it in step from now on.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    reading : Reading
        What is read in it.
    colours : callable, optional
        Gives the colour of each region id; by default that of its tier in the first scheme.

    Returns
    -------
    LayerSync
        One for each viewer and reading, also when called again.
    """
    key = getattr(viewer, "__wrapped__", viewer)
    known = _SYNCS.get(key)
    if known is not None and known.reading is reading:
        if colours is not None:
            known.colours = colours
            known.recolour()
        return known
    if known is not None:
        known.close()
    sync = LayerSync(viewer, reading, colours)
    _SYNCS[key] = sync
    sync.update()
    return sync


class LayerSync:
    """The layers of one reading in one viewer.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    reading : Reading
        The reading.
    colours : callable, optional
        Gives the colour of each region id; by default that of its tier in the first scheme.
    """

    def __init__(self, viewer: Viewer, reading: Reading, colours: Colours | None = None) -> None:
        self._viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))
        self.reading = reading
        self.colours = colours
        self._sources: dict[str, npt.NDArray[Any]] = {}
        self._labels: npt.NDArray[Any] | None = None
        self._drawn: weakref.WeakKeyDictionary[Layer, dict[int | None, Any]]
        self._drawn = weakref.WeakKeyDictionary()
        reading.case_changed.connect(self.update)
        reading.regions_changed.connect(self.refresh_regions)
        reading.tiers_changed.connect(self.recolour)

    def close(self) -> None:
        """Stop following the reading; the layers stay."""
        self.reading.case_changed.disconnect(self.update)
        self.reading.regions_changed.disconnect(self.refresh_regions)
        self.reading.tiers_changed.disconnect(self.recolour)

    def update(self) -> None:
        """Create, update and remove layers so that they show the case as it is now."""
        viewer = self._viewer()
        if viewer is None:
            return
        specs = layer_specs(self._case(), self._colours()) if self._has_case() else ()
        # Every array is made before the first layer changes: no half set of layers.
        changed = {
            s.key: s.make()
            for s in specs
            if self._sources.get(s.key) is not s.source or find_layer(viewer, s.key) is None
        }
        wanted = {s.key for s in specs}
        gone = []
        for layer in viewer.layers:
            facts = layer_facts(layer)
            # What was read from files stays until there is a case to show in its place.
            stays = "file" in facts and not self._has_case()
            if facts.get("key") is not None and facts["key"] not in wanted and not stays:
                gone.append(layer)
        if gone:
            # napari collects garbage after every removal; with many layers that takes seconds
            with viewer.layers.batched_update():
                for layer in gone:
                    viewer.layers.remove(layer)
        first = not any(layer_facts(layer) for layer in viewer.layers)
        for position, spec in enumerate(specs):
            self._apply(viewer, spec, changed.get(spec.key), position)
        self._sources = {s.key: s.source for s in specs}
        lesions = self._case().lesions if self._has_case() else None
        self._labels = None if lesions is None else lesions.labels
        if first and specs:
            viewer.reset_view()

    def refresh_regions(self, ids: frozenset[int]) -> None:
        """Carry changed regions to the label layer, only in the box where something changed.

        Parameters
        ----------
        ids : frozenset of int
            Regions whose outline or record changed.
        """
        viewer = self._viewer()
        lesions = self._case().lesions if self._has_case() else None
        if viewer is None or lesions is None:
            return
        layer = lesion_layer(viewer)
        largest = max((r.id for r in lesions.regions), default=0)
        if layer is None or largest > np.iinfo(layer.data.dtype).max:
            self.update()
            return
        if self._maps_were_renewed():
            self.update()
        if lesions.labels is not self._labels:
            grid = _grid_of(layer)
            box = _changed_box(self._labels, lesions, grid, layer.data, ids)
            if box is not None:
                layer.data[box] = shown_labels(lesions, part_of(grid, box))
                layer.refresh()
            self._labels = self._sources[LESIONS] = lesions.labels
        layer.features = region_features(lesions)
        self.recolour()

    def _maps_were_renewed(self) -> bool:
        """Tell whether maps that rest on the blood region were made, made again or dropped."""
        known = self._case().registered
        now = {key: known[key].values for key in INFLUX_KEYS if key in known}
        return any(now.get(key) is not self._sources.get(key) for key in INFLUX_KEYS)

    def recolour(self) -> None:
        """Give every region the colour of its tier; the voxels stay as they are."""
        viewer = self._viewer()
        layer = None if viewer is None else lesion_layer(viewer)
        if layer is not None:
            self._draw(layer, self._colours())

    def _draw(self, layer: Layer, colours: Mapping[int | None, Any]) -> None:
        """Set colours that are not set already: napari draws all planes again for each."""
        if self._drawn.get(layer) != colours:
            self._drawn[layer] = dict(colours)
            layer.colormap = dict(colours)

    def _has_case(self) -> bool:
        return self.reading.case is not None or self.reading.study is not None

    def _case(self) -> Case:
        if self.reading.case is not None:
            return self.reading.case
        assert self.reading.study is not None
        return Case(self.reading.study)

    def _colours(self) -> Mapping[int | None, Any]:
        if self.colours is not None:
            return self.colours()
        case = self.reading.case
        return label_colours(case, scheme_by_key(case))

    def _apply(
        self, viewer: Viewer, spec: LayerSpec, data: npt.NDArray[Any] | None, position: int
    ) -> None:
        layer = find_layer(viewer, spec.key)
        settings = dict(spec.settings)
        if layer is not None:
            if data is not None:
                # In place, also for another shape: a layer that is removed and made anew at once
                # leaves the graphics of vispy 0.17 with buffers that are gone, and the next stroke
                # of a brush ends the program.
                if layer.data.dtype != data.dtype:
                    self._drawn.pop(layer, None)  # colours are made for a type
                layer.data = data
                layer.scale, layer.translate = settings["scale"], settings["translate"]
            _follow_auto_window(layer, settings)
            layer.name = settings["name"]
            layer.metadata = settings["metadata"]
            if "features" in settings:
                layer.features = settings["features"]
            if spec.kind == "labels":
                self._draw(layer, settings["colormap"])
            return
        settings |= _preferred(spec)
        if data is None:
            data = spec.make()
        add = viewer.add_labels if spec.kind == "labels" else viewer.add_image
        added = add(data, **settings)
        if spec.kind == "labels":
            added.contour = 1  # the outline leaves the map inside to be seen
        self._put(viewer, added, position)

    def _put(self, viewer: Viewer, layer: Layer, position: int) -> None:
        """Keep our layers in their order, below the reader's own."""
        place = viewer.layers.index(layer)
        if place > position:
            viewer.layers.move(place, position)


def _preferred(spec: LayerSpec) -> dict[str, Any]:
    """Return what napari's preferences ask for a layer that is shown for the first time."""
    chosen = plugin_settings()
    if spec.key == LESIONS:
        return {}
    if spec.settings["metadata"]["eprimg"]["quantity"] == "suvbw" and chosen.pet_window_max_suv > 0:
        return {"contrast_limits": (0.0, chosen.pet_window_max_suv)}
    return {"colormap": chosen.mr_colormap} if spec.settings["colormap"] == "gray" else {}


def _follow_auto_window(layer: Layer, settings: Mapping[str, Any]) -> None:
    """Take the new automatic window, unless the reader has left the old one."""
    before = layer_facts(layer).get("auto_window")
    after = settings["metadata"]["eprimg"].get("auto_window")
    if before is not None and after is not None and np.allclose(layer.contrast_limits, before):
        layer.contrast_limits = after


_SYNCS: weakref.WeakKeyDictionary[Any, LayerSync] = weakref.WeakKeyDictionary()


def _grid_of(layer: Layer) -> DisplayGrid:
    """Return the display grid of a layer."""
    s, p, ell = layer.data.shape
    scale = [float(x) for x in layer.scale]
    origin = [float(x) for x in layer.translate]
    return DisplayGrid(
        (s, p, ell), (scale[0], scale[1], scale[2]), (origin[0], origin[1], origin[2])
    )


def _changed_box(
    before: npt.NDArray[Any] | None,
    lesions: LesionSet,
    grid: DisplayGrid,
    shown: npt.NDArray[Any],
    ids: frozenset[int],
) -> tuple[slice, slice, slice] | None:
    """Find the box of the display grid in which labels changed, or were painted."""
    after = lesions.labels
    if before is None or before.shape != after.shape:
        return (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
    found, _ = label_changes(before, after)
    changed = None if found is None else shown_box(found, lesions.grid, grid)
    # What was painted over the edge of the reference grid is taken back as well.
    painted = label_boxes(shown, max(ids, default=0))
    return joined_box(changed, *(painted.get(i) for i in ids))
