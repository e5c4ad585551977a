"""Maps on disk: values, place, side-car; equal maps give equal bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.errors import OutputError
from eprimg.io import write_maps
from eprimg.model.lesions import SharedVoxels
from eprimg.quantities import quantity
from tests import tiny_case


def test_values_and_place_survive(tmp_path: Path) -> None:
    made = tiny_case.case().maps["r2star_pre"]
    path = tmp_path / "r2star.nii.gz"
    write_maps.write_map(made, path, key="r2star_pre")
    loaded = nib.load(path)
    array = np.transpose(loaded.get_fdata(dtype=np.float32))
    np.testing.assert_array_equal(array, made.values)  # NaN included
    # Voxel (k, j, i) = (2, 1, 3): LPS by the grid; NIfTI is RAS, so x and y change sign.
    lps = made.grid.index_to_lps_mm((2, 1, 3))
    ras = loaded.affine @ (3, 1, 2, 1)
    assert ras[:3] == pytest.approx(lps * (-1, -1, 1))
    assert loaded.header.get_xyzt_units()[0] == "mm"
    assert bytes(loaded.header["descrip"]).rstrip(b"\0") == b"R2* [1/s]"


def test_the_description_is_ascii(tmp_path: Path) -> None:
    change = replace(tiny_case.case().maps["r2star_pre"], quantity=quantity("dr2star"))
    write_maps.write_map(change, tmp_path / "d.nii.gz", key="dr2star")
    header = nib.load(tmp_path / "d.nii.gz").header
    assert bytes(header["descrip"]).rstrip(b"\0") == b"dR2* [1/s]"


def test_sidecar_says_unit_method_and_failures(tmp_path: Path) -> None:
    path = tmp_path / "r2star.nii.gz"
    write_maps.write_map(tiny_case.case().maps["r2star_pre"], path, key="r2star_pre")
    sidecar = json.loads(write_maps.sidecar_path(path).read_text(encoding="utf-8"))
    assert sidecar["Units"] == "1/s"
    assert sidecar["QuantityCode"]["value"] == "126395"
    assert sidecar["EstimationAlgorithm"] == "nlls"
    assert sidecar["ValidVoxels"] == 59
    assert sidecar["Reasons"] == {"measured": 59, "signal not positive": 1}
    assert sidecar["EchoTimes_s"] == [0.001]


def test_equal_maps_give_equal_bytes(tmp_path: Path) -> None:
    made = tiny_case.case().maps["r2star_pre"]
    for name in ("a", "b"):
        write_maps.write_map(made, tmp_path / f"{name}.nii.gz", key="r2star_pre")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_json_takes_dates_arrays_and_nan() -> None:
    text = write_maps.json_text(
        {"t": datetime(2026, 3, 1, 9), "a": np.eye(2), "n": float("nan"), "i": np.int16(3)}
    )
    assert json.loads(text) == {
        "t": "2026-03-01T09:00:00",
        "a": [[1.0, 0.0], [0.0, 1.0]],
        "n": None,
        "i": 3,
    }


def test_labels_and_names(tmp_path: Path) -> None:
    lesions = tiny_case.case().lesions
    assert lesions is not None
    write_maps.write_labels(lesions, tmp_path / "l.nii.gz", tmp_path / "l.json")
    loaded = nib.load(tmp_path / "l.nii.gz")
    assert loaded.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.transpose(np.asarray(loaded.dataobj)), lesions.labels)
    names = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert names["labels"]["2"]["anatomy"] == "spleen"


def test_a_file_that_arrived_short_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = tiny_case.grid()
    monkeypatch.setattr(Path, "stat", lambda self, **_: type("S", (), {"st_size": 0})())
    with pytest.raises(OutputError) as caught:
        write_maps.write_nifti(np.zeros(grid.shape, np.float32), grid, tmp_path / "x.nii.gz")
    assert caught.value.code == "E_DISK"


def test_labels_say_how_they_were_made(tmp_path: Path) -> None:
    """Weights and licence of a model, or the rule for contours; not the hashes of outlines."""
    lesions = tiny_case.case().lesions
    assert lesions is not None
    made = replace(lesions, settings={"model": {"licence": "CC BY 4.0"}, "outlines": {"1": "ab"}})
    write_maps.write_labels(made, tmp_path / "l.nii.gz", tmp_path / "l.json")
    said = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert said["Settings"] == {"model": {"licence": "CC BY 4.0"}}
    write_maps.write_labels(
        replace(lesions, settings={}), tmp_path / "l.nii.gz", tmp_path / "l.json"
    )
    assert "Settings" not in json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))


def test_labels_say_what_lesions_share(tmp_path: Path) -> None:
    lesions = tiny_case.case().lesions
    assert lesions is not None
    owner = lesions.lesions[0].id
    corner = tuple(int(n) for n in np.argwhere(lesions.labels == owner)[0])
    one = SharedVoxels(99, owner, (corner[0], corner[1], corner[2]), np.ones((1, 1, 1), dtype=bool))
    written = replace(lesions, shared=(one,))
    write_maps.write_labels(written, tmp_path / "l.nii.gz", tmp_path / "l.json")
    said = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    volume = round(lesions.grid.voxel_volume_ml, 4)
    (told,) = said["Shared"]
    expected = {"region": 99, "shown_as": owner, "voxels": 1, "volume_ml": volume}
    assert {k: told[k] for k in expected} == expected
    # the voxel itself: the first of eight bits
    assert (told["corner"], told["shape"], told["bits"]) == (list(corner), [1, 1, 1], "gA==")
