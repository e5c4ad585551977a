"""Permeability and retention of MR sessions: every expected number is worked out from the paint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.stages.measure_over_time import measure_over_time
from tests.stages.test_time_points import AGENT, measured, moved, study  # noqa: F401

# Change of R2* in 1/s after 1, 24 and 72 h: as painted after the agent less as painted before.
LESION = (60.0 - 30.0, 130.0 - 30.0, 90.0 - 30.0)
BLOOD = (120.0 - 20.0, 50.0 - 20.0, 25.0 - 20.0)


def row(region, quantity, source):
    return next(m for m in region.measurements if (m.quantity, m.source) == (quantity, source))


def test_permeability_and_retention_are_those_of_the_paint(scene, study):  # noqa: F811
    _, regions = measured(scene, study, moved(scene, study))
    lesion = regions["lesion"]
    (t1, t24, t72), (b1, b24, b72) = LESION, BLOOD
    for source, tissue, blood in (("mr_post", t24, b24), ("mr_post_3", t72, b72)):
        outside = row(lesion, "dr2star_extravascular", f"{source}/mr_post_2")
        assert outside.value == pytest.approx(tissue - t1 * blood / b1, rel=1e-3)
        kept = row(lesion, "dr2star_retention", f"{source}/mr_post_2")
        assert kept.value == pytest.approx(tissue / t1 - blood / b1, rel=1e-3)
        assert kept.uncertainty >= 0.0
        assert "of the mean ΔR2*" in kept.uncertainty_note
    rise = row(lesion, "dr2star_permeability", "mr_post/mr_post_2")
    # Per hour over the 23 h between the first two sessions.
    assert rise.value == pytest.approx((t24 - t1 * b24 / b1) / 23.0, rel=1e-3)
    assert rise.note.startswith("1.0 h and 24.0 h after the agent")
    assert not any(m.quantity == "dr2star_permeability" and "post_3" in m.source
                   for m in lesion.measurements)  # fmt: skip
    # Blood is what the others are compared with.
    assert not any(m.quantity.startswith("dr2star_") for m in regions["blood"].measurements)


def test_an_early_second_session_gives_no_retention(scene, study):  # noqa: F811
    config = scene.config.with_assignments(["time_points.late_h=48"])
    _, regions = measured(replace(scene, config=config), study, moved(scene, study))
    found = [m.source for m in regions["lesion"].measurements if m.quantity == "dr2star_retention"]
    assert found == ["mr_post_3/mr_post_2"]


def test_without_blood_the_rows_say_why(scene, study):  # noqa: F811
    _, regions = measured(scene, study, moved(scene, study))
    numbers = {1: [m for m in regions["lesion"].measurements if m.quantity == "dr2star"]}
    bare = scene.region_set(names=("lesion",))
    measure_over_time(numbers, {}, bare, study, scene.config)
    found = row(replace(regions["lesion"], measurements=tuple(numbers[1])),
                "dr2star_retention", "mr_post/mr_post_2")  # fmt: skip
    assert found.value != found.value
    assert "there is no blood region" in found.note
    assert found.uncertainty_note.startswith("none")


def test_sessions_without_a_date_are_not_compared(scene, study):  # noqa: F811
    undated = replace(study, timepoints=tuple(replace(t, instant=None) for t in study.timepoints))
    _, regions = measured(scene, undated, moved(scene, study))
    assert not any(m.quantity.startswith("dr2star_") for m in regions["lesion"].measurements)
    assert AGENT  # the dose is known, the sessions are not
