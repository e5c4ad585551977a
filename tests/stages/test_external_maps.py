"""Covariates: painted maps give the painted value back, through the registration."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from eprimg.model.lesions import Measurement
from eprimg.model.maps import ExternalMap, QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.external_maps import COVARIATE, measure_vessel_size
from eprimg.stages.measure import measure

NAN = float("nan")


def external(grid, values, key="ktrans", on="mr_post", phase=""):
    values = values.astype(np.float32)
    map_ = QuantityMap(
        values, grid, quantity(key), np.isfinite(values), "made elsewhere", sources=(on,)
    )
    name = "_".join(p for p in ("map", key, phase) if p)
    return ExternalMap(name, on, map_, phase)


def numbers_of(scene, maps, registrations=None, regions=None, **options):
    study = replace(scene.study(), external_maps=tuple(maps))
    registrations = scene.registrations() if registrations is None else registrations
    regions = scene.region_set(names=("lesion", "liver")) if regions is None else regions
    made = measure(study, registrations, {}, {}, regions, scene.config, **options)
    return made.value


def find(measured, name, statistic, source="map_ktrans", key="ktrans"):
    region = next(r for r in measured.lesions.regions if r.name == name)
    return region.measurement(key, statistic, source)


def test_a_map_is_measured_through_the_registration_of_its_frame(scene):
    # mr_post is shifted by two voxels along x (6 mm); the map lies on its lattice, shifted too.
    values = np.full(scene.shape, 0.1)
    k, j, i = scene.boxes["lesion"]
    values[k, j, slice(i.start + 2, i.stop + 2)] = 0.25
    values[4, 12, 10:12] = (np.nan, np.inf)
    registrations = (scene.registration("mr_post", shift=(6.0, 0.0, 0.0)),)
    measured = numbers_of(scene, [external(scene.grid("post"), values)], registrations)
    mean = find(measured, "lesion", "mean")
    assert mean.value == pytest.approx(0.25, rel=1e-6)
    assert mean.n_voxels == 98  # 4 x 5 x 5 without the two that are missing
    assert mean.note.startswith(COVARIATE)
    assert "2 of 100 voxels" in mean.note
    assert mean.grid == "native map_ktrans"
    assert np.isnan(mean.uncertainty)
    assert find(measured, "lesion", "sd").value == pytest.approx(0.0, abs=1e-7)
    assert find(measured, "liver", "median").value == pytest.approx(0.1, rel=1e-6)
    assert "map_ktrans" in measured.native_lesions


def test_the_map_keeps_its_own_voxels(scene):
    # Half the voxels per axis over the same space: a ramp along z has its mean in the middle.
    spacing = tuple(2 * s for s in scene.spacing)
    half = scene.grid(
        "post",
        shape=tuple(n // 2 for n in scene.shape),
        spacing=spacing,
        origin=tuple(s / 2 for s in scene.spacing[::-1]),
    )
    ramp = np.broadcast_to(np.arange(6.0)[:, None, None], half.shape)
    regions = scene.region_set(names=("lesion",))
    labels = np.zeros(scene.shape, np.int32)
    labels[4:8, 12:16, 8:12] = scene.ids["lesion"]
    measured = numbers_of(scene, [external(half, ramp)], regions=replace(regions, labels=labels))
    mean = find(measured, "lesion", "mean")
    # slices 4..7 of 4 mm are slices 2 and 3 of 8 mm; 64 voxels of 36 mm3 are 8 of 288 mm3
    assert mean.value == pytest.approx(2.5)
    assert mean.n_voxels == 8


def test_part_of_a_region_none_of_it_and_no_alignment_are_said(scene):
    slab = scene.grid("post", shape=(6, 20, 24))
    measured = numbers_of(scene, [external(slab, np.ones(slab.shape))])
    assert "only 50 % of the region" in find(measured, "lesion", "mean").note
    away = scene.grid("post", origin=(500.0, 0.0, 0.0))
    none = find(numbers_of(scene, [external(away, np.ones(away.shape))]), "lesion", "mean")
    assert np.isnan(none.value)
    assert none.n_voxels == 0
    assert "no voxel of the region" in none.note
    refused = (scene.registration("mr_post", accepted=False),)
    lost = find(
        numbers_of(scene, [external(scene.grid("post"), np.ones(scene.shape))], refused),
        "lesion",
        "mean",
    )
    assert np.isnan(lost.value)
    assert "mr_post, in whose frame the map lies, is not aligned" in lost.note


def test_a_map_on_the_grid_of_the_reference_needs_no_carrying(scene):
    values = np.zeros(scene.shape)
    values[scene.boxes["lesion"]] = np.arange(100).reshape(4, 5, 5)
    made = numbers_of(scene, [external(scene.grid("pre"), values, "adc", "mr_pre")])
    mean = find(made, "lesion", "mean", "map_adc", "adc")
    assert mean.value == pytest.approx(49.5)  # mean of 0 .. 99
    assert find(made, "lesion", "sd", "map_adc", "adc").value == pytest.approx(
        np.std(np.arange(100), ddof=1)
    )


def test_an_edit_gives_the_numbers_of_a_whole_run(scene):
    values = np.arange(np.prod(scene.shape), dtype=float).reshape(scene.shape)
    place = scene.grid("post", origin=(1.0, 0.5, 0.0))
    maps = [external(place, values)]
    first = numbers_of(scene, maps)
    labels = first.lesions.labels.copy()
    labels[6:8, 12:17, 8:13] = 0
    edited = replace(first.lesions, labels=labels)
    part = numbers_of(scene, maps, regions=edited, ids={1}, before=first.native_lesions)
    whole = numbers_of(scene, maps, regions=edited)
    for name in ("lesion", "liver"):
        for statistic in ("mean", "median", "sd"):
            assert find(part, name, statistic) == find(whole, name, statistic)
    assert find(part, "lesion", "mean").value != find(first, "lesion", "mean").value


@pytest.mark.parametrize(("hours", "given"), [(1.0, True), (24.0, False)])
def test_the_vessel_index_of_the_mean_changes(scene, hours, given):
    def one(key, source, value, error=NAN, n=10):
        return Measurement(key, "mean", source, value, error, "", n, "")

    shape = (1, 1, 1)
    maps = tuple(
        external(scene.grid("pre", shape=shape), np.ones(shape), "r2", "mr_pre", phase)
        for phase in ("pre", "post")
    )
    at = datetime(2026, 3, 1, 10)
    study = scene.study()
    points = tuple(replace(t, instant=at + timedelta(hours=hours)) for t in study.timepoints)
    study = replace(study, external_maps=maps, timepoints=points, overrides={"agent.instant": at})
    numbers = {
        1: [
            one("r2", "map_r2_pre", 12.0),
            one("r2", "map_r2_post", 16.0, n=8),
            one("dr2star", "mr_post-mr_pre", 27.0, 1.0),
        ]
    }
    measure_vessel_size(numbers, {}, study)
    q = numbers[1][-1]
    assert (q.quantity, q.statistic, q.n_voxels) == ("vessel_size_q", "ratio", 8)
    if given:
        assert q.value == pytest.approx(4.0 / 9.0)  # 4 / 27^(2/3) = 4 / 9
    else:
        assert np.isnan(q.value)
        assert "later than 4 h" in q.note


def test_one_r2_map_gives_no_vessel_index(scene):
    numbers = {1: []}
    measure_vessel_size(numbers, {}, scene.study())
    assert numbers == {1: []}
