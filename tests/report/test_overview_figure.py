from __future__ import annotations

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.report.layers import anatomy_layer, pet_layer
from eprimg.report.lesion_figure import lesion_places
from eprimg.report.overview_figure import overview_picture


def test_projections_and_a_plane_with_every_number(case: Case) -> None:
    assert case.lesions is not None
    frame = case.lesions.grid.frame_of_reference
    anatomy, uptake = anatomy_layer(case, frame), pet_layer(case, Config(), frame)
    places = lesion_places(case.lesions)
    lesions = case.lesions.lesions
    both = overview_picture(places, lesions, anatomy, uptake, frame)
    assert both is not None
    assert "PET, coronal projection" in both.alt
    assert "MR, coronal plane" in both.alt
    assert "1 lesion-1, 2 lesion-2, 3 lesion-3" in both.alt
    mr_only = overview_picture(places, lesions, anatomy, None, frame)
    assert mr_only is not None
    assert "PET" not in mr_only.alt
    assert "MR, sagittal plane" in mr_only.alt


def test_nothing_to_show(case: Case) -> None:
    assert overview_picture({}, (), None, None, "1.2") is None


def test_no_lesion_still_shows_the_body(case: Case) -> None:
    assert case.lesions is not None
    frame = case.lesions.grid.frame_of_reference
    picture = overview_picture({}, (), None, pet_layer(case, Config(), frame), frame)
    assert picture is not None
    assert "Numbered" not in picture.alt
