"""Schemes and cohorts from the package and from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eprimg.config import Config, StratifyConfig
from eprimg.errors import ConfigError
from eprimg.io.schemes import load_cohort, load_scheme, load_schemes
from eprimg.resources import resource_names

GOOD = """
key = "mine"
version = "1"
title = "Mine"
quantity = "suvbw"
statistic = "peak"
rule = "fixed"
edges = [2, 4.5]
labels = ["low", "moderate", "high"]
patient_rule = "any"
validated = true
citation = "own cohort"
applies_to = "pet"
"""


def test_built_in_schemes_are_sound_and_none_claims_validation() -> None:
    for name in resource_names("tier_schemes"):
        scheme = load_scheme(name)
        assert scheme.key == name
        assert scheme.citation
        assert not scheme.validated
    assert [s.key for s in load_schemes(Config().stratify)] == list(Config().stratify.schemes)


def test_a_file_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    scheme = load_scheme(str(path))
    assert scheme.edges == (2.0, 4.5)
    with pytest.raises(ConfigError, match="share a key"):
        load_schemes(StratifyConfig(schemes=(str(path), str(path))))


def test_every_fault_of_a_scheme_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        GOOD.replace('"fixed"', '"guess"').replace("[2, 4.5]", '["a"]').replace("title", "titel"),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_scheme(str(path))
    assert len(caught.value.faults) >= 3
    for words in ("no key 'titel'", "finite numbers"):
        assert words in str(caught.value)
    with pytest.raises(ConfigError, match="there is no tier scheme"):
        load_scheme("nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scheme(str(tmp_path / "none.toml"))


def test_cohort_file(tmp_path: Path) -> None:
    path = tmp_path / "cohort.json"
    cohort = {
        "key": "c",
        "quantity": "suvbw",
        "statistic": "peak",
        "values": [1, 2, 3],
        "n_patients": 2,
    }
    path.write_text(json.dumps({"cohorts": [cohort]}), encoding="utf-8")
    (loaded,) = load_cohort(path)
    assert loaded.values == (1.0, 2.0, 3.0)
    path.write_text(json.dumps({"cohorts": [{"key": "c"}]}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_cohort(path)
    assert caught.value.code == "E_COHORT"
