from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.batch_manifest import read_manifest
from eprimg.io.batch_tasks import StudyTask
from eprimg.io.study_file import parse_study_file
from eprimg.model.study import Role


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(b"x")
    return tmp_path


def _read(root: Path, text: str | bytes) -> tuple[StudyTask, ...]:
    path = root / "cohort.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifest(path).value


def _faults(root: Path, text: str | bytes) -> list[tuple[str, str]]:
    """Line and words of every fault."""
    with pytest.raises(ConfigError) as caught:
        _read(root, text)
    faults = caught.value.faults or (caught.value,)
    assert {f.code for f in faults} == {"E_BATCH_MANIFEST"}
    return [(str(f.where).rpartition("line ")[2], f.message) for f in faults]


FULL = (
    "study,path,weight_kg,height_m,sex,dose_mbq,injection_instant,roles.mr-2,roles.pt-4,settings,"
    "pseudonym\n"
    "A1,one,70.5,1.75,f,74,2026-03-01T09:00:00,mr_pre,pet,"
    "r2star.method=nlls; report.title=Night,P-9\n"
    "\n"
    "A2,two,,,,,,,,,\n"
)


def test_every_column_arrives_with_its_type(root: Path) -> None:
    first, second = _read(root, FULL)
    assert (first.key, first.path) == ("A1", root / "one")
    assert first.facts == {
        "weight_kg": 70.5,
        "height_m": 1.75,
        "sex": "F",
        "dose_mbq": 74.0,
        "injection_instant": datetime(2026, 3, 1, 9),
        "roles": {"mr-2": "mr_pre", "pt-4": "pet"},
        "pseudonym": "P-9",
    }
    assert first.settings == ("r2star.method=nlls", "report.title=Night")
    assert (second.facts, second.settings, second.study_file) == ({}, (), None)


def test_the_facts_are_those_of_a_study_file(root: Path) -> None:
    spoken = parse_study_file(_read(root, FULL)[0].facts)
    assert spoken.pseudonym == "P-9"
    assert spoken.roles == {"mr-2": Role.MR_PRE, "pt-4": Role.PET}
    assert spoken.entered["injection_instant"] == datetime(2026, 3, 1, 9)


@pytest.mark.parametrize("column", ["reference_instant", "residual_mbq", "nuclide", "half_life_s"])
def test_every_other_fact_column_is_one_of_a_study_file(root: Path, column: str) -> None:
    cells = {
        "reference_instant": "2026-03-04T09:00:00",
        "residual_mbq": "2",
        "nuclide": "89Zr",
        "half_life_s": "282276",
    }
    more = ",residual_instant" if column == "residual_mbq" else ""
    cell = cells[column] + (",2026-03-01T09:05:00" if more else "")
    (task,) = _read(root, f"study,path,{column}{more}\nA,one,{cell}\n")
    assert column in parse_study_file(task.facts).entered


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolon_tab_byte_order_mark_and_windows_line_ends(root: Path, delimiter: str) -> None:
    lines = [["study", "path", "weight_kg"], ["A", "one", "70.5"]]
    text = "".join(delimiter.join(line) + "\r\n" for line in lines)
    (task,) = _read(root, b"\xef\xbb\xbf" + text.encode())
    assert (task.key, task.facts) == ("A", {"weight_kg": 70.5})


def test_an_absolute_path_and_a_study_file(root: Path) -> None:
    (root / "spoken.toml").write_text("")
    (task,) = _read(root, f"study,path,study_file\nA,{root / 'two'},spoken.toml\n")
    assert task.path == root / "two"
    assert task.study_file == root / "spoken.toml"


def test_a_path_that_is_not_there_is_kept_and_told(root: Path) -> None:
    path = root / "cohort.csv"
    path.write_text("study,path\nA,one\nB,John Doe\n")
    found = read_manifest(path)
    assert [t.key for t in found.value] == ["A", "B"]
    assert [(f.code, f.where) for f in found.findings] == [("W_BATCH_EMPTY", "line 3")]


def test_all_faults_are_told_at_once_with_their_lines(root: Path) -> None:
    faults = _faults(
        root,
        "study,path,weight_kg,injection_instant,sex,roles.mr-1,study_file,settings\n"
        "A,one,seventy,2026-03-01T09:00,F,mr_pre,,\n"
        "a,two,70,01.03.2026,F,mr_pre,,\n"
        "B,two,-70,2026-03-01,F,mr_pre,,\n"
        "C,,70,,X,first,absent.toml,method\n"
        "D/E,two,,,,,,\n",
    )
    expected = [
        ("2", "weight_kg is not a number"),
        ("3", "injection_instant is a date with a time"),
        ("3", "given in line 2 already"),
        ("4", "injection_instant is a date with a time"),
        ("4", "weight_kg is a finite, positive number"),
        ("5", "path is empty"),
        ("5", "study file is not there"),
        ("5", "section.key=value"),
        ("5", "roles.mr-1 is not a role"),
        ("5", "sex is M, F or O"),
        ("6", "a study key is"),
    ]
    for line, words in expected:
        assert any(line == at and words in text for at, text in faults), (line, words, faults)
    assert len(faults) == len(expected)


def test_unknown_missing_and_repeated_columns_are_named(root: Path) -> None:
    faults = _faults(root, "study,weigth_kg,study,roles.\nA,70,A,x\n")
    text = " ".join(message for _, message in faults)
    assert "'path' is missing" in text
    assert "no column 'weigth_kg'" in text
    assert "'study' is there twice" in text
    assert "no column 'roles.'" in text


def test_a_decimal_comma_is_refused_in_words(root: Path) -> None:
    path = root / "cohort.csv"
    path.write_text("study;path;weight_kg\nA;one;70,5\n")
    with pytest.raises(ConfigError) as caught:
        read_manifest(path)
    assert "decimal point" in str(caught.value.action)


def test_cells_that_do_not_fit_the_columns_are_told(root: Path) -> None:
    assert _faults(root, "study,path\nA,one,70\nB\n") == [
        ("2", "the line has 3 cells, and there are 2 columns"),
        ("3", "the line has 1 cells, and there are 2 columns"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"study,path\n", "no row"),
        ("study,path\nA,one\n".encode("utf-16"), "UTF-16"),
        (b"study,path\nA,M\xfcller\n", "not UTF-8"),
        (b"PK\x03\x04\x00\x00", "not a text file"),
        (b'study,path\nA,"one\n', "not CSV"),
    ],
)
def test_files_that_are_no_manifest(root: Path, content: bytes, words: str) -> None:
    assert any(words in text for _, text in _faults(root, content))


def test_a_manifest_that_is_not_there(root: Path) -> None:
    with pytest.raises(ConfigError, match="E_BATCH_MANIFEST"):
        read_manifest(root / "absent.csv")
