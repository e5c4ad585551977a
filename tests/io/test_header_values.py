"""Single values out of raw headers."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from eprimg.io.header_values import HeaderValues


def raw(little=True, **values):
    d = Dataset()
    for keyword, value in values.items():
        setattr(d, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, d, implicit_vr=False, little_endian=little)
    file.seek(0)
    return HeaderValues(read_dataset(file, False, little), little_endian=little)


@pytest.mark.parametrize("little", [True, False])
def test_kinds_of_values(little):
    read = raw(
        little,
        PatientID=" A1 ",
        PixelSpacing=["1.5", "2"],
        Rows=300,
        EchoTime="2.5",
        ImageType=["ORIGINAL", "PRIMARY"],
        SeriesNumber="12",
        EffectiveEchoTime=4.25,
    )
    assert read.text(0x00100020) == "A1"
    assert read.numbers(0x00280030, "PixelSpacing", 2) == (1.5, 2.0)
    assert read.unsigned(0x00280010, "Rows") == 300
    assert read.number(0x00180081, "EchoTime") == 2.5
    assert read.words(0x00080008) == ("ORIGINAL", "PRIMARY")
    assert read.integer(0x00200011, "SeriesNumber") == 12
    assert read.binary_float(0x00189082, "EffectiveEchoTime") == 4.25
    assert read.faults == []


def test_absent_values():
    read = raw()
    assert read.text(1) == ""
    assert read.words(1) == ()
    assert read.numbers(1, "x", 3) is None
    assert read.number(1, "x") is None
    assert read.integer(1, "x") is None
    assert read.unsigned(1, "x") is None
    assert read.binary_float(1, "x") is None
    assert read.faults == []


@pytest.mark.parametrize("text", [b"abc ", b"NaN ", b"inf ", b"1e400 ", b"1_0 "])
def test_what_is_no_number_is_a_fault(text):
    head = struct.pack("<HH2sH", 0x0018, 0x0081, b"DS", len(text))
    read = HeaderValues(read_dataset(io.BytesIO(head + text), False, True))
    assert read.number(0x00180081, "EchoTime") is None
    assert read.faults == [("E_NUMERIC", "EchoTime (0018,0081) is not a finite number")]


def test_wrong_counts_and_lengths_are_faults():
    read = raw(PixelSpacing=["1", "2", "3"], SeriesNumber="1")
    assert read.numbers(0x00280030, "PixelSpacing", 2) is None
    head = struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 1) + b"\x01"
    short = HeaderValues(read_dataset(io.BytesIO(head), False, True))
    assert short.unsigned(0x00280010, "Rows") is None
    assert read.faults[0][0] == short.faults[0][0] == "E_NUMERIC"


def test_values_that_are_already_built():
    d = Dataset()
    d.PixelSpacing, d.Rows, d.ImageType, d.EchoNumbers = [1.5, 2], 7, ["A", "B"], [3, 4]
    d.PatientName, d.EffectiveEchoTime = "Ä^B", 2.0
    read = HeaderValues(d)
    assert read.numbers(0x00280030, "PixelSpacing", 2) == (1.5, 2.0)
    assert read.unsigned(0x00280010, "Rows") == 7
    assert read.words(0x00080008) == ("A", "B")
    assert read.integer(0x00180086, "EchoNumbers") == 3
    assert read.text(0x00100010) == "Ä^B"
    assert read.binary_float(0x00189082, "EffectiveEchoTime") == 2.0


def test_other_character_sets():
    read = raw(SpecificCharacterSet="ISO_IR 192", SeriesDescription="Größe")
    assert read.text(0x0008103E) == "Größe"


def test_private_elements_are_found_through_their_creator():
    d = Dataset()
    d.add_new(0x20050010, "LO", "Somebody else")
    d.add_new(0x20050013, "LO", "Philips MR Imaging DD 001")
    d.add_new(0x2005100E, "FL", 99.0)
    d.add_new(0x2005130E, "FL", 0.25)
    file = io.BytesIO()
    pydicom.dcmwrite(file, d, implicit_vr=False, little_endian=True)
    file.seek(0)
    values = HeaderValues(read_dataset(file, False, True))
    tag = values.private_tag(0x2005, "Philips MR Imaging DD 001", 0x0E)
    assert tag == 0x2005130E
    assert values.binary_float(tag, "slope") == 0.25
    assert values.private_tag(0x2005, "Nobody", 0x0E) is None
    assert values.private_tag(0x2007, "Somebody else", 0x0E) is None
