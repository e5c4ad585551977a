"""Echoes with a scale of their own: told by air, by equal maxima, or as the one that is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.study import Role
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.quantify_mr import r2star_maps

TIMES_S = np.linspace(1.2e-3, 14e-3, 8)
CODES = ("W_ECHO_SCALE", "W_BIPOLAR")


def body(scene):
    inside = np.zeros(tuple(scene.shape), bool)
    inside[..., 8:, :] = True
    return inside


def magnitudes(scene, rate=100.0, sigma=5.0, times=TIMES_S):
    rng = np.random.default_rng(8)
    clean = np.where(body(scene)[..., None], 1000.0 * np.exp(-rate * np.asarray(times)), 0.0)
    real = clean + rng.normal(0.0, sigma, clean.shape)
    return np.hypot(real, rng.normal(0.0, sigma, clean.shape))


def found(scene, signal, times=TIMES_S, field_t=3.0):
    """R2* in the body, and the texts on scales."""
    made = scene.mr_series(Role.MR_POST, "post", field_t=field_t)
    times = tuple(times)
    stack = EchoStack(Volume(np.asarray(signal, np.float32), made.grid, quantity("signal")), times)
    made = replace(made, pixels=stack, acquisition=replace(made.acquisition, echo_times_s=times))
    maps, findings = r2star_maps(made, "post", scene.config, lambda share: None)
    said = [(f.code, f.text) for f in findings if f.code in CODES]
    return float(np.nanmedian(maps["r2star_post"].values[body(scene)])), said


@pytest.mark.parametrize("scale", [10.0, 50.0, 100.0])
@pytest.mark.parametrize("n_echoes", [2, 4, 8])
def test_scales_that_follow_a_decay_show_in_air(scene, scale, n_echoes):
    """Truth 100 1/s; the scale takes `scale` off, and air rises by exp(scale x span)."""
    times = np.linspace(1.2e-3, 14e-3, n_echoes)
    signal = magnitudes(scene, times=times) * np.exp(scale * times)
    rate, ((code, text),) = found(scene, signal, times)
    assert rate == pytest.approx(100.0 - scale, abs=1.0)
    assert code == "W_ECHO_SCALE"
    assert "scaled to its own maximum" in text
    # slope of ln(level of air) on the echo time
    assert float(text.split("by about ")[1].split(" ")[0]) == pytest.approx(scale, abs=2.5)
    rise = 100.0 * (np.exp(scale * 12.8e-3) - 1.0)
    assert float(text.split("air is ")[1].split(" ")[0]) == pytest.approx(rise, abs=0.03 * rise + 2)


def test_each_echo_stored_up_to_its_own_maximum(scene):
    """Tissues of 120, 60 and 30 1/s: the last sets the scales, and 30 1/s are lost everywhere."""
    rate = np.full(tuple(scene.shape), 60.0)
    rate[:2], rate[-2:] = 120.0, 30.0
    stack = magnitudes(scene, rate[..., None])
    stored = np.round(4095.0 * stack / stack.reshape(-1, 8).max(axis=0))
    _, ((code, text),) = found(scene, stored)
    assert code == "W_ECHO_SCALE"
    assert float(text.split("by about ")[1].split(" ")[0]) == pytest.approx(30.0, abs=2.0)
    stored[~body(scene)] = 0.0  # no air: the equal maxima are left
    _, ((code, text),) = found(scene, stored)
    assert code == "W_ECHO_SCALE"
    assert "the largest value is 4095 in each of the 8 echoes" in text


@pytest.mark.parametrize("n_echoes", [2, 3, 8])
@pytest.mark.parametrize("rate", [5.0, 100.0, 400.0])
@pytest.mark.parametrize("air", ["kept", "zeroed", "ghosts"])
def test_one_scale_is_silent(scene, n_echoes, rate, air):
    times = np.linspace(1.2e-3, 14e-3, n_echoes)
    signal = magnitudes(scene, rate, times=times)
    if air == "zeroed":
        signal[~body(scene)] = 0.0
    if air == "ghosts":  # a tenth of the tissue, falling with the echo time
        signal[..., :4, :, :] = np.hypot(
            signal[..., :4, :, :], 100.0 * np.exp(-rate * np.asarray(times))
        )
    assert found(scene, np.round(signal), times)[1] == []


@pytest.mark.parametrize("echo", [0, 3, 4, 7])
@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("with_air", [True, False])
def test_one_echo_that_is_off_is_no_bipolar_read_out(scene, echo, factor, with_air):
    signal = magnitudes(scene)
    where = np.ones(tuple(scene.shape), bool) if with_air else body(scene)
    signal[where, echo] *= factor
    _, said = found(scene, signal)
    assert [code for code, _ in said] == ["W_ECHO_SCALE"]
    if not with_air:
        # the first and the last echo pull the fit most, so that others may look off
        assert echo in (0, 7) or f"{1000 * TIMES_S[echo]:.3g} ms" in said[0][1]


def test_an_alternation_stays_a_bipolar_read_out(scene):
    signal = magnitudes(scene)
    signal[body(scene)] *= np.where(np.arange(8) % 2 == 0, 1.03, 0.97)
    for field_t in (None, 3.0):
        _, said = found(scene, signal, field_t=field_t)
        assert [code for code, _ in said] == ["W_BIPOLAR"]
