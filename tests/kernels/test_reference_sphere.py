"""Spheres in made organs: where the edges and vessels are is known from how they were painted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.reference_sphere import place_reference_sphere

SHAPE, SPACING = (24, 40, 40), (3.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def organ():
    """An organ that ends at i = 26, with a vessel along k at (j, i) = (20, 12)."""
    _, j, i = np.indices(SHAPE)
    values = np.where(i < 26, 200.0, 600.0)
    vessel = np.hypot((j - 20) * 2.0, (i - 12) * 2.0) <= 4.0
    values = np.where(vessel, 700.0, values)
    return values + np.random.default_rng(2).normal(0, 6.0, SHAPE), vessel, i >= 26


def test_the_sphere_keeps_off_the_edge_and_the_vessel(organ) -> None:
    values, vessel, beyond = organ
    # The click lies two voxels from the edge: a sphere of 18 mm cannot stay there.
    found = place_reference_sphere(values, SPACING, (12, 22, 23), diameter_mm=18.0)
    assert found.refused == ""
    assert not (found.mask & (vessel | beyond)).any()
    # Source: painted 200 with a noise of 6; the MAD of a normal distribution is 0.6745 SD.
    assert found.median == pytest.approx(200.0, abs=1.0)
    assert found.mad == pytest.approx(0.6745 * 6.0, rel=0.2)
    assert 0 < found.moved_mm <= 15.0
    # Volume of a sphere of 18 mm in voxels of 12 mm3, within what a grid can do.
    assert found.mask.sum() == pytest.approx(math.pi / 6 * 18.0**3 / 12.0, rel=0.06)


def test_an_even_organ_keeps_the_click() -> None:
    found = place_reference_sphere(np.full(SHAPE, 50.0), SPACING, (12, 20, 20), diameter_mm=16.0)
    assert (found.centre_index, found.moved_mm, found.mad) == ((12, 20, 20), 0.0, 0.0)


def test_a_volume_thinner_than_the_sphere_has_no_place_for_it() -> None:
    found = place_reference_sphere(np.full((3, 40, 40), 5.0), SPACING, (1, 20, 20), diameter_mm=18)
    assert "lies inside the volume" in found.refused
    assert not found.mask.any()


def test_nothing_is_placed_where_it_would_not_fit(organ) -> None:
    values = organ[0]
    wide = place_reference_sphere(values, SPACING, (12, 21, 23), diameter_mm=40.0, search_mm=5.0)
    assert "edges or vessels" in wide.refused
    assert math.isnan(wide.median)
    # In the vessel (8 mm across) a sphere of 6 mm with its margin has no place either.
    assert place_reference_sphere(values, SPACING, (12, 20, 12), diameter_mm=6.0).refused
    taken = np.ones(SHAPE, dtype=bool)
    held = place_reference_sphere(values, SPACING, (12, 30, 18), diameter_mm=10.0, taken=taken)
    assert "free of other regions" in held.refused
    hole = values.copy()
    hole[12, 30, 18] = np.nan
    assert "no value" in place_reference_sphere(hole, SPACING, (12, 30, 18), diameter_mm=9).refused


def test_other_regions_are_kept_off(organ) -> None:
    values, _, _ = organ
    taken = np.zeros(SHAPE, dtype=bool)
    taken[:, 28:34, 14:20] = True
    found = place_reference_sphere(values, SPACING, (12, 26, 19), diameter_mm=10.0, taken=taken)
    assert found.refused == ""
    assert not (found.mask & taken).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"diameter_mm": 0.0},
        {"search_mm": float("nan")},
        {"margin_mm": -1.0},
        {"tolerance": 1.0},
        {"seed_index": (24, 0, 0)},
        {"spacing_mm": (1.0, 1.0)},
        {"taken": np.zeros((1, 1, 1), dtype=bool)},
    ],
)
def test_what_makes_no_sense_is_refused(wrong) -> None:
    given = {"spacing_mm": SPACING, "seed_index": (1, 1, 1), "diameter_mm": 10.0, **wrong}
    spacing, seed = given.pop("spacing_mm"), given.pop("seed_index")
    with pytest.raises(InputError) as caught:
        place_reference_sphere(np.ones(SHAPE), spacing, seed, **given)
    assert caught.value.code == "E_ARGUMENT"
