"""[[maps]] of a study file: strict, all faults at once, kept through every way of saving."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.batch_hashes import input_hash
from eprimg.io.saved_records import study_file_from_record, study_file_record
from eprimg.io.study_file import merge_study_files, parse_study_file, read_study_file
from eprimg.io.study_file_maps import MapEntry, parse_map_entries

TEXT = """
[[maps]]
path = "ktrans.nii.gz"
quantity = "ktrans"
on = "mr_post"
unit = "1/min"

[[maps]]
path = "r2.nii.gz"
quantity = "r2"
phase = "post"
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    for name in ("ktrans.nii.gz", "r2.nii.gz"):
        (tmp_path / name).write_bytes(b"1")
    path = tmp_path / "study.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_entries_are_read_recorded_and_saved(study_file: Path) -> None:
    spoken = read_study_file(study_file)
    first, second = spoken.maps
    assert (first.quantity, first.on, first.unit) == ("ktrans", "mr_post", "1/min")
    assert (first.key, second.key) == ("map_ktrans", "map_r2_post")
    assert spoken.overrides()["maps.map_ktrans"] == "ktrans.nii.gz"
    record = study_file_record(spoken, lambda p: {"place": str(p)})
    assert study_file_from_record(record, lambda p: Path(p["place"])).maps == spoken.maps
    facts = parse_study_file({"weight_kg": 70.0})
    assert merge_study_files(spoken, facts).maps == spoken.maps


def test_every_fault_of_every_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"")
    content = [
        {"path": "a.nii", "quantity": "kfoo"},
        {"path": "a.nii", "quantity": "ktrans", "unit": "1/s"},
        {"path": "b.nii", "quantity": "ve", "phase": "late", "frame": "x"},
        {"quantity": "ve"},
        {"path": "a.nii", "quantity": "vp"},
        {"path": "a.nii", "quantity": "vp"},
        {"path": 3, "quantity": "vp"},
    ]
    faults: list[ConfigError] = []
    kept = parse_map_entries(content, tmp_path, "study.toml", faults)
    assert [e.key for e in kept] == ["map_vp"]
    said = "\n".join(f.message for f in faults)
    for words in (
        "maps[1] needs a 'quantity'",
        "maps[2]: Ktrans is taken in 1/min",
        "maps[3] is not a file",
        "maps[3]: 'phase'",
        "maps[3] has no key 'frame'",
        "maps[4] needs a 'path'",
        "maps[6]: there is another map 'map_vp'",
        "maps[7] holds texts only",
    ):
        assert words in said
    assert {f.code for f in faults} == {"E_STUDY_FILE"}
    with pytest.raises(ConfigError, match="list of tables"):
        parse_study_file({"maps": {"path": "x"}})


def test_a_changed_map_is_a_changed_study_for_a_batch(study_file: Path) -> None:
    folder = study_file.parent / "dicom"
    folder.mkdir()
    before = input_hash(folder, study_file, {})
    assert input_hash(folder, study_file, {}) == before
    (study_file.parent / "ktrans.nii.gz").write_bytes(b"2")
    assert input_hash(folder, study_file, {}) != before


def test_an_entry_without_a_phase_has_a_short_key() -> None:
    assert MapEntry(Path("x"), "adc").key == "map_adc"
    assert MapEntry(Path("x"), "adc").to_content() == {"path": "x", "quantity": "adc"}
