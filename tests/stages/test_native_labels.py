"""Labels on a native grid do not depend on the order of edits, and untouched parts stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.model.study import Role
from eprimg.stages.carry import fingerprints
from eprimg.stages.native_labels import CARRIED, CARRIED_BY, OUTLINES, native_voxels
from eprimg.stages.region_voxels import RegionVoxels
from tests.stages.case_with_edits import edit, measured_case


def on_pet(case, lesions, before=None):
    return native_voxels(
        case.study,
        case.registrations,
        RegionVoxels(lesions),
        fingerprints(lesions),
        case.study.find(Role.PET),
        drawn=case.drawn_lesions.get("pet"),
        before=before,
    )


def test_a_part_made_again_is_the_whole_made_again(scene):
    case = measured_case(scene, drawn_on_pet=True)
    random = np.random.default_rng(11)
    lesions, known = case.lesions, on_pet(case, case.lesions).lesions
    for _ in range(30):
        lesions, words = edit(lesions, random)
        partial, whole = on_pet(case, lesions, known), on_pet(case, lesions)
        np.testing.assert_array_equal(partial.lesions.labels, whole.lesions.labels, words)
        assert partial.boxes == whole.boxes, words
        assert partial.lesions.settings[CARRIED] == whole.lesions.settings[CARRIED]
        known = partial.lesions


def test_nothing_is_made_again_without_an_edit(scene):
    case = measured_case(scene)
    known = on_pet(case, case.lesions).lesions
    again = on_pet(case, case.lesions, known).lesions
    assert np.shares_memory(known.labels, again.labels)
    assert set(again.settings[OUTLINES]) == {str(r.id) for r in case.lesions.regions}


def test_another_transform_makes_all_again(scene):
    case = measured_case(scene)
    known = on_pet(case, case.lesions).lesions
    moved = (scene.registration("mr_post"), scene.registration("pet", shift=(6.0, 0.0, 0.0)))
    there = on_pet(replace(case, registrations=moved), case.lesions, known).lesions
    fresh = on_pet(replace(case, registrations=moved), case.lesions).lesions
    np.testing.assert_array_equal(there.labels, fresh.labels)
    assert not np.array_equal(there.labels, known.labels)
    refused = (scene.registration("mr_post"), scene.registration("pet", accepted=False))
    assert on_pet(replace(case, registrations=refused), case.lesions, known) is None


def test_organs_by_nearest_voxel_do_not_depend_on_the_order_of_edits(scene, monkeypatch):
    """Organs of 18 mL around the limit: edits change the method of some of them."""
    monkeypatch.setattr("eprimg.stages.region_voxels._FILLS_SPACE_ML", 18.4)
    case = measured_case(scene)
    random = np.random.default_rng(3)
    lesions, known = case.lesions, on_pet(case, case.lesions).lesions
    methods = set(known.settings[CARRIED_BY].values())
    for _ in range(15):
        lesions, words = edit(lesions, random)
        partial, whole = on_pet(case, lesions, known), on_pet(case, lesions)
        np.testing.assert_array_equal(partial.lesions.labels, whole.lesions.labels, words)
        assert partial.boxes == whole.boxes, words
        known = partial.lesions
        methods |= set(known.settings[CARRIED_BY].values())
    assert methods == {"nearest", "signed-distance"}
