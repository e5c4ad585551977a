from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.study import Role
from eprimg.report.decay_figure import decay_picture, lesion_decays


def test_the_points_are_the_medians_of_the_painted_signal(case: Case) -> None:
    before, after = lesion_decays(case, 1)
    assert before.role == Role.MR_PRE
    times = before.echo_times_s
    # Painted in conftest: S0 1000 (times 1.1 after the agent), R2* 30 and 150 1/s, noise 8.
    np.testing.assert_allclose(before.median, 1000 * np.exp(-30 * times), rtol=0.02)
    np.testing.assert_allclose(after.median, 1100 * np.exp(-150 * times), rtol=0.03)
    assert before.r2star_per_s == pytest.approx(30, abs=1)
    assert after.s0 == pytest.approx(1100, rel=0.01)
    assert (before.low <= before.median).all()
    assert (before.median <= before.high).all()


def test_labels_that_do_not_reach_a_grid_leave_that_session_out(case: Case) -> None:
    assert [d.role for d in lesion_decays(replace(case, native_lesions={}), 1)] == [Role.MR_PRE]
    assert lesion_decays(case, 77) == ()
    assert lesion_decays(replace(case, lesions=None, native_lesions={}), 1) == ()


def test_without_maps_the_points_stand_alone(case: Case) -> None:
    decays = lesion_decays(replace(case, maps={}), 1)
    assert np.isnan(decays[0].r2star_per_s)
    picture = decay_picture(decays, name="lesion-1")
    assert picture is not None
    assert "lesion-1" in picture.alt


def test_the_picture_says_both_rates(case: Case) -> None:
    picture = decay_picture(lesion_decays(case, 1), name="lesion-1")
    assert picture is not None
    assert "before agent" in picture.alt
    assert "after agent" in picture.alt
    assert decay_picture((), name="x") is None


def test_echoes_that_the_fit_left_out_are_hollow_and_told(case: Case) -> None:
    maps = dict(case.maps)
    made = maps["r2star_pre"]
    times = list(lesion_decays(case, 1)[0].echo_times_s)
    counts = np.full(made.grid.shape, len(times) - 2, np.uint8)
    maps["r2star_pre"] = replace(
        made, facts={**made.facts, "echo_times_s": times}, details={"n_echoes": counts}
    )
    before, after = lesion_decays(replace(case, maps=maps), 1)
    assert before.used == tuple(range(len(times) - 2))
    assert after.used == tuple(range(len(after.echo_times_s)))
    picture = decay_picture((before, after), name="lesion-1")
    assert f"before agent {len(times)} echoes ({len(times) - 2} in the fit)" in picture.alt
