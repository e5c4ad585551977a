"""Lesions that were moved, split, merged and removed on purpose."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.lesion_matching import match_lesions

SHAPE, SPACING = (10, 40, 40), (3.0, 2.0, 2.0)


def drawn(**boxes):
    """Boxes of 4 x 4 x n voxels at (j, i); names are labels with an l in front."""
    labels = np.zeros(SHAPE, dtype=np.int32)
    for name, (j, i, n) in boxes.items():
        labels[2:6, j : j + 4, i : i + n] = int(name[1:])
    return labels


def test_a_lesion_that_moved_a_voxel_is_the_same() -> None:
    (found,) = match_lesions(drawn(l7=(5, 5, 4)), drawn(l3=(5, 6, 4)), SPACING)
    assert (found.first, found.second, found.kind, found.by) == ((7,), (3,), "same", "overlap")
    # Three of four columns are shared; the centre moved one voxel of 2 mm.
    assert found.dice == pytest.approx(0.75)
    assert found.distance_mm == pytest.approx(2.0)


def test_splits_and_merges_are_named() -> None:
    whole = drawn(l1=(5, 5, 10))
    parts = drawn(l4=(5, 5, 4), l9=(5, 11, 4))
    (split,) = match_lesions(whole, parts, SPACING)
    assert (split.first, split.second, split.kind) == ((1,), (4, 9), "split")
    assert split.dice == pytest.approx(2 * 8 / 18)
    (merge,) = match_lesions(parts, whole, SPACING)
    assert (merge.first, merge.second, merge.kind) == ((4, 9), (1,), "merge")
    # Two that share a third in a chain: several and several.
    chain = match_lesions(drawn(l1=(5, 5, 6), l2=(5, 12, 6)), drawn(l1=(5, 7, 7), l2=(5, 15, 5)),
                          SPACING)  # fmt: skip
    assert [(m.first, m.second, m.kind) for m in chain] == [((1, 2), (1, 2), "mixed")]


def test_the_rest_is_matched_by_distance_and_named_gone_or_new() -> None:
    first = drawn(l1=(2, 2, 4), l2=(30, 30, 4))
    second = drawn(l5=(2, 8, 4), l6=(2, 34, 4))
    found = match_lesions(first, second, SPACING, most_distance_mm=15.0)
    assert [(m.first, m.second, m.kind, m.by) for m in found] == [
        ((1,), (5,), "same", "distance"),
        ((2,), (), "gone", ""),
        ((), (6,), "new", ""),
    ]
    assert found[0].distance_mm == pytest.approx(12.0)
    assert math.isnan(found[1].distance_mm)
    alone = match_lesions(first, second, SPACING, most_distance_mm=0.0)
    assert [m.kind for m in alone] == ["gone", "gone", "new", "new"]


def test_pairs_have_the_smallest_sum_of_distances() -> None:
    # Either lesion lies 8 mm from the first of the second volume; the one takes 16 mm, the other
    # 32 mm to the other one.
    first = drawn(l1=(2, 2, 2), l2=(2, 10, 2))
    second = drawn(l1=(2, 6, 2), l2=(2, 18, 2))
    found = match_lesions(first, second, SPACING, most_distance_mm=60.0)
    centres = [2 * (2 + 0.5), 2 * (10 + 0.5)], [2 * (6 + 0.5), 2 * (18 + 0.5)]
    best = min(
        sum(abs(centres[0][n] - centres[1][p]) for n, p in enumerate(order))
        for order in permutations(range(2))
    )
    assert sum(m.distance_mm for m in found) == pytest.approx(best)


def test_a_touch_below_the_limit_does_not_join() -> None:
    # One of ten columns is shared: 10 % of both.
    first, second = drawn(l1=(5, 5, 10)), drawn(l1=(5, 14, 10))
    strict = match_lesions(first, second, SPACING, least_overlap=0.11, most_distance_mm=0.0)
    assert [m.kind for m in strict] == ["gone", "new"]
    assert match_lesions(first, second, SPACING, least_overlap=0.1)[0].by == "overlap"


def test_empty_volumes_and_refusals() -> None:
    nothing = np.zeros(SHAPE, dtype=np.int32)
    assert match_lesions(nothing, nothing, SPACING) == ()
    assert [m.kind for m in match_lesions(nothing, drawn(l2=(1, 1, 3)), SPACING)] == ["new"]
    with pytest.raises(GeometryError):
        match_lesions(nothing, nothing[1:], SPACING)
    for wrong in ({"least_overlap": 2.0}, {"most_distance_mm": -1.0}, {"spacing_mm": (0, 1, 1)}):
        given = {"spacing_mm": SPACING, **wrong}
        with pytest.raises(InputError):
            match_lesions(nothing, nothing, given.pop("spacing_mm"), **given)
