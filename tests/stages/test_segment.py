from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.study import Role
from eprimg.stages.quantify import quantify
from eprimg.stages.segment import segment


def codes(result):
    return [f.code for f in result.findings]


def run(scene, study, registrations=(), config=None):
    config = config or scene.config
    maps = quantify(study, registrations, config).value.maps
    return segment(study, maps, config, registrations=registrations)


def test_masks_on_the_reference_grid_stay_as_they_are(scene):
    regions = scene.region_set()
    result = run(scene, scene.study(regions=[regions]), scene.registrations())
    lesions = result.value.lesions
    np.testing.assert_array_equal(lesions.labels, regions.labels)
    assert [r.id for r in lesions.regions] == [1, 11, 12, 13, 14]
    assert result.value.native == {}
    assert result.findings == ()


def test_two_masks_with_the_same_numbers(scene):
    lesions = scene.region_set(names=("lesion",))
    organs = scene.region_set(names=("liver", "spleen"), ids={"liver": 1, "spleen": 2})
    result = run(scene, scene.study(regions=[lesions, organs]), scene.registrations())
    found = result.value.lesions
    assert [(r.id, r.name) for r in found.regions] == [(1, "lesion"), (2, "liver"), (3, "spleen")]
    assert codes(result) == ["I_IDS_SHIFTED"]
    assert np.count_nonzero(found.labels == 2) == 8 * 8 * 8


@pytest.mark.parametrize("lesion_first", [True, False])
def test_a_lesion_wins_over_an_organ(scene, lesion_first):
    lesion = scene.region_set(names=("lesion",))
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels[2:10, 10:18, 6:16] = 5
    organ = LesionSet(
        labels,
        scene.grid("pre"),
        (Region(5, "liver", RegionRole.REFERENCE, anatomy="liver"),),
        "organs",
    )
    sets = [lesion, organ] if lesion_first else [organ, lesion]
    result = run(scene, scene.study(regions=sets), scene.registrations())
    found = result.value.lesions
    assert np.count_nonzero(found.labels == 1) == 4 * 5 * 5
    assert np.count_nonzero(found.labels == 5) == 8 * 8 * 10 - 4 * 5 * 5
    assert codes(result) == ["I_OVERLAP"]
    assert "100 voxels of liver went to lesion" in result.findings[0].text


def test_a_mask_of_another_session_is_carried_and_kept(scene):
    regions = replace(scene.region_set(names=("lesion",)), grid=scene.grid("post"))
    shift = scene.registration("mr_post", shift=(6.0, 0.0, 0.0))
    result = run(scene, scene.study(regions=[regions]), (shift, scene.registration("pet")))
    expected = np.roll(regions.labels, -2, axis=2)
    np.testing.assert_array_equal(result.value.lesions.labels, expected)
    np.testing.assert_array_equal(result.value.native["mr_post"].labels, regions.labels)


def test_a_mask_on_another_grid_of_the_reference_frame(scene):
    # The same field of view with twice as many slices, each half as thick.
    labels = np.repeat(scene.region_set(names=("lesion",)).labels, 2, axis=0)
    fine = scene.grid("pre", shape=(24, 20, 24), spacing=(2.0, 3.0, 3.0), origin=(0, 0, -1.0))
    regions = LesionSet(labels, fine, (Region(1, "lesion", RegionRole.LESION),), "fine mask")
    result = run(scene, scene.study(regions=[regions]), scene.registrations())
    np.testing.assert_array_equal(
        result.value.lesions.labels, scene.region_set(names=("lesion",)).labels
    )
    assert result.value.native == {}


def test_a_mask_on_a_ct_travels_with_its_pet(scene):
    pet = scene.pet_series("pet")
    grid = scene.grid("pet", shape=(24, 20, 24), spacing=(2.0, 3.0, 3.0), origin=(0, 0, -1.0))
    volume = type(pet.pixels)(np.zeros(grid.shape, np.float32), grid, pet.pixels.quantity)
    ct = type(pet)("ct", Role.CT, volume, None, study_uid=pet.study_uid)
    labels = np.repeat(scene.region_set(names=("lesion",)).labels, 2, axis=0)
    regions = LesionSet(labels, grid, (Region(1, "lesion", RegionRole.LESION),), "on the CT")
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), pet, ct, regions=[regions])
    shift = scene.registration("pet", shift=(6.0, 0.0, 0.0))
    result = run(scene, study, (shift,))
    expected = np.roll(scene.region_set(names=("lesion",)).labels, -2, axis=2)
    np.testing.assert_array_equal(result.value.lesions.labels, expected)


def test_a_mask_on_an_unknown_frame_is_refused(scene):
    regions = scene.region_set("somewhere else")
    with pytest.raises(GeometryError) as caught:
        run(scene, scene.study(regions=[regions]), scene.registrations())
    assert caught.value.code == "E_FOR"


def test_a_mask_on_an_unaligned_series_is_refused(scene):
    regions = replace(scene.region_set(), grid=scene.grid("post"))
    refused = (scene.registration("mr_post", accepted=False), scene.registration("pet"))
    with pytest.raises(GeometryError) as caught:
        run(scene, scene.study(regions=[regions]), refused)
    assert caught.value.code == "E_SEG_UNREGISTERED"


def test_a_region_outside_the_field_of_view_is_reported(scene):
    regions = replace(scene.region_set(names=("lesion",)), grid=scene.grid("post"))
    far = scene.registration("mr_post", shift=(-60.0, 0.0, 0.0))
    result = run(scene, scene.study(regions=[regions]), (far, scene.registration("pet")))
    assert "W_REGION_EMPTY" in codes(result)


def candidates_config(scene, **settings):
    return scene.config.with_settings({"segment": {"percent": 41.0, **settings}})


def test_candidates_without_a_mask(scene):
    # 41 % of 12000 is 4920 Bq/mL: lesion, liver (6000) and spleen (7000) lie above.
    result = run(scene, scene.study(), scene.registrations(), candidates_config(scene))
    lesions = result.value.lesions.lesions
    assert [r.source for r in lesions] == [RegionSource.CANDIDATE] * 3
    sizes = [int(np.count_nonzero(result.value.lesions.labels == r.id)) for r in lesions]
    assert sizes == [512, 512, 100]
    assert "I_CANDIDATES" in codes(result)
    text = next(f.text for f in result.findings if f.code == "I_CANDIDATES")
    assert "no tier until a person confirms them" in text
    assert set(result.value.native) == {"pet"}


def test_candidates_in_reference_organs_are_dropped(scene):
    organs = scene.region_set(names=("liver", "spleen"))
    result = run(
        scene, scene.study(regions=[organs]), scene.registrations(), candidates_config(scene)
    )
    found = result.value.lesions
    assert [(r.id, r.name) for r in found.lesions] == [(13, "candidate-3")]
    assert np.count_nonzero(found.labels == 13) == 100
    text = next(f.text for f in result.findings if f.code == "I_CANDIDATES_DROPPED")
    assert "candidate-1 (100 % in liver)" in text
    assert "I_IDS_SHIFTED" not in codes(result)


def test_accepted_candidates_are_confirmed(scene):
    result = run(
        scene,
        scene.study(),
        scene.registrations(),
        candidates_config(scene, accept_candidates=True),
    )
    assert {r.source for r in result.value.lesions.lesions} == {RegionSource.CONFIRMED}
    text = next(f.text for f in result.findings if f.code == "I_CANDIDATES")
    assert "Nobody has reviewed" in text


def test_too_many_candidates_are_refused(scene):
    result = run(
        scene, scene.study(), scene.registrations(), candidates_config(scene, maximum_candidates=2)
    )
    assert result.value.lesions is None
    assert codes(result) == ["E_SEG_MANY"]


def test_nothing_above_the_threshold(scene):
    result = run(
        scene,
        scene.study(),
        scene.registrations(),
        candidates_config(scene, rule="fixed", suvbw=1000.0),
    )
    assert result.value.lesions is None
    assert codes(result) == ["I_SEG_SEARCH", "W_NO_LESIONS"]


def test_without_masks_and_pet_there_is_no_lesion(scene):
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"))
    result = run(scene, study)
    assert result.value.lesions is None
    assert codes(result) == ["W_NO_LESIONS"]


def test_candidates_need_an_aligned_pet(scene):
    refused = (scene.registration("mr_post"), scene.registration("pet", accepted=False))
    result = run(scene, scene.study(), refused)
    assert result.value.lesions is None
    assert codes(result) == ["W_NO_LESIONS"]
    assert result.findings[0].where == "pet"
