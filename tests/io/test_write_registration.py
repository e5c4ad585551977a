"""The folder of one registration: what is in it, and that it is whole."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.engines.sitk_bridge import read_tfm
from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from eprimg.io.write_registration import registration_figures, write_registration
from eprimg.model.case import Finding, Severity
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Registration, Transform

GRID = Grid((4, 5, 6), np.eye(4)[[2, 1, 0, 3]] @ np.diag((3.0, 2.0, 2.0, 1.0)), "a")
MATRIX = np.array(((0, -1, 0, 7), (1, 0, 0, -2), (0, 0, 1, 3.5), (0, 0, 0, 1.0)))
MOVED = np.linspace(0, 1, 120, dtype=np.float32).reshape(GRID.shape)


def made(**facts) -> Registration:
    bend = facts.pop("bend", None)
    return Registration(
        "fixed", "moving", Transform(MATRIX, "a", "b", bend), "test 1", {}, {"x_mm": 2.0}, **facts
    )


def test_what_is_written_can_be_read_back(tmp_path: Path) -> None:
    warning = Finding("W_REGISTRATION", Severity.WARNING, "moving", "doubtful")
    path = write_registration(
        tmp_path / "out",
        made(doubts=("why",)),
        MOVED,
        GRID,
        findings=(warning,),
        facts={"fixed": "f"},
    )
    assert path == tmp_path / "out" / "transform.tfm"
    np.testing.assert_allclose(read_tfm(path, "a", "b").matrix, MATRIX, atol=1e-12)
    qc = json.loads((tmp_path / "out" / "qc.json").read_text())
    assert (qc["verdict"], qc["reasons"], qc["fixed"]) == ("review", ["why"], "f")
    assert qc["qc"] == {"x_mm": 2.0}
    assert qc["findings"][0]["code"] == "W_REGISTRATION"
    assert qc["matrix_fixed_to_moving_lps_mm"] == MATRIX.tolist()
    loaded = nib.load(tmp_path / "out" / "moved.nii.gz")
    np.testing.assert_allclose(loaded.get_fdata(), MOVED.T, rtol=1e-6)
    verify_folder(tmp_path / "out")
    with pytest.raises(OutputError):
        write_registration(tmp_path / "out", made(), MOVED, GRID)


def test_a_failed_one_says_why() -> None:
    told = registration_figures(made(accepted=False, note="too far"))
    assert (told["verdict"], told["reasons"]) == ("fail", ["too far"])


def test_a_bent_one_is_written_whole(tmp_path: Path) -> None:
    bend = Displacement(np.full((*GRID.shape, 3), 0.5, np.float32), GRID)
    out = tmp_path / "out"
    import SimpleITK as sitk

    path = write_registration(out, made(bend=bend), MOVED, GRID)
    assert path.name == "transform.h5"
    there = sitk.ReadTransform(str(path)).TransformPoint((4.0, 4.0, 3.0))
    expected = MATRIX @ (4.5, 4.5, 3.5, 1.0)
    np.testing.assert_allclose(there, expected[:3], atol=1e-4)
