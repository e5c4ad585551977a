"""What a click does, without any window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eprimg.errors import EprimgError
from eprimg.model.study import Role
from napari_eprimg.lesions.click_tool import SPHERE, ClickTool, series_words
from napari_eprimg.reading.reading import Reading
from tests.plugins.clicked_case import LESION_SPL, OUTSIDE_SPL, clicked_case, clicked_reading
from tests.stages.conftest import IDS

BESIDE_SPL = (24.0, 42.0, 36.0)
"""In the last column of the lesion's box."""


class Desk:
    """A tool whose messages are kept."""

    def __init__(self) -> None:
        self.reading = clicked_reading()
        self.told: list[tuple[str, str]] = []
        self.tool = ClickTool(
            self.reading,
            self.edit,
            inform=lambda words: self.told.append(("information", words)),
            warn=lambda words: self.told.append(("warning", words)),
        )

    def edit(self, action: Callable[[], Any]) -> bool:
        try:
            action()
        except EprimgError as error:
            self.told.append(("error", error.message))
            return False
        self.reading.measure_dirty()
        return True

    def ids(self) -> list[int]:
        return [r.id for r in self.reading.case.lesions.lesions]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.tool.take_up()
    desk.tool.choose_series("mr_post")
    return desk


def test_series_are_named_for_a_reader() -> None:
    assert series_words("pet", Role.PET) == "PET"
    assert series_words("pet_2", Role.PET) == "PET (pet_2)"
    desk = Desk()
    assert desk.tool.choices == {
        "pet": "PET",
        "mr_pre": "MR before ferumoxytol",
        "mr_post": "MR after ferumoxytol",
    }
    assert (desk.tool.series, desk.tool.method) == ("pet", "adaptive-bg")
    assert not desk.tool.active


def test_a_click_makes_a_lesion_selects_it_and_says_how_it_grew(desk: Desk) -> None:
    assert desk.tool.click(LESION_SPL)
    assert desk.ids() == [1, 15]
    assert desk.reading.selected == 15
    assert desk.reading.cursor_mm == LESION_SPL
    # 4 x 5 x 5 voxels of 36 mm3.
    assert desk.told == [
        ("information", "lesion-15 grew on mr_post (echo at 4.0 ms) (random-walker): 3.6 mL.")
    ]
    assert desk.tool.active  # the next lesion can be clicked at once
    desk.reading.undo()
    assert desk.ids() == [1]


def test_a_background_click_belongs_to_the_last_lesion(desk: Desk) -> None:
    assert not desk.tool.click(BESIDE_SPL, background=True)
    assert desk.told[-1][0] == "warning"
    assert "Click into the lesion first" in desk.told[-1][1]
    desk.tool.click(LESION_SPL)
    for shift in (True, False):  # with Shift, or with the choice "background"
        desk.tool.mark_background(not shift)
        assert desk.tool.click(BESIDE_SPL, background=shift)
        assert desk.ids() == [1, 15]
        assert desk.reading.grown(15)["background_lps_mm"] == [[36.0, 42.0, 24.0]]
        desk.reading.undo()
        assert desk.reading.grown(15)["background_lps_mm"] == []
    desk.tool.mark_background(True)
    desk.reading.undo()  # the lesion itself is gone: the background has no lesion any more
    desk.told.clear()
    assert not desk.tool.click(BESIDE_SPL)
    assert desk.told[-1][0] == "warning"


def test_a_refused_click_is_told_and_can_be_mended_with_background(desk: Desk) -> None:
    desk.tool.set_diameter(6.0)
    assert not desk.tool.click(LESION_SPL)
    assert desk.told[-1][0] == "error"
    # The limit is never nearer than the ball of 3 mm and two voxels of 4 mm.
    assert "reaches the limit of 11 mm" in desk.told[-1][1]
    assert not desk.reading.can_undo
    desk.tool.set_diameter(0.0)
    assert desk.tool.click(BESIDE_SPL, background=True)  # the refused click is grown with it
    assert desk.reading.grown(15)["seed_lps_mm"] == [30.0, 42.0, 24.0]
    assert desk.reading.grown(15)["background_lps_mm"] == [[36.0, 42.0, 24.0]]
    assert not desk.tool.click(OUTSIDE_SPL)
    assert "outside the field of view" in desk.told[-1][1]
    assert desk.ids() == [1, 15]


def test_diameter_and_background_count_on_mr_alone(desk: Desk) -> None:
    tool = desk.tool
    tool.set_diameter(25.0)
    tool.mark_background(True)
    assert tool.is_mr
    assert tool.diameter_mm == 25.0
    assert "background" in tool.next_words
    tool.choose_series("pet")
    assert not tool.is_mr
    assert not tool.background
    assert tool.diameter_mm == 0.0
    assert "Shift" not in tool.next_words
    tool.choose_method("percent-of-max")
    assert tool.click(LESION_SPL)
    assert desk.reading.grown(15)["method"] == "percent-of-max"
    assert desk.reading.grown(15)["diameter_mm"] is None
    tool.choose_series("mr_pre")
    tool.choose_series("pet")
    assert tool.method == "percent-of-max"  # each series keeps its own


def test_a_doubtful_outline_is_a_candidate_and_said_so(desk: Desk) -> None:
    case = desk.reading.case
    labels = np.array(case.lesions.labels)
    desk.tool.choose_series("pet")
    desk.tool.choose_method("percent-of-max")
    # A column that runs through the lesion to the last slice: hot up to the edge of the volume.
    suv = case.maps["suvbw"]
    values = np.array(suv.values)
    values[4:12, 12:17, 8:13] = values.max()
    values[:, :, 15:] = np.minimum(values[:, :, 15:], 1.0)
    values[:, :8] = np.minimum(values[:, :8], 1.0)
    desk.reading._case = replace(case, maps={**case.maps, "suvbw": replace(suv, values=values)})
    assert desk.tool.click(LESION_SPL)
    kind, said = desk.told[-1]
    assert kind == "warning"
    assert "touches the edge of the volume" in said
    made = next(r for r in desk.reading.case.lesions.regions if r.id == 15)
    assert made.source == "candidate"
    assert (labels == 0)[np.asarray(desk.reading.case.lesions.labels) == 15].all()


def test_a_sphere_replaces_the_region_of_its_organ_and_undo_brings_it_back(desk: Desk) -> None:
    before = np.array(desk.reading.case.lesions.labels)
    desk.tool.choose_series("pet")
    desk.tool.take_up(kind=SPHERE)
    desk.tool.choose_sphere("spleen", 10.0)
    assert "Click into the spleen" in desk.tool.next_words
    assert desk.tool.click((20.0, 13.5, 57.0))  # the middle of the spleen's box
    kind, said = desk.told[-1]
    assert kind == "information"
    assert said.startswith("The spleen reference is a sphere of 10 mm on pet (SUVbw), ")
    after = np.asarray(desk.reading.case.lesions.labels)
    sphere = after == IDS["spleen"]
    assert 8 < sphere.sum() < (before == IDS["spleen"]).sum()
    assert not (sphere & (before != IDS["spleen"])).any()
    at = desk.reading.case.lesions.grid.lps_mm_to_index(desk.reading.cursor_mm[::-1])
    assert sphere[tuple(np.rint(at).astype(int))]  # the crosshair shows where it was put
    assert desk.reading.undo_words == "replace spleen on pet (reference-sphere)"
    assert desk.reading.grown(IDS["spleen"])["mad"] == 0  # painted evenly
    desk.tool.choose_sphere("spleen", 30.0)  # the box is 24 mm wide
    assert not desk.tool.click((20.0, 13.5, 57.0))
    assert desk.told[-1][0] == "error"
    assert "no sphere of 30 mm" in desk.told[-1][1]
    desk.tool.choose_sphere("spleen", 10.0)
    desk.reading.undo()
    np.testing.assert_array_equal(desk.reading.case.lesions.labels, before)
    # An organ without a region gets one, with a number of its own.
    desk.reading.delete([IDS["spleen"]])
    assert desk.tool.click((20.0, 13.5, 57.0))
    assert desk.reading.case.lesions.reference("spleen").id == 15


def test_a_study_in_which_nothing_was_found_can_be_clicked(desk: Desk) -> None:
    desk.reading._case = replace(
        desk.reading.case, lesions=None, native_lesions={}, drawn_lesions={}
    )
    assert desk.tool.why_not == ""
    assert desk.tool.click(LESION_SPL)
    (made,) = desk.reading.case.lesions.regions
    assert (made.id, made.measurement("dr2star", "median") is not None) == (15, True)
    desk.reading.undo()
    assert desk.reading.case.lesions.regions == ()


def test_without_regions_or_maps_the_tool_stays_down() -> None:
    told: list[str] = []
    tool = ClickTool(Reading(), lambda action: True, inform=told.append, warn=told.append)
    tool.take_up()
    assert not tool.active
    assert told == ["Find or import lesions first."]
    assert (tool.series, tool.method, tool.next_words) == ("", "", "")


def test_another_study_puts_the_last_click_away(desk: Desk) -> None:
    desk.tool.click(LESION_SPL)
    desk.reading._case = clicked_case()
    desk.reading.case_changed.emit()
    assert not desk.tool.click(BESIDE_SPL, background=True)
    assert desk.told[-1][0] == "warning"
