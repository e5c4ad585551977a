"""Keys of the reading: listed, bound, and clear of napari's own."""

from __future__ import annotations

from itertools import pairwise

from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QInputDialog

from napari_eprimg.lesions.keys import KEYS
from tests.plugins.reading_room import ALT, CTRL
from tests.plugins.screen import click, settle

# Defaults of napari 0.9 for label layers (napari/utils/shortcuts.py).
LABEL_KEYS = set("1234567EPFLZMX[]B-=")


def test_no_key_of_ours_is_one_of_napari_for_labels(room) -> None:
    bound = {str(key) for key in room.viewer.keymap}
    assert {"Alt+N", "Alt+P", "Alt+R", "Alt+M", "Alt+W", "Alt+0", "Alt+4", "Alt+G"} <= bound
    assert not bound & LABEL_KEYS


def test_every_key_of_the_list_says_what_it_does() -> None:
    assert all(key and does for key, does in KEYS)
    assert len({key for key, _ in KEYS}) == len(KEYS)


def test_projection_and_windows_follow_their_keys(room) -> None:
    planes = room.workspace.widgets["planes"]
    assert not planes.mip.play.isChecked()
    room.key(Qt.Key.Key_M, ALT)
    assert planes.mip.play.isChecked()
    room.key(Qt.Key.Key_M, ALT)
    assert not planes.mip.play.isChecked()
    (suv,) = (y for y in room.viewer.layers if y.metadata["eprimg"]["key"] == "suvbw")
    assert planes.windows.layer is suv
    seen = [tuple(suv.contrast_limits)]
    for _ in range(3):
        room.key(Qt.Key.Key_W, ALT)
        seen.append(tuple(suv.contrast_limits))
    assert all(one != other for one, other in pairwise(seen))
    assert {(0.0, 5.0), (0.0, 10.0)} <= set(seen)


def test_a_key_with_alt_does_not_bring_back_a_tool_of_the_key_alone(room) -> None:
    room.click_row(1)
    room.press("brush")
    room.key(Qt.Key.Key_1)
    assert str(room.layer.mode) == "erase"
    room.layer.mode = "pan_zoom"
    settle(get_settings().application.hold_button_delay + 0.1)
    room.key(Qt.Key.Key_1, ALT)
    room.key(Qt.Key.Key_0, ALT)
    assert str(room.layer.mode) == "pan_zoom"


def test_a_lesion_is_clicked_by_key_and_mouse_and_undo_takes_it_away(room) -> None:
    room.click_row(4)
    before, outline, point = room.csv, room.voxels() == 4, room.middle(4)
    room.press("delete")
    room.key(Qt.Key.Key_G, ALT)
    click(room.canvas, *room.pixel(point))
    room.calm()
    (new,) = set(room.table.tools.ids()) - set(range(1, 14))
    grown = room.voxels() == new
    # Drawn by the painter of the scene, grown by the default method of PET.
    assert 2 * (grown & outline).sum() / (grown.sum() + outline.sum()) > 0.8
    assert room.cell(new, "name") == f"lesion-{new}"
    assert room.csv == room.fresh_csv()
    room.key(Qt.Key.Key_Escape)
    click(room.canvas, *room.pixel(room.middle(3)))
    assert room.voxels()[room.voxels() > new].size == 0  # the click moved the crosshair only
    for _ in range(2):  # the click, then the deletion
        room.key(Qt.Key.Key_Z, CTRL)
    room.calm()
    assert room.csv == before


def test_a_reference_region_is_placed_at_the_crosshair(room) -> None:
    room.click_row(8)
    ids, before = set(room.table.tools.ids()), room.voxels()
    room.key(Qt.Key.Key_R, ALT)
    (ask,) = (d for d in room.qt_viewer.window().findChildren(QInputDialog) if d.isVisible())
    ask.setTextValue("spleen")
    ask.accept()
    settle()
    room.calm()
    assert set(room.table.tools.ids()) == ids  # one of the same organ is replaced
    assert (room.voxels() == 8).sum() < (before == 8).sum()
    assert room.csv == room.fresh_csv()
