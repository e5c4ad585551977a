"""Profiles of one's own: refused with their path, hashed by content, recorded without folders."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from eprimg.config import Config, RegisterConfig
from eprimg.engines.registrars.profiles import checked_profiles, profile_record
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import ConfigError

Own = Callable[..., str]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """Copy a profile of the package, with one piece of its text replaced."""

    def copy(name: str, old: str = "", new: str = "", *, to: str = "") -> str:
        text = files("eprimg.resources").joinpath(f"registration/{name}.toml").read_text("utf-8")
        assert old in text
        path = tmp_path / (to or f"own-{name}.toml")
        path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
        return str(path)

    return copy


def asked(**names: str) -> RegisterConfig:
    return Config().with_settings({"register": names}).register


def test_a_path_is_read_as_it_stands(own: Own) -> None:
    path = own("rigid-mi", "iterations = 150", "iterations = 77")
    assert load_profile(path) == tomllib.loads(Path(path).read_text(encoding="utf-8"))
    assert load_profile(path)["optimizer"]["iterations"] == 77
    assert load_profile("rigid-mi")["optimizer"]["iterations"] == 150


def test_the_content_counts_and_not_its_layout(own: Own) -> None:
    usual = checked_profiles(asked())
    assert checked_profiles(asked(profile=own("rigid-mi"))) == usual
    path = own("rigid-mi", "histogram_bins = 32", "histogram_bins = 0x20  # the same")
    assert checked_profiles(asked(profile=path)) == usual
    path = own("rigid-mi", "displaced_mm = 15.0", "displaced_mm = 16.0")
    assert checked_profiles(asked(profile=path)) != usual
    bending = own("bspline-ncc", "stiffness = 1000.0", "stiffness = 500.0")
    assert checked_profiles(asked(deformable_profile=bending)) != usual


def test_the_rigid_profile_that_a_deformable_one_names_counts_too(own: Own) -> None:
    inner = own("rigid-mi", "iterations = 150", "iterations = 77")
    outer = own("bspline-ncc", 'rigid = "rigid-mi"', f'rigid = "{inner}"')
    before = checked_profiles(asked(deformable_profile=outer))
    own("rigid-mi", "iterations = 150", "iterations = 78")
    assert checked_profiles(asked(deformable_profile=outer)) != before
    Path(inner).unlink()
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        checked_profiles(asked(deformable_profile=outer))
    assert caught.value.where == inner


@pytest.mark.parametrize("key", ["profile", "deformable_profile"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("[levels", "cannot be read"),
        ('title = "x"', "missing"),
    ],
)
def test_a_file_that_is_missing_or_faulty_is_refused_with_its_path(
    tmp_path: Path, key: str, text: str | None, words: str
) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        checked_profiles(asked(**{key: str(path)}))
    assert caught.value.code == "E_CONFIG"
    assert caught.value.where == str(path)


def test_faults_of_both_files_are_told_at_once(own: Own) -> None:
    rigid = own("rigid-mi", "relaxation = 0.5", "relaxation = 1.5")
    bending = own("bspline-ncc", "window_points = 5", "window_points = 4")
    with pytest.raises(ConfigError) as caught:
        checked_profiles(asked(profile=rigid, deformable_profile=bending))
    assert "optimizer.relaxation" in str(caught.value)
    assert "odd window" in str(caught.value)


def test_an_unknown_name_says_which_setting_and_what_else_there_is() -> None:
    with pytest.raises(ConfigError, match="rigid-mi, or a path ending in .toml") as caught:
        checked_profiles(asked(deformable_profile="nothing"))
    assert caught.value.where == "register.deformable_profile"


def test_a_record_names_the_file_without_its_folder(own: Own) -> None:
    assert profile_record("profile", "rigid-mi", {}) == {"profile": "rigid-mi"}
    path = own("rigid-mi")
    content = load_profile(path)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    expected = {"profile": "own-rigid-mi.toml", "profile_sha256": digest}
    assert profile_record("profile", path, content) == expected
