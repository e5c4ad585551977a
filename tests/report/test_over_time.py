"""Sessions side by side: hours, cells and curves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement
from eprimg.model.study import Role, Study, Timepoint
from eprimg.report.over_time import over_time, over_time_picture
from tests import tiny_case

NAN = float("nan")


def row(quantity: str, source: str, value: float, error: float = NAN, statistic: str = "mean"):
    return Measurement(quantity, statistic, source, value, error, "", 5, f"native {source}")


@pytest.fixture
def two_days() -> Case:
    case = tiny_case.case()
    mr, pet = case.study.series
    facts = replace(pet.acquisition, hours_after_injection=24.0)
    late = replace(pet, acquisition=replace(facts, hours_after_injection=72.0))
    early = replace(pet, key="pet_2", acquisition=facts)
    posts = [replace(mr, key=k, role=Role.MR_POST) for k in ("mr_post_2", "mr_post")]
    start = case.study.timepoints[0].instant
    points = [
        Timepoint(s.key, start + timedelta(hours=h), (s,))
        for h, s in ((0, mr), (24, early), (30, posts[0]), (54, posts[1]), (72, late))
    ]
    study = Study("P-1", tuple(points))
    first, *others = case.lesions.regions
    numbers = (
        row("pid_per_kg", "pet", 8.0, 0.5),
        row("pid_per_kg", "pet_2", 4.0, 0.2),
        row("uptake_retention", "pet/pet_2", 2.0, 0.16, "ratio"),
        row("dr2star", "mr_post-mr_pre", 60.0, 1.0),
        row("dr2star", "mr_post_2-mr_pre", 20.0, 1.0),
        row("patlak_ki", "pet/pet_2", NAN, NAN, "slope"),
    )
    regions = (replace(first, measurements=numbers), *others)
    return replace(case, study=study, lesions=case.lesions.with_regions(regions))


def test_sessions_stand_in_order_of_time(two_days: Case) -> None:
    uptake, change = over_time(two_days)
    assert uptake.heads == ("24.0 h (pet_2)", "72.0 h (pet)")
    ((region, cells),) = uptake.cells
    assert region.id == 1
    assert cells == ("4.00 ± 0.20", "8.00 ± 0.50", "2.00 ± 0.16")
    assert [name for name, _, _ in uptake.derived] == ["retention"]  # Ki has no number
    # Without the instant of the agent the hours count from the first session.
    assert (change.since, change.heads) == (
        "the first session",
        ("0.0 h (mr_post_2)", "24.0 h (mr_post)"),
    )
    dosed = replace(
        two_days.study,
        overrides={"agent.instant": two_days.study.timepoints[0].instant},
    )
    assert over_time(replace(two_days, study=dosed))[1].hours == (30.0, 54.0)


def test_curves_are_said_in_words(two_days: Case) -> None:
    picture = over_time_picture(over_time(two_days))
    assert picture is not None
    assert "lesion-1 4.00 at 24.0 h, 8.00 at 72.0 h (%ID/kg, mean, %ID/kg)" in picture.alt
    assert picture.uri.startswith("data:image/svg+xml")


def test_one_session_has_no_table() -> None:
    case = tiny_case.case()
    assert over_time(case) == ()
    assert over_time(replace(case, lesions=None)) == ()
    assert over_time_picture(()) is None
