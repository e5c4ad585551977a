"""B-spline fields against scipy's splines, closed forms, and a dense solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from eprimg.kernels.spline_field import SplineField, conjugate_gradients, transferred

BOX = (100.0, 70.0, 40.0)


def linear(field: SplineField, slope: np.ndarray) -> np.ndarray:
    """Control points of a field whose component n is slope[n] . position: their own positions."""
    axes = [
        (length - (n - 3) * field.spacing_mm) / 2 + (np.arange(n) - 1) * field.spacing_mm
        for length, n in zip(field.lengths_mm, field.shape, strict=True)
    ]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    return np.einsum("na,akji->nkji", slope, place)


def all_at(field: SplineField, points: list[np.ndarray]) -> list[np.ndarray]:
    return [field.matrix(axis, at) for axis, at in enumerate(points)]


def test_weights_are_those_of_scipy() -> None:
    field = SplineField(BOX, 30.0)
    at = np.linspace(0.0, BOX[0], 41)
    # 100 mm need 4 intervals of 30 mm, centred on the box: from -10 to 110 mm.
    knots = -10.0 + 30.0 * np.arange(-3, 8)
    for derivative in range(3):
        expected = np.stack(
            [BSpline(knots, row, 3)(at, nu=derivative) for row in np.eye(7)], axis=1
        )
        np.testing.assert_allclose(field.matrix(0, at, derivative), expected, atol=1e-12)
    assert field.shape == (7, 6, 5)


def test_outside_the_box_counts_as_its_edge() -> None:
    field = SplineField(BOX, 30.0)
    np.testing.assert_array_equal(field.matrix(1, [-50.0, 500.0]), field.matrix(1, [0.0, 70.0]))


def test_a_straight_field_is_straight_and_costs_no_bending() -> None:
    field = SplineField(BOX, 25.0)
    slope = np.array([[0.1, -0.2, 0.3], [0.0, 0.05, 0.0], [0.2, 0.0, -0.1]])
    found = linear(field, slope)
    at = [np.linspace(0, length, 5) for length in BOX]
    place = np.stack(np.meshgrid(*at, indexing="ij"))
    np.testing.assert_allclose(
        field.values(found, all_at(field, at)), np.einsum("na,akji->nkji", slope, place), atol=1e-9
    )
    # What is left is the small weight of the gradient and of the field itself: 1e-6 and 1e-9.
    gradient = 1e-6 * (slope**2).sum()
    fine = [(np.arange(200) + 0.5) / 200 * length for length in BOX]
    moments = [np.mean(f) for f in fine], [np.mean(f**2) for f in fine]
    cross = np.outer(moments[0], moments[0])
    np.fill_diagonal(cross, moments[1])
    itself = 1e-9 * np.einsum("na,ab,nb->", slope, cross, slope)
    energy = float(np.sum(found * field.stiffness(found)))
    assert energy == pytest.approx(gradient + itself, rel=1e-3)


def test_bending_energy_is_the_mean_of_squared_second_derivatives() -> None:
    field = SplineField(BOX, 30.0)
    coefficients = np.random.default_rng(1).standard_normal((3, *field.shape))
    at = [(np.arange(40) + 0.5) / 40 * length for length in BOX]
    expected = 0.0
    for first in range(3):
        for second in range(3):
            orders = [0, 0, 0]
            orders[first] += 1
            orders[second] += 1
            parts = [field.matrix(a, at[a], orders[a]) for a in range(3)]
            expected += float((field.values(coefficients, parts) ** 2).sum(axis=0).mean())
    assert np.sum(coefficients * field.stiffness(coefficients)) == pytest.approx(expected, rel=0.01)


def test_a_field_is_kept_by_a_finer_net() -> None:
    old, new = SplineField(BOX, 60.0), SplineField(BOX, 20.0)
    found = linear(old, np.array([[0.1, 0.0, 0.2], [0.0, 0.3, 0.0], [0.1, 0.1, 0.1]]))
    at = [np.linspace(0, length, 7) for length in BOX]
    np.testing.assert_allclose(
        new.values(transferred(found, old, new), all_at(new, at)),
        old.values(found, all_at(old, at)),
        atol=1e-8,
    )


def test_conjugate_gradients_solve() -> None:
    rng = np.random.default_rng(2)
    root = rng.standard_normal((12, 12))
    matrix = root @ root.T + np.eye(12)
    right = rng.standard_normal(12)
    found = conjugate_gradients(lambda x: matrix @ x, right, iterations=200, tolerance=1e-10)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), atol=1e-7)
    np.testing.assert_array_equal(conjugate_gradients(lambda x: x, np.zeros(3)), np.zeros(3))
