"""A pane shows the layers of the main viewer without a second copy of their arrays."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_eprimg.view.layer_mirror import LayerMirror


@pytest.fixture
def source() -> ViewerModel:
    viewer = ViewerModel()
    place = {"scale": (5, 2, 2), "translate": (1, 2, 3)}
    viewer.layers.append(Image(np.zeros((4, 5, 6), np.float32), name="mr", **place))
    viewer.layers.append(Labels(np.zeros((4, 5, 6), np.uint8), name="lesions", **place))
    viewer.layers[1].contour = 1
    return viewer


def test_arrays_are_shared_and_settings_carried(source: ViewerModel) -> None:
    pane = ViewerModel()
    LayerMirror(source, pane)
    assert [y.name for y in pane.layers] == ["mr", "lesions"]
    for mine, theirs in zip(source.layers, pane.layers, strict=True):
        assert np.shares_memory(mine.data, theirs.data)
        assert tuple(theirs.scale) == (5, 2, 2)
        assert tuple(theirs.translate) == (1, 2, 3)
    assert pane.layers[1].contour == 1
    assert not pane.layers[1].editable


def test_what_changes_in_the_main_viewer_changes_in_the_pane(source: ViewerModel) -> None:
    pane = ViewerModel()
    mirror = LayerMirror(source, pane)
    source.layers[0].contrast_limits = (-3.0, 7.0)
    source.layers[0].opacity = 0.25
    source.layers[1].visible = False
    other = np.ones((4, 5, 6), np.float32)
    source.layers[0].data = other
    assert tuple(pane.layers[0].contrast_limits) == (-3.0, 7.0)
    assert pane.layers[0].opacity == 0.25
    assert not pane.layers[1].visible
    assert pane.layers[0].data is other
    source.layers.move(0, 2)
    assert [y.name for y in pane.layers] == ["lesions", "mr"]
    source.layers.remove("mr")
    assert [y.name for y in pane.layers] == ["lesions"]
    mirror.close()
    source.layers.clear()
    assert [y.name for y in pane.layers] == ["lesions"]  # nothing follows any more


def test_only_flat_pictures_with_three_axes_are_shown(source: ViewerModel) -> None:
    pane = ViewerModel()
    LayerMirror(source, pane)
    source.layers.append(Image(np.zeros((5, 5))))
    source.layers.append(Points(np.zeros((1, 3))))
    source.layers.append(Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True))
    assert [y.name for y in pane.layers] == ["mr", "lesions"]


def test_a_replaced_label_array_is_taken_over_on_refresh(source: ViewerModel) -> None:
    pane = ViewerModel()
    mirror = LayerMirror(source, pane)
    drawn = []
    pane.layers[1].events.set_data.connect(lambda event: drawn.append(event))
    source.layers[1].data[1, 2, 3] = 7
    mirror.refresh_labels()
    assert pane.layers[1].data[1, 2, 3] == 7
    assert drawn


def test_labels_of_a_pane_stay_closed_to_painting_when_their_array_changes(
    source: ViewerModel,
) -> None:
    pane = ViewerModel()
    mirror = LayerMirror(source, pane)
    source.layers[1].data = np.ones((3, 4, 4), np.uint8)  # a case of another size
    assert pane.layers[1].data.shape == (3, 4, 4)
    assert not pane.layers[1].editable
    with source.layers[1].events.data.blocker():
        source.layers[1].data = np.ones((5, 4, 4), np.uint8)
    mirror.refresh_labels()
    assert pane.layers[1].data.shape == (5, 4, 4)
    assert not pane.layers[1].editable
    assert source.layers[1].editable
