"""Doubts about an echo train: each is found where it was put in, and nowhere else.

The echoes are made here: Rician noise on decays that carry one fault of a known size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.acquisition import ImageNote
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.protocol_mr import protocol_findings
from eprimg.stages.quantify_mr import r2star_maps

TIMES_S = np.linspace(1.2e-3, 14e-3, 8)
DOUBTS = {
    "W_FEW_ECHOES",
    "W_FIRST_ECHO_LATE",
    "W_ECHO_GAP",
    "W_ECHO_SCALE",
    "W_BIPOLAR",
    "W_FAT_PHASE",
    "I_FAT_PHASE",
}


def rates(scene, low=25.0, high=120.0):
    return np.random.default_rng(4).uniform(low, high, scene.shape)


def doubts(scene, clean, times_s=TIMES_S, *, sigma=10.0, field_t=3.0, noise="truncate"):
    """Codes and texts of the protocol findings for a clean signal; a quarter of it becomes air."""
    clean = np.array(clean, dtype=float)
    clean[..., :6, :] = 0.0
    rng = np.random.default_rng(9)
    real = clean + rng.normal(0.0, sigma, clean.shape)
    signal = np.hypot(real, rng.normal(0.0, sigma, clean.shape)).astype(np.float32)
    made = scene.mr_series(Role.MR_POST, "post", field_t=field_t)
    times = tuple(times_s)
    made = replace(
        made,
        pixels=EchoStack(Volume(signal, made.grid, quantity("signal")), times),
        acquisition=replace(made.acquisition, echo_times_s=times),
    )
    config = scene.config.with_settings({"r2star": {"noise": noise}})
    _, findings = r2star_maps(made, "post", config, lambda share: None)
    return {f.code: f.text for f in findings if f.code in DOUBTS}


def decays(rate, times_s=TIMES_S, s0=1000.0):
    return s0 * np.exp(-np.asarray(rate)[..., None] * np.asarray(times_s))


@pytest.mark.parametrize("noise", ["none", "truncate", "rician"])
@pytest.mark.parametrize("sigma", [5.0, 40.0])
def test_a_sound_protocol_raises_no_doubt(scene, noise, sigma):
    assert doubts(scene, decays(rates(scene)), sigma=sigma, noise=noise) == {}


def test_no_tissue_no_doubt(scene):
    assert doubts(scene, np.zeros((*scene.shape, 8))) == {}


def test_few_echoes_above_the_noise(scene):
    # 400 1/s, S0 / sigma = 50: ln(1000 / (2.5 * 20)) / 400 = 7.5 ms leaves 4 of 8 echoes;
    # 600 1/s: 5.0 ms leaves 3.
    assert "W_FEW_ECHOES" not in doubts(scene, decays(rates(scene, 300, 390)), sigma=20.0)
    said = doubts(scene, decays(rates(scene, 560, 640)), sigma=20.0)["W_FEW_ECHOES"]
    assert "of the tissue fewer than 4 of the 8 echoes lie above the noise" in said


def test_three_echoes_are_few(scene):
    times = (0.002, 0.005, 0.008)
    said = doubts(scene, decays(rates(scene), times), times)["W_FEW_ECHOES"]
    assert "R2* rests on 3 echoes" in said


def test_a_late_first_echo(scene):
    times = np.linspace(6e-3, 20e-3, 8)
    # 6 ms: 130 to 145 1/s give 0.78 to 0.87; 180 to 200 1/s give 1.08 to 1.2.
    assert "W_FIRST_ECHO_LATE" not in doubts(scene, decays(rates(scene, 130, 145), times), times)
    said = doubts(scene, decays(rates(scene, 180, 200), times), times)["W_FIRST_ECHO_LATE"]
    assert "R2* times the first echo time (6 ms) is 1.1" in said


def test_a_gap_that_is_too_long(scene):
    times = 1e-3 + 5e-3 * np.arange(6)
    # A fifth of the tissue at 450 1/s: 450 * 5 ms = 2.25; at 350 1/s it is 1.75.
    for high, expected in ((350.0, False), (450.0, True)):
        rate = rates(scene)
        rate[..., ::5] = high
        found = doubts(scene, decays(rate, times), times, sigma=5.0)
        assert ("W_ECHO_GAP" in found) is expected
    assert "in the 5 ms between the first two echoes" in found["W_ECHO_GAP"]


@pytest.mark.parametrize("noise", ["truncate", "rician"])
def test_signal_that_is_gone_after_the_first_echo_counts_as_a_gap(scene, noise):
    times = 1e-3 + 12e-3 * np.arange(4)
    rate = rates(scene)
    rate[..., ::4] = 900.0  # exp(-900 * 12 ms) is nothing
    assert "W_ECHO_GAP" in doubts(scene, decays(rate, times), times, sigma=5.0, noise=noise)


def test_a_later_echo_that_is_brighter(scene):
    signal = decays(rates(scene))
    signal[..., 3] *= 1.4
    said = doubts(scene, signal)["W_ECHO_SCALE"]
    assert "the echo at 6.69 ms is" in said
    assert "brighter than the one at 4.86 ms" in said


@pytest.mark.parametrize(("factor", "words"), [(0.85, "below"), (1.12, "above")])
def test_an_echo_with_another_scale(scene, factor, words):
    """Its decay is as steep as 120 1/s, so that the scaled echo is not brighter than the last."""
    signal = decays(rates(scene, 90, 120))
    signal[..., 4] *= factor
    said = doubts(scene, signal)["W_ECHO_SCALE"]
    assert "the echo at 8.51 ms lies" in said
    assert f"{words} the fitted decay" in said


def test_odd_and_even_echoes_that_differ(scene):
    signal = decays(rates(scene))
    signal[..., 1::2] *= 1.06 / 0.94
    found = doubts(scene, signal, field_t=None)
    assert set(found) == {"W_BIPOLAR"}
    # 1 +- 0.06 about the mean: the two differ by 12 %.
    assert 10.0 < float(found["W_BIPOLAR"].split("differ by ")[1].split(" %")[0]) < 14.0
    signal = decays(rates(scene))
    signal[..., 1::2] *= 1.02
    assert doubts(scene, signal, field_t=None) == {}


def fatty(scene, share, fat, times_s, field_t):
    """Decays of which some voxels hold fat (main peak only), from the sum of two vectors."""
    turns = 42.577478518e6 * field_t * 3.4e-6 * np.asarray(times_s)
    wave = np.abs(1.0 - fat + fat * np.exp(2j * np.pi * turns))
    signal = decays(rates(scene), times_s)
    chosen = np.random.default_rng(1).random(scene.shape) < share
    signal[chosen] *= wave
    return signal


def test_fatty_tissue_with_opposed_echoes(scene):
    times = 1.15e-3 * np.arange(1, 9)
    found = doubts(scene, fatty(scene, 0.2, 0.2, times, 3.0), times)
    assert set(found) == {"W_FAT_PHASE"}
    share = float(found["W_FAT_PHASE"].split("in ")[1].split(" %")[0])
    assert 15.0 < share < 25.0  # a fifth was made fatty
    assert "r2star.echoes=in-phase" in found["W_FAT_PHASE"]
    assert doubts(scene, fatty(scene, 0.0, 0.2, times, 3.0), times) == {}


def test_fat_is_not_looked_for_without_a_field_strength_or_with_in_phase_echoes(scene):
    times = 1.15e-3 * np.arange(1, 9)
    assert doubts(scene, fatty(scene, 0.2, 0.2, times, 3.0), times, field_t=None) == {}
    in_phase = 2.3026e-3 * np.arange(1, 6)
    assert doubts(scene, fatty(scene, 0.2, 0.2, in_phase, 3.0), in_phase) == {}


def test_fat_cannot_be_told_from_three_echoes(scene):
    times = 1.15e-3 * np.arange(1, 4)
    found = doubts(scene, decays(rates(scene), times), times)
    assert set(found) == {"W_FEW_ECHOES", "I_FAT_PHASE"}
    assert "too few echoes to tell whether the tissue holds fat" in found["I_FAT_PHASE"]


def test_alternation_like_fat_in_all_tissue_names_both(scene):
    times = 1.15e-3 * np.arange(1, 9)
    signal = fatty(scene, 1.0, 0.15, times, 3.0)
    said = doubts(scene, signal, times)["W_BIPOLAR"]
    assert "fat in most of the tissue would look the same" in said


def test_what_headers_say_of_filters_and_gains_is_told(scene):
    series = scene.mr_series(Role.MR_PRE, "pre")
    notes = tuple(
        ImageNote(kind, f"the echoes are {kind}", "ImageType (0008,0008)")
        for kind in ("bipolar", "filtered", "gain_varies", "monopolar", "scale_varies")
    )
    noted = replace(series, acquisition=replace(series.acquisition, image_notes=notes))
    maps, _ = r2star_maps(noted, "pre", scene.config, lambda share: None)
    found = protocol_findings(noted, maps["r2star_pre"], maps["s0_pre"])
    told = [(f.code, f.text.split(";")[0]) for f in found if "IMAGE_NOTE" in f.code]
    key = series.key
    assert told == [
        ("I_IMAGE_NOTE", f"{key}: the echoes are bipolar"),
        ("W_IMAGE_NOTE", f"{key}: the echoes are filtered"),
        ("W_IMAGE_NOTE", f"{key}: the echoes are gain_varies"),
    ]
