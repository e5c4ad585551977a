from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels.radioactivity import (
    decay_constant_per_s,
    decay_factor,
    decayed_dose_bq,
    frame_mean_time_s,
    reference_scale,
    require_near,
)

TRUTH = json.loads((Path(__file__).parents[1] / "truth" / "radioactivity.json").read_text())

seconds = st.floats(-1e6, 1e6)
half_lives = st.floats(60.0, 1e7)


@pytest.mark.parametrize("case", TRUTH["decay_factor"])
def test_decay_factor_equals_high_precision_value(case: dict[str, float]) -> None:
    factor = decay_factor(case["elapsed_s"], case["half_life_s"])
    assert factor == pytest.approx(case["expected"], rel=TRUTH["tolerance_relative"])


@pytest.mark.parametrize("case", TRUTH["frame_mean_time"])
def test_frame_mean_time_equals_high_precision_value(case: dict[str, float]) -> None:
    mean_time = frame_mean_time_s(case["duration_s"], case["half_life_s"])
    tolerance = case.get("tolerance_relative", TRUTH["tolerance_relative"])
    assert mean_time == pytest.approx(case["expected_s"], rel=tolerance)


def test_decay_constant_halves_in_one_half_life() -> None:
    assert math.exp(-decay_constant_per_s(6586.2) * 6586.2) == pytest.approx(0.5, rel=1e-15)


@given(seconds, seconds, half_lives)
def test_decay_factors_multiply(a: float, b: float, half_life: float) -> None:
    exponent = (abs(a) + abs(b)) / half_life
    if exponent < 500.0:
        product = decay_factor(a, half_life) * decay_factor(b, half_life)
        expected = decay_factor(a + b, half_life)
        assert product == pytest.approx(expected, rel=1e-15 * (10.0 + exponent))


@given(st.floats(0.0, 1e5), half_lives)
def test_activity_at_the_mean_time_is_the_mean_activity(duration: float, half_life: float) -> None:
    x = math.log(2.0) / half_life * duration
    mean_time = frame_mean_time_s(duration, half_life)
    assert 0.0 <= mean_time <= 0.5 * duration
    if 0.0 < x < 600.0:
        mean_activity = -math.expm1(-x) / x
        assert decay_factor(mean_time, half_life) == pytest.approx(mean_activity, rel=1e-12)


def test_series_and_closed_form_meet() -> None:
    half_life = 1000.0
    limit = 0.05 / decay_constant_per_s(half_life)
    below = frame_mean_time_s(limit * (1.0 - 1e-12), half_life)
    above = frame_mean_time_s(limit * (1.0 + 1e-12), half_life)
    assert above == pytest.approx(below, rel=1e-11)


def test_arrays_keep_shape_and_dtype() -> None:
    elapsed = np.asarray([[0.0, 6586.2], [13172.4, -6586.2]])
    expected = [[1.0, 0.5], [0.25, 2.0]]
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        factor = decay_factor(elapsed.astype(dtype), 6586.2)
        assert factor.dtype == dtype
        np.testing.assert_allclose(factor, expected, rtol=tolerance)


def test_dose_decays_forwards_and_backwards() -> None:
    assert decayed_dose_bq(37e6, 282276.0, 282276.0) == pytest.approx(18.5e6)
    assert decayed_dose_bq(37e6, -282276.0, 282276.0) == pytest.approx(74e6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: decay_constant_per_s(0.0),
        lambda: decay_constant_per_s(math.nan),
        lambda: decay_factor(math.inf, 6586.2),
        lambda: decay_factor(np.asarray([0.0, np.nan]), 6586.2),
        lambda: frame_mean_time_s(-1.0, 6586.2),
        lambda: decayed_dose_bq(0.0, 1.0, 6586.2),
        lambda: decayed_dose_bq(1e6, math.nan, 6586.2),
        lambda: require_near(1000.1 * 60.0, 60.0),
        lambda: require_near(-1000.1 * 60.0, 60.0),
        lambda: require_near(math.nan, 60.0),
        lambda: require_near(1.0, 0.0),
    ],
)
def test_bad_arguments_are_refused(call: object) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == "E_ARGUMENT"


def test_a_thousand_half_lives_are_near_and_the_argument_is_named() -> None:
    require_near(60_000.0, 60.0)  # 2^1000 = 1.07e301 is a number
    with pytest.raises(InputError) as caught:
        require_near(1e9, 60.0, where="scan_gap_s")
    assert caught.value.where == "scan_gap_s"


def test_start_decays_the_dose_and_leaves_the_activity() -> None:
    # by hand: two half-lives leave a quarter; half a half-life before is 2^(1/2) = 1.41421356237
    late = reference_scale("START", dose_bq=40e6, half_life_s=6586.2, elapsed_s=13172.4)
    assert late.dose_at_reference_bq == pytest.approx(10e6, rel=1e-14)
    assert late.slice_factors == ()
    early = reference_scale("START", dose_bq=40e6, half_life_s=6586.2, elapsed_s=-3293.1)
    assert early.dose_at_reference_bq == pytest.approx(40e6 * 1.4142135623730951, rel=1e-14)


@pytest.mark.parametrize("case", TRUTH["decay_factor"])
def test_start_equals_high_precision_value(case: dict[str, float]) -> None:
    scale = reference_scale(
        "START", dose_bq=37e6, half_life_s=case["half_life_s"], elapsed_s=case["elapsed_s"]
    )
    assert scale.dose_at_reference_bq / 37e6 == pytest.approx(
        case["expected"], rel=TRUTH["tolerance_relative"]
    )


def test_admin_leaves_both_and_looks_at_no_clock() -> None:
    scale = reference_scale("ADMIN", dose_bq=37e6, half_life_s=math.nan, elapsed_s=math.nan)
    assert scale == (37e6, ())


def test_none_brings_every_slice_to_the_injection() -> None:
    # by hand, half-life 1000 s: a frame as long as one half-life has the mean 0.5 / ln 2 of its
    # start, so its factor at the injection is 2 ln 2 = 1.3862943611198906; a frame that starts n
    # half-lives later has 2^n times that.  The elapsed time to the common start counts in full.
    frames = ((0.0, 1000.0), (1000.0, 1000.0), (2000.0, 1000.0))
    scale = reference_scale(
        "NONE", dose_bq=37e6, half_life_s=1000.0, elapsed_s=0.0, frame_times_s=frames
    )
    assert scale.dose_at_reference_bq == 37e6
    hand = 1.3862943611198906
    assert scale.slice_factors == pytest.approx((hand, 2 * hand, 4 * hand), rel=1e-14)
    later = reference_scale(
        "NONE", dose_bq=37e6, half_life_s=1000.0, elapsed_s=3000.0, frame_times_s=frames
    )
    assert later.slice_factors == pytest.approx((8 * hand, 16 * hand, 32 * hand), rel=1e-14)


def test_none_equals_the_integral_over_the_frame() -> None:
    # independent: mean of 2^(-t/T) over a 20 min frame 72 h after an 89Zr injection, midpoint rule
    start, length, half_life = 72.0 * 3600.0, 1200.0, 282276.0
    middles = start + length * (np.arange(10_000) + 0.5) / 10_000
    mean = float(np.mean(2.0 ** (-middles / half_life)))
    scale = reference_scale(
        "NONE",
        dose_bq=37e6,
        half_life_s=half_life,
        elapsed_s=0.0,
        frame_times_s=((start, length),),
    )
    assert scale.slice_factors[0] * mean == pytest.approx(1.0, rel=1e-11)


@given(st.floats(0.0, 6.0), st.floats(60.0, 1e7))
def test_start_and_none_agree_on_a_short_frame(half_lives: float, half_life: float) -> None:
    # uptake = activity x factor / dose: the same voxel told in two ways is the same uptake
    elapsed = half_lives * half_life
    start = reference_scale("START", dose_bq=37e6, half_life_s=half_life, elapsed_s=elapsed)
    none = reference_scale(
        "NONE",
        dose_bq=37e6,
        half_life_s=half_life,
        elapsed_s=elapsed,
        frame_times_s=((0.0, 1e-9 * half_life),),
    )
    assert none.slice_factors[0] / 37e6 == pytest.approx(1.0 / start.dose_at_reference_bq, rel=1e-8)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("", {}),
        ("start", {}),
        ("START", {"dose_bq": 0.0}),
        ("ADMIN", {"dose_bq": math.nan}),
        ("START", {"half_life_s": 0.0}),
        ("START", {"elapsed_s": math.nan}),
        ("START", {"elapsed_s": 1.001e6}),
        ("START", {"elapsed_s": -1.001e6}),
        ("NONE", {"frame_times_s": ()}),
        ("NONE", {"frame_times_s": ((0.0, 0.0),)}),
        ("NONE", {"frame_times_s": ((0.0, 60.0), (0.0, math.nan))}),
        ("NONE", {"frame_times_s": ((math.inf, 60.0),)}),
        ("NONE", {"elapsed_s": 1.001e6}),
        ("NONE", {"dose_bq": -1.0}),
    ],
)
def test_a_scale_from_bad_numbers_is_refused(kind: str, change: dict[str, object]) -> None:
    good = {
        "dose_bq": 37e6,
        "half_life_s": 1000.0,
        "elapsed_s": 60.0,
        "frame_times_s": ((0.0, 60.0),),
    }
    with pytest.raises(InputError) as caught:
        reference_scale(kind, **{**good, **change})  # type: ignore[arg-type]
    assert caught.value.code == "E_ARGUMENT"
