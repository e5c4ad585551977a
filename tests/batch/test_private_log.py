"""What is taken out of a log, and what is left in."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest

from eprimg.batch.private_log import Blackout, identity_words


@pytest.fixture
def study(tmp_path: Path, phantom: Path) -> Path:
    """Two folders of headers; the second patient is another one."""
    source = sorted((phantom / "dicom").rglob("*.dcm"))[0]
    for folder, name, number, birth in (
        ("a", "Müller-Lüdenscheidt^Anna Maria", "PID-4711", "19610229"),
        ("b", "Wu^Li", "42", ""),
    ):
        (tmp_path / "in" / folder).mkdir(parents=True)
        header = pydicom.dcmread(source, stop_before_pixels=True)
        header.SpecificCharacterSet = "ISO_IR 100"
        header.PatientName, header.PatientID, header.PatientBirthDate = name, number, birth
        header.AccessionNumber = "ACC99"
        for n in range(40):
            header.save_as(tmp_path / "in" / folder / f"{n}.dcm")
    (tmp_path / "in" / "a" / "junk.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"junk" * 9)
    (tmp_path / "in" / "readme.txt").write_text("hello", encoding="utf-8")
    os.mkfifo(tmp_path / "in" / "pipe.dcm")  # opening it would wait for ever
    return tmp_path / "in"


def test_words_of_every_folder_are_found(study: Path) -> None:
    words = set(identity_words(study))
    assert {"Anna", "Maria", "Müller-Lüdenscheidt", "PID-4711", "ACC99", "Wu", "Li", "42"} <= words
    assert {"19610229", "1961-02-29", "29.02.1961"} <= words
    assert identity_words(study / "readme.txt") == []
    assert "Wu" in identity_words(study / "b" / "0.dcm")


def test_a_deflated_bomb_is_not_opened(study: Path) -> None:
    bomb = study / "bomb.dcm"
    bomb.write_bytes(b"\0" * 128 + b"DICM" + b"1.2.840.10008.1.2.1.99" + b"\0" * 99)
    assert identity_words(bomb) == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("bad value 'MÜLLER-LÜDENSCHEIDT^Anna'", "bad value '<patient>^<patient>'"),
        ("anna_maria.dcm", "<patient>_<patient>.dcm"),
        ("Hannah and annabel", "Hannah and annabel"),
        ("Li has lithium", "<patient> has lithium"),
        ("Limit li", "Limit li"),
        ("E_ECHO: 3 echoes, 142 files", "E_ECHO: 3 echoes, 142 files"),
        ("born 1961-02-29", "born <patient>"),
    ],
)
def test_words_are_taken_out_as_words(text: str, kept: str) -> None:
    words = ["Müller-Lüdenscheidt", "Anna", "Maria", "Li", "42", "1961-02-29"]
    assert Blackout("S-1", Path("/nowhere"), words=words)(text) == kept


def test_places_and_folder_names(tmp_path: Path) -> None:
    path = tmp_path / "SITE" / "Roe Jane" / "dicom"
    black = Blackout("S-1", path, "SITE/Roe Jane/dicom", ((tmp_path / "out", "<out>"),))
    assert black(f"{path}/a/1.dcm") == "<study>/a/1.dcm"
    assert black(f"{tmp_path}/out/x") == "<out>/x"
    assert black(f"{Path.home()}/.cache") == "~/.cache"
    assert black("[roe jane] pydicom reads dicom") == "[S-1] pydicom reads dicom"
    assert black("") == ""
    assert Blackout("S-1", path)("a \\1 b") == "a \\1 b"
