"""Projections of volumes whose maxima are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import Cancelled
from napari_eprimg.view.display import DisplayGrid
from napari_eprimg.view.mip import project

GRID = DisplayGrid((12, 21, 31), (4.0, 2.0, 2.0), (-20.0, -20.0, -30.0))


def _point(grid: DisplayGrid, index: tuple[int, int, int]) -> tuple[float, float, float]:
    s, p, ell = (o + n * d for o, n, d in zip(grid.origin_mm, index, grid.spacing_mm, strict=True))
    return s, p, ell


@pytest.mark.parametrize("angles", [8, 9])
def test_a_single_hot_voxel_is_seen_where_it_lies_at_every_angle(angles: int) -> None:
    values = np.zeros(GRID.shape, np.float32)
    hot = (7, 4, 25)  # S = 8, P = -12, L = 20; the axis of the turn is P = 0, L = 0
    values[hot] = 9.0
    made = project(values, GRID, angles=angles)
    assert made.pictures.shape[:2] == (angles, 12)
    assert made.pictures[0].max() == 9.0  # nothing is lost where the rays meet voxel centres
    for number, degrees in enumerate(made.angles_deg):
        picture = made.pictures[number]
        assert picture.max() > 9.0 / 4
        row, column = np.unravel_index(int(picture.argmax()), picture.shape)
        assert row == 7
        angle = math.radians(degrees)
        expected = 20 * math.cos(angle) + (-12) * math.sin(angle)
        across = made.origin_mm[1] + column * made.pixel_mm
        assert across == pytest.approx(expected, abs=made.pixel_mm)
        found = made.point_at(number, 8.0, across, values)
        assert found == pytest.approx((8.0, -12.0, 20.0))
        assert made.across_mm(number, (8.0, -12.0, 20.0)) == pytest.approx(expected)


def test_the_front_and_side_pictures_are_the_maxima_along_the_axes() -> None:
    values = np.random.default_rng(0).random(GRID.shape, dtype=np.float32)
    made = project(values, GRID, angles=4)
    half = (made.pictures.shape[2] - 1) // 2
    front = made.pictures[0][:, half - 15 : half + 16]
    np.testing.assert_allclose(front, values.max(axis=1), rtol=1e-5)
    side = made.pictures[1][:, half - 10 : half + 11]
    np.testing.assert_allclose(side, values.max(axis=2), rtol=1e-5)
    np.testing.assert_array_equal(made.pictures[2], made.pictures[0][:, ::-1])


def test_anisotropic_voxels_keep_true_proportions() -> None:
    # A ball of 12 mm on voxels of 6 x 1 x 2 mm is 24 mm wide across at every angle.
    grid = DisplayGrid((11, 61, 31), (6.0, 1.0, 2.0), (-30.0, -30.0, -30.0))
    sides = zip(grid.origin_mm, grid.spacing_mm, grid.shape, strict=True)
    s, p, ell = np.meshgrid(*[o + d * np.arange(n) for o, d, n in sides], indexing="ij")
    values = (s**2 + p**2 + ell**2 <= 12**2).astype(np.float32)
    made = project(values, grid, angles=12)
    for picture in made.pictures:
        width = (picture[5] > 0.5).sum() * made.pixel_mm
        assert width == pytest.approx(24, abs=2.5)
        assert (picture > 0.5).any(axis=1).sum() == 5  # S = -12, -6, 0, 6, 12


def test_voxels_without_value_hide_nothing() -> None:
    values = np.full(GRID.shape, np.nan, np.float32)
    values[7, 4, 25] = 9.0
    assert project(values, GRID, angles=4).pictures[0].max() == 9.0
    nothing = project(np.full(GRID.shape, np.nan, np.float32), GRID, angles=4)
    assert (nothing.pictures == 0).all()
    assert nothing.point_at(0, 1e4, 0.0) is None


def test_the_work_tells_its_progress_and_stops_when_asked() -> None:
    values = np.zeros(GRID.shape, np.float32)
    shares: list[float] = []

    def stop(words: str, share: float) -> None:
        shares.append(share)
        if share >= 0.5:
            raise Cancelled()

    with pytest.raises(Cancelled):
        project(values, GRID, angles=36, progress=stop)
    assert shares == sorted(shares)
    assert len(shares) == 10  # of 18 that are turned: asked before every picture
