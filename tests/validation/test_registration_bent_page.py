"""The page of bent alignments: one case on large voxels, and the verdict from rows made by hand."""

from __future__ import annotations

import pytest

from tests.validation.registration_bench import make_case
from tests.validation.registration_bent_page import (
    KIND,
    BentRow,
    is_no_worse,
    page,
    solve,
    within,
)

GOOD = BentRow("thorax", 0, 8.0, 2.5, 6.0, 0.3, 1.0, 0.6, 0.0, 0.05, 9.0, 300.0)


def test_bending_finds_what_breathing_moved() -> None:
    """Voxels of 8 x 8 x 12 mm: a third is mended, where 2 x 2 x 3 mm mends nine tenths."""
    row = solve(make_case("thorax", 0, KIND, factor=4.0))
    assert row.rigid_mm > 1.5
    assert row.mean_mm < 0.67 * row.rigid_mm
    assert row.smallest_jacobian > 0
    assert row.folding_percent == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"mean_mm": 2.1, "rigid_mm": 2.5},
        {"mean_mm": 0.9, "rigid_mm": 0.5},
        {"folding_percent": 0.1},
        {"smallest_jacobian": 0.0},
    ],
)
def test_one_broken_bound_at_a_time(changes: dict[str, float]) -> None:
    assert within([GOOD])
    assert not within([GOOD._replace(**changes)])


def test_one_case_in_twenty_may_be_worse() -> None:
    worse = GOOD._replace(rigid_mm=0.1, mean_mm=0.5)
    assert not is_no_worse(worse)
    assert within([worse] + [GOOD] * 19)
    assert not within([worse] + [GOOD] * 18)


def test_the_page_tells_mean_and_worst() -> None:
    text = page([GOOD, GOOD._replace(seed=1, mean_mm=0.5, worst_mm=1.4)])
    assert "| thorax | 2 | 8.0 | 2.50 (6.00) | 0.40 (1.40) | 0.50 | 2 | 0.60 | 0 |" in text
    assert "All bounds are kept. Better than rigid in 2 of 2." in text
    assert "**A bound is broken.**" in page([GOOD._replace(folding_percent=1.0)])
