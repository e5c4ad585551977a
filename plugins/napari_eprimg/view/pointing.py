"""The mouse on a canvas: click, double click, wheel and window drag, the same in every plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari_eprimg.view.windows import dragged

if TYPE_CHECKING:
    from napari.components import Dims, ViewerModel
    from napari.layers import Image

    from napari_eprimg.lesions.click_tool import ClickTool
    from napari_eprimg.reading.reading import Reading

__all__ = ["Pointing", "another_slice"]

_CLICK_PX = 4.0
"""A press that moves less than this is a click."""

_ZOOM_STEP = 1.15
_DEFAULTS = ("dims_scroll", "double_click_to_zoom")
"""napari's own mouse actions that ours take the place of."""


class Pointing:
    """Mouse actions of one canvas.

    Parameters
    ----------
    viewer : ViewerModel
        The canvas' viewer; world coordinates are S, P, L in mm.
    reading : Reading
        Whose crosshair is moved.
    center : callable
        Called with a point (S, P, L) after a double click.
    window_layer : callable
        Gives the image layer whose window a drag with Shift changes, or None.
    hover : callable
        Called with a point (S, P, L) while the mouse moves.
    tool : ClickTool
        While it is in hand, clicks are its own: a plain one, and one with Shift.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        reading: Reading,
        *,
        center: Callable[[tuple[float, ...]], None],
        window_layer: Callable[[], Image | None],
        hover: Callable[[tuple[float, ...]], None],
        tool: ClickTool | None = None,
    ) -> None:
        self._tool = tool
        self._viewer = viewer
        self._reading = reading
        self._center = center
        self._window_layer = window_layer
        self._hover = hover
        self._wheel = 0.0
        self._lists = {
            "wheel": viewer.mouse_wheel_callbacks,
            "double": viewer.mouse_double_click_callbacks,
            "drag": viewer.mouse_drag_callbacks,
            "move": viewer.mouse_move_callbacks,
        }
        self._own: dict[str, Any] = {
            "wheel": self._on_wheel,
            "double": self._on_double_click,
            "drag": self._on_drag,
            "move": self._on_move,
        }
        self._replaced: dict[str, list[Any]] = {}
        for name, callbacks in self._lists.items():
            ours = [c for c in callbacks if getattr(c, "__name__", "") in _DEFAULTS]
            for callback in ours:
                callbacks.remove(callback)
            self._replaced[name] = ours
            callbacks.append(self._own[name])

    def close(self) -> None:
        """Give napari its own mouse actions back."""
        for name, callbacks in self._lists.items():
            if self._own[name] in callbacks:
                callbacks.remove(self._own[name])
            callbacks.extend(self._replaced.pop(name, []))

    def step(self, slices: int) -> None:
        """Move the crosshair by whole slices of the plane that is shown.

        Parameters
        ----------
        slices : int
            Positive: towards rising S, P or L.
        """
        dims = self._viewer.dims
        if dims.ndisplay != 2 or dims.ndim != 3 or not self._viewer.layers:
            return
        axis = dims.not_displayed[0]
        low, high, step = dims.range[axis]
        point = list(self._reading.cursor_mm or dims.point)
        point[axis] = min(max(point[axis] + slices * step, low), high)
        self._reading.move_cursor((point[0], point[1], point[2]))

    def _may_point(self) -> bool:
        """Tell whether a click is free: in the plane view, and no tool in use."""
        layer = self._viewer.layers.selection.active
        tool = "pan_zoom" if layer is None else str(layer.mode)
        return (
            self._viewer.dims.ndisplay == 2 and self._viewer.dims.ndim == 3 and tool == "pan_zoom"
        )

    def _on_wheel(self, viewer: ViewerModel, event: Any) -> None:
        if viewer.dims.ndisplay != 2 or "Alt" in event.modifiers or "Shift" in event.modifiers:
            return
        event.handled = True
        turn = float(event.delta[1])
        if "Control" in event.modifiers:
            self._zoom(_ZOOM_STEP**turn, event.position)
            return
        self._wheel += max(-1.0, min(1.0, turn))
        whole = math.trunc(self._wheel)
        if whole:
            self._wheel -= whole
            self.step(whole)

    def _zoom(self, factor: float, position: tuple[float, ...]) -> None:
        """Zoom so that the point under the mouse stays where it is."""
        camera = self._viewer.scene.camera
        vertical, horizontal = self._viewer.dims.displayed[-2:]
        held = (position[vertical], position[horizontal])
        center = camera.center[-2:]
        camera.zoom *= factor
        camera.center = tuple(h + (c - h) / factor for h, c in zip(held, center, strict=True))

    def _on_double_click(self, viewer: ViewerModel, event: Any) -> None:
        if not self._may_point():
            return
        event.handled = True
        if self._clicking:
            return  # the first of the two clicks has done its work
        self._reading.move_cursor(_three(event.position))
        self._center(_three(event.position))

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        if viewer.dims.ndim == 3 and viewer.dims.ndisplay == 2:
            self._hover(_three(event.position))

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        if event.button != 1 or not self._may_point():
            return
        if tuple(event.modifiers) == ("Shift",):
            yield from self._drag_window(event)
        elif not event.modifiers:
            yield from self._click(event)

    def _click(self, event: Any) -> Iterator[None]:
        start, moved = event.pos, False
        yield
        while event.type == "mouse_move":
            moved = moved or math.dist(start, event.pos) > _CLICK_PX
            yield
        if not moved:
            self._take(event, background=False)

    def _take(self, event: Any, *, background: bool) -> None:
        """Give a click to the tool in hand, else to the crosshair."""
        point = _three(event.position)
        if self._tool is not None and self._tool.active:
            self._tool.click(point, background=background)
        elif not background:
            self._reading.move_cursor(point)

    @property
    def _clicking(self) -> bool:
        return self._tool is not None and self._tool.active

    def _drag_window(self, event: Any) -> Iterator[None]:
        layer, clicking = self._window_layer(), self._clicking
        if layer is None and not clicking:
            return
        start, moved = event.pos, not clicking
        limits = tuple(layer.contrast_limits) if layer is not None else (0.0, 0.0)
        height, width = self._viewer.canvas.size
        event.handled = True
        yield
        while event.type == "mouse_move":
            event.handled = True
            moved = moved or math.dist(start, event.pos) > _CLICK_PX
            right, up = event.pos[0] - start[0], start[1] - event.pos[1]
            if layer is not None and moved:
                layer.contrast_limits = dragged(limits, right, up, (width, height))
            yield
        if not moved:
            self._take(event, background=True)


def another_slice(dims: Dims, axis: int, mm: float) -> bool:
    """Tell whether a place lies in another slice than the one that is shown.

    Parameters
    ----------
    dims : Dims
        Of the viewer.
    axis : int
        Axis that is cut across.
    mm : float
        World coordinate.

    Returns
    -------
    bool
        False also beyond the first or last slice, when that one is shown.
    """
    low, high, step = dims.range[axis]
    return round((min(max(mm, low), high) - low) / step) != dims.current_step[axis]


def _three(position: tuple[float, ...]) -> tuple[float, float, float]:
    s, p, ell = (float(x) for x in position)
    return s, p, ell
