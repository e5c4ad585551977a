"""Notes from headers: read-out polarity, filters, gains."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.io.headers import read_headers
from eprimg.io.image_notes import image_notes, notes_from_words, side_car_notes, word_notes
from eprimg.io.index import scan
from eprimg.io.read_mr import read_mr_series
from eprimg.model.study import Role
from tests.io.dicom_factory import write_mr


def trains(folder, change=None):
    """One slice per echo, three echoes."""
    paths = write_mr(folder, n_slices=1, change=change)
    return [read_headers(p, findings=[]) for p in paths]


def kinds(notes):
    return [n.kind for n in notes]


def test_nothing_said(tmp_path):
    assert image_notes(trains(tmp_path)) == ()


def test_image_type(tmp_path):
    def change(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM", "FILTERED", "DIS3D"]

    assert kinds(image_notes(trains(tmp_path, change))) == ["normalised", "filtered", "resampled"]


def test_echoes_that_were_not_processed_alike(tmp_path):
    def change(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM" if e else "ND"]

    notes = image_notes(trains(tmp_path, change))
    assert kinds(notes) == ["normalised", "gain_varies"]
    assert "NORM" in notes[1].text


@pytest.mark.parametrize(
    ("mode", "contrasts", "expected"),
    [
        (b"1", b"3", ["monopolar"]),
        (b"2", b"3", ["bipolar"]),
        (b"0x2", b"3", ["bipolar"]),
        (b"2", b"1", []),  # one echo has no polarity to alternate
        (b"4", b"3", []),
        (b"", b"3", []),
    ],
)
def test_siemens_protocol(tmp_path, mode, contrasts, expected):
    def change(d, k, e):
        d.Manufacturer = "SIEMENS"
        text = b"### ASCCONV BEGIN ###\nlContrasts\t = \t" + contrasts + b"\n"
        if mode:
            text += b"ucReadOutMode\t = \t" + mode + b"\n"
        block = d.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x20, "OB", text + b"\0" * (len(text) % 2))

    assert kinds(image_notes(trains(tmp_path, change))) == expected


def test_the_same_text_of_another_vendor_is_not_looked_for(tmp_path):
    def change(d, k, e):
        d.Manufacturer = "Imaginary"
        d.ImageComments = "ucReadOutMode = 2 lContrasts = 3"

    assert image_notes(trains(tmp_path, change)) == ()


def test_ge_filter_and_gains(tmp_path):
    def change(d, k, e):
        d.Manufacturer = "GE MEDICAL SYSTEMS"
        d.ScanOptions = ["EDR_GEMS", "FILTERED_GEMS", "ACC_GEMS"]
        block = d.private_block(0x0019, "GEMS_ACQU_01", create=True)
        block.add_new(0x8A, "SS", 11)
        block.add_new(0x8B, "SS", 24 + e)

    notes = image_notes(trains(tmp_path, change))
    assert kinds(notes) == ["filtered", "gain_varies"]
    assert "digital" in notes[1].text
    assert "24, 25, 26" in notes[1].text


def test_ge_gains_that_do_not_differ(tmp_path):
    def change(d, k, e):
        d.Manufacturer = "GE MEDICAL SYSTEMS"
        d.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x8A, "SS", 11)

    assert image_notes(trains(tmp_path, change)) == ()


def test_scale_that_varies(tmp_path):
    made = trains(tmp_path)
    made[1] = [replace(f, slope=2.0) for f in made[1]]
    assert kinds(image_notes(made)) == ["scale_varies"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gre 8 echo bipolar", ["bipolar"]),
        ("GRE_BI-POLAR", ["bipolar"]),
        ("me_monopolar", ["monopolar"]),
        ("me unipolar", ["monopolar"]),
        ("bipolar as monopolar", []),
        ("antibipolar disorder study", []),
        ("", []),
    ],
)
def test_names(text, expected):
    assert kinds(notes_from_words({"SeriesDescription": text})) == expected


def test_unknown_words_say_nothing():
    assert word_notes(["ND", "M", "XYZ"], "ImageType") == []


@pytest.mark.parametrize("name", ["siemens_prisma_gre2e", "siemens_xa30_enh_gre2e"])
def test_real_siemens_is_monopolar(real_data, name):
    # the text "ucReadOutMode = 1" stands in both sets (0029,1020), (0021,1019)
    from eprimg.config import ReadConfig

    entry = scan(real_data / "mri" / name).series[0]
    series = read_mr_series(entry, key="mr", role=Role.MR_PRE, config=ReadConfig()).value
    assert kinds(series.acquisition.image_notes) == ["monopolar"]


def test_side_cars():
    cars = [
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS2D"], "ScanOptions": "FC\\FILTERED_GEMS"},
        {"NonlinearGradientCorrection": True, "ProtocolName": "gre_bipolar"},
    ]
    assert kinds(side_car_notes(cars)) == ["resampled", "filtered", "resampled", "bipolar"]
    assert side_car_notes([{}, {"ImageType": "M", "ScanOptions": 3}]) == ()
