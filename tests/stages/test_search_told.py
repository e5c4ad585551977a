"""What is said of a search: its threshold, where the maximum lies, uptake that it missed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.candidates import find_candidates

# A whole body in small: a bladder of SUV 60 (6 x 6 x 6 voxels), a lesion of SUV 8 (5 x 5 x 5
# voxels of 4 x 3 x 3 mm: 4.5 mL) far from it, and a ground of 1.
SHAPE = (20, 30, 30)
LESION = (slice(12, 17), slice(20, 25), slice(20, 25))


def map_of(scene, key="suvbw", scale=1.0):
    values = np.ones(SHAPE, np.float32)
    values[2:8, 2:8, 2:8] = 60.0
    values[LESION] = 8.0
    values[4, 5, 6] = 66.0
    grid = scene.grid("pet", shape=SHAPE, origin=(10.0, -20.0, 5.0))
    valid = np.ones(SHAPE, np.bool_)
    return QuantityMap(values * scale, grid, quantity(key), valid, "test", ("pet",))


def said(values, scene, *, organs=None, seeds=(), **settings):
    series = SimpleNamespace(
        key="pet", grid=values.grid, acquisition=None, description="", nuclide="", tracer=""
    )
    _, findings = find_candidates(
        values, series, SegmentConfig(**settings), organs=organs, seeds=seeds
    )
    return {f.code: f.text for f in findings}


@pytest.mark.parametrize("engine", ["pet", "threshold"])
def test_the_threshold_is_told_and_a_lesion_below_it(scene, engine):
    told = said(map_of(scene), scene, engine=engine)
    # 41 % of 66 is 27.06; voxel (4, 5, 6) lies at x = 10 + 18, y = -20 + 15, z = 5 + 16
    assert (
        "SUVbw is at least 27.1 (41 % of the maximum of the whole series)" in told["I_SEG_SEARCH"]
    )
    assert "66, lies at LPS 28.0,-5.0,21.0 mm." in told["I_SEG_SEARCH"]
    assert "Uptake below 27.1 was not looked at" in told["I_SEG_SEARCH"]
    # 125 voxels of 0.036 mL; its first voxel (12, 20, 20) lies at x = 70, y = 40, z = 53
    assert told["W_SEG_UNSEEN"].startswith("4.5 mL with SUVbw 4 or more")
    assert "1 part more than 6 mm" in told["W_SEG_UNSEEN"]
    assert "4.5 mL up to 8 at LPS 70.0,40.0,53.0 mm" in told["W_SEG_UNSEEN"]


def test_nothing_is_missed_by_a_search_from_the_level_on(scene):
    told = said(map_of(scene), scene, rule="fixed")
    assert "SUVbw is at least 4 (a fixed level of the settings)" in told["I_SEG_SEARCH"]
    assert "W_SEG_UNSEEN" not in told
    # the level is that of the settings: nothing reaches 9 outside of the bladder
    assert "W_SEG_UNSEEN" not in said(map_of(scene), scene, suvbw=9.0)


def test_known_organs_were_looked_at_and_the_one_with_the_maximum_is_named(scene):
    values = map_of(scene)
    labels = np.zeros(SHAPE, np.int32)
    labels[2:8, 2:8, 2:8] = 3
    bladder = Region(3, "bladder", RegionRole.REFERENCE)
    one = LesionSet(labels.copy(), values.grid, (bladder,))
    told = said(values, scene, organs=one)
    assert "21.0 mm in bladder." in told["I_SEG_SEARCH"]
    assert "W_SEG_UNSEEN" in told
    labels[LESION] = 4
    both = LesionSet(labels, values.grid, (bladder, Region(4, "kidney", RegionRole.REFERENCE)))
    assert "W_SEG_UNSEEN" not in said(values, scene, organs=both)


def test_activity_has_no_level_and_a_seed_no_search(scene):
    told = said(map_of(scene, "activity", 1000.0), scene)
    assert "at least 2.71e+04 (41 %" in told["I_SEG_SEARCH"]
    assert "W_SEG_UNSEEN" not in told
    assert said(map_of(scene), scene, seeds=((14, 22, 22),)) == {}
