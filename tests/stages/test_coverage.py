from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.study import Role
from eprimg.model.transform import Transform
from eprimg.stages.coverage import (
    Drawn,
    add_coverage_notes,
    coverage_of,
    covered_shares,
    measure_coverage,
)
from eprimg.stages.region_voxels import RegionVoxels

NOBODY = Drawn({}, {})


def measured(scene, registrations, drawn=NOBODY, role=Role.PET):
    study, lesions = scene.study(), scene.region_set()
    numbers = {r.id: [] for r in lesions.regions}
    measure_coverage(numbers, study, registrations, lesions, study.find(role), drawn)
    return {number: each[0] for number, each in numbers.items()}


def test_voxel_centres_are_counted(scene):
    """The lesion takes slices 4 to 7 of 4 mm.  Moved down by 18 mm they lie at -2, 2, 6 and 10 mm:
    the field of view begins half a voxel (2 mm) before the first centre, so all are inside; by
    19 mm the first is out."""
    lesions = scene.region_set(names=("lesion",))
    for down, share in ((18.0, 1.0), (19.0, 0.75), (40.0, 0.0)):
        matrix = np.eye(4)
        matrix[2, 3] = -down
        found = covered_shares(
            RegionVoxels(lesions), scene.grid("pet"), Transform(matrix, "pre", "pet"), (1, 99)
        )
        assert found == {1: (share, 100)}


def test_share_of_every_region_and_source(scene):
    cut = (scene.registration("mr_post"), scene.registration("pet", shift=(0.0, 0.0, -24.0)))
    found = measured(scene, cut)
    lesion = found[scene.ids["lesion"]]
    # slices 4 to 7 become -2 to 1
    assert lesion.value == pytest.approx(0.5)
    assert (lesion.quantity, lesion.statistic, lesion.source) == ("coverage", "share", "pet")
    assert lesion.n_voxels == 100
    # the liver takes slices 1 to 8: three of eight stay inside (6, 7 and 8)
    assert found[scene.ids["liver"]].value == pytest.approx(3 / 8)
    assert measured(scene, cut, role=Role.MR_POST)[scene.ids["lesion"]].value == 1.0


def test_a_mask_drawn_elsewhere_knows_what_the_reference_cut(scene):
    """On PET the lesion has eight slices; four of them lie on the MR grid after the shift."""
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels[4:12, 12:17, 8:13] = 1
    pet = LesionSet(labels, scene.grid("pet"), scene.region_set(names=("lesion",)).regions)
    drawn = Drawn({"pet": pet}, {1: "pet"})
    # a point of the MR lies 32 mm further up on the PET: PET slices 8 .. 11 are MR slices 0 .. 3
    up = (scene.registration("mr_post"), scene.registration("pet", shift=(0.0, 0.0, 32.0)))
    assert measured(scene, up, drawn, Role.MR_PRE)[1].value == pytest.approx(0.5)
    assert measured(scene, up, drawn, Role.PET)[1].value == 1.0


def test_an_empty_region_has_no_share(scene):
    lesions = scene.region_set(names=("lesion",))
    lesions = LesionSet(np.zeros(scene.shape, dtype=np.int32), lesions.grid, lesions.regions)
    numbers = {1: []}
    study = scene.study()
    measure_coverage(numbers, study, scene.registrations(), lesions, study.find(Role.PET), NOBODY)
    assert math.isnan(numbers[1][0].value)
    assert numbers[1][0].note
    assert coverage_of(numbers, {}, 1, "pet") == 1.0


def test_notes_stand_at_every_number_of_the_source():
    def number(quantity, statistic, source, value, note=""):
        return Measurement(quantity, statistic, source, value, math.nan, "none", 9, "g", note)

    numbers = {
        1: [
            number("coverage", "share", "pet", 0.25),
            number("suvbw", "mean", "pet", 4.0, "first"),
            number("r2star", "mean", "mr_pre", 30.0),
        ],
        2: [number("coverage", "share", "pet", 1.0), number("suvbw", "mean", "pet", 4.0)],
    }
    add_coverage_notes(numbers, "pet")
    said = "only 25 % of the region lies in the field of view of pet"
    assert [m.note for m in numbers[1]] == ["", f"first; {said}", ""]
    assert [m.note for m in numbers[2]] == ["", ""]
