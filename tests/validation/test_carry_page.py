"""A part of the validation page of regions on another grid."""

from __future__ import annotations

import pytest

from tests.validation import carry_page


@pytest.fixture(scope="module")
def coarse():
    """Both scenes on coarse grids, by both methods."""
    pair = ((6.0, 4.0, 4.0), (5.0, 5.0, 5.0))
    return {
        (scene.__name__, method): carry_page.move(scene, pair, method, 1)
        for scene in (carry_page.touching, carry_page.apart)
        for method in carry_page.METHODS
    }


def test_organs_by_nearest_leave_no_gap(coarse):
    assert coarse["touching", "nearest"].gap_percent == 0.0
    assert coarse["touching", "signed-distance"].gap_percent > 0.0
    for organ in (1, 2, 3):
        assert coarse["touching", "nearest"].volume[organ] == pytest.approx(1.0, abs=0.05)


def test_small_regions_by_signed_distance_keep_their_volume(coarse):
    for region in (6, 7, 9):
        assert coarse["apart", "signed-distance"].volume[region] == pytest.approx(1.0, abs=0.02)
        by = {m: coarse["apart", m].dice[region] for m in carry_page.METHODS}
        assert by["signed-distance"] > by["nearest"]
