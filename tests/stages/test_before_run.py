"""What was given by hand is refused before a run as the stages refuse it."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import EprimgError
from eprimg.io.series_head import SeriesHead
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.manual_help import (
    GivenTransform,
    HelpUse,
    LandmarkPairs,
    ManualHelp,
    MetricMask,
)
from eprimg.model.study import Role
from eprimg.model.transform import Transform
from eprimg.stages.before_run import check_before_run


def head(key: str, role: Role, frame: str) -> SeriesHead:
    return SeriesHead(key, role, Grid((4, 4, 4), np.diag([10.0, 10.0, 10.0, 1.0]), frame))


PRE, POST = head("mr_pre", Role.MR_PRE, "1"), head("mr_post", Role.MR_POST, "2")
PET, CT = head("pet", Role.PET, "3"), head("ct", Role.CT, "3")
CORNERS = np.array([[0.0, 0, 0], [30, 0, 0], [0, 30, 0], [0, 0, 30]])


def given(fixed: str, moving: str, use: HelpUse) -> GivenTransform:
    frames = {s.key: s.grid.frame_of_reference for s in (PRE, POST, PET, CT)}
    return GivenTransform(
        Transform(np.eye(4), frames[fixed], frames[moving]), "t.tfm", "0" * 64, fixed, moving, use
    )


def refused(*series: SeriesHead, help_: ManualHelp | None = None, regions=()) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(EprimgError) as caught:
        check_before_run(series, regions, help_ or ManualHelp(), Config())
    return str(caught.value.code)


def test_good_help_is_silent() -> None:
    pairs = LandmarkPairs("mr_pre", "pet", CORNERS, CORNERS + 1.0, HelpUse.RESULT)
    help_ = ManualHelp((given("mr_pre", "mr_post", HelpUse.START),), (pairs,))
    assert check_before_run((PRE, POST, PET, CT), (), help_, Config()) == ()
    assert check_before_run((), (), ManualHelp(), Config()) == ()


def test_landmarks_on_one_line() -> None:
    line = CORNERS[:1] + np.arange(4)[:, None] * np.array([10.0, 0.0, 0.0])
    pairs = LandmarkPairs("mr_pre", "mr_post", line, line, HelpUse.RESULT)
    assert refused(PRE, POST, help_=ManualHelp((), (pairs,))) == "E_LANDMARKS"
    # distances on a line can be measured, and a pair that is not aligned is another finding
    checked = LandmarkPairs("mr_pre", "mr_post", line, line, HelpUse.CHECK)
    assert check_before_run((PRE, POST), (), ManualHelp((), (checked,)), Config()) == ()


def test_two_results_for_one_pair_also_through_the_ct() -> None:
    twice = tuple(given("mr_pre", k, HelpUse.RESULT) for k in ("pet", "ct"))
    assert refused(PRE, PET, CT, help_=ManualHelp(twice)) == "E_LANDMARKS"
    assert check_before_run((PRE, PET), (), ManualHelp(twice[:1]), Config()) == ()


def test_a_mask_in_no_frame_of_the_study() -> None:
    grid = Grid((1, 1, 1), np.eye(4), "9")
    regions = LesionSet(np.ones((1, 1, 1), int), grid, (Region(1, "a", RegionRole.LESION),), "m")
    assert refused(PRE, regions=(regions,)) == "E_FOR"


def test_a_search_that_will_not_begin_is_told() -> None:
    away = Grid((2, 2, 2), np.eye(4) + np.eye(4, k=3) * 500.0, "1")
    mask = MetricMask("mr_pre", np.ones((2, 2, 2), bool), away, "m.nii.gz")
    (told,) = check_before_run((PRE, POST), (), ManualHelp((), (), (mask,)), Config())
    assert (told.code, told.where) == ("E_REGISTRATION_MASK", "mr_post")
    # within the field of view it is silent
    here = MetricMask("mr_pre", np.ones((4, 4, 4), bool), PRE.grid, "m.nii.gz")
    assert check_before_run((PRE, POST), (), ManualHelp((), (), (here,)), Config()) == ()
