from __future__ import annotations

import numpy as np
import pytest

from eprimg.report.drawing import style
from eprimg.report.lettering import Lettering, take_off
from eprimg.report.sheet import Sheet


def test_lettering_mixes_with_what_lies_under_it() -> None:
    with style():
        source = Sheet(40, 30)
        source.write(20, 15, "X", color="#ff0000", alpha=0.5, ha="center", va="center", size=30)
        lettering = source.lettering()
    under = np.full((80, 90, 3), (0, 100, 200), np.uint8)
    lettering.lay_over(under, top=50, left=40)
    full = lettering.opacity[:, 0].max()
    assert full == pytest.approx(127.5, abs=1)
    place = np.argmax(lettering.opacity[:, 0])
    found = under[lettering.rows[place] + 50, lettering.columns[place] + 40]
    # Half of pure red and half of the ground.
    np.testing.assert_allclose(found, (127.5, 50, 100), atol=1)
    touched = np.zeros(under.shape[:2], bool)
    touched[lettering.rows + 50, lettering.columns + 40] = True
    assert (under[~touched] == (0, 100, 200)).all()
    assert touched.any()


def test_the_middle_of_a_step_is_rounded_and_full_ink_covers() -> None:
    zero = np.zeros(2, np.intp)
    opacity = np.array([[51], [255]], np.uint32)
    ink = np.array([[100, 0, 0], [7, 8, 9]], np.uint32) * opacity
    pixels = np.full((1, 2, 3), 10, np.uint8)
    Lettering(zero, np.array([0, 1]), opacity, ink).lay_over(pixels)
    # A fifth of 100 and four fifths of 10; then all of the ink.
    assert pixels.tolist() == [[[28, 8, 8], [7, 8, 9]]]


def test_an_empty_figure_leaves_the_ground_alone() -> None:
    nothing = take_off(Sheet(20, 10).figure)
    pixels = np.arange(600, dtype=np.uint8).reshape(10, 20, 3)
    before = pixels.copy()
    nothing.lay_over(pixels)
    np.testing.assert_array_equal(pixels, before)
