"""Threshold rules by hand, and the blurred sphere against the non-central chi-square law."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from eprimg.errors import InputError
from eprimg.kernels.pet_thresholds import (
    THRESHOLD_RULES,
    LesionLevels,
    PetConstants,
    blurred_sphere,
    lesion_threshold,
    smallest_apparent_diameter_mm,
)

LEVELS = LesionLevels(
    maximum=10.0, background=2.0, mean70=8.0, peak=9.0, reference_mean=2.4, reference_sd=0.3
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [  # worked out by hand from the formula of each rule
        ("adaptive-bg", 2.0 + 0.41 * 8.0),
        ("fixed", 4.0),
        ("percent-of-max", 4.1),
        ("a50", 5.5),
        ("percist", 4.2),
        ("schaefer", 5.0),
        ("nestle", 3.2),
    ],
)
def test_each_rule_by_hand(rule: str, expected: float) -> None:
    assert lesion_threshold(rule, LEVELS) == pytest.approx(expected, rel=1e-12)


def test_every_rule_has_a_hand_example_and_its_constants_count() -> None:
    other = PetConstants(0.5, 2.5, 50.0, 0.4, 2.0, 1.0, 0.6, 0.4, 0.3)
    changed = {rule: lesion_threshold(rule, LEVELS, other) for rule in THRESHOLD_RULES}
    assert changed == pytest.approx(
        {
            "adaptive-bg": 6.0,
            "fixed": 2.5,
            "percent-of-max": 5.0,
            "a50": 4.8,
            "percist": 5.1,
            "schaefer": 5.6,
            "nestle": 4.4,
        }
    )


def test_an_unknown_level_gives_no_number_and_an_unknown_rule_is_refused() -> None:
    bare = LesionLevels(10.0, 2.0, 8.0)
    assert math.isnan(lesion_threshold("a50", bare))
    assert math.isnan(lesion_threshold("percist", bare))
    with pytest.raises(InputError) as caught:
        lesion_threshold("best", LEVELS)
    assert caught.value.code == "E_ARGUMENT"


@pytest.mark.parametrize("diameter_mm", [4.0, 10.0, 37.0])
@pytest.mark.parametrize("distance_mm", [0.0, 1.0, 5.0, 12.0])
def test_a_blurred_sphere_is_the_chance_that_a_blurred_point_falls_into_it(
    diameter_mm: float, distance_mm: float
) -> None:
    # P(|x + Z| <= R) for a normal Z of three axes: non-central chi-square, three degrees of freedom
    sigma = 2.5
    if distance_mm == 0.0:
        expected = stats.chi2.cdf((0.5 * diameter_mm / sigma) ** 2, 3)
    else:
        expected = stats.ncx2.cdf((0.5 * diameter_mm / sigma) ** 2, 3, (distance_mm / sigma) ** 2)
    got = blurred_sphere(distance_mm, radius_mm=0.5 * diameter_mm, sigma_mm=sigma)
    assert got == pytest.approx(expected, abs=1e-9)


def test_the_apparent_size_of_a_point_and_of_a_large_sphere() -> None:
    # A point at half its height is as wide as the blur, by the definition of FWHM.
    assert smallest_apparent_diameter_mm(1e-2, psf_fwhm_mm=6.0, fraction=0.5) == pytest.approx(
        6.0, abs=1e-4
    )
    # Half the height of a flat edge lies on the edge.
    assert smallest_apparent_diameter_mm(200.0, psf_fwhm_mm=6.0, fraction=0.5) == pytest.approx(
        200.0, abs=0.2
    )
    small, larger = (
        smallest_apparent_diameter_mm(d, psf_fwhm_mm=6.0, fraction=0.41) for d in (8.0, 12.0)
    )
    assert 8.0 < small < larger
