"""Expected numbers are closed forms derived in the tests, or come from scipy's own routines."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import curve_fit

from eprimg.errors import InputError
from eprimg.kernels import kinetic_input as kernel
from eprimg.kernels.kinetics import confidence_limits

Array = NDArray[np.float64]

HOUR = 3600.0
TIMES = np.array([0.25, 1.0, 2.0, 4.0, 24.0, 48.0, 72.0]) * HOUR
COPPER_64_S = 12.7004 * HOUR  # DDEP half-life
RATE = math.log(2.0) / (30.0 * HOUR)
BI = (30.0, math.log(2.0) / (1.5 * HOUR), 70.0, RATE)
SCANS = np.array([1.0, 24.0, 72.0]) * HOUR


def mono(t: Array, a: float, k: float) -> Array:
    return np.asarray(a * np.exp(-k * t))


def bi(t: Array, a1: float, k1: float, a2: float, k2: float) -> Array:
    return mono(t, a1, k1) + mono(t, a2, k2)


def mono_integral(t: Array, a: float, k: float) -> Array:
    return np.asarray(a / k * (1.0 - np.exp(-k * t)))


def bi_integral(t: Array) -> Array:
    return mono_integral(t, *BI[:2]) + mono_integral(t, *BI[2:])


# -- decay ----------------------------------------------------------------------------------------


def test_decay_is_taken_out_and_put_back() -> None:
    # One, two and three half-lives leave 1/2, 1/4, 1/8.
    times = COPPER_64_S * np.array([0.0, 1.0, 2.0, 3.0])
    curves = np.array([[8.0, 8.0, 8.0, 8.0], [1.0, 2.0, 3.0, -4.0]])
    found = kernel.physical_activity(curves, times, half_life_s=COPPER_64_S)
    np.testing.assert_allclose(found[0], [8.0, 4.0, 2.0, 1.0], rtol=1e-12)
    back = kernel.decay_corrected_to_injection(found, times, half_life_s=COPPER_64_S)
    np.testing.assert_allclose(back, curves, rtol=1e-12)


# -- exponentials ---------------------------------------------------------------------------------


def test_one_exponential_is_found_exactly() -> None:
    function = kernel.fit_input_function(TIMES, mono(TIMES, 80.0, RATE))
    np.testing.assert_allclose(function.parameters, [80.0, RATE], rtol=1e-9)
    asked = np.array([0.0, 3.0, 36.0, 80.0]) * HOUR
    values = kernel.evaluate_input_function(function, asked)
    np.testing.assert_allclose(values.activity, mono(asked, 80.0, RATE), rtol=1e-9)
    np.testing.assert_allclose(values.integral_s, mono_integral(asked, 80.0, RATE), rtol=1e-9)
    first, last = mono_integral(TIMES[[0, -1]], 80.0, RATE)
    total = mono_integral(asked, 80.0, RATE)
    np.testing.assert_allclose(values.share_before_first[1:], first / total[1:], rtol=1e-9)
    np.testing.assert_allclose(values.share_after_last[1:], [0, 0, 1 - last / total[3]], atol=1e-9)
    assert np.isnan(values.share_before_first[0])


def test_two_exponentials_are_found_exactly_with_the_fast_one_first() -> None:
    function = kernel.fit_input_function(TIMES, bi(TIMES, *BI), model="biexponential")
    np.testing.assert_allclose(function.parameters, BI, rtol=1e-6)
    values = kernel.evaluate_input_function(function, SCANS)
    np.testing.assert_allclose(values.integral_s, bi_integral(SCANS), rtol=1e-7)
    for k, end in enumerate(SCANS):
        area = quad(lambda t: float(bi(np.asarray(t), *BI)), 0.0, end, epsrel=1e-10, limit=200)[0]
        assert values.integral_s[k] == pytest.approx(area, rel=1e-7)


@pytest.mark.parametrize("model", ["monoexponential", "biexponential"])
@pytest.mark.parametrize("with_sd", [True, False])
def test_parameters_and_covariance_are_those_of_curve_fit(model: str, with_sd: bool) -> None:
    rng = np.random.default_rng(3)
    curve, start = (mono, (80.0, RATE)) if model == "monoexponential" else (bi, BI)
    exact = curve(TIMES, *start)
    samples = exact * (1.0 + 0.02 * rng.standard_normal(TIMES.size))
    sd = 0.02 * exact if with_sd else None
    function = kernel.fit_input_function(TIMES, samples, sd=sd, model=model)  # type: ignore[arg-type]
    # In hours, where the finite differences of curve_fit are small against the rates.
    to_hours = np.where(np.arange(len(start)) % 2 == 0, 1.0, HOUR)
    expected, covariance = curve_fit(
        curve, TIMES / HOUR, samples, start * to_hours, sigma=sd, absolute_sigma=with_sd,
        method="trf", jac="3-point", ftol=1e-14, xtol=1e-14, gtol=1e-14,
    )  # fmt: skip
    expected, covariance = expected / to_hours, covariance / np.outer(to_hours, to_hours)
    np.testing.assert_allclose(function.parameters, expected, rtol=1e-5)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(function.covariance / scale, covariance / scale, atol=1e-5)
    spare = TIMES.size - len(start)
    assert function.degrees_of_freedom == (math.inf if with_sd else spare)
    if sd is not None:
        rest = (samples - curve(TIMES, *expected)) / sd
        assert function.chi_square_per_dof == pytest.approx(rest @ rest / spare, rel=1e-6)
    else:
        assert np.isnan(function.chi_square_per_dof)


def test_two_samples_with_errors_give_the_line_through_both() -> None:
    # ln C is a straight line: k = ln(C1/C2)/(t2-t1), var k = ((s1/C1)^2 + (s2/C2)^2)/(t2-t1)^2.
    times, samples, sd = np.array([1.0, 49.0]) * HOUR, np.array([60.0, 20.0]), np.array([3.0, 2.0])
    function = kernel.fit_input_function(times, samples, sd=sd)
    rate = math.log(3.0) / (48.0 * HOUR)
    assert function.parameters[1] == pytest.approx(rate, rel=1e-9)
    rate_sd = math.hypot(3.0 / 60.0, 2.0 / 20.0) / (48.0 * HOUR)
    assert math.sqrt(function.covariance[1, 1]) == pytest.approx(rate_sd, rel=1e-6)
    assert np.isnan(function.chi_square_per_dof)


# -- trapezoid ------------------------------------------------------------------------------------


def test_trapezoid_is_numpys_between_samples_and_exponential_behind() -> None:
    samples = np.array([90.0, 85.0, 80.0, 70.0, 40.0, 22.0, 13.0])
    function = kernel.fit_input_function(TIMES, samples, model="trapezoid", n_tail=3)
    values = kernel.evaluate_input_function(function, [*TIMES, 36.0 * HOUR, 84.0 * HOUR])
    nodes, heights = np.append(0.0, TIMES), np.append(samples[0], samples)
    areas = [np.trapezoid(heights[: k + 2], nodes[: k + 2]) for k in range(TIMES.size)]
    np.testing.assert_allclose(values.integral_s[:7], areas, rtol=1e-12)
    np.testing.assert_allclose(values.activity[:7], samples, rtol=1e-12)
    assert values.activity[7] == pytest.approx(31.0)  # halfway between 40 and 22
    between = areas[4] + 12.0 * HOUR * (40.0 + 31.0) / 2.0
    assert values.integral_s[7] == pytest.approx(between, rel=1e-12)
    rate = -np.polyfit(TIMES[-3:], np.log(samples[-3:]), 1)[0]
    fall = math.exp(-rate * 12.0 * HOUR)
    assert values.activity[8] == pytest.approx(13.0 * fall, rel=1e-10)
    assert values.integral_s[8] == pytest.approx(areas[-1] + 13.0 / rate * (1 - fall), rel=1e-10)
    assert np.isnan(values.activity_se).all()
    assert function.degrees_of_freedom == 0.0


def test_loglinear_start_follows_an_exponential_back() -> None:
    samples = mono(TIMES, 80.0, 1.0e-4)
    kinds = [
        kernel.fit_input_function(TIMES, samples, model="trapezoid", initial=initial)
        for initial in ("constant", "loglinear")
    ]
    start = [float(kernel.evaluate_input_function(kind, [0.0]).activity[0]) for kind in kinds]
    assert start == pytest.approx([samples[0], 80.0], rel=1e-12)


@pytest.mark.parametrize(("half_lives", "documented"), [(0.7, 1.02), (2.0, 1.16), (4.0, 1.57)])
def test_straight_lines_above_a_falling_curve_are_too_high(
    half_lives: float, documented: float
) -> None:
    # For C = exp(-k t) and equal steps h every trapezoid is (x/2) coth(x/2) of its true area.
    step = half_lives * 30.0 * HOUR
    times = step * np.arange(5.0)
    function = kernel.fit_input_function(times, mono(times, 1.0, RATE), model="trapezoid")
    area = float(kernel.evaluate_input_function(function, times[-1:]).integral_s[0])
    x = RATE * step
    expected = 0.5 * x / math.tanh(0.5 * x)
    assert area / mono_integral(times[-1], 1.0, RATE) == pytest.approx(expected, rel=1e-10)
    assert expected == pytest.approx(documented, abs=0.006)


def test_error_of_the_trapezoid_is_that_of_a_weighted_sum() -> None:
    # Up to the last sample the integral is sum(w C), so its variance is sum(w^2 sd^2).
    samples, sd = np.array([50.0, 40.0, 10.0]), np.array([5.0, 2.0, 1.0])
    times = np.array([2.0, 10.0, 30.0])
    function = kernel.fit_input_function(times, samples, sd=sd, model="trapezoid")
    values = kernel.evaluate_input_function(function, [30.0, 20.0])
    weights = np.array([2.0 + 4.0, 4.0 + 10.0, 10.0])
    assert values.integral_s[0] == pytest.approx(weights @ samples)
    assert values.integral_se_s[0] == pytest.approx(np.linalg.norm(weights * sd), rel=1e-12)
    # At 20 s the curve is the mean of the last two samples.
    assert values.activity_se[1] == pytest.approx(math.hypot(0.5 * 2.0, 0.5 * 1.0), rel=1e-12)
    correlated = values.covariance[1, 0]  # C(20 s) with C(30 s): half of the last variance
    assert correlated == pytest.approx(0.5 * 1.0**2, rel=1e-12)


# -- plasma, scale, units -------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["monoexponential", "biexponential", "trapezoid"])
def test_factors_on_activity_and_time_only_rescale(model: str) -> None:
    rng = np.random.default_rng(11)
    samples = bi(TIMES, *BI) * (1.0 + 0.01 * rng.standard_normal(TIMES.size))

    def run(activity_factor: float, time_factor: float) -> kernel.InputValues:
        function = kernel.fit_input_function(
            TIMES * time_factor,
            samples * activity_factor,
            sd=0.02 * samples * activity_factor,
            model=model,  # type: ignore[arg-type]
        )
        return kernel.evaluate_input_function(function, np.append(SCANS, 80 * HOUR) * time_factor)

    plain, scaled = run(1.0, 1.0), run(1.0e6, 1.0 / HOUR)
    np.testing.assert_allclose(scaled.activity, 1e6 * plain.activity, rtol=1e-6)
    np.testing.assert_allclose(scaled.activity_se, 1e6 * plain.activity_se, rtol=1e-5)
    np.testing.assert_allclose(scaled.integral_s, 1e6 / HOUR * plain.integral_s, rtol=1e-6)
    np.testing.assert_allclose(scaled.integral_se_s, 1e6 / HOUR * plain.integral_se_s, rtol=1e-5)


def test_plasma_ratio_scales_the_samples_and_its_error_is_common_to_all() -> None:
    blood = mono(TIMES, 50.0, RATE)
    sd = 1e-6 * blood
    function = kernel.fit_input_function(
        TIMES, blood, sd=sd, plasma_over_blood=1.6, plasma_over_blood_se=0.08
    )
    values = kernel.evaluate_input_function(function, SCANS)
    np.testing.assert_allclose(values.activity, 1.6 * mono(SCANS, 50.0, RATE), rtol=1e-6)
    # 0.08 / 1.6 is 5 % of every value, fully correlated.
    np.testing.assert_allclose(values.activity_se / values.activity, 0.05, rtol=1e-4)
    np.testing.assert_allclose(values.integral_se_s / values.integral_s, 0.05, rtol=1e-4)
    correlation = values.covariance / np.outer(
        np.sqrt(np.diag(values.covariance)), np.sqrt(np.diag(values.covariance))
    )
    np.testing.assert_allclose(correlation, 1.0, atol=1e-6)
    per_sample = kernel.fit_input_function(TIMES, blood, plasma_over_blood=np.linspace(1, 2, 7))
    np.testing.assert_allclose(per_sample.plasma, blood * np.linspace(1, 2, 7))


# -- coverage -------------------------------------------------------------------------------------


def coverage(
    fit: Callable[[Array], kernel.InputFunction],
    truth: tuple[Array, ...],
    exact: Array,
    sd: Array,
    n: int,
    asked: Array,
) -> Array:
    rng = np.random.default_rng(2026)
    hits = np.zeros((2, asked.size))
    for _ in range(n):
        function = fit(exact + sd * rng.standard_normal(exact.size))
        values = kernel.evaluate_input_function(function, asked)
        pairs = (values.activity, values.activity_se), (values.integral_s, values.integral_se_s)
        for row, ((value, error), expected) in enumerate(zip(pairs, truth, strict=True)):
            dof = function.degrees_of_freedom
            limits = confidence_limits(value, error, degrees_of_freedom=dof)
            hits[row] += (limits.lower <= expected) & (expected <= limits.upper)
    return hits / n


# 1500 repetitions: a true 95 % interval is seen at 95 +- 0.6 % (one standard deviation).


def test_coverage_of_one_exponential_with_errors_from_residuals() -> None:
    exact, sd = mono(TIMES[2:], 80.0, RATE), np.full(5, 1.5)
    truth = mono(SCANS, 80.0, RATE), mono_integral(SCANS, 80.0, RATE)
    found = coverage(
        lambda c: kernel.fit_input_function(TIMES[2:], c), truth, exact, sd, 1500, SCANS
    )
    assert np.all((found > 0.93) & (found < 0.97)), found


def test_coverage_of_two_exponentials_with_known_errors() -> None:
    times = np.array([0.1, 0.5, 1.0, 4.0, 24.0, 48.0, 72.0, 120.0]) * HOUR
    exact = bi(times, *BI)
    sd = 0.03 * exact
    truth = bi(SCANS, *BI), bi_integral(SCANS)
    found = coverage(
        lambda c: kernel.fit_input_function(times, c, sd=sd, model="biexponential"),
        truth, exact, sd, 1500, SCANS,
    )  # fmt: skip
    assert np.all((found > 0.93) & (found < 0.97)), found


def test_coverage_of_trapezoid_and_tail_with_known_errors() -> None:
    # The truth is the trapezoid through the exact samples: its bias is another test.
    exact = np.array([90.0, 85.0, 80.0, 70.0, 40.0, 22.0, 13.0])
    sd, asked = 0.05 * exact, np.array([36.0, 72.0, 90.0]) * HOUR
    ideal = kernel.evaluate_input_function(
        kernel.fit_input_function(TIMES, exact, model="trapezoid"), asked
    )
    found = coverage(
        lambda c: kernel.fit_input_function(TIMES, c, sd=sd, model="trapezoid"),
        (ideal.activity, ideal.integral_s), exact, sd, 1500, asked,
    )  # fmt: skip
    assert np.all((found > 0.93) & (found < 0.97)), found


# -- refusals -------------------------------------------------------------------------------------

FALLING = mono(TIMES, 80.0, RATE)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: kernel.fit_input_function(TIMES[::-1], FALLING), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES - HOUR, FALLING), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING[:-1]), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, -FALLING), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, np.append(FALLING[:-1], np.nan)), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING, sd=0.0), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING, plasma_over_blood=-1), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING, plasma_over_blood_se=-1), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING, extrapolation_factor=0.9), "E_ARGUMENT"),
        (lambda: kernel.fit_input_function(TIMES, FALLING, model="spline"), "E_ARGUMENT"),  # type: ignore[arg-type]
        (
            lambda: kernel.fit_input_function(TIMES, FALLING, model="trapezoid", n_tail=2.5),  # type: ignore[arg-type]
            "E_ARGUMENT",
        ),
        (
            lambda: kernel.decay_corrected_to_injection(
                [5.0], [2.4e7 * HOUR], half_life_s=282276.0
            ),
            "E_ARGUMENT",
        ),
        (lambda: kernel.fit_input_function(TIMES[:2], FALLING[:2]), "E_INPUT_FUNCTION"),
        (lambda: kernel.fit_input_function(TIMES, FALLING[::-1]), "E_INPUT_FUNCTION"),
        (lambda: kernel.fit_input_function(TIMES, np.full(7, 5.0)), "E_INPUT_FUNCTION"),
        (
            lambda: kernel.fit_input_function(TIMES[:4], FALLING[:4], model="biexponential"),
            "E_INPUT_FUNCTION",
        ),
        (
            lambda: kernel.fit_input_function(TIMES, FALLING, model="biexponential"),
            "E_INPUT_FUNCTION",
        ),
        (
            lambda: kernel.fit_input_function(TIMES, FALLING, model="trapezoid", n_tail=8),
            "E_INPUT_FUNCTION",
        ),
    ],
)
def test_what_cannot_be_an_input_function_is_refused(call: Callable[[], object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code


def test_nothing_is_given_far_behind_the_last_sample() -> None:
    function = kernel.fit_input_function(TIMES, FALLING, extrapolation_factor=1.5)
    last = TIMES[-1]
    kernel.evaluate_input_function(function, [1.5 * last])
    for times in ([1.51 * last], [-1.0], [np.nan], []):
        with pytest.raises(InputError):
            kernel.evaluate_input_function(function, times)


def test_a_tail_that_rises_is_not_followed() -> None:
    samples = np.array([90.0, 85.0, 80.0, 20.0, 21.0, 22.0, 23.0])
    function = kernel.fit_input_function(TIMES, samples, model="trapezoid")
    assert kernel.evaluate_input_function(function, TIMES[-1:]).activity[0] == pytest.approx(23.0)
    with pytest.raises(InputError) as caught:
        kernel.evaluate_input_function(function, TIMES[-1:] + 1.0)
    assert caught.value.code == "E_INPUT_FUNCTION"
