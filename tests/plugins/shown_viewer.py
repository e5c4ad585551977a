"""A napari viewer that many tests share: opening one takes longer than most tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest

from tests.plugins.screen import settle


@contextmanager
def shown_viewer() -> Iterator[Any]:
    """Open a viewer; fail when canvases are left after it was closed.

    The one who uses it lets go of everything that holds the viewer before the end.
    """
    import napari
    from napari.qt import QtViewer

    others = WeakSet(QtViewer._instances)
    with pytest.MonkeyPatch.context() as patch:
        # A thread of napari that would write the status line while the next test runs.
        patch.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda *_: None)
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        yield viewer
        viewer.close()
        del viewer
        settle(0.2)
        gc.collect()
        left = [each for each in QtViewer._instances if each not in others]
        assert not left, "a canvas outlives its window"
