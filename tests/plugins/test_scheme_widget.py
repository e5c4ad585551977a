"""Cut-offs changed by hand: lesions are recoloured, their voxels stay."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from napari_eprimg.lesions.scheme_widget import SchemeWidget, rising_fault
from tests.plugins.gui_pictures import keep_picture
from tests.plugins.reading_room import CTRL
from tests.plugins.screen import settle

KEY = "example-pid-per-kg-peak"


@pytest.fixture
def cut_offs(room, qtbot) -> SchemeWidget:
    widget = SchemeWidget(room.viewer)
    qtbot.addWidget(widget)
    widget.resize(340, 760)
    widget.show()
    settle()
    return widget


def type_edge(widget: SchemeWidget, place: int, text: str) -> None:
    box = widget.cards[KEY].boxes[place]
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)
    settle()


def counts(widget: SchemeWidget) -> dict[str, int]:
    labels = widget.cards[KEY].findChildren(QLabel)
    named = [x.accessibleName().rpartition(" ") for x in labels if x.accessibleName()]
    return {word: int(n) for word, _, n in named}


def colour(room, region_id: int) -> tuple[float, ...]:
    return tuple(np.round(room.layer.colormap.map(region_id), 2)[:3])


def test_words_for_cut_offs_that_do_not_rise() -> None:
    assert rising_fault((5.0, 20.0), "%ID/kg") == ""
    said = rising_fault((25.0, 20.0), "%ID/kg")
    assert "Cut-off 2 (20 %ID/kg) must be higher than cut-off 1 (25 %ID/kg)" in said


def test_a_cut_off_recolours_counts_and_can_be_undone(room, cut_offs) -> None:
    labels, before, text = room.voxels(), counts(cut_offs), room.csv
    # Peaks of the phantom's table: 42.6, 20.8, 19.7, 9.73, 1.65 %ID/kg; lesion 6 is too small.
    assert before == {"low": 1, "moderate": 1, "high": 1, "indeterminate": 2, "not tiered": 1}
    old = colour(room, 4)
    type_edge(cut_offs, 0, "12")
    assert counts(cut_offs)["low"] == 2
    assert counts(cut_offs)["moderate"] == 0
    assert colour(room, 4) == colour(room, 5) != old
    assert np.array_equal(room.voxels(), labels)
    assert np.array_equal(np.asarray(room.layer.data) > 0, np.asarray(room.layer.data) > 0)
    assert room.cell(4, f"tier_{KEY}").startswith("▼ low")
    assert room.csv == room.fresh_csv()
    assert cut_offs.cards[KEY].notice.text() == "! edited scheme, not validated"
    keep_picture(cut_offs, "cut_offs_changed")
    room.key(Qt.Key.Key_Z, CTRL)
    settle()
    assert counts(cut_offs) == before
    assert cut_offs.cards[KEY].boxes[0].value() == 5.0
    assert colour(room, 4) == old
    assert room.csv == text


def test_cut_offs_that_do_not_rise_change_nothing(room, cut_offs) -> None:
    text = room.csv
    type_edge(cut_offs, 0, "30")
    card = cut_offs.cards[KEY]
    assert card.fault.isVisible()
    assert "must be higher" in card.fault.text()
    assert room.csv == text
    assert not room.reading.can_undo
    type_edge(cut_offs, 1, "40")
    assert not card.fault.isVisible()
    assert room.reading.case.schemes[0].edges == (30.0, 40.0)


def test_reset_gives_the_cut_offs_of_the_files(room, cut_offs) -> None:
    assert not cut_offs.reset.isEnabled()
    text = room.csv
    type_edge(cut_offs, 1, "30")
    assert room.csv != text
    QTest.mouseClick(cut_offs.reset, Qt.MouseButton.LeftButton)
    settle()
    assert room.csv == text
    assert cut_offs.cards[KEY].boxes[1].value() == 20.0


def test_example_and_citation_are_in_sight_and_the_other_scheme_can_colour(room, cut_offs) -> None:
    for card in cut_offs.cards.values():
        assert card.notice.isVisible()
        assert "example, not validated" in card.notice.text()
        said = " ".join(x.text() for x in card.findChildren(QLabel))
        assert "Example, not validated" in said  # the citation of both files begins so
    old = colour(room, 3)
    button = cut_offs.cards["example-dr2star-median"].colours
    place = button.rect().center()
    place.setX(8)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)
    settle()
    assert room.table.tools.scheme.key == "example-dr2star-median"
    assert colour(room, 3) != old
