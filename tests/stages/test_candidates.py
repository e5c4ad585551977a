"""What the engine is told of organs and tracer, and what is said of its answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.errors import InputError
from eprimg.stages import candidates
from eprimg.stages.candidates import find_candidates, pet_context
from eprimg.stages.quantify import quantify


@pytest.fixture
def pet(scene):
    return scene.pet_series("pet")


@pytest.fixture
def suvbw(scene, pet):
    return quantify(scene.study(pet), (), scene.config).value.maps["suvbw"]


def test_organs_are_carried_to_the_grid_of_the_pet(scene, pet):
    organs = scene.region_set(names=("liver",))
    transform = scene.registration("pet", shift=(6.0, 0.0, 0.0)).transform
    context = pet_context(pet, organs=organs, transform=transform)
    assert context.organs.grid.matches(pet.grid)
    # the patient lies 6 mm (two voxels) further along x in the PET
    np.testing.assert_array_equal(context.organs.labels, np.roll(organs.labels, 2, axis=2))
    assert context.nuclide == "89Zr"


def test_organs_on_the_grid_of_the_pet_stay_as_they_are(scene, pet):
    organs = scene.region_set("pet", names=("liver",))
    assert pet_context(pet, organs=organs).organs is organs


def test_a_tracer_of_the_liver_is_refused_and_a_forced_one_is_said(scene, pet, suvbw):
    organs = scene.region_set("pet", names=("liver",))
    with pytest.raises(InputError) as caught:
        find_candidates(suvbw, pet, SegmentConfig(method="percist"), organs=organs)
    assert caught.value.code == "E_SEG_LIVER"
    forced = SegmentConfig(method="percist", force_liver_threshold=True)
    _, findings = find_candidates(suvbw, pet, forced, organs=organs)
    assert "W_SEG_LIVER" in [f.code for f in findings]


def test_an_unknown_nuclide_is_a_doubt_and_fdg_is_none(scene, pet, suvbw):
    organs = scene.region_set("pet", names=("liver",))
    config = SegmentConfig(method="percist")
    injection = pet.acquisition.injection
    for nuclide, expected in ((None, ["W_SEG_LIVER"]), ("18F", [])):
        known = replace(injection, nuclide=scene.known(nuclide))
        series = replace(pet, acquisition=replace(pet.acquisition, injection=known))
        _, findings = find_candidates(suvbw, series, config, organs=organs)
        doubts = [f.code for f in findings if f.code.startswith("W_")]
        assert [c for c in doubts if c != "W_SEG_UNSEEN"] == expected


def test_what_was_left_out_is_named_with_its_reason(scene, pet, suvbw):
    organs = scene.region_set("pet", names=("liver", "spleen"))
    found, findings = find_candidates(suvbw, pet, SegmentConfig(), organs=organs)
    (finding,) = [f for f in findings if f.code == "I_CANDIDATES_DROPPED"]
    assert "candidate-1 (100 % in liver)" in finding.text
    assert "candidate-2 (100 % in spleen)" in finding.text
    assert [r.name for r in found.regions] == ["candidate-3"]


def test_an_engine_of_somebody_else_gets_the_map_alone(pet, suvbw, monkeypatch):
    asked = []

    class Plain:
        def __init__(self, config):
            pass

        def segment(self, suvbw):
            asked.append(suvbw)
            return "what it found"

    monkeypatch.setattr(candidates, "load_engine", lambda kind, name: Plain)
    assert find_candidates(suvbw, pet, SegmentConfig(engine="plain")) == ("what it found", [])
    assert asked == [suvbw]


def test_the_liver_is_refused_also_where_suv_is_not_known(scene, pet, suvbw):
    organs = scene.region_set("pet", names=("liver",))
    config = SegmentConfig(method="percist")
    told = {"nuclide": "89Zr"}, {"tracer": "an antibody"}, {"tracer": "Zr-89 x"}
    for known in told:
        series = replace(pet, acquisition=None, description="PET AC", **known)
        with pytest.raises(InputError) as caught:
            find_candidates(suvbw, series, config, organs=organs)
        assert caught.value.code == "E_SEG_LIVER"
    for nuclide, expected in (("", ["W_SEG_LIVER"]), ("18F", [])):
        series = replace(pet, acquisition=None, description="PET AC", nuclide=nuclide)
        _, findings = find_candidates(suvbw, series, config, organs=organs)
        assert [f.code for f in findings if f.code == "W_SEG_LIVER"] == expected


def test_the_tracer_is_what_the_header_says_and_the_description(pet):
    named = replace(pet, tracer="trastuzumab", description="PET AC")
    assert pet_context(named).tracer == "trastuzumab (PET AC)"
    assert pet_context(replace(named, tracer="")).tracer == "PET AC"
    assert pet_context(replace(named, description="")).tracer == "trastuzumab"
