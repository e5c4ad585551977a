"""The voxel inspector: numbers of the maps, at the crosshair and of the selected lesion."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from eprimg.model.study import Role
from eprimg.report.numbers import format_value
from napari_eprimg.lesions.inspector_widget import InspectorWidget
from tests.plugins.gui_pictures import keep_picture
from tests.plugins.screen import click, settle


@pytest.fixture
def inspector(room, qtbot) -> InspectorWidget:
    widget = InspectorWidget(room.viewer)
    qtbot.addWidget(widget)
    widget.resize(360, 260)
    widget.show()
    settle(0.4)
    return widget


def test_a_click_shows_the_values_of_the_maps(room, inspector) -> None:
    room.click_row(3)
    click(room.canvas, *room.pixel(room.reading.cursor_mm))
    settle(0.4)
    s, p, ell = room.reading.cursor_mm
    case = room.reading.case
    r2star = case.maps["r2star_pre"]
    index = tuple(np.rint(r2star.grid.lps_mm_to_index((ell, p, s))).astype(int))
    expected = format_value(float(r2star.values[index]), float(r2star.standard_error[index]))
    assert f"before agent: R2* {expected} 1/s" in inspector.said.text()
    assert "after agent: R2* " in inspector.said.text()
    assert [d.role for d in inspector.decays] == [Role.MR_PRE, Role.MR_POST]
    axes = inspector._axes
    assert axes.get_xlabel() == "echo time [ms]"
    assert axes.get_ylabel() == "signal [arbitrary]"
    drawn = {tuple(np.round(line.get_ydata(), 3)) for line in axes.lines}
    for decay in inspector.decays:
        assert tuple(np.round(decay.signal, 3)) in drawn
    assert len({line.get_color() for line in axes.lines}) == 2
    keep_picture(inspector, "inspector_voxel")


def test_mean_of_the_selected_lesion(room, inspector) -> None:
    room.reading.select(0)
    settle(0.3)
    assert not inspector.of_lesion.isEnabled()
    room.click_row(1)
    settle(0.3)
    QTest.mouseClick(inspector.of_lesion, Qt.MouseButton.LeftButton)
    settle(0.4)
    assert "lesion-1" in inspector.where.text()
    assert "520 voxels before agent" in inspector.where.text()  # n_voxels_pre of lesions.csv
    keep_picture(inspector, "inspector_lesion")


def test_it_says_why_there_is_nothing(room, inspector) -> None:
    room.reading.move_cursor((5000.0, 0.0, 0.0))
    settle(0.4)
    assert inspector.decays == ()
    assert "reaches this place" in inspector.said.text()


def test_words_stand_beside_the_curve_when_there_is_room(room, inspector) -> None:
    canvas, said = inspector._canvas, inspector.said
    assert said.mapTo(inspector, said.rect().topLeft()).y() > canvas.geometry().bottom() - 1
    inspector.resize(760, 240)
    settle(0.3)
    assert said.mapTo(inspector, said.rect().topLeft()).x() > canvas.geometry().right() - 1
