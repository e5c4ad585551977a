"""Which layer lies below and above, and how strongly each is drawn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_eprimg.view.fusion import COLOURS, FusionBar, colour_table, short_words
from napari_eprimg.view.layers import layer_tuples
from tests.plugins import marked_case as marked


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    for data, settings, kind in layer_tuples(marked.case(marked.straight_grid(8))):
        viewer.layers.append(Layer.create(data, settings, kind))
    return viewer


@pytest.fixture
def bar(qapp, viewer: ViewerModel) -> FusionBar:
    return FusionBar(viewer, SimpleNamespace(view={}))


def _layer(viewer: ViewerModel, key: str) -> Image:
    return next(y for y in viewer.layers if y.metadata["eprimg"]["key"] == key)


@pytest.mark.parametrize(
    ("share", "below", "above"), [(0, 1.0, 0.0), (25, 1.0, 0.4), (50, 1.0, 0.8), (100, 0.0, 1.0)]
)
def test_the_slider_goes_from_mr_to_pet(bar, viewer, share, below, above) -> None:
    # Opacities: MR stays whole up to the middle; PET is whole from 62.5 % on (share * 1.6).
    bar.slider.setValue(share)
    mr, pet = _layer(viewer, "mr_pre"), _layer(viewer, "suvbw")
    assert (mr.opacity, pet.opacity) == pytest.approx((below, above))
    assert (mr.visible, pet.visible) == (below > 0, above > 0)
    assert bar.share_words.text() == f"{share} %"


def test_a_layer_of_another_origin_is_left_alone(bar, viewer) -> None:
    plain = Image(np.zeros((4, 4, 4)), name="mine")
    half_told = Image(np.zeros((4, 4, 4)), name="half", metadata={"eprimg": {"key": "x"}})
    for layer in (plain, half_told):
        viewer.layers.append(layer)
    bar.slider.setValue(10)
    assert [bar.lower.itemData(n) for n in range(bar.lower.count())] == ["mr_pre", "suvbw"]
    assert plain.visible
    assert half_told.visible


def test_colours_are_carried_to_the_upper_layer_and_fade_only_over_another(bar, viewer) -> None:
    pet = _layer(viewer, "suvbw")
    bar.colours.setCurrentText("inverted grey")
    bar.colours.activated.emit(0)
    assert pet.colormap.name == f"{COLOURS['inverted grey']} fading"
    bar.slider.setValue(100)
    assert pet.colormap.name == COLOURS["inverted grey"]


def test_the_lower_end_of_fading_colours_is_transparent() -> None:
    faded, whole = colour_table("inferno", fading=True), colour_table("inferno", fading=False)
    at = np.array([0.0, 1.0])
    assert faded.map(at)[:, 3] == pytest.approx([0.0, 1.0])
    assert whole.map(at)[:, 3] == pytest.approx([1.0, 1.0])


def test_what_was_chosen_comes_back(bar, viewer) -> None:
    bar.choose({"below": "suvbw", "above": "suvbw", "colours": "grey", "percent": 30})
    kept = bar.choice()
    other = FusionBar(viewer, SimpleNamespace(view={}))
    other.choose(kept)
    assert other.choice() == kept
    assert other.slider.value() == 30
    other.choose({"below": "gone", "percent": 40})  # a layer that is not there any more
    assert other.lower.currentData() == "suvbw"


def test_after_disconnecting_new_layers_are_not_offered(bar, viewer) -> None:
    bar.disconnect_all()
    viewer.layers.clear()
    assert bar.lower.count() == 2


@pytest.mark.parametrize(
    ("name", "timepoint", "short"),
    [
        ("signal echo 1.2 ms [arbitrary] pre", "pre", "signal, pre"),
        ("SUVbw [g/mL] 89Zr", "89Zr", "SUVbw, 89Zr"),
        ("SUVbw [g/mL]", "", "SUVbw"),
    ],
)
def test_short_words(name: str, timepoint: str, short: str) -> None:
    assert short_words(name, timepoint) == short
