"""Noise that is higher in the tissue than in air: said, and no error is called calibrated by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.kernels.error_range import ErrorRange
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.error_range import ERROR_RANGE
from eprimg.stages.quantify_mr import r2star_maps

TIMES_S = tuple(np.linspace(1.2e-3, 14e-3, 8))
S0 = 1000.0


def fitted(scene, rate, tissue, air, *, times=TIMES_S, wave=1.0, **settings):
    """Map, findings and the tissue: a third of the field is air with its own noise."""
    shape = tuple(scene.shape)
    body = np.zeros(shape, bool)
    body[..., 8:, :] = True
    clean = np.where(body[..., None], S0 * np.exp(-rate * np.array(times)) * wave, 0.0)
    sigma = np.where(body, tissue, air)[..., None]
    rng = np.random.default_rng(2)
    real = clean + sigma * rng.normal(size=clean.shape)
    signal = np.hypot(real, sigma * rng.normal(size=clean.shape)).astype(np.float32)
    made = scene.mr_series(Role.MR_POST, "post")
    made = replace(
        made,
        pixels=EchoStack(Volume(signal, made.grid, quantity("signal")), times),
        acquisition=replace(made.acquisition, echo_times_s=times),
    )
    config = scene.config.with_settings({"r2star": settings})
    maps, findings = r2star_maps(made, "post", config, lambda share: None)
    return maps["r2star_post"], {f.code: f.text for f in findings}, body


@pytest.mark.parametrize("noise", ["none", "truncate", "rician"])
def test_tissue_that_scatters_more_than_air(scene, noise):
    found, said, body = fitted(scene, 300.0, 40.0, 5.0, noise=noise)
    text = said["W_TISSUE_NOISE"]
    tissue = found.facts["sigma_tissue"]
    assert tissue == pytest.approx(40.0, rel=0.1)  # echoes in the floor scatter less
    assert f"by {tissue:.4g} in the median" in text
    assert "estimated from air" in text
    assert "field gradients" in text
    assert ("enter r2star.sigma" in text) is (noise != "none")
    # S0 / sigma 25 has been shown up to 233 1/s only; air alone says 200 and 400 1/s
    codes = found.details[ERROR_RANGE][body & found.valid]
    assert np.mean(codes == ErrorRange.CALIBRATED) < 0.02
    assert "I_ERROR_RANGE" in said


def test_the_fit_itself_stays_as_it_is(scene):
    found, said, _ = fitted(scene, 300.0, 40.0, 5.0)
    same, without, _ = fitted(scene, 300.0, 40.0, 5.0, sigma=found.facts["sigma"])
    np.testing.assert_array_equal(found.values, same.values)
    np.testing.assert_array_equal(found.standard_error, same.standard_error)
    assert "entered (r2star.sigma)" in without["W_TISSUE_NOISE"]
    assert found.facts["sigma"] == pytest.approx(5.0, rel=0.03)
    assert "W_TISSUE_NOISE" in said


def test_the_level_that_is_asked_for_settles_it(scene):
    first, _, _ = fitted(scene, 300.0, 40.0, 5.0)
    entered = float(f"{first.facts['sigma_tissue']:.3g}")
    found, said, body = fitted(scene, 300.0, 40.0, 5.0, sigma=entered)
    assert "W_TISSUE_NOISE" not in said
    assert "sigma_tissue" not in found.facts
    # closer to the truth than with the noise of air
    assert abs(np.nanmedian(found.values[body]) - 300.0) < abs(
        np.nanmedian(first.values[body]) - 300.0
    )


@pytest.mark.parametrize("noise", ["none", "truncate", "rician"])
@pytest.mark.parametrize(("rate", "sigma"), [(30.0, 5.0), (200.0, 20.0), (400.0, 20.0)])
def test_one_noise_level_raises_no_doubt(scene, rate, sigma, noise):
    found, said, _ = fitted(scene, rate, sigma, sigma, noise=noise)
    assert "W_TISSUE_NOISE" not in said
    assert "sigma_tissue" not in found.facts


def test_a_little_more_noise_or_a_little_fat_is_ordinary(scene):
    assert "W_TISSUE_NOISE" not in fitted(scene, 100.0, 15.0, 10.0)[1]
    times = tuple(1.15e-3 * np.arange(1, 9))
    wave = 0.97 + 0.03 * np.cos(np.pi * np.arange(1, 9))  # fat of 3 %, echo by echo opposed
    assert "W_TISSUE_NOISE" not in fitted(scene, 50.0, 20.0, 20.0, times=times, wave=wave)[1]


def test_two_echoes_have_nothing_to_compare(scene):
    times = (0.002, 0.005)
    assert "W_TISSUE_NOISE" not in fitted(scene, 100.0, 40.0, 5.0, times=times)[1]
