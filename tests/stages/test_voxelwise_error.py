from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from eprimg.model.study import Role
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.voxelwise_error import VoxelwiseErrors


def made(scene, *, shift=(0.0, 0.0, 0.0), **changes):
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", noise=5.0, **changes),
        scene.mr_series(Role.MR_POST, "post", column=1, noise=5.0, **changes),
    )
    moved = (scene.registration("mr_post", shift=shift),)
    return study, moved, quantify(study, moved, scene.config).value


def error_of(scene, study, moved, maps, name="lesion", sd=1.0):
    regions = RegionVoxels(scene.region_set())
    errors = VoxelwiseErrors(study, moved, maps.maps, scene.config)
    return errors.of_mean(maps.registered["dr2star"], regions, scene.ids[name], sd)


def test_without_movement_it_is_the_error_of_the_native_difference(scene):
    study, moved, maps = made(scene)
    inside = scene.boxes["lesion"]
    both = [
        np.sum(maps.maps[f"r2star_{phase}"].standard_error[inside].astype(float) ** 2)
        for phase in ("pre", "post")
    ]
    expected = math.sqrt(sum(both)) / 100  # the lesion has 100 voxels
    error, covers, _ = error_of(scene, study, moved, maps)
    assert error == pytest.approx(expected, rel=1e-6)
    assert "in quadrature" in covers
    assert "lower bound" in covers


def test_it_is_the_scatter_of_repeated_sessions(scene):
    """Half a voxel of movement along x; R2* maps with known noise, 300 times.

    The relative standard error of the scatter is 1 / sqrt(2 * 299) = 4.1 %; allowed are 12 %.
    """
    study, moved, maps = made(scene, shift=(1.5, 0.0, 0.0))
    rng = np.random.default_rng(8)
    rate, sigma = 50.0, 3.0
    flat = {
        key: replace(
            maps.maps[key],
            values=np.full(scene.shape, rate),
            standard_error=np.full(scene.shape, sigma),
        )
        for key in ("r2star_pre", "r2star_post")
    }
    regions = RegionVoxels(scene.region_set())
    error, _, _ = VoxelwiseErrors(study, moved, flat, scene.config).of_mean(
        maps.registered["dr2star"], regions, scene.ids["lesion"], 1.0
    )
    from eprimg.stages.carry import carry_map, transform_to

    post = study.find(Role.MR_POST)
    transform = transform_to(study, moved, post)
    inside = scene.boxes["lesion"]
    changes = []
    for _ in range(300):
        noisy = replace(
            flat["r2star_post"],
            values=rate + sigma * rng.standard_normal(scene.shape),
            standard_error=None,
        )
        after = carry_map(noisy, scene.grid("pre"), transform, order=3).values[inside].mean()
        before = rate + sigma * rng.standard_normal(scene.shape)[inside].mean()
        changes.append(after - before)
    assert np.std(changes, ddof=1) == pytest.approx(error, rel=0.12)
    # half a voxel of shift smooths along one axis: less noise than two plain means of 100 voxels
    assert error < sigma * math.sqrt(2 / 100)


def test_two_echoes_give_the_spread_over_independent_voxels(scene):
    study, moved, maps = made(scene, echo_times_s=(0.002, 0.010))
    error, covers, _ = error_of(scene, study, moved, maps, sd=5.0)
    assert error == pytest.approx(5.0 / math.sqrt(100))
    assert covers.startswith("spread of the interpolated voxels")


def test_both_differences_stand_side_by_side_with_their_errors(scene):
    study, moved, maps = made(scene, shift=(1.0, 0.5, 0.0))
    result = measure(
        study, moved, maps.maps, maps.registered, scene.region_set(), scene.config
    ).value
    lesion = next(r for r in result.lesions.regions if r.name == "lesion")
    native = lesion.measurement("dr2star", "median", "mr_post-mr_pre")
    voxelwise = lesion.measurement("dr2star", "median", "registered")
    assert 0 < native.uncertainty < 5.0
    assert 0 < voxelwise.uncertainty < 5.0
    mean = lesion.measurement("dr2star", "mean", "registered")
    assert voxelwise.uncertainty == pytest.approx(mean.uncertainty * math.sqrt(math.pi / 2))
    assert "lower bound" in voxelwise.uncertainty_note


def lesion_numbers(scene, study, moved, maps):
    found = measure(
        study, moved, maps.maps, maps.registered, scene.region_set(), scene.config
    ).value
    lesion = next(r for r in found.lesions.regions if r.name == "lesion")
    return [lesion.measurement("dr2star", name, "registered") for name in ("mean", "median")]


def test_the_mean_is_that_of_the_spline_and_the_median_that_of_the_map(scene):
    """Half a voxel and half a slice of movement; the expected mean is scipy's spline."""
    study, moved, maps = made(scene, shift=(1.5, 0.0, 2.0))
    inside = scene.boxes["lesion"]
    valid = maps.registered["dr2star"].valid[inside]
    assert valid.all()
    pre, post = (maps.maps[k].values.astype(float) for k in ("r2star_pre", "r2star_post"))
    failed = ~np.isfinite(post)  # far away, in the spleen: the nearest fitted voxel stands in
    nearest = ndimage.distance_transform_edt(failed, return_distances=False, return_indices=True)
    post = post[tuple(nearest)]
    # shift along (z, y, x) in voxels of 4 x 3 x 3 mm
    spline = ndimage.shift(post, (-0.5, 0.0, -0.5), order=3, mode="mirror")
    expected = (spline[inside] - pre[inside]).mean()
    mean, median = lesion_numbers(scene, study, moved, maps)
    assert mean.value == pytest.approx(expected, rel=1e-5)
    change = maps.registered["dr2star"].values[inside]
    assert median.value == pytest.approx(np.median(change))
    # the lesion lies in surroundings that change less: clipped voxels draw its mean down
    assert change.mean() < expected - 0.5
    assert "without the clipping" in mean.note
    assert f"{change.mean():.4g} 1/s" in mean.note
    assert "clipping" not in median.note


def test_where_nothing_is_clipped_the_mean_is_that_of_the_voxels(scene):
    for settings, shift in (({"measure": {"map_order": 1}}, (1.5, 0.0, 0.0)), ({}, (0.0,) * 3)):
        scene.config = scene.config.with_settings(settings)
        study, moved, maps = made(scene, shift=shift)
        mean, _ = lesion_numbers(scene, study, moved, maps)
        expected = maps.registered["dr2star"].values[scene.boxes["lesion"]].mean()
        assert mean.value == pytest.approx(expected, rel=1e-5)
        scene.config = scene.config.with_settings({"measure": {"map_order": 3}})
