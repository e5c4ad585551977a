from __future__ import annotations

import matplotlib as mpl
import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.report.drawing import (
    add_colour_bar,
    draw_grey,
    draw_layer,
    draw_outline,
    drawable,
    dress_plane,
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


def test_a_plane_bears_its_letters_scale_outline_and_colour_bar() -> None:
    layer = make_layer(np.ones((10, 10, 10), np.float32), signed=True)
    mask = np.zeros(PLANE.shape)
    mask[5:9, 5:9] = 1
    with style():
        figure = new_figure(2, 2)
        axes = figure.add_axes((0, 0, 0.8, 1))
        draw_layer(axes, layer, PLANE)
        draw_grey(axes, np.where(mask > 0, np.nan, 1.0), PLANE, low=0, high=1)
        draw_outline(axes, mask, PLANE)
        lines = len(axes.collections)
        draw_outline(axes, np.zeros(PLANE.shape), PLANE)
        assert len(axes.collections) == lines  # nothing to outline
        dress_plane(axes, PLANE, scale_mm=5.0)
        add_colour_bar(figure, (0.85, 0.1, 0.05, 0.8), layer)
    words = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(words) == {"R", "L", "A", "P", "0.5 cm"}
    assert words["R"][0] < 0.1
    assert words["L"][0] > 0.9
    assert figure.axes[1].get_ylabel() == "SUVbw [g/mL]"


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
