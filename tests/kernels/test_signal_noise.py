"""Noise level from air and from late echoes: objects of known sigma, and every reason for none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eprimg.errors import InputError
from eprimg.kernels.signal_noise import estimate_sigma
from tests.kernels.r2star_reference_object import ECHO_TIMES_S, rician

EVEN = ECHO_TIMES_S["8 even, 1.2-14 ms"]
UNEVEN = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
SHAPE = (10, 48, 48)


def scene(
    snr: float,
    *,
    air: float = 0.4,
    n_coils: int = 1,
    times: np.ndarray = EVEN,
    largest_per_s: float = 300.0,
    seed: int = 0,
) -> tuple[np.ndarray, float, np.ndarray]:
    """Decays and air under noise of known sigma, and where the decays are.

    The noise is made from its definition, real and imaginary part per channel (Gudbjartsson & Patz
    1995), with the sigma that the estimate must return.
    """
    rng = np.random.default_rng(seed)
    n = int(np.prod(SHAPE))
    rate = np.exp(rng.uniform(np.log(10.0), np.log(largest_per_s), n))
    s0 = rng.uniform(300.0, 1200.0, n)
    s0[rng.random(n) < air] = 0.0
    clean = s0[:, None] * np.exp(-rate[:, None] * times)
    sigma = 1000.0 / snr
    power = np.zeros(clean.shape)
    for _ in range(n_coils):
        power += rician(clean / np.sqrt(n_coils), sigma, rng) ** 2
    return np.sqrt(power).reshape(*SHAPE, times.size), sigma, (s0 > 0).reshape(SHAPE)


# -- background -----------------------------------------------------------------------------------


@pytest.mark.parametrize("snr", [20.0, 50.0, 200.0])
@pytest.mark.parametrize("air", [0.9, 0.4, 0.05])
def test_air_gives_sigma_within_two_percent(snr, air):
    stack, sigma, tissue = scene(snr, air=air)
    for mask in (None, tissue):
        found = estimate_sigma(stack, mask)
        assert found.method == "background"
        assert found.reason == ""
        assert found.sigma == pytest.approx(sigma, rel=0.02)
        # Between all of the air and a little tissue that looks like it.
        assert 0.9 * (~tissue).sum() < found.n_voxels < 1.05 * (~tissue).sum()


def test_the_standard_error_is_the_observed_scatter():
    # Only air, where the estimator has its textbook variance; 60 repeats know a scatter to
    # 1 / sqrt(120) = 9 %, so 4 of these.
    rng = np.random.default_rng(1)
    found = [
        estimate_sigma(rician(np.zeros((500, 6)), 3.0, rng), method="background") for _ in range(60)
    ]
    sigmas = np.array([each.sigma for each in found])
    assert np.std(sigmas) == pytest.approx(np.mean([each.sigma_se for each in found]), rel=0.37)
    assert np.mean(sigmas) == pytest.approx(3.0, abs=4 * np.std(sigmas) / np.sqrt(60) + 0.003)


@pytest.mark.parametrize("n_coils", [2, 8, 32])
def test_many_coils(n_coils):
    stack, sigma, tissue = scene(50.0, n_coils=n_coils)
    found = estimate_sigma(stack, n_coils=n_coils)
    assert found.method == "background"
    assert found.sigma == pytest.approx(sigma, rel=0.01)
    late = estimate_sigma(stack, tissue, n_coils, "late-echoes", echo_times_s=EVEN)
    assert late.sigma == pytest.approx(sigma, rel=0.05)
    # Noise of several coils is not Rayleigh noise of any sigma.
    wrong = estimate_sigma(stack, method="background")
    assert wrong.sigma is None
    assert "noise distribution" in wrong.reason


@pytest.mark.parametrize("sigma", [1.0, 2.5, 30.0])
def test_stored_integers(sigma):
    # Rounding adds a variance of 1/12 to each sample, whose mean square is 2 sigma**2: 2 % in
    # sigma at 1, nothing at 30.
    signal = np.round(rician(np.zeros((20, 20, 20, 6)), sigma, np.random.default_rng(2)))
    found = estimate_sigma(signal.astype(np.int16))
    assert found.sigma == pytest.approx(sigma * np.sqrt(1 + 1 / (24 * sigma**2)), rel=0.02)


def test_the_scale_and_the_layout_do_not_matter():
    stack, _, _ = scene(50.0)
    base = estimate_sigma(stack).sigma
    assert estimate_sigma(stack * 1e-6).sigma == pytest.approx(base * 1e-6, rel=1e-9)
    assert estimate_sigma(np.asfortranarray(stack)).sigma == pytest.approx(base, rel=1e-12)
    assert estimate_sigma(stack.astype(np.float32)).sigma == pytest.approx(base, rel=1e-5)


def test_a_few_bad_voxels_do_not_matter():
    stack, sigma, _ = scene(50.0)
    stack[0, :5] = np.nan
    stack[1, :5] = np.inf
    stack[2, :5] = -1.0
    assert estimate_sigma(stack).sigma == pytest.approx(sigma, rel=0.02)


# -- no background --------------------------------------------------------------------------------


def test_a_background_of_zeros_is_told():
    stack, sigma, tissue = scene(50.0)
    stack[~tissue] = 0.0
    found = estimate_sigma(stack, method="background")
    assert found == (None, None, None, 0, "the background was set to zero")
    auto = estimate_sigma(stack, echo_times_s=EVEN)
    assert auto.method == "late-echoes"
    assert auto.sigma == pytest.approx(sigma, rel=0.05)


def test_a_filtered_background_is_refused():
    stack, _, _ = scene(50.0)
    smooth = np.stack([gaussian_filter(stack[..., k], 1.0) for k in range(8)], axis=-1)
    found = estimate_sigma(smooth, method="background")
    assert found.sigma is None
    assert "noise distribution" in found.reason


@pytest.mark.parametrize("largest_per_s", [60.0, 300.0, 2000.0])
@pytest.mark.parametrize("snr", [20.0, 50.0])
def test_tissue_is_not_taken_for_air(snr, largest_per_s):
    stack, _, _ = scene(snr, air=0.0, largest_per_s=largest_per_s)
    assert estimate_sigma(stack, method="background").sigma is None


def test_nothing_at_all_has_a_reason():
    for stack in (np.zeros((500, 8)), np.ones((20, 8)), np.ones((0, 8)), np.ones(8)):
        found = estimate_sigma(stack, echo_times_s=EVEN)
        assert found.sigma is None
        assert found.sigma_se is None
        assert found.reason
    exact = 100.0 * np.exp(-50.0 * np.broadcast_to(EVEN, (500, 8)))
    found = estimate_sigma(exact, method="late-echoes", echo_times_s=EVEN)
    assert found.sigma is None
    assert "no scatter" in found.reason


# -- late echoes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [EVEN, UNEVEN, EVEN[:4]])
@pytest.mark.parametrize(("snr", "rate"), [(50.0, 20.0), (50.0, 400.0), (20.0, 100.0)])
def test_late_echoes_give_sigma_within_five_percent(times, snr, rate):
    clean = np.broadcast_to(1000.0 * np.exp(-rate * times), (4000, len(times)))
    stack = rician(clean, 1000.0 / snr, np.random.default_rng(3))
    found = estimate_sigma(stack, method="late-echoes", echo_times_s=times)
    assert found.method == "late-echoes"
    assert found.sigma == pytest.approx(1000.0 / snr, rel=0.05)
    assert 0.0 < found.sigma_se < 0.05 * found.sigma


def test_late_echoes_where_only_noise_is_left():
    # 800 1/s at SNR 20: from the third echo on there is nothing but noise.
    clean = np.broadcast_to(1000.0 * np.exp(-800.0 * EVEN), (4000, 8))
    stack = rician(clean, 50.0, np.random.default_rng(4))
    found = estimate_sigma(stack, method="late-echoes", echo_times_s=EVEN)
    assert found.sigma == pytest.approx(50.0, rel=0.05)


def test_late_echoes_need_their_times_and_four_of_them():
    stack, _, tissue = scene(50.0, air=0.0)
    without = estimate_sigma(stack)
    assert without.sigma is None
    assert "without their times" in without.reason
    with pytest.raises(InputError) as caught:
        estimate_sigma(stack, method="late-echoes")
    assert caught.value.code == "E_ARGUMENT"
    few = estimate_sigma(stack[..., :3], tissue, echo_times_s=EVEN[:3], method="late-echoes")
    assert few.sigma is None
    assert "too few" in few.reason


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stack", "options", "code"),
    [
        (np.float64(1.0), {}, "E_ARGUMENT"),
        (np.ones((5, 8), complex), {}, "E_ARGUMENT"),
        (np.ones((5, 8)), {"mask": np.ones(4, bool)}, "E_ARGUMENT"),
        (np.ones((5, 8)), {"mask": np.ones(5)}, "E_ARGUMENT"),
        (np.ones((5, 8)), {"method": "corner"}, "E_ARGUMENT"),
        (np.ones((5, 8)), {"n_coils": 0}, "E_ARGUMENT"),
        (np.ones((5, 8)), {"echo_times_s": [1.0, 2.0]}, "E_ECHO"),
    ],
)
def test_bad_arguments_are_refused(stack, options, code):
    with pytest.raises(InputError) as caught:
        estimate_sigma(stack, **options)
    assert caught.value.code == code


def test_a_median_that_jumps_between_two_voxels_is_settled():
    """500 voxels at 400 1/s: it jumped by 0.2 % for ever; sigma is 50."""
    times = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
    rng = np.random.default_rng([20_262, 1, 0, 5])
    clean = np.broadcast_to(1000.0 * np.exp(-400.0 * times), (500, times.size))
    found = estimate_sigma(rician(clean, 50.0, rng), echo_times_s=times)
    assert found.method == "late-echoes"
    assert found.sigma == pytest.approx(50.0, abs=3.0 * found.sigma_se)
