"""What is recorded beside the numbers."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

import eprimg
from eprimg.config import Config
from eprimg.errors import ConfigError, EngineUnavailable, InputError
from eprimg.io.schemes import load_schemes
from eprimg.provenance import (
    check_settings,
    engines_of,
    peak_memory_mb,
    settings_hash,
    versions,
)
from tests.tiny_case import case


def test_versions_and_memory() -> None:
    assert versions()["eprimg"] == eprimg.__version__
    assert {"numpy", "SimpleITK", "python"} <= set(versions())
    assert 1.0 < peak_memory_mb() < 1e6


def test_engines_that_made_something() -> None:
    used = engines_of(case(), Config())
    assert used["registrar"] == "identity"
    assert "segmenter" not in used  # masks only


def test_the_noise_mode_that_was_used_is_recorded_not_the_one_that_was_asked_for() -> None:
    made = case()
    key = next(key for key in made.maps if key.startswith("r2star"))
    for mode in ("none", "truncate"):
        maps = {key: replace(made.maps[key], facts={"noise": mode})}
        used = engines_of(replace(made, maps=maps), Config())
        assert used["r2star"] == f"nlls, noise {mode}"


def test_edited_schemes_change_the_hash_and_equal_ones_do_not() -> None:
    config = Config()
    schemes = load_schemes(config.stratify)
    assert settings_hash(config, schemes) == settings_hash(config)
    edited = (replace(schemes[0], edges=tuple(2 * e for e in schemes[0].edges)), *schemes[1:])
    assert settings_hash(config, edited) != settings_hash(config)


def test_settings_that_name_nothing_are_refused() -> None:
    check_settings(Config())
    with pytest.raises(ConfigError):
        check_settings(Config().with_settings({"stratify": {"schemes": ["nothing"]}}))
    with pytest.raises(ConfigError, match="needs the width"):
        check_settings(Config().with_settings({"partial_volume": {"method": "gtm"}}))
    table = {"method": "rc-table", "scanner": "A", "recovery_table": "absent.csv"}
    with pytest.raises(InputError, match="cannot be read"):
        check_settings(Config().with_settings({"partial_volume": table}))


def test_a_coefficient_changes_the_hash(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    config = Config().with_settings({"partial_volume": {"recovery_table": str(file)}})
    head = "nuclide,scanner,diameter_mm,background_ratio,rc,rc_uncertainty\n"
    file.write_text(head + "89Zr,A,10,5,0.5,0.1\n")
    first = settings_hash(config)
    assert settings_hash(config) == first
    file.write_text(head + "89Zr,A,10,5,0.6,0.1\n")
    assert settings_hash(config) != first


@pytest.mark.parametrize("key", ["profile", "deformable_profile"])
def test_a_registration_profile_of_ones_own_counts(tmp_path: Path, key: str) -> None:
    name = getattr(Config().register, key)
    own = tmp_path / "own.toml"
    config = Config().with_settings({"register": {key: str(own)}})
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        check_settings(config)
    assert (caught.value.code, caught.value.where) == ("E_CONFIG", str(own))
    text = files("eprimg.resources").joinpath(f"registration/{name}.toml").read_text("utf-8")
    own.write_text(text, encoding="utf-8")
    check_settings(config)
    first = settings_hash(config)
    own.write_text(f"# a remark\n{text}", encoding="utf-8")
    assert settings_hash(config) == first
    own.write_text(text.replace("iterations = ", "iterations = 1"), encoding="utf-8")
    assert settings_hash(config) != first
    own.write_text(text.replace("title", "titel"), encoding="utf-8")
    with pytest.raises(ConfigError, match="titel"):
        check_settings(config)


def test_a_model_is_recorded_and_its_weights_count(tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"one")
    model = {"engine": "model-command", "weights": str(weights)}
    config = Config().with_settings({"segment_model": model})
    first = settings_hash(config)
    weights.write_bytes(b"two")  # the same file, other weights
    assert settings_hash(config) != first
    with pytest.raises(EngineUnavailable, match="E_ENGINE"):
        check_settings(Config().with_settings({"segment_model": {"engine": "no-such-model"}}))
    made = case()
    assert made.lesions is not None
    about = {"engine": "nnunet-v2", "weights_sha256": "ab12", "licence": "CC BY 4.0"}
    lesions = replace(made.lesions, settings={"model": about})
    used = engines_of(replace(made, lesions=lesions), config)
    assert used["segmentation model"] == "nnunet-v2, weights ab12, licence: CC BY 4.0"
