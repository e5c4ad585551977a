"""Layers follow the reading; what the reader chose stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from eprimg.model.lesions import LesionSet
from eprimg.quantities import quantity
from napari_eprimg.view.layers import LESIONS, find_layer, lesion_layer, sync_layers
from tests.plugins import marked_case as marked


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def reading() -> marked.PlainReading:
    return marked.PlainReading(marked.case())


def _keys(viewer: ViewerModel) -> list[str]:
    return [layer.metadata["eprimg"]["key"] for layer in viewer.layers]


def _edited(case, change):
    labels = np.array(case.lesions.labels)
    change(labels)
    return replace(case, lesions=LesionSet(labels, case.lesions.grid, case.lesions.regions))


def test_layers_come_with_the_case_and_go_with_it(viewer, reading) -> None:
    sync_layers(viewer, reading)
    assert _keys(viewer) == ["mr_pre", "suvbw", LESIONS]
    assert [str(u) for u in viewer.layers[0].units] == ["millimeter"] * 3
    own = viewer.add_points([[0, 0, 0]], name="SUVbw [g/mL] 89Zr note")
    reading.show(replace(reading.case, maps={}, registered={}, lesions=None))
    assert [layer for layer in viewer.layers if layer is not own] == [
        find_layer(viewer, "mr_pre"), find_layer(viewer, "pet"),
    ]  # fmt: skip
    reading.show(None)
    assert list(viewer.layers) == [own]  # the reader's own layers are not ours to remove


def test_a_second_call_is_the_same_sync(viewer, reading) -> None:
    first = sync_layers(viewer, reading)
    assert sync_layers(viewer, reading, lambda: {0: "transparent", None: "red"}) is first
    assert len(viewer.layers) == 3
    other = marked.PlainReading(marked.case())
    assert sync_layers(viewer, other) is not first
    viewer.layers.clear()
    reading.case_changed.emit()  # the first one does not act any more
    assert len(viewer.layers) == 0


def test_window_and_visibility_of_the_reader_stay(viewer, reading) -> None:
    sync_layers(viewer, reading)
    suv = find_layer(viewer, "suvbw")
    suv.contrast_limits, suv.visible, suv.colormap = (1.0, 3.5), False, "viridis"
    suv.name = "renamed by the reader"
    before = reading.case.registered["suvbw"]
    hotter = replace(before, values=before.values * 2)
    reading.show(replace(reading.case, registered={"suvbw": hotter}))
    assert find_layer(viewer, "suvbw") is suv
    assert np.nanmax(suv.data) == 24
    assert (tuple(suv.contrast_limits), suv.visible) == ((1.0, 3.5), False)
    # Another grid: a new layer, which inherits them and keeps its place.
    reading.show(marked.case(marked.straight_grid(32)))
    suv = find_layer(viewer, "suvbw")
    assert suv.data.shape == (32, 32, 32)
    assert (tuple(suv.contrast_limits), suv.visible) == ((1.0, 3.5), False)
    assert suv.colormap.name == "viridis"
    assert _keys(viewer) == ["mr_pre", "suvbw", LESIONS]


def test_an_edit_changes_the_labels_in_place_and_only_there(viewer, reading) -> None:
    sync_layers(viewer, reading)
    layer = lesion_layer(viewer)
    data = layer.data
    layer.data[60, 60, 60] = 1  # not an edit of these regions: not touched

    def grow(labels):
        labels[40:44, 20:24, 30:34] = 1

    reading.case = _edited(reading.case, grow)
    reading.regions_changed.emit(frozenset({2}))
    assert lesion_layer(viewer) is layer
    assert layer.data is data
    assert (layer.data[40:44, 20:24, 30:34] == 1).all()
    assert layer.data[60, 60, 60] == 1
    assert (layer.data == 2).sum() == (reading.case.lesions.labels == 2).sum()


def test_maps_that_rest_on_blood_follow_its_measurement(viewer, reading) -> None:
    """Net influx is formed with the numbers, which tell only that regions have changed."""
    sync_layers(viewer, reading)
    like = reading.case.maps["suvbw"]
    for value in (0.01, 0.02):
        values = np.full(like.grid.shape, value, dtype=np.float32)
        valid = np.ones(like.grid.shape, dtype=bool)
        influx = replace(like, values=values, valid=valid, quantity=quantity("patlak_ki"))
        reading.case = replace(reading.case, registered={"patlak_ki": influx})
        reading.regions_changed.emit(frozenset({2}))
        shown = find_layer(viewer, "patlak_ki").data
        assert np.nanmax(shown) == pytest.approx(value)
    reading.case = replace(reading.case, registered={})
    reading.regions_changed.emit(frozenset({2}))
    assert find_layer(viewer, "patlak_ki") is None
    assert lesion_layer(viewer) is not None


def test_paint_that_the_reading_did_not_take_is_taken_back(viewer, reading) -> None:
    sync_layers(viewer, reading)
    layer = lesion_layer(viewer)
    layer.data[60, 60, 60] = 1
    reading.case = _edited(reading.case, lambda labels: labels.__setitem__((0, 0, 0), 2))
    reading.regions_changed.emit(frozenset({1}))
    assert layer.data[60, 60, 60] == 0
    np.testing.assert_array_equal(layer.data, reading.case.lesions.labels)


def test_tiers_recolour_without_touching_a_voxel(viewer, reading) -> None:
    sync_layers(viewer, reading)
    layer = lesion_layer(viewer)
    before = layer.data.copy()
    low = layer.get_color(1)
    regions = tuple(
        replace(r, tiers=(replace(r.tiers[0], label="high"),)) for r in reading.case.lesions.regions
    )
    reading.case = replace(reading.case, lesions=reading.case.lesions.with_regions(regions))
    reading.tiers_changed.emit()
    assert not np.allclose(layer.get_color(1), low)
    np.testing.assert_allclose(layer.get_color(1), layer.get_color(2))
    np.testing.assert_array_equal(layer.data, before)


def test_a_case_that_cannot_be_shown_leaves_no_half_set(viewer, reading, monkeypatch) -> None:
    sync_layers(viewer, reading)
    before = [id(layer) for layer in viewer.layers]

    def fail(*args, **kwargs):
        raise MemoryError("full")

    monkeypatch.setattr("napari_eprimg.view.layer_specs.shown_labels", fail)
    with pytest.raises(Exception, match="full"):
        reading.show(marked.case(marked.straight_grid(32)))
    assert [id(layer) for layer in viewer.layers] == before
    assert viewer.layers[0].data.shape == (64, 64, 64)


def test_a_closed_viewer_is_let_go(reading) -> None:
    viewer = ViewerModel()
    sync_layers(viewer, reading)
    del viewer
    reading.show(marked.case())  # nothing to draw on: no error


def test_preferences_choose_the_first_look(viewer, reading, monkeypatch) -> None:
    from napari_eprimg.settings import plugin_settings
    from napari_eprimg.view import layers

    chosen = plugin_settings()._replace(mr_colormap="viridis", pet_window_max_suv=7.5)
    monkeypatch.setattr(layers, "plugin_settings", lambda: chosen)
    sync_layers(viewer, reading)
    assert find_layer(viewer, "mr_pre").colormap.name == "viridis"
    assert tuple(find_layer(viewer, "suvbw").contrast_limits) == (0.0, 7.5)


def test_an_automatic_window_follows_new_lesions_and_a_chosen_one_stays(viewer, reading) -> None:
    whole = reading.case
    sync_layers(viewer, reading)
    layer = find_layer(viewer, "suvbw")
    automatic = tuple(layer.contrast_limits)
    reading.show(replace(whole, lesions=None))
    before = tuple(layer.contrast_limits)
    assert before == tuple(layer.metadata["eprimg"]["auto_window"])
    reading.show(whole)
    assert tuple(layer.contrast_limits) == automatic
    layer.contrast_limits = (1.0, 3.0)
    reading.show(replace(whole, lesions=None))
    assert tuple(layer.contrast_limits) == (1.0, 3.0)
