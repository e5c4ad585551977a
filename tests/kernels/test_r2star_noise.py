"""R2* near the noise floor: truncation and the fit of the mean magnitude."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import least_squares
from scipy.stats import ncx2, rice
from scipy.stats import t as student

from eprimg.errors import InputError
from eprimg.kernels._r2star_magnitude import (
    magnitude_table,
    mean_magnitude,
    variance_of_magnitude,
)
from eprimg.kernels.r2star import R2StarReason, fit_r2star
from eprimg.kernels.signal_noise import estimate_sigma
from tests.kernels.r2star_reference_object import ECHO_TIMES_S, rician

EVEN = ECHO_TIMES_S["8 even, 1.2-14 ms"]
UNEVEN = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
BACKENDS = ("numba", "numpy")
MODES = ("truncate", "rician")


def chi(clean: np.ndarray, sigma: float, n_coils: int, rng: np.random.Generator) -> np.ndarray:
    """Sum of squares over coils that see the same signal, from its definition."""
    power = np.zeros(clean.shape)
    for _ in range(n_coils):
        power += rician(clean / np.sqrt(n_coils), sigma, rng) ** 2
    return np.sqrt(power)


def voxels(rate, n: int, snr: float, times: np.ndarray = EVEN, seed: int = 0) -> np.ndarray:
    clean = np.broadcast_to(1000.0 * np.exp(-rate * times), (n, len(times)))
    return rician(clean, 1000.0 / snr, np.random.default_rng(seed))


def median_with_lost(fit) -> float:
    """Median over all voxels; those at the bound are above every value, not missing."""
    return float(np.median(np.where(fit.reason == R2StarReason.AT_BOUND, np.inf, fit.r2star_per_s)))


# -- mean magnitude -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_coils", [1, 2, 8, 32])
def test_mean_and_variance_of_the_magnitude_are_those_of_the_distribution(n_coils):
    table = magnitude_table(n_coils)
    u = np.array([0.0, 0.01, 0.7, 1.0, 3.3, 10.0, table.reach * 0.999, table.reach * 1.001, 500.0])
    mean, slope, bend = mean_magnitude(u, table)
    variance = variance_of_magnitude(u, mean, table)
    for k, signal in enumerate(u):
        if n_coils == 1:
            expected = rice.mean(signal) if signal < 30 else np.nan
        else:
            # E[sqrt(X)] of the non-central chi-squared X, by integration.
            law = ncx2(2 * n_coils, signal**2)
            ends = law.ppf([1e-15, 1 - 1e-15])
            expected = quad(lambda x, law=law: np.sqrt(x) * law.pdf(x), *ends, limit=200)[0]
            expected = expected if 0 < signal < 30 else np.nan
        if np.isfinite(expected):
            assert mean[k] == pytest.approx(expected, rel=1e-7)
            assert variance[k] == pytest.approx(2 * n_coils + signal**2 - expected**2, rel=1e-4)
    # Far above the noise: m = u + (N - 1/2) / u, variance 1.
    assert mean[-1] - 500.0 == pytest.approx((n_coils - 0.5) / 500.0, rel=0.02)
    assert variance[-1] == pytest.approx(1.0, abs=1e-3)
    # Derivatives: differences of the function itself, also across the end of the table.
    h = 1e-4
    around = [mean_magnitude(u + shift, table)[0] for shift in (-h, h)]
    np.testing.assert_allclose(slope[1:], ((around[1] - around[0]) / (2 * h))[1:], rtol=1e-4)
    np.testing.assert_allclose(
        bend[2:6], ((around[1] - 2 * mean + around[0]) / h**2)[2:6], atol=2e-3
    )


def test_the_table_is_finite_and_smooth_for_every_number_of_coils():
    for n_coils in range(1, 33):
        nodes = magnitude_table(n_coils).cubics[:, 0]
        assert np.isfinite(nodes).all()
        # m(u) has bounded derivatives: fourth differences of step 1/32 are below 1e-5.
        assert np.abs(np.diff(nodes, 4)).max() < 1e-5, n_coils


# -- rician ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("times", [EVEN, UNEVEN, EVEN[:3]])
def test_rician_is_least_squares_of_the_mean_of_the_distribution(backend, times):
    rng = np.random.default_rng(3)
    rate = rng.uniform(20.0, 400.0, 25)
    signal = rician(1000.0 * np.exp(-rate[:, None] * times), 30.0, rng)
    fit = fit_r2star(signal, times, noise="rician", sigma=30.0, backend=backend)
    assert (fit.reason == R2StarReason.OK).all()
    for voxel, samples in enumerate(signal):

        def residual(p, samples=samples):
            return samples - rice.mean(np.exp(p[0] - p[1] * times) / 30.0) * 30.0

        start = (np.log(1000.0), rate[voxel])
        best = least_squares(
            residual, start, x_scale=(1.0, 100.0), xtol=1e-13, ftol=1e-13, gtol=1e-13
        )
        cost = np.sum(residual((np.log(fit.s0[voxel]), fit.r2star_per_s[voxel])) ** 2)
        assert cost <= 2.0 * best.cost * (1.0 + 1e-7) + 1e-6
        assert fit.r2star_per_s[voxel] == pytest.approx(best.x[1], rel=1e-4, abs=1e-3)
        assert fit.s0[voxel] == pytest.approx(np.exp(best.x[0]), rel=1e-4)
        assert fit.rmse[voxel] == pytest.approx(np.sqrt(2 * best.cost / len(times)), rel=1e-4)
        total = np.sum((samples - samples.mean()) ** 2)
        assert fit.r2[voxel] == pytest.approx(1.0 - 2 * best.cost / total, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_coils", [1, 4, 32])
def test_the_expected_magnitude_gives_back_the_decay(n_coils, backend):
    # Samples that are the mean of the distribution: the fit must return the decay they came from.
    rate = np.array([5.0, 50.0, 300.0, 700.0])
    u = 50.0 * np.exp(-rate[:, None] * UNEVEN)
    mean = mean_magnitude(u, magnitude_table(n_coils))[0]  # compared with scipy above
    options = {"sigma": 20.0, "n_coils": n_coils, "low_signal_sigmas": 0.0, "backend": backend}
    fit = fit_r2star(20.0 * mean, UNEVEN, noise="rician", **options)
    np.testing.assert_allclose(fit.r2star_per_s, rate, rtol=1e-6)
    np.testing.assert_allclose(fit.s0, 1000.0, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_far_above_the_noise_rician_is_plain_least_squares(backend):
    signal = voxels(40.0, 50, 1e5)
    plain = fit_r2star(signal, EVEN, backend=backend)
    fit = fit_r2star(signal, EVEN, noise="rician", sigma=0.01, backend=backend)
    np.testing.assert_allclose(fit.r2star_per_s, plain.r2star_per_s, rtol=1e-6)
    for field in ("r2star_se_per_s", "s0_se", "r2star_s0_cov_per_s", "rmse"):
        np.testing.assert_allclose(getattr(fit, field), getattr(plain, field), rtol=1e-3)


def test_a_decay_that_is_gone_after_the_first_echo_is_at_the_bound():
    # Rate so high that the second echo holds exp(-11): every later sample at or below the mean of
    # pure noise, sqrt(pi / 2) sigma, leaves the rate without an upper end.
    signal = np.array([100.0, 1.2, 1.1, 1.25, 1.0, 1.2, 1.1, 1.2])
    for backend in BACKENDS:
        fit = fit_r2star(signal, EVEN, noise="rician", sigma=1.0, backend=backend)
        assert fit.reason == R2StarReason.AT_BOUND
        assert np.isnan(fit.r2star_per_s)
        assert fit.n_echoes == 0


# -- both modes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_numpy_and_numba_agree(mode, dtype, times):
    rng = np.random.default_rng(5)
    rate = np.exp(rng.uniform(np.log(10.0), np.log(900.0), 3000))
    signal = rician(1000.0 * np.exp(-rate[:, None] * times), 40.0, rng).astype(dtype)
    a, b = (fit_r2star(signal, times, noise=mode, sigma=40.0, backend=k) for k in BACKENDS)
    # A voxel whose minimum lies where the rate has no upper end may be given up by one of them.
    same = (a.reason == b.reason) & (a.n_echoes == b.n_echoes)
    assert same.mean() > 0.999
    for field in ("r2star_per_s", "s0", "r2star_se_per_s", "s0_se", "r2star_s0_cov_per_s", "rmse"):
        x, y = getattr(a, field)[same], getattr(b, field)[same]
        np.testing.assert_allclose(x, y, rtol=1e-5 if dtype == np.float32 else 1e-6, atol=1e-9)


BOUNDS = (  # SNR, R2*, largest |median bias| in percent (shared reference mri.md, section 6)
    (50.0, 50.0, 0.5),
    (50.0, 100.0, 0.5),
    (50.0, 200.0, 0.5),
    (50.0, 400.0, 1.0),
    (50.0, 600.0, 3.0),
    (50.0, 800.0, 3.0),
    (20.0, 400.0, 10.0),
    (20.0, 600.0, 10.0),
    (20.0, 800.0, 10.0),
)


@pytest.mark.parametrize("times", [EVEN, UNEVEN])
@pytest.mark.parametrize(("snr", "rate", "bound"), BOUNDS)
def test_bias_with_an_estimated_sigma(snr, rate, bound, times):
    signal = voxels(rate, 6000, snr, times, seed=int(rate + snr))
    sigma = estimate_sigma(signal, echo_times_s=times).sigma
    assert sigma == pytest.approx(1000.0 / snr, rel=0.05)
    # 3 standard errors of a median, 1.2533 sd / sqrt(n), on top of the bound.
    plain = fit_r2star(signal, times)
    for mode in MODES:
        fit = fit_r2star(signal, times, noise=mode, sigma=sigma)
        percent = 100.0 * (fit.r2star_per_s / rate - 1.0)
        low, high = np.nanquantile(percent, (0.25, 0.75))
        allowed = bound + 3 * 1.2533 * (high - low) / 1.349 / np.sqrt(6000)
        bias = 100.0 * (median_with_lost(fit) / rate - 1.0)
        assert abs(bias) <= allowed, mode
        # Where the floor matters, both must do better than doing nothing.
        if rate >= 400.0:
            plain_bias = 100.0 * (np.median(plain.r2star_per_s) / rate - 1.0)
            assert abs(bias) < 0.5 * abs(plain_bias)


def test_root_mean_square_error_is_that_of_least_squares():
    # shared reference mri.md section 3, row NLLS: 2.0, 2.4, 3.2, 5.6, 16.4 1/s; at most 5 % more,
    # plus half a unit of the last digit and 4 standard errors 1 / sqrt(2 n).
    rng = np.random.default_rng(6)
    rate = np.exp(rng.uniform(np.log(10.0), np.log(400.0), 40_000))
    signal = rng.uniform(800.0, 1200.0, rate.size)[:, None] * rician(
        np.exp(-rate[:, None] * EVEN), 0.02, rng
    )
    sigma = estimate_sigma(signal, echo_times_s=EVEN).sigma
    for mode in MODES:
        error = fit_r2star(signal, EVEN, noise=mode, sigma=sigma).r2star_per_s - rate
        for low, high, reference in (
            (10.0, 30.0, 2.0),
            (30.0, 60.0, 2.4),
            (60.0, 100.0, 3.2),
            (100.0, 200.0, 5.6),
            (200.0, 400.0, 16.4),
        ):
            inside = (rate >= low) & (rate < high)
            rmse = np.sqrt(np.mean(error[inside] ** 2))
            margin = 1.05 * (1 + 4 / np.sqrt(2 * inside.sum()))
            assert rmse <= (reference + 0.05) * margin, (mode, low)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_95_percent_intervals_cover_95_percent(mode, times):
    # Definition of the interval; voxels that keep four echoes or more.
    for snr, rates in ((50.0, (20.0, 200.0, 400.0)), (20.0, (20.0, 100.0, 200.0))):
        for rate in rates:
            signal = voxels(rate, 8000, snr, times, seed=7)
            fit = fit_r2star(signal, times, noise=mode, sigma=1000.0 / snr)
            used = fit.n_echoes >= 4
            assert used.mean() > 0.95
            quantile = student.ppf(0.975, fit.n_echoes[used] - 2)
            for value, error, true in (
                (fit.r2star_per_s, fit.r2star_se_per_s, rate),
                (fit.s0, fit.s0_se, 1000.0),
            ):
                inside = np.abs(value[used] - true) <= quantile * error[used]
                # 0.93 to 0.97, and 2.5 standard errors of a share of 8000.
                assert 0.93 - 0.007 <= inside.mean() <= 0.97 + 0.007, (snr, rate)


@pytest.mark.parametrize("n_coils", [4, 16])
def test_many_coils_need_the_chi_distribution(n_coils):
    rng = np.random.default_rng(9)
    clean = np.broadcast_to(1000.0 * np.exp(-300.0 * EVEN), (3000, 8))
    signal = chi(clean, 20.0, n_coils, rng)
    right = fit_r2star(signal, EVEN, noise="rician", sigma=20.0, n_coils=n_coils)
    wrong = fit_r2star(signal, EVEN, noise="rician", sigma=20.0)
    assert median_with_lost(right) == pytest.approx(300.0, rel=0.01)
    assert median_with_lost(wrong) < 285.0
    cut = fit_r2star(signal, EVEN, noise="truncate", sigma=20.0, n_coils=n_coils)
    plain = np.median(fit_r2star(signal, EVEN).r2star_per_s)
    assert abs(np.median(cut.r2star_per_s) - 300.0) < abs(plain - 300.0)


# -- truncation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["nlls", "irls", "loglin", "arlo"])
def test_truncation_leaves_out_what_lies_below_the_limit(backend, method):
    # Without noise the decay itself says which echoes are above 2.5 sigma; the mean magnitude there
    # is rice.mean(2.5) = 2.71 sigma.
    signal = 1000.0 * np.exp(-300.0 * EVEN)
    options = {"method": method, "backend": backend}
    fit = fit_r2star(signal, EVEN, noise="truncate", sigma=20.0, **options)
    assert fit.n_echoes == np.count_nonzero(signal > rice.mean(2.5) * 20.0) == 5
    alone = fit_r2star(signal[:5], EVEN[:5], **options)
    assert float(fit.r2star_per_s) == pytest.approx(float(alone.r2star_per_s), rel=1e-9)
    assert float(fit.r2star_se_per_s) == pytest.approx(float(alone.r2star_se_per_s), abs=1e-6)
    fit = fit_r2star(
        signal, EVEN, noise="truncate", sigma=200.0, low_signal_sigmas=1.0, min_echoes=4, **options
    )
    assert fit.n_echoes == 4
    fit = fit_r2star(signal, EVEN, noise="truncate", sigma=200.0, low_signal_sigmas=1.0, **options)
    assert fit.n_echoes == (3 if method == "arlo" else 2)


def test_truncation_changes_nothing_above_the_limit():
    signal = voxels(30.0, 200, 100.0)
    plain = fit_r2star(signal, EVEN)
    fit = fit_r2star(signal, EVEN, noise="truncate", sigma=10.0)
    for a, b in zip(plain, fit, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_late_zero_is_below_the_noise_and_costs_nothing(mode, backend):
    # Stored integers: with sigma 0.4 a late echo is often 0.
    rng = np.random.default_rng(10)
    clean = np.broadcast_to(20.0 * np.exp(-300.0 * EVEN), (4000, 8))
    signal = np.round(rician(clean, 0.4, rng))
    assert (signal == 0).any(axis=1).mean() > 0.3
    fit = fit_r2star(signal, EVEN, noise=mode, sigma=0.4, backend=backend)
    assert (fit.reason == R2StarReason.OK).mean() > 0.99
    assert median_with_lost(fit) == pytest.approx(300.0, rel=0.05)
    plain = fit_r2star(signal, EVEN, backend=backend)
    assert (plain.reason == R2StarReason.NON_POSITIVE).mean() > 0.3


# -- reasons, layout, arguments -------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", MODES)
def test_voxels_without_a_value_say_why(backend, mode):
    good = 1000.0 * np.exp(-40.0 * EVEN)
    signal = np.tile(good, (8, 1))
    signal[1] *= 0.05  # 50 sigma becomes 2.4
    signal[2, 3] = np.nan
    signal[3, 0] = 0.0
    signal[4, 5] = -1.0
    mask = np.ones(8, bool)
    mask[5] = False
    sigma = np.full(8, 20.0)
    sigma[6], sigma[7] = np.nan, 0.0
    fit = fit_r2star(signal, EVEN, noise=mode, sigma=sigma, mask=mask, backend=backend)
    R = R2StarReason
    assert fit.reason.tolist() == [
        R.OK,
        R.LOW_SIGNAL,
        R.NON_FINITE,
        R.NON_POSITIVE,
        R.NON_POSITIVE,
        R.MASKED,
        R.NO_SIGMA,
        R.NO_SIGMA,
    ]
    for field in fit:
        if field.dtype.kind == "f":
            assert np.isfinite(field[0])
            assert np.isnan(field[1:]).all()
    assert fit.n_echoes.tolist() == [8] + [0] * 7


@pytest.mark.parametrize("mode", MODES)
def test_a_map_of_sigma_threads_and_layout(mode):
    rng = np.random.default_rng(11)
    rate = rng.uniform(20.0, 500.0, (7, 9, 11))
    sigma = rng.uniform(10.0, 40.0, rate.shape)
    clean = 1000.0 * np.exp(-rate[..., None] * EVEN)
    signal = np.hypot(
        clean + sigma[..., None] * rng.normal(size=clean.shape),
        sigma[..., None] * rng.normal(size=clean.shape),
    ).astype(np.float32)
    base = fit_r2star(signal, EVEN, noise=mode, sigma=sigma, threads=1)
    for layout, level in (
        (np.asfortranarray(signal), sigma),
        (np.moveaxis(np.moveaxis(signal, -1, 0).copy(), 0, -1), np.asfortranarray(sigma)),
        (np.pad(signal, [(1, 1)] * 4)[1:-1, 1:-1, 1:-1, 1:-1], sigma.astype(np.float64)),
    ):
        fit = fit_r2star(layout, EVEN, noise=mode, sigma=level, threads=2)
        # Neighbours share a block until all have settled, which may move the last bit.
        for a, b in zip(base, fit, strict=True):
            np.testing.assert_allclose(a, b, rtol=3e-7)
    one = fit_r2star(signal[3, 4, 5], EVEN, noise=mode, sigma=float(sigma[3, 4, 5]))
    assert float(one.r2star_per_s) == pytest.approx(float(base.r2star_per_s[3, 4, 5]), rel=3e-7)


@pytest.mark.parametrize("mode", MODES)
def test_scale_does_not_matter(mode):
    signal = voxels(250.0, 300, 30.0)
    one = fit_r2star(signal, EVEN, noise=mode, sigma=33.0)
    two = fit_r2star(signal * 1e-6, EVEN, noise=mode, sigma=33e-6)
    np.testing.assert_allclose(two.r2star_per_s, one.r2star_per_s, rtol=1e-7)
    np.testing.assert_allclose(two.s0_se, one.s0_se * 1e-6, rtol=1e-6)


def test_sigma_is_estimated_when_it_is_not_given():
    signal = voxels(250.0, 3000, 30.0)
    found = estimate_sigma(signal, echo_times_s=EVEN)
    given = fit_r2star(signal, EVEN, noise="rician", sigma=found.sigma)
    asked = fit_r2star(signal, EVEN, noise="rician")
    np.testing.assert_array_equal(asked.r2star_per_s, given.r2star_per_s)
    with pytest.raises(InputError, match="cannot be estimated") as caught:
        fit_r2star(signal[:, :2], EVEN[:2], noise="rician")
    assert caught.value.code == "E_NOISE"


@pytest.mark.parametrize(
    "options",
    [
        {"noise": "gauss"},
        {"noise": "rician", "sigma": 0.0},
        {"noise": "rician", "sigma": np.nan},
        {"noise": "rician", "sigma": np.ones(3)},
        {"noise": "rician", "sigma": 1.0, "method": "irls"},
        {"noise": "rician", "sigma": 1.0, "n_coils": 0},
        {"noise": "rician", "sigma": 1.0, "n_coils": 1.5},
        {"noise": "rician", "sigma": 1.0, "n_coils": 33},
        {"noise": "truncate", "sigma": 1.0, "min_echoes": 1},
        {"noise": "truncate", "sigma": 1.0, "truncate_sigmas": -1.0},
        {"noise": "truncate", "sigma": 1.0, "truncate_sigmas": "2.5"},
        {"noise": "truncate", "sigma": 1.0, "truncate_sigmas": None},
        {"noise": "truncate", "sigma": 1.0, "truncate_sigmas": [2.5, 2.5]},
        {"noise": "truncate", "sigma": 1.0, "min_echoes": "two"},
        {"noise": "truncate", "sigma": 1.0, "min_echoes": np.nan},
        {"noise": "rician", "sigma": 1.0, "n_coils": "one"},
        {"noise": "truncate", "sigma": 1.0, "low_signal_sigmas": np.inf},
        {"sigma": 1.0},
    ],
)
def test_bad_noise_arguments_are_refused(options):
    with pytest.raises(InputError) as caught:
        fit_r2star(np.ones((2, 8)), EVEN, **options)
    assert caught.value.code == "E_ARGUMENT"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
def test_leading_shapes(mode, shape):
    signal = np.broadcast_to(100.0 * np.exp(-40.0 * EVEN), (*shape, 8))
    fit = fit_r2star(signal, EVEN, noise=mode, sigma=0.1)
    assert all(field.shape == shape for field in fit)
    np.testing.assert_allclose(fit.r2star_per_s, 40.0, rtol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_working_memory_is_a_few_chunks(mode):
    signal = np.tile(voxels(200.0, 6000, 30.0).astype(np.float32), (100, 1))
    options = {"noise": mode, "sigma": 33.0, "threads": 1}
    fit_r2star(signal[:100], EVEN, **options)
    tracemalloc.start()
    fit = fit_r2star(signal, EVEN, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A chunk is 1 MB in float64; the input, 19 MB, must not be copied.
    assert peak - sum(field.nbytes for field in fit) <= 8e6


def test_both_rician_versions_use_the_same_settings(monkeypatch):
    from eprimg.kernels import _r2star_rician_numba, _r2star_rician_numpy

    names = [n for n in vars(_r2star_rician_numpy) if n.isupper() and n != "NDArray"]
    assert len(names) == 9
    for name in names:
        assert getattr(_r2star_rician_numba, name) == getattr(_r2star_rician_numpy, name), name
    monkeypatch.setitem(sys.modules, "eprimg.kernels._r2star_numba", None)
    fit = fit_r2star(voxels(50.0, 3, 50.0), EVEN, noise="rician", sigma=20.0)
    assert (fit.reason == R2StarReason.OK).all()
