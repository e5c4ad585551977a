"""Landmark fits against transforms that made the points, and an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eprimg.errors import InputError
from eprimg.kernels.landmarks import fit_rigid, landmark_distances_mm, predicted_error_mm

FIXED = np.array([[10.0, 0, 0], [-5, 30, 8], [20, -12, 45], [-40, 6, -25], [3, 50, 60]])


def moved(points: np.ndarray, turn: Rotation, shift: tuple[float, ...]) -> np.ndarray:
    return turn.apply(points) + shift


@pytest.mark.parametrize("number", [3, 5])
def test_an_exact_transform_is_found(number: int) -> None:
    turn = Rotation.from_euler("xyz", (170.0, -35.0, 12.0), degrees=True)
    moving = moved(FIXED[:number], turn, (5.0, -70.0, 12.5))
    fit = fit_rigid(FIXED[:number], moving)
    assert fit.matrix[:3, :3] == pytest.approx(turn.as_matrix(), abs=1e-9)
    assert fit.matrix[:3, 3] == pytest.approx((5.0, -70.0, 12.5), abs=1e-9)
    assert fit.rms_mm < 1e-9


def test_noisy_pairs_give_scipys_rotation_and_residuals() -> None:
    turn = Rotation.from_rotvec((0.3, -0.2, 0.5))
    moving = moved(FIXED, turn, (1, 2, 3)) + np.random.default_rng(1).normal(0, 2, FIXED.shape)
    fit = fit_rigid(FIXED, moving)
    x, y = FIXED - FIXED.mean(axis=0), moving - moving.mean(axis=0)
    best, left = Rotation.align_vectors(y, x)  # SciPy's own solution of Wahba's problem
    assert fit.matrix[:3, :3] == pytest.approx(best.as_matrix(), abs=1e-9)
    assert np.sqrt(np.sum(fit.residuals_mm**2)) == pytest.approx(left)
    assert fit.rms_mm == pytest.approx(left / np.sqrt(5))


def test_mirrored_points_are_turned_never_mirrored() -> None:
    fit = fit_rigid(FIXED, FIXED * (-1, 1, 1))
    assert np.linalg.det(fit.matrix[:3, :3]) == pytest.approx(1.0)
    assert fit.rms_mm > 5.0


def test_points_in_one_plane_are_enough() -> None:
    flat = FIXED * (1, 1, 0)
    turn = Rotation.from_euler("y", 25.0, degrees=True)
    fit = fit_rigid(flat, moved(flat, turn, (0, 0, 9)))
    assert fit.matrix[:3, :3] == pytest.approx(turn.as_matrix(), abs=1e-9)


@pytest.mark.parametrize(
    ("fixed", "moving", "words"),
    [
        (FIXED[:2], FIXED[:2], "at least three"),
        (FIXED, FIXED[:4], "pairs"),
        (FIXED[:, :2], FIXED[:, :2], "three numbers"),
        (np.outer([0, 1, 5, 9], (3.0, 4, 5)), FIXED[:4], "fixed landmarks lie on one line"),
        (FIXED[:4], np.outer([0, 1, 5, 9], (3.0, 4, 5)), "moving landmarks lie on one line"),
        (FIXED[[0, 0, 0]], FIXED[:3], "one line"),
        (np.where(FIXED == 10, np.nan, FIXED), FIXED, "finite"),
    ],
)
def test_refusals(fixed: np.ndarray, moving: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        fit_rigid(fixed, moving)
    assert caught.value.code == "E_LANDMARKS"


def test_distances_by_hand() -> None:
    there = FIXED[:2] + np.array([[3.0, 4, 0], [0, 0, -2]])
    assert landmark_distances_mm(FIXED[:2], there) == pytest.approx([5.0, 2.0])
    with pytest.raises(InputError):
        landmark_distances_mm(FIXED[:2], FIXED)


def test_the_predicted_error_is_what_repeated_placing_gives() -> None:
    # Fitzpatrick's prediction against 400 fits to landmarks placed with an error of 1 mm.
    rng, target = np.random.default_rng(7), np.array([[60.0, 20.0, -30.0]])
    errors, squares = [], []
    for _ in range(400):
        fit = fit_rigid(FIXED, FIXED + rng.normal(0, 1 / np.sqrt(3), FIXED.shape))
        there = target @ fit.matrix[:3, :3].T + fit.matrix[:3, 3]
        errors.append(np.sum((there - target) ** 2))
        squares.append(fit.rms_mm**2)
    predicted = predicted_error_mm(FIXED, float(np.sqrt(np.mean(squares))), target)
    assert predicted[0] == pytest.approx(np.sqrt(np.mean(errors)), rel=0.1)
