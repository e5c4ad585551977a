"""The quick way of the fit of the mean magnitude: its polynomials, and voxels it gives up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import ncx2, rice

from eprimg.kernels._r2star_magnitude import magnitude_polynomial
from eprimg.kernels.r2star import R2StarReason, fit_r2star
from tests.kernels.r2star_reference_object import ECHO_TIMES_S, rician

EVEN = ECHO_TIMES_S["8 even, 1.2-14 ms"]
UNEVEN = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
BACKENDS = ("numba", "numpy")


@pytest.mark.parametrize("n_coils", [1, 4, 32])
def test_the_polynomials_are_the_mean_of_the_distribution(n_coils):
    polynomial = magnitude_polynomial(n_coils)
    near = np.concatenate((np.linspace(0.01, 6.0, 60), np.linspace(6.0, 25.0, 20)))
    if n_coils == 1:
        expected = rice.mean(near)
    else:
        near = near[::10]
        expected = np.empty_like(near)
        for k, signal in enumerate(near):
            # E[sqrt(X)] of the non-central chi-squared X, by integration.
            law = ncx2(2 * n_coils, signal**2)
            ends = law.ppf([1e-15, 1 - 1e-15])
            expected[k] = quad(
                lambda x, law=law: np.sqrt(x) * law.pdf(x), *ends, limit=200, epsabs=1e-11
            )[0]
    for coefficients, within in ((polynomial.fine, 1e-9), (polynomial.coarse, 3e-6)):
        values = np.array(coefficients, np.float64)

        def mean(u, values=values):
            a = u * u
            x = (a - polynomial.centre) / (a + polynomial.centre)
            return np.sqrt(a + np.polynomial.polynomial.polyval(x, values))

        np.testing.assert_allclose(mean(near), expected, rtol=0.0, atol=within)
        # Far above the noise: first terms of the asymptotic series of 1F1 (DLMF 13.7.2).
        far = np.array([60.0, 200.0, 1e4]) * np.sqrt(n_coils)
        b = n_coils - 0.5
        series = b / far - 0.5 * b * (b - 1.0) / far**3
        np.testing.assert_allclose(mean(far) - far, series, rtol=1e-3 if within > 1e-6 else 1e-6)


@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_voxels_that_go_no_straight_way_are_fitted_with_care(times):
    # Pure noise, rising signals, and decays that are gone at once, among good ones: the compiled
    # fit gives most of them up in its quick way, the array version knows only the careful one.
    rng = np.random.default_rng(17)
    rate = np.exp(rng.uniform(np.log(3.0), np.log(1500.0), 600))
    signal = rician(100.0 * np.exp(-rate[:, None] * times), 20.0, rng)
    signal[:100] = rician(np.zeros((100, times.size)), 20.0, rng)
    signal[100:200] = np.sort(signal[100:200])
    options = {"noise": "rician", "sigma": 20.0, "low_signal_sigmas": 0.0}
    a, b = (fit_r2star(signal, times, backend=k, **options) for k in BACKENDS)
    assert (b.reason != R2StarReason.OK).sum() > 50
    same = a.reason == b.reason
    assert same.mean() > 0.99
    np.testing.assert_allclose(a.rmse[same], b.rmse[same], rtol=1e-8)
    # Where the sum of squares is nearly flat the rate itself is not known so well.
    difference = np.abs(a.r2star_per_s - b.r2star_per_s)[same & (b.reason == R2StarReason.OK)]
    assert np.quantile(difference / b.r2star_se_per_s[same & (b.reason == 0)], 0.98) < 1e-5
