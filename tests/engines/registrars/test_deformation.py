"""Jacobians and inverse consistency of fields whose derivatives are known."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.deformation import (
    body_nodes,
    inverse_consistency,
    jacobian_figures,
    smallest_jacobian,
)
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

# Axes of the grid are turned against the patient: derivatives must not care.
C, S = np.cos(0.4), np.sin(0.4)
TURN = np.array([[0.0, -S, C], [0.0, C, S], [1.0, 0.0, 0.0]])


def grid(shape=(7, 8, 9), spacing=(5.0, 4.0, 3.0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = TURN * spacing
    affine[:3, 3] = (3.0, -7.0, 11.0)
    return Grid(shape, affine, "1.2.3")


def linear(slope: np.ndarray) -> Displacement:
    where = grid()
    nodes = Displacement(np.zeros((*where.shape, 3)), where).nodes_mm()
    return Displacement((nodes @ slope.T).astype(np.float32), where)


def bent(field: Displacement, matrix: np.ndarray | None = None) -> Transform:
    return Transform(np.eye(4) if matrix is None else matrix, "1.2.3", "4.5.6", field)


def test_a_linear_field_has_its_determinant_everywhere() -> None:
    slope = np.array([[0.1, 0.05, 0.0], [0.0, -0.2, 0.1], [0.02, 0.0, 0.15]])
    expected = np.linalg.det(np.eye(3) + slope)
    found = jacobian_figures(bent(linear(slope)))
    assert found.smallest == pytest.approx(expected, abs=1e-5)
    assert found.first_percentile == pytest.approx(expected, abs=1e-5)
    assert found.sd_log == pytest.approx(0.0, abs=1e-5)
    assert found.folding_percent == 0.0
    twice = np.diag([2.0, 1.0, 1.0, 1.0])
    doubled = jacobian_figures(bent(linear(slope), twice))
    assert doubled.smallest == pytest.approx(2 * expected, abs=1e-4)


def test_a_mirrored_axis_folds_everything() -> None:
    found = jacobian_figures(bent(linear(np.diag([-2.0, 0.0, 0.0]))))
    assert found.smallest == pytest.approx(-1.0, abs=1e-5)
    assert found.folding_percent == 100.0
    assert found.sd_log == np.inf


def test_one_crossing_is_seen_by_one_sided_differences_only_where_it_is() -> None:
    where = grid()
    vectors = np.zeros((*where.shape, 3), dtype=np.float32)
    # One node jumps 1.2 spacings along i: its next cell is turned inside out (J = 1 - 1.2), but the
    # central difference there sees nothing.
    vectors[3, 4, 4] = 1.2 * where.spacing_mm[2] * where.axes_lps[:, 2]
    field = Displacement(vectors, where)
    assert smallest_jacobian(field) == pytest.approx(-0.2, abs=1e-5)
    found = jacobian_figures(bent(field))
    # The node and its neighbour along i touch the cell edge that crosses.
    assert found.folding_percent == pytest.approx(100.0 * 2 / (7 * 8 * 9))
    away = np.zeros(where.shape, dtype=bool)
    away[0] = True
    apart = jacobian_figures(bent(field), away)
    assert (apart.smallest, apart.folding_percent) == (1.0, 0.0)
    assert apart.smallest_anywhere == pytest.approx(-0.2, abs=1e-5)


def test_sd_of_the_logarithm() -> None:
    where = grid(shape=(4, 4, 41), spacing=(5.0, 5.0, 1.0))
    # u along i with u' = a sin(x): SD of log(1 + a sin x) over a period, by quadrature.
    x = np.arange(41) * 2 * np.pi / 40
    scale = 2 * np.pi / 40  # spacing of 1 mm is this phase
    u = 0.3 / scale * (1 - np.cos(x))
    vectors = (u[:, None] * where.axes_lps[:, 2]).astype(np.float32)
    field = Displacement(np.broadcast_to(vectors, (4, 4, 41, 3)), where)
    fine = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    expected = np.log(1 + 0.3 * np.sin(fine)).std()
    assert jacobian_figures(bent(field)).sd_log == pytest.approx(expected, rel=0.03)


def test_a_rigid_transform_changes_no_volume() -> None:
    found = jacobian_figures(Transform(np.eye(4), "1.2.3", "4.5.6"))
    assert found == (1.0, 1.0, 0.0, 0.0, 1.0)


def test_body_nodes_are_those_above_the_mean() -> None:
    values = np.zeros((4, 4, 4), dtype=np.float32)
    values[2] = 9.0
    fixed = Grid((4, 4, 4), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2.3")
    nodes = Grid((6, 2, 2), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2.3")
    found = body_nodes(values, fixed, nodes)
    assert found[2].all()
    assert found.sum() == 4


def test_inverse_consistency_is_the_distance_there_and_back() -> None:
    points = np.random.default_rng(0).uniform(5, 20, (50, 3)) @ TURN.T
    there = np.eye(4)
    there[:3, 3] = (3.0, 0.0, 0.0)
    back = np.eye(4)
    back[:3, 3] = (-3.0, 0.4, 0.0)
    found = inverse_consistency(
        Transform(there, "1.2.3", "4.5.6"), Transform(back, "4.5.6", "1.2.3"), points
    )
    assert found.mean_mm == pytest.approx(0.4)
    assert found.p95_mm == pytest.approx(0.4)
