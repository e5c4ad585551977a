"""Displacement fields: interpolation by hand, grids that grow, and bent transforms."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform


def grid(shape: tuple[int, int, int] = (9, 10, 11), frame: str = "A") -> Grid:
    affine = np.array([[0, 0, 4.0, -20], [0, 4.0, 0, -18], [4.0, 0, 0, -16], [0, 0, 0, 1]])
    return Grid(shape, affine, frame)


def bump(lattice: Grid, height_mm: float = 3.0) -> Displacement:
    """Smooth shift along x and z that fades to zero at the border."""
    index = np.stack(np.indices(lattice.shape, dtype=float), axis=-1)
    window = np.prod(np.sin(np.pi * index / (np.array(lattice.shape) - 1)) ** 2, axis=-1)
    direction = np.array([1.0, 0.0, -0.5])
    return Displacement((height_mm * window[..., None] * direction).astype(np.float32), lattice)


def test_linear_between_nodes_by_hand() -> None:
    vectors = np.zeros((2, 2, 2, 3), dtype=np.float32)
    vectors[1, 0, 1] = (8.0, -4.0, 2.0)
    lattice = Grid((2, 2, 2), np.diag([2.0, 3.0, 5.0, 1.0]), "A")
    field = Displacement(vectors, lattice)
    # a quarter, a third and a half of the way along the axes, which here are x, y and z
    share = 0.25 * (1 - 1 / 3) * 0.5
    assert field.at((0.5, 1.0, 2.5)) == pytest.approx(np.array([8.0, -4.0, 2.0]) * share)
    assert field.at((2.0, 0.0, 5.0)) == pytest.approx((8.0, -4.0, 2.0))
    assert field.at([[2.01, 0.0, 5.0], [0.0, -0.1, 0.0]]) == pytest.approx(0.0)
    assert field.largest_mm == pytest.approx(np.sqrt(84.0))


def test_refusals() -> None:
    with pytest.raises(GeometryError, match="one vector"):
        Displacement(np.zeros((2, 2, 3), dtype=np.float32), grid((2, 2, 2)))
    with pytest.raises(GeometryError, match="finite"):
        Displacement(np.full((2, 2, 2, 3), np.nan, dtype=np.float32), grid((2, 2, 2)))
    with pytest.raises(GeometryError, match="another frame"):
        Transform(np.eye(4), "B", "C", bump(grid()))


def test_grown_grids_keep_their_nodes() -> None:
    field = bump(grid())
    wide = field.widened(5.0)  # two nodes of 4 mm on every side
    assert wide.shape == (13, 14, 15)
    assert wide.index_to_lps_mm((2, 2, 2)) == pytest.approx(field.grid.index_to_lps_mm((0, 0, 0)))
    other = Grid((2, 2, 2), np.array(grid().affine) @ np.diag([12.0, 1, 1, 1]), "A")
    assert field.covering(other).shape == (13, 10, 11)


def rigid(a: str = "A", b: str = "B") -> Transform:
    angle = np.radians(7.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = (3.0, -2.0, 5.0)
    return Transform(matrix, a, b)


def points(number: int = 200) -> np.ndarray:
    return np.random.default_rng(4).uniform((-18, -16, -14), (18, 16, 14), (number, 3))


def finer() -> Grid:
    """Half the spacing over the same box."""
    affine = np.array(grid().affine)
    affine[:3, :3] /= 2.0
    return Grid((17, 19, 21), affine, "A")


def test_inverse_of_a_bent_transform_leads_back() -> None:
    left = []
    for lattice in (grid(), finer()):
        bent = Transform(rigid().matrix, "A", "B", bump(lattice))
        assert not bent.is_affine
        there = bent.apply(points())
        assert np.abs(there - rigid().apply(points())).max() > 2.0
        assert (bent.inverse().from_frame, bent.inverse().to_frame) == ("B", "A")
        left.append(np.linalg.norm(bent.inverse().apply(there) - points(), axis=1))
    # What is left is linear interpolation between nodes: a quarter at half the spacing.
    assert left[0].max() < 0.5
    assert left[1].max() < 0.15
    assert left[1].mean() < 0.4 * left[0].mean()


def test_composition_in_every_order() -> None:
    bent = Transform(rigid().matrix, "A", "B", bump(grid()))
    after = bent.then(rigid("B", "C"))
    before = rigid("C", "A").then(bent)
    assert after.apply(points()) == pytest.approx(rigid("B", "C").apply(bent.apply(points())))
    assert before.apply(points()) == pytest.approx(
        bent.apply(rigid("C", "A").apply(points())), abs=1e-4
    )
    second = Transform(np.eye(4), "B", "C", bump(grid(frame="B"), -2.0))
    both = bent.then(second)
    # the second field is read between nodes of the first one's grid
    assert np.abs(both.apply(points()) - second.apply(bent.apply(points()))).max() < 0.15


def test_a_field_that_folds_has_no_inverse() -> None:
    lattice = grid()
    vectors = np.zeros((*lattice.shape, 3), dtype=np.float32)
    x = lattice.index_to_lps_mm(np.stack(np.indices(lattice.shape, float), axis=-1))[..., 0]
    vectors[..., 0] = -2.5 * x  # mirrors the axis: slope of p + u is -1.5
    with pytest.raises(GeometryError, match="folds"):
        Transform(np.eye(4), "A", "B", Displacement(vectors, lattice)).inverse()


def test_short_form_names_the_field() -> None:
    text = repr(Transform(np.eye(4), "A", "B", bump(grid())))
    assert "at most 3" in text
    assert "voxels" in text


def test_the_jump_at_the_border_is_known() -> None:
    vectors = np.zeros((4, 4, 4, 3), dtype=np.float32)
    vectors[1, 2, 2] = (9.0, 0.0, 0.0)
    vectors[3, 1, 1] = (0.0, 3.0, 4.0)
    assert Displacement(vectors, grid((4, 4, 4))).largest_at_border_mm == pytest.approx(5.0)
    assert bump(grid()).largest_at_border_mm < 1e-6
