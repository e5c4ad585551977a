"""What a run would do, without reading a pixel or writing a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.config import Config
from eprimg.errors import Cancelled, ConfigError, OutputError
from eprimg.folder_plan import plan_folder
from eprimg.model.study import Role


def test_headers_roles_and_facts(phantom: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "study.toml"
    spoken.write_text("[patient]\nweight_kg = 81.0\nheight_m = 1.8\n", encoding="utf-8")
    planned = plan_folder(
        phantom / "dicom", tmp_path / "out", study_file=spoken, facts={"weight_kg": 60.0}
    )
    assert planned.config == Config()
    assert planned.plan.entries(Role.PET)
    assert planned.plan.study_file.entered == {"weight_kg": 60.0, "height_m": 1.8}
    assert not (tmp_path / "out").exists()


def test_refusals(phantom: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_folder(None, tmp_path / "out")
    assert caught.value.code == "E_EMPTY"
    with pytest.raises(ConfigError, match="weigt_kg"):
        plan_folder(phantom / "dicom", tmp_path / "out", facts={"weigt_kg": 60.0})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError):
        plan_folder(phantom / "dicom", tmp_path / "full")
    with pytest.raises(Cancelled):
        plan_folder(phantom / "dicom", tmp_path / "out", progress=lambda words, share: False)
