"""The whole-body flow on small volumes whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters.pet import PetSegmenter
from eprimg.engines.segmenters.pet_context import PetContext
from eprimg.errors import EngineError, EprimgError, InputError, UnitsError
from eprimg.model.grid import Grid
from eprimg.model.lesions import (
    BELOW_RESOLUTION,
    NO_OUTLINE,
    PART_OUTLINED,
    LesionSet,
    Region,
    RegionRole,
    RegionSource,
)
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from tests.validation.pet_spheres import _sphere

SHAPE = (24, 28, 40)
MM = 4.0

# centre (k, j, i) in voxels, diameter in mm, uptake above the ground
LIVER = ((12, 20, 8), 40.0, 9.0)
HOT = ((12, 8, 12), 20.0, 11.0)
BESIDE = ((12, 8, 17), 16.0, 7.0)
FAR = ((8, 14, 32), 18.0, 6.0)
SMALL = ((18, 22, 32), 8.0, 30.0)


def grid(frame="pet"):
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = MM
    affine[3, 3] = 1.0
    return Grid(SHAPE, affine, frame)


def far_from(centre):
    k, j, i = np.indices(SHAPE)
    return MM * np.sqrt((k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)


def body(*objects):
    values = np.full(SHAPE, 0.5)
    for centre, diameter, height in objects:
        values += height * _sphere(far_from(centre), diameter)
    return values


def suv_map(values, key="suvbw"):
    return QuantityMap(values, grid(), quantity(key), np.isfinite(values), "test")


def organs(**named):
    labels = np.zeros(SHAPE, dtype=np.int32)
    regions = []
    for n, (name, (centre, diameter, _)) in enumerate(named.items(), start=1):
        labels[far_from(centre) <= diameter / 2] = n
        regions.append(Region(n, name, RegionRole.REFERENCE, anatomy=name))
    return LesionSet(labels, grid(), tuple(regions), "masks")


@pytest.fixture(scope="module")
def whole():
    return suv_map(body(LIVER, HOT, BESIDE, FAR, SMALL))


def found(whole, context=None, **settings):
    config = SegmentConfig(
        **{
            "rule": "fixed",
            "suvbw": 3.0,
            "split_depth": 0.2,
            "minimum_volume_ml": 0.3,
            **settings,
        }
    )
    return PetSegmenter(config).segment(whole, context)


def at(lesions, place):
    return int(lesions.labels[place])


def volume_of(sphere):
    return np.pi / 6.0 * sphere[1] ** 3 / 1000.0


def test_components_are_split_and_outlined(whole):
    lesions = found(whole)
    spheres = {"liver": LIVER, "hot": HOT, "beside": BESIDE, "far": FAR, "small": SMALL}
    ids = {name: at(lesions, sphere[0]) for name, sphere in spheres.items()}
    assert len(set(ids.values())) == 5
    assert 0 not in ids.values()
    assert [r.source for r in lesions.regions] == [RegionSource.CANDIDATE] * 5
    facts = lesions.settings["outlines_of_candidates"]
    far = facts[f"candidate-{ids['far']}"]
    # Truth: the analytic sphere.  41 % of a noise-free sphere lies outside of its half height.
    assert far["volume_ml"] == pytest.approx(volume_of(FAR), rel=0.15)
    assert far["background"] == pytest.approx(0.5, abs=0.05)
    assert far["threshold"] == pytest.approx(0.5 + 0.41 * (far["maximum"] - 0.5), rel=0.03)
    # touching: each keeps its side of the valley
    assert at(lesions, (12, 8, 10)) == ids["hot"]
    # (12, 8, 19) lies on the surface of the ball, half in it: its neighbour is inside
    assert at(lesions, (12, 8, 18)) == ids["beside"]
    assert lesions.settings["removed"] == ()
    # labels and outline tell one volume, to half a voxel
    for each in facts.values():
        if np.isfinite(each["volume_ml"]):
            assert each["voxel_volume_ml"] == pytest.approx(each["volume_ml"], rel=0.03, abs=0.033)


def test_without_a_split_the_two_are_one(whole):
    # one candidate is left of the two; that its outline leaves the fainter one out is said
    lesions = found(whole, split_depth=1.0, adaptive_fraction=0.6)
    assert len(lesions.regions) == 4
    assert at(lesions, BESIDE[0]) == 0
    region = next(r for r in lesions.regions if r.id == at(lesions, HOT[0]))
    assert any(n.startswith(PART_OUTLINED) for n in region.notes)
    one = found(whole, split_depth=1.0, adaptive_fraction=0.15)
    assert at(one, HOT[0]) == at(one, BESIDE[0]) > 0


def test_a_lesion_of_two_voxels_is_flagged_without_a_volume(whole):
    lesions = found(whole)
    number = at(lesions, SMALL[0])
    region = next(r for r in lesions.regions if r.id == number)
    assert region.notes[0].startswith(BELOW_RESOLUTION)
    facts = lesions.settings["outlines_of_candidates"][region.name]
    assert facts["below_resolution"]
    assert np.isnan(facts["volume_ml"])
    others = [r for r in lesions.regions if r.id != number]
    assert all(r.notes == () for r in others)


def test_small_components_are_left_out_with_their_number_and_volume(whole):
    lesions = found(whole, minimum_volume_ml=2.0)
    assert at(lesions, SMALL[0]) == 0
    (removed,) = lesions.settings["removed"]
    assert removed["name"] == "1 components"
    assert removed["reason"] == "each below 2 mL"
    above = np.count_nonzero((whole.values >= 3.0) & (far_from(SMALL[0]) < 12.0)) * 0.064
    assert removed["volume_ml"] == pytest.approx(above, abs=1e-3)


def test_organs_are_left_out_and_the_others_keep_their_names(whole):
    before = found(whole)
    plain = {f"candidate-{at(before, s[0])}" for s in (HOT, BESIDE, FAR, SMALL)}
    lesions = found(whole, PetContext(organs(liver=LIVER)))
    assert at(lesions, LIVER[0]) == 0
    (removed,) = lesions.settings["removed"]
    assert removed["reason"].endswith("% in liver")
    assert float(removed["reason"].split(" %")[0]) > 90.0
    x, y, z = removed["centre_lps_mm"]
    assert (x, y, z) == pytest.approx([MM * c for c in LIVER[0][::-1]], abs=1.0)
    assert {r.name for r in lesions.regions} == plain


def test_a_part_in_an_organ_is_cut_off(whole):
    organ = organs(spleen=((12, 8, 20), 14.0, 0.0))  # reaches into BESIDE
    lesions = found(whole, PetContext(organ), organ_share=0.7)
    assert at(lesions, HOT[0]) > 0
    assert at(lesions, (12, 8, 20)) == 0
    assert any("cut off" in r["reason"] for r in lesions.settings["removed"])


def test_a_person_removes_by_name_and_the_reason_is_kept(whole):
    plain = found(whole)
    number = at(plain, FAR[0])
    lesions = found(whole, remove=f"candidate-{number}")
    assert at(lesions, FAR[0]) == 0
    assert {r.id for r in lesions.regions} == {r.id for r in plain.regions} - {number}
    (removed,) = lesions.settings["removed"]
    assert (removed["name"], removed["reason"]) == (f"candidate-{number}", "removed by a person")
    with pytest.raises(InputError) as caught:
        found(whole, remove="candidate-99")
    assert caught.value.code == "E_SEG_REMOVE"


def test_two_seeds_in_one_lesion_give_it_once(whole):
    lesions = found(whole, PetContext(seeds=(FAR[0], tuple(np.add(FAR[0], (1, 0, 0))))))
    assert [r.name for r in lesions.regions] == ["candidate-1"]
    (removed,) = lesions.settings["removed"]
    assert removed["reason"] == "another candidate holds all of its voxels"


def test_seeds_outline_only_what_they_point_at(whole):
    lesions = found(whole, PetContext(seeds=(FAR[0], (20, 4, 34))))
    assert [r.name for r in lesions.regions] == ["candidate-1"]
    assert at(lesions, FAR[0]) == 1
    (removed,) = lesions.settings["removed"]
    assert removed["name"] == "candidate-2"
    assert "above its surroundings" in removed["reason"]


def test_a_candidate_without_an_outline_keeps_its_voxels_and_says_so():
    # the whole volume is hot but for one corner: nothing is left to take a background from
    values = np.full(SHAPE, 8.0)
    values[:2, :2, :2] = 1.0
    lesions = found(suv_map(values), suvbw=3.0)
    (region,) = lesions.regions
    assert region.notes[0].startswith(NO_OUTLINE)
    assert np.count_nonzero(lesions.labels) == values.size - 8


def test_percist_takes_the_liver_of_the_mask(whole):
    context = PetContext(organs(liver=LIVER), nuclide="18F", tracer="FDG")
    lesions = found(whole, context, method="percist")
    inside = whole.values[np.asarray(context.organs.labels) == 1]
    threshold = 1.5 * inside.mean() + 2.0 * inside.std(ddof=1)
    # 1.5 times a liver of about 9 lies above every lesion here but the small hot one, if any
    assert lesions.settings["rule"] == f"SUVbw >= {threshold:.4g}, outlined by percist"
    assert at(lesions, HOT[0]) == 0


@pytest.mark.parametrize("nuclide", ["89Zr", "64Cu"])
def test_percist_on_the_liver_is_refused_with_a_tracer_of_the_liver(whole, nuclide):
    context = PetContext(organs(liver=LIVER), nuclide=nuclide)
    with pytest.raises(InputError) as caught:
        found(whole, context, method="percist")
    assert caught.value.code == "E_SEG_LIVER"
    assert nuclide in str(caught.value)
    found(whole, context, method="percist", force_liver_threshold=True)
    muscle = PetContext(organs(muscle=((3, 3, 3), 12.0, 0.0)), nuclide=nuclide)
    assert at(found(whole, muscle, method="percist", reference="muscle"), FAR[0]) > 0


def test_percist_needs_its_region(whole):
    with pytest.raises(InputError) as caught:
        found(whole, PetContext(nuclide="18F"), method="percist")
    assert caught.value.code == "E_SEG_REFERENCE"


def test_activity_is_taken_only_where_no_suv_is_needed(whole):
    activity = suv_map(1000.0 * whole.values, "activity")
    lesions = found(activity, rule="percent-of-max", percent=25.0)
    assert at(lesions, FAR[0]) > 0
    for settings in ({"method": "fixed"}, {"method": "majority"}, {"rule": "fixed"}):
        with pytest.raises(InputError) as caught:
            found(activity, **{"rule": "percent-of-max", **settings})
        assert caught.value.code == "E_SEG_UNIT"
    with pytest.raises(UnitsError):
        found(suv_map(whole.values, "pid_per_kg"))


def test_too_many_and_another_grid_are_refused(whole):
    with pytest.raises(EngineError) as caught:
        found(whole, maximum_candidates=4)
    assert caught.value.code == "E_SEG_MANY"
    elsewhere = organs(liver=LIVER)
    elsewhere = LesionSet(elsewhere.labels, grid("other"), elsewhere.regions)
    with pytest.raises(EprimgError):
        found(whole, PetContext(elsewhere))


def test_nothing_found(whole):
    assert found(whole, suvbw=100.0).regions == ()
