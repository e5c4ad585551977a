"""Expected numbers are closed forms derived in the tests, or come from scipy's own routines.

The graphical method of Patlak has its own file, test_kinetics_patlak.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import t as student_t

from eprimg.errors import InputError
from eprimg.kernels import kinetics as kernel
from eprimg.kernels.kinetic_input import physical_activity
from eprimg.kernels.kinetics import KineticReason

Array = NDArray[np.float64]

HOUR = 3600.0
COPPER_64_S = 12.7004 * HOUR  # DDEP half-life
ZIRCONIUM_89_S = 78.41 * HOUR  # ICRP-107 half-life
SCANS = np.array([1.0, 24.0, 72.0, 120.0]) * HOUR
CURVE = np.array([2.0, 5.0, 9.0, 8.0])


def covers(value: Any, error: Any, truth: float) -> float:
    limits = kernel.confidence_limits(value, error)
    return float(np.mean((limits.lower <= truth) & (truth <= limits.upper)))


# -- retention ------------------------------------------------------------------------------------


def test_retention_is_late_over_early() -> None:
    found = kernel.retention([4.0, 8.0], [3.0, 10.0], early_se=[0.4, 0.8], late_se=[0.3, 0.5])
    np.testing.assert_allclose(found.value, [0.75, 1.25])
    # Relative errors 10 % and 10 %; 10 % and 5 %: in quadrature.
    expected = [0.75 * math.hypot(0.1, 0.1), 1.25 * math.hypot(0.1, 0.05)]
    np.testing.assert_allclose(found.standard_error, expected, rtol=1e-12)
    assert not found.reason.any()
    assert np.isnan(kernel.retention([4.0], [3.0]).standard_error).all()


def test_retention_of_physical_activity_takes_the_decay_out() -> None:
    # A carrier that stays: after two half-lives of 64Cu a quarter of the activity is left.
    gap = 2.0 * COPPER_64_S
    found = kernel.retention([8.0], [2.0], early_se=[0.8], late_se=[0.0], scan_gap_s=gap,
                             half_life_s=COPPER_64_S)  # fmt: skip
    assert float(found.value[0]) == pytest.approx(1.0, rel=1e-12)
    assert float(found.standard_error[0]) == pytest.approx(0.1, rel=1e-12)
    corrected = np.array([4.0, 3.0])
    physical = physical_activity(corrected, SCANS[1:3], half_life_s=ZIRCONIUM_89_S)
    back = kernel.retention(physical[0], physical[1], scan_gap_s=48.0 * HOUR,
                            half_life_s=ZIRCONIUM_89_S)  # fmt: skip
    assert float(back.value) == pytest.approx(0.75, rel=1e-12)


def test_retention_does_not_see_a_common_factor() -> None:
    rng = np.random.default_rng(2)
    early, late = rng.uniform(1, 9, (2, 3, 4))
    plain = kernel.retention(early, late, early_se=0.1 * early, late_se=0.1 * late)
    scaled = kernel.retention(7e5 * early, 7e5 * late, early_se=7e4 * early, late_se=7e4 * late)
    np.testing.assert_allclose(scaled.value, plain.value, rtol=1e-12)
    np.testing.assert_allclose(scaled.standard_error, plain.standard_error, rtol=1e-12)


def test_retention_of_voxels_that_give_none() -> None:
    early = np.array([2.0, np.nan, 0.0, -1.0, 2.0, 2.0, 2.0], np.float32)
    late = np.array([-0.1, 1.0, 1.0, 1.0, np.inf, 1.0, 1.0], np.float32)
    error = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.7, -1.0], np.float32)
    found = kernel.retention(early, late, early_se=error, late_se=np.full(7, 0.1, np.float32))
    np.testing.assert_array_equal(
        found.reason,
        [
            KineticReason.OK,  # a negative late value is noise and is kept
            KineticReason.NON_FINITE,
            KineticReason.NON_POSITIVE,
            KineticReason.NON_POSITIVE,
            KineticReason.NON_FINITE,
            KineticReason.DENOMINATOR_UNCERTAIN,  # 2.0 is less than 3 x 0.7
            KineticReason.BAD_ERROR,
        ],
    )
    np.testing.assert_array_equal(np.isnan(found.value), found.reason != KineticReason.OK)
    assert found.value.dtype == np.float32
    # An error that is unknown makes the error unknown, not the value.
    unknown = kernel.retention([2.0], [1.0], early_se=[np.nan], late_se=[0.1])
    assert float(unknown.value[0]) == 0.5
    assert np.isnan(unknown.standard_error).all()


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_coverage_of_retention(noise: float) -> None:
    # 40000 repetitions: +- 0.11 %.
    rng = np.random.default_rng(31)
    early, late = 5.0, 8.0
    found = kernel.retention(
        early * (1.0 + noise * rng.standard_normal(40_000)),
        late * (1.0 + noise * rng.standard_normal(40_000)),
        early_se=np.full(40_000, noise * early),
        late_se=np.full(40_000, noise * late),
    )
    assert 0.93 < covers(found.value, found.standard_error, late / early) < 0.97


# -- area under the curve -------------------------------------------------------------------------


@pytest.mark.parametrize("initial", ["zero", "constant"])
def test_plain_area_is_the_trapezoid(initial: Any) -> None:
    curves = np.stack([CURVE, 3.0 * CURVE]).reshape(2, 1, 4)
    found = kernel.area_under_curve(curves, SCANS, initial=initial)
    start = 0.0 if initial == "zero" else CURVE[0]
    expected = np.trapezoid(np.append(start, CURVE), np.append(0.0, SCANS) / HOUR)
    np.testing.assert_allclose(found.area_h[:, 0], [expected, 3.0 * expected], rtol=1e-12)
    early = (1.0 if initial == "zero" else 2.0) / expected  # a triangle, or a square, of 1 h x 2
    np.testing.assert_allclose(found.early_share, early, rtol=1e-12)
    assert np.all(found.tail_share == 0.0)
    assert np.isnan(found.tail_rate_per_s).all()
    assert np.isnan(found.standard_error_h).all()


@pytest.mark.parametrize("half_life_s", [COPPER_64_S, ZIRCONIUM_89_S, 1.0e9 * HOUR])
@pytest.mark.parametrize("initial", ["zero", "constant"])
def test_physical_area_is_that_of_the_decaying_polygon(half_life_s: float, initial: Any) -> None:
    found = kernel.area_under_curve(CURVE, SCANS, half_life_s=half_life_s, initial=initial)
    decay = math.log(2.0) / half_life_s
    nodes = np.append(0.0, SCANS)
    heights = np.append(0.0 if initial == "zero" else CURVE[0], CURVE)
    expected = sum(
        quad(lambda t: np.interp(t, nodes, heights) * math.exp(-decay * t), a, b, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(nodes)
    )
    assert float(found.area_h) == pytest.approx(expected / HOUR, rel=1e-10)


@pytest.mark.parametrize("h", [0.0199, 0.0201])
def test_decay_weights_join_their_power_series(h: float) -> None:
    # lambda h = 0.02 is where the series takes over; quad is the judge on both sides.
    found = kernel.area_under_curve([3.0, 1.0], [h, 2.0 * h], half_life_s=math.log(2.0))
    expected = quad(lambda t: 3.0 * t / h * math.exp(-t), 0.0, h, epsrel=1e-13)[0]
    expected += quad(lambda t: (5.0 - 2.0 * t / h) * math.exp(-t), h, 2 * h, epsrel=1e-13)[0]
    assert float(found.area_h) * HOUR == pytest.approx(expected, rel=1e-12)


def test_a_carrier_that_stays_gives_activity_over_decay_constant() -> None:
    # C constant: the integral of C exp(-lambda t) over all time is C / lambda.
    found = kernel.area_under_curve(np.full(4, 6.0), SCANS, half_life_s=ZIRCONIUM_89_S,
                                    tail="physical", initial="constant")  # fmt: skip
    constant = math.log(2.0) / 78.41
    assert float(found.area_h) == pytest.approx(6.0 / constant, rel=1e-12)
    assert float(found.tail_share) == pytest.approx(math.exp(-constant * 120.0), rel=1e-12)
    assert float(found.early_share) == pytest.approx(1.0 - math.exp(-constant), rel=1e-9)
    assert float(found.tail_rate_per_s) == 0.0


@pytest.mark.parametrize("half_life_s", [None, ZIRCONIUM_89_S])
@pytest.mark.parametrize("n_tail", [2, 3])
def test_exponential_tail_in_closed_form(half_life_s: float | None, n_tail: int) -> None:
    # Behind the last scan C = C_n exp(-k (t - t_n)); times exp(-lambda t) its area is
    # C_n exp(-lambda t_n) / (lambda + k).
    rate = math.log(2.0) / (40.0 * HOUR)
    curve = 50.0 * np.exp(-rate * SCANS)
    options: dict[str, Any] = {"half_life_s": half_life_s, "initial": "constant"}
    found = kernel.area_under_curve(curve, SCANS, tail="monoexponential", n_tail=n_tail, **options)
    inside = kernel.area_under_curve(curve, SCANS, **options)
    decay = 0.0 if half_life_s is None else math.log(2.0) / half_life_s
    tail = curve[-1] * math.exp(-decay * SCANS[-1]) / (decay + rate) / HOUR
    assert float(found.area_h - inside.area_h) == pytest.approx(tail, rel=1e-10)
    assert float(found.tail_share) == pytest.approx(tail / float(found.area_h), rel=1e-10)
    assert float(found.tail_rate_per_s) == pytest.approx(rate, rel=1e-10)


def test_dense_scans_give_the_area_of_an_exponential() -> None:
    # Integral of 50 exp(-k t) from 0 to infinity: 50 / k; trapezoids are (x/2) coth(x/2) of it.
    rate, step = math.log(2.0) / 40.0, 8.0
    times = step * np.arange(11.0)
    curve = 50.0 * np.exp(-rate * times)
    found = kernel.area_under_curve(curve, times * HOUR, tail="monoexponential")
    x = rate * step
    share = math.exp(-rate * 80.0)
    expected = 50.0 / rate * ((1.0 - share) * 0.5 * x / math.tanh(0.5 * x) + share)
    assert float(found.area_h) == pytest.approx(expected, rel=1e-10)
    assert expected * rate / 50.0 == pytest.approx(1.0, abs=2e-3)


def test_error_of_the_area_is_that_of_a_weighted_sum() -> None:
    sd = np.array([0.2, 0.4, 0.5, 0.3])
    found = kernel.area_under_curve(CURVE, SCANS, sd=sd)
    weights = np.array([12.0, 35.5, 48.0, 24.0])  # half of the hours to both neighbours
    assert float(found.area_h) == pytest.approx(weights @ CURVE)
    assert float(found.standard_error_h) == pytest.approx(np.linalg.norm(weights * sd), rel=1e-12)


@pytest.mark.parametrize("tail", ["physical", "monoexponential"])
def test_error_of_the_tail_follows_the_area_itself(tail: Any) -> None:
    # Independent of the derivatives in the kernel: central differences of the area.
    curve, sd = np.array([9.0, 7.0, 4.0, 2.0]), np.array([0.2, 0.4, 0.5, 0.3])
    options: dict[str, Any] = {"half_life_s": ZIRCONIUM_89_S, "tail": tail, "n_tail": 3}
    steps = 1e-5 * np.eye(4)
    up, down = (kernel.area_under_curve(curve + s, SCANS, **options) for s in (steps, -steps))
    expected = np.linalg.norm((up.area_h - down.area_h) / 2e-5 * sd)
    found = kernel.area_under_curve(curve, SCANS, sd=sd, **options)
    assert float(found.standard_error_h) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("tail", ["none", "physical", "monoexponential"])
def test_coverage_of_the_area(tail: Any) -> None:
    # 40000 repetitions: +- 0.11 %.  The truth is the area of the exact points.
    rng = np.random.default_rng(77)
    curve = np.array([9.0, 7.0, 4.0, 2.0])
    sd = 0.05 * curve
    options: dict[str, Any] = {"half_life_s": ZIRCONIUM_89_S, "tail": tail, "n_tail": 3}
    truth = float(kernel.area_under_curve(curve, SCANS, **options).area_h)
    found = kernel.area_under_curve(
        curve + sd * rng.standard_normal((40_000, 4)), SCANS, sd=sd, **options
    )
    assert not found.reason.any()
    assert 0.93 < covers(found.area_h, found.standard_error_h, truth) < 0.97


def test_area_of_voxels_that_give_none() -> None:
    curves = np.tile([9.0, 7.0, 4.0, 2.0], (6, 1)).astype(np.float32)
    curves[1, 0] = np.nan
    curves[2, 3] = 0.0  # a logarithm is asked of it
    curves[3, 3] = 5.0  # rises
    curves[4, 0] = -1.0  # noise before the tail is kept
    sd = np.full((6, 4), 0.1)
    sd[5, 1] = -0.1
    found = kernel.area_under_curve(curves, SCANS, sd=sd, tail="monoexponential")
    np.testing.assert_array_equal(
        found.reason,
        [
            KineticReason.OK,
            KineticReason.NON_FINITE,
            KineticReason.NON_POSITIVE,
            KineticReason.TAIL_RISES,
            KineticReason.OK,
            KineticReason.BAD_ERROR,
        ],
    )
    np.testing.assert_array_equal(np.isnan(found.area_h), found.reason != KineticReason.OK)
    assert found.area_h.dtype == np.float32


def test_area_is_linear_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    curves = rng.uniform(1.0, 9.0, (3, 17, 2, 4))
    options: dict[str, Any] = {"half_life_s": COPPER_64_S, "tail": "physical"}
    whole = kernel.area_under_curve(curves, SCANS, sd=0.1, **options)
    scaled = kernel.area_under_curve(1e5 * curves, SCANS, sd=1e4, **options)
    np.testing.assert_allclose(scaled.area_h, 1e5 * whole.area_h, rtol=1e-12)
    np.testing.assert_allclose(scaled.standard_error_h, 1e5 * whole.standard_error_h, rtol=1e-12)
    np.testing.assert_allclose(scaled.tail_share, whole.tail_share, rtol=1e-12)
    monkeypatch.setattr("eprimg.kernels._kinetic_arrays._SAMPLES", 7)
    parts = kernel.area_under_curve(curves, SCANS, sd=0.1, **options)
    np.testing.assert_allclose(parts.area_h, whole.area_h, rtol=1e-14)
    assert kernel.area_under_curve(np.empty((0, 4)), SCANS).area_h.shape == (0,)


# -- permeability index ---------------------------------------------------------------------------


def test_permeability_index_is_the_difference_of_slopes() -> None:
    tumour = np.array([[1.0, 4.0], [2.0, 2.0]])
    found = kernel.two_scan_permeability_index(
        tumour, [10.0, 8.0], [600.0, 3600.0], tumour_sd=[0.3, 0.4], blood_sd=[1.2, 0.0]
    )
    # (3 - -2) / 3000 s and (0 - -2) / 3000 s; errors 0.3, 0.4, 1.2: in quadrature 1.3.
    np.testing.assert_allclose(found.value, [5.0 / 3000.0, 2.0 / 3000.0], rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, 1.3 / 3000.0, rtol=1e-12)
    scaled = kernel.two_scan_permeability_index(9 * tumour, [90.0, 72.0], [600.0, 3600.0])
    np.testing.assert_allclose(scaled.value, 9.0 * found.value, rtol=1e-12)


def test_permeability_index_of_a_tight_tumour_is_not_zero_while_blood_falls() -> None:
    # Only vessels, 5 % of the volume: Ps = (v - 1) dB/dt.
    blood = np.array([40.0, 25.0])
    found = kernel.two_scan_permeability_index(0.05 * blood, blood, [0.0, 86400.0])
    assert float(found.value) == pytest.approx((0.05 - 1.0) * -15.0 / 86400.0, rel=1e-12)
    level = kernel.two_scan_permeability_index([2.0, 2.0], [40.0, 40.0], [0.0, 86400.0])
    assert float(level.value) == 0.0


def test_coverage_of_the_permeability_index() -> None:
    rng = np.random.default_rng(15)
    tumour, blood = np.array([3.0, 6.0]), np.array([30.0, 26.0])
    found = kernel.two_scan_permeability_index(
        tumour + 0.3 * rng.standard_normal((40_000, 2)),
        blood + 1.1 * rng.standard_normal((40_000, 2)),
        [600.0, 3600.0],
        tumour_sd=0.3,
        blood_sd=1.1,
    )
    assert 0.94 < covers(found.value, found.standard_error, 7.0 / 3000.0) < 0.96


# -- blood volume ---------------------------------------------------------------------------------


def test_blood_is_taken_out() -> None:
    found = kernel.blood_volume_correction(
        [6.0, 1.0], [20.0, 20.0], 0.1, uptake_se=0.3, blood_se=2.0, fraction_se=0.02
    )
    np.testing.assert_allclose(found.value, [4.0, -1.0], rtol=1e-12)  # a negative one is kept
    # Variances 0.3^2, (0.1 x 2)^2 and (20 x 0.02)^2: 0.09 + 0.04 + 0.16.
    np.testing.assert_allclose(found.standard_error, math.sqrt(0.29), rtol=1e-12)
    np.testing.assert_allclose(found.blood_share, [2.0 / 6.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(found.uptake_over_blood, [0.3, 0.05], rtol=1e-12)
    ratio_errors = [0.3 * math.hypot(0.05, 0.1), 0.05 * math.hypot(0.3, 0.1)]
    np.testing.assert_allclose(found.uptake_over_blood_se, ratio_errors, rtol=1e-12)


def test_blood_that_is_missing() -> None:
    found = kernel.blood_volume_correction([6.0, 6.0, 0.0, np.nan], [20.0, 0.0, 20.0, 20.0],
                                           [np.nan, 0.1, 0.0, 0.1])  # fmt: skip
    bad, ok = KineticReason.NON_FINITE, KineticReason.OK
    np.testing.assert_array_equal(found.reason, [bad, ok, ok, bad])
    np.testing.assert_array_equal(found.value, [np.nan, 6.0, 0.0, np.nan])
    np.testing.assert_array_equal(found.uptake_over_blood, [np.nan, np.nan, 0.0, np.nan])
    assert np.isnan(found.blood_share[2])
    assert np.isnan(found.standard_error).all()


def test_coverage_of_the_blood_correction() -> None:
    rng = np.random.default_rng(16)
    uptake, blood, fraction = (
        centre + sd * rng.standard_normal(40_000)
        for centre, sd in ((6.0, 0.3), (20.0, 2.0), (0.1, 0.02))
    )
    found = kernel.blood_volume_correction(
        uptake, blood, fraction, uptake_se=0.3, blood_se=2.0, fraction_se=0.02
    )
    assert 0.93 < covers(found.value, found.standard_error, 4.0) < 0.97


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: kernel.area_under_curve([1.0], [1.0]), "E_KINETICS"),
        (lambda: kernel.area_under_curve(CURVE, SCANS, tail="monoexponential", n_tail=5),
         "E_KINETICS"),
        (lambda: kernel.area_under_curve(CURVE, SCANS, tail="monoexponential", n_tail=2.5),  # type: ignore[arg-type]
         "E_ARGUMENT"),
        (lambda: kernel.area_under_curve(CURVE, SCANS, tail="monoexponential", n_tail="2"),  # type: ignore[arg-type]
         "E_ARGUMENT"),
        (lambda: kernel.area_under_curve(CURVE, SCANS, tail="physical"), "E_ARGUMENT"),
        (lambda: kernel.area_under_curve(CURVE, SCANS, tail="none", initial="x"), "E_ARGUMENT"),  # type: ignore[arg-type]
        (lambda: kernel.area_under_curve(CURVE, SCANS - 2 * HOUR), "E_ARGUMENT"),
        (lambda: kernel.area_under_curve(CURVE.astype(complex), SCANS), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, early_se=0.1), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, scan_gap_s=9.0), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, scan_gap_s=-9.0, half_life_s=9.0), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, scan_gap_s=1e9, half_life_s=10.0), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, scan_gap_s=9.0, half_life_s=0.0), "E_ARGUMENT"),
        (lambda: kernel.retention(1.0, 2.0, least_early_over_se=-1.0), "E_ARGUMENT"),
        (lambda: kernel.retention(np.ones(2), np.ones(3)), "E_ARGUMENT"),
        (lambda: kernel.two_scan_permeability_index(np.ones(3), 1.0, SCANS[:3]), "E_KINETICS"),
        (lambda: kernel.two_scan_permeability_index(np.ones(2), 1.0, [5.0, 5.0]), "E_ARGUMENT"),
        (lambda: kernel.blood_volume_correction(1.0, 1.0, 5.0), "E_ARGUMENT"),
        (lambda: kernel.blood_volume_correction(1.0, 1.0, -0.1), "E_ARGUMENT"),
        (lambda: kernel.confidence_limits(1.0, 1.0, coverage=95.0), "E_ARGUMENT"),
    ],
)  # fmt: skip
def test_what_cannot_be_formed_is_refused(call: Callable[[], object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code


def test_confidence_limits_use_students_factor() -> None:
    for dof in (1.0, 2.0, 7.0, math.inf):
        limits = kernel.confidence_limits([10.0], [2.0], degrees_of_freedom=dof, coverage=0.9)
        reach = 2.0 * student_t.ppf(0.95, dof)
        np.testing.assert_allclose([*limits.lower, *limits.upper], [10 - reach, 10 + reach])
    assert np.isnan(kernel.confidence_limits(1.0, 1.0, degrees_of_freedom=0.0).lower)
