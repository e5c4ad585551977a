"""Wheel, click and drag on a canvas, as napari hands them to its callbacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_eprimg.view.pointing import Pointing, another_slice
from tests.plugins.marked_case import PlainReading


@pytest.fixture
def table() -> SimpleNamespace:
    """A viewer of 10 x 20 x 30 voxels of 5 x 2 x 2 mm, with what its canvas calls noted."""
    viewer = ViewerModel()
    layer = Image(np.zeros((10, 20, 30), np.float32), scale=(5, 2, 2), contrast_limits=(0, 10))
    viewer.layers.append(layer)
    reading = PlainReading(None)
    reading.move_cursor((20.0, 10.0, 10.0))
    told: list[tuple[str, Any]] = []
    pointing = Pointing(
        viewer,
        reading,
        center=lambda point: told.append(("center", point)),
        window_layer=lambda: layer,
        hover=lambda point: told.append(("hover", point)),
    )
    return SimpleNamespace(
        viewer=viewer, reading=reading, layer=layer, told=told, pointing=pointing
    )


def _wheel(turn: float, *modifiers: str) -> SimpleNamespace:
    return SimpleNamespace(
        delta=(0, turn), modifiers=modifiers, handled=False, position=(20.0, 10.0, 10.0)
    )


def _press(pos: tuple[float, float], *modifiers: str) -> SimpleNamespace:
    return SimpleNamespace(
        button=1, modifiers=modifiers, handled=False, pos=np.array(pos), type="mouse_press",
        position=(20.0, 6.0, 8.0),
    )  # fmt: skip


def _drag(table: SimpleNamespace, event: SimpleNamespace, to: tuple[float, float]) -> None:
    (callback,) = [c for c in table.viewer.mouse_drag_callbacks if c.__name__ == "_on_drag"]
    steps = callback(table.viewer, event)
    next(steps)
    event.type, event.pos = "mouse_move", np.array(to)
    next(steps)
    event.type = "mouse_release"
    assert next(steps, "over") == "over"


def _turn(table: SimpleNamespace, event: SimpleNamespace) -> None:
    (callback,) = [c for c in table.viewer.mouse_wheel_callbacks if c.__name__ == "_on_wheel"]
    callback(table.viewer, event)


def test_one_notch_is_one_slice_and_small_turns_add_up(table: SimpleNamespace) -> None:
    _turn(table, _wheel(1.0))
    assert table.reading.cursor_mm == (25.0, 10.0, 10.0)
    for _ in range(3):
        _turn(table, _wheel(-0.4))
    assert table.reading.cursor_mm == (20.0, 10.0, 10.0)
    table.pointing.step(-100)
    assert table.reading.cursor_mm == (0.0, 10.0, 10.0)  # the first slice, not beyond


def test_the_wheel_with_alt_or_shift_is_not_ours(table: SimpleNamespace) -> None:
    for modifier in ("Alt", "Shift"):
        event = _wheel(1.0, modifier)
        _turn(table, event)
        assert not event.handled
    assert table.reading.cursor_mm == (20.0, 10.0, 10.0)


def test_zooming_holds_the_point_under_the_mouse(table: SimpleNamespace) -> None:
    camera = table.viewer.scene.camera
    camera.center, camera.zoom = (0.0, 30.0, 40.0), 2.0
    _turn(table, _wheel(1.0, "Control"))
    assert camera.zoom == pytest.approx(2.0 * 1.15)
    # Before, the point (10, 10) was (10 - 30) * 2 = -40 px from the middle, and it still is.
    assert (10.0 - camera.center[-2]) * camera.zoom == pytest.approx(-40.0)
    assert (10.0 - camera.center[-1]) * camera.zoom == pytest.approx(-60.0)


def test_a_click_moves_the_crosshair_and_a_drag_does_not(table: SimpleNamespace) -> None:
    _drag(table, _press((100, 100)), (102, 101))
    assert table.reading.cursor_mm == (20.0, 6.0, 8.0)
    table.reading.move_cursor((20.0, 10.0, 10.0))
    _drag(table, _press((100, 100)), (140, 100))
    assert table.reading.cursor_mm == (20.0, 10.0, 10.0)


def test_a_drag_with_shift_changes_the_window(table: SimpleNamespace) -> None:
    height, _ = table.viewer.canvas.size
    # A quarter of the canvas upwards raises the level by a quarter of the width of 10.
    _drag(table, _press((100, 100), "Shift"), (100, 100 - height / 4))
    assert tuple(table.layer.contrast_limits) == pytest.approx((2.5, 12.5))
    assert table.reading.cursor_mm == (20.0, 10.0, 10.0)


class _Tool:
    """A click tool in hand that notes its clicks."""

    active = True

    def __init__(self) -> None:
        self.clicks: list[tuple[tuple[float, ...], bool]] = []

    def click(self, point: tuple[float, ...], *, background: bool) -> None:
        self.clicks.append((point, background))


def test_clicks_belong_to_the_tool_in_hand_and_drags_do_not(table: SimpleNamespace) -> None:
    tool = _Tool()
    table.pointing._tool = tool
    _drag(table, _press((100, 100)), (102, 101))
    _drag(table, _press((100, 100), "Shift"), (101, 101))
    assert tool.clicks == [((20.0, 6.0, 8.0), False), ((20.0, 6.0, 8.0), True)]
    assert table.reading.cursor_mm == (20.0, 10.0, 10.0)  # the tool moves it
    assert tuple(table.layer.contrast_limits) == (0.0, 10.0)  # a shaking hand changes no window
    height, _ = table.viewer.canvas.size
    _drag(table, _press((100, 100), "Shift"), (100, 100 - height / 4))
    assert tuple(table.layer.contrast_limits) == pytest.approx((2.5, 12.5))
    _drag(table, _press((100, 100)), (140, 100))
    table.pointing._on_double_click(table.viewer, _press((1, 1)))  # its first click has done it
    assert len(tool.clicks) == 2
    assert table.told == []
    tool.active = False
    _drag(table, _press((100, 100)), (102, 101))
    assert table.reading.cursor_mm == (20.0, 6.0, 8.0)
    assert len(tool.clicks) == 2


def test_hovering_and_double_clicks_are_told(table: SimpleNamespace) -> None:
    table.pointing._on_move(table.viewer, _press((1, 1)))
    table.pointing._on_double_click(table.viewer, _press((1, 1)))
    assert table.told == [("hover", (20.0, 6.0, 8.0)), ("center", (20.0, 6.0, 8.0))]


def test_closing_gives_napari_its_actions_back(table: SimpleNamespace) -> None:
    def names() -> list[str]:
        return [c.__name__ for c in table.viewer.mouse_wheel_callbacks]

    assert "dims_scroll" not in names()
    table.pointing.close()
    assert "dims_scroll" in names()
    assert "_on_wheel" not in names()


@pytest.mark.parametrize(
    ("mm", "other"), [(20.0, False), (22.4, False), (22.6, True), (-99.0, True)]
)
def test_another_slice(table: SimpleNamespace, mm: float, other: bool) -> None:
    table.viewer.dims.set_point(0, 20.0)  # slices lie 5 mm apart
    assert another_slice(table.viewer.dims, 0, mm) is other
