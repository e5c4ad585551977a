"""Expected numbers are closed forms derived in the tests, or come from scipy's own routines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.stats import linregress

from eprimg.errors import InputError
from eprimg.kernels import kinetics as kernel
from eprimg.kernels.kinetic_input import evaluate_input_function, fit_input_function
from eprimg.kernels.kinetics import KineticReason

Array = NDArray[np.float64]

HOUR = 3600.0
SCANS = np.array([1.0, 24.0, 72.0, 120.0, 144.0]) * HOUR
# Amplitudes and rates of the input: half-lives of 2 h and 40 h.
INPUT = ((20.0, math.log(2.0) / (2.0 * HOUR)), (80.0, math.log(2.0) / (40.0 * HOUR)))
MONO = INPUT[1:]
K1, K2, K3, VP = 2.0e-6, 3.0e-5, 1.0e-5, 0.05


def plasma(t: Array, terms: Any = INPUT) -> Array:
    return np.asarray(sum(a * np.exp(-k * t) for a, k in terms))


def plasma_integral(t: Array, terms: Any = INPUT) -> Array:
    return np.asarray(sum(a / k * -np.expm1(-k * t) for a, k in terms))


def free(t: Array, terms: Any, k1: float, beta: float) -> Array:
    return np.asarray(
        sum(k1 * a * (np.exp(-k * t) - np.exp(-beta * t)) / (beta - k) for a, k in terms)
    )


def tissue(
    t: Array, terms: Any = INPUT, k1: float = K1, k2: float = K2, k3: float = K3, vp: float = VP
) -> Array:
    """Irreversible two-tissue model in closed form.

    ``C1' = k1 Cp - b C1``, ``C2' = k3 C1``, ``b = k2 + k3``, both zero at the injection, with
    ``Cp = sum(A exp(-a t))``.  The first is linear with the integrating factor ``exp(b t)``:
    ``C1 = k1 sum(A (exp(-a t) - exp(-b t)) / (b - a))``.  Its integral once more, term by term:
    ``C2 = k1 k3 sum(A / (b - a) ((1 - exp(-a t)) / a - (1 - exp(-b t)) / b))``.  Blood in the
    vessels adds ``vp Cp``.
    """
    b = k2 + k3
    trapped = sum(
        k1 * k3 * a / (b - k) * (-np.expm1(-k * t) / k + np.expm1(-b * t) / b) for a, k in terms
    )
    return np.asarray(free(t, terms, k1, b) + trapped + vp * plasma(t, terms))


def lines(t: Array, c: Array, start_s: float = 0.0, terms: Any = INPUT, **options: Any) -> Any:
    return kernel.patlak(
        c,
        t,
        plasma=plasma(t, terms),
        plasma_integral_s=plasma_integral(t, terms),
        start_s=start_s,
        **options,
    )


def covers(value: Any, error: Any, truth: float, dof: float = math.inf) -> float:
    limits = kernel.confidence_limits(value, error, degrees_of_freedom=dof)
    return float(np.mean((limits.lower <= truth) & (truth <= limits.upper)))


# -- Patlak ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [INPUT, MONO])
def test_the_closed_form_solves_the_compartment_equations(terms: Any) -> None:
    def slopes(t: float, c: Array) -> list[float]:
        return [
            K1 * float(plasma(np.asarray(t), terms)) - (K2 + K3) * c[0],
            K3 * c[0],
        ]

    solved = solve_ivp(
        slopes, (0.0, SCANS[-1]), [0.0, 0.0], t_eval=SCANS, method="LSODA", rtol=1e-10, atol=1e-12
    )
    expected = solved.y.sum(axis=0) + VP * plasma(SCANS, terms)
    np.testing.assert_allclose(tissue(SCANS, terms), expected, rtol=1e-7)


def test_without_a_way_back_the_plot_is_straight_from_the_start() -> None:
    # k2 = 0: C1 + C2 = k1 int Cp, so Ki = k1 and the intercept is the plasma volume.
    curves = np.stack([tissue(SCANS, k1=k, k2=0.0) for k in (K1, 3.0 * K1)]).reshape(2, 1, 5)
    fit = lines(SCANS, curves)
    np.testing.assert_allclose(fit.ki_per_s[:, 0], [K1, 3.0 * K1], rtol=1e-9)
    np.testing.assert_allclose(fit.intercept, VP, rtol=1e-7)
    np.testing.assert_allclose(fit.r2, 1.0, atol=1e-9)
    assert fit.ki_per_s.shape == (2, 1)
    assert np.all(fit.n_points == 5)
    assert fit.degrees_of_freedom == 3.0


@pytest.mark.parametrize("terms", [INPUT, MONO])
def test_the_slope_has_the_bias_of_the_reversible_part(terms: Any) -> None:
    """Predict the slope between two scans.

    Integrating ``C1' = k1 Cp - b C1`` gives ``int C1 = (k1 int Cp - C1) / b``, so that
    ``C1 + C2 + vp Cp = (k1 k3 / b) int Cp + (k2 / b) C1 + vp Cp``.  Divided by Cp the plot is
    ``Ki x + vp + (k2 / b) C1 / Cp``; between two scans its slope is off by
    ``(k2 / b) d(C1 / Cp) / dx``.
    """
    b, ki = K2 + K3, K1 * K3 / (K2 + K3)
    scans = SCANS[[1, 3]]
    fit = lines(scans, tissue(scans, terms), terms=terms, allow_two_points=True)
    x = plasma_integral(scans, terms) / plasma(scans, terms)
    ratio = free(scans, terms, K1, b) / plasma(scans, terms)
    expected = ki + K2 / b * (ratio[1] - ratio[0]) / (x[1] - x[0])
    assert float(fit.ki_per_s) == pytest.approx(expected, rel=1e-9)
    assert expected > ki
    intercept = VP + K2 / b * ratio[0] - (expected - ki) * x[0]
    assert float(fit.intercept) == pytest.approx(intercept, rel=1e-8)
    for error in (fit.ki_se_per_s, fit.intercept_se, fit.covariance_per_s, fit.r2):
        assert np.isnan(error)
    assert fit.degrees_of_freedom == 0.0


def test_a_later_start_time_lowers_the_bias() -> None:
    # b - a = 3.5e-5 /s for the slow input term, so C1/Cp settles with a half-life of 5.5 h, to
    # k1 / (b - a); the intercept then tends to vp + (k2 / b) k1 / (b - a).
    b, ki = K2 + K3, K1 * K3 / (K2 + K3)
    scans = np.arange(1.0, 145.0) * HOUR
    fits = [lines(scans, tissue(scans), start_s=h * HOUR) for h in (0.0, 12.0, 24.0, 48.0)]
    bias = [float(fit.ki_per_s) / ki - 1.0 for fit in fits]
    assert bias[0] > bias[1] > bias[2] > bias[3] > 0.0
    x, ratio = plasma_integral(scans) / plasma(scans), free(scans, INPUT, K1, b) / plasma(scans)
    expected = np.polyfit(x, ki * x + VP + K2 / b * ratio, 1)[0] / ki - 1.0
    assert bias[0] == pytest.approx(expected, rel=1e-6)
    assert bias[0] > 0.005
    assert bias[3] < 1e-4
    settled = VP + K2 / b * K1 / (b - MONO[0][1])
    assert float(fits[3].intercept) == pytest.approx(settled, rel=2e-3)
    assert [int(fit.n_points) for fit in fits] == [144, 133, 121, 97]


@pytest.mark.parametrize(
    ("hours", "release_per_h", "percent"),
    [
        ((24.0, 72.0, 144.0), 0.0, 0.1),
        ((1.0, 24.0, 72.0, 144.0), 0.0, 1.6),
        ((24.0, 72.0, 144.0), 0.001, -6.7),
        ((24.0, 72.0, 144.0), 0.005, -29.0),
    ],
)
def test_bias_that_the_documentation_states(
    hours: tuple[float, ...], release_per_h: float, percent: float
) -> None:
    # The compartments are solved by scipy, with release from the trap back to the free part.
    scans, k4 = np.array(hours) * HOUR, release_per_h / HOUR

    def slopes(t: float, c: Array) -> list[float]:
        trapped = K3 * c[0] - k4 * c[1]
        return [K1 * float(plasma(np.asarray(t))) - K2 * c[0] - trapped, trapped]

    solved = solve_ivp(
        slopes, (0.0, scans[-1]), [0.0, 0.0], t_eval=scans, method="LSODA", rtol=1e-10, atol=1e-12
    )
    fit = lines(scans, solved.y.sum(axis=0) + VP * plasma(scans))
    bias = 100.0 * (float(fit.ki_per_s) * (K2 + K3) / (K1 * K3) - 1.0)
    assert bias == pytest.approx(percent, abs=0.15)


def test_unweighted_line_is_that_of_linregress() -> None:
    rng = np.random.default_rng(5)
    curves = tissue(SCANS) * (1.0 + 0.05 * rng.standard_normal((6, 5)))
    fit = lines(SCANS, curves, start_s=20.0 * HOUR)
    x = (plasma_integral(SCANS) / plasma(SCANS))[1:]
    for k, curve in enumerate(curves):
        line = linregress(x, (curve / plasma(SCANS))[1:])
        assert fit.ki_per_s[k] == pytest.approx(line.slope, rel=1e-9)
        assert fit.ki_se_per_s[k] == pytest.approx(line.stderr, rel=1e-7)
        assert fit.intercept[k] == pytest.approx(line.intercept, rel=1e-8)
        assert fit.intercept_se[k] == pytest.approx(line.intercept_stderr, rel=1e-7)
        assert fit.r2[k] == pytest.approx(line.rvalue**2, rel=1e-9)


def test_weighted_line_and_its_covariance_are_those_of_polyfit() -> None:
    rng = np.random.default_rng(6)
    sd = np.array([0.3, 0.1, 0.2, 0.15, 0.4])
    curve = tissue(SCANS) + sd * rng.standard_normal(5)
    fit = lines(SCANS, curve, sd=sd)
    cp = plasma(SCANS)
    line, covariance = np.polyfit(plasma_integral(SCANS) / cp, curve / cp, 1, w=cp / sd,
                                  cov="unscaled")  # fmt: skip
    found = [fit.ki_per_s, fit.intercept, fit.ki_se_per_s**2, fit.covariance_per_s]
    expected = [*line, covariance[0, 0], covariance[0, 1]]
    np.testing.assert_allclose([float(f) for f in found], expected, rtol=1e-8)
    assert float(fit.intercept_se) == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-9)
    assert fit.degrees_of_freedom == math.inf


def test_errors_of_the_plasma_are_propagated() -> None:
    # On an exact line the weighted solution is a smooth function of Cp and its integral: compare
    # with central differences of numpy's own least squares on C = Ki int Cp + V Cp.
    curve, sd = tissue(SCANS, k2=0.0), np.array([0.3, 0.1, 0.2, 0.15, 0.4])
    rng = np.random.default_rng(8)
    root = rng.standard_normal((10, 10))
    start = np.concatenate([plasma(SCANS), plasma_integral(SCANS)])
    joint = (root @ root.T) * np.outer(start, start) * 1e-4

    def solve(values: Array) -> Array:
        matrix = np.stack([values[5:], values[:5]], axis=1) / sd[:, None]
        return np.asarray(np.linalg.lstsq(matrix, curve / sd, rcond=None)[0])

    jacobian = np.empty((2, 10))
    for k in range(10):
        step = np.zeros(10)
        step[k] = 1e-5 * start[k]
        jacobian[:, k] = (solve(start + step) - solve(start - step)) / (2.0 * step[k])
    extra = jacobian @ joint @ jacobian.T
    plain, full = (lines(SCANS, curve, sd=sd, plasma_covariance=c) for c in (None, joint))
    assert full.ki_se_per_s**2 - plain.ki_se_per_s**2 == pytest.approx(extra[0, 0], rel=1e-5)
    assert full.intercept_se**2 - plain.intercept_se**2 == pytest.approx(extra[1, 1], rel=1e-5)
    difference = full.covariance_per_s - plain.covariance_per_s
    assert difference == pytest.approx(extra[0, 1], rel=1e-5)


def test_factors_on_activity_and_time() -> None:
    rng = np.random.default_rng(4)
    curves = tissue(SCANS) * (1.0 + 0.05 * rng.standard_normal((3, 5)))
    plain = lines(SCANS, curves)
    same = kernel.patlak(7e4 * curves, SCANS, plasma=7e4 * plasma(SCANS),
                         plasma_integral_s=7e4 * plasma_integral(SCANS), start_s=0.0)  # fmt: skip
    hours = kernel.patlak(curves, SCANS / HOUR, plasma=plasma(SCANS),
                          plasma_integral_s=plasma_integral(SCANS) / HOUR, start_s=0.0)  # fmt: skip
    np.testing.assert_allclose(same.ki_per_s, plain.ki_per_s, rtol=1e-9)
    np.testing.assert_allclose(same.ki_se_per_s, plain.ki_se_per_s, rtol=1e-7)
    np.testing.assert_allclose(hours.ki_per_s, HOUR * plain.ki_per_s, rtol=1e-9)
    np.testing.assert_allclose(hours.intercept, plain.intercept, rtol=1e-9)


@pytest.mark.parametrize("n_scans", [3, 4, 5])
def test_coverage_with_errors_from_the_residuals(n_scans: int) -> None:
    # 20000 repetitions: +- 0.15 %.  One, two and three degrees of freedom.
    rng = np.random.default_rng(n_scans)
    scans = SCANS[-n_scans:]
    exact = tissue(scans, k2=0.0)
    noise = 0.03 * plasma(scans) * rng.standard_normal((20_000, n_scans))
    fit = lines(scans, exact + noise)
    assert fit.degrees_of_freedom == n_scans - 2
    for value, error, truth in (
        (fit.ki_per_s, fit.ki_se_per_s, K1),
        (fit.intercept, fit.intercept_se, VP),
    ):
        assert 0.94 < covers(value, error, truth, fit.degrees_of_freedom) < 0.96
        if n_scans == 3:
            assert covers(value, error, truth) < 0.80  # the normal factor is far too small here


def test_coverage_with_known_errors() -> None:
    rng = np.random.default_rng(12)
    exact = tissue(SCANS, k2=0.0)
    sd = 0.08 * exact
    fit = lines(SCANS, exact + sd * rng.standard_normal((20_000, 5)), sd=sd)
    assert 0.94 < covers(fit.ki_per_s, fit.ki_se_per_s, K1) < 0.96
    assert 0.94 < covers(fit.intercept, fit.intercept_se, VP) < 0.96


def test_coverage_with_errors_of_tissue_and_blood() -> None:
    # 2000 repetitions: +- 0.5 %.  Without the covariance of the blood the interval is too short.
    rng = np.random.default_rng(13)
    samples = np.array([1.0, 6.0, 24.0, 72.0, 144.0]) * HOUR
    exact, blood = tissue(SCANS, MONO, k2=0.0), plasma(samples, MONO)
    sd, blood_sd = 0.03 * exact, 0.05 * blood
    found = np.empty((2000, 3))
    for row in found:
        function = fit_input_function(
            samples, blood + blood_sd * rng.standard_normal(5), sd=blood_sd
        )
        values = evaluate_input_function(function, SCANS)
        curve = exact + sd * rng.standard_normal(5)
        both = [
            kernel.patlak(curve, SCANS, plasma=values.activity, plasma_integral_s=values.integral_s,
                          start_s=0.0, sd=sd, plasma_covariance=c)
            for c in (values.covariance, None)
        ]  # fmt: skip
        row[:] = both[0].ki_per_s, both[0].ki_se_per_s, both[1].ki_se_per_s
    assert 0.93 < covers(found[:, 0], found[:, 1], K1) < 0.97
    assert covers(found[:, 0], found[:, 2], K1) < 0.90


def test_faults_of_single_voxels() -> None:
    curves = np.tile(tissue(SCANS), (4, 1))
    sd = np.ones((4, 5))
    curves[1, 2] = np.nan
    curves[2, 0] = -np.inf  # before the start time: not used, not a fault
    sd[3, 4] = 0.0
    fit = lines(SCANS, curves, start_s=10.0 * HOUR, sd=sd)
    reasons = [KineticReason.OK, KineticReason.NON_FINITE, KineticReason.OK,
               KineticReason.BAD_ERROR]  # fmt: skip
    np.testing.assert_array_equal(fit.reason, reasons)
    np.testing.assert_array_equal(np.isfinite(fit.ki_per_s), [True, False, True, False])
    np.testing.assert_array_equal(fit.n_points, [4, 0, 4, 0])
    assert set(kernel.KINETIC_REASON_TEXT) == set(KineticReason)


def test_float32_stays_float32_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    curves = tissue(SCANS) * (1.0 + 0.05 * rng.standard_normal((3, 17, 2, 5)))
    whole = lines(SCANS, curves)
    monkeypatch.setattr("eprimg.kernels._kinetic_arrays._SAMPLES", 7)
    np.testing.assert_array_equal(lines(SCANS, curves).ki_per_s, whole.ki_per_s)
    assert lines(SCANS, curves.astype(np.float32)).ki_per_s.dtype == np.float32
    assert whole.ki_per_s.dtype == np.float64


# -- refusals -------------------------------------------------------------------------------------

CURVE = tissue(SCANS)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: lines(SCANS, CURVE, start_s=100 * HOUR), "E_KINETICS"),
        (lambda: lines(SCANS, CURVE, start_s=130 * HOUR, allow_two_points=True), "E_KINETICS"),
        (lambda: lines(SCANS, CURVE, start_s=math.nan), "E_ARGUMENT"),
        (lambda: lines(SCANS, CURVE, sd=np.ones(4)), "E_ARGUMENT"),
        (lambda: lines(SCANS, CURVE, plasma_covariance=np.eye(5)), "E_ARGUMENT"),
        (lambda: lines(SCANS[::-1], CURVE), "E_ARGUMENT"),
        (lambda: kernel.patlak(CURVE, SCANS, plasma=np.zeros(5), plasma_integral_s=SCANS,
                               start_s=0), "E_ARGUMENT"),
        (lambda: kernel.patlak(CURVE, SCANS, plasma=np.ones(5), plasma_integral_s=SCANS[::-1],
                               start_s=0), "E_ARGUMENT"),
        (lambda: kernel.patlak(CURVE, SCANS, plasma=SCANS, plasma_integral_s=SCANS,
                               start_s=0), "E_KINETICS"),
    ],
)  # fmt: skip
def test_what_cannot_be_formed_is_refused(call: Callable[[], object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
