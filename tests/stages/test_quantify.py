"""Expected numbers are worked out in the tests from the formulas of the cited sources."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import EprimgError
from eprimg.model.study import Role, Study
from eprimg.stages.quantify import protocol_differences, quantify


def codes(result):
    return [f.code for f in result.findings]


def test_maps_of_a_whole_study(scene):
    result = quantify(scene.study(), scene.registrations(), scene.config)
    maps = result.value.maps
    assert set(maps) == {
        "r2star_pre",
        "s0_pre",
        "r2star_post",
        "s0_post",
        "activity",
        "suvbw",
        "pid_per_kg",
        "sul_janmahasatian",
    }
    assert set(result.value.registered) == {
        "r2star_pre",
        "r2star_post",
        "dr2star",
        "suvbw",
        "pid_per_kg",
    }
    np.testing.assert_allclose(maps["r2star_pre"].values, scene.paint(0), rtol=1e-4)
    np.testing.assert_allclose(maps["r2star_post"].values, scene.paint(1), rtol=1e-4)
    np.testing.assert_allclose(maps["s0_post"].values, 1000.0, rtol=1e-4)
    assert maps["r2star_pre"].standard_error is not None
    assert "6 echoes at 2, 4, 6, 8, 10, 14 ms" in maps["r2star_pre"].method


def test_every_missing_fact_is_named_at_once(scene):
    acquisition = scene.pet_acquisition(
        injection=type(scene.pet_acquisition().injection)(
            scene.known(None), scene.known(0.0), scene.known("89Zr"), scene.known(None)
        )
    )
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), scene.pet_series("pet", acquisition))
    result = quantify(study, (scene.registration("pet"),), scene.config)
    assert {"E_SUV_DOSE", "E_SUV_HALF_LIFE", "E_SUV_TIME"} <= set(codes(result))
    assert "suvbw" not in result.value.maps
    assert "r2star_pre" in result.value.maps


def test_registered_difference_follows_the_transform(scene):
    # The patient lies two voxels (6 mm) further to the left (+x) in the second session.
    post = scene.mr_series(Role.MR_POST, "post", column=1)
    moved = type(post.pixels)(
        type(post.pixels.volume)(
            np.roll(post.pixels.volume.data, 2, axis=2), post.grid, post.pixels.volume.quantity
        ),
        post.pixels.echo_times_s,
    )
    post = type(post)(post.key, post.role, moved, post.acquisition)
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), post)
    shift = scene.registration("mr_post", shift=(6.0, 0.0, 0.0))
    registered = quantify(study, (shift,), scene.config).value.registered
    change = registered["dr2star"]
    inside = (slice(2, 8), slice(2, 8), slice(2, 8))
    np.testing.assert_allclose(change.values[inside], 260.0, rtol=1e-3)
    assert change.values[5, 14, 10] == pytest.approx(100.0, rel=1e-3)
    assert not change.valid[:, :, -2:].any()
    assert np.isnan(change.values[:, :, -2:]).all()
    skipped = quantify(study, (scene.registration("mr_post"),), scene.config).value.registered
    assert abs(skipped["dr2star"].values[5, 14, 8] - 100.0) > 50.0


def test_difference_is_antisymmetric_and_its_error_in_quadrature(scene):
    pre = scene.mr_series(Role.MR_PRE, "pre", noise=5.0)
    post = scene.mr_series(Role.MR_POST, "post", column=1, noise=5.0)
    maps = quantify(
        scene.study(pre, post), (scene.registration("mr_post"),), scene.config
    ).value.registered
    error = maps["dr2star"].standard_error
    expected = np.sqrt(
        maps["r2star_pre"].standard_error.astype(float) ** 2
        + maps["r2star_post"].standard_error.astype(float) ** 2
    )
    np.testing.assert_allclose(error, expected, rtol=1e-5)


def test_refused_registration_gives_no_registered_map(scene):
    refused = scene.registration("mr_post", accepted=False, note="moved 80 mm")
    result = quantify(scene.study(), (refused, scene.registration("pet")), scene.config)
    assert "dr2star" not in result.value.registered
    assert "r2star_post" not in result.value.registered
    assert "suvbw" in result.value.registered
    finding = next(f for f in result.findings if f.code == "W_NOT_REGISTERED")
    assert finding.where == "mr_post"
    assert "moved 80 mm" in finding.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"field_t": 1.5}, "field strength 3 T before and 1.5 T after"),
        ({"echo_times_s": (0.002, 0.004, 0.006)}, "6 echoes before and 3 after"),
        ({"echo_times_s": (0.002, 0.004, 0.006, 0.008, 0.010, 0.015)}, "echo times"),
    ],
)
def test_different_protocols_are_flagged(scene, changes, words):
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre"),
        scene.mr_series(Role.MR_POST, "post", column=1, **changes),
    )
    assert words in protocol_differences(study)[0]
    result = quantify(study, (scene.registration("mr_post"),), scene.config)
    assert "W_PROTOCOL_DIFFERS" in codes(result)
    assert words in result.value.registered["dr2star"].method


def test_like_protocols_are_not_flagged(scene):
    same = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", field_t=3.0),
        scene.mr_series(Role.MR_POST, "post", field_t=2.89362, column=1),
    )
    assert protocol_differences(same) == ()
    unknown = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", field_t=None),
        scene.mr_series(Role.MR_POST, "post", column=1),
    )
    assert "I_FIELD_UNKNOWN" in codes(
        quantify(unknown, (scene.registration("mr_post"),), scene.config)
    )


def test_failed_voxels_are_nan_and_counted(scene):
    series = scene.mr_series(Role.MR_PRE, "pre")
    signal = np.array(series.pixels.volume.data)
    signal[0, 0, :3] = 0.0
    volume = type(series.pixels.volume)(signal, series.grid, series.pixels.volume.quantity)
    series = type(series)(
        series.key,
        series.role,
        type(series.pixels)(volume, series.pixels.echo_times_s),
        series.acquisition,
    )
    result = quantify(scene.study(series), (), scene.config)
    fitted = result.value.maps["r2star_pre"]
    assert np.isnan(fitted.values[0, 0, :3]).all()
    assert not fitted.valid[0, 0, :3].any()
    assert (fitted.reason[0, 0, :3] > 0).all()
    text = next(f.text for f in result.findings if f.code == "I_R2STAR_FAILED")
    assert text.startswith("R2* could not be fitted in 3 of 5760 voxels")


def test_nothing_to_quantify_is_an_error(scene):
    with pytest.raises(EprimgError) as caught:
        quantify(Study("empty", ()), (), scene.config)
    assert caught.value.code == "E_NO_SERIES"


@pytest.mark.parametrize("there", [True, False])
def test_waiting_for_the_compiler_is_announced(scene, monkeypatch, there):
    monkeypatch.setattr("eprimg.stages.quantify.is_compiled", lambda *_: there)
    said = []
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"))
    quantify(study, (), scene.config, progress=lambda words, share: said.append(words))
    assert any("compiling" in words for words in said) != there
