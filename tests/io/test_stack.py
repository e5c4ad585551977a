"""Stacking: order, geometry, rescale, and every verdict on bad series."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from eprimg.errors import EprimgError, GeometryError
from eprimg.io.headers import read_headers
from eprimg.io.stack import stack_geometry, stack_instances
from tests.io.dicom_factory import (
    COLUMN,
    NORMAL,
    ROW,
    expected_affine,
    stored,
    write_enhanced_mr,
    write_pet,
)


def frames(paths):
    return [i for p in paths for i in read_headers(p, findings=[])]


def refused(instances, code, **kwargs):
    with pytest.raises(EprimgError) as caught:
        stack_instances(instances, **kwargs)
    assert code in {caught.value.code, *(f.code for f in caught.value.faults)}
    return caught.value


def test_order_grid_and_per_slice_rescale(tmp_path):
    stacked = stack_instances(frames(write_pet(tmp_path)))
    np.testing.assert_allclose(stacked.grid.affine, expected_affine(), atol=1e-12)
    assert stacked.grid.frame_of_reference == "2.25.300.9"
    assert stacked.pixels.dtype == np.float32
    # PS3.3 C.11.1.1.2: output = RescaleSlope x stored + RescaleIntercept, slice by slice
    expected = np.stack([stored(k, 0, 6, 5) * (0.5 + 0.25 * k) for k in range(4)])
    np.testing.assert_array_equal(stacked.pixels, expected.astype(np.float32))
    assert [i.instance_number for i in stacked.instances] == [1, 2, 3, 4]


def test_order_of_the_files_changes_nothing(tmp_path):
    given = frames(write_pet(tmp_path))
    a, b = stack_instances(given), stack_instances(given[::-1])
    np.testing.assert_array_equal(a.pixels, b.pixels)
    assert a.sha256 == b.sha256
    assert a.grid.matches(b.grid)


def test_hash_depends_on_a_single_voxel(tmp_path):
    def brighter(d, k, e):
        if k == 2:
            pixels = stored(k, 0, 6, 5)
            pixels[3, 3] += 1
            d.PixelData = pixels.tobytes()

    a = stack_instances(frames(write_pet(tmp_path / "a")))
    b = stack_instances(frames(write_pet(tmp_path / "b", change=brighter)))
    assert a.sha256 != b.sha256


def test_missing_slice_names_gap_position_and_neighbours(tmp_path):
    paths = write_pet(tmp_path, n_slices=7, keep=lambda k, e: k != 3)
    error = refused(frames(paths), "E_GEOM_GAP")
    # slices every 3 mm from -7.25: the last one before the gap is at -1.25, the gap is 6 mm
    assert "-1.25 mm" in str(error)
    assert "6.000 mm" in str(error)
    assert "pt-005.dcm" in str(error)
    assert "pt-003.dcm" in str(error)


def shifted(delta, only=None):
    def change(d, k, e):
        if only is None or k == only:
            position = np.array(d.ImagePositionPatient, dtype=float) + np.asarray(delta(k))
            d.ImagePositionPatient = [round(float(x), 6) for x in position]

    return change


def turned(d, k, e):
    if k == 1:
        d.ImageOrientationPatient = [1, 0, 0, 0, 0, 1]


def skewed(d, k, e):
    d.ImageOrientationPatient = [1, 0, 0, 0.5, 0.8, 0]


def zero(d, k, e):
    d.ImageOrientationPatient = [0, 0, 0, 0, 0, 0]


def without(keyword):
    def change(d, k, e):
        if k == 2:
            delattr(d, keyword)

    return change


def with_value(keyword, value, only=1):
    def change(d, k, e):
        if only is None or k == only:
            setattr(d, keyword, value)

    return change


def smaller(d, k, e):
    if k == 1:
        d.Rows, d.PixelData = 5, stored(k, 0, 5, 5).tobytes()


def conflict(d, k, e):
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = "2.25.7"


def colour(d, k, e):
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "RGB", 0
    d.BitsAllocated = d.BitsStored = 8
    d.HighBit = 7
    d.PixelData = bytes(6 * 5 * 3)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (shifted(lambda k: 0.4 * NORMAL, only=2), "E_GEOM_SPACING"),
        (shifted(lambda k: 0.4 * k * COLUMN), "E_GEOM_SHEAR"),
        (shifted(lambda k: 0.4 * ROW, only=2), "E_GEOM_SHEAR"),
        (shifted(lambda k: -3.0 * NORMAL, only=2), "E_GEOM_DUP"),
        (turned, "E_GEOM_ORIENT"),
        (skewed, "E_GEOM_IOP"),
        (zero, "E_GEOM_IOP"),
        (without("ImagePositionPatient"), "E_GEOM_MISSING"),
        (without("ImageOrientationPatient"), "E_GEOM_MISSING"),
        (without("PixelSpacing"), "E_GEOM_MISSING"),
        (with_value("PixelSpacing", [2.5, 2.2]), "E_GEOM_MIXED"),
        (with_value("PixelSpacing", [0, 2.0], only=None), "E_NUMERIC"),
        (with_value("RescaleSlope", 0), "E_NUMERIC"),
        (with_value("FrameOfReferenceUID", "2.25.8"), "E_FOR"),
        (with_value("PatientID", "P2"), "E_PATIENT_MIX"),
        (smaller, "E_GEOM_MIXED"),
        (conflict, "E_DUP_CONFLICT"),
        (colour, "E_PIXEL_TYPE"),
    ],
)
def test_verdicts_on_bad_series(tmp_path, change, code):
    refused(frames(write_pet(tmp_path, n_slices=5, change=change)), code)


def test_all_faults_come_at_once(tmp_path):
    def change(d, k, e):
        with_value("PatientID", "P2")(d, k, e)
        without("PixelSpacing")(d, k, e)

    error = refused(frames(write_pet(tmp_path, change=change)), "E_PATIENT_MIX")
    assert {f.code for f in error.faults} == {"E_PATIENT_MIX", "E_GEOM_MISSING"}


def test_small_jitter_is_accepted_and_said(tmp_path):
    change = shifted(lambda k: 0.03 * NORMAL, only=2)
    stacked = stack_instances(frames(write_pet(tmp_path, n_slices=5, change=change)))
    assert [f.code for f in stacked.findings] == ["I_GEOM_JITTER"]
    refused(
        frames(write_pet(tmp_path, n_slices=5, change=change)),
        "E_GEOM_SPACING",
        position_tolerance_mm=0.02,
    )


def test_single_slice_and_nothing(tmp_path):
    refused(frames(write_pet(tmp_path, n_slices=1)), "E_SINGLE")
    refused([], "E_EMPTY")


def test_copies_are_dropped_with_a_finding(tmp_path):
    paths = write_pet(tmp_path / "a") + write_pet(tmp_path / "b", keep=lambda k, e: k == 1)
    stacked = stack_instances(frames(paths))
    assert stacked.grid.shape == (4, 6, 5)
    assert [f.code for f in stacked.findings] == ["W_DUP"]


def test_missing_frame_of_reference_is_minted_and_said(tmp_path):
    def change(d, k, e):
        del d.FrameOfReferenceUID

    stacked = stack_instances(frames(write_pet(tmp_path, change=change)))
    assert stacked.grid.frame_of_reference == "none:2.25.301"
    assert [f.code for f in stacked.findings] == ["W_NO_FOR"]


def test_pixels_that_were_cut_off(tmp_path):
    paths = write_pet(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:-7])
    error = refused(frames(paths), "E_PIXEL_SHORT")
    assert paths[1].name in str(error)


def test_declared_size_beyond_the_pixels_takes_no_memory(tmp_path):
    huge = with_value("Rows", 60000, only=None)
    refused(frames(write_pet(tmp_path, change=huge)), "E_TOO_LARGE")
    large = with_value("Rows", 8000, only=None)
    refused(frames(write_pet(tmp_path, change=large)), "E_PIXEL_SHORT")


def test_faulty_number_names_the_tag(tmp_path):
    paths = write_pet(tmp_path)
    text = paths[0].read_bytes()
    paths[0].write_bytes(text.replace(b"-20.0", b"inf  "))
    error = refused(frames(paths), "E_NUMERIC")
    assert "(0020,0032)" in str(error)


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEGLSLossless])
def test_compressed_pixels_equal_native_ones(tmp_path, syntax):
    native = stack_instances(frames(write_pet(tmp_path / "n", rows=16, columns=16)))

    def compress(d, k, e):
        d.compress(syntax, generate_instance_uid=False)

    squeezed = stack_instances(
        frames(write_pet(tmp_path / "c", rows=16, columns=16, change=compress))
    )
    np.testing.assert_array_equal(squeezed.pixels, native.pixels)
    assert squeezed.sha256 == native.sha256


def test_damaged_compressed_stream(tmp_path):
    def compress(d, k, e):
        d.compress(pydicom.uid.RLELossless, generate_instance_uid=False)

    paths = write_pet(tmp_path, rows=16, columns=16, change=compress)
    content = bytearray(paths[1].read_bytes())
    content[-150:-8] = b"\x81" * 142
    paths[1].write_bytes(content)
    refused(frames(paths), "E_DECODE")


def test_syntax_without_decoder_names_the_syntax(tmp_path):
    def relabel(d, k, e):
        d.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
        d.PixelData = pydicom.encaps.encapsulate([d.PixelData])
        d["PixelData"].is_undefined_length = True

    error = refused(frames(write_pet(tmp_path, change=relabel)), "E_SYNTAX")
    assert "MPEG2" in str(error)


def test_big_endian_and_signed_values(tmp_path):
    def signed(d, k, e):
        d.PixelRepresentation = 1
        d.BitsStored, d.HighBit = 12, 11
        pixels = stored(k, 0, 6, 5).astype(np.int16) - 300
        # 12 stored bits in 16 allocated ones, with rubbish above: PS3.5 8.1.1
        d.PixelData = ((pixels & 0x0FFF) | 0x5000).astype("<u2").tobytes()

    stacked = stack_instances(frames(write_pet(tmp_path, change=signed)))
    expected = np.stack([(stored(k, 0, 6, 5) - 300.0) * (0.5 + 0.25 * k) for k in range(4)])
    np.testing.assert_array_equal(stacked.pixels, expected.astype(np.float32))


def test_multi_frame_file(tmp_path):
    both = frames([write_enhanced_mr(tmp_path / "e.dcm", slopes=(1.0, 2.5))])
    second = [f for f in both if f.echo_time_ms == 4.0]
    stacked = stack_instances(second)
    np.testing.assert_allclose(stacked.grid.affine, expected_affine(), atol=1e-12)
    expected = np.stack([stored(k, 1, 6, 5) * 2.5 for k in range(3)]).astype(np.float32)
    np.testing.assert_array_equal(stacked.pixels, expected)


def test_reads_into_a_given_array_of_the_right_shape_only(tmp_path):
    given = frames(write_pet(tmp_path))
    target = np.zeros((4, 6, 5, 2), dtype=np.float32)
    stack_instances(given, out=target[..., 1])
    np.testing.assert_array_equal(target[..., 1], stack_instances(given).pixels)
    assert not target[..., 0].any()
    with pytest.raises(GeometryError, match="E_GRID_MISMATCH"):
        stack_instances(given, out=target[:3, ..., 0])


def test_geometry_alone_reads_no_pixels(tmp_path):
    paths = write_pet(tmp_path)
    given = frames(paths)
    for path in paths:
        path.unlink()
    assert stack_geometry(given).grid.shape == (4, 6, 5)
    refused(given, "E_FILE")


def test_real_pet_equals_simpleitk(real_data):
    sitk = pytest.importorskip("SimpleITK")
    folder = real_data / "pet/sts001_ge_fdg_dicom/PT"
    stacked = stack_instances(frames(sorted(folder.iterdir())))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other = reader.Execute()
    np.testing.assert_allclose(stacked.pixels, sitk.GetArrayFromImage(other), rtol=2e-7)
    k, j, i = 200, 30, 77
    point = other.TransformIndexToPhysicalPoint((i, j, k))
    # SimpleITK averages this series' uneven rounding differently: 0.05 mm over 872 mm
    np.testing.assert_allclose(stacked.grid.index_to_lps_mm((k, j, i)), point, atol=0.05)
