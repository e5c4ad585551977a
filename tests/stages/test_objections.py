"""Findings that must reach the tier: each objection alone, and on the whole way to the tier."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.study import Role, Study, Timepoint
from eprimg.model.tiers import NOT_TIERED
from eprimg.stages.coverage import Drawn
from eprimg.stages.measure import measure
from eprimg.stages.noise_floor import VoxelDoubt
from eprimg.stages.objections import region_objections, study_objections
from eprimg.stages.quantify import quantify
from eprimg.stages.segment import segment
from eprimg.stages.stratify import stratify

NOBODY = Drawn({}, {})
DR2STAR, PET = "example-dr2star-median", "example-pid-per-kg-peak"


def tiers(scene, study, registrations, masks=None):
    study = replace(study, regions=(masks or scene.region_set(),))
    made = quantify(study, registrations, scene.config).value
    found = segment(study, made.maps, scene.config, registrations=registrations).value
    measured = measure(
        study,
        registrations,
        made.maps,
        made.registered,
        found.lesions,
        scene.config,
        native=found.native,
    ).value
    result = stratify(study, measured.lesions, scene.config)
    lesion = result.value.lesions.lesions[0]
    return {t.scheme: t for t in lesion.tiers}, [f.code for f in result.findings]


def changed(name, change, *, error=0.1, before=50.0, role=RegionRole.REFERENCE, anatomy=""):
    """A region of which only R2* before and its change are known."""

    def number(quantity, source, value, uncertainty):
        return Measurement(quantity, "median", source, value, uncertainty, "fit", 99, "native")

    found = (
        number("r2star", "mr_pre", before, error),
        number("dr2star", "mr_post-mr_pre", change, error),
    )
    return name, role, anatomy, found


def region_list(scene, *rows):
    regions = tuple(
        Region(n, name, role, anatomy=anatomy, measurements=found)
        for n, (name, role, anatomy, found) in enumerate(rows, start=1)
    )
    return LesionSet(np.zeros(scene.shape, dtype=np.int32), scene.grid("pre"), regions)


def negative(scene, *rows):
    objections, findings = study_objections(scene.study(), region_list(scene, *rows))
    assert [o.code for o in objections] == [f.code for f in findings]
    return [o.reason for o in objections]


def test_exchanged_sessions_are_not_tiered(scene):
    """Column 1 of the tiny study (after the agent) stands as the session before it."""
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", column=1, noise=2.0),
        scene.mr_series(Role.MR_POST, "post", column=0, noise=2.0),
        scene.pet_series("pet"),
    )
    found, codes = tiers(scene, study, scene.registrations())
    assert "W_DR2STAR_NEGATIVE" in codes
    assert found[DR2STAR].label == NOT_TIERED
    assert "may be exchanged, or the agent was still there before" in found[DR2STAR].reason
    assert found[PET].label == "high"


def test_one_carrier_organ_is_enough(scene):
    (said,) = negative(
        scene,
        changed("liver", 100.0, anatomy="liver"),
        changed("spleen", -20.0, anatomy="spleen"),
        changed("l", 50.0, role=RegionRole.LESION),
    )
    assert "(spleen -20 1/s)" in said


def test_a_fall_within_the_error_is_none(scene):
    # below -10 % of 50 1/s and below -2 x the standard error
    assert not negative(scene, changed("liver", -4.9, anatomy="liver"))
    assert not negative(scene, changed("liver", -12.0, error=7.0, anatomy="liver"))
    assert negative(scene, changed("liver", -12.0, error=5.0, anatomy="liver"))
    assert negative(scene, changed("liver", -12.0, error=math.nan, anatomy="liver"))


def test_without_carrier_organs_most_regions_decide(scene):
    muscle, blood = changed("muscle", -20.0), changed("blood", 20.0)
    assert not negative(scene, muscle, blood)
    assert negative(scene, muscle, blood, changed("kidney", -20.0))
    cold = changed("l1", -20.0, role=RegionRole.LESION)
    # liver rose, so a lesion that lost R2* is a matter of that lesion
    assert not negative(scene, changed("liver", 100.0, anatomy="liver"), cold)
    assert negative(scene, cold)
    assert not negative(scene, cold, changed("l2", 20.0, role=RegionRole.LESION))
    assert not negative(scene, changed("liver", math.nan, anatomy="liver"))


def test_sessions_in_the_wrong_order_of_time(scene):
    start = datetime(2024, 3, 5, 9, 0)
    series = [scene.mr_series(Role.MR_PRE, "pre"), scene.mr_series(Role.MR_POST, "post", column=1)]

    def objections(pre, post):
        points = tuple(
            Timepoint(s.key, at, (s,)) for s, at in zip(series, (pre, post), strict=True)
        )
        return study_objections(Study("c", points), None)[0]

    (against,) = objections(start + timedelta(days=1), start)
    assert against.code == "W_AGENT_ORDER"
    assert set(against.quantities) == {"dr2star", "r2star", "rr2star90"}
    assert "mr_pre, taken as before the agent, was acquired after mr_post" in against.reason
    assert not objections(start, start + timedelta(days=1))
    assert not objections(start, None)


def test_a_lesion_outside_a_field_of_view_is_not_tiered_by_it(scene):
    # 12 mm (three slices) down: of slices 4 .. 7 all stay; by 20 mm (five) three of four stay.
    for down, dr2star, pet in ((12.0, "high", "high"), (20.0, "high", NOT_TIERED)):
        study = scene.study(
            scene.mr_series(Role.MR_PRE, "pre", noise=2.0),
            scene.mr_series(Role.MR_POST, "post", column=1, noise=2.0),
            scene.pet_series("pet", values=np.full(scene.shape, 12000.0)),
        )
        registrations = (
            scene.registration("mr_post", error_mm=0.2),
            scene.registration("pet", shift=(0.0, 0.0, -down)),
        )
        found, _ = tiers(scene, study, registrations)
        assert (found[DR2STAR].label, found[PET].label) == (dr2star, pet)
    assert found[PET].reason == (
        "only 75 % of its volume lies in the field of view of pet, less than 90 %"
    )


def test_a_doubtful_alignment_withholds_what_rests_on_it(scene):
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", noise=2.0),
        scene.mr_series(Role.MR_POST, "post", column=1, noise=2.0),
        scene.pet_series("pet"),
    )
    post, pet = scene.registration("mr_post", error_mm=0.2), scene.registration("pet")
    found, _ = tiers(scene, study, (replace(post, doubts=("it may be mirrored",)), pet))
    assert found[DR2STAR].label == NOT_TIERED
    assert found[DR2STAR].reason == "the alignment of mr_post is doubtful: it may be mirrored"
    assert found[PET].label == "high"
    doubtful = replace(pet, doubts=("the overlap is small",))
    found, _ = tiers(scene, study, (post, doubtful))
    assert (found[DR2STAR].label, found[PET].label) == ("high", NOT_TIERED)
    # Drawn on the PET: its numbers need no alignment, those of the MR do.
    found, _ = tiers(scene, study, (post, doubtful), scene.region_set("pet"))
    assert (found[DR2STAR].label, found[PET].label) == (NOT_TIERED, "high")


def test_what_was_carried_before_is_not_taken_as_drawn(scene):
    study, pet = scene.study(), replace(scene.registration("pet"), doubts=("small overlap",))
    registrations = (scene.registration("mr_post"), pet)
    made = quantify(study, registrations, scene.config).value
    arguments = (study, registrations, made.maps, made.registered)
    first = measure(*arguments, scene.region_set(), scene.config).value
    again = measure(*arguments, first.lesions, scene.config, native=first.native_lesions).value
    for result in (first, again):
        against = {o.code: o for o in result.lesions.lesions[0].objections}
        assert "pid_per_kg" in against["W_REGISTRATION"].quantities


def floor(scene, doubts):
    lesions = scene.region_set()
    found = region_objections(
        lesions.lesions[0], scene.study(), (), {}, lesions, NOBODY, doubts, scene.config
    )
    return {(o.quantities, o.bias) for o in found}


@pytest.mark.parametrize(
    ("source", "region", "expected"),
    [
        ("mr_post", "lesion", (("dr2star", "r2star", "rr2star90"), "low")),
        ("mr_pre", "lesion", (("dr2star",), "high")),
        ("mr_post", "spleen", (("rr2star90",), "high")),
    ],
)
def test_direction_of_the_noise_floor(scene, source, region, expected):
    above = VoxelDoubt(0.11, 0.0, 0.0, 357.0)
    assert floor(scene, {source: {scene.ids[region]: above}}) == {expected}
    within = replace(above, above=0.1)
    assert floor(scene, {source: {scene.ids[region]: within}}) == set()


@pytest.mark.parametrize("source", ["mr_pre", "mr_post"])
def test_without_a_known_direction_no_tier_stands(scene, source):
    above = VoxelDoubt(0.11, 0.0, 0.0, 1000.0, noise="rician")
    ((_, bias),) = floor(scene, {source: {scene.ids["lesion"]: above}})
    assert bias == "unknown"


def test_lost_signal_of_the_lesion_reaches_the_tier(scene):
    """Half of the lesion's voxels have a last echo of 0: dR2* of the rest is too low.

    Without a noise mode: with one, a late echo of 0 lies below the noise and costs no value.
    """
    scene.config = scene.config.with_settings({"r2star": {"noise": "none"}})
    post = scene.mr_series(Role.MR_POST, "post", column=1, noise=2.0)
    signal = np.array(post.pixels.volume.data)
    signal[4:6, 12:17, 8:13, -1] = 0.0
    post = replace(
        post, pixels=replace(post.pixels, volume=replace(post.pixels.volume, data=signal))
    )
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre", noise=2.0), post)
    registrations = (scene.registration("mr_post", error_mm=0.2),)
    found, _ = tiers(scene, study, registrations)
    assert found[DR2STAR].label == "high"
    assert "50 % have no signal left in a late echo" in found[DR2STAR].reason
    assert "the true value is higher, so the tier stands" in found[DR2STAR].reason


def test_more_activity_than_was_injected_gives_no_tier(scene):
    acquisition = scene.pet_acquisition()
    injection = replace(acquisition.injection, dose_bq=scene.known(0.3e6))
    study = scene.study(scene.pet_series("pet", replace(acquisition, injection=injection)))
    found, _ = tiers(scene, study, (), scene.region_set("pet"))
    assert found[PET].label == NOT_TIERED
    assert "of the injected dose, more than 110 %" in found[PET].reason


def test_a_small_lesion_has_no_tier_by_r2star(scene):
    # eight voxels of 0.036 mL: 8.2 mm, below 10 mm
    base = scene.region_set(names=())
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels[4:6, 12:14, 8:10] = 1
    masks = LesionSet(labels, base.grid, (Region(1, "lesion", RegionRole.LESION),))
    found, _ = tiers(scene, scene.study(), scene.registrations(), masks)
    assert found[DR2STAR].label == NOT_TIERED
    assert "the lesion is small: equivalent diameter 8.2 mm, below 10 mm" in found[DR2STAR].reason
