"""Grid: index and millimetre, refusals, matches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid


def oblique(angles: tuple[float, float, float], spacing: tuple[float, float, float]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    affine[:3, 3] = (-100.0, 40.0, 7.0)
    return Grid((5, 6, 7), affine, "1.2.3")


def test_spacing_and_volume_by_hand() -> None:
    # 4 x 2 x 1.5 mm = 12 mm3 = 0.012 mL, whatever the rotation.
    grid = oblique((10, -20, 30), (4.0, 2.0, 1.5))
    assert grid.spacing_mm == pytest.approx((4.0, 2.0, 1.5))
    assert grid.voxel_volume_ml == pytest.approx(0.012)
    assert grid.index_to_lps_mm((0, 0, 0)) == pytest.approx((-100, 40, 7))
    assert np.abs(np.linalg.det(grid.axes_lps)) == pytest.approx(1.0)
    assert grid.center_lps_mm == pytest.approx(grid.index_to_lps_mm((2, 2.5, 3)))


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.3, 8.0)] * 3),
    st.tuples(*[st.floats(-50, 50)] * 3),
)
def test_index_round_trip(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    index: tuple[float, float, float],
) -> None:
    grid = oblique(angles, spacing)
    assert np.allclose(grid.lps_mm_to_index(grid.index_to_lps_mm(index)), index, atol=1e-6)


def test_matches_needs_frame_shape_and_place() -> None:
    grid = oblique((1, 2, 3), (4, 2, 2))
    assert grid.matches(Grid(grid.shape, grid.affine, "1.2.3"))
    assert not grid.matches(Grid(grid.shape, grid.affine, "9"))
    assert not grid.matches(Grid((5, 6, 8), grid.affine, "1.2.3"))
    moved = grid.affine.copy()
    moved[0, 3] += 0.02
    other = Grid(grid.shape, moved, "1.2.3")
    assert not grid.matches(other)
    assert grid.matches(other, tolerance_mm=0.03)
    with pytest.raises(GeometryError, match="different grids") as caught:
        grid.require_match(other)
    assert caught.value.code == "E_GRID_MISMATCH"
    with pytest.raises(GeometryError, match="frames of reference") as caught:
        grid.require_match(Grid(grid.shape, grid.affine, "9"))
    assert caught.value.code == "E_FOR"


@pytest.mark.parametrize(
    ("shape", "change", "frame", "code"),
    [
        ((0, 1, 1), {}, "1", "E_GEOM_MATRIX"),
        ((1, 1), {}, "1", "E_GEOM_MATRIX"),
        ((1, 1, 1), {(0, 0): np.nan}, "1", "E_GEOM_MATRIX"),
        ((1, 1, 1), {(0, 0): 0.0}, "1", "E_GEOM_MATRIX"),
        ((1, 1, 1), {(3, 0): 1.0}, "1", "E_GEOM_MATRIX"),
        ((1, 1, 1), {(0, 1): 0.01}, "1", "E_GEOM_SHEAR"),
        ((1, 1, 1), {}, "", "E_FOR"),
    ],
)
def test_impossible_grids_are_refused(
    shape: tuple[int, ...], change: dict[tuple[int, int], float], frame: str, code: str
) -> None:
    affine = np.eye(4)
    for place, value in change.items():
        affine[place] = value
    with pytest.raises(GeometryError) as caught:
        Grid(shape, affine, frame)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_the_affine_cannot_be_changed() -> None:
    grid = oblique((0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2.0
    assert "5 x 6 x 7" in repr(grid)
