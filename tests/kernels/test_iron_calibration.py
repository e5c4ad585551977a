"""The fits are compared with scipy.optimize.curve_fit and numpy.polyfit, and with random vials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from eprimg.errors import InputError
from eprimg.kernels.iron import iron_concentration
from eprimg.kernels.iron_calibration import calibration_band, fit_calibration

IRON = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
RATE = np.array([11.8, 26.9, 40.2, 66.1, 97.3, 122.9, 178.4, 236.5])


def line(c, a, b):
    return a + b * c


def bend(c, a, b, d):
    return a + b * c + d * c**2


@pytest.mark.parametrize(("degree", "model"), [(1, line), (2, bend)])
def test_unweighted_fit_is_that_of_scipy(degree, model):
    expected, covariance = optimize.curve_fit(model, IRON, RATE)
    found = fit_calibration(IRON, RATE, degree=degree)
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-5)
    assert found.degrees_of_freedom == 8 - degree - 1
    deviation = RATE - model(IRON, *expected)
    assert found.residual_sd_per_s == pytest.approx(
        math.sqrt(np.sum(deviation**2) / found.degrees_of_freedom)
    )
    assert math.isnan(found.excess)
    assert (found.curve.low_mmol_per_l, found.curve.high_mmol_per_l) == (0.0, 4.0)


@pytest.mark.parametrize("degree", [1, 2])
def test_weighted_fit_with_and_without_excess_scatter(degree):
    model = (line, bend)[degree - 1]
    small, large = np.full(8, 0.1), np.linspace(3.0, 9.0, 8)
    for errors, absolute in ((small, False), (large, True)):
        expected, covariance = optimize.curve_fit(
            model,
            IRON,
            RATE,
            sigma=errors,
            absolute_sigma=absolute,
            p0=[10.0, 50.0, 1.0][: degree + 1],
        )
        found = fit_calibration(IRON, RATE, r2star_se_per_s=errors, degree=degree)
        np.testing.assert_allclose(found.coefficients, expected, rtol=1e-5, atol=1e-6)
        # too small errors are enlarged by the scatter, ample ones are kept
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4)
        assert (found.excess > 1.0) is not absolute


def test_the_intercept_is_the_medium_and_not_part_of_the_change():
    found = fit_calibration(IRON, 12.0 + 56.0 * IRON)
    assert found.coefficients == pytest.approx([12.0, 56.0])
    assert iron_concentration(112.0, found.curve).mmol_per_l == pytest.approx(2.0)
    bent = fit_calibration(IRON, 12.0 + 60.0 * IRON - 2.0 * IRON**2, degree=2)
    # 60 x 3 - 2 x 9 = 162
    assert iron_concentration(162.0, bent.curve).mmol_per_l == pytest.approx(3.0)


@pytest.mark.parametrize("degree", [1, 2])
def test_the_band_holds_the_true_curve_as_often_as_it_says(degree):
    """3000 sets of eight vials; 95 % of the bands hold the truth (binomial error 0.4 %)."""
    rng = np.random.default_rng(6)
    at = np.array([0.1, 1.7, 3.9])
    truth = 12.0 + 56.0 * IRON + (0.0 if degree == 1 else -2.5) * IRON**2
    wanted = 12.0 + 56.0 * at + (0.0 if degree == 1 else -2.5) * at**2
    held = np.zeros(3)
    for _ in range(3000):
        fit = fit_calibration(IRON, truth + 3.0 * rng.standard_normal(8), degree=degree)
        band = calibration_band(fit, at)
        held += (band.lower_per_s <= wanted) & (wanted <= band.upper_per_s)
    np.testing.assert_allclose(held / 3000, 0.95, atol=0.015)


def test_error_of_an_iron_value_holds_that_of_the_curve():
    """2000 calibrations of twelve vials and one noisy change each: the values scatter as stated.

    The residual variance has ten degrees of freedom, so its mean is right; allowed are 5 %.
    """
    rng = np.random.default_rng(7)
    iron = np.linspace(0.0, 4.0, 12)
    values, variances = [], []
    for _ in range(2000):
        fit = fit_calibration(iron, 62.0 + 56.0 * iron + 6.0 * rng.standard_normal(12))
        found = iron_concentration(
            112.0 + 4.0 * rng.standard_normal(), fit.curve, dr2star_se_per_s=4.0
        )
        values.append(float(found.mmol_per_l))
        variances.append(float(found.standard_error) ** 2)
    assert np.std(values) == pytest.approx(math.sqrt(np.mean(variances)), rel=0.05)
    assert np.mean(values) == pytest.approx(2.0, rel=0.01)


def test_the_band_ends_with_the_vials():
    fit = fit_calibration(IRON[1:], RATE[1:])
    band = calibration_band(fit, [0.0, 0.25, 4.0, 4.1])
    assert np.isnan(band.r2star_per_s).tolist() == [True, False, False, True]
    with pytest.raises(InputError, match="coverage"):
        calibration_band(fit, 1.0, coverage=95)


@pytest.mark.parametrize(
    ("iron", "rate", "options", "words"),
    [
        ([0, 1], [10, 60], {}, "at least 3 different"),
        ([0, 1, 1, 1], [10, 60, 61, 62], {}, "at least 3 different"),
        ([0, 1, 2], [10, 60, 100], {"degree": 2}, "at least 4 different"),
        ([0, 1, 2], [10, 60, math.nan], {}, "not finite"),
        ([-1, 1, 2], [10, 60, 100], {}, "concentration is negative"),
        ([0, 1, 2], [10, -60, 100], {}, "R2\\* is negative"),
        ([0, 1, 2], [10, 60, 110], {"r2star_se_per_s": [1, 0, 1]}, "positive standard error"),
        ([0, 1, 2], [110, 60, 10], {}, "does not rise"),
        ([0, 1, 2, 3], [10, 60, 80, 70], {"degree": 2}, "does not rise"),
        ([0, 1, 2, 3], [10, 90, 20, 95], {}, "less than 3 times"),
        ([0, 1, 2], [10, 60], {}, "one concentration and one R2"),
        ([0, 1, 2], [10, 60, 110], {"degree": 3}, "degree 1"),
    ],
)
def test_vials_that_give_no_curve(iron, rate, options, words):
    with pytest.raises(InputError, match=words) as caught:
        fit_calibration(iron, rate, **options)
    assert caught.value.code == "E_IRON_CALIBRATION"


def test_all_faults_of_a_table_come_together():
    with pytest.raises(InputError, match="2 faults"):
        fit_calibration([-1, 1, 2], [10, -60, 100])
