"""One series for one map: which one, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eprimg.errors import ConfigError, EprimgError, InputError
from eprimg.io.index import scan
from eprimg.io.single import read_activity, read_echoes
from eprimg.model.study import Role
from tests.conftest import is_mr, is_pet


def test_the_only_pet_is_taken(phantom: Path) -> None:
    study = read_activity(phantom / "dicom").value
    assert [s.key for s in study.series] == ["pet"]


def test_entered_facts_reach_the_reader(phantom: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "study.toml"
    spoken.write_text("[patient]\nweight_kg = 50.0\n", encoding="utf-8")
    study = read_activity(phantom / "dicom", study_file=spoken).value
    assert study.series[0].acquisition.weight_kg.value == 50.0  # type: ignore[union-attr]
    assert study.overrides == {"weight_kg": 50.0}


def test_several_stacks_need_a_choice(phantom: Path) -> None:
    with pytest.raises(ConfigError, match="choose one with --series"):
        read_echoes(phantom / "dicom")
    with pytest.raises(ConfigError, match="no series has the key"):
        read_echoes(phantom / "dicom", series="nothing")


def test_nothing_suitable_is_said_with_the_reasons(copy_of: Callable[..., Path]) -> None:
    with pytest.raises(EprimgError, match="no multi-echo MR"):
        read_echoes(copy_of(keep=is_pet))


def test_no_pet_is_said(copy_of: Callable[..., Path]) -> None:
    with pytest.raises(InputError) as caught:
        read_activity(copy_of(keep=is_mr))
    assert caught.value.code == "E_NO_SERIES"


def test_echo_times_without_nifti_are_refused(phantom: Path, tmp_path: Path) -> None:
    for path in (phantom / "dicom", tmp_path / "none", phantom / "truth.json"):
        with pytest.raises(InputError, match="there is no NIfTI file"):
            read_echoes(path, echo_times_ms=(1.0, 2.0))


def test_a_single_stack_claims_no_agent_phase(phantom: Path) -> None:
    entry = next(s for s in scan(phantom / "dicom").series if s.role == Role.MR_POST)
    (series,) = read_echoes(phantom / "dicom", series=entry.key).value.series
    assert (series.key, series.acquisition.agent_phase) == ("mr", "unknown")  # type: ignore[union-attr]
