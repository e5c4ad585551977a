"""Where the standard error of R2* is known to be calibrated.

Limits at the edges are those of the documentation, written here again; coverage is counted on
Rician signals written from the definition (Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from eprimg.errors import InputError
from eprimg.kernels.error_range import (
    ERROR_RANGE_TEXT,
    ErrorRange,
    error_range,
    highest_shown_rate_per_s,
)
from eprimg.kernels.r2star import fit_r2star
from tests.kernels.r2star_reference_object import decay, rician

TIMES_S = np.linspace(1.2e-3, 14e-3, 8)
"""Train of the reference object: its ends are those of the limits, 0.48 and 5.6 at 400 1/s."""


def judged(rate, snr, *, n=8, error=1.0, times=TIMES_S, sigma=1.0, noise="truncate", **how):
    one = np.ones(1)
    codes = error_range(
        rate * one,
        snr * one,
        error * one,
        n * np.ones(1, np.int16),
        echo_times_s=times,
        sigma=sigma,
        noise=noise,
        **how,
    )
    return ErrorRange(int(codes[0]))


@pytest.mark.parametrize(
    ("snr", "limit"),
    # 200 at 20, 400 from 50 on; halfway between the two in between
    [(20.0, 200.0), (35.0, 300.0), (50.0, 400.0), (500.0, 400.0)],
)
def test_the_rate_has_a_limit_at_every_signal_to_noise_ratio(snr, limit):
    assert highest_shown_rate_per_s(snr, TIMES_S) == pytest.approx(limit)
    assert judged(limit, snr) is ErrorRange.CALIBRATED  # the limit itself was measured
    assert judged(1.001 * limit, snr) is ErrorRange.HIGH_RATE
    assert judged(-5.0, snr) is ErrorRange.CALIBRATED


def test_below_the_lowest_ratio_nothing_was_shown():
    assert judged(10.0, 20.0) is ErrorRange.CALIBRATED
    assert judged(10.0, 19.9) is ErrorRange.LOW_SIGNAL
    assert highest_shown_rate_per_s(np.nan, TIMES_S) == -np.inf


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_a_longer_train_has_the_same_errors_at_lower_rates(factor):
    """S0 exp(-R TE) depends on the product alone."""
    limit = 400.0 / factor
    assert judged(0.999 * limit, 60.0, times=factor * TIMES_S) is ErrorRange.CALIBRATED
    assert judged(1.001 * limit, 60.0, times=factor * TIMES_S) is ErrorRange.HIGH_RATE


def test_the_last_echo_limits_a_train_that_begins_early():
    times = np.linspace(1.2e-3, 28e-3, 8)  # 5.6 / 28 ms = 200 1/s
    assert judged(199.0, 60.0, times=times) is ErrorRange.CALIBRATED
    assert judged(201.0, 60.0, times=times) is ErrorRange.HIGH_RATE


def test_a_shorter_train_shows_no_more_than_what_was_measured():
    assert judged(401.0, 60.0, times=TIMES_S / 4.0) is ErrorRange.HIGH_RATE


def test_four_echoes_have_to_be_in_the_fit():
    assert judged(50.0, 60.0, n=4) is ErrorRange.CALIBRATED
    assert judged(50.0, 60.0, n=3) is ErrorRange.FEW_ECHOES


def test_without_a_noise_mode_no_echo_may_lie_in_the_noise():
    # the decay meets 2.5 sigma at the last echo at ln(50 / 2.5) / 14 ms = 214.0 1/s
    for mode in ("none", None):
        assert judged(213.0, 50.0, noise=mode) is ErrorRange.CALIBRATED
        assert judged(215.0, 50.0, noise=mode) is ErrorRange.NOISE_FLOOR
    assert judged(215.0, 50.0, noise="truncate") is ErrorRange.CALIBRATED


@pytest.mark.parametrize("method", ["loglin", "arlo"])
def test_estimators_for_comparison_are_not_shown(method):
    assert judged(50.0, 60.0, method=method) is ErrorRange.NOT_SHOWN
    assert judged(50.0, 60.0, method="irls") is ErrorRange.CALIBRATED


def test_several_channels_are_shown_for_their_own_mean_magnitude_alone():
    assert judged(50.0, 60.0, n_coils=4, noise="truncate") is ErrorRange.NOT_SHOWN
    assert judged(50.0, 60.0, n_coils=4, noise="rician") is ErrorRange.CALIBRATED


def test_without_a_noise_level_or_an_error_it_is_said():
    assert judged(50.0, 60.0, sigma=None) is ErrorRange.UNKNOWN_NOISE
    assert judged(50.0, 60.0, error=np.nan) is ErrorRange.NO_ERROR
    assert judged(np.nan, np.nan, error=np.nan) is ErrorRange.NO_ERROR
    assert set(ERROR_RANGE_TEXT) == set(ErrorRange)


def test_any_shape_is_kept_and_blocks_do_not_show():
    n = 70_001  # more than one block
    rate = np.full(n, 50.0)
    rate[-1] = 900.0
    codes = error_range(
        rate, np.full(n, 60.0), np.ones(n), np.full(n, 8), echo_times_s=TIMES_S, sigma=1.0,
        noise="rician",
    )  # fmt: skip
    assert codes.shape == (n,)
    assert codes.dtype == np.uint8
    assert codes[-1] == ErrorRange.HIGH_RATE
    assert not codes[:-1].any()


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.inf])
def test_a_noise_level_that_is_none_is_refused(sigma):
    with pytest.raises(InputError) as caught:
        judged(50.0, 60.0, sigma=sigma)
    assert caught.value.code == "E_ARGUMENT"


def test_arrays_of_other_shapes_are_refused():
    one = np.ones(3)
    with pytest.raises(InputError):
        error_range(one, one, one, np.ones(2), echo_times_s=TIMES_S, sigma=1.0)


def coverage(rate, snr, mode, n_coils=1, n=3000):
    """Part of all voxels whose 95 % interval holds the truth, and the part called calibrated."""
    rng = np.random.default_rng([int(rate), int(snr), n_coils])
    clean = np.broadcast_to(decay(TIMES_S, snr / np.sqrt(n_coils), rate), (n, 8))
    power = sum(rician(clean, 1.0, rng) ** 2 for _ in range(n_coils))
    fit = fit_r2star(np.sqrt(power), TIMES_S, noise=mode, sigma=mode and 1.0, n_coils=n_coils)
    codes = error_range(
        fit.r2star_per_s, fit.s0, fit.r2star_se_per_s, fit.n_echoes, echo_times_s=TIMES_S,
        sigma=1.0, noise=mode, n_coils=n_coils,
    )  # fmt: skip
    known = np.isfinite(fit.r2star_se_per_s) & (fit.n_echoes > 2)
    reach = student.ppf(0.975, fit.n_echoes[known] - 2.0) * fit.r2star_se_per_s[known]
    held = np.abs(fit.r2star_per_s[known] - rate) <= reach
    return float(held.mean()), float(np.mean(codes == ErrorRange.CALIBRATED))


@pytest.mark.parametrize("mode", ["truncate", "rician"])
@pytest.mark.parametrize(("rate", "snr"), [(150.0, 25.0), (350.0, 60.0)])
def test_inside_the_range_intervals_hold_what_they_say(rate, snr, mode):
    """Sampling error of a share of 95 % of 3000 voxels: 0.4 points."""
    held, inside = coverage(rate, snr, mode)
    assert 0.93 <= held <= 0.97
    assert inside > 0.9


@pytest.mark.parametrize(
    ("rate", "snr", "mode", "n_coils"),
    [(600.0, 20.0, None, 1), (400.0, 20.0, None, 1), (100.0, 20.0, "truncate", 16)],
)
def test_where_intervals_are_known_to_fail_no_voxel_or_hardly_one_is_called_calibrated(
    rate, snr, mode, n_coils
):
    held, inside = coverage(rate, snr, mode, n_coils)
    assert held < 0.85
    assert inside < 0.05
