"""Voxels that lesions share count once in a sum; numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.stages.lesion_union import counted_parts, voxel_weights
from eprimg.stages.region_voxels import RegionVoxels


@pytest.fixture(scope="module")
def three() -> RegionVoxels:
    """In a row of 8: a holds 0-4, b 2-5, c 4-7; voxel 4 is of all three.  Apart, d holds row 2."""
    labels = np.zeros((1, 3, 8), np.int32)
    labels[0, 0] = [1, 1, 1, 1, 1, 2, 3, 3]
    labels[0, 2, :4] = 4
    shared = (
        SharedVoxels(2, 1, (0, 0, 2), np.ones((1, 1, 3), bool)),
        SharedVoxels(3, 1, (0, 0, 4), np.ones((1, 1, 1), bool)),
        SharedVoxels(3, 2, (0, 0, 5), np.ones((1, 1, 1), bool)),
    )
    regions = tuple(Region(n, name, RegionRole.LESION) for n, name in enumerate("abcd", start=1))
    return RegionVoxels(LesionSet(labels, Grid((1, 3, 8), np.eye(4), "f"), regions, shared=shared))


def test_weights_add_up_to_the_union(three: RegionVoxels) -> None:
    weights = voxel_weights(three, (1, 2, 3, 4))
    assert weights[1].ravel() == pytest.approx([1, 1, 1 / 2, 1 / 2, 1 / 3])
    assert weights[2].ravel() == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 2])
    assert weights[3].ravel() == pytest.approx([1 / 3, 1 / 2, 1, 1])
    # 8 voxels of the first row and 4 of the last one
    assert sum(w.sum() for w in weights.values()) == pytest.approx(12.0)


def test_a_sum_over_some_lesions_is_their_union(three: RegionVoxels) -> None:
    # a and c: 5 and 4 voxels, one in common
    parts = counted_parts(three, (1, 3))
    assert 5 * parts[1] + 4 * parts[3] == pytest.approx(8.0)
    assert counted_parts(three, (2, 4)) == {2: 1.0, 4: 1.0}
    assert counted_parts(None, (2, 4, 7)) == {2: 1.0, 4: 1.0, 7: 1.0}


def test_only_what_counts_is_divided(three: RegionVoxels) -> None:
    hot = {n: three.inside(n).copy() for n in (1, 2)}
    hot[2][0, 0, :2] = False  # b does not hold voxels 2 and 3 above its threshold
    weights = voxel_weights(three, (1, 2), hot)
    assert weights[1].ravel() == pytest.approx([1, 1, 1, 1, 1 / 2])
    assert weights[2].ravel() == pytest.approx([0, 0, 1 / 2, 1])
