"""The plugin manifest names things that exist, and napari opens them by name."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import napari_eprimg

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = Path(napari_eprimg.__file__).with_name("napari.yaml")
WIDGETS = ("Reading workflow", "Lesion table", "Planes and projection", "Voxel inspector")


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
        assert callable(getattr(importlib.import_module(module), function)), python_name
    used = [
        item["command"]
        for kind in ("readers", "writers", "widgets", "sample_data")
        for item in contributions[kind]
    ]
    used += [item["command"] for items in contributions["menus"].values() for item in items]
    assert set(used) == set(commands)
    assert [w["display_name"] for w in contributions["widgets"]] == list(WIDGETS)


def test_npe2_takes_the_manifest() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 is not installed: extra 'napari'")
    read = npe2.PluginManifest.from_file(MANIFEST)
    assert read.name == "eprimg"
    # What `npe2 validate` does.
    done = subprocess.run(
        [sys.executable, "-c", "from npe2.cli import main; main()", "validate", str(MANIFEST)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout + done.stderr


def test_no_qt_binding_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    wanted += [d for extra in project["optional-dependencies"].values() for d in extra]
    assert not [d for d in wanted if d.lower().startswith(("pyqt", "pyside"))]


@pytest.mark.parametrize("name", WIDGETS)
def test_every_widget_opens_by_its_name(make_napari_viewer: Callable[..., Any], name: str) -> None:
    viewer = make_napari_viewer(show=True)
    dock, widget = viewer.window.add_plugin_dock_widget("eprimg", name)
    assert dock is not None
    assert widget is not None


def test_folders_and_samples_open_by_name(
    make_napari_viewer: Callable[..., Any], small_study: Path, recwarn: pytest.WarningsRecorder
) -> None:
    viewer = make_napari_viewer()
    layers = viewer.open(str(small_study), plugin="eprimg")
    assert len(layers) == 3
    assert {str(u) for u in viewer.layers[0].units} == {"millimeter"}
    # The stack is oblique (7 and -5 degrees), which napari would draw wrongly with a warning.
    assert not [w for w in recwarn if "orthogonal" in str(w.message).lower()]


def test_the_sample_menu_lists_both_samples() -> None:
    npe2 = pytest.importorskip("npe2")
    samples = npe2.PluginManifest.from_file(MANIFEST).contributions.sample_data
    assert [s.key for s in samples] == ["phantom-small", "phantom-two-timepoints"]
