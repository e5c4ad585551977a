"""What a reader left on the screen, kept with a saved case: camera, crosshair, windows, fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from napari_eprimg.view.layers import find_layer, layer_facts

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_eprimg.reading.reading import Reading
    from napari_eprimg.view.fusion import FusionBar

__all__ = ["remember_view", "restore_view"]

_SCREEN: Final = "screen"


def remember_view(viewer: Viewer, reading: Reading, fusion: FusionBar | None = None) -> None:
    """Write what is shown into the view state of a reading; plain JSON values.

    Parameters
    ----------
    viewer : Viewer
        The main viewer.
    reading : Reading
        What is read in it.
    fusion : FusionBar, optional
        Which layers lie over each other.
    """
    camera = viewer.scene.camera
    ours = [(layer_facts(layer).get("key"), layer) for layer in viewer.layers]
    reading.view[_SCREEN] = {
        "crosshair_mm": list(reading.cursor_mm or ()),
        "center_mm": [float(x) for x in camera.center],
        "zoom": float(camera.zoom),
        "selected": int(reading.selected),
        "visible": {key: bool(layer.visible) for key, layer in ours if key is not None},
        "windows": {
            key: [float(x) for x in layer.contrast_limits]
            for key, layer in ours
            if key is not None and hasattr(layer, "contrast_limits")
        },
        "fusion": {} if fusion is None else fusion.choice(),
    }


def restore_view(viewer: Viewer, reading: Reading, fusion: FusionBar | None = None) -> None:
    """Show a reopened case as it was left; what it does not know stays as it is.

    Parameters
    ----------
    viewer : Viewer
        The main viewer.
    reading : Reading
        The reopened reading; its layers are there.
    fusion : FusionBar, optional
        Which layers lie over each other.
    """
    kept: dict[str, Any] = reading.view.get(_SCREEN, {})
    if not isinstance(kept, dict) or not kept:
        return
    if fusion is not None and kept.get("fusion"):
        fusion.choose(kept["fusion"])
    for key, limits in kept.get("windows", {}).items():
        layer = find_layer(viewer, key)
        if layer is not None:
            layer.contrast_limits = limits
    for key, visible in kept.get("visible", {}).items():
        layer = find_layer(viewer, key)
        if layer is not None:
            layer.visible = visible
    reading.select(int(kept.get("selected", 0)))
    if len(kept.get("crosshair_mm", ())) == 3:
        s, p, ell = kept["crosshair_mm"]
        reading.move_cursor((s, p, ell))
    if viewer.dims.ndisplay == 2 and kept.get("center_mm"):
        viewer.scene.camera.zoom = kept["zoom"]
        viewer.scene.camera.center = tuple(kept["center_mm"])
