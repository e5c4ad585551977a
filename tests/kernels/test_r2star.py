"""R2* fit: closed forms, scipy, the Rician reference object, and every way to fail."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels.r2star import R2STAR_REASON_TEXT, R2StarReason, fit_r2star
from tests.kernels.r2star_reference_object import (
    ECHO_TIMES_S,
    cells,
    markdown,
    rician,
    scipy_fit,
    summary,
)

TRUTH = Path(__file__).resolve().parents[1] / "truth"
EVEN = ECHO_TIMES_S["8 even, 1.2-14 ms"]
UNEVEN = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
BACKENDS = ("numba", "numpy")
FLOATS = (0, 1, 2, 3)  # positions of the float fields in R2StarFit


def noisy(n: int, echo_times_s: np.ndarray, seed: int = 0, snr: float = 50.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.uniform(np.log(10.0), np.log(300.0), n))
    return rician(1000.0 * np.exp(-rate[:, None] * echo_times_s), 1000.0 / snr, rng)


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["nlls", "loglin"])
@pytest.mark.parametrize("echo_times_s", [EVEN, UNEVEN, EVEN[:2], UNEVEN[:3], np.array([0.5, 1.0])])
def test_noiseless_decay_is_recovered(backend, method, echo_times_s):
    last = echo_times_s[-1]
    rate = np.array([-0.5, 1e-4, 0.14, 1.4, 5.6, 11.2, 30.0]) / last
    signal = 512.0 * np.exp(-rate[:, None] * echo_times_s)
    fit = fit_r2star(signal, echo_times_s, method=method, backend=backend)
    np.testing.assert_allclose(fit.r2star_per_s, rate, rtol=1e-8, atol=1e-9 / last)
    np.testing.assert_allclose(fit.s0, 512.0, rtol=1e-7)
    assert (fit.reason == R2StarReason.OK).all()
    assert (fit.n_echoes == len(echo_times_s)).all()
    if len(echo_times_s) > 2:
        np.testing.assert_allclose(fit.r2[2:], 1.0, atol=1e-9)
        np.testing.assert_allclose(fit.r2star_se_per_s * last, 0.0, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_echoes_have_a_value_but_no_error(backend):
    # Closed form: R2* = ln(S1 / S2) / (TE2 - TE1).
    fit = fit_r2star(np.array([300.0, 200.0]), [0.004, 0.009], backend=backend)
    assert float(fit.r2star_per_s) == pytest.approx(np.log(1.5) / 0.005, rel=1e-12)
    assert float(fit.s0) == pytest.approx(300.0 * 1.5**0.8, rel=1e-12)
    assert np.isnan(fit.r2star_se_per_s)
    assert np.isnan(fit.r2)
    assert fit.n_echoes == 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("echo_times_s", [EVEN, UNEVEN, EVEN[:3]])
def test_equals_scipy_curve_fit_voxel_by_voxel(backend, echo_times_s):
    signal = noisy(300, echo_times_s)
    values, errors = scipy_fit(signal, echo_times_s)
    fit = fit_r2star(signal, echo_times_s, backend=backend)
    # curve_fit stops at ftol = 1.5e-8 of the cost, hence its distance from the minimum.
    np.testing.assert_allclose(fit.r2star_per_s, values, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(fit.r2star_se_per_s, errors, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_loglin_equals_the_textbook_regression(backend):
    from scipy.stats import linregress

    signal = noisy(50, UNEVEN)
    fit = fit_r2star(signal, UNEVEN, method="loglin", backend=backend)
    for voxel, samples in enumerate(signal):
        line = linregress(UNEVEN, np.log(samples))
        assert fit.r2star_per_s[voxel] == pytest.approx(-line.slope, rel=1e-9)
        assert fit.r2star_se_per_s[voxel] == pytest.approx(line.stderr, rel=1e-7)
        assert fit.s0[voxel] == pytest.approx(np.exp(line.intercept), rel=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_r2_is_the_coefficient_of_determination_of_the_signal(backend):
    signal = noisy(40, UNEVEN)
    for method in ("nlls", "loglin"):
        fit = fit_r2star(signal, UNEVEN, method=method, backend=backend)
        curve = fit.s0[:, None] * np.exp(-fit.r2star_per_s[:, None] * UNEVEN)
        rss = ((signal - curve) ** 2).sum(axis=1)
        tss = ((signal - signal.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        np.testing.assert_allclose(fit.r2, 1.0 - rss / tss, rtol=1e-6)


def test_a_rising_signal_gives_a_negative_rate():
    fit = fit_r2star(np.array([100.0, 104.0, 109.0, 112.0]), UNEVEN[:4])
    values, _ = scipy_fit(np.array([[100.0, 104.0, 109.0, 112.0]]), UNEVEN[:4])
    assert values[0] < 0
    assert float(fit.r2star_per_s) == pytest.approx(values[0], rel=1e-4)


def test_a_constant_signal_has_no_r2():
    fit = fit_r2star(np.full(8, 7.0), EVEN)
    assert float(fit.r2star_per_s) == pytest.approx(0.0, abs=1e-9)
    assert float(fit.s0) == pytest.approx(7.0)
    assert float(fit.r2star_se_per_s) == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(fit.r2)


# -- accuracy -------------------------------------------------------------------------------------


def test_reference_object_has_the_bias_and_rmse_of_scipy():
    # Same voxels, same estimator: the two may differ by a small part of the statistical error of
    # the row.  5 % of one standard error, sd / sqrt(n), is far inside "within noise".
    n = 150
    rows = cells(n)
    assert len(rows) == 72
    for cell in rows:
        # At SNR 20 and 800 1/s curve_fit itself gives up on a few voxels in a hundred.
        both = np.isfinite(cell.ours) & np.isfinite(cell.scipy)
        assert np.isfinite(cell.ours).all()
        assert both.mean() > 0.9
        bias, rmse, _ = summary(cell.ours[both], cell.true_per_s)
        bias_scipy, rmse_scipy, spread = summary(cell.scipy[both], cell.true_per_s)
        allowed = 0.05 * max(spread, rmse_scipy) / np.sqrt(n)
        assert abs(bias - bias_scipy) * cell.true_per_s / 100.0 <= allowed, cell[:3]
        assert rmse == pytest.approx(rmse_scipy, abs=allowed), cell[:3]
        if np.isfinite(cell.ours_se).any() and cell.true_per_s * EVEN[-1] < 3:
            # Where the noise floor is far away the stated error is the observed scatter:
            # the median of a chi with 6 degrees of freedom is 0.944 of its root mean square.
            # The scatter of n values is known to 1 / sqrt(2 n); 4 of these plus 5 %.
            scatter = np.std(cell.ours)
            assert np.median(cell.ours_se) == pytest.approx(
                0.944 * scatter, rel=0.05 + 4 / np.sqrt(2 * n)
            ), cell[:3]


def test_published_accuracy_of_the_peers_is_met():
    truth = json.loads((TRUTH / "r2star_mri_section3.json").read_text())
    rng = np.random.default_rng(1)
    for case in truth["cases"]:
        low, high = case["range_per_s"]
        rate = np.exp(rng.uniform(np.log(low), np.log(high), 60_000))
        s0 = rng.uniform(800.0, 1200.0, rate.size)[:, None]
        signal = s0 * rician(np.exp(-rate[:, None] * EVEN), 1.0 / case["snr"], rng)
        found = fit_r2star(signal.astype(np.float32), EVEN).r2star_per_s
        for row in case["bins"]:
            inside = (rate >= row["from"]) & (rate < row["to"])
            n = int(inside.sum())
            error = found[inside] - rate[inside]
            rmse = np.sqrt(np.mean(error**2))
            percent = 100.0 * error / rate[inside]
            low_q, high_q = np.quantile(percent, (0.25, 0.75))
            bias_error = 4 * 1.2533 * (high_q - low_q) / 1.349 / np.sqrt(n)
            assert rmse == pytest.approx(
                row["rmse_per_s"], abs=0.05, rel=0.05 + 4 / np.sqrt(2 * n)
            ), row
            assert np.median(percent) == pytest.approx(
                row["bias_percent"], abs=0.05 + 0.3 + bias_error
            ), row


def test_the_table_of_the_docs_can_be_written():
    text = markdown(4)
    assert text.count("\n| ") >= 72
    assert "2 echoes" in text


def test_real_three_echo_brain_has_the_reference_median(real_data):
    # mri.md section 5, last column: 28.89 [19.92, 38.18] 1/s over 15309 voxels; scipy: 28.85.
    import nibabel

    # One file holds the echoes on its last axis; the samples are near 3e-4.
    data = np.asarray(nibabel.load(real_data / "mri" / "brain_gre3e_nifti" / "Mag.nii").dataobj)
    assert data.shape[-1] == 3
    box = tuple(slice(n // 4, n - n // 4) for n in data.shape[:3])
    first = data[..., 0]
    inside = np.zeros(first.shape, bool)
    inside[box] = first[box] > 0.3 * np.quantile(first, 0.99)
    for factor in (1.0, 1e6):
        fit = fit_r2star(data * np.float32(factor), [0.004, 0.008, 0.012], mask=inside)
        assert np.nanmedian(fit.r2star_per_s) == pytest.approx(28.89, rel=0.01)


# -- scale, order, memory layout ------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_scale_does_not_matter(backend, dtype, factor):
    signal = noisy(200, EVEN)
    base = fit_r2star(signal.astype(dtype), EVEN, backend=backend)
    scaled = fit_r2star((signal * factor).astype(dtype), EVEN, backend=backend)
    # The samples themselves are rounded anew in float32, which moves a fit by about 1e-7 / 0.1.
    tolerance = 1e-5 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(scaled.r2star_per_s, base.r2star_per_s, rtol=tolerance)
    np.testing.assert_allclose(scaled.s0, base.s0 * factor, rtol=tolerance)
    np.testing.assert_allclose(scaled.r2star_se_per_s, base.r2star_se_per_s, rtol=10 * tolerance)


@settings(max_examples=60, deadline=None)
@given(
    exponent=st.floats(-6.0, 6.0),
    rate=st.floats(-20.0, 900.0),
    seed=st.integers(0, 1000),
    backend=st.sampled_from(BACKENDS),
)
def test_scaling_property(exponent, rate, seed, backend):
    rng = np.random.default_rng(seed)
    signal = rician(np.exp(-rate * UNEVEN), 0.02, rng).astype(np.float32)
    scaled = (signal * np.float32(10.0**exponent)).astype(np.float32)
    base = fit_r2star(signal, UNEVEN, backend=backend)
    other = fit_r2star(scaled, UNEVEN, backend=backend)
    assert float(other.r2star_per_s) == pytest.approx(float(base.r2star_per_s), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_do_not_leave_the_range_of_float32(scale):
    signal = (np.exp(-100.0 * EVEN) * scale).astype(np.float32)
    fit = fit_r2star(signal, EVEN)
    assert float(fit.r2star_per_s) == pytest.approx(100.0, rel=1e-5)
    assert float(fit.s0) == pytest.approx(scale, rel=1e-5)


@settings(max_examples=200, deadline=None)
@given(
    samples=st.lists(st.floats(np.float64("1e-300"), 1e300), min_size=3, max_size=9),
    method=st.sampled_from(["nlls", "loglin"]),
)
def test_any_positive_samples_give_a_value_or_a_reason(samples, method):
    times = np.linspace(0.001, 0.012, len(samples))
    results = [fit_r2star(np.array(samples), times, method=method, backend=b) for b in BACKENDS]
    for fit in results:
        assert fit.reason in (R2StarReason.OK, R2StarReason.NOT_CONVERGED)
        ok = fit.reason == R2StarReason.OK
        assert np.isfinite(fit.r2star_per_s) == ok
        assert np.isfinite(fit.s0) == ok
        assert (fit.n_echoes > 0) == ok
    if max(samples) < 1e10 * min(samples):  # beyond, rounding may choose between two minima
        assert results[0].reason == results[1].reason


@pytest.mark.parametrize("method", ["nlls", "loglin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_echoes", [2, 3, 8, 12])
@pytest.mark.parametrize("even", [True, False])
def test_numpy_and_numba_agree(method, dtype, n_echoes, even):
    times = np.linspace(1.1e-3, 13.2e-3, n_echoes)
    if not even:
        times = times**1.1
    signal = noisy(5000, times, snr=30.0).astype(dtype)
    a = fit_r2star(signal, times, method=method, backend="numpy")
    b = fit_r2star(signal, times, method=method, backend="numba")
    np.testing.assert_array_equal(a.reason, b.reason)
    np.testing.assert_array_equal(a.n_echoes, b.n_echoes)
    for k in FLOATS:
        np.testing.assert_allclose(a[k], b[k], rtol=1e-6, atol=1e-9, err_msg=a._fields[k])


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_and_neighbours_do_not_change_bits(backend):
    signal = noisy(40_000, EVEN).astype(np.float32)
    one = fit_r2star(signal, EVEN, threads=1, backend=backend)
    two = fit_r2star(signal, EVEN, threads=2, backend=backend)
    default = fit_r2star(signal, EVEN, backend=backend)
    shifted = fit_r2star(signal[777:1501], EVEN, backend=backend)
    for k in range(6):
        np.testing.assert_array_equal(one[k], two[k])
        np.testing.assert_array_equal(one[k], default[k])
        np.testing.assert_array_equal(one[k][777:1501], shifted[k])


def test_calls_from_several_threads_at_once_are_safe():
    signal = noisy(40_000, EVEN).astype(np.float32)
    expected = fit_r2star(signal, EVEN, threads=1).r2star_per_s
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fit_r2star(signal, EVEN, threads=2), range(4)))
    for fit in found:
        np.testing.assert_array_equal(fit.r2star_per_s, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_memory_layout_gives_the_same_numbers(backend):
    signal = noisy(4 * 5 * 6, EVEN).reshape(4, 5, 6, 8).astype(np.float32)
    mask = np.random.default_rng(3).random((4, 5, 6)) < 0.7
    expected = fit_r2star(signal, EVEN, mask=mask, backend=backend)
    read_only = signal.copy()
    read_only.flags.writeable = False
    layouts = {
        "fortran": np.asfortranarray(signal),
        "echo first": np.moveaxis(np.moveaxis(signal, -1, 0).copy(), 0, -1),
        "cut": np.pad(signal, [(1, 1)] * 4)[1:-1, 1:-1, 1:-1, 1:-1],
        "reversed": signal[::-1, :, ::-1, ::-1].copy()[::-1, :, ::-1, ::-1],
        "swapped": np.swapaxes(np.swapaxes(signal, 0, 1).copy(), 0, 1),
        "big endian": signal.astype(">f4"),
        "unaligned": np.frombuffer(b"x" + signal.tobytes(), np.uint8)[1:]
        .view(np.float32)
        .reshape(signal.shape),
        "read-only": read_only,
    }
    for name, layout in layouts.items():
        before = layout.copy()
        fit = fit_r2star(layout, EVEN, mask=mask, backend=backend)
        np.testing.assert_array_equal(layout, before)
        for k in range(6):
            np.testing.assert_array_equal(fit[k], expected[k], err_msg=name)
            assert fit[k].dtype == expected[k].dtype
            assert fit[k].dtype.isnative


@pytest.mark.parametrize("backend", BACKENDS)
def test_echo_axis_may_be_a_subset(backend):
    signal = noisy(100, EVEN)
    odd = fit_r2star(signal[:, ::2], EVEN[::2], backend=backend)
    copied = fit_r2star(signal[:, ::2].copy(), EVEN[::2], backend=backend)
    np.testing.assert_array_equal(odd.r2star_per_s, copied.r2star_per_s)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 2), (0,), (4, 0, 2), (130,)])
def test_leading_shapes(backend, shape):
    signal = np.broadcast_to(100.0 * np.exp(-40.0 * EVEN), (*shape, 8))
    for value in (signal, signal.copy()):
        fit = fit_r2star(value, EVEN, backend=backend)
        for field in fit:
            assert field.shape == shape
        np.testing.assert_allclose(fit.r2star_per_s, 40.0, rtol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("given_type", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("f2", "f4"), ("u2", "f4"), ("i2", "f4"), ("i8", "f4")],
)
def test_type_in_is_type_out(backend, given_type, expected):
    signal = np.round(1000.0 * np.exp(-40.0 * EVEN)).astype(given_type)
    fit = fit_r2star(signal, EVEN, backend=backend)
    for k in FLOATS:
        assert fit[k].dtype == np.dtype(expected)
    assert fit.n_echoes.dtype == np.int16
    assert fit.reason.dtype == np.uint8
    assert float(fit.r2star_per_s) == pytest.approx(40.0, abs=0.1)


# -- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["nlls", "loglin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_voxels_are_nan_with_a_reason(backend, method, dtype):
    good = (100.0 * np.exp(-40.0 * EVEN)).astype(dtype)
    signal = np.tile(good, (9, 1))
    signal[1, 3] = np.nan
    signal[2, 0] = np.inf
    signal[3, 7] = -np.inf
    signal[4, 2] = 0.0
    signal[5, 5] = -1.0
    signal[6] = 0.0
    signal[7, 0], signal[7, 1] = -1.0, np.nan
    mask = np.ones(9, bool)
    mask[8] = False
    fit = fit_r2star(signal, EVEN, method=method, mask=mask, backend=backend)
    R = R2StarReason
    assert fit.reason.tolist() == [
        R.OK,
        R.NON_FINITE,
        R.NON_FINITE,
        R.NON_FINITE,
        R.NON_POSITIVE,
        R.NON_POSITIVE,
        R.NON_POSITIVE,
        R.NON_FINITE,
        R.MASKED,
    ]
    for k in FLOATS:
        assert np.isnan(fit[k][1:]).all()
        assert np.isfinite(fit[k][0])
    assert fit.n_echoes.tolist() == [8] + [0] * 8
    alone = fit_r2star(good, EVEN, method=method, backend=backend)
    assert fit.r2star_per_s[0] == alone.r2star_per_s


@pytest.mark.parametrize("backend", BACKENDS)
def test_mask_is_exact(backend):
    signal = noisy(3000, EVEN)
    whole = fit_r2star(signal, EVEN, backend=backend)
    for share in (0.0, 0.01, 0.5, 1.0):
        mask = np.random.default_rng(2).random(3000) < share
        fit = fit_r2star(signal, EVEN, mask=mask, backend=backend)
        np.testing.assert_array_equal(fit.r2star_per_s[mask], whole.r2star_per_s[mask])
        assert np.isnan(fit.r2star_per_s[~mask]).all()
        assert (fit.reason[~mask] == R2StarReason.MASKED).all()


def test_one_echo_is_too_few():
    mask = np.array([True, False])
    fit = fit_r2star(np.ones((2, 1), np.float32), [0.004], mask=mask)
    assert fit.reason.tolist() == [R2StarReason.TOO_FEW_ECHOES, R2StarReason.MASKED]
    assert fit.n_echoes.tolist() == [0, 0]
    for k in FLOATS:
        assert np.isnan(fit[k]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_amplitude_outside_the_type_is_not_a_value(backend):
    # S0 = 3e38 * exp(5.0) cannot be held by float32.
    signal = (3e38 * np.exp(-1000.0 * (EVEN[:3] - EVEN[0]))).astype(np.float32)
    fit = fit_r2star(
        signal, [0.005, 0.005 + EVEN[1] - EVEN[0], 0.005 + EVEN[2] - EVEN[0]], backend=backend
    )
    assert fit.reason == R2StarReason.NOT_CONVERGED
    assert np.isnan(fit.r2star_per_s)
    assert np.isnan(fit.s0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["nlls", "loglin"])
def test_a_steep_rise_is_not_a_decay(backend, method):
    fit = fit_r2star(np.exp(16.0 * np.linspace(0.0, 1.0, 8)), EVEN, method=method, backend=backend)
    assert fit.reason == R2StarReason.NOT_CONVERGED
    assert np.isnan(fit.r2star_per_s)
    steep = fit_r2star(
        np.exp(14.0 * np.linspace(0.0, 1.0, 8)), EVEN, method=method, backend=backend
    )
    assert float(steep.r2star_per_s) == pytest.approx(-14.0 / 0.0128, rel=1e-6)


def test_both_backends_use_the_same_settings():
    from eprimg.kernels import _r2star_block_numba, _r2star_numba, _r2star_numpy

    compiled = {**vars(_r2star_block_numba), **vars(_r2star_numba)}
    names = [name for name in vars(_r2star_numpy) if name.isupper() and name != "NDArray"]
    assert len(names) == 7
    for name in names:
        assert compiled[name] == getattr(_r2star_numpy, name), name


def test_every_reason_has_words():
    assert set(R2STAR_REASON_TEXT) == set(R2StarReason)
    # Stored maps hold these numbers: the first six must never change.
    assert [int(reason) for reason in R2StarReason] == list(range(9))
    assert int(R2StarReason.NOT_CONVERGED) == 5


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([1.2, 3.0, 4.8], "milliseconds"),
        ([0.001, 0.003, 0.002], "rise strictly"),
        ([0.001, 0.002, 0.002], "rise strictly"),
        ([0.0, 0.001, 0.002], "positive"),
        ([-0.001, 0.001, 0.002], "positive"),
        ([0.001, np.nan, 0.002], "finite"),
        ([0.001, 0.002], "one echo time"),
        (["a", "b", "c"], "real numbers"),
        ([0.001, [0.002], 0.003], "real numbers"),
        ([[0.001, 0.002, 0.003]], "one echo time"),
    ],
)
def test_bad_echo_times_are_refused(times, words):
    with pytest.raises(InputError, match=words) as caught:
        fit_r2star(np.ones((2, 3)), times)
    assert caught.value.code == "E_ECHO"


@pytest.mark.parametrize(
    ("signal", "options"),
    [
        (np.float64(3.0), {}),
        (np.ones((2, 3), complex), {}),
        (np.ones((2, 3), bool), {}),
        (np.ones((2, 3)), {"method": "median"}),
        (np.ones((2, 3)), {"backend": "cuda"}),
        (np.ones((2, 3)), {"threads": 0}),
        (np.ones((2, 3)), {"threads": 1.5}),
        (np.ones((2, 3)), {"threads": "all"}),
        (np.ones((2, 3)), {"threads": np.inf}),
        (np.ones((2, 3)), {"mask": np.ones(3, bool)}),
        (np.ones((2, 3)), {"mask": np.ones(2)}),
    ],
)
def test_bad_arguments_are_refused(signal, options):
    with pytest.raises(InputError) as caught:
        fit_r2star(signal, [0.001, 0.002, 0.003], **options)
    assert caught.value.code == "E_ARGUMENT"


# -- cost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("echo_first", [False, True])
def test_working_memory_is_a_tenth_of_the_input(backend, echo_first):
    n = 150_000 if backend == "numpy" else 1_200_000
    signal = np.ones((n, 8), np.float32)
    if echo_first:
        signal = np.ones((8, n), np.float32).T
    signal[:, 0] = 2.0
    fit_r2star(signal[:100], EVEN, backend=backend)
    tracemalloc.start()
    fit = fit_r2star(signal, EVEN, backend=backend, threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    outputs = sum(field.nbytes for field in fit)
    allowed = 0.1 if backend == "numba" else 1.0  # the numpy input is kept small: bounded in MB
    assert peak - outputs <= allowed * signal.nbytes
    assert peak - outputs <= 4e6


def test_importing_the_module_does_not_import_numba():
    code = "import sys, eprimg.kernels.r2star; print(sorted({'numba', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_numba_the_numpy_path_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "eprimg.kernels._r2star_numba", None)
    fit = fit_r2star(100.0 * np.exp(-40.0 * EVEN), EVEN)
    assert float(fit.r2star_per_s) == pytest.approx(40.0)
    with pytest.raises(ImportError):
        fit_r2star(100.0 * np.exp(-40.0 * EVEN), EVEN, backend="numba")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fit_tells_its_share_and_can_be_stopped(threads: int) -> None:
    times = np.array([0.002, 0.004, 0.008])
    signal = np.broadcast_to(100.0 * np.exp(-50.0 * times), (300_000, 3)).astype(np.float32)
    heard: list[float] = []
    plain = fit_r2star(signal, times, threads=threads)
    told = fit_r2star(signal, times, threads=threads, progress=heard.append)
    np.testing.assert_array_equal(told.r2star_per_s, plain.r2star_per_s)
    assert heard[-1] == 1.0
    assert heard == sorted(heard)

    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_r2star(signal, times, threads=threads, progress=stop)
