"""The click tool of a viewer: taken up instead of napari's tools, and put down for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from napari_eprimg.lesions.click_tool import ClickTool
from napari_eprimg.lesions.lesion_tools import LesionTools, lesion_tools_of
from napari_eprimg.lesions.one_per_viewer import one_per_viewer

if TYPE_CHECKING:
    import napari

__all__ = ["click_tool_of"]

_FREE = "pan_zoom"


class _Hand:
    """Keeps one tool in hand: that of a click, or one of napari.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    tools : LesionTools
        Its lesion tools.
    """

    def __init__(self, viewer: Any, tools: LesionTools) -> None:
        self._viewer = ref(viewer)
        self._tools = tools
        self._layer: Any = None
        self.tool = ClickTool(
            tools.reading,
            tools.edit,
            inform=tools.log.information,
            warn=tools.log.warning,
        )
        self.tool.changed.connect(self._follow)

    def _follow(self) -> None:
        layer = self._tools.layer if self.tool.active else None
        if layer is self._layer:
            return
        if self._layer is not None:
            self._layer.events.mode.disconnect(self._on_mode)
        self._layer = layer
        viewer = self._viewer()
        if layer is None or viewer is None:
            return
        layer.visible = True
        for each in viewer.layers:
            each.mode = _FREE
        layer.events.mode.connect(self._on_mode)

    def _on_mode(self, event: object = None) -> None:
        if self._layer is not None and str(self._layer.mode) != _FREE:
            self.tool.take_up(False)


_HANDS = one_per_viewer(lambda viewer: _Hand(viewer, lesion_tools_of(viewer)))


def click_tool_of(viewer: napari.viewer.Viewer) -> ClickTool:
    """Return the click tool of a viewer; made on the first call.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Returns
    -------
    ClickTool
        The only one of this viewer.
    """
    return _HANDS(viewer).tool
