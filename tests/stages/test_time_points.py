"""Several sessions in one role: names, views, and that a session measures as it does alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import Measurement
from eprimg.model.study import Role, Study, Timepoint
from eprimg.model.volume import EchoStack, Volume
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.time_points import (
    measured_series,
    pet_points,
    phase_of,
    post_points,
    primary_first,
    registered_keys,
    suffix_of,
)

AGENT = datetime(2024, 3, 4, 9, 0)
# R2* after the agent in 1/s, and hours after it; before the agent as in conftest.
POSTS = {
    "mr_post_2": (1.0, {"lesion": 60.0, "blood": 120.0, "spleen": 200.0}),
    "mr_post": (24.0, {"lesion": 130.0, "blood": 50.0, "spleen": 500.0}),
    "mr_post_3": (72.0, {"lesion": 90.0, "blood": 25.0, "spleen": 400.0}),
}
PETS = {"pet_2": (24.0, 9000.0), "pet": (72.0, 12000.0)}


def painted(scene, column, changes):
    values = scene.paint(column)
    for name, value in changes.items():
        values[scene.boxes[name]] = value
    return values


def post(scene, key):
    base = scene.mr_series(Role.MR_POST, key)
    rate = painted(scene, 1, POSTS[key][1])
    signal = 1000.0 * np.exp(-rate[..., None] * np.asarray(scene.echo_times_s))
    volume = Volume(signal.astype(np.float32), base.grid, base.pixels.volume.quantity)
    return replace(base, key=key, pixels=EchoStack(volume, scene.echo_times_s))


def pet(scene, key):
    hours, activity = PETS[key]
    facts = scene.pet_acquisition(
        hours_after_injection=hours, reference_instant=scene.injected + timedelta(hours=hours)
    )
    values = painted(scene, 2, {"lesion": activity})
    return replace(scene.pet_series(key, facts, values), key=key)


def dated(scene, *series):
    points = []
    for s in series:
        hours = POSTS[s.key][0] if s.key in POSTS else -2.0
        start = AGENT if s.role != Role.PET else scene.injected
        hours = s.acquisition.hours_after_injection if s.role == Role.PET else hours
        points.append(Timepoint(s.key, start + timedelta(hours=hours), (s,)))
    return Study("case-1", tuple(points), overrides={"agent.instant": AGENT})


@pytest.fixture
def study(scene):
    pre = scene.mr_series(Role.MR_PRE, "pre")
    posts = [post(scene, k) for k in POSTS]
    return dated(scene, pre, *posts, *(pet(scene, k) for k in PETS))


def moved(scene, study):
    keys = [s.key for s in study.series if s.key != "mr_pre"]
    return tuple(scene.registration(k, frame=k) for k in keys)


def measured(scene, study, registrations):
    made = quantify(study, registrations, scene.config)
    regions = scene.region_set()
    result = measure(
        study, registrations, made.value.maps, made.value.registered, regions, scene.config
    )
    return made, {r.name: r for r in result.value.lesions.regions}


def test_names_go_with_the_keys(study):
    assert [s.key for s in study.find_all(Role.MR_POST)] == list(POSTS)  # in order of time
    assert study.find(Role.MR_POST).key == "mr_post"
    assert [s.key for s in primary_first(study, Role.MR_POST)] == [
        "mr_post",
        "mr_post_2",
        "mr_post_3",
    ]
    assert [phase_of(s) for s in measured_series(study)[:4]] == ["pre", "post", "post_2", "post_3"]
    assert [suffix_of(s) for s in primary_first(study, Role.PET)] == ["", "_2"]
    assert registered_keys(study) == (
        *("r2star_pre", "r2star_post", "r2star_post_2", "r2star_post_3"),
        *("suvbw", "pid_per_kg", "suvbw_2", "pid_per_kg_2"),
    )
    assert study.hours_after_dose(study.find(Role.MR_POST)) == 24.0
    assert study.hours_after_dose(study.find_all(Role.PET)[0]) == 24.0
    undated = Study("x", study.timepoints)
    assert undated.hours_after_dose(study.find(Role.MR_POST)) is None


def test_a_session_is_seen_as_the_only_one(study):
    second = next(p for p in post_points(study) if p.key == "mr_post_2")
    assert [s.key for s in second.study.series] == ["mr_pre", "mr_post", "pet_2", "pet"]
    assert second.study.find(Role.MR_POST).pixels is second.series.pixels
    assert [p.key for p in pet_points(study)] == ["pet", "pet_2"]
    assert post_points(Study("none", ())) == ()


def test_words_and_findings_get_the_name_of_the_session(study):
    second = next(p for p in post_points(study) if p.key == "mr_post_2")
    assert second.renamed("native mr_post and native mr_pre") == (
        "native mr_post_2 and native mr_pre"
    )
    assert second.renamed("registered") == "registered_2"
    about = [
        Finding("W_REBASELINE", Severity.WARNING, "mr_pre", "said of mr_pre"),
        Finding("W_AGENT_DOSE", Severity.WARNING, "mr_post", "said of mr_post"),
    ]
    # What is about the scan before the agent was said with the primary session.
    assert [(f.where, f.text) for f in second.renamed_findings(about)] == [
        ("mr_post_2", "said of mr_post_2")
    ]


def test_numbers_of_other_sessions_are_out_of_sight(study):
    second = pet_points(study)[1]

    def row(source):
        return Measurement("pid_per_kg", "mean", source, 1.0, 0.1, "", 5, f"native {source}")

    numbers = {1: [row("mr_pre"), row("pet"), row("pet_2"), row("pet_3")]}
    with second.as_primary(numbers, {2: (row("pet_2"),)}) as (seen, kept):
        assert [m.source for m in seen[1]] == ["mr_pre", "pet"]
        assert [m.source for m in kept[2]] == ["pet"]
        seen[1].append(replace(row("pet"), quantity="suvbw", note="as pet says"))
    last = numbers[1][-1]
    assert (last.source, last.grid, last.note) == ("pet_2", "native pet_2", "as pet_2 says")
    assert len(numbers[1]) == 5


def test_every_session_gives_the_numbers_that_it_gives_alone(scene, study):
    """The oracle is the study of one session, which knows nothing of numbered names."""
    made, regions = measured(scene, study, moved(scene, study))
    assert {"r2star_post_2", "s0_post_3", "suvbw_2", "activity_2"} <= set(made.value.maps)
    assert {"dr2star", "dr2star_2", "dr2star_3", "pid_per_kg_2"} <= set(made.value.registered)
    pre = study.find(Role.MR_PRE)
    for key, other in (("mr_post_2", "pet_2"), ("mr_post", "pet"), ("mr_post_3", "pet_2")):
        pair = [next(s for s in study.series if s.key == k) for k in (key, other)]
        alone = dated(scene, pre, *pair)
        points = [replace(t, series=tuple(replace(s, key=str(s.role)) for s in t.series))
                  for t in alone.timepoints]  # fmt: skip
        alone = replace(alone, timepoints=tuple(points))
        registrations = [scene.registration(str(s.role), frame=s.key) for s in pair]
        _, single = measured(scene, alone, registrations)
        number = key.removeprefix("mr_post")
        names = {
            **{"mr_pre": "mr_pre", "reference": "reference", "mr_post": key, "pet": other},
            **{"mr_post-mr_pre": f"{key}-mr_pre", "registered": f"registered{number}"},
        }
        for name, region in single.items():
            assert len(region.measurements) > 30
            for m in region.measurements:
                found = regions[name].measurement(m.quantity, m.statistic, names[m.source])
                assert found is not None, (name, m)
                same = (found.value, found.uncertainty, found.n_voxels)
                np.testing.assert_equal(same, (m.value, m.uncertainty, m.n_voxels))


def test_a_session_that_is_not_aligned_leaves_the_others_alone(scene, study):
    registrations = [r for r in moved(scene, study) if r.moving != "mr_post_3"]
    refused = scene.registration("mr_post_3", frame="mr_post_3", accepted=False, note="too far")
    made, regions = measured(scene, study, (*registrations, refused))
    assert "dr2star_3" not in made.value.registered
    assert {"dr2star", "dr2star_2"} <= set(made.value.registered)
    assert [f.where for f in made.findings if f.code == "W_NOT_REGISTERED"] == ["mr_post_3"]
    lesion = regions["lesion"]
    assert lesion.measurement("dr2star", "median", "mr_post_3-mr_pre") is None
    # 60 1/s after 1 h less 30 1/s before, as painted.
    found = lesion.measurement("dr2star", "median", "mr_post_2-mr_pre")
    assert found.value == pytest.approx(30.0, rel=1e-3)
