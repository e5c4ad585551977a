"""Regions of one series alone: rows of the table, seeds in the patient, clicks on MR."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.errors import EngineUnavailable, InputError
from eprimg.stages.quantify import quantify
from eprimg.stages.segment_single import seed_indices, segment_mr, segment_pet


@pytest.fixture
def pet(scene):
    return scene.pet_series("pet")


@pytest.fixture
def suvbw(scene, pet):
    return quantify(scene.study(pet), (), scene.config).value.maps["suvbw"]


def test_points_become_voxels(scene):
    grid = scene.grid("pet", origin=(10.0, -20.0, 5.0))
    # x = 10 + 3 i, y = -20 + 3 j, z = 5 + 4 k
    assert seed_indices(grid, [(10.0, -20.0, 5.0), (41.0, 10.4, 20.0)]) == ((0, 0, 0), (4, 10, 10))
    with pytest.raises(InputError) as caught:
        seed_indices(grid, [(0.0, -20.0, 5.0)])
    assert caught.value.code == "E_SEG_SEED"
    assert "10, -20, 5 to 79, 37, 49" in str(caught.value)


def test_candidates_of_a_map_with_their_numbers(scene, pet, suvbw):
    made = segment_pet(suvbw, pet, SegmentConfig())
    assert [r["name"] for r in made.rows] == ["candidate-1", "candidate-2", "candidate-3"]
    lesion = made.rows[2]
    inside = np.asarray(made.lesions.labels) == 3
    assert lesion["n_voxels"] == np.count_nonzero(inside)
    assert lesion["max"] == pytest.approx(suvbw.values[inside].max())
    assert lesion["mean"] == pytest.approx(suvbw.values[inside].mean())
    # centre of the box (4:8, 12:17, 8:13) in mm: spacing 4, 3, 3
    centre = [lesion[f"centre_{a}_lps_mm"] for a in "xyz"]
    assert centre == pytest.approx([30.0, 42.0, 22.0])
    assert lesion["unit"] == "g/mL"
    assert lesion["status"] == "candidate"
    # 4 x 5 x 5 voxels of 36 mm3, outlined on half voxels with rounded corners
    assert lesion["volume_ml"] == pytest.approx(3.6, rel=0.25)


def test_a_seed_that_fails_has_a_row_and_a_finding(pet, suvbw):
    made = segment_pet(suvbw, pet, SegmentConfig(), seeds=((6, 14, 10), (10, 10, 12)))
    assert [(r["name"], r["status"]) for r in made.rows] == [
        ("candidate-1", "candidate"),
        ("candidate-2", "failed"),
    ]
    assert made.rows[1]["note"]
    assert [f.code for f in made.findings if f.code == "W_SEG_FAILED"] == ["W_SEG_FAILED"]


def test_what_a_person_removed_stays_in_the_table(pet, suvbw):
    made = segment_pet(suvbw, pet, SegmentConfig(remove="candidate-2"))
    assert [r["name"] for r in made.rows if r["status"] == "left out"] == ["candidate-2"]
    assert 2 not in made.lesions.labels


def click_module(monkeypatch, answer):
    module = ModuleType("eprimg.kernels.click")
    module.click_segment = answer
    monkeypatch.setitem(sys.modules, "eprimg.kernels.click", module)


def test_a_click_on_mr_is_asked_with_all_that_was_said(scene, monkeypatch):
    asked = []

    def click_segment(values, spacing_mm, seed_index, **options):
        asked.append((spacing_mm, seed_index, options))
        mask = np.zeros(values.shape, dtype=bool)
        mask[2:4, 5:8, 6:10] = seed_index == (3, 6, 7)
        return SimpleNamespace(mask=mask, refused="", doubt="at the edge")

    click_module(monkeypatch, click_segment)
    values = np.arange(np.prod(scene.shape), dtype=float).reshape(scene.shape)
    made = segment_mr(
        values,
        scene.grid("pre"),
        [(3, 6, 7), (9, 9, 9)],
        method="grow-cut",
        background=[(0, 0, 0)],
        diameter_mm=12.0,
    )
    assert asked[0] == (
        (4.0, 3.0, 3.0),
        (3, 6, 7),
        {"method": "grow-cut", "background_index": ((0, 0, 0),), "diameter_mm": 12.0},
    )
    first, second = made.rows
    assert (first["n_voxels"], first["note"]) == (24, "at the edge")
    assert first["volume_ml"] == pytest.approx(24 * 0.036)
    assert second["status"] == "failed"
    assert [f.code for f in made.findings] == ["W_CLICK_DOUBT", "W_SEG_FAILED"]
    assert "at the edge" in made.findings[0].text
    assert np.count_nonzero(made.lesions.labels == 1) == 24


def test_a_refused_click_keeps_its_reason(scene, monkeypatch):
    click_module(
        monkeypatch,
        lambda values, spacing_mm, seed_index, method="its default", **options: SimpleNamespace(
            mask=np.ones(values.shape, bool), refused="it leaks", doubt=""
        ),
    )
    made = segment_mr(np.ones(scene.shape), scene.grid("pre"), [(3, 6, 7)])
    assert made.rows[0]["note"] == "it leaks"
    assert made.rows[0]["method"] == "its default"
    assert not made.lesions.labels.any()


def test_mr_needs_a_seed_and_the_click_methods(scene, monkeypatch):
    with pytest.raises(InputError) as caught:
        segment_mr(np.ones(scene.shape), scene.grid("pre"), [])
    assert caught.value.code == "E_SEG_CLICK"
    monkeypatch.setitem(sys.modules, "eprimg.kernels.click", None)
    with pytest.raises(EngineUnavailable) as absent:
        segment_mr(np.ones(scene.shape), scene.grid("pre"), [(3, 6, 7)])
    assert absent.value.code == "E_SEG_CLICK"


def test_what_is_missing_of_a_region_is_told(pet, suvbw):
    whole = segment_pet(suvbw, pet, SegmentConfig(), seeds=((6, 14, 10),))
    assert whole.rows[0]["note"] == ""
    # The hottest voxels of the box (4:8, 12:17, 8:13) failed: maximum and peak are of the rest.
    valid = suvbw.valid.copy()
    valid[5, 13:15, 10] = False
    holed = replace(suvbw, values=np.where(valid, suvbw.values, np.nan), valid=valid)
    made = segment_pet(holed, pet, SegmentConfig(), seeds=((6, 14, 10),))
    assert "2 voxels in or beside it have no value" in made.rows[0]["note"]
    assert [f.code for f in made.findings] == ["W_VOXELS_FAILED"]


def test_a_region_at_the_edge_and_in_one_slice_is_told(scene):
    grid = scene.grid("1", shape=(1, 24, 24))
    values = np.full((1, 24, 24), 10.0, dtype=np.float32)
    values[0, 9:15, 9:15] = 100.0
    made = segment_mr(values, grid, ((0, 12, 12),))
    assert {f.code for f in made.findings} == {"W_REGION_CUT", "W_REGION_FLAT"}
    assert "single slice" in made.rows[0]["note"]


def test_a_constant_map_is_refused(pet, suvbw):
    flat = replace(suvbw, values=np.full_like(suvbw.values, 3.0), valid=np.ones_like(suvbw.valid))
    with pytest.raises(InputError) as caught:
        segment_pet(flat, pet, SegmentConfig())
    assert caught.value.code == "E_CONSTANT"
