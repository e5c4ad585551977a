"""Contours: areas of known shapes, rules for holes, slabs and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.contours import (
    between_planes,
    overlap_area,
    planar_coverage,
    polygon_area,
    slab_borders,
    slab_coverage,
)


def circle(radius, centre, n=400):
    angle = 2 * np.pi * np.arange(n) / n
    return np.column_stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)])


def box(low, high):
    (a, b), (c, d) = low, high
    return np.array([[a, b], [a, d], [c, d], [c, b]], dtype=float)


def test_a_box_covers_the_parts_that_arithmetic_gives():
    """Rows 1.0 to 3.25, columns 0.5 to 2.75: products of the covered lengths."""
    found = planar_coverage([box((1.0, 0.5), (3.25, 2.75))], shape=(5, 4))
    rows = np.array([0.0, 0.5, 1.0, 0.75, 0.0])  # row 1 from its middle, row 3 up to 3.25 of 3.5
    columns = np.array([0.0, 1.0, 1.0, 0.25])
    np.testing.assert_allclose(found, np.outer(rows, columns), atol=1e-12)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_triangle_against_exact_areas(turn):
    """Below the diagonal of a square of 4 voxels: half of the voxels on it, all below, none above.

    The sense of rotation does not matter.
    """
    corners = np.array([[-0.5, -0.5], [3.5, -0.5], [3.5, 3.5]])[::turn]
    found = planar_coverage([corners], shape=(4, 4))
    exact = np.tril(np.ones((4, 4)), -1) + 0.5 * np.eye(4)
    np.testing.assert_allclose(found, exact, atol=1e-9)


def test_area_of_a_circle_and_of_its_polygon():
    polygon = circle(7.3, (10.2, 9.6))
    inscribed = 0.5 * 400 * 7.3**2 * np.sin(2 * np.pi / 400)  # area of a regular 400-gon
    assert polygon_area(polygon) == pytest.approx(inscribed, rel=1e-12)
    assert planar_coverage([polygon], shape=(21, 20)).sum() == pytest.approx(inscribed, rel=2e-4)


def test_holes_islands_and_keyholes():
    outer, hole, island = (circle(r, (12.0, 12.0)) for r in (9.0, 6.0, 2.0))
    ring = planar_coverage([outer, hole, island], shape=(25, 25))
    assert ring.sum() == pytest.approx(np.pi * (81 - 36 + 4), rel=1e-3)
    assert ring[12, 12] == 1.0
    assert ring[12, 8] == 0.0
    # the same hole, reached by a channel of no width
    order = np.argmax(outer[:, 1]), np.argmax(hole[:, 1])
    a = np.roll(outer, -order[0], axis=0)
    b = np.roll(hole, -order[1], axis=0)[::-1]
    keyhole = np.vstack([a, a[:1], b, b[:1]])
    np.testing.assert_allclose(
        planar_coverage([keyhole], shape=(25, 25)),
        planar_coverage([outer, hole], shape=(25, 25)),
        atol=1e-9,
    )


def test_what_lies_outside_is_left_out():
    polygon = box((-5.0, -5.0), (1.5, 2.0))
    expected = np.outer([1.0, 1.0, 0.0], [1.0, 1.0, 0.5, 0.0])  # columns end in the middle of 2
    np.testing.assert_allclose(planar_coverage([polygon], shape=(3, 4)), expected, atol=1e-12)
    assert planar_coverage([box((9, 9), (12, 12))], shape=(3, 4)).sum() == 0.0
    assert planar_coverage([], shape=(3, 4)).sum() == 0.0
    huge = box((-50.0, -50.0), (50.0, 50.0))
    assert (planar_coverage([huge], shape=(3, 4)) == 1.0).all()


@pytest.mark.parametrize("corners", [[[0, 0], [np.nan, 1], [1, 1]], [[0, 0, 0]], [1.0, 2.0]])
def test_corners_that_are_none(corners):
    with pytest.raises(InputError) as caught:
        planar_coverage([corners], shape=(3, 3))
    assert caught.value.code == "E_ARGUMENT"
    with pytest.raises(InputError):
        planar_coverage([], shape=(3, 3), lines=0)


def test_shared_area_of_two_circles():
    """Lens of two circles of radius r at distance d: 2 r^2 acos(d/2r) - d/2 sqrt(4 r^2 - d^2)."""
    r, d = 6.0, 7.0
    lens = 2 * r**2 * np.arccos(d / (2 * r)) - d / 2 * np.sqrt(4 * r**2 - d**2)
    one, other = circle(r, (0.0, 0.0)), circle(r, (0.0, d))
    assert overlap_area(one, other) == pytest.approx(lens, rel=0.01)
    assert overlap_area(one, circle(r, (0.0, 13.0))) == 0.0
    assert overlap_area(one, circle(0.05, (1.0, 1.0))) == pytest.approx(np.pi * 0.05**2, rel=0.01)
    # the corners of the boxes around them meet, they do not
    assert overlap_area(one, circle(r, (9.0, 9.0))) == pytest.approx(0.0, abs=0.02)


def test_slabs_meet_half_way_and_stop_at_gaps():
    slabs = slab_borders([2.0, 3.0, 4.2, 9.0], thickness=1.0)
    np.testing.assert_allclose(slabs.lower, [1.5, 2.5, 3.6, 8.5])
    np.testing.assert_allclose(slabs.upper, [2.5, 3.6, 4.7, 9.5])
    assert slabs.gaps == (2,)


def test_slabs_fill_slices_by_their_overlap():
    plane = np.full((2, 2), 0.5)
    first, covered = slab_coverage(
        [plane, 2 * plane], slab_borders([0.25, 2.25], thickness=2.0), n_slices=9
    )
    # slabs -0.75 to 1.25 (half covered) and 1.25 to 3.25: slice 1 has 0.75 of one, 0.25 of the next
    assert first == 0
    np.testing.assert_allclose(covered[:, 0, 0], [0.5, 0.75 * 0.5 + 0.25, 1.0, 0.75])
    first, covered = slab_coverage([plane], slab_borders([20.0], thickness=1.0), n_slices=9)
    assert covered.shape[0] == 0


def test_between_two_discs_lies_a_disc_of_the_mean_radius():
    j, i = np.mgrid[:41, :41] - 20.0
    radius = np.hypot(j, i)
    middle = between_planes(radius <= 6.0, radius <= 14.0, 0.5)
    assert abs(np.sqrt(middle.sum() / np.pi) - 10.0) < 0.3
    np.testing.assert_array_equal(between_planes(radius <= 6.0, radius <= 14.0, 0.0), radius <= 6.0)
