"""Study: unique keys and labels, look-up by role."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import Volume
from eprimg.quantities import quantity


def series(key: str, role: Role) -> Series:
    grid = Grid((1, 2, 2), np.eye(4), "1.2")
    return Series(key, role, Volume(np.zeros(grid.shape), grid, quantity("activity")), None)


def test_roles_are_found_and_keys_are_unique() -> None:
    pet, ct = series("pet", Role.PET), series("ct", Role.CT)
    study = Study("P", (Timepoint("89Zr PET", None, (pet, ct)),))
    assert study.find(Role.PET) is pet
    assert study.find(Role.MR_PRE) is None
    assert study.series == (pet, ct)
    assert pet.grid.shape == (1, 2, 2)
    assert "pet, ct" in repr(study)
    with pytest.raises(InputError, match="unique"):
        Study("P", (Timepoint("a", None, (pet,)), Timepoint("a", None, (ct,))))
    with pytest.raises(InputError, match="unique"):
        Study("P", (Timepoint("a", None, (pet,)), Timepoint("b", None, (pet,))))


def test_several_time_points_and_the_primary_one() -> None:
    early, late = series("mr_post_2", Role.MR_POST), series("mr_post", Role.MR_POST)
    instant = datetime(2026, 3, 1, 9, 0)
    study = Study("P", (Timepoint("1 h", instant, (early,)), Timepoint("24 h", None, (late,))))
    assert study.find(Role.MR_POST) is late
    assert study.find_all(Role.MR_POST) == (early, late)
    assert study.find_all(Role.PET) == ()
    assert study.instant_of("mr_post_2") == instant
    assert study.instant_of("mr_post") is None
    assert study.instant_of("pet") is None
    assert study.hours_after_dose(early) is None
    dosed = replace(study, overrides={"agent.instant": datetime(2026, 3, 1, 8, 0)})
    assert dosed.hours_after_dose(early) == 1.0
    assert dosed.hours_after_dose(late) is None
    elsewhere = {"agent.instant": datetime(2026, 3, 1, 8, 0, tzinfo=UTC)}
    assert replace(study, overrides=elsewhere).hours_after_dose(early) is None
    # Without a series of that very name the first one stands for the role.
    assert Study("P", (Timepoint("1 h", None, (early,)),)).find(Role.MR_POST) is early
