"""The known registration is given for the very same question, and for no other."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.model.study import Study
from eprimg.stages import register as stage
from tests import tiny_case
from tests.plugins.known_alignment import alignment_found_once, give_alignment


def _changed(study: Study) -> Study:
    """The same study with another value in one voxel."""
    point = study.timepoints[0]
    series = point.series[0]
    stack = series.pixels
    data = np.array(stack.volume.data)
    data.flat[0] += 1
    pixels = replace(stack, volume=replace(stack.volume, data=data))
    first = replace(point, series=(replace(series, pixels=pixels), *point.series[1:]))
    return replace(study, timepoints=(first, *study.timepoints[1:]))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Study]:
    """Studies for which the stage itself was run."""
    asked: list[Study] = []

    def register(study: Study, config: Config, **_: Any) -> str:
        asked.append(study)
        return f"found {len(asked)}"

    monkeypatch.setattr(stage, "register", register)
    return asked


def test_another_voxel_or_setting_is_registered_anew(
    found: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny_case.study()
    measured = SimpleNamespace(case=SimpleNamespace(study=study), aligned="known")
    given = give_alignment(measured, monkeypatch)
    assert stage.register(tiny_case.study(), Config()) == "known"
    assert found == []
    other = replace(Config(), register=replace(Config().register, seed=5))
    assert stage.register(study, other) == "found 1"
    assert stage.register(_changed(study), Config()) == "found 2"
    assert given == [True, False, False]


def test_what_was_found_is_given_again(found: list[Study]) -> None:
    study = tiny_case.study()
    with alignment_found_once() as again:
        assert stage.register(study, Config()) == "found 1"
        assert stage.register(tiny_case.study(), Config()) == "found 1"
        assert stage.register(_changed(study), Config()) == "found 2"
    assert again == [False, True, False]
    assert len(found) == 2
    assert stage.register(study, Config()) == "found 3"  # only within
