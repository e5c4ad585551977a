"""The figures of an alignment that was found, planted, or bent."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.similarity import moved_rms_mm
from eprimg.errors import Cancelled
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.stages.register_check import Estimate, list_doubts, list_faults
from eprimg.stages.register_examine import examine
from tests.tiny_body import TRUE, grid, shift, volume

RULES = RigidSettings.from_mapping(load_profile("rigid-mi"))


@pytest.fixture(scope="module")
def pair() -> tuple[Volume, Volume]:
    return volume("1.2.3"), volume("1.2.4", np.linalg.inv(TRUE))


def figures(pair: tuple[Volume, Volume], matrix: np.ndarray, **more) -> Estimate:
    result = RegistrarResult(
        matrix, np.eye(4), "identity", 0.1, displacement=more.pop("bend", None)
    )
    return examine(result, *pair, RULES, key="mr", both_mr=True, **more)


def test_the_right_place(pair: tuple[Volume, Volume]) -> None:
    found = figures(pair, TRUE)
    assert found.nearby_mm < 1.0
    assert found.inverse_mm < 1.0
    assert found.after.nmi > found.header.nmi
    assert found.start == found.header
    # The movement of the centre of the field of view, from the matrix alone.
    centre = pair[0].grid.center_lps_mm[None, :]
    assert found.moved_center_mm == pytest.approx(moved_rms_mm(centre, TRUE, np.eye(4)))
    assert found.rotated_deg == pytest.approx(3.0)
    assert list_faults(found, Config().register, RULES.check) == []
    assert list_doubts(found, RULES.check) == []


def test_a_planted_place_is_refused_for_what_lies_nearby(pair: tuple[Volume, Volume]) -> None:
    found = figures(pair, shift(5.0, 5.0, -4.0) @ TRUE)
    assert found.nearby_mm == pytest.approx(np.sqrt(66.0), abs=2.5)
    faults = list_faults(found, Config().register, RULES.check)
    assert any("mm away fits better" in fault for fault in faults)


def test_a_bent_alignment_has_no_way_back(pair: tuple[Volume, Volume]) -> None:
    # The bend undoes the shift of the matrix: the same points as TRUE.
    coarse = Grid((5, 6, 7), grid("1.2.3").affine @ np.diag((8.0, 8.0, 8.0, 1.0)), "1.2.3")
    vectors = np.broadcast_to(np.float32((4.0, 0.0, 0.0)), (5, 6, 7, 3))
    found = figures(pair, TRUE @ shift(-4.0, 0.0, 0.0), bend=Displacement(vectors, coarse))
    plain = figures(pair, TRUE)
    assert found.after.nmi == pytest.approx(plain.after.nmi, rel=1e-3)
    assert found.nearby_mm < 1.0
    assert np.isnan(found.inverse_mm)
    assert found.moved_rms_mm == pytest.approx(plain.moved_rms_mm, rel=1e-3)


def test_nothing_in_common_has_no_second_look(pair: tuple[Volume, Volume]) -> None:
    found = figures(pair, shift(900.0, 0.0, 0.0))
    assert np.isnan((found.nearby_mm, found.inverse_mm, found.after.nmi)).all()


def test_it_can_be_stopped(pair: tuple[Volume, Volume]) -> None:
    def ask() -> None:
        raise Cancelled(where="test")

    with pytest.raises(Cancelled):
        figures(pair, TRUE, ask=ask)
