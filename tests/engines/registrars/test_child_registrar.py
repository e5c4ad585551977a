"""Engines in a child process, with stand-ins: what goes out, what comes back, every way to fail."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from eprimg.config import Config, RegisterConfig
from eprimg.engines.registrars.antspyx import Antspyx
from eprimg.engines.registrars.child_registrar import is_rigid
from eprimg.engines.registrars.conformance import (
    TRUE_MATRIX,
    check_registrar,
    conformance_pair,
)
from eprimg.engines.registrars.contract import make_registrar
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import Cancelled, EngineError, EngineUnavailable, InputError
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from tests.engines.registrars.fake_backend import WRITE_JSON, fake

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stand-ins are executable scripts")
SETTINGS = {"settings": load_profile("rigid-mi"), "seed": 3, "threads": 2}


@pytest.fixture(scope="module")
def pair() -> tuple[Volume, Volume]:
    return conformance_pair()


def engine(folder: Path, *, before: str = "", after: str = WRITE_JSON, **config: float) -> Antspyx:
    python = fake(folder, before=before, after=after)
    return Antspyx(RegisterConfig(python=python, **config))  # type: ignore[arg-type]


def test_an_adapter_with_a_perfect_back_end_conforms(tmp_path: Path) -> None:
    # 1e-3 mm: NIfTI keeps places as 32-bit numbers
    result = check_registrar(engine(tmp_path), tolerance_mm=1e-3)
    assert np.isnan(result.consistency_mm)
    assert result.settings["engine_version"] == "9.9"
    assert result.settings["engine_settings"]["registration"]["type_of_transform"] == "Rigid"
    assert [p.name for p in tmp_path.iterdir()] == ["backend"]


@pytest.mark.parametrize("start", ["centres", "moments", "best"])
def test_every_start_leads_to_the_same_answer(tmp_path: Path, pair, start: str) -> None:
    result = engine(tmp_path).register(*pair, **SETTINGS, start=start)
    assert result.matrix == pytest.approx(TRUE_MATRIX, abs=1e-3)
    assert result.start_name == {"best": "identity"}.get(start, start)


def test_an_unknown_start_is_named(tmp_path: Path, pair) -> None:
    with pytest.raises(EngineError) as caught:
        engine(tmp_path).register(*pair, **SETTINGS, start="luck")
    assert caught.value.code == "E_ARGUMENT"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ({"before": "os.kill(os.getpid(), signal.SIGSEGV)"}, "E_ENGINE_CRASH"),
        ({"before": "print('no licence'); sys.exit(3)"}, "E_ENGINE_EXIT"),
        ({"before": "time.sleep(60)"}, "E_ENGINE_TIME"),
        (
            {"before": "b = bytearray(300_000_000); b[::4096] = b[::4096]; time.sleep(60)"},
            "E_ENGINE_MEMORY",
        ),
        ({"after": "pass"}, "E_ENGINE_ANSWER"),
        ({"after": "Path('out.json').write_text('{')"}, "E_ENGINE_ANSWER"),
        (
            {"after": "Path('out.json').write_text('{\"matrix\": [[1, 2], [3, 4]]}')"},
            "E_ENGINE_ANSWER",
        ),
        ({"after": "left[0, 0] = np.nan\n" + WRITE_JSON}, "E_ENGINE_ANSWER"),
        ({"after": "left[0, :3] *= 1.1\n" + WRITE_JSON}, "E_ENGINE_ANSWER"),
    ],
)
def test_every_way_to_fail_is_an_engine_error(tmp_path: Path, pair, lines: dict, code: str) -> None:
    limits = {"time_limit_s": 1.0 if code == "E_ENGINE_TIME" else 30.0, "memory_limit_mb": 200.0}
    with pytest.raises(EngineError) as caught:
        engine(tmp_path, **lines, **limits).register(*pair, **SETTINGS)
    assert caught.value.code == code
    assert caught.value.where == "antspyx"
    if code == "E_ENGINE_EXIT":
        assert "no licence" in str(caught.value)


def test_a_stop_ends_the_program(tmp_path: Path, pair) -> None:
    with pytest.raises(Cancelled):
        engine(tmp_path, before="time.sleep(60)").register(
            *pair, **SETTINGS, should_stop=lambda: True
        )


def test_volumes_and_overlap_are_checked_before_anything_is_started(tmp_path: Path, pair) -> None:
    never = engine(tmp_path, before="Path('/dev/null').write_text(''); sys.exit(9)")
    flat = Volume(np.ones_like(pair[0].data), pair[0].grid, pair[0].quantity)
    with pytest.raises(InputError) as caught:
        never.register(flat, pair[1], **SETTINGS)
    assert caught.value.code == "E_CONSTANT"
    away = np.eye(4)
    away[0, 3] = 4000.0
    frames = (pair[0].grid.frame_of_reference, pair[1].grid.frame_of_reference)
    with pytest.raises(EngineError) as refused:
        never.register(*pair, **SETTINGS, start=Transform(away, *frames))
    assert refused.value.code == "E_REGISTRATION"


def test_an_engine_that_is_not_installed_says_where_it_was_looked_for(
    monkeypatch, tmp_path: Path, pair
) -> None:
    monkeypatch.delenv("EPRIMG_ANTSPYX_PYTHON", raising=False)
    for missing in (
        Antspyx(),  # this python has no antspyx
        Antspyx(RegisterConfig(python=str(tmp_path / "absent"))),
    ):
        with pytest.raises(EngineUnavailable) as caught:
            missing.version()
        assert caught.value.code == "E_ENGINE"
        assert "EPRIMG_ANTSPYX_PYTHON" in (caught.value.action or "")
    with pytest.raises(EngineUnavailable):
        Antspyx.version()
    monkeypatch.setenv("EPRIMG_ANTSPYX_PYTHON", fake(tmp_path))
    assert Antspyx.version() == Antspyx().version() == "9.9"


def test_the_stage_hands_its_settings_over() -> None:
    config = Config().with_assignments(["register.engine=antspyx", "register.time_limit_s=5"])
    made = make_registrar(config.register, lambda kind, name: Antspyx)
    assert isinstance(made, Antspyx)
    assert made.config.time_limit_s == 5.0


def test_rigid_matrices() -> None:
    assert is_rigid(TRUE_MATRIX)
    assert not is_rigid(np.diag((1.0, 1.0, -1.0, 1.0)))
    assert not is_rigid(np.diag((1.01, 1.0, 1.0, 1.0)))
