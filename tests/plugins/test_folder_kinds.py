"""What a path is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_eprimg.reading.folder_kinds import PathKind, kind_of


def test_a_study_is_told_by_dicom_or_by_nifti_with_a_side_car(
    small_study: Path, tmp_path: Path
) -> None:
    assert kind_of(small_study) == PathKind.STUDY
    assert kind_of(next(small_study.rglob("*.dcm"))) == PathKind.STUDY
    (tmp_path / "x.nii.gz").touch()
    assert kind_of(tmp_path) is None
    assert kind_of(tmp_path / "x.nii.gz") is None
    (tmp_path / "x.json").write_text("{}")
    assert kind_of(tmp_path) == PathKind.STUDY
    assert kind_of(tmp_path / "x.nii.gz") == PathKind.NIFTI


@pytest.mark.parametrize("text", ['{"format": "something else"}', "[1]", "not json"])
def test_foreign_folders_are_nothing(tmp_path: Path, text: str) -> None:
    assert kind_of(tmp_path) is None
    assert kind_of(tmp_path / "absent") is None
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "picture.tif").write_bytes(bytes(300))
    assert kind_of(tmp_path) is None


def test_an_output_folder_and_a_saved_case_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "eprimg output folder"}))
    assert kind_of(tmp_path) == PathKind.OUTPUT
    (tmp_path / "case.json").write_text("{}")
    assert kind_of(tmp_path) == PathKind.CASE
