"""Boxes against scipy's, changes against plain comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eprimg.errors import GeometryError
from eprimg.kernels.label_boxes import joined_box, label_boxes, label_changes, widened_box


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_boxes_are_those_of_scipy(dtype: type) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        labels = random.integers(0, 6, (5, 6, 7)) * (random.random((5, 6, 7)) < 0.1)
        labels = labels.astype(dtype)
        wanted = {
            n: box for n, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None
        }
        assert label_boxes(labels, 9) == wanted
        assert label_boxes(labels, 3) == {n: b for n, b in wanted.items() if n <= 3}


def test_changes() -> None:
    before = np.zeros((4, 5, 6), dtype=np.int32)
    before[1, 1, 1:4] = 2
    assert label_changes(before, before) == (None, frozenset())
    after = before.copy()
    after[1, 1, 3] = 5
    after[2, 3, 0] = 7
    assert label_changes(before, after) == (
        (slice(1, 3), slice(1, 4), slice(0, 4)),
        frozenset({2, 5, 7}),
    )
    with pytest.raises(GeometryError):
        label_changes(before, after[1:])


def test_boxes_can_be_joined_and_widened() -> None:
    one = (slice(0, 2), slice(3, 4), slice(5, 6))
    other = (slice(1, 4), slice(2, 3), slice(5, 9))
    assert joined_box(None) is None
    assert joined_box(one, None, other) == (slice(0, 4), slice(2, 4), slice(5, 9))
    assert widened_box(one, (1, 2, 3), (10, 5, 8)) == (slice(0, 3), slice(1, 5), slice(2, 8))
    with pytest.raises(GeometryError):
        label_boxes(np.zeros((2, 2, 2)), 3)  # type: ignore[arg-type]
