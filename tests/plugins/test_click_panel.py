"""Buttons and choices of the click tool."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_eprimg.dock.click_panel import ClickPanel
from napari_eprimg.dock.jobs import jobs_of
from napari_eprimg.lesions.click_tool import SPHERE
from napari_eprimg.reading.reading import reading_of
from tests.plugins.clicked_case import LESION_SPL, adopt
from tests.plugins.gui_pictures import keep_picture


def texts(combo) -> list[str]:
    return [combo.itemText(n) for n in range(combo.count())]


def test_the_panel_shows_and_takes_what_the_tool_holds(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer()
    reading = reading_of(viewer)
    panel = ClickPanel(viewer, jobs_of(reading))
    qtbot.addWidget(panel)
    assert not panel.button.isEnabled()
    assert "Find or import lesions first" in panel.button.toolTip()
    adopt(reading)
    panel.show()
    assert texts(panel.series) == ["PET", "MR before ferumoxytol", "MR after ferumoxytol"]
    assert texts(panel.method)[0] == "adaptive-bg"
    assert not panel.diameter.isEnabled()
    assert "For MR only" in panel.background.toolTip()
    panel.button.click()
    assert panel.tool.active
    assert panel.button.isChecked()
    assert "Click into the lesion" in panel.next.text()
    for combo, place in ((panel.series, 2), (panel.method, 0)):
        combo.setCurrentIndex(place)
        combo.activated.emit(place)
    assert (panel.tool.series, panel.tool.method) == ("mr_post", "random-walker")
    panel.diameter.setValue(30.0)
    assert panel.tool.diameter_mm == 30.0
    panel.background.click()
    assert panel.tool.background
    assert "background" in panel.next.text()
    panel.background.click()
    panel.anatomy.setCurrentIndex(1)
    panel.anatomy.activated.emit(1)
    panel.sphere.click()
    assert (panel.tool.kind, panel.tool.anatomy, panel.tool.sphere_mm) == (SPHERE, "spleen", 20.0)
    assert (panel.button.isChecked(), panel.sphere.isChecked()) == (False, True)
    assert "into the spleen" in panel.next.text()
    panel.button.click()
    keep_picture(panel, "click_panel")
    assert panel.tool.click(LESION_SPL)
    assert reading.grown(15)["diameter_mm"] == 30.0
    QTest.keyClick(panel, Qt.Key.Key_Escape)
    assert not panel.tool.active
    assert not panel.button.isChecked()
    assert not panel.next.isVisible()
