"""Scene "suv-dro": SUVbw of every voxel is known, and is found again through files.

Expected: 0.00, 1.00, 4.00, 4.11, -0.11, 0.10 and 0.90, the values of the QIBA FDG-PET object
(Pierce et al., Radiology 2015).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from eprimg import Config, read_study, run
from eprimg_phantoms import make

# One step of a slice whose largest value is 4.11 in 16 bits, twice.
STEP = 2 * 4.11 / 32767


@pytest.fixture(scope="module", params=["", "female"])
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = make("suv-dro", tmp_path_factory.mktemp("dro") / "x", variant=request.param)
    config = Config()
    read = read_study(folder / "dicom", config=config)
    case = run(read.value, config, findings=read.findings, stop="measure")
    truth = json.loads((folder / "truth.json").read_text())
    return {"case": case, "truth": truth, "folder": folder}


def test_single_voxels_and_tissues(seen: dict[str, Any]) -> None:
    suv = seen["case"].maps["suvbw"].values
    assert suv.shape == (40, 64, 80)
    assert suv[20, 31, 44] == pytest.approx(4.11, abs=STEP)
    assert suv[20, 31, 46] == pytest.approx(-0.11, abs=STEP)
    assert suv[20, 31, 45] == pytest.approx(4.0, abs=STEP)
    assert suv[30, 31, 40] == pytest.approx(1.0, abs=STEP)
    assert suv[24, 24, 25] == pytest.approx(0.0, abs=STEP)
    assert suv[0, 0, 0] == 0.0
    # Nothing else was painted: no edge was mixed.
    known = np.array([0.0, 1.0, 4.0, 4.11, -0.11, 0.1, 0.9])
    assert np.abs(suv[..., np.newaxis] - known).min(axis=-1).max() < STEP


def test_the_checkerboard_has_its_mean(seen: dict[str, Any]) -> None:
    board = seen["case"].maps["suvbw"].values[18:22, 40:48, 20:28]
    assert board.mean() == pytest.approx(0.5, abs=STEP)
    assert board.std() == pytest.approx(0.4, abs=STEP)
    assert board[0, 0, 0] == pytest.approx(0.1, abs=STEP)
    neighbours = np.abs(np.diff(board, axis=2))
    np.testing.assert_allclose(neighbours, 0.8, atol=STEP)


def test_statistics_of_the_hot_sphere(seen: dict[str, Any]) -> None:
    region = seen["case"].lesions.lesions[0]
    value = {m.statistic: m for m in region.measurements if m.quantity == "suvbw"}
    n = value["mean"].n_voxels
    # All voxels 4.00 but one of 4.11 and one of -0.11.
    assert value["mean"].value == pytest.approx(4.0 + (0.11 - 4.11) / n, abs=STEP)
    assert value["max"].value == pytest.approx(4.11, abs=STEP)
    assert value["median"].value == pytest.approx(4.0, abs=STEP)


def test_headers(seen: dict[str, Any]) -> None:
    files = sorted((seen["folder"] / seen["truth"]["series"]["pet"]).glob("*.dcm"))
    slices = [pydicom.dcmread(f) for f in files]
    sex = seen["truth"]["patient"]["sex"]
    assert {d.PatientSex for d in slices} == {sex}
    assert float(slices[0].PatientWeight) == {"M": 82.0, "F": 61.0}[sex]
    assert slices[20].PixelRepresentation == 1
    assert int(slices[20].pixel_array.min()) < 0
    assert len({str(d.RescaleSlope) for d in slices}) > 1
    item = slices[0].RadiopharmaceuticalInformationSequence[0]
    assert item.RadionuclideCodeSequence[0].CodeValue == "77004003"


def test_equal_seeds_give_equal_files(seen: dict[str, Any], tmp_path: Path) -> None:
    variant = seen["truth"]["variant"]
    again = make("suv-dro", tmp_path / "again", variant=variant)
    one, two = (sorted(p for p in f.rglob("*") if p.is_file()) for f in (seen["folder"], again))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
