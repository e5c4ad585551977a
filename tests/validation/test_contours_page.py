"""A part of the validation page of contours."""

from __future__ import annotations

import pytest

from tests.validation.contours_page import CASES, errors


@pytest.mark.parametrize("case", CASES[2:5], ids=lambda c: c[0])
def test_known_shapes_stay_within_their_bounds(case):
    _, radius, spacing, step, inner, bound = case
    outlined, voxels, centre = errors(radius, spacing, step_mm=step, inner_mm=inner)
    assert abs(voxels) <= bound
    assert abs(outlined) <= bound
    assert centre < 0.5
