"""ΔR2* of the tiny study: lesion 100, blood 30, liver 260 1/s."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from eprimg.model.study import Role, Study, Timepoint
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify

GIVEN = datetime(2024, 3, 5, 10, 0)


def run(scene, *, hours=1.0, given=GIVEN, names=None, asked=True, noise=0.0):
    series = (
        scene.mr_series(Role.MR_PRE, "pre", noise=noise),
        scene.mr_series(Role.MR_POST, "post", column=1, noise=noise),
    )
    points = tuple(
        Timepoint(s.key, GIVEN + timedelta(hours=h), (s,))
        for s, h in zip(series, (-2.0, hours), strict=True)
    )
    study = Study("c", points, overrides={} if given is None else {"agent.instant": given})
    moved = (scene.registration("mr_post"),)
    config = scene.config.with_settings({"measure": {"blood_fraction": asked}})
    made = quantify(study, moved, config).value
    regions = scene.region_set(names=names or tuple(scene.ids))
    lesions = measure(study, moved, made.maps, made.registered, regions, config).value.lesions
    return {r.name: r for r in lesions.regions}


def fraction(regions, name):
    return regions[name].measurement("blood_fraction", "ratio", "mr_post-mr_pre")


def test_it_is_not_measured_unless_asked_for(scene):
    assert fraction(run(scene, asked=False), "lesion") is None


def test_change_over_change_of_blood(scene):
    regions = run(scene)
    # more than 1: the painted changes are those of a day later, when cells hold the agent
    assert fraction(regions, "lesion").value == pytest.approx(100.0 / 30.0, rel=1e-3)
    assert fraction(regions, "muscle").value == pytest.approx(6.0 / 30.0, rel=1e-3)
    assert "taken for granted" in fraction(regions, "muscle").note
    assert fraction(regions, "blood") is None


def test_errors_of_both_changes_in_quadrature(scene):
    regions = run(scene, noise=5.0)
    found = fraction(regions, "muscle")
    muscle, blood = (
        regions[n].measurement("dr2star", "mean", "mr_post-mr_pre") for n in ("muscle", "blood")
    )
    assert found.uncertainty == pytest.approx(
        abs(found.value)
        * math.hypot(muscle.uncertainty / muscle.value, blood.uncertainty / blood.value),
        rel=1e-6,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hours": 24.0}, "24.0 h after the dose, later than 4 h"),
        ({"given": None}, "not known (agent.instant)"),
        ({"hours": -1.0}, "before the dose"),
        ({"names": ("lesion", "liver")}, "no blood region"),
    ],
)
def test_where_it_would_be_no_blood_volume_it_is_missing_with_a_reason(scene, options, words):
    found = fraction(run(scene, **options), "lesion")
    assert math.isnan(found.value)
    assert math.isnan(found.uncertainty)
    assert words in found.note
