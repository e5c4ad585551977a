"""The bounds of the click page hold, and can be broken."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.kernels.click import CLICK_METHODS
from eprimg.kernels.outside_body import lies_outside_body
from tests.validation.click_objects import ClickObject, make_object
from tests.validation.click_page import Beside, Row, beside_lesions, kept, measured, page

COARSE = (4.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def drawn() -> ClickObject:
    return make_object(21, COARSE)


def test_one_click_after_the_agent_keeps_the_bound(drawn: ClickObject) -> None:
    # Source of the bound: issue 5, section 3; of the truth: the painted outlines.
    row = measured([drawn], COARSE, CLICK_METHODS[0], "post", False)
    assert len(row.overlaps) == 36
    assert kept(row), (np.median(row.overlaps), min(row.overlaps))


def test_the_bound_can_be_broken(drawn: ClickObject) -> None:
    moved = drawn._replace(after=np.roll(drawn.after, 4, axis=2))
    assert not kept(measured([moved], COARSE, CLICK_METHODS[0], "post", False))


def test_good_regions_are_kept_and_air_is_known(drawn: ClickObject) -> None:
    row = measured([drawn], COARSE, CLICK_METHODS[0], "post", False)
    assert row.lost <= 2  # of 36
    assert not any(lies_outside_body(drawn.after, click) for _, click in drawn.clicks)
    assert lies_outside_body(drawn.after, (drawn.after.shape[0] // 2, 0, 0))  # a corner
    blank = drawn._replace(after=np.random.default_rng(1).normal(100.0, 5.0, drawn.after.shape))
    beside = beside_lesions(blank, COARSE)
    assert beside.outside == 0
    assert beside.refused > beside.grown  # noise alone


def test_the_page_names_every_method() -> None:
    rows = [Row(m, "post", False, COARSE, (0.9, 0.4), 12.0) for m in CLICK_METHODS]
    text = page(rows)
    assert all(m in text for m in CLICK_METHODS)
    assert "1 of 2" in text
    assert "| 3 x 2 x 2 | 7 | 8 | 9 |" in page(rows, [Beside((3.0, 2.0, 2.0), 7, 8, 9)])
    refusing = rows[0]._replace(refused=(True, True))
    assert "2 of 2 | 1 |" in page([refusing])
