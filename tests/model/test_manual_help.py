"""Records of what was given for the alignment: what they refuse, and what their hash follows."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.manual_help import (
    GivenTransform,
    HelpUse,
    LandmarkPairs,
    ManualHelp,
    MetricMask,
)
from eprimg.model.transform import Transform

GRID = Grid((2, 3, 4), np.diag((2.0, 2.0, 2.0, 1.0)), "A")


def pairs(x: float = 1.0, use: HelpUse = HelpUse.CHECK) -> LandmarkPairs:
    return LandmarkPairs("mr_pre", "pet", np.array([[x, 2, 3]]), np.array([[4.0, 5, 6]]), use)


def test_points_are_pairs_and_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        pairs().fixed_mm[0, 0] = 9.0
    for first, second in (
        (np.zeros((2, 3)), np.zeros((3, 3))),
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.full((1, 3), np.nan), np.zeros((1, 3))),
    ):
        with pytest.raises(InputError) as caught:
            LandmarkPairs("a", "b", first, second)
        assert caught.value.code == "E_LANDMARKS"


def test_a_mask_covers_something_of_its_own_grid() -> None:
    for inside in (np.zeros(GRID.shape), np.ones((4, 3, 2))):
        with pytest.raises(InputError) as caught:
            MetricMask("pet", inside, GRID, "m.nii")
        assert (caught.value.code, caught.value.where) == ("E_REGISTRATION_MASK", "m.nii")


def test_the_hash_follows_whatever_a_number_may_depend_on() -> None:
    assert ManualHelp().digest() == ""
    assert not ManualHelp()
    half = np.zeros(GRID.shape)
    half[0] = 1
    transform = Transform(np.eye(4), "A", "B")
    every = [
        ManualHelp(landmarks=(pairs(),)),
        ManualHelp(landmarks=(pairs(1.5),)),
        ManualHelp(landmarks=(pairs(use=HelpUse.START),)),
        ManualHelp(masks=(MetricMask("pet", half, GRID),)),
        ManualHelp(masks=(MetricMask("pet", 1 - half, GRID),)),
        ManualHelp(masks=(MetricMask("ct", half, GRID),)),
        ManualHelp((GivenTransform(transform, "a.tfm", "11"),)),
        ManualHelp((GivenTransform(transform, "a.tfm", "22"),)),
        ManualHelp((GivenTransform(transform, "a.tfm", "22", use=HelpUse.START),)),
    ]
    assert len({h.digest() for h in every}) == len(every)
    renamed = ManualHelp((GivenTransform(transform, "b.tfm", "11"),))
    assert renamed.digest() == every[6].digest()
