"""Codes: found whatever the case, near misses are named."""

from __future__ import annotations

import pytest

from eprimg.errors import ConfigError
from eprimg.resources import load_resource, resource_names
from eprimg.resources.codes import all_codes, explain_code


def test_codes_are_found_and_sorted() -> None:
    assert explain_code(" e_config ").room == "house"
    assert list(all_codes()) == sorted(all_codes())


def test_a_near_miss_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean E_CONFIG"):
        explain_code("E_CONFIGG")
    with pytest.raises(ConfigError, match="the documentation lists"):
        explain_code("zzzzzz")


def test_resources_are_listed_and_read() -> None:
    assert "example-dr2star-median" in resource_names("tier_schemes")
    assert load_resource("outputs.toml")["version"]
