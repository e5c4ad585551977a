"""What the rules do to a lesion; diameters are those of spheres of a stated volume."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import EligibilityConfig
from eprimg.io.eligibility import load_eligibility
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.tiers import NOT_TIERED
from eprimg.stages.eligibility import (
    apply_eligibility,
    builtin_eligibility,
    eligibility_findings,
)
from eprimg.stages.measure import measure
from eprimg.stages.objections import JUDGED_BY
from eprimg.stages.quantify import quantify
from eprimg.stages.stratify import stratify

NAN = float("nan")
STRICT = load_eligibility(EligibilityConfig("strict"))


def lesion(diameter_mm, *notes):
    volume = math.pi / 6.0 * diameter_mm**3 / 1000.0
    number = Measurement("volume", "volume", "reference", volume, NAN, "none", 9, "grid")
    return Region(1, "lesion", RegionRole.LESION, measurements=(number,), notes=notes)


def judged(scene, region, rules=None, **settings):
    liver = Region(2, "my liver", RegionRole.REFERENCE, anatomy="liver")
    labels = np.zeros(scene.shape, dtype=np.int32)
    lesions = LesionSet(labels, scene.grid("pre"), (region, liver))
    config = scene.config.with_settings(settings)
    return apply_eligibility(region, lesions, rules or builtin_eligibility(), config, JUDGED_BY)


@pytest.mark.parametrize(
    ("diameter", "excluded", "flagged"), [(11.9, True, False), (12.1, False, True), (18.1, 0, 0)]
)
def test_widths_of_the_blur(scene, diameter, excluded, flagged) -> None:
    # Limits of the rule file: 2 and 3 times a blur of 6 mm; the widest of three axes counts.
    blur = {"partial_volume": {"fwhm_mm": [5.0, 6.0, 4.0]}}
    found = judged(scene, lesion(diameter), **blur)
    codes = [o.code for o in found.objections]
    assert codes == (["W_BELOW_RESOLUTION"] if excluded else [])
    assert bool(found.notes) == bool(flagged)
    for each in found.objections:
        assert set(each.quantities) == set(JUDGED_BY["pet"])
        assert each.bias == "unknown"
    found_set = LesionSet(np.zeros(scene.shape, dtype=int), scene.grid("pre"), (found,))
    assert len(eligibility_findings(found_set)) == int(bool(excluded or flagged))


def test_without_a_blur_the_rule_is_silent(scene) -> None:
    assert judged(scene, lesion(5.0)) == lesion(5.0)


def test_a_carrier_organ_flags_or_excludes(scene) -> None:
    inside = lesion(30.0, "lies inside the my liver: carrier background")
    assert judged(scene, inside).objections == ()
    (found,) = judged(scene, inside, STRICT).objections
    assert found.code == "W_CARRIER_BACKGROUND"
    assert {"dr2star", "pid_per_kg"} <= set(found.quantities)
    beside = lesion(30.0, "borders on the my liver: carrier background nearby")
    assert judged(scene, beside, STRICT).objections == ()


def test_small_lesions_keep_the_words_of_their_note(scene) -> None:
    (found,) = judged(scene, lesion(8.0, "is small: equivalent diameter 8.0 mm")).objections
    assert found.reason == "the lesion is small: equivalent diameter 8.0 mm"
    assert set(found.quantities) == {"dr2star", "r2star", "rr2star90"}


def test_limits_of_the_file_and_of_a_setting(scene) -> None:
    rules = builtin_eligibility()
    own = replace(rules.rules[0], limit=20.0, limit_from="", key="own")
    named = replace(own, limit=NAN, limit_from="stratify.smallest_pet_lesion_mm", key="named")
    both = replace(rules, rules=(own, named))
    assert len(judged(scene, lesion(12.0), both).objections) == 2
    assert len(judged(scene, lesion(15.0), both).objections) == 1
    assert judged(scene, lesion(21.0), both).objections == ()
    organ = Region(3, "liver", RegionRole.REFERENCE, anatomy="liver")
    assert judged(scene, organ, both) == organ


def test_the_reason_reaches_the_tier(scene) -> None:
    # The lesion box holds 100 voxels of 36 mm3: 19.0 mm, below twice a blur of 10 mm.
    study = scene.study(scene.pet_series("pre"), regions=[scene.region_set()])
    config = scene.config.with_settings({"partial_volume": {"fwhm_mm": [10.0]}})
    maps = quantify(study, (), config).value.maps
    measured = measure(study, (), maps, {}, scene.region_set(), config)
    assert "W_BELOW_RESOLUTION" in [f.code for f in measured.findings]
    result = stratify(study, measured.value.lesions, config).value
    tier = next(t for t in result.lesions.lesions[0].tiers if t.scheme == "example-pid-per-kg-peak")
    assert tier.label == NOT_TIERED
    assert "19.0 mm is below 2 times the PET blur of 10 mm" in tier.reason
