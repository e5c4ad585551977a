"""Clicks on the tiny study: its boxes are the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.study import Click
from eprimg.stages.clicks import place_clicks
from eprimg.stages.segment import segment

# The grid of the tiny study: index (k, j, i) lies at (3 i, 3 j, 4 k) mm; its boxes are in conftest.
LESION = (30.0, 42.0, 24.0)
LIVER = (13.5, 13.5, 20.0)


def place(scene, *clicks, regions=(), **settings):
    study = replace(scene.study(regions=regions), clicks=clicks)
    config = scene.config.with_settings(settings)
    return place_clicks(study, config)


def test_a_lesion_is_a_candidate_and_has_the_painted_outline(scene):
    found = place(scene, Click("mr_post", LESION, "lesion", name="lesion-a"))
    (made,) = found.value
    truth = np.zeros(scene.shape, dtype=bool)
    truth[scene.boxes["lesion"]] = True
    np.testing.assert_array_equal(made.labels == 1, truth)
    (region,) = made.regions
    assert (region.name, region.role, region.source) == (
        "lesion-a",
        RegionRole.LESION,
        RegionSource.CANDIDATE,
    )
    (finding,) = found.findings
    assert finding.code == "I_CLICK_PLACED"
    # 4 x 5 x 5 voxels of 36 mm3; 4.6 ms is nearest to the echo at 4 ms.
    assert "3.6 mL" in finding.text
    assert "echo at 4.0 ms" in finding.text


def test_a_lesion_is_confirmed_when_the_settings_say_so(scene):
    click = Click("mr_post", LESION, "lesion", name="a")
    found = place(scene, click, segment={"accept_candidates": True})
    assert found.value[0].regions[0].source == RegionSource.CONFIRMED


def test_a_sphere_lies_inside_the_organ(scene):
    # Clicked one voxel inside the rim of the liver box; the sphere has to move.
    click = Click("mr_post", (6.0, 13.5, 20.0), "liver", 10.0, "liver")
    found = place(scene, click)
    (made,) = found.value
    inside = np.zeros(scene.shape, dtype=bool)
    inside[scene.boxes["liver"]] = True
    assert (made.labels == 1).sum() > 8
    assert not ((made.labels == 1) & ~inside).any()
    assert made.regions[0].anatomy == "liver"
    assert made.regions[0].source == RegionSource.CONFIRMED
    # The painted activity is the same in every voxel.
    assert "median absolute deviation 0" in found.findings[0].text


@pytest.mark.parametrize(
    ("click", "said"),
    [
        (Click("pet", (-9.0, 0.0, 0.0), "liver", 10.0, "liver"), "outside the field of view"),
        (Click("pet", LIVER, "liver", 30.0, "liver"), "no sphere of 30 mm"),
        (Click("pet", LESION, "lesion", 0.0, "x", (LESION,)), "as lesion and as background"),
    ],
)
def test_a_click_that_gives_nothing_says_why(scene, click, said):
    found = place(scene, click)
    assert found.value == ()
    assert [f.code for f in found.findings] == ["W_CLICK_REFUSED"]
    assert said in found.findings[0].text


def test_an_imported_organ_wins_and_an_imported_lesion_keeps_its_voxels(scene):
    clicks = (
        Click("mr_pre", LIVER, "liver", 10.0, "liver"),
        Click("mr_pre", LESION, "lesion", 0.0, "again"),
    )
    found = place(scene, *clicks, regions=[scene.region_set()])
    assert found.value == ()
    texts = " ".join(f.text for f in found.findings)
    assert "there is a liver region already" in texts
    assert "all of it lies in another region" in texts


def test_the_segment_stage_carries_clicked_regions(scene):
    clicks = (
        Click("pet", LESION, "lesion", 0.0, "hot"),
        Click("mr_post", LIVER, "liver", 10.0, "liver"),
    )
    study = replace(scene.study(), clicks=clicks)
    result = segment(study, {}, scene.config, registrations=scene.registrations())
    lesions = result.value.lesions
    assert {(r.name, str(r.role)) for r in lesions.regions} == {
        ("hot", "lesion"),
        ("liver", "reference"),
    }
    assert set(result.value.native) == {"mr_post", "pet"}
    # All sessions lie where the reference lies, so the lesion keeps its box.
    hot = next(r.id for r in lesions.regions if r.name == "hot")
    assert (lesions.labels == hot).sum() == 100
    assert [f.code for f in result.findings].count("I_CLICK_PLACED") == 2
