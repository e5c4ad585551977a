"""Presets and limits of the layer whose window is changed."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_eprimg.view.window_bar import WindowBar


def _layer(quantity: str, auto: tuple[float, float], limits: tuple[float, float]) -> Image:
    facts = {"key": quantity, "quantity": quantity, "unit": "g/mL", "auto_window": auto}
    layer = Image(np.zeros((4, 4)), metadata={"eprimg": facts}, name=quantity)
    layer.contrast_limits = limits
    return layer


@pytest.fixture
def suv() -> Image:
    return _layer("suvbw", (0.0, 20.0), (0.0, 20.0))


@pytest.fixture
def bar(qapp, suv: Image) -> WindowBar:
    bar = WindowBar(lambda: [("above: SUVbw", suv)])
    yield bar
    bar.disconnect_all()


def test_the_next_preset_is_always_another_window(bar: WindowBar, suv: Image) -> None:
    # The automatic window is that of the last fixed preset: neither is shown twice in a row.
    seen = []
    for _ in range(4):
        bar.next_preset()
        seen.append(tuple(suv.contrast_limits))
    assert seen == [(0, 5), (0, 10), (0, 20), (0, 5)]
    assert bar.preset.currentText() == "0 to 5"


def test_after_an_automatic_window_of_its_own_comes_the_first(qapp) -> None:
    layer = _layer("suvbw", (0.0, 7.5), (0.0, 20.0))
    bar = WindowBar(lambda: [("above", layer)])
    seen = []
    for _ in range(3):
        bar.next_preset()
        seen.append((tuple(layer.contrast_limits), bar.preset.currentText()))
    assert seen == [((0, 7.5), "auto"), ((0, 5), "0 to 5"), ((0, 10), "0 to 10")]
    bar.disconnect_all()


def test_boxes_and_layer_follow_each_other(bar: WindowBar, suv: Image) -> None:
    suv.contrast_limits = (1.0, 3.0)
    assert (bar.low.value(), bar.high.value()) == (1.0, 3.0)
    assert bar.preset.currentText() == "by hand"
    bar.high.setValue(8.0)
    assert tuple(suv.contrast_limits) == (1.0, 8.0)
    bar.high.setValue(0.5)  # below the lower end: no window
    assert tuple(suv.contrast_limits) == (1.0, 8.0)
    assert bar.unit.text() == "g/mL"


def test_a_preset_beyond_the_values_of_the_map_is_taken(bar: WindowBar, suv: Image) -> None:
    bar.preset.setCurrentText("0 to 10")
    bar.preset.activated.emit(bar.preset.currentIndex())
    assert tuple(suv.contrast_limits) == (0.0, 10.0)


def test_without_a_layer_nothing_can_be_chosen(qapp) -> None:
    bar = WindowBar(list)
    bar.next_preset()
    assert bar.layer is None
    assert not bar.preset.isEnabled()
    assert bar.unit.text() == ""


def test_the_layer_can_be_chosen(qapp, suv: Image) -> None:
    change = _layer("dr2star", (0.0, 90.0), (0.0, 50.0))
    bar = WindowBar(lambda: [("above", suv), ("below", change)])
    bar.choose(change)
    assert bar.layer is change
    bar.next_preset()
    assert tuple(change.contrast_limits) == (0.0, 150.0)
    assert tuple(suv.contrast_limits) == (0.0, 20.0)
    bar.disconnect_all()
    change.contrast_limits = (3.0, 4.0)  # nothing follows any more
    assert bar.low.value() == 0.0
