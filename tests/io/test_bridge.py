"""The bridge: conventions are exchanged without loss."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from eprimg.errors import EprimgError
from eprimg.io.bridge import (
    affine_from_planes,
    grid_from_nifti,
    nifti_affine,
    nifti_array,
    volume_array,
    with_rising_slices,
)
from eprimg.model.grid import Grid
from tests.io.dicom_factory import COLUMN, NORMAL, ORIGIN, ROW, SPACING, expected_affine


def test_planes_to_affine():
    affine = affine_from_planes(
        ORIGIN, SPACING[0] * NORMAL, [*ROW, *COLUMN], (SPACING[1], SPACING[2])
    )
    np.testing.assert_allclose(affine, expected_affine(), atol=1e-12)


def test_a_hand_made_case_in_ras():
    # one voxel step along i goes 2 mm to the patient's left (+x LPS), which is -x in RAS
    grid = Grid(
        (4, 3, 2), np.array([[0, 0, 2.0, 10], [0, 3.0, 0, 20], [4.0, 0, 0, 30], [0, 0, 0, 1]]), "f"
    )
    np.testing.assert_array_equal(
        nifti_affine(grid), [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]]
    )
    array = np.arange(24).reshape(4, 3, 2)
    assert nifti_array(array).shape == (2, 3, 4)
    assert nifti_array(array)[1, 2, 3] == array[3, 2, 1]
    np.testing.assert_array_equal(volume_array(nifti_array(array)), array)


@pytest.mark.parametrize("step", [3.0, -3.0])
def test_slices_rise_along_the_normal(step):
    affine = affine_from_planes(ORIGIN, step * NORMAL, [*ROW, *COLUMN], SPACING[1:])
    array = np.arange(24).reshape(4, 3, 2)
    turned, again = with_rising_slices(array, affine)
    np.testing.assert_allclose(again[:3, 0], 3.0 * NORMAL)
    before, after = Grid((4, 3, 2), affine, "f"), Grid((4, 3, 2), again, "f")
    for index in np.ndindex(4, 3, 2):
        own = np.rint(after.lps_mm_to_index(before.index_to_lps_mm(index))).astype(int)
        assert turned[tuple(own)] == array[index]


@settings(max_examples=50, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1) for _ in range(3)]),
    spacing=st.tuples(*[st.floats(0.3, 6.0) for _ in range(3)]),
    origin=st.tuples(*[st.floats(-400, 400) for _ in range(3)]),
    shape=st.tuples(*[st.integers(1, 5) for _ in range(3)]),
    mirror=st.booleans(),
)
def test_round_trip_through_nifti_is_lossless(
    tmp_path_factory, angles, spacing, origin, shape, mirror
):
    axes = Rotation.from_euler("xyz", angles).as_matrix() @ np.diag([1, 1, -1 if mirror else 1])
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = origin
    grid = Grid(shape, affine, "frame")
    data = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    path = tmp_path_factory.mktemp("nii") / "v.nii"
    nifti = nibabel.Nifti1Image(nifti_array(data), nifti_affine(grid))
    nifti.set_sform(nifti_affine(grid), 1)
    nifti.set_qform(nifti_affine(grid), 1)
    nibabel.save(nifti, path)
    back = nibabel.load(path)
    again = grid_from_nifti(back, frame_of_reference="frame")
    # the header holds float32: 400 mm has a step of 3e-5 mm
    assert again.matches(grid, tolerance_mm=1e-3)
    np.testing.assert_array_equal(volume_array(np.asarray(back.dataobj)), data)


def nifti(shape=(4, 5, 6), dtype=np.float32, affine=None, sform=1, qform=1):
    made = nibabel.Nifti1Image(np.zeros(shape, dtype=dtype), None)
    affine = np.diag([2.0, 2.0, 3.0, 1.0]) if affine is None else affine
    made.header.set_sform(affine, sform)
    made.header.set_qform(np.diag([2.0, 2.0, 3.0, 1.0]), qform)
    return made


def test_minted_frames_of_reference():
    a = grid_from_nifti(nifti())
    assert a.frame_of_reference.startswith("nifti:")
    assert grid_from_nifti(nifti()).frame_of_reference == a.frame_of_reference
    assert grid_from_nifti(nifti(shape=(4, 5, 7))).frame_of_reference != a.frame_of_reference
    assert grid_from_nifti(nifti(), session="ses-post").frame_of_reference != a.frame_of_reference
    assert grid_from_nifti(nifti(), frame_of_reference="1.2.3").frame_of_reference == "1.2.3"


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 3)])
def test_either_orientation_will_do(codes):
    grid = grid_from_nifti(nifti(sform=codes[0], qform=codes[1]))
    assert grid.shape == (6, 5, 4)
    np.testing.assert_allclose(grid.affine[:3, 0], [0, 0, 3])
    np.testing.assert_allclose(grid.affine[:3, 2], [-2, 0, 0])


def test_shear_in_the_sform():
    sheared = np.diag([2.0, 2.0, 3.0, 1.0])
    sheared[0, 2] = 0.6
    with pytest.raises(EprimgError, match="E_GEOM_SHEAR"):
        grid_from_nifti(nifti(affine=sheared, qform=0))


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda: nifti(sform=0, qform=0), "E_NII_CODE"),
        (lambda: nifti(affine=np.diag([2.0, 2.0, 3.5, 1.0])), "E_NII_AFFINE"),
        (lambda: nifti(affine=np.diag([2.0, 2.0, 0.0, 1.0]), qform=0), "E_NII_AFFINE"),
        (lambda: nifti(dtype=np.complex64), "E_NII_TYPE"),
        (lambda: nifti(shape=(4, 5)), "E_NII_DIM"),
        (lambda: nifti(shape=(4, 5, 6, 2, 2)), "E_NII_DIM"),
    ],
)
def test_refused_headers(made, code):
    with pytest.raises(EprimgError, match=code):
        grid_from_nifti(made())


def test_zero_voxel_size():
    made = nifti()
    made.header["pixdim"][3] = 0
    with pytest.raises(EprimgError, match="E_NII_ZOOM"):
        grid_from_nifti(made)


@pytest.mark.parametrize(("unit", "said"), [("meter", "metres"), ("micron", "micrometres")])
@pytest.mark.parametrize("seconds", ["unknown", "sec"])
def test_a_length_in_another_unit_is_refused_and_not_scaled(unit, said, seconds):
    made = nifti()
    made.header.set_xyzt_units(unit, seconds)
    with pytest.raises(EprimgError, match="E_NII_ZOOM") as caught:
        grid_from_nifti(made, where="brain.nii")
    assert said in str(caught.value)
    assert "xyzt_units of brain.nii" in str(caught.value)


@pytest.mark.parametrize("unit", ["mm", "unknown"])
@pytest.mark.parametrize("seconds", ["unknown", "sec", "msec", "usec", "hz"])
def test_millimetres_or_no_unit_of_length_are_read_as_millimetres(unit, seconds):
    made = nifti()
    made.header.set_xyzt_units(unit, seconds)
    assert grid_from_nifti(made).spacing_mm == pytest.approx((3.0, 2.0, 2.0))
