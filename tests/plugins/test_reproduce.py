"""Files that the command line needs are read back as they were meant."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from eprimg.config import Config, load_config
from eprimg.io.study_file import MaskEntry, StudyFile, read_study_file
from eprimg.io.study_file_maps import MapEntry
from eprimg.model.study import Role
from napari_eprimg.reading.reproduce import study_file_text, write_inputs


def test_a_study_file_is_read_back_equal(tmp_path: Path) -> None:
    mask = tmp_path / 'mask "1".nii.gz'
    mask.touch()
    spoken = StudyFile(
        "P-7",
        {"mr-1": Role.MR_PRE, "1.2.840.5": Role.UNUSED},
        {
            "weight_kg": 71.5,
            "sex": "F",
            "injection_instant": datetime(2024, 5, 17, 10, 0, tzinfo=timezone(timedelta(hours=2))),
            "dose_mbq": 74.0,
            "nuclide": "89Zr",
            "bq_per_ml_per_count": 23.5,
        },
        (
            MaskEntry(mask, "mr_pre", {"1": "liver"}),
            MaskEntry(mask),
            MaskEntry(mask, rois=('GTV "1"', "GTV '2'", 4), role="lesion"),
        ),
        "study.toml",
        {"instant": datetime(2024, 5, 16, 9, 0), "dose_mg_fe": 510.0},
        (MapEntry(mask, "ktrans", "mr_post", "", "1/min"), MapEntry(mask, "r2", "", "pre")),
        {"pet": "pt-2"},
        {"nifti-1": datetime(2024, 5, 19, 9, 0)},
    )
    path = tmp_path / "study.toml"
    path.write_text(study_file_text(spoken), encoding="utf-8")
    assert read_study_file(path) == spoken


def test_only_files_that_say_something_are_written(tmp_path: Path) -> None:
    assert write_inputs(tmp_path / "a", None, Config()) == ()
    config = Config().with_settings({"segment": {"percent": 50.0}})
    ((option, path),) = write_inputs(tmp_path / "b", None, config)
    assert option == "--config"
    assert load_config(path) == config


def test_help_for_the_alignment_is_read_back_equal(tmp_path: Path) -> None:
    from eprimg.io.study_file_help import HelpEntries, HelpEntry

    file = tmp_path / "t.h5"
    file.touch()
    spoken = StudyFile(
        source="study.toml",
        help=HelpEntries(
            (
                HelpEntry("transforms", file, "mr_pre", "pet", "start"),
                HelpEntry(
                    "landmarks",
                    None,
                    "mr_pre",
                    "pet",
                    "check",
                    ((1.0, 2.0, 3.5),),
                    ((4.0, 5.0, 6.0),),
                    ('the "tip"',),
                ),
                HelpEntry("metric_masks", file, "pet"),
            )
        ),
    )
    path = tmp_path / "study.toml"
    path.write_text(study_file_text(spoken), encoding="utf-8")
    assert read_study_file(path) == spoken
