"""The adapter of greedy: its command, its RAS matrix, and where it is looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.conformance import TRUE_MATRIX, conformance_pair
from eprimg.engines.registrars.greedy import Greedy
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import EngineError, EngineUnavailable
from tests.engines.registrars.fake_backend import WRITE_RAS, fake

SETTINGS = {"settings": load_profile("rigid-mi"), "seed": 3, "threads": 2}


@pytest.mark.skipif(os.name != "posix", reason="stand-ins are executable scripts")
@pytest.mark.parametrize("how", ["python", "program"])
def test_the_matrix_is_turned_from_ras(tmp_path: Path, how: str) -> None:
    place = fake(tmp_path, after=WRITE_RAS)
    result = Greedy(RegisterConfig(**{how: place})).register(*conformance_pair(), **SETTINGS)
    assert result.matrix == pytest.approx(TRUE_MATRIX, abs=1e-3)
    version = {"python": "9.9", "program": "program backend"}[how]
    assert result.settings["engine_version"] == version


@pytest.mark.skipif(os.name != "posix", reason="stand-ins are executable scripts")
def test_a_matrix_of_another_size_is_no_answer(tmp_path: Path) -> None:
    place = fake(tmp_path, after='np.savetxt("affine.mat", np.eye(3))')
    with pytest.raises(EngineError) as caught:
        Greedy(RegisterConfig(program=place)).register(*conformance_pair(), **SETTINGS)
    assert caught.value.code == "E_ENGINE_ANSWER"


def test_the_command_line(tmp_path: Path) -> None:
    fixed, _ = conformance_pair()
    own = {"rigid": {"metric": "NMI", "iterations": "100x50"}}
    engine = Greedy(RegisterConfig(program="greedy-of-mine"))
    line = engine.prepare(fixed, own, 1)["command"]
    assert line == (
        "-d 3 -a -dof 6 -m NMI -i fixed.nii moving.nii -o affine.mat -ia-identity -n 100x50 "
        "-jitter 0 -threads 1 -V 0"
    )
    assert engine.command(tmp_path) == ["greedy-of-mine", *line.split()]


def test_where_it_is_looked_for(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EPRIMG_GREEDY_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="picsl-greedy"):
        Greedy().version()
    with pytest.raises(EngineUnavailable, match="names no program"):
        Greedy(RegisterConfig(program=str(tmp_path / "absent"))).version()
    program = tmp_path / "greedy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Greedy().version() == "program greedy"
    assert Greedy().program() == str(program)
