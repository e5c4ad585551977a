"""Lesions whose masks overlap: each is measured as if the other one were not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg import pipeline
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.model.study import Role
from eprimg.stages.carry import fingerprints
from eprimg.stages.native_labels import native_voxels
from eprimg.stages.quantify import quantify
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.segment import segment
from tests.stages.case_with_edits import CONFIG_SHIFTS, noisy

A = (slice(3, 9), slice(8, 16), slice(6, 14))
B = (slice(5, 10), slice(10, 18), slice(10, 17))
BOTH = 4 * 6 * 4  # slices 5-8, rows 10-15, columns 10-13
SIZE = {"lesion-a": 6 * 8 * 8, "lesion-b": 5 * 8 * 7}
VOXEL_ML = 0.036  # 4 x 3 x 3 mm


def drawn(scene, name, box, *, frame="pre", role=RegionRole.LESION):
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels[box] = 1
    return LesionSet(labels, scene.grid(frame), (Region(1, name, role),), origin=f"{name}.nii.gz")


def study_of(scene, *sets):
    return scene.study(
        noisy(scene.mr_series(Role.MR_PRE, "pre"), 1),
        noisy(scene.mr_series(Role.MR_POST, "post", column=1), 2),
        noisy(scene.pet_series("pet"), 3),
        regions=sets,
    )


def registrations(scene):
    return tuple(scene.registration(key, shift=shift) for key, shift in CONFIG_SHIFTS.items())


@pytest.fixture(scope="module")
def measured():
    """Numbers by name of the lesion: with both masks, and with each of them alone."""
    from tests.stages import conftest

    scene = conftest.Scene()
    sets = {"lesion-a": drawn(scene, "lesion-a", A), "lesion-b": drawn(scene, "lesion-b", B)}

    def run(*names):
        study = study_of(scene, *(sets[n] for n in names))
        start = pipeline.Case(study, registrations=registrations(scene))
        return pipeline.run(study, scene.config, case=start, start="quantify", stop="measure")

    return {"both": run(*sets), **{name: run(name) for name in sets}}


@pytest.mark.parametrize("name", ["lesion-a", "lesion-b"])
def test_each_is_measured_on_its_whole_mask(measured, name):
    """Every number of every grid: the same as that of the mask alone."""
    (alone,) = measured[name].lesions.lesions
    both = next(r for r in measured["both"].lesions.lesions if r.name == name)
    assert {"volume", "r2star", "suvbw", "dr2star"} <= {m.quantity for m in both.measurements}
    expected = {(m.quantity, m.statistic, m.source): m for m in alone.measurements}
    found = {(m.quantity, m.statistic, m.source): m for m in both.measurements}
    assert set(found) == set(expected)
    for key, m in found.items():
        np.testing.assert_equal(
            (m.value, m.n_voxels), (expected[key].value, expected[key].n_voxels)
        )
    assert both.measurement("volume", "volume").value == pytest.approx(SIZE[name] * VOXEL_ML)
    assert [p.mean for p in both.profiles] == [p.mean for p in alone.profiles]


def test_a_finding_names_both_and_what_they_share(measured):
    (finding,) = [f for f in measured["both"].findings if f.code == "W_LESIONS_OVERLAP"]
    # 96 voxels of 36 mm3 are 3.456 mL; 25 % of 384 and 34 % of 280 voxels
    assert "lesion-a and lesion-b share 3.46 mL" in finding.text
    assert "25 % of lesion-a, 34 % of lesion-b" in finding.text
    assert "most of the shared ones as lesion-a" in finding.text
    labels = measured["both"].lesions.labels
    assert np.count_nonzero(labels == 1) == SIZE["lesion-a"]
    assert np.count_nonzero(labels == 2) == SIZE["lesion-b"] - BOTH
    assert "W_LESIONS_OVERLAP" not in [f.code for f in measured["lesion-a"].findings]


def test_a_lesion_within_another_keeps_its_numbers(scene):
    """The second mask has no voxel of its own left in the label volume."""
    inner = (slice(4, 8), slice(10, 14), slice(8, 12))
    study = study_of(scene, drawn(scene, "outer lesion", A), drawn(scene, "inner lesion", inner))
    maps = quantify(study, registrations(scene), scene.config).value.maps
    lesions = segment(study, maps, scene.config).value.lesions
    voxels = RegionVoxels(lesions)
    assert voxels.count(2) == 64
    assert voxels.boxes[2] == inner
    assert not (lesions.labels == 2).any()


def test_an_excluded_part_takes_its_voxels_from_both(scene):
    out = (slice(5, 6), slice(10, 16), slice(10, 14))  # 24 of the shared voxels
    sets = [
        drawn(scene, "lesion-a", A),
        drawn(scene, "lesion-b", B),
        drawn(scene, "exclude", out, role=RegionRole.EXCLUDE),
    ]
    result = segment(study_of(scene, *sets), {}, scene.config)
    voxels = RegionVoxels(result.value.lesions)
    assert voxels.count(1) == SIZE["lesion-a"] - 24
    assert voxels.count(2) == SIZE["lesion-b"] - 24


def test_both_drawn_on_pet_stay_as_drawn_there(scene):
    sets = [drawn(scene, "lesion-a", A, frame="pet"), drawn(scene, "lesion-b", B, frame="pet")]
    study = study_of(scene, *sets)
    made = segment(study, {}, scene.config, registrations=registrations(scene)).value
    there = native_voxels(
        study,
        registrations(scene),
        RegionVoxels(made.lesions),
        fingerprints(made.lesions),
        study.find(Role.PET),
        drawn=made.native["pet"],
        before=None,
    )
    for number, box in ((1, A), (2, B)):
        expected = np.zeros(scene.shape, dtype=bool)
        expected[box] = True
        everywhere = tuple(slice(0, n) for n in scene.shape)
        np.testing.assert_array_equal(there.within(number, everywhere), expected)


def test_an_edit_ends_what_is_shared_and_a_part_made_again_is_the_whole(scene):
    sets = [drawn(scene, "lesion-a", A), drawn(scene, "lesion-b", B)]
    study = study_of(scene, *sets)
    lesions = segment(study, {}, scene.config).value.lesions

    def on_pet(regions, before=None):
        return native_voxels(
            study,
            registrations(scene),
            RegionVoxels(regions),
            fingerprints(regions),
            study.find(Role.PET),
            drawn=None,
            before=before,
        )

    known = on_pet(lesions).lesions
    labels = np.array(lesions.labels)
    labels[5:7, 10:16, 10:14] = 0  # half of the shared voxels are erased, for both
    edited = replace(lesions, labels=labels)
    assert RegionVoxels(edited).count(2) == SIZE["lesion-b"] - BOTH // 2
    assert fingerprints(edited)["2"] != fingerprints(lesions)["2"]
    partial, whole = on_pet(edited, known), on_pet(edited)
    np.testing.assert_array_equal(partial.lesions.labels, whole.lesions.labels)
    assert partial.boxes == whole.boxes
    for number in (1, 2):
        np.testing.assert_array_equal(partial.inside(number), whole.inside(number))
    # excluded, the other one takes its voxels away
    roles = tuple(replace(r, role=RegionRole.EXCLUDE) if r.id == 1 else r for r in lesions.regions)
    assert RegionVoxels(lesions.with_regions(roles)).count(2) == SIZE["lesion-b"] - BOTH


def test_shared_voxels_outside_of_the_grid_are_refused(scene):
    lesions = scene.region_set()
    outside = SharedVoxels(1, 11, (11, 0, 0), np.ones((2, 1, 1), dtype=bool))
    with pytest.raises(ValueError, match="E_GEOM_MATRIX"):
        replace(lesions, shared=(outside,))


def test_regions_of_one_name_are_told_apart(scene):
    """E.g. a click with the name of a mask; numbers are read by name further on."""
    first = drawn(scene, "x", (slice(1, 3), slice(1, 4), slice(1, 4)))
    second = drawn(scene, "x", (slice(5, 6), slice(5, 7), slice(5, 7)))
    study = study_of(scene, first, second)
    made = segment(study, {}, scene.config, registrations=registrations(scene))
    found = {
        r.name: int((made.value.lesions.labels == r.id).sum()) for r in made.value.lesions.regions
    }
    # voxels as drawn: 2 x 3 x 3 and 1 x 2 x 2
    assert found == {"x": 18, "x #1": 4}
    assert "W_REGIONS_RENAMED" in {f.code for f in made.findings}
