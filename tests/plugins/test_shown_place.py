"""A place is shown when it names a series, a region, a tag or a setting, and nothing else."""

from __future__ import annotations

import pytest

from napari_eprimg.reading.shown_place import known_names, shown_place


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("", ""),
        ("pet", "pet"),
        ("mr_pre, mr_post", "mr_pre, mr_post"),
        ("mr-7", "mr-7"),
        ("mr_post_2, ct_3", "mr_post_2, ct_3"),
        ("pet_2_Doe", ""),
        ("PatientWeight (0010,1030)", "PatientWeight (0010,1030)"),
        ("study.toml [injection] weight_kg", "study.toml [injection] weight_kg"),
        ("stratify.schemes", "stratify.schemes"),
        # People name files and folders after patients.
        ("Doe_Jane_1961.dcm", ""),
        ("/data/Doe_Jane/study.toml", ""),
        ("pet, Doe_Jane", ""),
        ("FrameOfReferenceUID (0020,0052) in Doe_Jane.dcm", "FrameOfReferenceUID (0020,0052)"),
    ],
)
def test_names_of_files_and_folders_are_left_out(place: str, shown: str) -> None:
    assert shown_place(place, known_names(["mr-7"])) == shown
