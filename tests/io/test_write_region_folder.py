"""A table and a label volume, whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from eprimg.io.write_region_folder import REGION_COLUMNS, region_rows_csv, write_region_folder
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole


@pytest.fixture
def lesions() -> LesionSet:
    labels = np.zeros((2, 3, 4), dtype=np.int32)
    labels[1, 2, 3] = 7
    region = Region(7, "candidate-7", RegionRole.LESION)
    return LesionSet(labels, Grid((2, 3, 4), np.eye(4), "frame"), (region,))


def test_cells() -> None:
    text = region_rows_csv(
        [{"id": 7, "name": 'a, "b"', "volume_ml": float("nan"), "max": 1.25, "clipped": True}]
    )
    (row,) = csv.DictReader(text.splitlines())
    assert tuple(row) == REGION_COLUMNS
    assert (row["id"], row["name"], row["volume_ml"]) == ("7", 'a, "b"', "")
    assert (row["max"], row["clipped"], row["note"]) == ("1.25", "yes", "")


def test_the_folder_is_whole_and_verified(lesions: LesionSet, tmp_path: Path) -> None:
    out = write_region_folder(lesions, [{"id": 7}], tmp_path / "out", facts={"input_hash": "x"})
    manifest = verify_folder(out)
    assert set(manifest["files"]) == {"labels.nii.gz", "labels.json", "regions.csv"}
    assert manifest["input_hash"] == "x"
    stored = np.asarray(nib.load(out / "labels.nii.gz").dataobj)
    np.testing.assert_array_equal(stored, np.transpose(lesions.labels))
    with pytest.raises(OutputError):
        write_region_folder(lesions, [], out)
    write_region_folder(lesions, [], out, overwrite=True)
    assert (out / "regions.csv").read_text(encoding="utf-8").splitlines() == [
        ",".join(REGION_COLUMNS)
    ]


def test_nothing_is_left_when_writing_fails(
    lesions: LesionSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eprimg.io.write_region_folder.write_labels", full)
    with pytest.raises(OutputError) as caught:
        write_region_folder(lesions, [], tmp_path / "out")
    assert caught.value.code == "E_DISK"
    assert list(tmp_path.iterdir()) == []
