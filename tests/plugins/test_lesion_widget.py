"""The lesion table with mouse and keyboard, in the whole reading room."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from eprimg.model.lesions import RegionRole
from napari_eprimg.lesions.lesion_dialogs import AskText, KeyList
from tests.plugins.gui_pictures import keep_picture
from tests.plugins.reading_room import ALT, CTRL, SHIFT
from tests.plugins.screen import click, settle


def volume_of(room, region_id: int) -> float:
    table = room.table.model.table
    row = next(r for r in table.rows if r.region_id == region_id)
    return row.numbers[table.column("volume_ml")]


def stroke_beside(room, region_id: int):
    """A stroke of 8 mm that starts in the middle of a lesion."""
    s, p, ell = room.middle(region_id)
    return (s, p, ell), (s, p + 12.0, ell + 8.0)


def test_a_click_on_a_row_jumps_to_the_lesion(room) -> None:
    for region_id in (5, 1):
        room.click_row(region_id)
        assert room.reading.selected == region_id
        s, p, ell = room.reading.cursor_mm
        lesions = room.reading.case.lesions
        index = np.rint(lesions.grid.lps_mm_to_index((ell, p, s))).astype(int)
        assert lesions.labels[tuple(index)] == region_id
        half = room.layer.scale[0] / 2
        assert abs(room.viewer.dims.point[0] - s) <= half
        assert room.layer.selected_label == region_id
        assert room.table.selected_ids() == [region_id]
    keep_picture(room.table, "lesions_selected")


def test_picking_on_the_canvas_selects_the_row(room) -> None:
    room.click_row(1)
    s = room.reading.cursor_mm
    room.press("pick")
    assert str(room.layer.mode) == "pick"
    room.reading.select(0)
    settle()
    assert room.table.selected_ids() == []
    click(room.canvas, *room.pixel(s))
    settle()
    assert room.reading.selected == 1
    assert room.table.selected_ids() == [1]


def test_paint_undo_redo_keep_the_table_equal_to_a_full_run(room) -> None:
    before, outline = room.csv, room.voxels()
    room.click_row(5)
    room.press("brush")
    room.stroke(*stroke_beside(room, 5))
    painted = room.voxels()
    assert (painted != outline).sum() > 0
    assert set(np.unique(painted[painted != outline])) == {5}
    assert volume_of(room, 5) == pytest.approx(
        (painted == 5).sum() * room.reading.case.lesions.grid.voxel_volume_ml, rel=1e-6
    )
    after = room.csv
    assert after != before
    assert after == room.fresh_csv()
    assert "paint lesion-5" in room.table.buttons.undo.toolTip()
    keep_picture(room.table, "lesions_painted")

    room.key(Qt.Key.Key_Z, CTRL)
    room.calm()
    assert np.array_equal(room.voxels(), outline)
    assert room.csv == before == room.fresh_csv()
    assert "paint lesion-5" in room.table.buttons.redo.toolTip()

    room.key(Qt.Key.Key_Z, CTRL | SHIFT)
    room.calm()
    assert np.array_equal(room.voxels(), painted)
    assert room.csv == after
    # One history: the canvas shows what the reading holds, in all three planes.
    shown = np.asarray(room.layer.data)
    panes = room.workspace.widgets["planes"].panes
    for pane in panes:
        labels = [x for x in pane.viewer.layers if type(x).__name__ == "Labels"]
        assert labels
        assert all(np.array_equal(np.asarray(x.data), shown) for x in labels)
    assert (shown == 5).sum() == (painted == 5).sum()


def test_erase_with_napari_key_and_undo_button(room) -> None:
    before = room.csv
    room.click_row(1)
    room.press("brush")
    room.key(Qt.Key.Key_1)
    assert str(room.layer.mode) == "erase"
    room.stroke(*stroke_beside(room, 1))
    assert volume_of(room, 1) < 26.6
    assert room.csv == room.fresh_csv()
    room.press("undo")
    room.calm()
    assert room.csv == before
    room.press("redo")
    room.calm()
    assert room.csv == room.fresh_csv() != before


def test_strokes_are_undone_one_by_one(room) -> None:
    texts = [room.csv]
    room.click_row(5)
    room.press("brush")
    s, p, ell = room.middle(5)
    for shift in (8.0, -8.0):
        room.stroke((s, p + shift, ell), (s, p + shift, ell + 10.0))
        texts.append(room.csv)
    assert len(set(texts)) == 3
    room.key(Qt.Key.Key_Z, CTRL)
    room.calm()
    assert room.csv == texts[1]
    room.key(Qt.Key.Key_Z, CTRL)
    room.calm()
    assert room.csv == texts[0]


def test_a_new_lesion_is_painted_and_gets_numbers(room) -> None:
    ids = set(room.table.tools.ids())
    room.click_row(5)
    room.press("new_lesion")
    (number,) = set(room.table.tools.ids()) - ids
    assert number == max(ids) + 1
    assert room.reading.selected == number
    assert str(room.layer.mode) == "paint"
    s, p, ell = room.reading.cursor_mm
    room.stroke((s, p - 20.0, ell), (s, p - 20.0, ell + 10.0))
    assert volume_of(room, number) > 0
    assert room.cell(number, "tier_example-dr2star-median") != ""
    assert room.csv == room.fresh_csv()


def test_threshold_at_the_crosshair_makes_a_lesion(room) -> None:
    room.click_row(1)
    room.press("delete")
    ids = set(room.table.tools.ids())
    assert 1 not in ids
    room.press("threshold")
    room.calm()
    (number,) = set(room.table.tools.ids()) - ids
    assert number > 13  # no number is given twice
    assert volume_of(room, number) > 1.0
    assert room.csv == room.fresh_csv()


def test_a_number_of_a_deleted_lesion_is_refused_politely(room) -> None:
    room.click_row(5)
    centre = room.reading.cursor_mm
    QTest.keyClick(room.table.view, Qt.Key.Key_Delete)
    room.calm()
    assert 5 not in room.table.tools.ids()
    before, text, said = room.voxels(), room.csv, len(notification_manager.records)
    room.layer.selected_label = 5
    room.press("brush")
    room.stroke(centre, (centre[0], centre[1], centre[2] + 8.0))
    assert np.array_equal(room.voxels(), before)
    assert room.csv == text
    assert not (np.asarray(room.layer.data) == 5).any()
    told = notification_manager.records[said:]
    assert len(told) == 1
    assert "not given twice" in told[0].message
    room.press("undo")
    assert 5 in room.table.tools.ids()


def test_exclude_asks_for_a_reason_and_include_takes_it_back(room) -> None:
    room.click_row(3)
    before = room.csv
    room.press("exclude")
    ask = room.dialog(AskText)
    assert not ask.ok.isEnabled()
    QTest.keyClick(ask.field, Qt.Key.Key_Return)
    assert room.csv == before
    QTest.keyClicks(ask.field, "physiologic bowel uptake")
    keep_picture(ask, "exclude_dialog")
    QTest.mouseClick(ask.ok, Qt.MouseButton.LeftButton)
    room.calm()
    region = room.table.tools.region(3)
    assert region.role == RegionRole.EXCLUDE
    assert "physiologic bowel uptake" in "; ".join(region.notes)
    assert room.table.shown_ids()[-1] == 3
    assert "physiologic bowel uptake" in room.table.why.text()
    assert room.csv == room.fresh_csv()
    room.press("exclude")
    room.calm()
    assert room.table.tools.region(3).role == RegionRole.LESION
    assert room.csv == before


def test_rename_by_keyboard(room) -> None:
    room.click_row(4)
    room.press("rename")
    ask = room.dialog(AskText)
    ask.field.selectAll()
    QTest.keyClicks(ask.field, "hilar node")
    QTest.keyClick(ask.field, Qt.Key.Key_Return)
    room.calm()
    assert room.cell(4, "name") == "hilar node"


def test_keys_step_filter_and_show_the_list(room) -> None:
    room.click_row(1)
    room.key(Qt.Key.Key_N, ALT)
    assert room.reading.selected == 2
    room.key(Qt.Key.Key_P, ALT)
    room.key(Qt.Key.Key_P, ALT)
    assert room.reading.selected == 6  # before the first comes the last lesion
    room.key(Qt.Key.Key_1, ALT)
    assert room.table.shown_ids() == [5]  # the only low one of the phantom by %ID/kg
    room.key(Qt.Key.Key_3, ALT)
    assert room.table.shown_ids() == [1]
    room.key(Qt.Key.Key_4, ALT)
    assert room.table.shown_ids() == [2, 3]  # indeterminate
    room.key(Qt.Key.Key_N, ALT)
    assert room.reading.selected in (2, 3)
    room.key(Qt.Key.Key_0, ALT)
    assert len(room.table.shown_ids()) == 13
    assert str(room.layer.mode) == "pan_zoom"  # napari's own number keys were left alone
    room.press("keys")
    keep_picture(room.dialog(KeyList), "keys")
    room.dialog(KeyList).close()


def test_a_click_on_a_title_sorts_and_keeps_groups(room) -> None:
    table = room.table.model.table
    header = room.table.view.horizontalHeader()
    place = table.column("volume_ml")
    x = header.sectionViewportPosition(place) + header.sectionSize(place) // 2
    place_of_title = QPoint(x, header.height() // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place_of_title)
    settle()
    volumes = {r.region_id: r.numbers[place] for r in table.rows}
    shown = room.table.shown_ids()
    assert shown[:6] == sorted(shown[:6], key=volumes.__getitem__)
    assert set(shown[:6]) == {1, 2, 3, 4, 5, 6}
    assert shown != [r.region_id for r in table.rows]
