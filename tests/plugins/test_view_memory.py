"""What was left on the screen comes back; what is not there any more is passed over."""

from __future__ import annotations

import json

import pytest
from napari.components import ViewerModel

from napari_eprimg.view.layers import find_layer, sync_layers
from napari_eprimg.view.view_memory import remember_view, restore_view
from tests.plugins import marked_case as marked


class Reading(marked.PlainReading):
    """Knows which region is selected."""

    def select(self, region_id: int) -> None:
        self.selected = region_id


@pytest.fixture
def reading() -> Reading:
    return Reading(marked.case())


def test_camera_crosshair_windows_and_selection_come_back(reading: Reading) -> None:
    viewer = ViewerModel()
    sync_layers(viewer, reading)
    reading.move_cursor((3.0, -5.0, 7.0))
    reading.select(2)
    viewer.scene.camera.zoom, viewer.scene.camera.center = 3.5, (4.0, 9.0)
    find_layer(viewer, "suvbw").contrast_limits = (1.0, 6.0)
    find_layer(viewer, "mr_pre").visible = False
    remember_view(viewer, reading)
    kept = json.loads(json.dumps(reading.view))  # as the saved case writes it

    other, again = ViewerModel(), Reading(marked.case())
    sync_layers(other, again)
    again.view = kept
    restore_view(other, again)
    assert again.cursor_mm == (3.0, -5.0, 7.0)
    assert again.selected == 2
    assert other.scene.camera.zoom == 3.5
    assert tuple(other.scene.camera.center)[-2:] == (4.0, 9.0)
    assert tuple(find_layer(other, "suvbw").contrast_limits) == (1.0, 6.0)
    assert not find_layer(other, "mr_pre").visible


def test_a_case_without_a_view_and_layers_that_are_gone_are_no_error(reading: Reading) -> None:
    viewer = ViewerModel()
    sync_layers(viewer, reading)
    zoom = viewer.scene.camera.zoom
    restore_view(viewer, reading)
    assert viewer.scene.camera.zoom == zoom
    reading.view = {"screen": {"windows": {"gone": [0, 1]}, "visible": {"gone": True}}}
    restore_view(viewer, reading)
    assert reading.selected == 0
