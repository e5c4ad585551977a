"""Plans: counting progress, what a plan refuses before pixels are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.io.study_plan import check_plan, counting, plan_study
from eprimg.model.study import Role


def test_progress_of_the_scan_becomes_a_share() -> None:
    told: list[tuple[str, float]] = []
    step = counting(lambda words, share: told.append((words, share)))
    assert step is not None
    step(1, 4)
    step(0, 0)
    assert told == [("scan", 0.25), ("scan", 0.0)]
    assert counting(None) is None


def test_a_plan_says_roles_and_is_checked_without_pixels(phantom: Path) -> None:
    plan = plan_study(phantom / "dicom")
    assert len(plan.entries(Role.REGIONS)) == 2
    assert check_plan(plan, Config()) == ()


def test_a_folder_with_masks_only_is_refused(copy_of: Callable[..., Path]) -> None:
    plan = plan_study(copy_of(keep=lambda ds: str(ds.Modality) == "SEG"))
    with pytest.raises(InputError) as caught:
        check_plan(plan, Config())
    assert caught.value.code == "E_NO_SERIES"
