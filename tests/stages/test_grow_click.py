"""Clicks on the tiny study: its boxes are the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.grow_click import ClickRequest, click_methods, clickable_series, grow_click
from tests.stages.clicked_scene import clickable_case, inside_box, tiny_scene
from tests.stages.conftest import Scene

# The grid of the tiny study: index (k, j, i) lies at (3 i, 3 j, 4 k) mm; its boxes are in conftest.
LESION = (30.0, 42.0, 24.0)
SHIFT = (3.0, -6.0, 4.0)
"""One voxel along i, two back along j, one along k: from MR before to MR after."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The tiny study, for the whole module: nothing here changes it."""
    return tiny_scene()


@pytest.fixture(scope="module")
def case(scene) -> Case:
    """Registered with whole-voxel shifts, with maps, without any region."""
    return clickable_case(scene, rolled=(1, -2, 1), post_shift=SHIFT)


def truth(scene) -> np.ndarray:
    return inside_box(scene, "lesion")


def with_regions(scene, case, box, role=RegionRole.LESION) -> Case:
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels[box] = 5
    regions = LesionSet(labels, scene.grid("pre"), (Region(5, "other", role),))
    return replace(case, lesions=regions)


def test_pet_and_aligned_mr_can_be_clicked_and_have_their_methods(scene, case) -> None:
    assert [s.key for s in clickable_series(case)] == ["pet", "mr_pre", "mr_post"]
    pet, pre, _ = clickable_series(case)
    assert click_methods(pre) == ("random-walker", "grow-cut", "gradient-watershed")
    assert click_methods(pet)[0] == "adaptive-bg"
    refused = scene.registration("pet", accepted=False)
    apart = replace(case, registrations=(case.registrations[0], refused))
    assert [s.key for s in clickable_series(apart)] == ["mr_pre", "mr_post"]


def test_mr_gives_the_painted_box_on_both_grids(scene, case) -> None:
    made = grow_click(case, ClickRequest("mr_post", LESION), scene.config)
    np.testing.assert_array_equal(made.on_reference, truth(scene))
    np.testing.assert_array_equal(made.mask, np.roll(truth(scene), (1, -2, 1), axis=(0, 1, 2)))
    assert made.doubt == ""
    assert made.record["method"] == "random-walker"
    assert made.record["seed_lps_mm"] == list(LESION)
    assert made.record["seed_on_series_lps_mm"] == [33.0, 36.0, 28.0]
    # 4 x 5 x 5 voxels of 36 mm3; of the echoes at 2, 4, 6 ... ms the one at 4 is nearest to 4.6.
    assert made.record["volume_ml"] == pytest.approx(3.6)
    assert made.record["looked_at"] == "mr_post (echo at 4.0 ms)"
    assert made.record["settings"] == {"echo_time_ms": 4.6}


def test_pet_is_grown_on_suv_by_the_method_that_is_asked_for(scene, case) -> None:
    made = grow_click(case, ClickRequest("pet", LESION, "percent-of-max"), scene.config)
    # The spline between voxels moves the edge of a sharp box by less than one voxel.
    hit = made.mask & truth(scene)
    assert 2 * hit.sum() / (made.mask.sum() + truth(scene).sum()) > 0.9
    assert made.record["looked_at"] == "pet (SUVbw)"
    assert made.record["settings"]["percent"] == 41.0
    assert "remove" not in made.record["settings"]
    again = scene.config.with_settings({"segment": {"method": "a50"}})
    assert grow_click(case, ClickRequest("pet", LESION), again).record["method"] == "a50"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (ClickRequest("mr_post", (-9.0, 0.0, 0.0)), "outside the field of view"),
        # Before the agent the lesion has the R2* of its surroundings.
        (ClickRequest("mr_pre", LESION), "stands out|do not differ"),
        # 9 mm beside the spleen, 12 mm beside the liver: nothing within 6 mm is hotter.
        (ClickRequest("pet", (36.0, 15.0, 24.0)), "not above its surroundings"),
        (ClickRequest("mr_post", LESION, "", (LESION,)), "as lesion and as background"),
        (ClickRequest("pet", LESION, "", ((60.0, 9.0, 24.0),)), "take no background"),
        # 6 mm around the click of a box of 16 x 15 x 15 mm.
        (ClickRequest("mr_post", LESION, "", (), 6.0), "reaches the limit"),
    ],
)
def test_a_click_that_gives_nothing_says_why_and_what_to_do(scene, case, request_, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        grow_click(case, request_, scene.config)
    assert caught.value.code == "E_CLICK_REFUSED"
    assert caught.value.action


def test_what_grows_away_from_the_click_is_refused(scene, case) -> None:
    suv = case.maps["suvbw"]
    values = np.array(suv.values)
    k, j, i = scene.boxes["lesion"]
    for n in range(i.stop, i.stop + 8):  # uptake falls evenly over 24 mm beside the lesion
        values[k, j, n] = values[k, j, i.stop - 1].max() * (1.0 - 0.12 * (n - i.stop + 1))
    sloped = replace(case, maps={"suvbw": replace(suv, values=values)})
    with pytest.raises(InputError, match="another place") as caught:
        grow_click(sloped, ClickRequest("pet", (60.0, 42.0, 24.0)), scene.config)
    assert caught.value.code == "E_CLICK_REFUSED"


def test_air_around_the_body_is_refused(scene, case) -> None:
    series = case.study.series[0]
    data = np.array(series.pixels.volume.data)
    data[:, :, 13:] = 0.5  # 0.05 % of the tissue, up to the border of the slice
    volume = replace(series.pixels.volume, data=data)
    series = replace(series, pixels=replace(series.pixels, volume=volume))
    points = tuple(
        replace(t, series=tuple(series if s.key == series.key else s for s in t.series))
        for t in case.study.timepoints
    )
    bare = replace(case, study=replace(case.study, timepoints=points))
    with pytest.raises(InputError, match="outside the body"):
        grow_click(bare, ClickRequest("pet", (60.0, 42.0, 24.0)), scene.config)
    grow_click(bare, ClickRequest("pet", LESION), scene.config)


def test_another_lesion_is_never_reached_into_and_an_organ_gives_way(scene, case) -> None:
    ask = ClickRequest("mr_post", LESION)
    k, j, i = scene.boxes["lesion"]
    corner = (slice(k.start, k.start + 1), slice(j.start, j.start + 1), slice(i.start, i.start + 1))
    for box, said in ((corner, "reach into other"), ((k, j, i), "other lies there")):
        taken = with_regions(scene, case, box)
        with pytest.raises(InputError, match=said):
            grow_click(taken, ask, scene.config)
        made = grow_click(taken, ask, scene.config, instead_of=5)
        np.testing.assert_array_equal(made.on_reference, truth(scene))
        organ = with_regions(scene, case, box, RegionRole.REFERENCE)
        made = grow_click(organ, ask, scene.config)
        np.testing.assert_array_equal(made.on_reference, truth(scene))


def test_a_series_or_a_method_that_is_not_there(scene, case) -> None:
    for ask in (ClickRequest("ct", LESION), ClickRequest("mr_pre", LESION, "adaptive-bg")):
        with pytest.raises(InputError) as caught:
            grow_click(case, ask, scene.config)
        assert caught.value.code == "E_ARGUMENT"
