"""Reasons to refuse and to doubt, from figures made up by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.orientation import OtherOrientation
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.similarity import Similarity
from eprimg.stages.register_check import (
    Estimate,
    Orientation,
    is_symmetric,
    list_doubts,
    list_faults,
    quality_figures,
)

LIMITS = Config().register
CHECK = RigidSettings.from_mapping(load_profile(LIMITS.profile)).check


def orientation(other_nmi: float, nmi: float = 1.4) -> Orientation:
    return Orientation("pet", nmi, OtherOrientation("mirrored left to right", other_nmi, np.eye(4)))


GOOD = Estimate(
    result=RegistrarResult(np.eye(4), np.eye(4), "identity", 0.3),
    header=Similarity(1.2, 0.4, 0.9),
    start=Similarity(1.3, 0.5, 0.9),
    after=Similarity(1.4, 0.8, 0.9),
    orientation=orientation(1.3),
    both_mr=False,
    peak=1.2,
    moved_center_mm=5.0,
    rotated_deg=2.0,
    moved_rms_mm=6.0,
)


def test_nothing_speaks_against_a_good_one() -> None:
    assert list_faults(GOOD, LIMITS, CHECK) == []
    assert list_doubts(GOOD, CHECK) == []
    assert list_doubts(replace(GOOD, both_mr=True), CHECK) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"orientation": orientation(1.41)}, "pet fits better mirrored left to right"),
        ({"peak": 0.99}, "looks as good"),
        ({"peak": float("nan")}, "looks as good"),
        ({"after": Similarity(float("nan"), float("nan"), 0.9)}, "too few points"),
        ({"after": Similarity(1.1, 0.8, 0.9)}, "mutual information fell"),
        ({"after": Similarity(1.4, 0.8, 0.1)}, "field of view"),
        ({"moved_center_mm": 1000.0}, "register.max_moved_mm"),
        ({"rotated_deg": 179.0}, "register.max_rotated_deg"),
    ],
)
def test_one_fault_at_a_time(changes: dict[str, object], words: str) -> None:
    (fault,) = list_faults(replace(GOOD, **changes), LIMITS, CHECK)
    assert words in fault


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"orientation": orientation(1.39)}, "nearly as well mirrored left to right"),
        ({"peak": 1.029}, "almost as well"),
        ({"both_mr": True, "after": Similarity(1.4, 0.6, 0.9)}, "two MR series"),
        ({"header": Similarity(1.2, 0.9, 0.9)}, "local correlation fell"),
        (
            {"result": RegistrarResult(np.eye(4), np.eye(4), "identity", 2.5)},
            "two estimates disagree by 2.5 mm",
        ),
    ],
)
def test_one_doubt_at_a_time(changes: dict[str, object], words: str) -> None:
    estimate = replace(GOOD, **changes)
    assert list_faults(estimate, LIMITS, CHECK) == []
    (doubt,) = list_doubts(estimate, CHECK)
    assert words in doubt


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nearby_mm": 2.6, "nearby_gain": 0.1}, "a place 2.6 mm away fits better"),
        ({"inverse_mm": 2.6}, "there and back again ends 2.6 mm"),
        # Far away one way only: a doubt, not yet a reason to refuse.
        ({"nearby_mm": 9.0, "nearby_gain": 0.1, "inverse_mm": 0.5}, "a place 9.0 mm away"),
    ],
)
def test_a_better_place_nearby_is_a_doubt(changes: dict[str, float], words: str) -> None:
    estimate = replace(GOOD, **changes)
    assert list_faults(estimate, LIMITS, CHECK) == []
    (doubt,) = list_doubts(estimate, CHECK)
    assert words in doubt
    figures = quality_figures(estimate, through_ct=False)
    assert {name: figures[name] for name in changes} == changes


@pytest.mark.parametrize("inverse_mm", [6.0, float("nan")])
def test_a_better_place_far_away_is_refused(inverse_mm: float) -> None:
    estimate = replace(GOOD, nearby_mm=6.0, nearby_gain=0.2, inverse_mm=inverse_mm)
    (fault,) = list_faults(estimate, LIMITS, CHECK)
    assert "a place 6.0 mm away fits better (mutual information +20 %)" in fault
    assert ("the way back misses" in fault) == np.isfinite(inverse_mm)


@pytest.mark.parametrize(
    ("symmetry", "name", "doubted"),
    [
        (0.96, "mirrored left to right", False),
        (0.94, "mirrored left to right", True),
        (0.96, "turned by 180 degrees about the z axis", True),
        (float("nan"), "mirrored left to right", True),
    ],
)
def test_a_symmetric_body_is_no_doubt(symmetry: float, name: str, doubted: bool) -> None:
    other = OtherOrientation(name, 1.39, np.eye(4))
    estimate = replace(GOOD, orientation=Orientation("pet", 1.4, other, symmetry))
    assert is_symmetric(estimate, CHECK) != doubted
    assert bool(list_doubts(estimate, CHECK)) == doubted
    # What fits better mirrored is refused, symmetric or not.
    better = replace(
        GOOD, orientation=Orientation("pet", 1.4, OtherOrientation(name, 1.41, np.eye(4)), symmetry)
    )
    assert len(list_faults(better, LIMITS, CHECK)) == 1


def test_pet_is_not_held_to_the_correlation_of_two_mr() -> None:
    assert list_doubts(replace(GOOD, after=Similarity(1.4, 0.5, 0.9)), CHECK) == []


def test_pet_over_a_cut_out_piece_of_the_body_is_a_doubt() -> None:
    cut = replace(GOOD, cut_share=CHECK.doubtful_cut_share + 0.01)
    (doubt,) = list_doubts(cut, CHECK)
    assert "cut through tissue (26 % of them" in doubt
    assert quality_figures(cut, through_ct=False)["cut_share"] == cut.cut_share
    assert list_doubts(replace(cut, both_mr=True), CHECK) == []


def test_share_of_the_other_orientation_by_hand() -> None:
    assert orientation(1.3).share == pytest.approx(0.75)  # 0.3 / 0.4
    # Nothing could be compared: no reason against the alignment.
    assert orientation(float("nan")).share == 0.0
    assert orientation(1.1, nmi=1.0).share == float("inf")


def test_figures_name_the_other_orientation() -> None:
    figures = quality_figures(GOOD, through_ct=True)
    assert figures["nmi_other_orientation"] == 1.3
    assert figures["other_orientation_share"] == pytest.approx(0.75)
    assert figures["through_ct"] == 1.0
    assert figures["registration_error_mm"] == 0.3
