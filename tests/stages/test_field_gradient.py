"""The tiny study with a field that rises through its slices: R2* comes back, or says why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import ConfigError, InputError
from eprimg.kernels.error_range import ErrorRange
from eprimg.model.maps import ExternalMap, QuantityMap
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack
from eprimg.quantities import quantity
from eprimg.stages.field_gradient import external_field_map, gradient_correction
from eprimg.stages.quantify import quantify
from eprimg.stages.quantify_mr import r2star_maps

GRADIENT = 6.0  # Hz/mm
THICKNESS = 4.0


def config(**changes):
    base = {"field_gradient": "rectangular", "slice_thickness_mm": THICKNESS, "noise": "none"}
    return Config().with_settings({"threads": 1, "r2star": {**base, **changes}})


@pytest.fixture
def shaded(scene):
    """A series whose echoes lost |sin(x)/x|, x = pi g d TE, and the field map that says so."""
    series = scene.mr_series(Role.MR_PRE, "pre")
    lost = np.abs(np.sinc(GRADIENT * THICKNESS * np.asarray(scene.echo_times_s)))
    data = (series.pixels.volume.data * lost).astype(np.float32)
    stack = EchoStack(replace(series.pixels.volume, data=data), series.pixels.echo_times_s)
    z = scene.spacing[0] * np.arange(scene.shape[0])
    field = np.broadcast_to((GRADIENT * z)[:, None, None], scene.shape).copy()
    return replace(series, pixels=stack), field


def field_map(grid, values, on="mr_pre"):
    values = values.astype(np.float32)
    return QuantityMap(
        values, grid, quantity("field_map"), np.isfinite(values), "made elsewhere", sources=(on,)
    )


def fitted(series, field, settings):
    return r2star_maps(series, "pre", settings, lambda share: None, field=field)


def test_r2star_comes_back_and_is_told(scene, shaded):
    series, values = shaded
    truth = scene.paint(0)
    plain, _ = fitted(series, None, Config().with_settings({"r2star": {"noise": "none"}}))
    assert np.median(plain["r2star_pre"].values - truth) > 5.0
    maps, findings = fitted(series, field_map(series.grid, values), config())
    np.testing.assert_allclose(maps["r2star_pre"].values, truth, rtol=2e-4)
    np.testing.assert_allclose(maps["s0_pre"].values, 1000.0, rtol=2e-4)
    said = next(f for f in findings if f.code == "I_FIELD_GRADIENT")
    assert "median |gradient| 6 Hz/mm" in said.text
    facts = maps["r2star_pre"].facts["field_gradient"]
    # the protocol is judged by the corrected echoes: nothing is wrong with their scale
    assert {f.code for f in findings} <= {"I_FIELD_GRADIENT", "I_ERROR_RANGE"}
    # the fit does not know the noise that the division raised
    assert ErrorRange.CALIBRATED not in maps["r2star_pre"].details["error_range"]
    change = np.median(plain["r2star_pre"].values - truth)
    assert facts["median_correction_per_s"] == pytest.approx(change, rel=1e-3)
    assert "rectangular slice profile of 4 mm" in maps["r2star_pre"].method


def test_where_the_gradient_is_unknown_or_too_strong_there_is_a_reason(scene, shaded):
    series, values = shaded
    values[:, 0, 0] = np.nan  # no field
    z = scene.spacing[0] * np.arange(scene.shape[0])
    values[:, 1, 1] = 200.0 * z  # a turn and a half over the slice at the first echo
    values[:, 2, 2] = 20.0 * z  # the last two echoes keep too little
    maps, findings = fitted(series, field_map(series.grid, values), config())
    found = maps["r2star_pre"]
    assert not found.valid[:, 0, 0].any()
    assert np.isnan(found.values[:, 1, 1]).all()
    assert "not known" in found.reason_words[int(found.reason[5, 0, 0])]
    assert "fewer than two echoes" in found.reason_words[int(found.reason[5, 1, 1])]
    # sin(x)/x with x = pi 20 x 4 TE is 0.96, 0.84, 0.66, 0.45 at 2, 4, 6, 8 ms and 0.23 at 10 ms
    assert found.details["n_echoes"][5, 2, 2] == 4
    assert found.details["n_echoes"][5, 3, 3] == len(scene.echo_times_s)
    text = next(f.text for f in findings if f.code == "I_FIELD_GRADIENT")
    assert "12 have no R2* because they were dephased" in text
    assert "12 because the gradient is not known" in text


def test_truncation_counts_the_noise_that_the_division_raises(scene, shaded):
    series, values = shaded
    settings = config(noise="truncate", sigma=20.0)
    maps, _ = fitted(series, field_map(series.grid, values), settings)
    found = maps["r2star_pre"]
    n = int(found.details["n_echoes"][0, 19, 23])
    # background: 30 1/s; the last factor sinc(6 x 4 x 0.014) is 0.824: limit 2.5 x 20 / 0.824 = 61;
    # 1000 exp(-30 x 0.014) = 657 lies above it
    assert n == 6
    noisy, _ = fitted(series, field_map(series.grid, values), config(noise="truncate", sigma=239.0))
    # noise 239 / 0.824 = 290: the mean magnitude of 2.5 x 290 is 725 x (1 + 1 / (2 x 2.5^2)) = 783,
    # and 1000 exp(-30 TE) falls below it at 8.2 ms: four echoes.  Without the division the limit
    # were 645, below the last echo (657).
    assert int(noisy["r2star_pre"].details["n_echoes"][0, 19, 23]) == 4


def test_the_field_map_of_the_study_is_used_for_its_own_series(scene, shaded):
    series, values = shaded
    study = scene.study(series)
    given = ExternalMap("map_field_map", "mr_pre", field_map(series.grid, values))
    with_map = replace(study, external_maps=(given,))
    assert external_field_map(study, series) is None
    assert external_field_map(with_map, series) is given.map
    made = quantify(with_map, (), config()).value
    np.testing.assert_allclose(made.maps["r2star_pre"].values, scene.paint(0), rtol=2e-4)
    # on twice the slices of the same space it is interpolated, which a straight line allows
    fine = scene.grid("pre", shape=(24, 20, 24), spacing=(2.0, 3.0, 3.0), origin=(0.0, 0.0, 0.0))
    z = 2.0 * np.arange(24)
    ramp = np.broadcast_to((GRADIENT * z)[:, None, None], fine.shape)
    other = replace(given, map=field_map(fine, ramp))
    carried = external_field_map(replace(study, external_maps=(other,)), series)
    assert carried is not None
    np.testing.assert_allclose(carried.values[:11], values[:11], atol=1e-3)


def test_without_a_field_map_it_is_refused(scene, shaded):
    series, _ = shaded
    with pytest.raises(InputError) as caught:
        gradient_correction(series, None, config())
    assert caught.value.code == "E_FIELD_MAP"
    assert gradient_correction(series, None, Config()) is None
    with pytest.raises(InputError, match="needs a field map"):
        quantify(scene.study(series), (), config())


def test_a_complex_fit_gives_the_field_up_to_a_period(scene, shaded):
    series, values = shaded
    even = tuple(0.002 * (n + 1) for n in range(6))
    stack = EchoStack(series.pixels.volume, even)
    wrapped = (values + 250.0) % 500.0 - 250.0  # 1 / 2 ms
    field = replace(field_map(series.grid, wrapped), facts={"phase_sign": 1})
    found = gradient_correction(replace(series, pixels=stack), field, config())
    assert found is not None
    np.testing.assert_allclose(found.gradient_hz_per_mm, GRADIENT, rtol=1e-4)
    assert "complex fit" in found.source


@pytest.mark.parametrize(
    "changes",
    [
        {"slice_thickness_mm": 0.0},
        {"field_gradient": "table"},
        {"noise": "rician"},
        {"method": "arlo"},
    ],
)
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ConfigError, match="field gradient"):
        config(**changes)


def test_a_measured_profile_is_taken(scene, shaded):
    series, values = shaded
    box = config(field_gradient="table", slice_profile=(1.0, 1.0, 1.0, 1.0))
    maps, _ = fitted(series, field_map(series.grid, values), box)
    np.testing.assert_allclose(maps["r2star_pre"].values, scene.paint(0), rtol=2e-4)
