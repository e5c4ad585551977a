"""Clicks of the study file: every fault is named, and what was said comes back the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.io.study import read_study
from eprimg.io.study_clicks import click_content, parse_clicks
from eprimg.io.study_file import merge_study_files, parse_study_file
from eprimg.model.study import Click
from eprimg.stages.clicks import place_clicks

LIVER = {"on": "mr_post", "point_mm": [1, -2.5, 3], "anatomy": "liver", "diameter_mm": 20}
LESION = {"on": "pet", "point_mm": [0, 0, 0], "anatomy": "lesion"}


def parsed(*content):
    faults: list[ConfigError] = []
    return parse_clicks(list(content), "study.toml", faults), faults


def test_what_can_be_said() -> None:
    beside = {**LESION, "background_mm": [[1, 1, 1]], "name": "left"}
    clicks, faults = parsed(LIVER, LESION, beside)
    assert faults == []
    assert clicks == (
        Click("mr_post", (1.0, -2.5, 3.0), "liver", 20.0, "liver"),
        Click("pet", (0.0, 0.0, 0.0), "lesion", 0.0, "lesion-click-2"),
        Click("pet", (0.0, 0.0, 0.0), "lesion", 0.0, "left", ((1.0, 1.0, 1.0),)),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"anatomy": "lung"}, "anatomy"),
        ({"point_mm": [1, 2]}, "point_mm"),
        ({"point_mm": [1, 2, float("nan")]}, "point_mm"),
        ({"diameter_mm": 0}, "an organ needs it"),
        ({"diameter_mm": True}, "diameter_mm"),
        ({"diameter_mm": 500}, "at most 200 mm"),
        ({"on": ""}, "needs 'on'"),
        ({"on": 3}, "is text"),
        ({"radius": 3}, "no key 'radius'"),
        ({"background_mm": [[1, 1, 1]]}, "for a lesion only"),
        ({"background_mm": "x"}, "list of points"),
    ],
)
def test_every_fault_is_named(change, said) -> None:
    clicks, faults = parsed({**LIVER, **change})
    assert clicks == ()
    assert [f.code for f in faults] == ["E_STUDY_FILE"]
    assert said in faults[0].message


def test_no_list_and_no_section() -> None:
    faults: list[ConfigError] = []
    assert parse_clicks({"on": "pet"}, "x", faults) == ()
    assert len(faults) == 1
    assert len(parsed("pet")[1]) == 1


def test_the_study_file_keeps_them() -> None:
    spoken = parse_study_file({"clicks": [LIVER]})
    assert spoken.clicks[0].anatomy == "liver"
    assert parse_study_file(spoken.to_content()).clicks == spoken.clicks
    assert spoken.overrides()["clicks.1"] == click_content(spoken.clicks[0])
    other = parse_study_file({"clicks": [LESION]})
    assert merge_study_files(spoken, other).clicks == other.clicks
    assert merge_study_files(spoken, parse_study_file({})).clicks == spoken.clicks


def test_a_click_in_the_liver_of_the_phantom(phantom: Path, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    text = '[[clicks]]\non = "mr_pre"\npoint_mm = [-80, -20, -10]\nanatomy = "liver"\n'
    path.write_text(text + "diameter_mm = 24\n", encoding="utf-8")
    study = read_study(phantom / "dicom", study_file=path).value
    liver = next(r for each in study.regions for r in each.regions if r.anatomy == "liver")
    drawn = next(each for each in study.regions if liver in each.regions)
    # A point of the right liver as painted, more than 40 mm from both of its lesions.
    found = place_clicks(replace(study, regions=()), Config())
    assert [f.code for f in found.findings] == ["I_CLICK_PLACED"]
    sphere = found.value[0]
    assert drawn.grid.matches(sphere.grid)
    assert (sphere.labels == 1).sum() * sphere.grid.voxel_volume_ml == pytest.approx(7.24, rel=0.1)
    assert (drawn.labels[sphere.labels == 1] == liver.id).mean() > 0.99
    path.write_text(text.replace("mr_pre", "ct") + "diameter_mm = 24\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="clicks.on"):
        read_study(phantom / "dicom", study_file=path)
