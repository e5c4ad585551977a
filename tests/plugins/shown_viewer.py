"""A napari viewer that many tests share: opening one takes longer than most tests."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from weakref import WeakSet

import pytest

from tests.plugins.screen import settle


@contextmanager
def own_commands() -> Iterator[None]:
    """Give napari commands of its own, as its fixture does: a second viewer registers anew."""
    from app_model import Application
    from napari._app_model._app import NapariApplication, _napari_names
    from napari._qt._qapp_model.qactions import init_qactions
    from napari.plugins import _initialize_plugins

    app = NapariApplication("shown_viewer")
    app.injection_store.namespace = _napari_names
    _initialize_plugins.cache_clear()
    init_qactions.cache_clear()
    try:
        with patch.object(NapariApplication, "get_app_model", return_value=app):
            yield
    finally:
        Application.destroy("shown_viewer")
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()


@contextmanager
def shown_viewer() -> Iterator[Any]:
    """Open a viewer; fail when canvases are left after it was closed.

    The one who uses it lets go of everything that holds the viewer before the end.
    """
    import napari
    from napari.qt import QtViewer

    others = WeakSet(QtViewer._instances)
    with own_commands(), pytest.MonkeyPatch.context() as quiet:
        # A thread of napari that would write the status line while the next test runs.
        quiet.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda *_: None)
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        yield viewer
        viewer.close()
        del viewer
        settle(0.2)
        gc.collect()
        left = [each for each in QtViewer._instances if each not in others]
        assert not left, "a canvas outlives its window"


def spare_what_is_there() -> None:
    """Let the search for garbage leave out what was loaded before the first window.

    napari and its fixture search at every layer and window that goes, and look at all modules each
    time, which takes longer than most tests.  What is made from now on is searched as ever.
    """
    import napari.qt

    assert not napari.qt.QtViewer._instances
    gc.collect()
    gc.freeze()


def delete_now(widget: Any) -> None:
    """Delete a widget that has no window around it, before the next test looks for leftovers."""
    from qtpy.QtCore import QCoreApplication, QEvent

    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@contextmanager
def no_canvas_left() -> Iterator[None]:
    """Blame the module that leaves canvases, not the one whose first viewer stumbles over them."""
    yield
    if "napari.qt" not in sys.modules:
        return
    from napari.qt import QtViewer

    gc.collect()
    left = len(QtViewer._instances)
    QtViewer._instances.clear()
    assert not left, f"{left} canvases outlive their tests"
