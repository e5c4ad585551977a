"""The lists of a study file that help the alignment: read, written down again, refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.study_file import parse_study_file, read_study_file
from eprimg.io.study_file_help import HelpEntries

TEXT = """
[[transforms]]
path = "a.tfm"
fixed = "mr_pre"
moving = "pet"

[[landmarks]]
fixed = "mr_pre"
moving = "mr_post"
use = "start"
fixed_mm = [[1, 2, 3], [4.5, 5, 6], [7, 8, 10]]
moving_mm = [[2, 2, 3], [5.5, 5, 6], [8, 8, 10]]
names = ["a", "b", "c"]

[[landmarks]]
fixed = "mr_pre"
moving = "pet"
path = "points.csv"

[[metric_masks]]
path = "m.nii.gz"
on = "mr_pre"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tfm", "points.csv", "m.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "study.toml").write_text(TEXT)
    return tmp_path


def test_every_item_is_read_and_recorded(folder: Path) -> None:
    spoken = read_study_file(folder / "study.toml")
    (transform,) = spoken.help.of("transforms")
    assert (transform.path, transform.fixed, transform.moving, transform.use) == (
        folder / "a.tfm",
        "mr_pre",
        "pet",
        "result",
    )
    first, second = spoken.help.of("landmarks")
    assert first.fixed_mm[1] == (4.5, 5.0, 6.0)
    assert (first.use, first.names, second.use) == ("start", ("a", "b", "c"), "check")
    (mask,) = spoken.help.of("metric_masks")
    assert (mask.fixed, mask.use) == ("mr_pre", "")
    assert spoken.overrides() == {
        "transforms.1": "a.tfm (mr_pre pet, result)",
        "landmarks.1": "3 pairs (mr_pre mr_post, start)",
        "landmarks.2": "points.csv (mr_pre pet, check)",
        "metric_masks.1": "m.nii.gz (mr_pre)",
    }


def test_what_is_written_down_reads_back_the_same(folder: Path) -> None:
    spoken = read_study_file(folder / "study.toml")
    assert parse_study_file(spoken.to_content()).help == spoken.help
    assert HelpEntries().to_content() == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"transforms": {"path": "a"}}, "is a list"),
        ({"transforms": [{"fixed": "a", "moving": "b"}]}, "needs 'path'"),
        ({"transforms": [{"path": "x.tfm", "fixed": "a", "moving": "b"}]}, "not there"),
        ({"transforms": ["a.tfm"]}, "is a table"),
        ({"transforms": [{"path": "a.tfm", "moving": "b"}]}, "needs 'fixed'"),
        ({"transforms": [{"path": "a.tfm", "fixed": "a", "moving": "b", "use": "check"}]}, "use"),
        ({"transforms": [{"path": "a.tfm", "fixed": "a", "moving": "b", "to": 1}]}, "no key 'to'"),
        ({"landmarks": [{"fixed": "a", "moving": "b", "fixed_mm": [[1, 2, 3]]}]}, "as many points"),
        (
            {
                "landmarks": [
                    {"fixed": "a", "moving": "b", "fixed_mm": [[1, 2]], "moving_mm": [[1, 2]]}
                ]
            },
            "as many points",
        ),
        (
            {"landmarks": [{"fixed": "a", "moving": "b", "path": "points.csv", "names": ["n"]}]},
            "both in a file and here",
        ),
        ({"metric_masks": [{"path": "m.nii.gz"}]}, "needs 'on'"),
    ],
)
def test_faults_are_named_with_their_place(folder: Path, content: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_study_file(content, folder=folder)
    assert caught.value.code == "E_STUDY_FILE"
