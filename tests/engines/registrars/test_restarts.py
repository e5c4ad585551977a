"""Displaced places from which a search is begun again."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.restarts import displacements
from eprimg.engines.registrars.rigid_settings import RestartSettings

RULES = RestartSettings(("activity",), 2, 50, 6.0, 4.0, 0.05)
CENTRE = np.array([30.0, -20.0, 100.0])


def test_they_are_rigid_small_and_about_the_centre() -> None:
    drawn = displacements(RULES, CENTRE, 1)
    assert len(drawn) == 50
    shifts = np.array([m[:3, :3] @ CENTRE + m[:3, 3] - CENTRE for m in drawn])
    assert np.abs(shifts).max() <= 6.0
    assert np.abs(shifts).max() > 5.0  # 150 draws reach the outer sixth
    for matrix in drawn:
        rotation = matrix[:3, :3]
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        # Three turns of up to 4 degrees make at most 12.
        angle = np.degrees(np.arccos((np.trace(rotation) - 1.0) / 2.0))
        assert 0.0 < angle <= 12.0


def test_one_seed_draws_the_same_and_another_does_not() -> None:
    assert np.array_equal(displacements(RULES, CENTRE, 1), displacements(RULES, CENTRE, 1))
    assert not np.array_equal(displacements(RULES, CENTRE, 1), displacements(RULES, CENTRE, 2))
