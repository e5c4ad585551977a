from __future__ import annotations

import matplotlib as mpl
import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.report.drawing import (
    add_colour_bar,
    cut_colours,
    drawable,
    layer_cut,
    new_figure,
    plane_colours,
    style,
)
from eprimg.report.layers import Layer
from eprimg.report.palette import NOT_MEASURED
from eprimg.report.planes import make_plane

FRAME = "1.2"


def make_layer(values: np.ndarray, **more: object) -> Layer:
    affine = np.array([[0, 0, 2.0, -9], [0, 2.0, 0, -9], [2.0, 0, 0, -9], [0, 0, 0, 1]])
    return Layer(
        "PET",
        "SUVbw [g/mL]",
        values,
        Grid(values.shape, affine, FRAME),
        Transform.identity(FRAME),
        0.0,
        10.0,
        "viridis",
        **more,
    )  # type: ignore[arg-type]


PLANE = make_plane("axial", (0, 0, 0), frame_of_reference=FRAME, width_mm=16, height_mm=16)


def test_a_voxel_without_value_is_grey_and_never_the_colour_of_zero() -> None:
    values = np.zeros((10, 10, 10), np.float32)
    values[:, :, 5:] = np.nan
    colours = plane_colours(make_layer(values), PLANE)
    grey = [int(NOT_MEASURED[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(colours[8, -1], grey)
    np.testing.assert_allclose(colours[8, 0], mpl.colormaps["viridis"](0.0)[:3])


def test_fusion_leaves_the_anatomy_where_there_is_no_uptake() -> None:
    base = make_layer(np.full((10, 10, 10), 5.0, np.float32))
    uptake = np.zeros((10, 10, 10), np.float32)
    uptake[:, :, 5:] = 10.0
    fused = plane_colours(make_layer(uptake, base=base), PLANE)
    alone = plane_colours(base, PLANE)
    np.testing.assert_allclose(fused[:, 0], alone[:, 0])
    assert np.abs(fused[:, -1] - alone[:, -1]).max() > 0.2


def test_a_grey_cut_has_the_colours_of_its_window() -> None:
    cut = np.array([[-1.0, 0.0, 2.5], [5.0, 99.0, np.nan]])
    found = cut_colours(cut, low=0.0, high=5.0, colours="gray")
    grey = [int(NOT_MEASURED[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    # matplotlib's map gray is k/255 in its step k of 256; 2.5 is the middle of the window.
    expected = [[0, 0, 128 / 255], [1, 1, np.nan]]
    np.testing.assert_allclose(found[..., 0][np.isfinite(cut)], np.array(expected).ravel()[:5])
    np.testing.assert_allclose(found[1, 2], grey)


def test_the_colour_scale_is_that_of_matplotlib() -> None:
    values = np.random.default_rng(3).uniform(-2, 14, (10, 10, 10)).astype(np.float32)
    layer = make_layer(values, gamma=0.5)
    norm = mpl.colors.PowerNorm(0.5, 0.0, 10.0, clip=True)
    cut = layer_cut(layer, PLANE)
    # One step of 256 apart at most: the norm of matplotlib rounds elsewhere.
    steps = mpl.colormaps["viridis"](norm(cut))[..., :3]
    assert np.abs(plane_colours(layer, PLANE) - steps).max() < 0.02


def test_a_cut_that_was_made_before_is_not_made_again() -> None:
    base = make_layer(np.full((10, 10, 10), 5.0, np.float32))
    layer = make_layer(np.full((10, 10, 10), 9.0, np.float32), base=base)
    asked: list[Layer] = []

    def take(one: Layer) -> np.ndarray:
        asked.append(one)
        return layer_cut(one, PLANE)

    found = plane_colours(layer, PLANE, take=take)
    assert asked == [layer, base]
    np.testing.assert_array_equal(found, plane_colours(layer, PLANE))


def test_a_colour_bar_bears_its_unit_and_its_window() -> None:
    layer = make_layer(np.ones((10, 10, 10), np.float32), signed=True, gamma=0.5)
    with style():
        figure = new_figure(2, 2)
        add_colour_bar(figure, (0.85, 0.1, 0.05, 0.8), layer)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "SUVbw [g/mL]"
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "0.5", "2", "5", "10"]


def test_the_users_settings_are_neither_used_nor_changed() -> None:
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        with style():
            assert mpl.rcParams["axes.facecolor"] == "white"
            assert mpl.rcParams["font.size"] < 12
        assert mpl.rcParams["axes.facecolor"] == "red"
        assert mpl.rcParams["font.size"] == 30


def test_names_from_headers_can_be_drawn() -> None:
    assert drawable("a\nb\t c") == "a b c"
    assert drawable("x" * 40, 10) == "x" * 9 + "…"
    assert drawable("肝 1") == "▯ 1"
