"""A partial run after any edit gives the same tables as a whole run from nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg import pipeline
from eprimg.config import Config
from eprimg.io.write_tables import lesions_csv, measurements_csv
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.affected import affected_regions
from eprimg.stages.carry import fingerprints
from eprimg.stages.lesion_distance import lesion_distances
from eprimg.stages.region_notes import exclude_region
from tests.stages.case_with_edits import edit, measured_case, with_labels


def tables(case):
    return lesions_csv(case), measurements_csv(case)


def profiles(case):
    return repr([(r.id, r.profiles) for r in case.lesions.regions])


def from_nothing(case, config):
    """The same labels, measured as if nothing were known but the drawn regions."""
    bare = replace(
        case,
        lesions=case.lesions.with_regions(
            tuple(
                r
                if r.role == RegionRole.EXCLUDE
                else replace(r, measurements=(), notes=(), profiles=())
                for r in case.lesions.regions
            )
        ),
        native_lesions=case.drawn_lesions,
        uptake_apart_mm={},
        uptake_centres={},
    )
    return pipeline.run(case.study, config, case=bare, start="measure")


@pytest.mark.parametrize("seed", range(6))
def test_edits_in_any_order(scene, seed):
    random = np.random.default_rng(seed)
    config = scene.config
    case = measured_case(scene, drawn_on_pet=seed % 2 == 0)
    for step in range(10):
        after, words = edit(case.lesions, random)
        ids = affected_regions(case.lesions, after, config)
        case = pipeline.run(
            case.study, config, case=replace(case, lesions=after), start="measure", ids=ids
        )
        fresh = from_nothing(case, config)
        assert tables(case) == tables(fresh), (seed, step, words)
        assert case.findings == fresh.findings, (seed, step, words)
        assert case.uptake_apart_mm == fresh.uptake_apart_mm, (seed, step, words)
        assert profiles(case) == profiles(fresh), (seed, step, words)
        # Boxes that measuring hands on are those of the labels themselves.
        apart = lesion_distances(replace(case, uptake_centres={})).value
        assert case.uptake_apart_mm == apart.apart_mm, (seed, step, words)


@pytest.mark.parametrize("method", ["gtm", "single-target", "rc-table"])
def test_edits_with_corrections_that_look_at_neighbours(scene, method, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "nuclide,scanner,diameter_mm,background_ratio,rc,rc_uncertainty\n"
        + "".join(f"89Zr,A,{d},{a},{0.5 + d / 200},0.02\n" for d in (5, 80) for a in (1.01, "inf"))
    )
    config = scene.config.with_settings(
        {
            "partial_volume": {
                "method": method,
                "fwhm_mm": [9.0],
                "minimum_diameter_fwhm": 0.5,
                "recovery_table": str(table),
                "scanner": "A",
                "background_gap_mm": 4.0,
            },
            "blood_volume": {"fraction": 0.05},
        }
    )
    random = np.random.default_rng(5)
    case = measured_case(scene, drawn_on_pet=True)
    case = from_nothing(case, config)
    shown = measurements_csv(case)
    assert "mean_partial_volume" in shown
    assert f"{method}, " in shown  # something was corrected
    for step in range(8):
        after, words = edit(case.lesions, random)
        ids = affected_regions(case.lesions, after, config)
        case = pipeline.run(
            case.study, config, case=replace(case, lesions=after), start="measure", ids=ids
        )
        assert tables(case) == tables(from_nothing(case, config)), (step, words)


def test_an_edit_that_is_taken_back_gives_the_first_tables(scene):
    """A region drawn on PET is carried after an edit, and is used as drawn when it is undone."""
    config = scene.config
    case = measured_case(scene, drawn_on_pet=True)
    first = tables(case)
    labels = np.array(case.lesions.labels)
    labels[case.lesions.labels == 1] = np.roll(labels, 1, axis=2)[case.lesions.labels == 1]
    changed = with_labels(case.lesions, labels)
    there = pipeline.run(
        case.study,
        config,
        case=replace(case, lesions=changed),
        start="measure",
        ids=affected_regions(case.lesions, changed, config),
    )
    assert tables(there) != first
    back = with_labels(there.lesions, np.array(case.lesions.labels))
    again = pipeline.run(
        case.study,
        config,
        case=replace(there, lesions=back),
        start="measure",
        ids=affected_regions(there.lesions, back, config),
    )
    assert tables(again) == first


def test_only_what_an_edit_can_reach_is_affected():
    """Two balls far apart in an empty volume of 1 mm voxels, and an organ around the second."""
    labels = np.zeros((40, 40, 80), dtype=np.int32)
    labels[10:30, 10:30, 50:75] = 3
    labels[18:22, 18:22, 10:14] = 1
    labels[18:22, 18:22, 60:64] = 2

    def regions(anatomy):
        return (
            Region(1, "a", RegionRole.LESION),
            Region(2, "b", RegionRole.LESION),
            Region(3, "organ", RegionRole.REFERENCE, anatomy=anatomy),
        )

    from eprimg.model.grid import Grid

    def state(array, anatomy="kidney"):
        return LesionSet(array, Grid(array.shape, np.eye(4), "f"), regions(anatomy))

    def painted(part, value):
        changed = labels.copy()
        changed[part] = value
        return changed

    near_first = painted((19, 19, 14), 1)
    near_second = painted((19, 19, 64), 2)
    config = Config()
    assert affected_regions(state(labels), state(labels), config) == frozenset()
    assert affected_regions(state(labels), state(near_first), config) == {1}
    assert affected_regions(state(labels), state(near_second), config) == {2, 3}
    everyone = affected_regions(state(labels, "spleen"), state(near_second, "spleen"), config)
    assert everyone == {1, 2, 3}
    first = state(labels)
    gone = exclude_region(first.regions[0], "artefact")
    excluded = first.with_regions((gone, *first.regions[1:]))
    assert affected_regions(first, excluded, config) == {1, 2, 3}
    assert gone.notes == ("excluded: artefact",)


def measured_again(case, after, config):
    ids = affected_regions(case.lesions, after, config)
    return pipeline.run(
        case.study, config, case=replace(case, lesions=after), start="measure", ids=ids
    )


def test_voxels_that_a_deleted_drawing_held_come_back_to_others(scene):
    """A lesion drawn on PET that another covers on the reference grid leaves no trace there."""
    config = scene.config
    case = measured_case(scene, drawn_on_pet=True)
    labels = np.array(case.lesions.labels)
    labels[labels == 1] = 2
    covered = with_labels(case.lesions, labels)
    on_pet = case.drawn_lesions["pet"]
    held = replace(on_pet, settings={"outlines": {"1": fingerprints(covered)["1"]}})
    start = replace(case, native_lesions={}, lesions=covered)
    case = pipeline.run(
        case.study, config, case=start, start="measure", regions=covered, native={"pet": held}
    )
    first = tables(case)
    others = tuple(r for r in case.lesions.regions if r.id != 1)
    gone = with_labels(case.lesions, labels, others)
    assert 2 not in affected_regions(case.lesions, gone, config)
    deleted = measured_again(case, gone, config)
    second = next(r for r in deleted.lesions.regions if r.id == 2)
    before = next(r for r in others if r.id == 2)
    assert second.measurements != before.measurements
    assert tables(deleted) == tables(from_nothing(deleted, config))
    assert tables(deleted) != first


def test_a_number_that_is_given_again_does_not_find_the_old_place(scene):
    """The last region of more than 8 bits goes; a new one of its number lies outside the PET."""
    config = scene.config
    study_pet = scene.pet_series("pet")
    case = measured_case(scene)
    small = scene.grid("pet", shape=(12, 20, 14))
    pixels = replace(study_pet.pixels, data=study_pet.pixels.data[:, :, :14].copy(), grid=small)
    study = scene.study(
        *(s for s in case.study.series if s.key != "pet"), replace(study_pet, pixels=pixels)
    )
    start = pipeline.Case(study, registrations=case.registrations)
    made = pipeline.run(study, config, case=start, start="quantify", stop="quantify")
    labels = np.array(case.lesions.labels)
    labels[9:11, 14:17, 9:12] = 256
    many = with_labels(
        case.lesions, labels, (*case.lesions.regions, Region(256, "big", RegionRole.LESION))
    )
    case = pipeline.run(study, config, case=made, start="measure", regions=many)
    without = np.where(labels == 256, 0, labels)
    gone = with_labels(case.lesions, without, case.lesions.regions[:-1])
    case = measured_again(case, gone, config)
    assert 256 not in case.native_lesions["pet"].labels
    far = without.copy()
    far[0:3, 9:12, 20:23] = 256
    again = with_labels(
        case.lesions, far, (*case.lesions.regions, Region(256, "far", RegionRole.LESION))
    )
    case = measured_again(case, again, config)
    assert tables(case) == tables(from_nothing(case, config))
