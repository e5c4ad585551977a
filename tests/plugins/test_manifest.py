"""The plugin manifest names things that exist."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

import napari_eprimg

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = Path(napari_eprimg.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load(MANIFEST.read_text(encoding="utf-8")))


def test_the_name_is_the_distribution_and_the_entry_point_leads_here(
    manifest: dict[str, Any],
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert manifest["name"] == project["name"]
    module, _, file = project["entry-points"]["napari.manifest"]["eprimg"].partition(":")
    assert Path(str(importlib.import_module(module).__file__)).with_name(file) == MANIFEST


def test_every_command_exists_and_every_contribution_has_its_command(
    manifest: dict[str, Any],
) -> None:
    contributions = manifest["contributions"]
    commands = {c["id"]: c["python_name"] for c in contributions["commands"]}
    for name, python_name in commands.items():
        assert name.startswith("eprimg.")
        module, _, function = python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    (reader,) = contributions["readers"]
    (sample,) = contributions["sample_data"]
    assert {reader["command"], sample["command"]} == set(commands)
    assert reader["accepts_directories"] is True
    assert reader["filename_patterns"]
    assert sample["key"]
    assert sample["display_name"]


def test_npe2_takes_the_manifest() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 is not installed: extra 'napari'")
    read = npe2.PluginManifest.from_file(MANIFEST)
    assert read.name == "eprimg"
    assert read.contributions.readers
