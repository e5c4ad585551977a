"""A label volume that was written for overlapping lesions gives their volumes back."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.io.read_regions import read_region_sets, read_regions
from eprimg.io.region_choice import RegionChoice
from eprimg.io.shared_voxels import shared_from_record, shared_record, whole_lesions
from eprimg.io.write_maps import write_labels
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels

A = np.s_[1:4, 1:5, 2:5]  # 3 x 4 x 3 voxels
B = np.s_[2:5, 3:6, 3:6]  # 3 x 3 x 3
VOXELS = {"a": 36, "b": 27, "liver": 7}
BOTH = 2 * 2 * 2  # slices 2-3, rows 3-4, columns 3-4


def overlapping() -> LesionSet:
    labels = np.zeros((6, 7, 7), np.int32)
    labels[0, 0] = 9
    labels[B] = 2
    labels[A] = 1
    shared = SharedVoxels(2, 1, (2, 3, 3), np.ones((2, 2, 2), bool))
    regions = (
        Region(1, "a", RegionRole.LESION),
        Region(2, "b", RegionRole.LESION),
        Region(9, "liver", RegionRole.REFERENCE, anatomy="liver"),
    )
    # oblique on purpose: slices, rows and columns differ in size and direction
    affine = np.array([[0, 0, 2.0, -7], [0, 3.0, 0, 4], [4.0, 0, 0, 1], [0, 0, 0, 1]])
    return LesionSet(labels, Grid(labels.shape, affine, "1.2"), regions, shared=(shared,))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_labels(overlapping(), tmp_path / "labels.nii.gz", tmp_path / "labels.json")
    return tmp_path / "labels.nii.gz"


def counts(sets: tuple[LesionSet, ...]) -> dict[str, int]:
    return {r.name: int((s.labels == r.id).sum()) for s in sets for r in s.regions}


def test_all_lesions_come_back_whole(written: Path) -> None:
    result = read_region_sets(written)
    assert counts(result.value) == VOXELS
    (told,) = [f for f in result.findings if f.code == "W_SEG_OVERLAP"]
    # 8 voxels of 2 x 3 x 4 mm
    assert "a and b (0.192 mL)" in told.text
    # as one volume: the label volume, and beside it what it does not show
    one = read_regions(written).value
    assert np.array_equal(one.labels, overlapping().labels)
    assert [(s.id, s.owner, int(s.voxels.sum())) for s in one.shared] == [(2, 1, BOTH)]


def test_a_lesion_within_another_one_comes_back(tmp_path: Path) -> None:
    labels = np.zeros((4, 4, 4), np.int32)
    labels[1:4, 1:4, 1:4] = 1
    regions = tuple(Region(n, name, RegionRole.LESION) for n, name in ((1, "a"), (2, "core")))
    core = SharedVoxels(2, 1, (2, 2, 2), np.ones((1, 1, 2), bool))
    made = LesionSet(labels, Grid(labels.shape, np.eye(4), "1"), regions, shared=(core,))
    write_labels(made, tmp_path / "l.nii.gz", tmp_path / "l.json")
    assert counts(read_region_sets(tmp_path / "l.nii.gz").value) == {"a": 27, "core": 2}


def test_one_lesion_alone_is_whole_too(written: Path) -> None:
    for name in ("a", "b"):
        result = read_region_sets(written, choice=RegionChoice((name,)))
        assert counts(result.value) == {name: VOXELS[name]}
        assert "W_SEG_SHARED_LOST" not in {f.code for f in result.findings}


def test_what_cannot_be_restored_is_told(written: Path, tmp_path: Path) -> None:
    stored = nib.load(written)
    turned = np.asarray(stored.dataobj)[::-1]
    nib.save(nib.Nifti1Image(turned, stored.affine, stored.header), written)
    result = read_region_sets(written)
    assert counts(result.value) == {**VOXELS, "b": VOXELS["b"] - BOTH}
    (told,) = [f for f in result.findings if f.code == "W_SEG_SHARED_LOST"]
    assert "b lacks 0.192 mL that are shown as a" in told.text
    # as versions before wrote it: only the number of voxels
    write_labels(overlapping(), written, tmp_path / "labels.json")
    car = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    for name in ("corner", "shape", "bits"):
        del car["Shared"][0][name]
    (tmp_path / "labels.json").write_text(json.dumps(car), encoding="utf-8")
    assert "W_SEG_SHARED_LOST" in {f.code for f in read_region_sets(written).findings}
    car["Shared"] = [{"region": 1}]
    (tmp_path / "labels.json").write_text(json.dumps(car), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_region_sets(written)
    assert caught.value.code == "E_SIDECAR"


def test_records_and_sets_without_overlap() -> None:
    (record,) = shared_record(overlapping())
    again = shared_from_record(record)
    assert (again.id, again.owner, again.corner) == (2, 1, (2, 3, 3))
    assert again.voxels.all()
    alone = LesionSet(np.zeros((1, 1, 1), int), Grid((1, 1, 1), np.eye(4), "1"), ())
    assert whole_lesions(alone) == ((alone,), ())
