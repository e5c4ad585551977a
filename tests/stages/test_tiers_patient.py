from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.config import StratifyConfig
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole, SharedVoxels
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Tier, TierScheme
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.tiers_patient import NO_DOMINANT, patient_tier

LABELS = ("low", "moderate", "high")


def scheme(rule="dominant-volume", labels=LABELS):
    return TierScheme(
        "s",
        "1",
        "t",
        "pid_per_kg",
        "peak",
        "fixed",
        tuple(float(n + 1) for n in range(len(labels) - 1)),
        labels,
        rule,
        False,
        "c",
        "pet",
    )


def lesion(number, volume_ml, probabilities, *, label=None, reason="r"):
    best = max(probabilities, key=probabilities.get) if probabilities else ""
    tier = Tier(
        "s",
        label or best,
        probabilities.get(best, math.nan),
        "n",
        reason,
        most_likely=best,
        probabilities=probabilities,
    )
    volume = Measurement("volume", "volume", "reference", volume_ml, math.nan, "none", 10, "g")
    return Region(
        number, f"lesion-{number}", RegionRole.LESION, measurements=(volume,), tiers=(tier,)
    )


def sure(label):
    return {x: float(x == label) for x in LABELS}


def place(lesions, rule="dominant-volume"):
    return patient_tier(lesions, scheme(rule), StratifyConfig())


def test_dominant_volume():
    tier = place(
        [lesion(1, 6.0, sure("high")), lesion(2, 3.0, sure("low")), lesion(3, 1.0, sure("low"))]
    )
    assert tier.label == "high"
    assert tier.probabilities["high"] == pytest.approx(1.0)
    assert tier.confidence == 0.99  # an upper bound: what lesions share is not in it
    assert tier.confidence_note.startswith("at most")
    assert tier.n_lesions == 3
    assert "40 % low, 60 % high" in tier.reason
    assert tier.notice == "example, not validated"


def test_half_is_not_more_than_half():
    tier = place([lesion(1, 5.0, sure("high")), lesion(2, 5.0, sure("low"))])
    assert tier.label == INDETERMINATE
    assert tier.probabilities[NO_DOMINANT] == pytest.approx(1.0)
    assert "no tier holds more than half" in tier.reason


def test_probabilities_by_hand():
    # Volumes 6, 3, 1: the tier of lesion 1 always dominates, so its probabilities are the answer.
    first = {"low": 0.0, "moderate": 0.05, "high": 0.95}
    tier = place([lesion(1, 6.0, first), lesion(2, 3.0, sure("low")), lesion(3, 1.0, sure("low"))])
    assert tier.label == "high"
    assert tier.confidence == pytest.approx(0.95)
    # Volumes 4, 3, 3: two lesions must agree. P(high) = P(at least two of three are high).
    p = {"low": 0.2, "moderate": 0.0, "high": 0.8}
    tier = place([lesion(n, v, p) for n, v in ((1, 4.0), (2, 3.0), (3, 3.0))])
    assert tier.probabilities["high"] == pytest.approx(0.8**3 + 3 * 0.8**2 * 0.2)  # 0.896
    assert tier.label == INDETERMINATE
    assert "most likely high with a probability of 0.90" in tier.reason


def test_any_and_all():
    lesions = [
        lesion(1, 1.0, {"low": 0.1, "moderate": 0.0, "high": 0.9}),
        lesion(2, 9.0, {"low": 0.9, "moderate": 0.1, "high": 0.0}),
    ]
    any_lesion = place(lesions, "any")
    assert any_lesion.label == "high"
    assert any_lesion.probabilities["high"] == pytest.approx(0.9)
    every = place(lesions, "all")
    # low unless both reach moderate: 1 - 0.9 x 0.1
    assert every.probabilities["low"] == pytest.approx(0.91)
    assert every.label == "low"


def test_many_lesions_are_drawn_reproducibly():
    lesions = [lesion(n, 1.0, {"low": 0.1, "moderate": 0.0, "high": 0.9}) for n in range(1, 16)]
    first, again = place(lesions), place(lesions)
    assert first.confidence == again.confidence
    # Binomial(15, 0.9): at least 8 high has probability 0.99997
    assert first.probabilities["high"] == pytest.approx(0.99997, abs=2e-3)


def test_left_out_lesions_are_counted():
    candidate = lesion(2, 5.0, {}, label=NOT_TIERED, reason="a candidate that was found ...")
    tier = place(
        [
            lesion(1, 6.0, sure("high")),
            candidate,
            lesion(3, 5.0, {}, label=NOT_TIERED),
            lesion(4, math.nan, sure("low")),
        ]
    )
    assert tier.n_lesions == 1
    assert (
        "(1 lesion; left out: 3 lesions of 10 mL, lesion-2 (5 mL): a candidate that was found ...; "
        "lesion-3 (5 mL): r; lesion-4 (volume not known): without a volume)"
    ) in tier.reason
    assert tier.label == INDETERMINATE
    assert "no known volume" in tier.reason


def not_tiered(number, volume_ml, reason="only 5 % of it lies in the field of view"):
    return lesion(number, volume_ml, {}, label=NOT_TIERED, reason=reason)


def test_lesions_left_out_that_could_overturn_the_majority():
    # 6 of 6 + 5 mL is a majority whatever the 5 mL are; 6 of 6 + 6 mL is not.
    assert place([lesion(1, 6.0, sure("high")), not_tiered(2, 5.0)]).label == "high"
    tier = place([lesion(1, 6.0, sure("high")), not_tiered(2, 6.0)])
    assert tier.label == INDETERMINATE
    assert math.isnan(tier.confidence)
    assert "the 6 mL that were left out could overturn the majority (6 of 12 mL are high)" in (
        tier.reason
    )
    assert "only 5 % of it lies in the field of view" in tier.reason


@pytest.mark.parametrize(
    ("rule", "label", "expected"),
    [
        ("any", "high", "high"),  # nothing lies above
        ("any", "moderate", INDETERMINATE),
        ("all", "low", "low"),  # nothing lies below
        ("all", "moderate", INDETERMINATE),
    ],
)
def test_lesions_left_out_by_the_other_rules(rule, label, expected):
    assert place([lesion(1, 9.0, sure(label)), not_tiered(2, 0.1)], rule).label == expected


def test_many_lesions_left_out_are_counted_not_listed():
    rest = [not_tiered(n, 0.1, "too small") for n in range(2, 8)]
    tier = place([lesion(1, 6.0, sure("high")), *rest])
    assert tier.label == "high"
    assert (
        "left out: 6 lesions of 0.6 mL, lesion-2, lesion-3, lesion-4 and 3 more (0.6 mL): too small"
        in (tier.reason)
    )


def test_carrier_background_of_the_lesions_that_decide():
    inside = ("lies inside the liver: carrier background",)
    first = replace(lesion(1, 6.0, sure("high")), notes=inside)
    aside = replace(lesion(2, 3.0, sure("low")), notes=("lies inside the spleen: c",))
    tier = place([first, aside, lesion(3, 1.0, sure("high"))])
    assert (
        "of 1 of the 2 lesions that decide (6 of 7 mL) the notes say "
        '"lies inside the liver: carrier background"'
    ) in tier.reason
    assert "spleen" not in tier.reason


def test_no_lesion_at_all():
    tier = place([])
    assert (tier.label, tier.n_lesions) == (NOT_TIERED, 0)


def test_a_lesion_without_confidence_leaves_the_patient_without():
    unknown = Tier(
        "s",
        "high",
        math.nan,
        "n",
        "r",
        most_likely="high",
        probabilities=dict.fromkeys(LABELS, math.nan),
    )
    volume = Measurement("volume", "volume", "reference", 2.0, math.nan, "none", 10, "g")
    region = Region(1, "l", RegionRole.LESION, measurements=(volume,), tiers=(unknown,))
    tier = place([region])
    assert tier.label == "high"
    assert math.isnan(tier.confidence)
    assert "no confidence can be stated" in tier.confidence_note


@given(
    st.lists(
        st.tuples(st.floats(0.1, 50.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["dominant-volume", "any", "all"]),
)
def test_probabilities_of_the_patient_sum_to_one(rows, rule):
    lesions = []
    for n, (volume, a, b) in enumerate(rows, start=1):
        low, rest = a, 1.0 - a
        lesions.append(
            lesion(n, volume, {"low": low, "moderate": rest * b, "high": rest * (1.0 - b)})
        )
    tier = place(lesions, rule)
    assert sum(tier.probabilities.values()) == pytest.approx(1.0)
    assert tier.label in (*LABELS, INDETERMINATE)


def overlapping():
    """Lesion 1: 3 voxels; lesion 2: 3 voxels, 2 of them shared; lesion 3: 1 voxel; 1 mL each."""
    labels = np.array([[[1, 1, 1, 2, 0, 3]]])
    shared = SharedVoxels(2, 1, (0, 0, 1), np.ones((1, 1, 2), dtype=bool))
    regions = tuple(Region(n, f"lesion-{n}", RegionRole.LESION) for n in (1, 2, 3))
    grid = Grid((1, 1, 6), np.diag([10.0, 10.0, 10.0, 1.0]), "f")
    return RegionVoxels(LesionSet(labels, grid, regions, shared=(shared,)))


def test_a_voxel_that_two_lesions_hold_counts_once():
    lesions = [
        lesion(1, 3.0, sure("low")),
        lesion(2, 3.0, sure("low")),
        lesion(3, 1.0, sure("high")),
    ]
    found = patient_tier(lesions, scheme(), StratifyConfig(), voxels=overlapping())
    # The union has 5 voxels: 4 of low (2 + 2 x 1/2 and 1 + 2 x 1/2), 1 of high.
    assert found.label == "low"
    assert "of 5 mL lesion volume: 80 % low, 20 % high" in found.reason
    assert "the 2 mL that lesions share count once" in found.reason
    assert "count once" not in place(lesions).reason


def test_a_shared_voxel_counts_half_for_each_of_two_tiers():
    lesions = [
        lesion(1, 3.0, sure("low")),
        lesion(2, 3.0, sure("high")),
        lesion(3, 1.0, sure("low")),
    ]
    found = patient_tier(lesions, scheme(), StratifyConfig(), voxels=overlapping())
    # low: 2 + 1 = 3 of 5 mL; counted twice it would be 4 of 7
    assert (found.label, "of 5 mL lesion volume: 60 % low, 40 % high" in found.reason) == (
        "low",
        True,
    )


def test_a_left_out_lesion_is_not_helped_by_what_it_shares():
    """Lesion 2 is left out with 3 mL: 3 mL of low are not more than half of 3 + 3 mL."""
    lesions = [
        lesion(1, 3.0, sure("low")),
        lesion(2, 3.0, {}, label=NOT_TIERED),
        lesion(3, 0.0, sure("low")),
    ]
    found = patient_tier(lesions, scheme(), StratifyConfig(), voxels=overlapping())
    assert found.label == INDETERMINATE
    assert "the 3 mL that were left out could overturn the majority" in found.reason
