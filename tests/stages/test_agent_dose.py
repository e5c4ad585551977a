"""Expected times between instants are counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eprimg.model.study import Role, Study, Timepoint
from eprimg.stages.agent_dose import (
    agent_facts,
    agent_findings,
    agent_objections,
    hours_after_agent,
    session_instant,
)
from eprimg.stages.objections import study_objections
from eprimg.stages.quantify import quantify

PRE = datetime(2024, 3, 5, 9, 0)
POST = PRE + timedelta(hours=26)


def study_of(scene, *, pre=PRE, post=POST, phase="pre", **agent):
    before = scene.mr_series(Role.MR_PRE, "pre")
    before = replace(before, acquisition=replace(before.acquisition, agent_phase=phase))
    after = scene.mr_series(Role.MR_POST, "post", column=1)
    points = (Timepoint("before", pre, (before,)), Timepoint("after", post, (after,)))
    return Study("c", points, overrides={f"agent.{k}": v for k, v in agent.items()})


def codes(study):
    return [f.code for f in agent_findings(study)]


def against(study):
    return {q for o in agent_objections(study) for q in o.quantities}


def test_a_study_without_a_word_about_doses(scene):
    study = study_of(scene)
    assert agent_findings(study) == ()
    assert agent_objections(study) == ()
    assert math.isnan(agent_facts(study).dose_mg_fe)
    assert math.isnan(hours_after_agent(study))


def test_a_dose_between_the_scans_is_in_order(scene):
    study = study_of(scene, instant=PRE + timedelta(hours=2), dose_mg_fe=510)
    assert agent_findings(study) == ()
    assert hours_after_agent(study) == pytest.approx(24.0)
    assert agent_facts(study).dose_mg_fe == 510.0
    assert session_instant(study, Role.MR_POST) == POST
    assert session_instant(study, Role.PET) is None


def test_a_baseline_after_an_earlier_dose(scene):
    study = study_of(scene, earlier_instant=PRE - timedelta(days=30))
    (finding,) = agent_findings(study)
    assert finding.code == "W_REBASELINE"
    assert finding.where == "mr_pre"
    assert "30 days after an earlier dose" in finding.text
    # R2* after the agent holds iron of both doses; the change is that since the new baseline
    assert against(study) == {"r2star", "rr2star90"}


def test_a_dose_long_ago_is_said_and_speaks_against_nothing(scene):
    study = study_of(scene, earlier_instant=PRE - timedelta(days=400))
    assert codes(study) == ["W_REBASELINE"]
    assert agent_objections(study) == ()


def test_a_baseline_after_the_dose_itself_is_none(scene):
    study = study_of(scene, instant=PRE - timedelta(hours=1.5))
    (finding,) = agent_findings(study)
    assert finding.code == "W_REBASELINE"
    assert "1.5 h after its dose" in finding.text
    assert against(study) == {"dr2star"}
    assert "W_REBASELINE" in {o.code for o in study_objections(study, None)[0]}


def test_a_series_marked_as_after_the_agent_is_no_baseline(scene):
    study = study_of(scene, phase="post")
    assert codes(study) == ["W_REBASELINE"]
    assert against(study) == {"dr2star"}


def test_a_series_after_the_agent_before_its_dose(scene):
    study = study_of(scene, instant=POST + timedelta(hours=3))
    (finding,) = agent_findings(study)
    assert finding.code == "W_AGENT_DOSE"
    assert "3.0 h before the dose" in finding.text
    assert against(study) == {"dr2star", "r2star", "rr2star90"}


@pytest.mark.parametrize(
    ("scans", "agent", "words"),
    [
        ({"pre": None}, {"earlier_instant": PRE}, "its date is not known"),
        ({}, {"instant": POST.replace(tzinfo=UTC)}, "states its offset"),
        ({}, {"instant": PRE + timedelta(hours=1), "earlier_instant": POST}, "does not lie before"),
    ],
)
def test_instants_that_cannot_be_compared_or_contradict(scene, scans, agent, words):
    found = agent_findings(study_of(scene, **scans, **agent))
    assert {f.code for f in found} == {"W_AGENT_DOSE"}
    assert any(words in f.text for f in found)


def test_quantify_passes_them_on(scene):
    study = study_of(scene, earlier_instant=PRE - timedelta(days=3))
    result = quantify(study, (scene.registration("mr_post"),), scene.config)
    assert "W_REBASELINE" in [f.code for f in result.findings]
