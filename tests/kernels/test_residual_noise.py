"""The noise level that residuals show: from the chi-squared distribution of a fit."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.r2star import fit_r2star
from eprimg.kernels.residual_noise import residual_noise

TIMES_S = np.linspace(1.2e-3, 14e-3, 8)


def level(signal, times, sigma, **options):
    fit = fit_r2star(signal, times, **options)
    return residual_noise(
        fit.r2star_per_s, fit.s0, fit.rmse, fit.n_echoes, echo_times_s=times, sigma=sigma
    )


def noisy(sigma, n=4000, rate=60.0, times=TIMES_S):
    rng = np.random.default_rng(5)
    clean = 1000.0 * np.exp(-rate * times)
    return np.abs(clean + rng.normal(0.0, sigma, (n, times.size)))


@pytest.mark.parametrize("n_echoes", [3, 4, 8])
@pytest.mark.parametrize("sigma", [5.0, 20.0])
def test_the_noise_that_was_added_is_found(n_echoes, sigma):
    found = level(noisy(sigma, times=TIMES_S[:n_echoes]), TIMES_S[:n_echoes], 2.0)
    assert found.sigma == pytest.approx(sigma, rel=0.04)  # 4000 voxels of one to six degrees
    assert found.n_voxels == 4000


def test_a_third_of_the_voxels_with_another_fault_hardly_matters():
    signal = noisy(5.0)
    signal[::3, 3] *= 2.0
    # the median of the others is then their 0.75 quantile: chi-squared of 6 degrees has
    # 7.84 there and 5.35 at the median, and sqrt(7.84 / 5.35) = 1.21
    assert level(signal, TIMES_S, 5.0).sigma == pytest.approx(5.0 * 1.21, rel=0.03)


def test_only_voxels_with_signal_count():
    signal = noisy(5.0)
    signal[1000:] = np.abs(np.random.default_rng(1).normal(0.0, 300.0, (3000, 8)))
    assert level(signal, TIMES_S, 90.0).n_voxels < 1100
    assert level(noisy(5.0), TIMES_S, 120.0) == (None, 0)


def test_two_echoes_leave_nothing():
    assert level(noisy(5.0)[:, :2], TIMES_S[:2], 5.0) == (None, 0)


def test_bad_arguments_are_refused():
    one = np.ones(3)
    for other, sigma in ((np.ones(2), 1.0), (one, 0.0), (one, np.nan)):
        with pytest.raises(InputError) as caught:
            residual_noise(one, one, one, other, echo_times_s=TIMES_S, sigma=sigma)
        assert caught.value.code == "E_ARGUMENT"
