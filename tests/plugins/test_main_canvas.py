"""napari's own viewer as the axial plane; no window is needed for that."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_eprimg.view.main_canvas import MainCanvas, qt_viewer_of
from tests.plugins.marked_case import PlainReading


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.layers.append(Image(np.zeros((10, 20, 30), np.float32), scale=(5, 2, 2)))
    return viewer


@pytest.fixture
def reading() -> PlainReading:
    return PlainReading(None)


@pytest.fixture
def canvas(qapp, viewer: ViewerModel, reading: PlainReading) -> MainCanvas:
    canvas = MainCanvas(
        viewer, reading, center=print, window_layer=lambda: None, hover=lambda point: None
    )
    yield canvas
    canvas.disconnect_all()


def _sides(viewer: ViewerModel) -> tuple[str, str]:
    return tuple(str(side) for side in viewer.scene.camera.orientation2d)


def test_the_patient_is_the_right_way_round(canvas: MainCanvas, viewer: ViewerModel) -> None:
    assert _sides(viewer) == ("down", "right")  # posterior down, left on the right
    canvas.set_radiological(False)
    assert _sides(viewer) == ("down", "left")
    canvas.set_radiological(True)
    viewer.dims.order = (1, 0, 2)  # coronal: head up
    assert _sides(viewer) == ("up", "right")


def test_the_crosshair_moves_the_slice_and_the_slider_moves_the_crosshair(
    canvas: MainCanvas, viewer: ViewerModel, reading: PlainReading
) -> None:
    told = []
    reading.cursor_changed.connect(told.append)
    reading.move_cursor((15.0, 4.0, 6.0))
    canvas.show_point((15.0, 4.0, 6.0))
    assert viewer.dims.current_step[0] == 3
    assert told == [(15.0, 4.0, 6.0)]  # following is not moving
    viewer.dims.set_current_step(0, 5)
    assert reading.cursor_mm == (25.0, 4.0, 6.0)
    canvas.center_on((25.0, 8.0, 12.0))
    assert tuple(viewer.scene.camera.center)[-2:] == (8.0, 12.0)


def test_a_viewer_without_a_window_has_no_canvas(canvas: MainCanvas, viewer: ViewerModel) -> None:
    assert qt_viewer_of(viewer) is None
    assert canvas.marks is None


def test_after_closing_the_slider_is_free(
    canvas: MainCanvas, viewer: ViewerModel, reading: PlainReading
) -> None:
    reading.move_cursor((15.0, 4.0, 6.0))
    canvas.disconnect_all()
    viewer.dims.set_current_step(0, 7)
    assert reading.cursor_mm == (15.0, 4.0, 6.0)
