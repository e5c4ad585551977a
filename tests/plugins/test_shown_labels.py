"""Painting on the display grid changes the voxels behind the paint, and no other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from napari_eprimg.reading.shown_labels import painted_voxels
from napari_eprimg.view.display import display_grid, show_on

SHAPE = (7, 8, 9)


def _turned(order: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        affine[row, axis] = sign * spacing[axis]
    affine[:3, 3] = (11.0, -7.0, 30.0)
    return Grid(SHAPE, affine, "1.2.3")


def _oblique(about_x_deg: float, about_y_deg: float, spacing: tuple[float, ...]) -> Grid:
    a, b = np.radians([about_x_deg, about_y_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    affine = np.eye(4)
    # Axes (k, j, i) along S, P, L before the turn.
    affine[:3, :3] = (about_y @ about_x)[:, [2, 1, 0]] * spacing
    return Grid(SHAPE, affine, "1.2.3")


def _behind(grid: Grid, shape: tuple[int, ...], target) -> np.ndarray:
    """Nearest voxel of every shown voxel by brute force over all distances; -1 outside."""
    voxels = np.array(list(np.ndindex(*grid.shape)))
    places = grid.index_to_lps_mm(voxels)
    found = np.full(shape, -1)
    for index in np.ndindex(*shape):
        spl = np.array(target.origin_mm) + np.array(index) * target.spacing_mm
        exact = grid.lps_mm_to_index(spl[::-1])
        if (exact < -0.5).any() or (exact > np.array(grid.shape) - 0.5).any():
            continue
        # Along the axes of the grid the nearest centre is the nearest in each of them.
        distance = np.abs((places - spl[::-1]) @ grid.axes_lps).max(axis=1)
        steps = np.abs(voxels - exact).max(axis=1)
        assert distance[steps.argmin()] <= max(grid.spacing_mm)
        found[index] = steps.argmin()
    return found


@pytest.mark.parametrize(
    ("order", "signs"),
    list(
        itertools.product(itertools.permutations((0, 1, 2)), [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
    ),
)
def test_an_axis_aligned_grid_is_a_bijection(order, signs) -> None:
    grid = _turned(order, signs, (3.0, 1.0, 2.0))
    target = display_grid(grid)
    rng = np.random.default_rng(1)
    before = rng.integers(0, 4, SHAPE).astype(np.int32)
    wanted = rng.integers(0, 4, SHAPE).astype(np.int32)
    shown = np.array(show_on(wanted, grid, target, outside=0))
    places, values = painted_voxels(before, grid, shown, target)
    after = before.copy()
    after.ravel()[places] = values
    np.testing.assert_array_equal(after, wanted)
    np.testing.assert_array_equal(places, np.flatnonzero(before != wanted))


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-35, 35),
    st.floats(-35, 35),
    st.integers(0, 2**31),
    st.sampled_from([(1.0, 1.0, 1.0), (4.0, 1.5, 1.5), (1.0, 2.0, 3.0)]),
)
def test_nothing_that_was_not_painted_changes_on_oblique_grids(
    about_x: float, about_y: float, seed: int, spacing: tuple[float, ...]
) -> None:
    grid = _oblique(about_x, about_y, spacing)
    target = display_grid(grid)
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 3, SHAPE).astype(np.int32)
    shown = np.array(show_on(before, grid, target, outside=0))
    painted = np.zeros(shown.shape, dtype=bool)
    corner = [rng.integers(0, n) for n in shown.shape]
    painted[tuple(slice(c, c + 4) for c in corner)] = True
    shown[painted] = 9
    places, values = painted_voxels(before, grid, shown, target)
    assert (values == 9).all()
    assert np.unique(places).size == places.size
    behind = show_on(np.arange(before.size).reshape(SHAPE), grid, target, outside=-1)
    wanted = set(behind[painted & (behind >= 0)].tolist())
    assert wanted <= set(places.tolist())
    # Beyond those, only voxels that are shown nowhere and lie at the paint.
    more = sorted(set(places.tolist()) - wanted)
    assert not np.isin(more, behind).any()
    for place in more:
        spl = grid.index_to_lps_mm(np.unravel_index(place, SHAPE))[::-1]
        nearest = np.rint((spl - target.origin_mm) / target.spacing_mm).astype(int)
        assert painted[tuple(nearest)]


@pytest.mark.parametrize("turn", [(0.0, 0.0), (20.0, 0.0), (12.0, -17.0)])
def test_one_painted_voxel_reaches_the_voxel_nearest_to_it(turn: tuple[float, float]) -> None:
    grid = _oblique(*turn, (2.0, 1.0, 1.0))
    target = display_grid(grid)
    behind = _behind(grid, target.shape, target)
    before = np.zeros(SHAPE, dtype=np.int32)
    rng = np.random.default_rng(3)
    inside = np.argwhere(behind >= 0)
    for index in inside[rng.choice(len(inside), 25, replace=False)]:
        shown = np.zeros(target.shape, dtype=np.uint16)
        shown[tuple(index)] = 5
        places, values = painted_voxels(before, grid, shown, target)
        assert behind[tuple(index)] in places.tolist()
        assert set(values.tolist()) == {5}


def test_a_box_saves_time_and_changes_nothing() -> None:
    grid = _oblique(10.0, 5.0, (2.0, 1.0, 1.0))
    target = display_grid(grid)
    before = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.int32)
    shown = np.array(show_on(before, grid, target, outside=0))
    shown[2:5, 3:6, 4:7] = 7
    whole = painted_voxels(before, grid, shown, target)
    part = painted_voxels(before, grid, shown, target, box=(slice(2, 5), slice(3, 6), slice(4, 7)))
    np.testing.assert_array_equal(whole[0], part[0])
    np.testing.assert_array_equal(whole[1], part[1])


def test_unpainted_and_foreign_arrays() -> None:
    grid = _oblique(25.0, 5.0, (2.0, 1.0, 1.0))
    target = display_grid(grid)
    before = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.int32)
    shown = np.array(show_on(before, grid, target, outside=0))
    places, values = painted_voxels(before, grid, shown, target)
    assert places.size == values.size == 0
    # Paint beyond the field of view of the source has no voxel to go to.
    outside = show_on(np.ones(SHAPE, dtype=np.int32), grid, target, outside=0) == 0
    shown[outside] = 4
    assert painted_voxels(before, grid, shown, target)[0].size == 0
    with pytest.raises(GeometryError):
        painted_voxels(before, grid, shown[1:], target)
