"""The quick way through a header says the same as the general one, or nothing."""

from __future__ import annotations

import random

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from eprimg.io import headers
from eprimg.io.explicit_headers import ExplicitValues, read_explicit_header
from eprimg.io.headers import read_headers
from tests.io.dicom_factory import write_enhanced_mr, write_mr, write_pet


def both(path, monkeypatch):
    """Frames and findings of a file, quickly and by the general reader."""
    answers = []
    for quick in (True, False):
        with monkeypatch.context() as patched:
            if not quick:
                patched.setattr(headers, "read_explicit_header", lambda *_: None)
            findings = []
            frames = read_headers(path, findings=findings)
            answers.append((frames, [(f.code, f.text) for f in findings]))
    return answers


def taken(path):
    """Whether the quick way takes a file."""
    return read_explicit_header(str(path), headers._WANTED) is not None


def test_ordinary_files(tmp_path, monkeypatch):
    for path in (write_mr(tmp_path / "mr")[0], write_pet(tmp_path / "pt")[0]):
        assert taken(path)
        quick, general = both(path, monkeypatch)
        assert quick == general
        assert len(quick[0]) == 1
        d = pydicom.dcmread(path)
        raw = path.read_bytes()[quick[0][0].pixel_offset :]
        assert raw == d.PixelData


def test_long_values_before_and_between_the_wanted_ones(tmp_path, monkeypatch):
    """As a Siemens header: private values far longer than what is read at once."""

    def change(d, k, e):
        block = d.private_block(0x0009, "SOMEBODY", create=True)
        block.add_new(1, "OB", b"\1" * 50_000)
        block = d.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", bytes(range(256)) * 500)
        d.ImageComments = "x" * 8100

    path = write_mr(tmp_path, change=change)[0]
    assert taken(path)
    quick, general = both(path, monkeypatch)
    assert quick == general
    assert quick[0][0].rows == 6


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Новак^Łucja"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (None, "plain^name"),
    ],
)
def test_character_sets(tmp_path, monkeypatch, sets, name):
    """The fingerprint of a patient must not depend on the way that a file was read."""

    def change(d, k, e):
        if sets is None:
            del d.SpecificCharacterSet
        else:
            d.SpecificCharacterSet = sets
        d.PatientName, d.SeriesDescription = name, name

    path = write_mr(tmp_path, change=change)[0]
    assert taken(path)
    quick, general = both(path, monkeypatch)
    assert quick == general
    if sets is not None and "ISO 2022" not in str(sets):
        assert quick[0][0].series_description == name


def test_sequences_of_undefined_length(tmp_path, monkeypatch):
    """As Philips and GE write them, one inside the other."""

    def change(d, k, e):
        inner, outer, plain = Dataset(), Dataset(), Dataset()
        inner.CodeValue, inner.CodeMeaning = "1", "x" * 9000
        outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
        outer["PurposeOfReferenceCodeSequence"].is_undefined_length = e > 0
        outer.ReferencedSOPInstanceUID = "2.25.1"
        plain.EchoTime = "99"  # an element of the same name inside is not the frame's
        outer.is_undefined_length_sequence_item = plain.is_undefined_length_sequence_item = k > 0
        d.ReferencedImageSequence = Sequence([outer, plain, outer])
        d["ReferencedImageSequence"].is_undefined_length = True
        d.RequestAttributesSequence = Sequence([])
        d["RequestAttributesSequence"].is_undefined_length = True

    for path in write_mr(tmp_path, n_slices=2, echo_times_ms=(2.0, 4.0), change=change):
        assert taken(path)
        quick, general = both(path, monkeypatch)
        assert quick == general
        assert quick[0][0].echo_time_ms in (2.0, 4.0)


def test_what_is_left_to_the_general_reader(tmp_path):
    def with_open_sequence(d, k, e):
        item = Dataset()
        item.CodeValue = "1"
        d.ReferencedImageSequence = Sequence([item])
        d["ReferencedImageSequence"].is_undefined_length = True

    unknown = write_mr(tmp_path / "a", change=with_open_sequence)[0]
    data = unknown.read_bytes().replace(b"\x08\x00\x40\x11SQ", b"\x08\x00\x40\x11UN")
    unknown.write_bytes(data)
    paths = {
        "undefined length of a private value": unknown,
        "enhanced": write_enhanced_mr(tmp_path / "b" / "e.dcm"),
    }
    for syntax in (pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRBigEndian):
        d = pydicom.dcmread(write_mr(tmp_path / syntax.name.replace(" ", ""))[0])
        d.file_meta.TransferSyntaxUID = syntax
        if syntax.is_little_endian is False:
            d.PixelData = np.frombuffer(d.PixelData, "<u2").astype(">u2").tobytes()
        paths[syntax.name] = tmp_path / f"{len(paths)}.dcm"
        pydicom.dcmwrite(
            paths[syntax.name], d, implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian, enforce_file_format=False,
        )  # fmt: skip
    (tmp_path / "text").write_text("no DICOM")
    (tmp_path / "empty").write_bytes(b"")
    paths |= {"text": tmp_path / "text", "empty": tmp_path / "empty"}
    for why, path in paths.items():
        assert not taken(path), why
        if why not in ("text", "empty"):
            assert read_headers(path, findings=[]), why


def test_damaged_files_are_told_the_same(tmp_path, monkeypatch):
    """Every answer of the quick way equals that of the general one, also for damaged headers."""
    rng = random.Random(5)

    def change(d, k, e):
        inner = Dataset()
        inner.CodeValue = "1"
        inner.is_undefined_length_sequence_item = True
        d.ReferencedImageSequence = Sequence([inner, inner])
        d["ReferencedImageSequence"].is_undefined_length = True

    files = write_mr(tmp_path / "mr", n_slices=2, echo_times_ms=(2.0,), change=change)
    whole = files[0].read_bytes()
    start = len(whole) - 60  # the pixels and the last elements
    path = tmp_path / "x.dcm"
    n_taken = 0
    for trial in range(600):
        data = bytearray(whole)
        if trial % 6 == 0:
            data = data[: rng.randrange(100, len(whole))]
        else:
            for _ in range(rng.choice((1, 1, 2, 5))):
                data[rng.randrange(132, start)] = rng.randrange(256)
        path.write_bytes(data)
        n_taken += taken(path)
        quick, general = both(path, monkeypatch)
        assert quick == general, trial
    assert n_taken > 150


def test_real_scanners(real_data, monkeypatch):
    n_taken = 0
    for name in ("mri/siemens_prisma_gre2e/mag", "mri/philips_ingenia_gre2e"):
        for path in sorted((real_data / name).glob("*.dcm"))[:6]:
            n_taken += taken(path)
            quick, general = both(path, monkeypatch)
            assert quick == general
            assert len(quick[0]) == 1
    pet = sorted((real_data / "pet/sts001_ge_fdg_dicom/PT").glob("*.dcm"))[:3]
    for path in pet:
        quick, general = both(path, monkeypatch)
        assert quick == general
    assert n_taken > 0


def test_values():
    values = ExplicitValues({0x00280010: b"\x06\x00", 0x00180081: b"2.5 ", 0x00080060: b""})
    assert values.unsigned(0x00280010, "Rows") == 6
    assert values.number(0x00180081, "EchoTime") == 2.5
    assert values.text(0x00080060) == ""
    assert values.raw(0x00080060) is None
    shared = ((0x00280010, b"\x06\x00"), (0x00080060, b""))
    assert values.shared_values((), {0x00180081}) == shared
