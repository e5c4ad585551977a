"""The search nearby: it finds a displacement that was planted by construction, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.rigid_settings import IntensitySettings
from eprimg.engines.registrars.second_look import fit_nearby, inverse_distance_mm
from eprimg.engines.registrars.similarity import SimilarityCheck, moved_rms_mm
from eprimg.errors import Cancelled
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from tests.tiny_body import SPACING_MM, TRUE, grid, shift, turned, volume

RULES = IntensitySettings(0.0, 1.0, True, -1000.0, 1000.0)


@pytest.fixture(scope="module")
def checks() -> tuple[SimilarityCheck, SimilarityCheck]:
    first, second = volume("1.2.3"), volume("1.2.4", np.linalg.inv(TRUE))
    return (
        SimilarityCheck(first, second, RULES, grid_mm=5.0),
        SimilarityCheck(second, first, RULES, grid_mm=5.0),
    )


def test_stays_where_it_is_right(checks: tuple[SimilarityCheck, SimilarityCheck]) -> None:
    forth, back = checks
    # A fifth of a voxel: the lattice is no finer.
    assert fit_nearby(forth, TRUE).moved_mm < 1.0
    assert inverse_distance_mm(back, TRUE, forth.body_mm()) < 1.0


@pytest.mark.parametrize(
    "wrong", [shift(8.0, 0.0, 0.0), shift(-4.0, 6.0, 5.0), turned(8.0), shift(12, 0, -8)]
)
def test_finds_the_way_back(
    wrong: np.ndarray, checks: tuple[SimilarityCheck, SimilarityCheck]
) -> None:
    forth, back = checks
    planted = wrong @ TRUE
    # The distance from the right place, from the matrices alone.
    expected = moved_rms_mm(forth.body_mm(), planted, TRUE)
    found = fit_nearby(forth, planted)
    # Half a voxel: the search ends with steps of 2 mm and 2 degrees.
    assert found.moved_mm == pytest.approx(expected, abs=SPACING_MM / 2)
    assert found.gain > 0.02
    assert moved_rms_mm(forth.body_mm(), found.matrix @ planted, TRUE) < SPACING_MM / 2
    around = inverse_distance_mm(back, planted, forth.body_mm())
    assert around == pytest.approx(expected, abs=SPACING_MM / 2)


def test_a_bent_alignment_moves_as_a_whole() -> None:
    # u = 4 mm along x everywhere: the same as a shift of the matrix, told in another way.
    forth = SimilarityCheck(volume("1.2.3"), volume("1.2.4"), RULES, grid_mm=5.0)
    coarse = Grid((5, 6, 7), grid("1.2.3").affine @ np.diag((8.0, 8.0, 8.0, 1.0)), "1.2.3")
    vectors = np.zeros((5, 6, 7, 3), dtype=np.float32)
    vectors[..., 0] = 4.0
    bent = Transform(np.eye(4), "1.2.3", "1.2.4", Displacement(vectors, coarse))
    plain = forth.at(shift(4.0, 0.0, 0.0))
    assert forth.at(bent).nmi == pytest.approx(plain.nmi, rel=1e-4)
    assert forth.at(bent).local_ncc2 == pytest.approx(plain.local_ncc2, rel=1e-3)
    found = fit_nearby(forth, bent)
    assert found.moved_mm == pytest.approx(4.0, abs=1.0)
    np.testing.assert_allclose(found.matrix[:3, 3], (-4.0, 0.0, 0.0), atol=1.0)


def test_nothing_in_common(checks: tuple[SimilarityCheck, SimilarityCheck]) -> None:
    far = fit_nearby(checks[0], shift(900.0, 0.0, 0.0))
    assert np.isnan((far.moved_mm, far.gain)).all()
    assert np.isnan(inverse_distance_mm(checks[1], shift(900.0, 0, 0), checks[0].body_mm()))


def test_it_can_be_stopped(checks: tuple[SimilarityCheck, SimilarityCheck]) -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        if len(asked) == 5:
            raise Cancelled(where="test")

    with pytest.raises(Cancelled):
        fit_nearby(checks[0], TRUE, ask=ask)
    assert len(asked) == 5
