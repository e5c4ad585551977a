"""Profiles of rigid registration are strict."""

from __future__ import annotations

import copy

import pytest

from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.errors import ConfigError


def test_the_profile_that_comes_with_eprimg() -> None:
    rules = RigidSettings.from_mapping(load_profile("rigid-mi"))
    assert rules.histogram_bins == 32
    assert [level.grid_mm for level in rules.levels] == [8.0, 4.0, 2.0]
    assert rules.optimizer.relaxation == 0.5


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="rigid-mi"):
        load_profile("no-such-profile")


def test_all_faults_are_listed_at_once() -> None:
    profile = copy.deepcopy(load_profile("rigid-mi"))
    profile["levels"][0]["sigma_mm"] = "wide"
    profile["levels"][1]["grid_mm"] = -4.0
    profile["optimizer"]["steps"] = 3
    del profile["start"]["iterations"]
    profile["polish"] = 1
    profile["metric"] = {"histogram_bins": 2}
    with pytest.raises(ConfigError) as caught:
        RigidSettings.from_mapping(profile)
    assert caught.value.code == "E_CONFIG"
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize("change", ["unknown", "missing", "empty"])
def test_tables_must_be_complete(change: str) -> None:
    profile = copy.deepcopy(load_profile("rigid-mi"))
    if change == "unknown":
        profile["extra"] = 1
    elif change == "missing":
        del profile["check"]
    else:
        profile["levels"] = []
    with pytest.raises(ConfigError):
        RigidSettings.from_mapping(profile)


def test_an_integer_is_taken_where_a_length_is_meant() -> None:
    profile = copy.deepcopy(load_profile("rigid-mi"))
    profile["levels"][0]["sigma_mm"] = 4
    assert RigidSettings.from_mapping(profile).levels[0].sigma_mm == 4.0
