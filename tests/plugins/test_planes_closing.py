"""The planes when their case or their window goes; each test has a window of its own."""

from __future__ import annotations

from typing import Any

from tests.plugins import marked_case as marked
from tests.plugins import screen
from tests.plugins.planes_room import PlanesRoom
from tests.plugins.shown_viewer import shown_viewer


def test_closing_the_window_lets_go_of_everything(qapp: Any) -> None:
    # `shown_viewer` fails when a canvas is left, though `viewer` outlives its window here.
    with shown_viewer() as viewer:
        opened = PlanesRoom(viewer)
        reading = opened.reading
        reading.show(marked.case(marked.straight_grid(16)))
        assert "dims_scroll" not in [c.__name__ for c in viewer.mouse_wheel_callbacks]
        del opened
    assert "dims_scroll" in [c.__name__ for c in viewer.mouse_wheel_callbacks]
    assert not [c for c in viewer.mouse_wheel_callbacks if c.__name__ == "_on_wheel"]
    reading.move_cursor((5.0, 5.0, 5.0))  # nothing follows any more


def test_a_case_may_come_later_and_go_again(make_napari_viewer: Any) -> None:
    opened = PlanesRoom(make_napari_viewer(show=True)).show()
    opened.reading.show(None)
    screen.settle()
    assert opened.planes.read_out.text().startswith("\nRegion:")
    opened.reading.show(marked.case(marked.straight_grid(32)))
    screen.settle()
    assert len(opened.planes.coronal.viewer.layers) == 3
    assert screen.n_colours(screen.pixels(opened.planes.sagittal.qt_viewer)) > 20
