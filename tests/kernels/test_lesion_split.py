"""Touching lesions are split where a valley sets them apart, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.lesion_split import split_touching, zones


def ridge(*values: float) -> np.ndarray:
    """One line of voxels, three voxels thick."""
    return np.broadcast_to(np.asarray(values, dtype=float), (3, 3, len(values))).copy()


def parts_of(values: np.ndarray, **options: float) -> list[int]:
    return split_touching(values, np.ones(values.shape, np.bool_), **options)[1, 1].tolist()


def test_a_deep_valley_splits_and_a_shallow_one_does_not() -> None:
    # valley 6 beside the lower top 8: it lies 25 % below; 5.9 a little more
    assert parts_of(ridge(4, 10, 6, 8, 4), depth=0.26) == [1, 1, 1, 1, 1]
    got = parts_of(ridge(4, 10, 5.9, 8, 4), depth=0.26)
    assert got[:2] == [1, 1]
    assert got[3:] == [2, 2]


def test_a_faint_lesion_is_judged_by_its_own_height() -> None:
    assert set(parts_of(ridge(5, 100, 5, 10, 5), depth=0.3)) == {1, 2}
    assert set(parts_of(ridge(5, 100, 9, 10, 5), depth=0.3)) == {1}


def test_the_hottest_part_is_the_first_and_every_voxel_has_an_owner() -> None:
    values = ridge(5, 20, 4, 50, 4, 30, 5)
    split = split_touching(values, np.ones(values.shape, np.bool_), depth=0.3)
    assert [split[1, 1, n] for n in (3, 5, 1)] == [1, 2, 3]
    assert split.min() == 1


def test_a_part_that_is_too_small_stays_with_its_neighbour() -> None:
    values = ridge(5, 50, 40, 30, 4, 20)
    assert set(parts_of(values, depth=0.3)) == {1, 2}
    assert set(parts_of(values, depth=0.3, least_voxels=19)) == {1}


def test_outside_the_mask_nothing_is_owned_and_a_ring_is_one_lesion() -> None:
    grid = np.indices((3, 21, 21)) - np.array([1, 10, 10])[:, None, None, None]
    r = np.sqrt((grid.astype(float) ** 2).sum(axis=0))
    mask = (r < 9) & (r > 4)  # a necrotic core leaves a ring
    split = split_touching(np.where(mask, 10.0 - np.abs(r - 6.5), 0.0), mask, depth=0.25)
    assert np.array_equal(split > 0, mask)
    assert split.max() == 1


def test_depth_one_never_splits_and_an_empty_mask_gives_nothing() -> None:
    values = ridge(5, 100, 5, 10, 5)
    assert set(parts_of(values, depth=1.0)) == {1}
    assert not split_touching(values, np.zeros(values.shape, np.bool_)).any()


def test_bad_arguments_are_refused() -> None:
    values = ridge(1, 2, 3)
    mask = np.ones(values.shape, np.bool_)
    for bad in ({"depth": 0.0}, {"depth": 1.5}):
        with pytest.raises(InputError):
            split_touching(values, mask, **bad)
    with pytest.raises(InputError):
        split_touching(values - 1.0, mask)
    with pytest.raises(GeometryError):
        split_touching(values, mask[:2])


def test_zones_are_the_nearest_label_in_mm() -> None:
    labels = np.zeros((1, 1, 8), dtype=np.int32)
    labels[..., 0], labels[..., 7] = 3, 5
    assert zones(labels, (1.0, 1.0, 1.0))[0, 0].tolist() == [3, 3, 3, 3, 5, 5, 5, 5]
    assert not zones(np.zeros((2, 2, 2), np.int32), (1.0, 1.0, 1.0)).any()
    across = np.zeros((1, 4, 4), dtype=np.int32)
    across[0, 0, 3], across[0, 3, 0] = 1, 2
    # voxel (0, 0): 3 x 1 mm to the first, 3 x 4 mm to the second
    assert zones(across, (1.0, 4.0, 1.0))[0, 0, 0] == 1
