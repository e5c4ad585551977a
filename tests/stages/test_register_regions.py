"""Masks on both series, through transforms that are known."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.transform import Transform
from eprimg.stages.register_regions import region_fits, region_pairs

SHAPE = (20, 24, 24)


def grid(frame: str, origin=(0.0, 0.0, 0.0)) -> Grid:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]
    affine[:3, 3] = origin
    return Grid(SHAPE, affine, frame)


def masks(frame: str, corner: tuple[int, int, int], names: dict[int, Region]) -> LesionSet:
    labels = np.zeros(SHAPE, dtype=np.int16)
    for number in names:
        k, j, i = corner
        labels[k + 6 * (number - 1) : k + 6 * (number - 1) + 4, j : j + 4, i : i + 4] = number
    return LesionSet(labels, grid(frame), tuple(names.values()))


def lesion(number: int, name: str, uid: str = "") -> Region:
    return Region(number, name, RegionRole.LESION, tracking_uid=uid)


def organ(number: int, anatomy: str) -> Region:
    return Region(number, f"{anatomy} drawn", RegionRole.REFERENCE, anatomy=anatomy)


HERE = masks("fixed", (3, 8, 8), {1: lesion(1, "a", "2.25.7"), 2: organ(2, "liver")})
THERE = masks("moving", (3, 8, 10), {1: lesion(1, "other", "2.25.7"), 2: organ(2, "liver")})


def test_pairs_by_tracking_uid_and_anatomy() -> None:
    pairs = region_pairs((HERE, THERE), grid("fixed"), grid("moving"))
    assert [(p.name, p.is_lesion) for p in pairs] == [("a", True), ("liver drawn", False)]
    assert region_pairs((HERE,), grid("fixed"), grid("moving")) == ()
    away = masks("elsewhere", (3, 8, 10), {1: lesion(1, "a", "2.25.7")})
    assert region_pairs((HERE, away), grid("fixed"), grid("moving")) == ()


def test_a_region_without_voxels_or_that_is_excluded_is_no_pair() -> None:
    empty = LesionSet(np.zeros(SHAPE, np.int16), grid("moving"), (lesion(1, "a", "2.25.7"),))
    assert region_pairs((HERE, empty), grid("fixed"), grid("moving")) == ()
    out = Region(1, "bladder", RegionRole.EXCLUDE)
    both = [masks(f, (3, 8, 8), {1: out}) for f in ("fixed", "moving")]
    assert region_pairs(both, grid("fixed"), grid("moving")) == ()


def test_in_one_frame_the_grid_tells_the_side() -> None:
    other = grid("fixed", origin=(1.0, 0.0, 0.0))
    there = LesionSet(THERE.labels, other, THERE.regions)
    assert len(region_pairs((HERE, there), grid("fixed"), other)) == 2
    # One grid for both series: nobody knows on which of them a mask was drawn.
    assert region_pairs((HERE, HERE), grid("fixed"), grid("fixed")) == ()


def test_distance_and_dice_by_hand() -> None:
    pairs = region_pairs((HERE, THERE), grid("fixed"), grid("moving"))
    fits = region_fits(pairs, Transform.identity("fixed", "moving"))
    # Cubes of 4 voxels, 2 voxels of 2 mm apart along i: half of each is common.
    for fit in fits:
        assert fit.centroid_mm == pytest.approx(4.0)
        assert fit.dice == pytest.approx(0.5)
    right = np.eye(4)
    right[0, 3] = 4.0
    for fit in region_fits(pairs, Transform(right, "fixed", "moving")):
        assert fit.centroid_mm == pytest.approx(0.0, abs=1e-9)
        assert fit.dice == pytest.approx(1.0)


def test_a_displacement_counts() -> None:
    pairs = region_pairs((HERE, THERE), grid("fixed"), grid("moving"))
    vectors = np.zeros((*SHAPE, 3), dtype=np.float32)
    vectors[..., 0] = 4.0
    bent = Transform(np.eye(4), "fixed", "moving", Displacement(vectors, grid("fixed")))
    fit, *_ = region_fits(pairs, bent)
    assert fit.centroid_mm == pytest.approx(0.0, abs=1e-6)
    assert fit.dice == pytest.approx(1.0)


def test_what_the_moving_series_does_not_show_does_not_count() -> None:
    pairs = region_pairs((HERE, THERE), grid("fixed"), grid("moving"))
    far = np.eye(4)
    far[0, 3] = 500.0
    fit, *_ = region_fits(pairs, Transform(far, "fixed", "moving"))
    assert np.isnan(fit.dice)
    assert fit.centroid_mm == pytest.approx(496.0)
