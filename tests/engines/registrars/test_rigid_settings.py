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


@pytest.mark.parametrize(
    ("table", "key", "value", "words"),
    [
        ("optimizer", "relaxation", 0.0, "above 0"),
        ("start", "sampled_fraction", 1.2, "at most 1"),
        ("start", "minimum_overlap_fraction", -0.1, "between 0 and 1"),
        ("intensity", "high_quantile", 1.5, "between 0 and 1"),
        ("optimizer", "iterations", 0, "at least 1"),
        ("restarts", "number", -1, "not negative"),
        ("optimizer", "fewest_samples", 70000, "exceed 'optimizer.most_samples'"),
        ("intensity", "low_quantile", 0.9999, "below 'intensity.high_quantile'"),
        ("intensity", "ct_window_low_hu", 1000.0, "below 'intensity.ct_window_high_hu'"),
    ],
)
def test_values_that_cannot_be_used_are_refused(
    table: str, key: str, value: float, words: str
) -> None:
    profile = copy.deepcopy(load_profile("rigid-mi"))
    profile[table][key] = value
    with pytest.raises(ConfigError, match=words) as caught:
        RigidSettings.from_mapping(profile, where="own.toml")
    assert (caught.value.code, caught.value.where) == ("E_CONFIG", "own.toml")


@pytest.mark.parametrize(("key", "value"), [("metric", 3), ("levels", 3), ("levels", [3])])
def test_what_is_no_table_is_refused_and_not_a_crash(key: str, value: object) -> None:
    profile = {**load_profile("rigid-mi"), key: value}
    with pytest.raises(ConfigError, match=key):
        RigidSettings.from_mapping(profile)
