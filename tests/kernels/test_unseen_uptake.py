"""Parts above a level away from what was looked at: blocks whose numbers are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import EprimgError
from eprimg.kernels.unseen_uptake import unseen_parts

SPACING = (4.0, 2.0, 2.0)  # 0.016 mL


def volume() -> np.ndarray:
    values = np.ones((12, 20, 20), np.float32)
    values[1:3, 1:4, 1:4] = 5.0  # 18 voxels
    values[2, 2, 3] = 7.0
    values[8:10, 12:16, 12:16] = 6.0  # 32 voxels
    values[5, 5, 5] = 9.0  # one voxel: noise
    return values


def test_parts_are_counted_and_the_largest_comes_first() -> None:
    values = volume()
    looked = np.zeros(values.shape, np.bool_)
    parts = unseen_parts(values, looked, SPACING, level=4.0, margin_mm=6.0, minimum_volume_ml=0.1)
    assert [p.volume_ml for p in parts] == pytest.approx([32 * 0.016, 18 * 0.016])
    assert [p.maximum for p in parts] == [6.0, 7.0]
    assert parts[0].maximum_index == (8, 12, 12)
    assert parts[1].maximum_index == (2, 2, 3)
    small = unseen_parts(values, looked, SPACING, level=4.0, margin_mm=6.0, minimum_volume_ml=0.0)
    assert [p.volume_ml for p in small][2:] == pytest.approx([0.016])


def test_the_margin_is_in_mm_and_its_end_belongs_to_it() -> None:
    values = volume()
    looked = np.zeros(values.shape, np.bool_)
    looked[8:10, 12:16, 17] = True  # i = 15 lies 4 mm off, i = 12 lies 10 mm off
    for margin, columns in ((3.9, 4), (4.0, 3), (6.0, 2), (9.9, 1), (10.0, 0)):
        parts = unseen_parts(
            values, looked, SPACING, level=5.5, margin_mm=margin, minimum_volume_ml=0.1
        )
        volumes = [p.volume_ml for p in parts]
        assert volumes == pytest.approx([8 * columns * 0.016] if columns else [])


def test_what_was_looked_at_and_what_is_not_valid_is_left_out() -> None:
    values = volume()
    values[8, 12, 12] = np.nan
    valid = values != 7.0
    looked = values == 5.0
    parts = unseen_parts(
        values, looked, SPACING, level=4.0, margin_mm=0.0, minimum_volume_ml=0.0, valid=valid
    )
    # 31 voxels with a number and the single one: 7.0 is not valid, the block of 5.0 was seen
    assert [p.volume_ml for p in parts] == pytest.approx([31 * 0.016, 0.016])
    assert unseen_parts(
        values, looked, SPACING, level=99.0, margin_mm=0.0, minimum_volume_ml=0.0
    ) == ()  # fmt: skip


def test_what_cannot_be_is_refused() -> None:
    values = volume()
    looked = np.zeros(values.shape, np.bool_)
    options = {"level": 4.0, "margin_mm": 6.0, "minimum_volume_ml": 0.1}
    for change in ({"level": np.nan}, {"margin_mm": -1.0}, {"minimum_volume_ml": -1.0}):
        with pytest.raises(EprimgError, match="E_ARGUMENT"):
            unseen_parts(values, looked, SPACING, **{**options, **change})
    with pytest.raises(EprimgError, match="E_ARGUMENT"):
        unseen_parts(values, looked[1:], SPACING, **options)
