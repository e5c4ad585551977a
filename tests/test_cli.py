"""The command line: help, codes, settings, scanning, single maps."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import eprimg
from eprimg import cli
from eprimg.errors import (
    ConfigError,
    EngineError,
    GeometryError,
    InputError,
    OutputError,
    UnitsError,
)
from tests.conftest import Outcome
from tests.quick import QUICK

Command = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (InputError, 3),
        (ConfigError, 4),
        (GeometryError, 5),
        (EngineError, 5),
        (UnitsError, 3),
        (OutputError, 6),
    ],
)
def test_exit_codes(kind: type, code: int) -> None:
    assert cli.exit_code(kind("x", code="E_X")) == code
    assert code in cli.EXIT_CODES


def test_version_help_and_check(command: Command) -> None:
    assert command("--version").out.strip() == eprimg.__version__
    assert "not a medical device" in command("--help").out
    shown = command("check")
    assert shown.code == 0
    assert "simpleitk-rigid" in shown.out


def test_settings_can_be_shown_and_faults_are_named(command: Command) -> None:
    shown = command("config", "show", "--set", "r2star.method=loglin")
    assert 'method = "loglin"' in shown.out
    wrong = command("config", "show", "--set", "r2star.metod=loglin")
    assert wrong.code == 4
    assert "E_CONFIG" in wrong.err
    assert "r2star.method" in wrong.err


def test_codes_are_explained(command: Command) -> None:
    assert "What to do" in command("explain", "e_suv_time").out
    wrong = command("explain", "E_SUV_TIMES")
    assert wrong.code == 4
    assert "E_SUV_TIME" in wrong.err


def test_scan_says_roles_and_reasons(command: Command, phantom: Path) -> None:
    shown = command("scan", phantom / "dicom")
    assert shown.code == 0
    for words in ("mr_pre", "mr_post", "pet", "regions", "Ferumoxytol"):
        assert words in shown.out
    index = json.loads(command("scan", phantom / "dicom", "--json").out)
    assert {s["role"] for s in index["series"]} == {"mr_pre", "mr_post", "pet", "regions"}
    assert str(phantom) not in json.dumps(index)


def test_r2star_of_one_series(command: Command, phantom: Path, tmp_path: Path) -> None:
    index = json.loads(command("scan", phantom / "dicom", "--json").out)
    key = next(s["key"] for s in index["series"] if s["role"] == "mr_pre")
    ambiguous = command("map", "r2star", phantom / "dicom", "--out", tmp_path / "a")
    assert ambiguous.code == 4
    assert "--series" in ambiguous.err
    done = command("map", "r2star", phantom / "dicom", "--series", key, "--out", tmp_path / "m")
    assert done.code == 0, done.err
    sidecar = json.loads((tmp_path / "m" / "r2star.json").read_text(encoding="utf-8"))
    assert sidecar["Units"] == "1/s"
    # one series alone does not say whether the agent was there
    assert (sidecar["Sources"], sidecar["agent_phase"]) == (["mr"], "unknown")
    assert {p.name for p in (tmp_path / "m").glob("*.nii.gz")} == {
        "r2star.nii.gz",
        "r2star_se.nii.gz",
        "s0.nii.gz",
    }


def test_r2star_of_nifti_with_given_echo_times(command: Command, tmp_path: Path) -> None:
    # Signal 1000 exp(-TE R2*) with R2* = 50 1/s, written here by the formula itself.
    times = np.array([2.0, 5.0, 9.0])
    signal = 1000 * np.exp(-times / 1000 * 50) * np.ones((4, 3, 2, 1))
    nib.save(nib.Nifti1Image(signal.astype(np.float32), np.eye(4)), tmp_path / "echoes.nii.gz")
    missing = command("map", "r2star", tmp_path / "echoes.nii.gz", "--out", tmp_path / "a")
    assert missing.code == 3
    assert not (tmp_path / "a").exists()
    wrong = command(
        "map",
        "r2star",
        tmp_path / "echoes.nii.gz",
        "--out",
        tmp_path / "a",
        "--echo-times-ms",
        "two",
    )
    assert wrong.code == 4
    done = command(
        "map",
        "r2star",
        tmp_path / "echoes.nii.gz",
        "--out",
        tmp_path / "m",
        "--echo-times-ms",
        "2,5,9",
    )
    assert done.code == 0, done.err
    fitted = nib.load(tmp_path / "m" / "r2star.nii.gz").get_fdata()
    assert fitted == pytest.approx(50.0, rel=1e-4)


def test_suv_of_one_series(command: Command, phantom: Path, tmp_path: Path) -> None:
    done = command("map", "suv", phantom / "dicom", "--out", tmp_path / "s")
    assert done.code == 0, done.err
    sidecar = json.loads((tmp_path / "s" / "suvbw.json").read_text(encoding="utf-8"))
    assert sidecar["Quantity"] == "SUVbw"
    truth = json.loads((phantom / "truth.json").read_text(encoding="utf-8"))
    assert truth
    again = command("map", "suv", phantom / "dicom", "--out", tmp_path / "s")
    assert again.code == 6


def test_demo_compares_with_the_truth(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With the default settings the demo runs in `make wheel`, and the same study in test_main_job.
    monkeypatch.setattr(cli, "Config", lambda: QUICK)
    shown = command("demo", "--out", tmp_path / "demo")
    assert shown.code == 0, shown.out + shown.err
    assert "agree with the truth" in shown.out
    assert (tmp_path / "demo" / "results" / "report.html").is_file()
    assert command("demo", "--out", tmp_path / "demo").code == 6


def test_a_run_needs_a_study_or_a_saved_case(command: Command, tmp_path: Path) -> None:
    wrong = command("run", "--out", tmp_path / "o")
    assert wrong.code == 2
    assert "--case" in wrong.err
    assert command("run", "--case", tmp_path, "--out", tmp_path / "o").code == 3


def test_the_reading_room_is_a_child_process(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def start(arguments: list[str], **options: object) -> object:
        started.append(arguments)
        return subprocess.CompletedProcess(arguments, 9)

    monkeypatch.setattr(subprocess, "run", start)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    blind = command("view", tmp_path)
    assert (blind.code, "needs a screen" in blind.err) == (5, True)
    monkeypatch.setenv("DISPLAY", ":0")
    assert command("view", tmp_path).code == 9  # handed through
    assert started == [[sys.executable, "-m", "napari_eprimg", str(tmp_path)]]
    assert command("view", tmp_path / "nowhere").code == 3
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.startswith("Py") else object()
    )
    missing = command("view", tmp_path)
    assert missing.code == 5
    assert "a Qt binding" in missing.err
    assert "pip install" in missing.err
    assert len(started) == 1
