"""Complex echoes from DICOM against the signal that was written."""

from __future__ import annotations

import pickle

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.complex_echoes import check_modulus, check_phase
from eprimg.io.index import scan
from eprimg.io.read_mr import read_mr_series
from eprimg.model.study import Role
from tests.io.complex_series import (
    SHAPE,
    magnitude,
    philips,
    siemens,
    stored_phase,
    write_part,
)
from tests.io.dicom_factory import write_enhanced_mr

M, P = "ORIGINAL\\PRIMARY\\M\\ND", "ORIGINAL\\PRIMARY\\P\\ND"


def series(folder):
    entry = next(e for e in scan(folder).series if len(e.echo_times_ms) > 1)
    return read_mr_series(entry, key="mr_pre", role=Role.MR_PRE, config=ReadConfig()).value


def refused(folder, code):
    one = series(folder)
    with pytest.raises(EprimgError) as caught:
        one.complex_echoes.read(one.pixels)
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize(
    ("scale", "radians"),
    [
        # written out by hand from the vendors' full scales, see eprimg/io/phase_scale.py
        (siemens, lambda s: (2.0 * s - 4096.0) * np.pi / 4096.0),
        (philips, lambda s: (1.53455433455433 * s - 3142.0) / 1000.0),
    ],
)
def test_magnitude_and_phase(tmp_path, scale, radians):
    def maker_only(d):
        scale(d)
        del d.RescaleSlope, d.RescaleIntercept, d.RescaleType

    write_part(tmp_path, M, magnitude(), series="2.25.101", scale=maker_only)
    write_part(tmp_path, P, stored_phase(), series="2.25.101", scale=scale)
    one = series(tmp_path)
    assert one.complex_echoes.made_from == "magnitude and phase"
    result = one.complex_echoes.read(one.pixels)
    stack = result.value
    expected = magnitude() * np.exp(1j * radians(stored_phase().astype(float)))
    assert stack.data.dtype == np.complex64
    np.testing.assert_allclose(stack.data, expected, rtol=0, atol=1000 * 4e-7)
    assert stack.grid.matches(one.grid)
    assert stack.echo_times_s == one.pixels.echo_times_s
    assert stack.field_strength_t.value == 3.0
    assert "no element states" in stack.sign_convention
    assert [f.code for f in result.findings] == ["I_COMPLEX"]
    assert len(stack.source_hash) == 64


def test_the_source_holds_no_voxels_and_can_be_sent_to_another_process(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(tmp_path, P, stored_phase(), series="2.25.101", scale=siemens)
    one = series(tmp_path)
    sent = pickle.dumps(one.complex_echoes)
    assert len(sent) < 12 * 1500  # 12 frames of header facts
    again = pickle.loads(sent)
    np.testing.assert_array_equal(
        again.read(one.pixels).value.data, one.complex_echoes.read(one.pixels).value.data
    )


def test_real_and_imaginary(tmp_path):
    z = magnitude() * np.exp(1j * stored_phase().astype(float))
    real, imaginary = (np.rint(part).astype(np.int16) for part in (z.real, z.imag))
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(tmp_path, "ORIGINAL\\PRIMARY\\R\\ND", real, series="2.25.101")
    write_part(tmp_path, "ORIGINAL\\PRIMARY\\I\\ND", imaginary, series="2.25.101")
    one = series(tmp_path)
    assert one.complex_echoes.made_from == "real and imaginary"
    stack = one.complex_echoes.read(one.pixels).value
    np.testing.assert_array_equal(stack.data, real + 1j * imaginary)


def test_ge_parts_are_told_by_the_private_element(tmp_path):
    z = magnitude() * np.exp(1j * stored_phase().astype(float))
    for number, values in enumerate((z.real, z.imag)):

        def change(d, k, e, number=number):
            d.Manufacturer = "GE MEDICAL SYSTEMS"
            d.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 2 + number)

        write_part(
            tmp_path, "ORIGINAL\\PRIMARY\\OTHER", np.rint(values).astype(np.int16),
            series="2.25.101", number=number + 2, more=change,
        )  # fmt: skip
    write_part(tmp_path, "ORIGINAL\\PRIMARY\\OTHER", magnitude(), series="2.25.101")
    one = series(tmp_path)
    np.testing.assert_allclose(
        one.complex_echoes.read(one.pixels).value.data, z, rtol=0, atol=0.75
    )  # both parts were rounded to whole numbers: at most sqrt(1/2) off


def test_unsigned_parts_are_refused(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    for letter in "RI":
        write_part(tmp_path, f"ORIGINAL\\PRIMARY\\{letter}\\ND", magnitude(), series="2.25.101")
    assert "two signs" in refused(tmp_path, "E_PHASE")


def test_parts_on_other_scales_are_refused(tmp_path):
    z = magnitude() * np.exp(1j * stored_phase().astype(float))
    z[..., 2] *= 1.5
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    for letter, values in (("R", z.real), ("I", z.imag)):
        write_part(
            tmp_path, f"ORIGINAL\\PRIMARY\\{letter}\\ND", np.rint(values).astype(np.int16),
            series="2.25.101",
        )  # fmt: skip
    assert "not on one scale" in refused(tmp_path, "E_SCALE")


def test_phase_without_a_stated_range_is_refused_and_magnitude_is_not(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(tmp_path, P, stored_phase(), series="2.25.101")
    np.testing.assert_array_equal(series(tmp_path).pixels.volume.data, magnitude())
    assert "does not state" in refused(tmp_path, "E_PHASE")


def test_values_beyond_one_turn_are_refused():
    check_phase(np.array([-np.pi, np.pi, np.nan], dtype=np.float32), "x")
    with pytest.raises(EprimgError, match="more than one turn"):
        check_phase(np.array([0.0, 3.2], dtype=np.float32), "x")


def test_a_common_factor_between_modulus_and_magnitude_is_let_pass():
    m = magnitude().astype(np.float32)
    check_modulus((0.25 * m).astype(np.complex64), m, "x")
    check_modulus(np.zeros(SHAPE, dtype=np.complex64), np.zeros_like(m), "x")


def test_real_philips_phase_against_its_floating_point_value(real_data):
    """The private scale slope SS and offset SI give the angle by another way: (SV - SI) / SS."""
    folder = real_data / "mri/philips_ingenia_gre2e"
    one = series(folder)
    data = one.complex_echoes.read(one.pixels).value.data
    slices = {}
    for path in folder.glob("*_e2_ph.dcm"):
        d = pydicom.dcmread(path)
        angle = (d.pixel_array - d[0x2005, 0x100D].value) / d[0x2005, 0x100E].value
        slices[float(d.ImagePositionPatient[2])] = angle
    expected = np.stack([slices[z] for z in sorted(slices)])
    strong = one.pixels.volume.data[..., 1] > 0
    # 3142 stands for pi: up to 4.1e-4 rad
    turned = np.angle(data[..., 1] * np.exp(-1j * expected))[strong]
    assert np.abs(turned).max() < 6e-4
    np.testing.assert_allclose(np.abs(data), one.pixels.volume.data, rtol=1e-6)


def test_multi_frame_file_with_magnitude_and_phase(tmp_path):
    """Philips and Siemens multi-frame: the part, echo time and rescale of every frame."""

    def change(d):
        d.Manufacturer, d.BitsStored, d.HighBit = "SIEMENS", 12, 11
        for n, own in enumerate(d.PerFrameFunctionalGroupsSequence):
            kind = Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "P" if n % 2 else "M", "NONE"]
            kind.ComplexImageComponent = "PHASE" if n % 2 else "MAGNITUDE"
            own.MRImageFrameTypeSequence = [kind]
            scale = own.PixelValueTransformationSequence[0]
            scale.RescaleSlope, scale.RescaleIntercept = (2, -4096) if n % 2 else (1, 0)
        d.PixelData = frames.tobytes()

    # frames run slice, echo, part; magnitude is even, phase odd
    frames = np.stack(
        [
            part[k, :, :, e]
            for k in range(3)
            for e in range(2)
            for part in (magnitude(), stored_phase())
        ]
    )
    write_enhanced_mr(
        tmp_path / "e.dcm", echo_times_ms=(2.0, 2.0, 4.0, 4.0), slopes=(1.0,) * 4, change=change
    )
    one = series(tmp_path)
    assert one.pixels.echo_times_s == (0.002, 0.004)
    radians = (2.0 * stored_phase()[:3, ..., :2] - 4096.0) * np.pi / 4096.0
    expected = magnitude()[:3, ..., :2] * np.exp(1j * radians)
    np.testing.assert_allclose(
        one.complex_echoes.read(one.pixels).value.data, expected, rtol=0, atol=1000 * 4e-7
    )


def test_philips_parts_take_the_scale_of_their_own_frames(tmp_path):
    """Rescale and scale slope that vary between echoes, undone in real and imaginary alike."""
    z = magnitude() * np.exp(1j * stored_phase().astype(float))
    scale_slopes = (0.5, 0.25, 0.125)  # powers of two, so that stored values are exact

    def write(image_type, values):
        def change(d, k, e):
            d.Manufacturer, d.RescaleSlope, d.RescaleIntercept = "Philips", 1 + e, 0
            block = d.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", scale_slopes[e])

        kept = np.stack([values[..., e] * scale_slopes[e] for e in range(3)], axis=-1)
        write_part(
            tmp_path, image_type, np.rint(kept).astype(np.int16), series="2.25.101", more=change
        )

    write("ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", 8 * magnitude().astype(float))
    write("ORIGINAL\\PRIMARY\\R_FFE\\R\\FFE", 8 * z.real)
    write("ORIGINAL\\PRIMARY\\I_FFE\\I\\FFE", 8 * z.imag)
    one = series(tmp_path)
    np.testing.assert_array_equal(one.pixels.volume.data, 8 * magnitude())
    stack = one.complex_echoes.read(one.pixels).value
    # rounding of stored values: half a unit of 1 / 0.125 per part
    np.testing.assert_allclose(stack.data, 8 * z, rtol=0, atol=4 * np.sqrt(2) + 1e-3)
