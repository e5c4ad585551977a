"""Regions that a study file chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.study_file import parse_study_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan.dcm").write_bytes(b"")
    return tmp_path


def test_regions_and_role_are_kept_and_come_back(folder: Path) -> None:
    content = {
        "masks": [
            {"path": "plan.dcm", "rois": ["GTV_1", 4], "role": "lesion"},
            {"path": "plan.dcm", "rois": ["Hepar"], "role": "liver", "names": {"7": "liver"}},
            {"path": "plan.dcm"},
        ]
    }
    said = parse_study_file(content, folder=folder)
    first, second, third = said.masks
    assert (first.choice.rois, first.choice.role) == (("GTV_1", 4), "lesion")
    assert (second.choice.rois, second.choice.role) == (("Hepar",), "liver")
    assert (third.choice.rois, third.choice.role) == ((), "")
    assert said.overrides() == {
        "masks.1": "plan.dcm (GTV_1, 4 as lesion)",
        "masks.2": "plan.dcm (Hepar as liver)",
        "masks.3": "plan.dcm",
    }
    assert parse_study_file(said.to_content(), source=said.source) == said


def test_every_fault_is_listed(folder: Path) -> None:
    wrong = [
        {"rois": "GTV_1"},
        {"rois": []},
        {"rois": ["GTV_1", "GTV_1"]},
        {"rois": [True]},
        {"role": "tumour"},
        {"roi": ["GTV_1"]},
    ]
    with pytest.raises(ConfigError) as caught:
        parse_study_file({"masks": [{"path": "plan.dcm", **w} for w in wrong]}, folder=folder)
    text = str(caught.value)
    for number, words in enumerate(
        (
            ".rois is a list of names or numbers",
            ".rois is empty",
            ".rois is a list of names or numbers, each of them once",
            ".rois is a list of names or numbers",
            ".role is not a role",
            " has no key 'roi'",
        ),
        start=1,
    ):
        assert f"masks[{number}]{words}" in text
    assert "lesion, reference, exclude, liver" in text
