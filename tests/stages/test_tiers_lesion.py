"""Expected probabilities come from the normal distribution function as written in each test."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.config import StratifyConfig
from eprimg.model.lesions import (
    BELOW_RESOLUTION,
    Measurement,
    Region,
    RegionRole,
    RegionSource,
)
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Objection, TierScheme
from eprimg.stages.tiers_lesion import at_most, lesion_tier

PET = TierScheme(
    "pet-example",
    "1",
    "t",
    "pid_per_kg",
    "peak",
    "fixed",
    (5.0, 20.0),
    ("low", "moderate", "high"),
    "dominant-volume",
    False,
    "c",
    "pet",
)
MR = TierScheme(
    "mr-example",
    "1",
    "t",
    "dr2star",
    "median",
    "fixed",
    (20.0, 80.0),
    ("low", "moderate", "high"),
    "dominant-volume",
    True,
    "c",
    "mr",
)


def lesion(*measurements, source=RegionSource.MASK):
    return Region(1, "lesion-1", RegionRole.LESION, source=source, measurements=measurements)


def uptake(value, *, error=float("nan"), statistic="peak", note=""):
    return Measurement(
        "pid_per_kg",
        statistic,
        "pet",
        value,
        error,
        "spread of the voxels",
        100,
        "native pet",
        note,
    )


def change(value, error, term=None):
    found = [
        Measurement("dr2star", "median", "mr_post-mr_pre", value, error, "fit noise", 50, "native")
    ]
    if term is not None:
        found.append(
            Measurement(
                "dr2star",
                "registration_error_term",
                "mr_post-mr_pre",
                term,
                float("nan"),
                "none: is itself an error",
                50,
                "reference grid",
                "mean gradient times registration error 0.50 mm",
            )
        )
    return found


def place(region, scheme=PET, nuclide="89Zr", **options):
    return lesion_tier(
        region, scheme, scheme.edges, "fixed cut-offs", nuclide, StratifyConfig(), **options
    )


def test_zirconium_peak_by_published_repeatability():
    tier = place(lesion(uptake(10.3)))
    # Jauw 2018: RC 35 % -> wCV 35 / 2.77 = 12.64 %; s = sqrt(ln(1 + wCV^2)) = 0.1258
    s = math.sqrt(math.log(1 + (0.35 / 2.77) ** 2))
    above = [NormalDist().cdf(math.log(10.3 / edge) / s) for edge in (5.0, 20.0)]
    assert tier.label == tier.most_likely == "moderate"
    assert tier.probabilities["moderate"] == pytest.approx(above[0] - above[1], abs=1e-9)
    # 0.9999 would claim more than image noise alone can tell: no more than 0.99 is stated.
    assert above[0] - above[1] > 0.99
    assert tier.confidence == 0.99
    assert tier.reason.startswith("%ID/kg peak 10.3 %ID/kg between the edges 5 and 20")
    assert "noise only: a lower bound" in tier.confidence_note
    assert tier.confidence_note.startswith("at most: the true error is larger")
    assert "delineation and calibration not included" in tier.confidence_note
    assert tier.notice == "example, not validated"


@pytest.mark.parametrize(
    ("nuclide", "statistic", "confidence"),
    # science base, section 4.2: at 1.2 x the cut-off 0.97 (wCV 10 %), 0.93 (89Zr peak), 0.89 (max)
    [("18F", "peak", 0.97), ("89Zr", "peak", 0.93), ("89Zr", "max", 0.89)],
)
def test_confidence_at_1_2_times_the_cutoff(nuclide, statistic, confidence):
    scheme = TierScheme(
        "s",
        "1",
        "t",
        "pid_per_kg",
        statistic,
        "fixed",
        (10.0,),
        ("low", "high"),
        "any",
        True,
        "c",
        "pet",
    )
    tier = place(lesion(uptake(12.0, statistic=statistic)), scheme, nuclide)
    assert round(tier.confidence, 2) == confidence
    assert tier.notice == ""


def test_near_an_edge_is_indeterminate_and_keeps_what_is_likely():
    tier = place(lesion(uptake(19.6)))
    assert tier.label == INDETERMINATE
    assert tier.most_likely == "moderate"
    assert sum(tier.probabilities.values()) == pytest.approx(1.0)
    assert set(tier.probabilities) == {"low", "moderate", "high"}
    assert "the edge 20 is exceeded with a probability of 0.44" in tier.reason


def test_a_nuclide_without_published_repeatability_borrows_none():
    tier = place(lesion(uptake(22.0, error=1.0)), nuclide="64Cu")
    assert tier.confidence == pytest.approx(NormalDist().cdf(2.0), abs=1e-9)
    assert tier.label == "high"
    assert "no repeatability of the peak is published for 64Cu" in tier.confidence_note
    assert "lower bound" in tier.confidence_note


def test_without_any_error_the_confidence_is_not_a_number():
    tier = place(lesion(uptake(22.0)), nuclide="64Cu")
    assert tier.label == "high"
    assert math.isnan(tier.confidence)
    assert tier.confidence_note.startswith("no confidence can be stated")


def test_change_of_r2star_adds_fit_and_registration_error():
    tier = place(lesion(*change(86.0, 3.0, term=4.0)), MR)
    # sqrt(3^2 + 4^2) = 5; (86 - 80) / 5 = 1.2 standard deviations
    assert tier.confidence == pytest.approx(NormalDist().cdf(1.2), abs=1e-9)
    assert tier.label == INDETERMINATE  # 0.885 lies between 0.1 and 0.9
    assert "no tumour R2* repeatability is published" in tier.confidence_note
    assert "lower bound" in tier.confidence_note
    clear = place(lesion(*change(100.0, 3.0, term=4.0)), MR)
    assert clear.label == "high"


def test_change_of_r2star_without_a_registration_term():
    tier = place(lesion(*change(86.0, 3.0)), MR)
    assert tier.confidence == pytest.approx(NormalDist().cdf(2.0), abs=1e-9)
    assert "registration error not included" in tier.confidence_note


def test_candidates_and_missing_numbers_are_not_tiered():
    candidate = place(lesion(uptake(30.0), source=RegionSource.CANDIDATE))
    assert candidate.label == NOT_TIERED
    assert "candidate" in candidate.reason
    assert place(lesion(uptake(30.0), source=RegionSource.CONFIRMED)).label == "high"
    missing = place(lesion())
    assert missing.label == NOT_TIERED
    assert "was not measured" in missing.reason
    nothing = place(lesion(uptake(float("nan"), note="no voxel on the PET grid")))
    assert nothing.label == NOT_TIERED
    assert "no voxel on the PET grid" in nothing.reason
    protocols = Objection("W_PROTOCOL_DIFFERS", ("pid_per_kg",), "the protocols differ")
    refused = place(lesion(uptake(30.0)), objections=[protocols])
    assert (refused.label, refused.reason) == (NOT_TIERED, "the protocols differ")
    assert math.isnan(refused.confidence)


def test_objections_of_study_and_lesion_are_told_together():
    ours = Objection("W_REGION_CUT", ("pid_per_kg",), "it is cut")
    region = replace(lesion(uptake(30.0)), objections=(ours,))
    study = Objection("E_MASS_BALANCE", ("pid_per_kg",), "the dose is wrong")
    assert place(region, objections=[study]).reason == "the dose is wrong; it is cut"
    other = Objection("W_NOISE_FLOOR", ("dr2star",), "it is above the range")
    assert place(lesion(uptake(30.0)), objections=[other]).label == "high"


@pytest.mark.parametrize(
    ("bias", "value", "label"),
    [
        ("low", 100.0, "high"),
        ("low", 50.0, NOT_TIERED),
        ("low", 5.0, NOT_TIERED),
        ("high", 100.0, NOT_TIERED),
        ("high", 50.0, NOT_TIERED),
        ("high", 5.0, "low"),
    ],
)
def test_a_number_with_a_known_bias_holds_only_the_tier_at_its_end(bias, value, label):
    """A number that is too low can belong to any tier above it; the highest has none above."""
    against = Objection("W_NOISE_FLOOR", ("dr2star",), "late echoes are noise", bias)
    tier = place(lesion(*change(value, 1.0)), MR, objections=[against])
    assert tier.label == label
    assert "late echoes are noise" in tier.reason
    if label == NOT_TIERED:
        assert "or higher" in tier.reason or "or lower" in tier.reason


def test_two_opposite_biases_leave_no_tier():
    against = [Objection("W", ("dr2star",), f"too {b}", b) for b in ("low", "high")]
    tier = place(lesion(*change(100.0, 1.0)), MR, objections=against)
    assert tier.label == NOT_TIERED
    assert "the direction of the error is not known" in tier.reason


def test_confidence_that_is_an_upper_bound_ends_at_099():
    assert at_most(0.9999) == 0.99
    assert at_most(0.42) == 0.42
    assert math.isnan(at_most(math.nan))


def test_cold_lesion():
    tier = place(lesion(uptake(0.0)))
    assert tier.label == "low"
    assert tier.reason.startswith("%ID/kg peak 0 %ID/kg below the edge 5")


@given(st.floats(0.01, 200.0), st.floats(0.01, 200.0))
def test_tiers_rise_with_the_value(first, second):
    low, high = sorted((first, second))
    rank = PET.labels.index
    a, b = place(lesion(uptake(low))), place(lesion(uptake(high)))
    assert rank(a.most_likely) <= rank(b.most_likely)
    assert sum(a.probabilities.values()) == pytest.approx(1.0)
    assert a.probabilities["low"] >= b.probabilities["low"] - 1e-12
    assert a.probabilities["high"] <= b.probabilities["high"] + 1e-12


def test_below_the_resolution_there_is_no_pet_tier_although_no_volume_is_known():
    volume = Measurement(
        "volume", "volume", "reference", float("nan"), float("nan"), "none", 8, "grid"
    )
    plain = lesion(uptake(30.0, error=0.1), volume)
    assert lesion_tier(plain, PET, PET.edges, "", "89Zr", StratifyConfig()).label != NOT_TIERED
    marked = replace(plain, notes=(f"{BELOW_RESOLUTION}: it seems 9 mm wide",))
    tier = lesion_tier(marked, PET, PET.edges, "", "89Zr", StratifyConfig())
    assert tier.label == NOT_TIERED
    assert tier.reason.startswith(BELOW_RESOLUTION)
