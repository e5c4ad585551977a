"""Echo decay at a point and of a lesion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.study import Role
from napari_eprimg.lesions.decay_view import PHASES, Decay, mean_decays, point_decays
from tests.tiny_case import grid, study


def exact_case(rate_per_s: float = 40.0, s0: float = 900.0) -> Case:
    """Every voxel of mr_pre decays exactly, at one rate."""
    from eprimg.config import Config
    from eprimg.model.volume import EchoStack, Volume
    from eprimg.quantities import quantity
    from eprimg.stages.quantify import quantify

    made = study()
    times = (0.001, 0.002, 0.004, 0.008)
    signal = s0 * np.exp(-rate_per_s * np.array(times)) * np.ones((*grid().shape, 1))
    signal[0, 0, 0] = 0.0
    first = made.find(Role.MR_PRE)
    assert first is not None
    stack = EchoStack(Volume(signal, grid(), quantity("signal")), times)
    series = replace(
        first, pixels=stack, acquisition=replace(first.acquisition, echo_times_s=times)
    )
    point = replace(made.timepoints[0], series=(series,))
    made = replace(made, timepoints=(point,), regions=())
    maps = quantify(made, (), Config()).value.maps
    labels = np.zeros(grid().shape, np.int32)
    labels[1, 1, 1:4] = 1
    lesions = LesionSet(labels, grid(), (Region(1, "lesion-1", RegionRole.LESION),))
    return Case(made, maps=maps, lesions=lesions)


def at(case: Case, index: tuple[int, int, int]) -> tuple[float, float, float]:
    x, y, z = case.lesions.grid.index_to_lps_mm(np.array(index))
    return float(z), float(y), float(x)


def test_an_exact_decay_is_found_again_at_a_point() -> None:
    case = exact_case()
    (decay,) = point_decays(case, at(case, (1, 2, 3)))
    assert decay.role == Role.MR_PRE
    assert decay.r2star_per_s == pytest.approx(40.0, rel=1e-6)
    assert decay.s0 == pytest.approx(900.0, rel=1e-6)
    assert decay.rmse == pytest.approx(0.0, abs=1e-3)
    assert decay.curve(decay.echo_times_s) == pytest.approx(decay.signal, rel=1e-6)
    assert decay.reason == ""
    assert decay.limit_per_s == pytest.approx(5.0 / 0.008)  # the documented product over last TE


def test_the_fit_of_a_mean_is_that_of_the_same_decay() -> None:
    (decay,) = mean_decays(exact_case(), 1)
    assert decay.n_voxels == 3
    assert decay.where == "lesion-1"
    assert decay.r2star_per_s == pytest.approx(40.0, rel=1e-6)


def test_a_voxel_without_a_value_says_why() -> None:
    case = exact_case()
    (decay,) = point_decays(case, at(case, (0, 0, 0)))
    assert math.isnan(decay.r2star_per_s)
    assert "zero or negative" in decay.reason
    assert decay.words == f"before agent: no R2*, {decay.reason}"


def test_nothing_outside_and_before_a_study() -> None:
    case = exact_case()
    assert point_decays(case, (1e4, 0.0, 0.0)) == ()
    assert point_decays(case, None) == ()
    assert point_decays(None, (0.0, 0.0, 0.0)) == ()
    assert mean_decays(case, 0) == ()
    assert mean_decays(case, 77) == ()
    assert mean_decays(None, 1) == ()


def test_a_rate_above_the_range_is_flagged() -> None:
    case = exact_case(rate_per_s=900.0)
    (decay,) = point_decays(case, at(case, (1, 2, 3)))
    assert decay.above_range
    assert "late echoes are noise" in decay.words


def noisy_case(rate_per_s: float) -> Case:
    """Half air; tissue of S0 = 900 and sigma 20, at one rate."""
    case = exact_case(rate_per_s)
    stack = case.study.find(Role.MR_PRE).pixels
    clean = np.array(stack.volume.data, dtype=float)
    clean[..., 0] = np.where(clean[..., 0] > 0, clean[..., 0], 1.0)
    clean[:, :1] = 0.0
    rng = np.random.default_rng(3)
    real = clean + rng.normal(0.0, 20.0, clean.shape)
    signal = np.hypot(real, rng.normal(0.0, 20.0, clean.shape))
    return with_signal(case, signal, sigma=20.0)


def with_signal(case: Case, signal: np.ndarray, *, sigma: float) -> Case:
    from eprimg.config import Config
    from eprimg.stages.quantify import quantify

    first = case.study.find(Role.MR_PRE)
    volume = replace(first.pixels.volume, data=signal)
    series = replace(first, pixels=replace(first.pixels, volume=volume))
    made = replace(case.study, timepoints=(replace(case.study.timepoints[0], series=(series,)),))
    config = Config().with_settings({"r2star": {"sigma": sigma}})
    return replace(case, study=made, maps=quantify(made, (), config).value.maps)


def least_squares(decay: Decay) -> np.ndarray:
    """S0 and rate of the echoes that are shown as used, by scipy."""
    used = list(decay.used)
    best, _ = curve_fit(
        lambda t, a, b: a * np.exp(-b * t),
        decay.echo_times_s[used],
        decay.signal[used],
        p0=(decay.signal[0], decay.r2star_per_s),
    )
    return np.asarray(best)


def test_echoes_that_were_left_out_are_told() -> None:
    """At 600 1/s and S0 / sigma 45 the decay meets 2.5 sigma at 4.8 ms: 3 of 1, 2, 4 and 8 ms."""
    case = noisy_case(600.0)
    (decay,) = point_decays(case, at(case, (1, 2, 3)))
    assert decay.used == (0, 1, 2)
    assert ", 3 of 4 echoes" in decay.words
    (mean,) = mean_decays(case, 1)
    assert mean.used == (0, 1, 2)
    assert mean.r2star_per_s == pytest.approx(least_squares(mean)[1], rel=1e-3)


def test_too_few_echoes_above_the_noise_are_told() -> None:
    """At 1200 1/s the decay meets 2.5 sigma at 2.4 ms: two echoes are left, three are asked for."""
    case = noisy_case(1200.0)
    (decay,) = point_decays(case, at(case, (1, 2, 3)))
    assert decay.above_range
    assert "too few echoes lie above the noise" in decay.words


def test_numbers_are_the_values_of_the_maps(measured_reading) -> None:
    """On the phantom: R2* and error of the voxel that the map holds, each on its own grid."""
    case = measured_reading.case
    labels = np.asarray(case.lesions.labels)
    index = np.argwhere(labels == case.lesions.lesions[0].id)[5]
    x, y, z = case.lesions.grid.index_to_lps_mm(index)
    decays = {d.role: d for d in point_decays(case, (float(z), float(y), float(x)))}
    assert set(decays) == {Role.MR_PRE, Role.MR_POST}
    assert decays[Role.MR_PRE].r2star_per_s == float(case.maps["r2star_pre"].values[tuple(index)])
    for role, phase in ((Role.MR_PRE, "pre"), (Role.MR_POST, "post")):
        decay, values = decays[role], case.maps[f"r2star_{phase}"]
        where = np.argwhere(values.values == np.float32(decay.r2star_per_s))
        assert len(where) >= 1
        assert decay.standard_error_per_s in values.standard_error[tuple(where.T)]
        # The map was fitted to this very signal, to the echoes that are shown as used.
        assert values.facts["noise"] == "truncate"
        used = list(decay.used)
        rate, s0 = decay.r2star_per_s, decay.s0
        assert rate == pytest.approx(least_squares(decay)[1], rel=1e-3)
        residual = decay.signal[used] - s0 * np.exp(-rate * decay.echo_times_s[used])
        assert decay.rmse == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-3)


def test_mean_of_a_lesion_uses_the_labels_of_each_grid(measured_reading) -> None:
    case = measured_reading.case
    region = case.lesions.lesions[0]
    for decay in mean_decays(case, region.id):
        key = "mr_pre" if decay.role == Role.MR_PRE else "mr_post"
        inside = np.asarray(case.native_lesions[key].labels) == region.id
        series = case.study.find(decay.role)
        assert decay.n_voxels == int(inside.sum())
        expected = np.asarray(series.pixels.volume.data)[inside].astype(float).mean(axis=0)
        assert decay.signal == pytest.approx(expected)


def test_the_two_phases_differ_in_colour_and_marker() -> None:
    looks = list(PHASES.values())
    assert len({p.colour for p in looks}) == len({p.marker for p in looks}) == len(looks)
    assert isinstance(point_decays(exact_case(), None), tuple)
    assert Decay.__doc__
