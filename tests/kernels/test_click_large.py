"""Off-centre clicks in lesions that reach beyond the usual shell, and beside bright neighbours.

Truth: the painted balls, rods and boxes; the contrast is 200 on 100, the noise normal.
"""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.kernels._click_doubt import added_differs, is_one_body
from eprimg.kernels.click import CLICK_METHODS, GOES_ON, click_segment

SPACING = (2.5, 2.0, 2.0)
SHAPE = (52, 64, 64)
CENTRE = (26, 32, 32)
Z, Y, X = (
    (n - c) * h for n, c, h in zip(np.indices(SHAPE).astype(float), CENTRE, SPACING, strict=True)
)


def _ball(diameter_mm: float, x_mm: float = 0.0) -> np.ndarray:
    return np.sqrt((X - x_mm) ** 2 + Y**2 + Z**2) <= diameter_mm / 2


ROD = (np.abs(X) <= 30.0) & (Y**2 + Z**2 <= 64.0)


def _painted(truth: np.ndarray, seed: int, noise: float = 5.0) -> np.ndarray:
    return np.where(truth, 200.0, 100.0) + np.random.default_rng(seed).normal(0, noise, SHAPE)


def _beside(x_mm: float) -> tuple[int, int, int]:
    return (CENTRE[0], CENTRE[1], CENTRE[2] + int(x_mm / SPACING[2]))


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(one & other) / (one.sum() + other.sum())


@pytest.mark.parametrize("method", CLICK_METHODS)
@pytest.mark.parametrize(
    ("truth", "off_mm"),
    [(_ball(32), 10.0), (_ball(32), 12.0), (_ball(40), 8.0), (_ball(40), 14.0), (ROD, 12.0)],
    ids=["32-10", "32-12", "40-8", "40-14", "rod-12"],
)
def test_a_part_of_a_large_lesion_is_never_silent(
    truth: np.ndarray, off_mm: float, method: str
) -> None:
    for seed, noise in ((1, 5.0), (2, 12.0)):
        found = click_segment(_painted(truth, seed, noise), SPACING, _beside(off_mm), method=method)
        overlap = _dice(found.mask, truth)
        if method == "random-walker" and truth is not ROD:
            assert overlap > 0.95
        assert overlap > 0.9 or found.doubt
        if found.shell_mm > 24.0:
            assert found.shell_mm in {36.0, 54.0}
            assert f"within {found.shell_mm:g} mm of the click" in found.doubt


@pytest.mark.parametrize("method", ["random-walker", "gradient-watershed"])
def test_the_whole_rod_is_found(method: str) -> None:
    found = click_segment(_painted(ROD, 1), SPACING, _beside(4.0), method=method)
    assert _dice(found.mask, ROD) > 0.9
    assert "holds no neighbour" in found.doubt


def test_grow_cut_is_taken_no_farther_than_36_mm() -> None:
    # The rod needs the shell of 54 mm, in which grow-cut fills organs: a doubt is all it says.
    found = click_segment(_painted(ROD, 1), SPACING, _beside(4.0), method="grow-cut")
    assert (found.shell_mm, found.doubt) == (24.0, GOES_ON)


@pytest.mark.parametrize("method", CLICK_METHODS)
@pytest.mark.parametrize("diameter_mm", [16.0, 24.0])
def test_nothing_is_said_of_a_lesion_within_the_shell(diameter_mm: float, method: str) -> None:
    truth = _ball(diameter_mm)
    for seed in (1, 2):
        for noise in (5.0, 12.0):
            values = _painted(truth, seed, noise)
            found = click_segment(values, SPACING, _beside(4.0), method=method)
            assert (found.doubt, found.shell_mm) == ("", 24.0)
            assert _dice(found.mask, truth) > 0.95


@pytest.mark.parametrize("method", CLICK_METHODS)
@pytest.mark.parametrize("apart_mm", [24.0, 22.0], ids=["touching", "joined"])
def test_a_bright_neighbour_is_a_doubt_and_no_leak(apart_mm: float, method: str) -> None:
    # A ball of 20 mm against one of 30 mm: the usual shell divides them where they meet.
    lesion = _ball(20)
    values = _painted(lesion | _ball(30, apart_mm), 1)
    found = click_segment(values, SPACING, _beside(-4.0), method=method)
    assert found.shell_mm == 24.0
    assert _dice(found.mask, lesion) > 0.9
    assert GOES_ON in found.doubt


def test_a_diameter_that_was_given_is_not_exceeded() -> None:
    values = _painted(_ball(32), 1)
    short = click_segment(values, SPACING, _beside(12.0), diameter_mm=20.0)
    assert short.shell_mm == 20.0
    assert GOES_ON in short.doubt
    right = click_segment(values, SPACING, _beside(12.0), diameter_mm=32.0)
    assert (right.doubt, right.shell_mm) == ("", 32.0)
    assert _dice(right.mask, _ball(32)) > 0.99


def test_a_lesion_in_an_organ_that_a_wider_shell_would_fill_stays_as_it_is() -> None:
    # A weak lesion in an organ of 60 mm: what a wider shell may add differs by its contrast.
    organ, lesion = _ball(60, 8.0), _ball(18)
    values = np.where(lesion, 180.0, np.where(organ, 150.0, 50.0))
    values += np.random.default_rng(3).normal(0, 8.0, SHAPE)
    found = click_segment(values, SPACING, _beside(4.0))
    assert _dice(found.mask, lesion) > 0.8
    assert found.shell_mm == 24.0


def test_added_tissue_is_told_by_its_median() -> None:
    # Closed form: median 0 and MAD 1, so a shift of 1.4826 is one standard deviation.
    before = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert added_differs(before, before + 1.4826) == pytest.approx(1.0)
    assert added_differs(before, before[:0]) == 0.0
    assert added_differs(np.ones(3), np.ones(2)) == 0.0
    assert added_differs(np.ones(3), np.zeros(2)) == np.inf


def test_one_body_fills_its_convex_hull() -> None:
    assert is_one_body(_ball(30))
    assert is_one_body(ROD)
    # Two equal balls that touch: 2 * 4/3 of pi r^3 in a hull of (2 + 4/3) pi r^3, which is 0.8.
    assert not is_one_body(_ball(24, -12.0) | _ball(24, 12.0))
    flat = np.zeros(SHAPE, dtype=bool)
    flat[26, 30:34, 30:34] = True
    assert is_one_body(flat)
