"""NIfTI volumes, echo trains and labels."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_nifti import read_nifti_echoes, read_nifti_labels, read_nifti_volume
from eprimg.model.acquisition import Origin
from eprimg.model.study import Role

AFFINE = np.array([[-2.0, 0, 0, 5], [0, -2.5, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])


def save(path, array, affine=AFFINE, **car):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nibabel.Nifti1Image(array, affine)
    made.set_sform(affine, 1)
    made.set_qform(affine, 1)
    nibabel.save(made, path)
    if car:
        path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(car))
    return path


def signal(n=3):
    return np.random.default_rng(3).uniform(1, 9, size=(4, 5, 6, n)).astype(np.float32)


def echoes(paths, **kwargs):
    return read_nifti_echoes(paths, key="mr_pre", role=Role.MR_PRE, **kwargs)


def test_volume_is_turned_into_the_order_of_the_house(tmp_path):
    data = signal(1)[..., 0]
    volume = read_nifti_volume(save(tmp_path / "a.nii.gz", data), "suvbw")
    assert volume.data.shape == (6, 5, 4)
    assert volume.data.dtype == np.float32
    np.testing.assert_array_equal(volume.data, data.T)
    # RAS (x, y, z) = (5, 6, 7) is LPS (-5, -6, 7)
    np.testing.assert_allclose(volume.grid.index_to_lps_mm((0, 0, 0)), [-5, -6, 7])
    assert volume.quantity.key == "suvbw"


def test_four_dimensional_file_with_times_given(tmp_path):
    data = signal()
    result = echoes(save(tmp_path / "m.nii", data), echo_times_ms=(8, 4, 12))
    stack = result.value.pixels
    assert stack.echo_times_s == (0.004, 0.008, 0.012)
    np.testing.assert_array_equal(stack.volume.data[..., 0], data[..., 1].T)
    np.testing.assert_array_equal(stack.volume.data[..., 1], data[..., 0].T)
    assert [f.code for f in result.findings] == ["I_NII_FRAME"]
    assert result.value.acquisition.agent_phase == "pre"


def test_one_file_per_echo_with_bids_side_cars(tmp_path):
    data = signal()
    paths = [
        save(
            tmp_path / f"sub-1_echo-{n + 1}_MEGRE.nii.gz",
            data[..., n],
            EchoTime=t,
            MagneticFieldStrength=3,
            RepetitionTime=0.02,
            FrameOfReferenceUID="1.2.3",
        )
        for n, t in enumerate((0.002, 0.004, 0.0065))
    ]
    result = echoes(paths)
    assert result.value.pixels.echo_times_s == pytest.approx((0.002, 0.004, 0.0065))
    np.testing.assert_array_equal(result.value.pixels.volume.data, data.transpose(2, 1, 0, 3))
    assert result.value.grid.frame_of_reference == "1.2.3"
    assert result.value.acquisition.field_strength_t.value == 3
    assert result.value.acquisition.field_strength_t.origin == Origin.HEADER
    assert result.findings == ()
    (entry,) = scan(tmp_path).series
    assert (entry.role, entry.echo_times_ms) == (Role.MR_PRE, pytest.approx((2, 4, 6.5)))


def test_two_sessions_never_share_a_session_or_frame(tmp_path):
    data = signal()
    a, b = (
        echoes(
            save(
                tmp_path / f"ses-{s}" / f"sub-1_ses-{s}.nii",
                data + n,
                EchoTime=[0.002, 0.004, 0.006],
            )
        )
        for n, s in enumerate(("pre", "post"))
    )
    assert a.value.study_uid != b.value.study_uid
    assert a.value.grid.frame_of_reference != b.value.grid.frame_of_reference


def test_scaled_integers_and_values_that_are_not_finite(tmp_path):
    made = nibabel.Nifti1Image(np.full((4, 5, 6), 7, dtype=np.int16), AFFINE)
    made.header.set_slope_inter(0.5, 1)
    nibabel.save(made, tmp_path / "s.nii")
    assert read_nifti_volume(tmp_path / "s.nii", "signal").data[0, 0, 0] == 4.5
    data = signal()
    data[0, 0, 0, 1] = np.nan
    result = echoes(save(tmp_path / "n.nii", data), echo_times_ms=(2, 4, 6))
    assert "W_NAN" in [f.code for f in result.findings]


def refused(code, paths, **kwargs):
    with pytest.raises(EprimgError) as caught:
        echoes(paths, **kwargs)
    assert caught.value.code == code
    return str(caught.value)


def test_refusals(tmp_path):
    data = signal()
    good = save(tmp_path / "m.nii", data)
    assert "m.nii" in refused("E_SIDECAR", good)
    assert "echo times were given for 3" in refused("E_ECHO", good, echo_times_ms=(2, 4))
    refused("E_ECHO", good, echo_times_ms=(2, 2, 4))
    refused("E_ECHO", good, echo_times_ms=(0.002, 0.004, 0.006))
    in_ms = save(tmp_path / "ms.nii", data, EchoTime=[4, 8, 12])
    refused("E_ECHO", in_ms)
    refused("E_ECHO", save(tmp_path / "one.nii", data[..., 0]), echo_times_ms=(2,))
    moved = save(
        tmp_path / "moved.nii",
        data[..., 0],
        AFFINE + np.array([[0, 0, 0, 1.0]] + [[0] * 4] * 3),
    )
    first = save(tmp_path / "first.nii", data[..., 0])
    refused("E_FOR", [first, moved], echo_times_ms=(2, 4))
    refused("E_EMPTY", [])
    refused("E_EMPTY", tmp_path / "absent.nii")
    (tmp_path / "bad.nii").write_bytes(b"\x5c\x01\x00\x00" + bytes(400))
    refused("E_NII_READ", tmp_path / "bad.nii", echo_times_ms=(2, 4))
    (tmp_path / "m.json").write_text("{")
    refused("E_SIDECAR", good, echo_times_ms=(2, 4, 6))


def test_truncated_pixels(tmp_path):
    path = save(tmp_path / "t.nii", signal())
    path.write_bytes(path.read_bytes()[:-100])
    refused("E_NII_READ", path, echo_times_ms=(2, 4, 6))


def test_labels(tmp_path):
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1, 2, 3] = 7
    array, grid = read_nifti_labels(save(tmp_path / "l.nii", labels), frame_of_reference="f")
    assert array.dtype == np.int32
    assert array[3, 2, 1] == 7
    assert grid.frame_of_reference == "f"
    for bad in (labels + 0.5, -labels.astype(np.float32)):
        with pytest.raises(EprimgError, match="E_SEG_LABELS"):
            read_nifti_labels(save(tmp_path / "b.nii", bad.astype(np.float32)))
    with pytest.raises(EprimgError, match="E_SEG_LABELS"):
        read_nifti_labels(save(tmp_path / "d.nii", np.stack([labels, labels], axis=-1)))


def test_labels_of_another_frame_are_refused(tmp_path):
    path = save(tmp_path / "l.nii", np.ones((4, 5, 6), np.uint8), FrameOfReferenceUID="1.2.3")
    assert read_nifti_labels(path, frame_of_reference="1.2.3")[1].frame_of_reference == "1.2.3"
    assert read_nifti_labels(path)[1].frame_of_reference == "1.2.3"
    with pytest.raises(EprimgError, match="E_FOR"):
        read_nifti_labels(path, frame_of_reference="4.5.6")


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    labels = np.zeros((4, 5, 6), dtype=np.float32)
    labels[0, 0, 0] = 3.0
    array, _ = read_nifti_labels(save(tmp_path / "l.nii", labels))
    assert array[0, 0, 0] == 3


def test_real_brain_equals_nibabel(real_data):
    path = real_data / "mri/brain_gre3e_nifti/Mag.nii"
    series = echoes(path, echo_times_ms=(4, 8, 12)).value
    other = nibabel.load(path)
    # the file scales in float64, the stack is float32
    np.testing.assert_allclose(
        series.pixels.volume.data, np.asarray(other.dataobj).transpose(2, 1, 0, 3), rtol=1e-7
    )
    ras = other.affine @ [11, 22, 33, 1]
    np.testing.assert_allclose(
        series.grid.index_to_lps_mm((33, 22, 11)), [-ras[0], -ras[1], ras[2]], atol=1e-4
    )
