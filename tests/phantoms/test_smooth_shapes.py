"""Distances of soft solids: against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg_phantoms.smooth_shapes import SmoothRound, SmoothTube, soft_share


def at(*points) -> np.ndarray:
    return np.array(points, dtype=np.float32).T


def test_distance_from_a_sphere_is_radius_minus_distance_from_its_centre() -> None:
    sphere = SmoothRound.build([1, 2, 3], [5, 5, 5])
    points = at([1, 2, 3], [4, 2, 3], [1, 2, 12], [1 + 3, 2 + 4, 3])
    # |p - c| - 5: -5, -2, 4, 0.
    np.testing.assert_allclose(sphere.distance(points), [-5, -2, 4, 0], atol=1e-5)


def test_distance_from_a_turned_ellipsoid_along_its_axes() -> None:
    """Turned by 90 degrees about z, the long axis lies along y; near the surface it is exact."""
    solid = SmoothRound.build([0, 0, 0], [20, 5, 10], [0, 0, 90])
    points = at([0, 20.1, 0], [0, 19.9, 0], [5.1, 0, 0], [0, 0, 10])
    np.testing.assert_allclose(solid.distance(points), [0.1, -0.1, 0.1, 0], atol=2e-3)
    np.testing.assert_allclose(solid.box_mm, [[-5, -20, -10], [5, 20, 10]], atol=1e-9)


def test_cylinder_ends_flat() -> None:
    solid = SmoothRound.build([0, 0, 0], [4, 4, 9], flat_ends=True)
    points = at([0, 0, 12], [0, 0, 8], [6, 0, 0], [0, 3, 0])
    np.testing.assert_allclose(solid.distance(points), [3, -1, 2, -1], atol=1e-5)


def test_tube_is_round_bends_and_tapers() -> None:
    tube = SmoothTube.build([[0, 0, 0], [10, 0, 0], [10, 20, 0]], [2, 2, 4])
    points = at([5, 0, 3], [-3, 0, 0], [10, 24, 0], [13, 10, 0], [5, 0, 0])
    # Beside the first piece 3 - 2; before its end 3 - 2; on the round end; at half of the second
    # piece the radius is 3; on the axis -2.
    np.testing.assert_allclose(tube.distance(points), [1, 1, 0, 0, -2], atol=1e-5)


def test_stretched_tube_is_wider_and_its_box_says_so() -> None:
    tube = SmoothTube.build([[0, 0, -5], [0, 0, 5]], 3.0, [2, 1, 1])
    np.testing.assert_allclose(tube.distance(at([6, 0, 0], [0, 3, 0])), [0, 0], atol=1e-5)
    np.testing.assert_allclose(tube.box_mm, [[-6, -3, -8], [6, 3, 8]])


@pytest.mark.parametrize(
    "solid",
    [
        SmoothRound.build([8, 1, 2], [9, 3, 5], [10, 20, 30]),
        SmoothTube.build([[3, 0, 0], [9, 4, 2]], [2, 3], [1, 2, 1]),
    ],
)
def test_mirrored_and_moved_solids_keep_their_shape(solid) -> None:
    points = np.random.default_rng(1).uniform(-15, 15, (3, 50)).astype(np.float32)
    flipped = points * np.array([[-1], [1], [1]], dtype=np.float32)
    np.testing.assert_allclose(
        solid.mirrored().distance(flipped), solid.distance(points), atol=1e-4
    )
    step = np.array([2.0, -3.0, 4.0])
    there = points + step[:, None].astype(np.float32)
    np.testing.assert_allclose(solid.moved(step).distance(there), solid.distance(points), atol=1e-4)


def test_share_is_one_half_at_the_surface_and_falls_outwards() -> None:
    share = soft_share(np.array([-2, -1.5, -0.4, 0, 0.4, 1.5, 2], dtype=np.float32), 1.5)
    np.testing.assert_allclose(share[[0, 1, 3, 5, 6]], [1, 1, 0.5, 0, 0], atol=1e-6)
    assert share[2] + share[4] == pytest.approx(1.0)
    assert 0.5 < share[2] < 1.0
