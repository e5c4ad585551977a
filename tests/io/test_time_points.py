"""Keys and order of several series in one role, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from eprimg.config import TimePointsConfig
from eprimg.errors import ConfigError, InputError
from eprimg.io.entries import SeriesEntry
from eprimg.io.study_file import StudyFile
from eprimg.io.time_points import (
    check_pet_points,
    dated,
    point_faults,
    point_keys,
    with_primaries,
)
from eprimg.model.acquisition import Injection, Known, PETAcquisition
from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

START = datetime(2024, 3, 1, 9, 0)
SETTINGS = TimePointsConfig()


def entry(key, role, hours, *, frame="", modality="MR"):
    instant = None if hours is None else START + timedelta(hours=hours)
    return SeriesEntry(
        key, role, "", modality, "", instant=instant, frame_of_reference=frame,
        series_uids=(f"uid of {key}",),
    )  # fmt: skip


def posts(*hours):
    return [entry(f"mr-{n}", Role.MR_POST, h) for n, h in enumerate(hours, start=2)]


PRE = entry("mr-1", Role.MR_PRE, -1.0)


def test_one_series_per_role_keeps_its_name():
    alone = [PRE, *posts(24.0), entry("pt-1", Role.PET, 30.0), entry("ct-1", Role.CT, 30.0)]
    keys, findings = point_keys(alone, StudyFile(), SETTINGS)
    assert keys == {"mr-1": "mr_pre", "mr-2": "mr_post", "pt-1": "pet", "ct-1": "ct"}
    assert findings == []


def test_a_lone_series_needs_no_date():
    bare = [
        entry("nii-1", Role.MR_PRE, None, modality="NIFTI"),
        entry("nii-2", Role.MR_POST, None, modality="NIFTI"),
        entry("nii-3", Role.PET, None, modality="NIFTI"),
    ]
    keys, findings = point_keys(bare, StudyFile(), SETTINGS)
    assert (keys, findings) == ({"nii-1": "mr_pre", "nii-2": "mr_post", "nii-3": "pet"}, [])
    named = StudyFile(primary={"mr_post": "nii-2"}, source="study.toml")
    assert point_keys(bare, named, SETTINGS) == (keys, [])


def test_the_session_nearest_to_a_day_after_the_agent_is_the_primary_one():
    agent = StudyFile(agent={"instant": START})
    keys, (said,) = point_keys([PRE, *posts(72.0, 1.0, 20.0)], agent, SETTINGS)
    # mr-2 at 72 h, mr-3 at 1 h, mr-4 at 20 h; the others are numbered in order of time.
    assert keys == {"mr-1": "mr_pre", "mr-4": "mr_post", "mr-3": "mr_post_2", "mr-2": "mr_post_3"}
    assert (said.code, said.where) == ("I_TIME_POINTS", "mr_post")
    assert "20.0 h after the agent" in said.text
    late = replace(SETTINGS, mr_post_primary_h=60.0)
    assert point_keys([PRE, *posts(72.0, 1.0, 20.0)], agent, late)[0]["mr-2"] == "mr_post"
    # Equally near: the later one.
    assert point_keys(posts(12.0, 36.0), agent, SETTINGS)[0]["mr-3"] == "mr_post"


def test_without_the_instant_of_the_dose_the_scan_before_it_counts():
    keys, (said,) = point_keys([PRE, *posts(1.0, 24.0)], StudyFile(), SETTINGS)
    assert keys["mr-3"] == "mr_post"
    assert "25.0 h after the MR before the agent" in said.text


def test_without_both_the_last_one_is_taken_and_a_warning_asks():
    keys, found = point_keys(posts(1.0, 24.0, 200.0), StudyFile(), SETTINGS)
    assert keys["mr-4"] == "mr_post"
    assert [f.code for f in found] == ["I_TIME_POINTS", "W_TIME_POINT_PRIMARY"]
    assert "[primary] mr_post" in found[1].text


def test_pet_and_its_ct_have_one_number():
    days = [
        entry("pt-1", Role.PET, 24.0, frame="a", modality="PT"),
        entry("pt-2", Role.PET, 72.0, frame="b", modality="PT"),
        entry("ct-1", Role.CT, 24.0, frame="a", modality="CT"),
        entry("ct-2", Role.CT, 72.0, frame="b", modality="CT"),
    ]
    keys, _ = point_keys(days, StudyFile(), SETTINGS)
    assert keys == {"pt-1": "pet_2", "pt-2": "pet", "ct-1": "ct_2", "ct-2": "ct"}
    first, _ = point_keys(days, StudyFile(), replace(SETTINGS, pet_primary="first"))
    assert first == {"pt-1": "pet", "pt-2": "pet_2", "ct-1": "ct", "ct-2": "ct_2"}
    assert point_faults(Role.CT, days[2:], days[:2]) == []
    strange = [days[2], replace(days[3], frame_of_reference="c")]
    assert point_faults(Role.CT, strange, days[:2])[0].code == "E_ROLE"


def test_the_study_file_wins():
    spoken = StudyFile(primary={"mr_post": "uid of mr-2"}, source="study.toml")
    keys, (said,) = point_keys([PRE, *posts(1.0, 24.0)], spoken, SETTINGS)
    assert (keys["mr-2"], keys["mr-3"]) == ("mr_post", "mr_post_2")
    assert "study.toml says so" in said.text
    for wrong in ("mr-1", "nothing"):
        with pytest.raises(ConfigError, match="does not play the role mr_post") as caught:
            point_keys([PRE, *posts(1.0, 24.0)], replace(spoken, primary={"mr_post": wrong}),
                       SETTINGS)  # fmt: skip
        assert caught.value.code == "E_ROLE"


@pytest.mark.parametrize(
    ("role", "entries", "words"),
    [
        (Role.MR_PRE, [PRE, replace(PRE, key="mr-9")], "2 series would play the role mr_pre: "),
        (Role.MR_POST, posts(1.0, None), "not every one has a date"),
        (Role.MR_POST, posts(1.0, 1.0), "at one instant"),
        (
            Role.PET,
            [posts(1.0)[0], replace(posts(2.0)[0], instant=START.replace(tzinfo=UTC))],
            "offset from UTC",
        ),
    ],
)
def test_what_cannot_be_ordered_is_refused(role, entries, words):
    (fault,) = point_faults(role, entries)
    assert fault.code == "E_ROLE"
    assert words in fault.message
    assert point_faults(role, entries[:1]) == []


def test_an_instant_of_the_study_file():
    pet = entry("pt-1", Role.PET, 1.0, modality="PT")
    bare = entry("nifti-1", Role.MR_POST, None, modality="NIFTI")
    at = START + timedelta(hours=72)
    spoken = StudyFile(instants={"nifti-1": at}, source="study.toml")
    assert [e.instant for e in dated([PRE, bare, pet], spoken)] == [PRE.instant, at, pet.instant]
    assert dated([PRE], StudyFile()) == (PRE,)
    for key in ("pt-1", "nothing"):
        with pytest.raises(ConfigError, match=r"instants\."):
            dated([PRE, bare, pet], replace(spoken, instants={key: at}))


def pet_series(key, hours, *, dose=74e6, injected=START, nuclide="89Zr"):
    grid = Grid((1, 2, 2), np.eye(4), key)
    missing = Known(None)
    facts = PETAcquisition(
        Injection(Known(injected), Known(dose), Known(nuclide), Known(282276.0)),
        missing, missing, missing, "BQML", "START", None, "", hours_after_injection=hours,
    )  # fmt: skip
    return Series(key, Role.PET, Volume(np.zeros(grid.shape), grid, quantity("activity")), facts)


def test_time_points_are_of_one_injection():
    early, late = pet_series("pet_2", 24.0), pet_series("pet", 72.0)
    check_pet_points([early, late])
    check_pet_points([early])
    check_pet_points([early, pet_series("pet", 72.0, dose=74.5e6)])  # rounded in one header
    for other, words in (
        (pet_series("pet", 72.0, dose=80e6), "dose 74 MBq and 80 MBq"),
        (pet_series("pet", 72.0, nuclide="64Cu"), "nuclide 89Zr and 64Cu"),
        (pet_series("pet", 72.0, injected=START + timedelta(days=7)), "injected at"),
        (pet_series("pet", 72.0, injected=START.replace(tzinfo=UTC)), "injected at"),
        (pet_series("pet", 20.0), "24.00 h and then 20.00 h"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            check_pet_points([early, other])
        assert caught.value.code == "E_PET_POINTS"


def test_another_session_takes_the_place_of_a_primary_that_was_left_out():
    read = [pet_series("pet_2", 24.0), pet_series("pet_3", 72.0)]
    named, (said,) = with_primaries(read)
    assert [s.key for s in named] == ["pet_2", "pet"]
    assert (said.code, said.where) == ("W_TIME_POINT_PRIMARY", "pet")
    assert with_primaries(named) == (named, [])
