from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.model.lesions import BELOW_RESOLUTION, LesionSet, Region, RegionRole
from eprimg.model.study import Role
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify


def notes(scene, regions, config=None, registrations=None):
    config = config or scene.config
    study = scene.study()
    registrations = registrations or scene.registrations()
    made = quantify(study, registrations, config).value
    result = measure(study, registrations, made.maps, made.registered, regions, config)
    return {r.name: r.notes for r in result.value.lesions.regions}, result.findings


def lesion_at(scene, *box, organs=()):
    base = scene.region_set(names=tuple(organs))
    labels = np.array(base.labels)
    labels[box] = 1
    return LesionSet(labels, base.grid, (Region(1, "lesion", RegionRole.LESION), *base.regions))


def test_a_plain_lesion_has_no_note(scene):
    found, findings = notes(scene, scene.region_set())
    assert found["lesion"] == ()
    assert not any(f.where == "lesion" for f in findings)


def test_edge_of_the_field_of_view(scene):
    found, findings = notes(scene, lesion_at(scene, slice(0, 5), slice(12, 17), slice(8, 13)))
    # said of the reference grid, and of the two grids that happen to lie in the same place
    assert found["lesion"] == (
        "touches the edge of the field of view",
        "touches the edge of the field of view of mr_post",
        "touches the edge of the field of view of pet",
    )
    assert {f.code for f in findings if f.where == "lesion"} == {"W_REGION_CUT"}


def test_part_outside_another_field_of_view(scene):
    # 24 mm (six slices) down: of slices 4..7 nothing is left of the lower two in the PET.
    registrations = (
        scene.registration("mr_post"),
        scene.registration("pet", shift=(0.0, 0.0, -24.0)),
    )
    found, _ = notes(scene, scene.region_set(), registrations=registrations)
    cut = [
        n for n in found["lesion"] if n.endswith("% of its volume lies in the field of view of pet")
    ]
    assert cut == ["only 50 % of its volume lies in the field of view of pet"]


def test_outside_another_field_of_view(scene):
    registrations = (
        scene.registration("mr_post"),
        scene.registration("pet", shift=(0.0, 0.0, -60.0)),
    )
    found, findings = notes(scene, scene.region_set(), registrations=registrations)
    assert "has no voxel on the grid of pet" in found["lesion"]
    assert "W_REGION_EMPTY" in {f.code for f in findings if f.where == "lesion"}
    # without a voxel on any grid it is said once, with all grids
    empty = replace(scene.region_set(names=("lesion",)), labels=np.zeros(scene.shape, np.int32))
    found, findings = notes(scene, empty)
    (said,) = [f.text for f in findings if f.code == "W_REGION_EMPTY"]
    assert said == ("lesion has no voxel on the grid of the reference series, of mr_post, of pet.")


def test_small_lesion(scene):
    # 8 voxels of 0.036 mL: diameter (6 x 288 mm3 / pi)^(1/3) = 8.2 mm
    found, findings = notes(scene, lesion_at(scene, slice(4, 6), slice(12, 14), slice(8, 10)))
    assert any(n.startswith("is small: equivalent diameter 8.2 mm") for n in found["lesion"])
    assert "W_REGION_SMALL" in {f.code for f in findings}


def test_inside_and_beside_the_liver(scene):
    inside = lesion_at(scene, slice(3, 6), slice(3, 6), slice(3, 6), organs=("liver",))
    found, findings = notes(scene, inside)
    assert "lies inside the liver: carrier background" in found["lesion"]
    assert "W_CARRIER_BACKGROUND" in {f.code for f in findings}
    beside = lesion_at(scene, slice(3, 7), slice(3, 7), slice(9, 14), organs=("liver",))
    found, _ = notes(scene, beside)
    assert "borders on the liver: carrier background nearby" in found["lesion"]


def test_noise_floor(scene):
    # 14 ms and a product of 5: measurable up to 357 1/s; the spleen has 500.
    found, findings = notes(scene, scene.region_set())
    (note,) = found["spleen"]
    assert note.startswith("100 % of the R2* voxels of mr_post lie above the measurable range (357")
    assert [f.where for f in findings if f.code == "W_NOISE_FLOOR"] == ["spleen"]
    relaxed = scene.config.with_settings({"r2star": {"noise_floor_product": 8.0}})
    found, findings = notes(scene, scene.region_set(), relaxed)
    assert found["spleen"] == ()


def test_a_lesion_that_has_decayed_before_the_first_echo(scene):
    """130 1/s after the agent: 0.78 with a first echo of 6 ms, 1.04 with one of 8 ms."""
    for first_s, said in ((0.006, False), (0.008, True)):
        times = tuple(first_s + 0.002 * n for n in range(5))
        study = scene.study(
            scene.mr_series(Role.MR_PRE, "pre", echo_times_s=times),
            scene.mr_series(Role.MR_POST, "post", column=1, echo_times_s=times),
        )
        registrations = (scene.registration("mr_post"),)
        made = quantify(study, registrations, scene.config).value
        result = measure(
            study, registrations, made.maps, made.registered, scene.region_set(), scene.config
        )
        late = [f for f in result.findings if f.code == "W_FIRST_ECHO_LATE"]
        assert [f.where for f in late] == (["lesion"] if said else [])
    assert "R2* times the first echo time of mr_post is 1 in the median" in late[0].text


def test_many_voxels_without_a_value(scene):
    """Of the lesion's 100 voxels, 5 and then 25 have a last echo of zero; more than 5 % is said."""
    for rows, said in ((1, False), (5, True)):
        post = scene.mr_series(Role.MR_POST, "post", column=1)
        signal = np.array(post.pixels.volume.data)
        signal[4, 12 : 12 + rows, 8:13, -1] = 0.0
        volume = replace(post.pixels.volume, data=signal)
        post = replace(post, pixels=replace(post.pixels, volume=volume))
        study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), post)
        registrations = (scene.registration("mr_post"),)
        made = quantify(study, registrations, scene.config).value
        result = measure(
            study, registrations, made.maps, made.registered, scene.region_set(), scene.config
        )
        codes = {f.code for f in result.findings if f.where == "lesion"}
        assert ("W_VOXELS_FAILED" in codes) is said
    lesion = result.value.lesions.lesions[0]
    assert "25 % of its voxels have no R2* on mr_post and enter no statistic" in lesion.notes


def test_regions_that_were_not_measured_keep_their_notes(scene):
    study, registrations = scene.study(), scene.registrations()
    made = quantify(study, registrations, scene.config).value
    regions = scene.region_set()
    kept = regions.with_regions(
        tuple(replace(r, notes=("kept",)) if r.name == "liver" else r for r in regions.regions)
    )
    result = measure(study, registrations, made.maps, made.registered, kept, scene.config, ids={1})
    assert next(r for r in result.value.lesions.regions if r.name == "liver").notes == ("kept",)


def test_an_excluded_region_keeps_its_id_and_the_reason(scene):
    from eprimg.stages.region_notes import exclude_region

    lesion = scene.region_set().lesions[0]
    out = exclude_region(lesion, " artefact ")
    assert (out.id, out.name, out.role) == (lesion.id, lesion.name, "exclude")
    assert out.notes == ("excluded: artefact",)
    assert (out.measurements, out.tiers, out.objections) == ((), (), ())
    assert exclude_region(lesion, "").notes == ("excluded without a reason",)


def test_a_lesion_below_the_resolution_keeps_the_note_and_gets_no_volume(scene):
    base = scene.region_set()
    said = f"{BELOW_RESOLUTION}: it seems 9 mm wide"
    marked = tuple(
        replace(r, notes=(said, "another word")) if r.name == "lesion" else r for r in base.regions
    )
    study, registrations = scene.study(), scene.registrations()
    made = quantify(study, registrations, scene.config).value
    result = measure(
        study, registrations, made.maps, made.registered, base.with_regions(marked), scene.config
    )
    (lesion,) = result.value.lesions.lesions
    assert lesion.notes == (said,)
    volume = lesion.measurement("volume", "volume")
    assert np.isnan(volume.value)
    assert volume.note == f"{BELOW_RESOLUTION}: not stated"
    assert volume.n_voxels == 100
    # maximum and the rest are measured as ever: 12000 Bq/mL at every voxel
    assert lesion.measurement("suvbw", "max", "pet").value > 0
    liver = next(r for r in result.value.lesions.regions if r.name == "liver")
    assert liver.measurement("volume", "volume").value > 0
