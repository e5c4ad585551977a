"""One series as one volume: NIfTI, DICOM, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import ConfigError, InputError
from eprimg.io.read_volume import read_volume
from eprimg.io.write_maps import write_nifti
from eprimg.model.study import Role
from tests.tiny_body import volume


def test_a_nifti_file_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    made = volume("1")
    write_nifti(made.data, made.grid, tmp_path / "a.nii.gz")
    first = read_volume(tmp_path / "a.nii.gz", key="fixed").value
    assert (first.key, first.role, first.pixels.quantity.key) == ("fixed", Role.MR_PRE, "signal")
    np.testing.assert_array_equal(first.pixels.data, made.data)
    assert np.allclose(first.grid.affine, made.grid.affine, atol=1e-4)
    pet = read_volume(tmp_path / "a.nii.gz", key="moving", kind="pet").value
    assert (pet.role, pet.pixels.quantity.key) == (Role.PET, "activity")
    # Two files share no frame of reference unless they say so.
    assert first.grid.frame_of_reference
    assert len(first.source_hash) == 64


def test_several_volumes_in_one_file(tmp_path: Path) -> None:
    import nibabel as nib

    frames = np.zeros((6, 5, 4, 2), np.float32)
    frames[..., 0], frames[..., 1] = 1.0, 3.0
    nib.save(nib.Nifti1Image(frames, np.diag((2.0, 2.0, 3.0, 1.0))), tmp_path / "d.nii.gz")
    read = read_volume(tmp_path / "d.nii.gz", key="a")
    assert np.all(read.value.pixels.data == 1.0)
    (said,) = read.findings
    assert (said.code, said.where) == ("W_FIRST_VOLUME", "d.nii.gz")
    assert "holds 2 volumes" in said.text
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / "d.nii.gz", key="a", kind="pet")
    assert caught.value.code == "E_PET_FRAMES"
    nib.save(nib.Nifti1Image(frames[..., 1:], np.diag((2.0, 2.0, 3.0, 1.0))), tmp_path / "o.nii.gz")
    for kind in ("mr", "pet"):
        one = read_volume(tmp_path / "o.nii.gz", key="a", kind=kind)
        assert np.all(one.value.pixels.data == 3.0)
        assert one.findings == ()


def test_dicom_gives_the_shortest_echo(phantom: Path) -> None:
    with pytest.raises(ConfigError, match="series") as caught:
        read_volume(phantom / "dicom", key="fixed")
    assert caught.value.code == "E_ROLE"
    with pytest.raises(ConfigError, match="'mr-9'"):
        read_volume(phantom / "dicom", key="fixed", series="mr-9")
    with pytest.raises(InputError) as nothing:
        read_volume(phantom / "dicom", key="fixed", kind="ct")
    assert nothing.value.code == "E_NO_SERIES"
    pet = read_volume(phantom / "dicom", key="moving", kind="pet").value
    assert pet.role == Role.PET
    assert pet.pixels.data.ndim == 3
    from eprimg.io.index import scan

    entry = next(e for e in scan(phantom / "dicom").series if e.role == Role.MR_PRE)
    mr = read_volume(phantom / "dicom", key="fixed", series=entry.key).value
    assert mr.pixels.data.ndim == 3
    assert mr.n_files == mr.grid.shape[0]
    shortest = min(i.echo_time_ms for i in entry.instances)
    first = next(i for i in entry.instances if i.echo_time_ms == shortest)
    import pydicom

    raw = pydicom.dcmread(first.path)
    exact = raw.pixel_array * float(raw.get("RescaleSlope", 1)) + float(
        raw.get("RescaleIntercept", 0)
    )
    # That slice is in the volume, voxel by voxel.
    assert any(np.allclose(plane, exact, rtol=1e-5) for plane in mr.pixels.data)


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("missing.nii.gz", {}, "E_EMPTY"),
        ("missing", {}, "E_EMPTY"),
        ("", {"kind": "x-ray"}, "E_ARGUMENT"),
        ("", {}, "E_EMPTY"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, more: dict[str, str], code: str) -> None:
    (tmp_path / "notes.txt").write_text("nothing to align")
    with pytest.raises((InputError, ConfigError)) as caught:
        read_volume(tmp_path / name if name else tmp_path, key="fixed", **more)
    assert caught.value.code == code
