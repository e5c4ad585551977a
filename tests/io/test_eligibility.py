"""Rules of the package and of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.config import EligibilityConfig
from eprimg.errors import ConfigError
from eprimg.io.eligibility import load_eligibility
from eprimg.resources import resource_names


def test_the_rules_of_the_package() -> None:
    assert resource_names("eligibility") == ("default", "strict")
    default = load_eligibility(EligibilityConfig())
    strict = load_eligibility(EligibilityConfig("strict"))
    # They differ in one thing: whether a carrier organ excludes.
    changed = [
        one.key for one, other in zip(default.rules, strict.rules, strict=True) if one != other
    ]
    assert changed == ["carrier-organ"]
    assert [r.excludes for r in strict.rules if r.key == "carrier-organ"] == [True]


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """
        key = "own"
        version = "1"
        title = "t"
        citation = "c"
        [[rules]]
        key = "big"
        kind = "min-diameter"
        limit_mm = 20.0
        rests_on = ["pet"]
        action = "exclude"
        """
    )
    assert load_eligibility(EligibilityConfig(str(path))).rules[0].limit == 20.0
    for wrong in ("nothing", str(tmp_path / "absent.toml")):
        with pytest.raises(ConfigError) as caught:
            load_eligibility(EligibilityConfig(wrong))
        assert caught.value.code == "E_ELIGIBILITY"
