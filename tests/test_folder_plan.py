"""What a run would do, without reading a pixel or writing a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.config import Config
from eprimg.errors import Cancelled, ConfigError, InputError, OutputError
from eprimg.folder_plan import check_folder, plan_folder
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


def test_a_plan_is_checked_as_far_as_headers_go(phantom: Path, tmp_path: Path) -> None:
    """Reading accepts these landmarks; the stage `register` of a run would refuse them."""
    line = [[float(n), 0.0, 0.0] for n in range(0, 40, 10)]
    pairs = {"fixed": "mr_pre", "moving": "pet", "fixed_mm": line, "moving_mm": line}
    facts = {"landmarks": [{**pairs, "use": "check"}]}
    planned = plan_folder(phantom / "dicom", tmp_path / "out", facts=facts)
    assert not any(f.code.startswith("E_") for f in check_folder(planned))
    facts = {"landmarks": [{**pairs, "use": "result"}]}
    planned = plan_folder(phantom / "dicom", tmp_path / "out", facts=facts)
    with pytest.raises(InputError) as caught:
        check_folder(planned)
    assert caught.value.code == "E_LANDMARKS"
