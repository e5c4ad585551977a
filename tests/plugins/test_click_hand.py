"""One tool in hand: that of a click, or one of napari."""

from __future__ import annotations

from napari_eprimg.lesions.click_hand import click_tool_of
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from tests.plugins.clicked_case import adopt


def test_the_click_tool_and_the_brush_take_turns(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    tool, tools = click_tool_of(viewer), lesion_tools_of(viewer)
    assert click_tool_of(viewer) is tool
    adopt(tools.reading)
    tools.reading.select(1)
    tools.layer.selected_label = 1
    tools.use("paint")
    tools.layer.visible = False
    tool.take_up()
    assert tool.active
    assert str(tools.layer.mode) == "pan_zoom"
    assert tools.layer.visible  # what grows is seen
    tools.use("paint")
    assert not tool.active
    assert str(tools.layer.mode) == "paint"
    tool.take_up()
    tools.new_lesion()
    assert not tool.active
    tools.layer.mode = "erase"  # nobody listens any more
    assert str(tools.layer.mode) == "erase"
