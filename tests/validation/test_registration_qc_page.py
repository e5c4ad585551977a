"""A small part of the QC page: a planted misregistration is seen; the page can say otherwise."""

from __future__ import annotations

import pytest

from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from tests.validation.registration_bench import PROFILE
from tests.validation.registration_qc import QcRow, judge, qc_cases
from tests.validation.registration_qc_page import holds, page

CHECK = RigidSettings.from_mapping(load_profile(PROFILE)).check


@pytest.fixture(scope="module")
def found() -> list[QcRow]:
    """One pair with large voxels: one planted, one up to 1 mm off."""
    planted, _, near = qc_cases(("thorax",), ("mr",), range(1), factor=2.5)
    return [judge(planted), judge(near)]


def test_the_planted_one_is_flagged_and_the_good_ones_pass(found: list[QcRow]) -> None:
    assert [r.planted for r in found] == [True, False]
    assert [r.flagged for r in found] == [True, False], [r.words for r in found]
    # What decides: the distance to the better place, against the truth at the lesions.
    planted, near = (r.figures["nearby_mm"] for r in found)
    assert planted > CHECK.refused_nearby_mm
    assert near < CHECK.doubtful_nearby_mm


def test_the_page_says_what_was_found(found: list[QcRow]) -> None:
    text = page(found, CHECK)
    assert "**1 of 1 planted misregistrations are flagged, 0 of 1 good alignments" in text
    assert "| thorax | MR pre/post, TE 1.2 ms | 1 | 0 | 0 | 1 | 0 |" in text
    assert "NOT held" not in text


def test_a_missed_one_and_too_many_alarms_break_the_bound(found: list[QcRow]) -> None:
    missed = found[0]._replace(refused=False, doubted=False, words="")
    assert not holds([missed, *found[1:]])
    assert "nothing was said" in page([missed, *found[1:]], CHECK)
    alarm = found[1]._replace(doubted=True)
    assert holds([*found, alarm])
    assert not holds([*found, alarm, alarm])
