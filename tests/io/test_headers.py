"""Headers: values, frames of enhanced files, damaged files."""

from __future__ import annotations

import random

import pydicom
import pytest

from eprimg.io.headers import read_headers
from tests.io.dicom_factory import COLUMN, ROW, write_enhanced_mr, write_mr, write_pet


def one(path, findings=None):
    found = [] if findings is None else findings
    instances = read_headers(path, findings=found)
    assert not found or findings is not None, found
    return instances


def test_values_of_a_classic_file(tmp_path):
    path = write_mr(tmp_path, n_slices=1, echo_times_ms=(2.25,))[0]
    (i,) = one(path)
    assert (i.modality, i.rows, i.columns, i.echo_time_ms) == ("MR", 6, 5, 2.25)
    assert i.position == (-20.0, 12.5, -7.25)
    assert i.orientation == (*ROW, *COLUMN)
    assert i.pixel_spacing == (2.5, 2.0)
    assert i.image_type == ("ORIGINAL", "PRIMARY", "M", "ND")
    assert (i.slope, i.intercept) == (1.0, 0.0)
    raw = path.read_bytes()
    pixels = pydicom.dcmread(path).PixelData
    assert raw[i.pixel_offset : i.pixel_offset + len(pixels)] == pixels


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
)
def test_values_do_not_depend_on_the_transfer_syntax(tmp_path, syntax):
    path = write_mr(tmp_path / "a", n_slices=1)[0]
    (expected,) = one(path)
    d = pydicom.dcmread(path)
    if syntax.endswith(".2.2"):
        d.PixelData = d.pixel_array.astype(">u2").tobytes()
    d.file_meta.TransferSyntaxUID = syntax
    other = tmp_path / "b.dcm"
    pydicom.dcmwrite(
        other,
        d,
        implicit_vr=syntax.endswith("1.2"),
        little_endian=not syntax.endswith(".2.2"),
        enforce_file_format=True,
    )
    (i,) = one(other)
    for name in (
        "rows",
        "columns",
        "bits_stored",
        "high_bit",
        "echo_time_ms",
        "position",
        "patient_key",
        "series_uid",
        "image_type",
        "repetition_time_ms",
    ):
        assert getattr(i, name) == getattr(expected, name), name


def test_patient_key_is_a_fingerprint_and_not_the_text(tmp_path):
    (a,) = one(write_mr(tmp_path / "a", n_slices=1, echo_times_ms=(2,))[0])

    def rename(d, k, e):
        d.PatientID = "P2"

    (b,) = one(write_mr(tmp_path / "b", n_slices=1, echo_times_ms=(2,), change=rename)[0])
    assert a.patient_key != b.patient_key
    assert len(a.patient_key) == 16
    assert "P1" not in repr(a)
    assert "Muster" not in repr(a)


def test_enhanced_frames_have_their_own_facts(tmp_path):
    path = write_enhanced_mr(tmp_path / "e.dcm", slopes=(1.5, 2.0))
    frames = one(path)
    assert len(frames) == 6
    assert [f.echo_time_ms for f in frames] == [2.0, 4.0] * 3
    assert [f.slope for f in frames] == [1.5, 2.0] * 3
    assert frames[4].position == (-20.0, 12.5, -1.25)
    assert frames[1].pixel_offset - frames[0].pixel_offset == 6 * 5 * 2
    assert {f.scanning_sequence for f in frames} == {"GR"}


def test_enhanced_without_functional_groups_is_refused(tmp_path):
    def strip(d):
        del d.PerFrameFunctionalGroupsSequence

    findings = []
    assert one(write_enhanced_mr(tmp_path / "e.dcm", change=strip), findings) == []
    assert [f.code for f in findings] == ["E_ENHANCED"]


def test_numbers_that_are_not_finite_are_faults(tmp_path):
    path = write_pet(tmp_path, n_slices=1)[0]
    text = path.read_bytes()
    assert text.count(b"-20.0") == 1
    path.write_bytes(text.replace(b"-20.0", b"NaN  "))
    (i,) = one(path)
    assert i.position is None
    assert i.faults == (("E_NUMERIC", "ImagePositionPatient (0020,0032) is not a finite number"),)


def test_not_dicom_and_truncated_files_become_findings(tmp_path):
    text = tmp_path / "notes"
    text.write_text("hello " * 100)
    good = write_mr(tmp_path, n_slices=1)[0].read_bytes()
    cases = {
        "W_SKIP_NONDICOM": text.read_bytes(),
        "E_TRUNCATED": good[:700],
        "E_PIXEL_SHORT": good[:-10],
    }
    for code, content in cases.items():
        file = tmp_path / "x.dcm"
        file.write_bytes(content)
        findings = []
        one(file, findings)
        assert [f.code for f in findings] == [code]


def test_deflated_files_are_refused_before_they_inflate(tmp_path):
    path = write_mr(tmp_path, n_slices=1)[0]
    d = pydicom.dcmread(path)
    d.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    d.save_as(path, enforce_file_format=True)
    findings = []
    assert one(path, findings) == []
    assert [f.code for f in findings] == ["E_SYNTAX"]


def test_mutants_never_raise(tmp_path):
    rng = random.Random(7)
    good = write_pet(tmp_path, n_slices=1)[0].read_bytes()
    enhanced = write_enhanced_mr(tmp_path / "e.dcm").read_bytes()
    file = tmp_path / "m.dcm"
    for n in range(400):
        content = bytearray(good if n % 2 else enhanced)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(128, len(content))] = rng.randrange(256)
        if n % 5 == 0:
            content = content[: rng.randrange(len(content))]
        file.write_bytes(content)
        findings = []
        instances = read_headers(file, findings=findings)
        assert instances or findings


def test_known_facts_do_not_change_the_answer(tmp_path):
    paths = [*write_mr(tmp_path / "a"), *write_pet(tmp_path / "b")]
    known = {}
    shared = [read_headers(p, findings=[], known=known) for p in paths]
    assert shared == [read_headers(p, findings=[]) for p in paths]


def test_real_philips_scale_slope_and_field_strength(real_data):
    (i,) = one(real_data / "mri/philips_ingenia_gre2e/2001_0001.dcm")
    # SOURCE.md of the set: private scale slope 0.000237989, slope 1.29157509, TE 2.3
    assert i.philips_scale_slope == pytest.approx(0.000237989, rel=1e-5)
    assert i.slope == pytest.approx(1.29157509, rel=1e-8)
    assert (i.echo_time_ms, i.field_strength_t) == (2.3, 3.0)


def test_ge_marks_phase_in_a_private_element(tmp_path):
    def change(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        d.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 1)

    (i,) = one(write_mr(tmp_path, n_slices=1, echo_times_ms=(2,), change=change)[0])
    assert i.complex_component == "PHASE"


def test_date_and_time_in_one_element(tmp_path):
    def change(d, k, e):
        del d.AcquisitionDate
        del d.AcquisitionTime
        d.AcquisitionDateTime = "20240305101112.5"

    (i,) = one(write_mr(tmp_path, n_slices=1, echo_times_ms=(2,), change=change)[0])
    assert (i.acquisition_date, i.acquisition_time) == ("20240305", "101112.5")


def test_private_blocks_that_were_moved(tmp_path):
    """An archive may give a creator another block (PS3.5 7.8.1)."""

    def change(d, k, e):
        d.private_block(0x2005, "Archive", create=True).add_new(0x0E, "FL", 99.0)
        d.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.5)
        d.private_block(0x0043, "Archive", create=True)
        d.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 1)

    path = write_mr(tmp_path, change=change)[0]
    (frame,) = read_headers(path, findings=[])
    assert (frame.philips_scale_slope, frame.complex_component) == (0.5, "PHASE")


def test_the_creator_of_another_vendor_is_not_taken(tmp_path):
    def change(d, k, e):
        d.private_block(0x2005, "Archive", create=True).add_new(0x0E, "FL", 99.0)
        d.private_block(0x0043, "Archive", create=True).add_new(0x2F, "SS", 1)

    (frame,) = read_headers(write_mr(tmp_path, change=change)[0], findings=[])
    assert (frame.philips_scale_slope, frame.complex_component) == (None, "")
