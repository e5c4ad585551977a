"""A side pane cuts the same volumes across another axis."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_eprimg.view.plane_pane import PlanePane
from tests.plugins.marked_case import PlainReading
from tests.plugins.shown_viewer import delete_now


@pytest.fixture(scope="module")
def panes(qapp):
    source = ViewerModel()
    source.layers.append(Image(np.zeros((10, 20, 30), np.float32), scale=(5, 2, 2)))
    reading = PlainReading(None)
    made = {
        axis: PlanePane(
            source,
            reading,
            axis,
            center=lambda point: None,
            window_layer=lambda: None,
            hover=lambda point: None,
        )
        for axis in (1, 2)
    }
    yield source, made
    while made:
        _, pane = made.popitem()
        pane.disconnect_all()
        delete_now(pane)


@pytest.mark.parametrize(("axis", "shown"), [(1, (0, 2)), (2, (0, 1))])
def test_head_is_up_and_the_axes_are_those_of_the_plane(panes, axis, shown) -> None:
    pane = panes[1][axis]
    assert tuple(pane.viewer.dims.displayed) == shown
    assert [str(x) for x in pane.viewer.scene.camera.orientation2d] == ["up", "right"]


def test_a_point_chooses_the_slice_and_the_middle(panes) -> None:
    pane = panes[1][1]
    pane.show_point((15.0, 24.0, 8.0))
    assert pane.viewer.dims.current_step[1] == 12  # 24 mm in slices of 2 mm
    pane.show_point((15.0, 24.9, 8.0))
    assert pane.viewer.dims.current_step[1] == 12
    pane.center_on((15.0, 24.0, 8.0))
    assert tuple(pane.viewer.scene.camera.center)[-2:] == (15.0, 8.0)


def test_a_move_slices_every_layer_once(panes) -> None:
    pane = panes[1][2]
    pane.show_point((0.0, 0.0, 10.0))
    sliced = []
    pane.viewer.layers[0].events.set_data.connect(lambda event: sliced.append(1))
    pane.show_point((0.0, 0.0, 20.0))
    assert pane.viewer.dims.current_step[2] == 10
    assert len(sliced) == 1


def test_the_other_side_when_neurological(panes) -> None:
    coronal, sagittal = panes[1][1], panes[1][2]
    for pane in (coronal, sagittal):
        pane.set_radiological(False)
    assert str(coronal.viewer.scene.camera.orientation2d[1]) == "left"
    assert str(sagittal.viewer.scene.camera.orientation2d[1]) == "right"
    for pane in (coronal, sagittal):
        pane.set_radiological(True)


def test_a_new_extent_is_fitted_and_no_layer_is_fine(panes) -> None:
    source, made = panes
    pane = made[1]
    pane.viewer.scene.camera.zoom = 77.0
    source.layers.append(Image(np.zeros((40, 80, 90), np.float32), scale=(5, 2, 2)))
    assert pane.viewer.scene.camera.zoom != 77.0
    first = source.layers[0]
    source.layers.clear()
    assert len(pane.viewer.layers) == 0
    pane.show_point((1.0, 1.0, 1.0))
    source.layers.append(first)
    assert tuple(pane.viewer.dims.displayed) == (0, 2)
