"""The turning PET as a reader sees and uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eprimg.errors import Cancelled
from napari_eprimg.view.mip_work import ProjectionWork, pet_map, region_picture, way_to_map
from tests.plugins import marked_case as marked
from tests.plugins import screen
from tests.plugins.gui_pictures import keep_picture
from tests.plugins.shown_viewer import delete_now


@pytest.fixture
def reading() -> marked.PlainReading:
    return marked.PlainReading(marked.case())


@pytest.fixture
def pane(qtbot: Any, reading: marked.PlainReading) -> Iterator[Any]:
    from napari_eprimg.view.mip_widget import MipPane

    pane = MipPane(reading)
    pane.resize(500, 460)
    pane.show()
    screen.wait_until(lambda: pane.projections is not None)
    screen.settle(0.3)
    yield pane
    pane.disconnect_all()
    pane.close()
    delete_now(pane)


def _place(pane: Any, lps: tuple[float, float, float]) -> tuple[float, float]:
    """Row and column of a point of the picture that is shown, by the turn's own formula."""
    angle = np.radians(10.0 * pane.turn.value())
    # The axis of the turn is the voxel centre next to the middle: P = L = -1 mm.
    across = (lps[0] + 1) * np.cos(angle) + (lps[1] + 1) * np.sin(angle)
    camera = pane.viewer.scene.camera
    row = pane.canvas.height() / 2 - camera.zoom * (lps[2] - camera.center[-2])
    return row, pane.canvas.width() / 2 + camera.zoom * (across - camera.center[-1])


def test_hot_lesions_are_black_on_white_at_their_places_while_it_turns(pane: Any) -> None:
    pane.set_window((0.0, 8.0))
    pane.regions.visible = False
    before = None
    for _ in range(3):
        picture = screen.pixels(pane.qt_viewer)
        assert (picture == 255).all(axis=-1).mean() > 0.3  # white paper
        for lesion in (marked.LESION_1, marked.LESION_2):
            row, column = (round(x) for x in _place(pane, lesion))
            assert picture[row - 1 : row + 2, column - 1 : column + 2].max() < 30
        assert before is None or (picture != before).any()
        before = picture
        screen.scroll(pane.canvas, 4)
    assert pane.turn.value() == 12
    assert "120°" in pane.marks.words.text()


def test_letters_turn_with_the_patient(pane: Any) -> None:
    seen = []
    for number in (0, 9, 18, 27):
        pane.turn.setValue(number)
        seen.append((pane.marks.letters["left"].text(), pane.marks.letters["right"].text()))
    assert seen == [("R", "L"), ("A", "P"), ("L", "R"), ("P", "A")]
    assert pane.marks.letters["top"].text() == "S"


def test_regions_are_outlined_in_the_colour_of_their_tier(pane: Any) -> None:
    picture = screen.pixels(pane.qt_viewer)
    keep_picture(pane, "mip")
    orange = (picture[..., 0] > 180) & (picture[..., 2] < 80)
    blue = (picture[..., 2] > 130) & (picture[..., 0] < 60)
    assert screen.centroid(orange) == pytest.approx(_place(pane, marked.LESION_1), abs=4)
    assert screen.centroid(blue) == pytest.approx(_place(pane, marked.LESION_2), abs=4)


def test_a_click_on_a_hot_spot_moves_the_crosshair_to_its_voxel(
    pane: Any, reading: marked.PlainReading
) -> None:
    for number, lesion in ((0, marked.LESION_1), (9, marked.LESION_2), (22, marked.LESION_1)):
        pane.turn.setValue(number)
        screen.settle()
        screen.click(pane.canvas, *_place(pane, lesion))
        here = np.array(reading.cursor_mm)
        distance = np.linalg.norm(here - marked.spl(lesion))
        assert distance <= marked.BALL_MM + 1.8, number  # a voxel of the ball
        x, y = pane.marks.crosshair_px()
        assert (y, x) == pytest.approx(_place(pane, (here[2], here[1], here[0])), abs=1)


def test_it_plays_until_it_is_stopped(pane: Any) -> None:
    pane.play.click()
    start = pane.turn.value()
    screen.wait_until(lambda: pane.turn.value() > start + 1)
    pane.play.click()
    stopped = pane.turn.value()
    screen.settle(0.4)
    assert pane.turn.value() == stopped


def test_an_edit_of_the_regions_turns_nothing_anew(pane: Any, reading: marked.PlainReading) -> None:
    made = pane.projections
    reading.case = replace(reading.case, lesions=None)
    reading.regions_changed.emit(frozenset({1}))
    reading.case_changed.emit()
    assert pane.projections is made


def test_without_pet_it_says_what_is_missing(pane: Any, reading: marked.PlainReading) -> None:
    reading.show(replace(reading.case, maps={}, registered={}))
    assert "No PET map yet" in pane.message.text()
    assert not pane.play.isEnabled()
    assert len(pane.viewer.layers) == 0


def test_a_cancelled_work_leaves_no_half_picture(pane: Any, reading: marked.PlainReading) -> None:
    reading.show(marked.case(marked.straight_grid(96)))
    assert pane.stop.isVisible()
    pane.stop.click()
    screen.settle(0.2)
    assert pane.projections is None
    assert len(pane.viewer.layers) == 0
    assert "cancelled" in pane.message.text()
    reading.case_changed.emit()  # it can be made again
    screen.wait_until(lambda: pane.projections is not None)
    assert pane.projections.pictures.shape[1] == 96


def test_the_thread_stops_at_the_next_picture_and_errors_are_values() -> None:
    work = ProjectionWork(marked.case().maps["suvbw"])
    work.cancel()
    work.start()
    assert work.wait(10)
    assert isinstance(work.error, Cancelled)
    assert work.made is None
    broken = ProjectionWork(replace(marked.case().maps["suvbw"]))
    object.__setattr__(broken.source, "values", None)
    broken.run()
    assert broken.over
    assert isinstance(broken.error, AttributeError)


def test_the_region_of_a_pixel_is_the_one_of_the_voxel_that_made_it() -> None:
    case = marked.case()
    work = ProjectionWork(pet_map(case))
    work.run()
    made, _ = work.made
    way = way_to_map(case, work.source)
    assert way is not None
    shown = region_picture(made, 0, case.lesions, way.inverse())
    hot = made.pictures[0] >= 7.9
    assert set(np.unique(shown[hot])) == {1, 2}
    assert (shown[made.pictures[0] <= 1] == 0).all()
    assert way_to_map(marked.case(aligned=False), work.source) is None
