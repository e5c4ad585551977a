"""Profiles of deformable registration are strict."""

from __future__ import annotations

import copy

import pytest

from eprimg.engines.registrars.deformable_settings import DeformableSettings
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.errors import ConfigError


def test_the_profile_that_comes_with_eprimg() -> None:
    rules = DeformableSettings.from_mapping(load_profile("bspline-ncc"))
    assert [level.spacing_mm for level in rules.levels] == [80.0, 48.0]
    assert rules.accept.largest_sd_log_jacobian == 0.15
    # AAPM TG-132: 2 mm on average and 5 mm at most.
    assert (rules.auto.mean_centroid_mm, rules.auto.largest_centroid_mm) == (2.0, 5.0)
    RigidSettings.from_mapping(load_profile(rules.rigid))


def test_all_faults_are_listed_at_once() -> None:
    profile = copy.deepcopy(load_profile("bspline-ncc"))
    profile["levels"][0]["sigma_mm"] = "wide"
    profile["levels"][1]["spacing_mm"] = -4.0
    profile["field"]["nodes"] = 3
    del profile["accept"]["dice_tolerance"]
    profile["fit"]["window_points"] = 6
    with pytest.raises(ConfigError) as caught:
        DeformableSettings.from_mapping(profile)
    assert caught.value.code == "E_CONFIG"
    assert len(caught.value.faults) == 5


@pytest.mark.parametrize("change", ["unknown", "missing", "empty"])
def test_tables_must_be_complete(change: str) -> None:
    profile = copy.deepcopy(load_profile("bspline-ncc"))
    if change == "unknown":
        profile["extra"] = 1
    elif change == "missing":
        del profile["auto"]
    else:
        profile["levels"] = []
    with pytest.raises(ConfigError):
        DeformableSettings.from_mapping(profile)


def test_a_rigid_profile_is_not_a_deformable_one() -> None:
    with pytest.raises(ConfigError):
        DeformableSettings.from_mapping(load_profile("rigid-mi"))


@pytest.mark.parametrize(
    ("key", "value"), [("levels", 3), ("quantities", "signal"), ("quantities", [1])]
)
def test_what_is_no_list_is_refused_and_not_a_crash(key: str, value: object) -> None:
    profile = {**load_profile("bspline-ncc"), key: value}
    with pytest.raises(ConfigError, match=key):
        DeformableSettings.from_mapping(profile)
