"""study.toml: strict, all faults at once, a bare date is no instant."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.study_file import merge_study_files, parse_study_file, read_study_file
from eprimg.model.study import Role


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "mask.nii.gz").write_bytes(b"")
    spoken = read_study_file(
        write(
            tmp_path,
            """
        pseudonym = "EPR-007"
        [roles]
        "mr-1" = "mr_pre"
        [injection]
        instant = 2026-03-01T10:30:00
        dose_mbq = 37
        [patient]
        weight_kg = 70.5
        [[masks]]
        path = "mask.nii.gz"
        on = "mr_pre"
        names = {1 = "lesion-1"}
    """,
        )
    )
    assert spoken.pseudonym == "EPR-007"
    assert spoken.roles == {"mr-1": Role.MR_PRE}
    assert spoken.entered == {
        "injection_instant": datetime(2026, 3, 1, 10, 30),
        "dose_mbq": 37,
        "weight_kg": 70.5,
    }
    assert spoken.masks[0].names == {"1": "lesion-1"}
    assert spoken.overrides()["roles.mr-1"] == "mr_pre"
    assert spoken.overrides()["masks.1"] == "mask.nii.gz"


def test_every_fault_is_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        wieght = 3
        [roles]
        "mr-1" = "before"
        [injection]
        instant = 2026-03-01
        dose_mbq = "37"
        half_life = 3.0
        [patient]
        sex = 1
        [[masks]]
        path = "none.nii.gz"
        one = "mr_pre"
        [[masks]]
        on = "mr_pre"
    """,
    )
    with pytest.raises(ConfigError) as caught:
        read_study_file(path)
    text = str(caught.value)
    for words in (
        "no section 'wieght'",
        "roles.mr-1 is not a role",
        "needs a date and a time",
        "'injection.dose_mbq' is a number",
        "no key 'injection.half_life'",
        "'patient.sex' must be of type str",
        "masks[1] is not there",
        "masks[1] has no key 'one'",
        "masks[2] needs a 'path'",
    ):
        assert words in text


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_study_file(write(tmp_path, "a = ["))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_study_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a section"):
        read_study_file(write(tmp_path, "injection = 3"))


def test_facts_may_stand_alone_by_the_names_of_the_record() -> None:
    said = parse_study_file({"weight_kg": 60.0, "dose_mbq": 37.0, "roles": {"a": "pet"}})
    assert said.entered == {"weight_kg": 60.0, "dose_mbq": 37.0}
    assert said.source == "facts"
    instant = datetime(2026, 3, 1, 10, 30)
    assert parse_study_file({"injection_instant": instant}).entered == {
        "injection_instant": instant
    }
    text = {"injection_instant": "2026-03-01T10:30:00"}
    assert parse_study_file(text, instants_as_text=True).entered == {"injection_instant": instant}
    for wrong in ({"instant": instant}, {"weight": 60.0}, text):
        with pytest.raises(ConfigError) as caught:
            parse_study_file(wrong)
        assert caught.value.code == "E_STUDY_FILE"
    with pytest.raises(ConfigError):  # a date alone says no time
        parse_study_file({"injection_instant": "2026-03-01"}, instants_as_text=True)


def test_what_is_said_later_wins_and_the_content_comes_back() -> None:
    below = parse_study_file(
        {"pseudonym": "A", "weight_kg": 60.0, "height_m": 1.7, "roles": {"a": "pet"}}, source="f"
    )
    above = parse_study_file({"weight_kg": 81.0, "roles": {"b": "mr_pre"}})
    both = merge_study_files(below, above)
    assert (both.pseudonym, both.source) == ("A", "f and facts")
    assert both.entered == {"weight_kg": 81.0, "height_m": 1.7}
    assert {k: str(v) for k, v in both.roles.items()} == {"a": "pet", "b": "mr_pre"}
    assert parse_study_file(both.to_content(), source=both.source) == both


def test_a_mask_that_is_a_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lesions.nii.gz")
    path = write(tmp_path, '[[masks]]\npath = "lesions.nii.gz"')
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        read_study_file(path)


def test_the_dose_of_the_iron_agent(tmp_path: Path) -> None:
    spoken = read_study_file(
        write(
            tmp_path,
            """
        [agent]
        instant = 2026-03-01T10:30:00
        dose_mg_fe = 510
        earlier_instant = 2025-12-01T09:00:00
    """,
        )
    )
    assert spoken.agent["dose_mg_fe"] == 510
    assert spoken.overrides()["agent.instant"] == datetime(2026, 3, 1, 10, 30)
    assert spoken.entered == {}  # nothing of it reaches the PET reader
    again = parse_study_file(spoken.to_content())
    assert again.agent == spoken.agent
    text = {"agent": {"instant": "2026-03-01T10:30:00"}}
    laid = merge_study_files(spoken, parse_study_file(text, instants_as_text=True))
    assert laid.agent == spoken.agent
    alone = parse_study_file({"dose_mg_fe": 280.0})
    assert alone.agent == {"dose_mg_fe": 280.0}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"dose_mg_fe": 0}, "above 0"),
        ({"dose_mg_fe": 51000.0}, "at most 2000 mg"),
        ({"dose_mg_fe": "510 mg"}, "is a number"),
        ({"dose_mg_fe": True}, "is a number"),
        ({"dose_mg": 510}, "no key 'agent.dose_mg'"),
    ],
)
def test_a_dose_of_iron_that_cannot_be(section: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_study_file({"agent": section})


def test_time_points(tmp_path: Path) -> None:
    text = """
        [primary]
        mr_post = "mr-5"
        [instants]
        nifti-2 = 2026-03-02T10:30:00
    """
    spoken = read_study_file(write(tmp_path, text))
    assert spoken.primary == {"mr_post": "mr-5"}
    assert spoken.instants == {"nifti-2": datetime(2026, 3, 2, 10, 30)}
    assert spoken.overrides() == {
        "primary.mr_post": "mr-5",
        "instants.nifti-2": datetime(2026, 3, 2, 10, 30),
    }
    as_text = {"instants": {"nifti-2": "2026-03-02T10:30:00"}, "primary": {"mr_post": "mr-5"}}
    again = parse_study_file(as_text, source=spoken.source, instants_as_text=True)
    assert again == spoken == parse_study_file(spoken.to_content(), source=spoken.source)
    over = merge_study_files(spoken, parse_study_file({"primary": {"pet": "pt-2"}}))
    assert over.primary == {"mr_post": "mr-5", "pet": "pt-2"}
    for wrong, code in (
        ({"primary": {"mr_pre": "mr-1"}}, "E_STUDY_FILE"),
        ({"primary": {"pet": 3}}, "E_STUDY_FILE"),
        ({"primary": "mr-1"}, "E_STUDY_FILE"),
        ({"instants": {"mr-1": "yesterday"}}, "E_SUV_TIME"),
    ):
        with pytest.raises(ConfigError) as caught:
            parse_study_file(wrong)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[masks]\npath = "a.nii.gz"\n', "'masks' is a list"),
        ('masks = "a.nii.gz"\n', "'masks' is a list"),
        ('[[masks]]\npath = "a.nii.gz"\nnames = "lesion-1"\n', "is a table of label numbers"),
        ('[[masks]]\npath = "a.nii.gz"\nnames = {1 = "a", 2 = "a"}\n', "to several labels"),
        ("roles = 5\n", "'roles' is a section"),
    ],
)
def test_masks_that_would_be_left_out_in_silence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        read_study_file(write(tmp_path, text))
    assert caught.value.code == "E_STUDY_FILE"
    assert words in str(caught.value)
