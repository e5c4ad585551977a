"""R2* of one series through its settings.

Signals are written here from the definition of the Rician distribution (Gudbjartsson and Patz 1995,
doi:10.1002/mrm.1910340618); true rates and noise levels are those that were put in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import ConfigError, InputError
from eprimg.kernels.r2star import R2StarReason
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.quantify_mr import fit_like_map, milliseconds, r2star_maps

TIMES_S = tuple(np.linspace(1.2e-3, 14e-3, 8))
SIGMA = 20.0
RATES = (40.0, 100.0, 400.0)
"""By slabs along the last axis; the first third of the field is air."""


@pytest.fixture(scope="module")
def noisy():
    """Air, then tissue of S0 = 1000 at 40, 100 and 400 1/s; SNR 50."""
    rng = np.random.default_rng(20_261)
    shape = (12, 20, 24)
    rate = np.zeros(shape)
    s0 = np.zeros(shape)
    s0[..., 9:] = 1000.0
    for n, value in enumerate(RATES):
        rate[..., 9 + 5 * n : 14 + 5 * n] = value
    clean = s0[..., None] * np.exp(-rate[..., None] * np.array(TIMES_S))
    real = clean + rng.normal(0.0, SIGMA, clean.shape)
    return np.hypot(real, rng.normal(0.0, SIGMA, clean.shape)).astype(np.float32)


def series_of(scene, signal, times_s=TIMES_S, field_t=3.0):
    made = scene.mr_series(Role.MR_POST, "post", field_t=field_t)
    stack = EchoStack(
        Volume(np.asarray(signal, np.float32), made.grid, quantity("signal")), tuple(times_s)
    )
    acquisition = replace(made.acquisition, echo_times_s=tuple(times_s))
    return replace(made, pixels=stack, acquisition=acquisition)


def fit(scene, signal, times_s=TIMES_S, field_t=3.0, **settings):
    config = scene.config.with_settings({"r2star": settings})
    maps, findings = r2star_maps(
        series_of(scene, signal, times_s, field_t), "post", config, lambda share: None
    )
    return maps["r2star_post"], maps["s0_post"], findings


def slab(rate):
    n = RATES.index(rate)
    return (..., slice(9 + 5 * n, 14 + 5 * n))


def test_the_default_leaves_out_echoes_below_an_estimated_noise(scene, noisy):
    r2star, s0, findings = fit(scene, noisy)
    facts = r2star.facts
    assert (facts["estimator"], facts["noise"]) == ("nlls", "truncate")
    assert facts["sigma"] == pytest.approx(SIGMA, rel=0.03)
    assert 0.0 < facts["sigma_se"] < 0.02 * SIGMA
    assert facts["sigma_origin"] == "estimated from air"
    assert facts["sigma_n_voxels"] > 1000
    assert "2.5 times the noise were left out; noise per channel" in r2star.method
    assert "I_NOISE_UNKNOWN" not in [f.code for f in findings]
    # Air has no R2*, and says why.
    low = r2star.reason == R2StarReason.LOW_SIGNAL
    assert np.mean(low[..., :9]) > 0.98
    assert not low[..., 9:].any()
    assert np.isnan(r2star.values[low]).all()
    # 400 1/s: the decay meets 2.5 sigma at ln(1000 / 50) / 400 = 7.5 ms, after four echoes.
    used = r2star.details["n_echoes"][slab(400.0)]
    assert np.median(used) == 4
    assert (r2star.details["n_echoes"][slab(40.0)] == 8).all()
    assert facts["n_echoes_used"]["8"] >= 2 * 12 * 20 * 5
    assert float(np.nanmedian(s0.values[slab(100.0)])) == pytest.approx(1000.0, rel=0.01)


@pytest.mark.parametrize(("noise", "bound"), [("truncate", 0.02), ("rician", 0.01)])
def test_a_noise_mode_takes_the_bias_away(scene, noisy, noise, bound):
    """Published median bias of plain least squares here: -3.3 % at SNR 50, 400 1/s."""
    plain, _, _ = fit(scene, noisy, noise="none")
    assert "no noise-floor correction" in plain.method
    assert "sigma" not in plain.facts
    corrected, _, _ = fit(scene, noisy, noise=noise)
    bias = [np.nanmedian(m.values[slab(400.0)]) / 400.0 - 1.0 for m in (plain, corrected)]
    assert bias[0] < -0.02
    assert abs(bias[1]) < bound


def test_a_noise_level_can_be_given(scene, noisy):
    r2star, _, _ = fit(scene, noisy, sigma=SIGMA, n_coils=1, noise="rician")
    assert r2star.facts["sigma"] == SIGMA
    assert r2star.facts["sigma_origin"] == "entered (r2star.sigma)"
    assert r2star.facts["sigma_se"] is None
    assert "noise per channel 20, entered" in r2star.method


def test_without_a_noise_level_the_fit_is_plain_and_says_so(scene):
    signal = scene.mr_series(Role.MR_PRE, "pre").pixels.volume.data  # exact decays
    r2star, _, findings = fit(scene, signal, scene.echo_times_s)
    assert r2star.facts["noise"] == "none"
    assert "lie on their decay" in r2star.facts["sigma_missing"]
    (said,) = [f for f in findings if f.code == "I_NOISE_UNKNOWN"]
    assert "could not be estimated" in said.text
    assert "'truncate'" in said.text
    assert "noise level could not be estimated" in r2star.method
    np.testing.assert_allclose(r2star.values, scene.paint(0), rtol=1e-4)
    assert "echoes_above_noise" not in r2star.details


@pytest.mark.parametrize("method", ["irls", "loglin", "arlo"])
def test_every_estimator_can_be_chosen(scene, noisy, method):
    r2star, _, _ = fit(scene, noisy, method=method)
    assert r2star.facts["estimator"] == method
    assert np.nanmedian(r2star.values[slab(100.0)]) == pytest.approx(100.0, rel=0.02)


def test_arlo_on_uneven_echoes_is_refused(scene):
    signal = scene.mr_series(Role.MR_PRE, "pre").pixels.volume.data
    with pytest.raises(InputError) as caught:
        fit(scene, signal, scene.echo_times_s, method="arlo")
    assert caught.value.code == "E_ECHO"


def test_rician_with_another_estimator_is_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match="least squares only"):
        Config().with_settings({"r2star": {"noise": "rician", "method": "irls"}})


def test_details_of_the_fit(scene, noisy):
    r2star, _, _ = fit(scene, noisy, sigma=SIGMA)
    used = r2star.details["n_echoes"]
    at = (3, 4, 10)
    assert used[at] == 8
    # Residuals by hand from the values of the map.
    rate, samples = float(r2star.values[at]), noisy[at].astype(float)
    phi = np.exp(-rate * np.array(TIMES_S))
    s0 = samples @ phi / (phi @ phi)
    residual = samples - s0 * phi
    assert r2star.details["rmse"][at] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-3)
    assert r2star.facts["rmse_median"] == pytest.approx(
        np.nanmedian(r2star.details["rmse"]), rel=1e-6
    )
    # What is not kept for every voxel comes from the same fit again.
    again = fit_like_map(noisy[at], r2star, TIMES_S)
    total = np.sum((samples - samples.mean()) ** 2)
    assert float(again.r2) == pytest.approx(1.0 - residual @ residual / total, abs=1e-4)
    jacobian = np.stack([phi, -s0 * np.array(TIMES_S) * phi], axis=1)
    covariance = residual @ residual / 6.0 * np.linalg.inv(jacobian.T @ jacobian)
    assert float(again.s0_se) == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-3)
    assert float(again.r2star_s0_cov_per_s) == pytest.approx(covariance[0, 1], rel=1e-3)
    assert r2star.standard_error[at] == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-3)


def test_echoes_above_the_noise_are_counted_on_the_decay(scene):
    """Exact decays of S0 = 1000; the count is that of TE < ln(S0 / (2.5 sigma)) / R2*."""
    signal = scene.mr_series(Role.MR_POST, "post", column=1).pixels.volume.data
    r2star, _, _ = fit(scene, signal, scene.echo_times_s, noise="rician", sigma=8.0)
    for tissue, expected in (("spleen", 3), ("liver", 5), ("muscle", 6)):
        rate = scene.tissue[tissue][1]
        last_s = np.log(1000.0 / 20.0) / rate  # 7.8 ms, 13.04 ms and 103 ms
        assert sum(t < last_s for t in scene.echo_times_s) == expected
        found = r2star.details["echoes_above_noise"][scene.boxes[tissue]]
        assert (found == expected).all(), tissue


def test_in_phase_echoes_only(scene):
    # 3 T: in phase at 2.30, 4.61, 6.91 ms; opposed at 1.15, 3.45, 5.76 ms.
    times = np.array([1.15, 2.30, 3.45, 4.61, 5.76, 6.91]) * 1e-3
    fat = 0.15
    turns = 42.577478518e6 * 3.0 * 3.4e-6 * times
    wave = np.abs(1.0 - fat + fat * np.exp(2j * np.pi * turns))
    signal = 1000.0 * wave * np.exp(-50.0 * times) * np.ones((*scene.shape, 1))
    r2star, _, _ = fit(scene, signal, times, echoes="in-phase")
    assert r2star.facts["echo_times_s"] == pytest.approx([0.0023, 0.00461, 0.00691])
    assert r2star.facts["echo_times_acquired_s"] == pytest.approx(list(times))
    assert "3 echoes at 2.3, 4.61, 6.91 ms" in r2star.method
    assert "in phase for fat and water within 0.1 of a turn, of 6 acquired" in r2star.method
    np.testing.assert_allclose(r2star.values, 50.0, rtol=0.01)
    every, _, _ = fit(scene, signal, times)
    assert abs(np.median(every.values) / 50.0 - 1.0) > 0.1  # what fat does to all echoes


def test_in_phase_echoes_are_refused_in_words(scene):
    signal = scene.mr_series(Role.MR_PRE, "pre").pixels.volume.data
    with pytest.raises(InputError) as caught:
        fit(scene, signal, scene.echo_times_s, field_t=1.5, echoes="in-phase")
    # 1.5 T: 4.61 ms within 0.46 ms: none of 2, 4, 6, 8, 10 ms; 13.8 ms: the last of 14 ms.
    assert caught.value.code == "E_IN_PHASE"
    assert "1 of 6 echoes have fat and water in phase at 1.5 T (14 ms" in str(caught.value)
    with pytest.raises(InputError) as caught:
        fit(scene, signal, scene.echo_times_s, field_t=None, echoes="in-phase")
    assert caught.value.code == "E_IN_PHASE"
    assert "field strength is not known" in str(caught.value)


@pytest.mark.parametrize("noise", ["none", "truncate", "rician"])
def test_a_signal_can_be_fitted_as_the_map_was(scene, noisy, noise):
    r2star, _, _ = fit(scene, noisy, noise=noise)
    for at in ((3, 4, 10), (5, 5, 16), (2, 7, 21)):
        again = fit_like_map(noisy[at], r2star, TIMES_S)
        assert float(again.r2star_per_s) == pytest.approx(float(r2star.values[at]), rel=1e-4)
        assert int(again.n_echoes) == int(r2star.details["n_echoes"][at])


def test_echo_times_for_a_reader():
    assert milliseconds((0.0012, 0.01)) == "1.2, 10 ms"
