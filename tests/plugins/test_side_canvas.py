"""A side canvas is made without writing every welcome page again, and nothing else is lost."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from napari.utils.action_manager import action_manager

from napari_eprimg.view.side_canvas import side_canvas
from tests.plugins.shown_viewer import delete_now


def _bound() -> dict[str, list[str]]:
    return {name: sorted(map(str, keys)) for name, keys in action_manager._shortcuts.items()}


def test_the_same_shortcuts_are_bound_and_nobody_is_told(qapp: Any) -> None:
    plain = QtViewer(ViewerModel())
    before = _bound()
    assert before
    told: list[str] = []

    def hear(event: Any) -> None:
        told.append(event.name)

    action_manager.events.shortcut_changed.connect(hear)
    try:
        canvas = side_canvas(ViewerModel())
        assert told == []
        assert _bound() == before
        assert not canvas.dims.isVisibleTo(canvas)
        # Later changes are told as ever.
        (name, keys), *_ = ((n, list(k)) for n, k in action_manager._shortcuts.items() if k)
        action_manager.unbind_shortcut(name)
        assert told
        for key in keys:
            action_manager.bind_shortcut(name, key)
        assert _bound() == before
    finally:
        action_manager.events.shortcut_changed.disconnect(hear)
    for each in (plain, canvas):
        each.close()
        delete_now(each)
