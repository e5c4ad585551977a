"""Known movements: there and back, and the size that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg_phantoms.motion import Breathing, Rigid

POINTS = np.random.default_rng(3).uniform(-80, 80, (40, 3))


def test_rigid_movement_keeps_distances_and_its_limits() -> None:
    moved = Rigid.drawn(np.random.default_rng(1), shift_mm=8.0, turn_deg=5.0)
    there = moved.to_session(POINTS)
    np.testing.assert_allclose(moved.to_base(there), POINTS, atol=1e-9)
    gaps = np.linalg.norm(there[1:] - there[:-1], axis=1)
    np.testing.assert_allclose(gaps, np.linalg.norm(np.diff(POINTS, axis=0), axis=1))
    # The centre of the turns only shifts, by at most 8 mm along each axis.
    assert np.abs(moved.to_session([0.0, 0.0, 0.0])).max() <= 8.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_breathing_goes_there_and_back_and_peaks_where_asked(seed) -> None:
    moved = Breathing.drawn(np.random.default_rng(seed), peak_mm=10.0)
    np.testing.assert_allclose(moved.to_base(moved.to_session(POINTS)), POINTS, atol=1e-6)
    axes = [np.linspace(-e, e, 17) for e in (90.0, 60.0, 90.0)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    # The field is scaled so that its longest vector on this lattice is 10 mm.
    assert np.linalg.norm(moved.field(lattice), axis=-1).max() == pytest.approx(10.0)


def test_breathing_does_not_fold() -> None:
    """Jacobian of the map by central differences: positive everywhere."""
    moved = Breathing.drawn(np.random.default_rng(4))
    h = 0.5
    columns = [
        (moved.to_base(POINTS + h * e) - moved.to_base(POINTS - h * e)) / (2 * h) for e in np.eye(3)
    ]
    assert np.linalg.det(np.stack(columns, axis=-1)).min() > 0.3


def test_a_folding_movement_is_refused() -> None:
    folded = Breathing(
        Rigid(np.eye(4)), 0.0, 60.0, np.zeros((1, 3)), np.array([[80.0, 0, 0]]), 10.0
    )
    with pytest.raises(RuntimeError, match="folds"):
        folded.to_session([[12.0, 0.0, 0.0]])
