"""Settings: round trip, strictness, all faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.config import Config, load_config
from eprimg.errors import ConfigError


def test_toml_round_trip_is_equal(tmp_path: Path) -> None:
    config = Config().with_assignments(
        ["segment.percent=50", "r2star.method=loglin", "stratify.schemes=['a', 'b']", "threads=2"]
    )
    path = tmp_path / "settings.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert load_config(path) == config
    assert load_config(path).hash == config.hash
    assert config.hash != Config().hash


def test_a_whole_number_is_taken_for_a_float_but_a_truth_value_is_not() -> None:
    assert Config().with_assignments(["segment.percent=50"]).segment.percent == 50.0
    with pytest.raises(ConfigError, match="must be of type float"):
        Config().with_assignments(["segment.percent=true"])


def test_every_fault_is_listed_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        Config().with_settings(
            {
                "r2star": {"metod": "nlls", "method": "magic"},
                "segment": {"percent": 200.0},
                "measure": 3,
                "threads": -1,
                "stratify": {"schemes": [1]},
                "register": {"max_moved_mm": float("nan")},
            },
            where="my.toml",
        )
    text = str(caught.value)
    for words in (
        "'r2star.metod'",
        "'r2star.method' must be one of nlls, irls, loglin, arlo",
        "'segment.percent' must be at most 99.0",
        "'measure' is a section",
        "'threads' must be at least 0",
        "'stratify.schemes' is a list of str",
        "'register.max_moved_mm' must be finite",
    ):
        assert words in text
    assert caught.value.code == "E_CONFIG"
    assert len(caught.value.faults) == 7


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("a = [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(bad)
    with pytest.raises(ConfigError, match="section.key=value"):
        load_config(None, ["segment.percent"])


def test_one_value_stands_for_a_list_of_one() -> None:
    assert Config().with_assignments(["stratify.schemes=mine.toml"]).stratify.schemes == (
        "mine.toml",
    )


def test_every_setting_says_what_it_means() -> None:
    for line_above, line in zip(
        Config().to_toml().splitlines(), Config().to_toml().splitlines()[1:], strict=False
    ):
        if " = " in line and not line.startswith("#"):
            assert line_above.startswith("# "), line


@pytest.mark.parametrize(
    "assignments",
    [
        ["threads=1", "threads.x=2"],
        ["threads.x=2", "threads=1"],
        ["segment.percent=40", "segment=3"],
        ["segment.percent=40", "segment.percent.x.y=3"],
    ],
)
def test_assignments_that_contradict_each_other(assignments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().with_assignments(assignments)
    assert caught.value.code == "E_CONFIG"


def test_the_last_of_two_values_counts() -> None:
    config = Config().with_assignments(["segment.percent=40", "segment.percent=50"])
    assert config.segment.percent == 50.0


def test_settings_that_contradict_each_other_are_listed_with_the_other_faults() -> None:
    with pytest.raises(ConfigError) as caught:
        Config().with_settings(
            {"r2star": {"noise": "rician", "method": "arlo"}, "threads": -1}, where="my.toml"
        )
    assert "least squares only" in str(caught.value)
    assert "'threads' must be at least 0" in str(caught.value)
