"""A canvas of napari beside the main one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from napari.qt import QtViewer
from napari.utils.action_manager import action_manager

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["side_canvas"]


def side_canvas(viewer: ViewerModel) -> QtViewer:
    """Make the canvas of a side pane.

    Parameters
    ----------
    viewer : ViewerModel
        What is shown in it.

    Returns
    -------
    QtViewer
        Without the sliders below it.

    Notes
    -----
    Every canvas of napari binds all shortcuts once more, and at each of them every canvas that is
    open writes its welcome page again, shown or not: most of the time that a canvas takes.  The
    shortcuts are the same as before, so nobody has to be told.
    """
    changed: Any = getattr(action_manager.events, "shortcut_changed", None)
    with nullcontext() if changed is None else changed.blocker():
        canvas = QtViewer(viewer)
    canvas.dims.hide()
    return canvas
