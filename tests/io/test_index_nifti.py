"""NIfTI files of a folder."""

from __future__ import annotations

import numpy as np

from eprimg.io.index_nifti import is_nifti, nifti_entries
from eprimg.model.study import Role
from tests.io.test_read_nifti import save

DATA = np.ones((4, 5, 6, 3), dtype=np.float32)


def test_names():
    assert is_nifti("a.nii")
    assert is_nifti("A.NII.GZ")
    assert not is_nifti("a.nii.json")


def test_what_names_and_side_cars_say(tmp_path):
    paths = [
        save(tmp_path / "sub-1_echo-1_part-mag_MEGRE.nii.gz", DATA[..., 0], EchoTime=0.002),
        save(tmp_path / "sub-1_echo-2_part-mag_MEGRE.nii.gz", DATA[..., 1], EchoTime=0.004),
        save(tmp_path / "sub-1_echo-1_part-phase_MEGRE.nii.gz", DATA[..., 0], EchoTime=0.002),
        save(tmp_path / "all.nii", DATA, EchoTime=[0.002, 0.004, 0.006]),
        save(tmp_path / "Mag.nii", DATA),
        save(tmp_path / "liver_mask.nii.gz", DATA[..., 0]),
        save(tmp_path / "t1w.nii.gz", DATA[..., 0]),
    ]
    (tmp_path / "broken.nii").write_bytes(b"nothing")
    found = {e.description: e for e in nifti_entries([*paths, tmp_path / "broken.nii"], tmp_path)}
    train = found["sub-1_part-mag_MEGRE"]
    assert (train.echo_times_ms, train.n_files) == ((2.0, 4.0), 2)
    assert train.shape == "6 x 5 x 4, 2 echoes"
    assert "phase" in found["sub-1_echo-1_part-phase_MEGRE"].reason
    assert found["all"].echo_times_ms == (2.0, 4.0, 6.0)
    assert "--echo-times-ms" in found["Mag"].reason
    assert found["liver_mask"].role == Role.REGIONS
    assert found["t1w"].reason == "a volume without known use"
    assert [f.code for f in found["broken"].findings] == ["E_NII_READ"]


def test_a_train_with_a_missing_side_car_says_so(tmp_path):
    paths = [
        save(tmp_path / "s_echo-1_MEGRE.nii", DATA[..., 0], EchoTime=0.002),
        save(tmp_path / "s_echo-2_MEGRE.nii", DATA[..., 0]),
    ]
    (entry,) = nifti_entries(paths, tmp_path)
    assert entry.echo_times_ms == ()
    assert "1 of 2 echoes" in entry.reason


def test_nrrd_is_read_for_masks_only(tmp_path):
    from eprimg.io.index_nifti import is_nrrd, nrrd_entries

    paths = [tmp_path / "a.seg.nrrd", tmp_path / "b_mask.nhdr", tmp_path / "volume.nrrd"]
    assert all(is_nrrd(p) for p in paths)
    assert not is_nrrd("a.nii.gz")
    assert [e.role for e in nrrd_entries(paths)] == [Role.REGIONS, Role.REGIONS, Role.UNUSED]
    assert "masks only" in nrrd_entries(paths)[2].reason
