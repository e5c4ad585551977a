"""The tiny study has uniform regions: every statistic is one of the painted values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role
from eprimg.stages.carry import fingerprints
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify


def run(scene, study=None, registrations=None, regions=None, **options):
    study = study or scene.study()
    registrations = scene.registrations() if registrations is None else registrations
    made = quantify(study, registrations, scene.config).value
    regions = scene.region_set() if regions is None else regions
    return measure(
        study, registrations, made.maps, made.registered, regions, scene.config, **options
    )


def number(result, name, quantity, statistic, source):
    region = next(r for r in result.value.lesions.regions if r.name == name)
    found = region.measurement(quantity, statistic, source)
    assert found is not None, (name, quantity, statistic, source)
    return found


def test_volume_on_the_reference_grid(scene):
    volume = number(run(scene), "lesion", "volume", "volume", "reference")
    assert volume.value == pytest.approx(100 * 0.036)  # 100 voxels of 4 x 3 x 3 mm
    assert volume.n_voxels == 100
    assert np.isnan(volume.uncertainty)
    assert volume.uncertainty_note.startswith("none")


def test_r2star_and_its_change_on_native_grids(scene):
    result = run(scene)
    assert number(result, "lesion", "r2star", "median", "mr_pre").value == pytest.approx(30, 1e-4)
    post = number(result, "lesion", "r2star", "median", "mr_post")
    assert post.value == pytest.approx(130.0, rel=1e-4)
    assert post.grid == "native mr_post"
    for statistic in ("median", "mean"):
        change = number(result, "lesion", "dr2star", statistic, "mr_post-mr_pre")
        assert change.value == pytest.approx(100.0, rel=1e-4)
        assert "lower bound" in change.uncertainty_note
        registered = number(result, "lesion", "dr2star", statistic, "registered")
        assert registered.value == pytest.approx(100.0, rel=1e-3)
    assert number(result, "liver", "dr2star", "median", "mr_post-mr_pre").value == pytest.approx(
        260.0, rel=1e-4
    )


def test_uptake_on_the_native_pet_grid(scene):
    result = run(scene)
    dose = 74.0e6 * 2.0 ** (-72.0 / 78.41)
    suv = 12000.0 * 72000.0 / dose
    for statistic in ("mean", "max", "median"):
        found = number(result, "lesion", "suvbw", statistic, "pet")
        assert found.value == pytest.approx(suv, rel=1e-5)
        assert found.n_voxels == 100
    assert number(result, "lesion", "pid_per_kg", "mean", "pet").value == pytest.approx(
        100.0 * suv / 72.0, rel=1e-5
    )
    # The 12.4 mm sphere (radius 6.2 mm) reaches 0.2 mm out of a lesion of four 4 mm slices, where
    # a voxel centre lies 6 mm from the nearer end: a cap of pi h^2 (r - h/3) = 0.77 mm3, 0.08 %.
    cap = np.pi * 0.2**2 * (6.2 - 0.2 / 3) / (np.pi / 6 * 12.4**3)
    assert number(result, "lesion", "pid_per_kg", "peak", "pet").value == pytest.approx(
        100.0 * suv / 72.0 * (1.0 - cap * (1.0 - 500.0 / 12000.0)), rel=1e-4
    )
    assert number(result, "lesion", "lesion_blood_ratio", "ratio", "pet").value == pytest.approx(
        8.0, rel=1e-5
    )
    assert number(result, "lesion", "lesion_muscle_ratio", "ratio", "pet").value == pytest.approx(
        16.0, rel=1e-5
    )
    # off-target uptake: the organs are measured in the same way
    assert number(result, "liver", "suvbw", "mean", "pet").value == pytest.approx(suv / 2, 1e-5)


def test_labels_travel_the_way_the_patient_moved(scene):
    """The second session shows everything two voxels (6 mm) further to the left (+x)."""
    post = scene.mr_series(Role.MR_POST, "post", column=1)
    volume = replace(post.pixels.volume, data=np.roll(post.pixels.volume.data, 2, axis=2))
    post = replace(post, pixels=replace(post.pixels, volume=volume))
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), post)
    right = run(scene, study, (scene.registration("mr_post", shift=(6.0, 0.0, 0.0)),))
    found = number(right, "lesion", "dr2star", "mean", "mr_post-mr_pre")
    assert found.value == pytest.approx(100.0, rel=1e-4)
    native = right.value.native_lesions["mr_post"]
    np.testing.assert_array_equal(
        native.labels == 1, np.roll(scene.region_set().labels == 1, 2, axis=2)
    )
    skipped = run(scene, study, (scene.registration("mr_post"),))
    wrong = number(skipped, "lesion", "dr2star", "mean", "mr_post-mr_pre")
    assert abs(wrong.value - 100.0) > 20.0


def test_swapping_the_sessions_turns_the_sign(scene):
    pre = scene.mr_series(Role.MR_PRE, "pre", column=1)
    post = scene.mr_series(Role.MR_POST, "post", column=0)
    swapped = run(scene, scene.study(pre, post), (scene.registration("mr_post"),))
    assert number(swapped, "lesion", "dr2star", "median", "mr_post-mr_pre").value == (
        pytest.approx(-100.0, rel=1e-4)
    )


def test_an_unaligned_series_is_not_measured(scene):
    registrations = (scene.registration("mr_post", accepted=False), scene.registration("pet"))
    result = run(scene, registrations=registrations)
    assert set(result.value.native_lesions) == {"mr_pre", "pet"}
    lesion = result.value.lesions.lesions[0]
    assert lesion.measurement("r2star", "median", "mr_post") is None
    assert lesion.measurement("dr2star", "median") is None
    assert lesion.measurement("suvbw", "mean", "pet") is not None


def test_a_failed_alignment_leaves_the_numbers_of_masks_drawn_there(scene):
    """The same lesion drawn on both sessions: native medians stay, the voxel-wise map is gone."""
    drawn = np.zeros(scene.shape, dtype=np.int32)
    drawn[5, 14, 10:13] = 1
    lesion = scene.region_set(names=("lesion",))
    outline = {"1": fingerprints(scene.region_set())["1"]}
    settings = {"outlines": outline}
    native = {"mr_post": LesionSet(drawn, scene.grid("post"), lesion.regions, settings=settings)}
    registrations = (scene.registration("mr_post", accepted=False), scene.registration("pet"))
    result = run(scene, registrations=registrations, native=native)
    assert number(result, "lesion", "r2star", "median", "mr_post").n_voxels == 3
    assert number(result, "lesion", "r2star", "median", "mr_pre").n_voxels == 100
    assert "registered" not in {m.source for m in result.value.lesions.lesions[0].measurements}


def test_labels_known_on_a_grid_are_used_as_they_are(scene):
    """A mask drawn on the PET is measured there as drawn, not carried there and back."""
    drawn = np.zeros(scene.shape, dtype=np.int32)
    drawn[5, 14, 10] = 1
    lesion = scene.region_set(names=("lesion",))
    outline = {"1": fingerprints(scene.region_set())["1"]}
    native = {
        "pet": LesionSet(drawn, scene.grid("pet"), lesion.regions, settings={"outlines": outline})
    }
    result = run(scene, native=native)
    assert number(result, "lesion", "suvbw", "mean", "pet").n_voxels == 1
    assert number(result, "lesion", "r2star", "mean", "mr_post").n_voxels == 100
    # the organs, which were not drawn there, were carried
    assert number(result, "liver", "suvbw", "mean", "pet").n_voxels == 512


def test_a_lesion_keeps_its_volume_beside_the_organ_that_it_lies_in(scene):
    """A ball of 16 mm inside the liver, carried by about a third of a voxel in each direction."""
    base = scene.region_set(names=("liver",))
    labels = np.array(base.labels)
    z, y, x = np.indices(scene.shape)
    ball = (4 * (z - 4.6)) ** 2 + (3 * (y - 4.4)) ** 2 + (3 * (x - 4.7)) ** 2 < 8.0**2
    labels[ball] = 1
    lesion = scene.region_set(names=("lesion",)).regions
    regions = LesionSet(labels, base.grid, (*lesion, *base.regions))
    registrations = (
        scene.registration("mr_post"),
        scene.registration("pet", shift=(1.0, 1.3, 0.9)),
    )
    native = run(scene, registrations=registrations, regions=regions).value.native_lesions["pet"]
    assert np.count_nonzero(native.labels == 1) == pytest.approx(np.count_nonzero(ball), rel=0.02)


def test_only_changed_regions_are_measured_again(scene):
    study, registrations = scene.study(), scene.registrations()
    made = quantify(study, registrations, scene.config).value
    first = measure(
        study, registrations, made.maps, made.registered, scene.region_set(), scene.config
    )
    labels = np.array(first.value.lesions.labels)
    labels[4, 12:17, 8:13] = 0  # a slice of the lesion is erased
    edited = replace(first.value.lesions, labels=labels)
    second = measure(
        study,
        registrations,
        made.maps,
        made.registered,
        edited,
        scene.config,
        native=first.value.native_lesions,
        ids={1},
    )
    assert number(second, "lesion", "suvbw", "mean", "pet").n_voxels == 75
    assert number(second, "lesion", "lesion_blood_ratio", "ratio", "pet").value == pytest.approx(
        8.0, rel=1e-5
    )
    before = next(r for r in first.value.lesions.regions if r.name == "liver")
    after = next(r for r in second.value.lesions.regions if r.name == "liver")
    assert after.measurements is before.measurements
    assert np.count_nonzero(second.value.native_lesions["pet"].labels == 1) == 75


def test_an_edit_is_noticed_without_being_told(scene):
    study, registrations = scene.study(), scene.registrations()
    made = quantify(study, registrations, scene.config).value
    first = measure(
        study, registrations, made.maps, made.registered, scene.region_set(), scene.config
    ).value
    labels = np.array(first.lesions.labels)
    labels[4, 12:17, 8:13] = 0
    edited = replace(first.lesions, labels=labels)
    second = measure(
        study,
        registrations,
        made.maps,
        made.registered,
        edited,
        scene.config,
        native=first.native_lesions,
    )
    assert number(second, "lesion", "suvbw", "mean", "pet").n_voxels == 75


def test_nothing_to_measure(scene):
    study, registrations = scene.study(), scene.registrations()
    made = quantify(study, registrations, scene.config).value
    result = measure(study, registrations, made.maps, made.registered, None, scene.config)
    assert result.value.lesions is None


def test_every_number_has_an_uncertainty_or_a_reason(scene):
    for region in run(scene).value.lesions.regions:
        for m in region.measurements:
            assert m.uncertainty_note
            if np.isnan(m.uncertainty):
                assert m.uncertainty_note.startswith("none"), m
            if np.isnan(m.value):
                assert m.note, m
