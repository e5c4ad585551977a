"""Heads of series: the checks of the readers without their voxels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.series_head import ct_in_nifti, read_series_head
from eprimg.io.study import read_series
from eprimg.model.study import Role
from tests.io import dicom_factory


def refused(entry, role: Role) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """Code of the head and of the reader."""
    codes = []
    with pytest.raises(EprimgError) as caught:
        read_series_head(replace(entry, role=role), key="x", config=Config())
    codes.append(caught.value.code)
    with pytest.raises(EprimgError) as caught:
        read_series(entry, role=role, config=Config())
    codes.append(caught.value.code)
    return codes[0], codes[1]


def test_the_grid_comes_from_the_headers(tmp_path: Path) -> None:
    dicom_factory.write_mr(tmp_path)
    (entry,) = scan(tmp_path).series
    head = read_series_head(replace(entry, role=Role.MR_PRE), key="mr_pre", config=Config()).value
    assert head.grid.shape == (4, 6, 5)
    assert head.grid.affine == pytest.approx(dicom_factory.expected_affine())
    assert (head.key, head.source_uid) == ("mr_pre", "2.25.101")


def test_faults_of_headers(tmp_path: Path) -> None:
    # A slice in the middle of one echo is missing: of four, three are left.
    dicom_factory.write_mr(tmp_path / "mr", keep=lambda k, e: (k, e) != (1, 1))
    (entry,) = scan(tmp_path / "mr").series
    assert refused(entry, Role.MR_PRE) == ("E_GEOM_SPACING", "E_GEOM_SPACING")
    dicom_factory.write_ct(tmp_path / "ct")
    (entry,) = scan(tmp_path / "ct").series
    one = replace(entry, instances=entry.instances[:1])
    assert refused(one, Role.CT) == ("E_SINGLE", "E_SINGLE")


def test_nifti(tmp_path: Path) -> None:
    data = np.ones((4, 3, 2), np.float32)
    for n, time in enumerate((0.002, 0.004), start=1):
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / f"sub_echo-{n}_MEGRE.nii.gz")
        car = tmp_path / f"sub_echo-{n}_MEGRE.json"
        car.write_text(f'{{"EchoTime": {time}, "FrameOfReferenceUID": "1.2"}}', encoding="utf-8")
    (entry,) = scan(tmp_path).series
    head = read_series_head(replace(entry, role=Role.MR_POST), key="mr_post", config=Config())
    assert (head.value.grid.shape, head.value.grid.frame_of_reference) == ((2, 3, 4), "1.2")
    assert refused(entry, Role.PET) == ("E_PET_UNITS", "E_PET_UNITS")
    assert refused(entry, Role.CT) == ("E_SIDECAR", "E_SIDECAR")
    assert ct_in_nifti(entry).where == entry.paths[0].name
    car.write_text('{"EchoTime": 0.002}', encoding="utf-8")
    assert refused(entry, Role.MR_PRE) == ("E_ECHO", "E_ECHO")
