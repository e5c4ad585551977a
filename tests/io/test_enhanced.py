"""Functional groups: a frame's own facts go before shared ones."""

from __future__ import annotations

import pydicom
from pydicom.dataset import Dataset

from eprimg.io.enhanced import expand_frames
from eprimg.io.headers import read_headers
from tests.io.dicom_factory import write_enhanced_mr


def test_frame_types_and_instants_per_frame(tmp_path):
    def change(d):
        for n, own in enumerate(d.PerFrameFunctionalGroupsSequence):
            kind, content = Dataset(), Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "T1", "PHASE" if n % 2 else "M"]
            kind.ComplexImageComponent = "PHASE" if n % 2 else "MAGNITUDE"
            content.FrameAcquisitionDateTime = f"2024030109{n:02d}00.5"
            content.TemporalPositionIndex, content.FrameAcquisitionDuration = n + 1, 250.0
            own.MRImageFrameTypeSequence = [kind]
            own.FrameContentSequence = [content]

    frames = read_headers(write_enhanced_mr(tmp_path / "e.dcm", change=change), findings=[])
    assert [f.complex_component for f in frames[:2]] == ["MAGNITUDE", "PHASE"]
    assert (frames[3].acquisition_date, frames[3].acquisition_time) == ("20240301", "090300.5")
    assert (frames[3].temporal_index, frames[3].frame_duration_ms) == (4, 250.0)


def test_shared_groups_fill_what_frames_leave_out(tmp_path):
    path = write_enhanced_mr(tmp_path / "e.dcm")
    d = pydicom.dcmread(path)
    timing = Dataset()
    timing.RepetitionTime, timing.FlipAngle = "25", "12"
    d.SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence = [timing]
    (first, *_) = read_headers(path, findings=[])
    frames = expand_frames(first, d)
    assert {(f.repetition_time_ms, f.flip_angle_deg) for f in frames} == {(25.0, 12.0)}
    assert {f.pixel_spacing for f in frames} == {(2.5, 2.0)}


def test_no_groups_no_frames(tmp_path):
    (first, *_) = read_headers(write_enhanced_mr(tmp_path / "e.dcm"), findings=[])
    assert expand_frames(first, Dataset()) == []


def test_a_faulty_number_in_a_group_is_a_fault_of_its_frame(tmp_path):
    path = write_enhanced_mr(tmp_path / "e.dcm", slopes=(1.5, 2.0))
    text = path.read_bytes()
    path.write_bytes(text.replace(b"1.5 ", b"abc ", 1))
    frames = read_headers(path, findings=[])
    assert [len(f.faults) for f in frames] == [1, 0, 0, 0, 0, 0]
    assert "RescaleSlope (0028,1053)" in frames[0].faults[0][1]


def philips(slopes):
    """Private scale slopes where Philips multi-frame files keep them: (2005,xx0F) per frame."""

    def change(d):
        d.Manufacturer = "Philips Healthcare"
        for n, own in enumerate(d.PerFrameFunctionalGroupsSequence):
            single = Dataset()
            block = single.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", slopes[n % len(slopes)])
            frame = own.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            frame.add_new(0x0F, "SQ", [single])

    return change


def test_philips_scale_slope_per_frame(tmp_path):
    path = write_enhanced_mr(tmp_path / "e.dcm", change=philips((0.5, 0.25)))
    frames = read_headers(path, findings=[])
    assert [f.philips_scale_slope for f in frames[:3]] == [0.5, 0.25, 0.5]


def test_real_philips_scale_slopes(real_data):
    path = real_data / "mri/philips_enh_fmap/IM_0027_fMAP.dcm"
    frames = read_headers(path, findings=[])
    slopes = []
    for item in pydicom.dcmread(path, stop_before_pixels=True).PerFrameFunctionalGroupsSequence:
        slopes.append(item[0x2005, 0x140F].value[0][0x2005, 0x100E].value)
    assert [f.philips_scale_slope for f in frames] == slopes
    assert len(set(slopes)) == 2
