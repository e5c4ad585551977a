"""Expected numbers are divisions by hand, roots found by scipy, or the scatter of random draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from eprimg.errors import InputError
from eprimg.kernels.iron import (
    IRON_REASON_TEXT,
    IronCurve,
    IronReason,
    implied_iron,
    iron_concentration,
    iron_content_ug_per_g,
    linear_curve,
)

# Knobloch et al., Invest Radiol 2018: plasma, 37 degrees C, 0.26-4.2 mM.
PLASMA_3T = linear_curve(55.7, standard_error=4.4, low_mmol_per_l=0.26, high_mmol_per_l=4.2)
PLASMA_1T5 = linear_curve(64.4, standard_error=2.5, low_mmol_per_l=0.26, high_mmol_per_l=4.2)
BENT = IronCurve(60.0, -3.0, np.array([[4.0, -0.9], [-0.9, 0.36]]), 0.0, 5.0, 6.0)


def test_a_straight_line_divides():
    found = iron_concentration(111.4, PLASMA_3T, dr2star_se_per_s=5.57)
    assert found.mmol_per_l == pytest.approx(2.0)  # 111.4 / 55.7
    # relative errors 5 % and 4.4 / 55.7 = 7.8995 % in quadrature
    assert found.noise_error == pytest.approx(0.10)
    assert found.curve_error == pytest.approx(2.0 * 4.4 / 55.7)
    assert found.standard_error == pytest.approx(2.0 * math.hypot(0.05, 4.4 / 55.7))
    # 2 mmol/L = 2 x 55.845 mg/L = 111.69 ug/mL; at 1.05 g/mL less per g
    assert iron_content_ug_per_g(found.mmol_per_l) == pytest.approx(111.69)
    assert iron_content_ug_per_g(2.0, density_g_per_ml=1.05) == pytest.approx(106.3714, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (0.25 * 55.7, IronReason.BELOW_RANGE),
        (-20.0, IronReason.BELOW_RANGE),
        (0.26 * 55.7, IronReason.OK),
        (4.2 * 55.7, IronReason.OK),
        (4.21 * 55.7, IronReason.ABOVE_RANGE),
        (math.nan, IronReason.NON_FINITE),
        (math.inf, IronReason.NON_FINITE),
    ],
)
def test_outside_of_the_measured_range_there_is_no_number(change, reason):
    found = iron_concentration(np.array([change]), PLASMA_3T)
    assert found.reason[0] == reason
    assert math.isnan(found.mmol_per_l[0]) == (reason != IronReason.OK)
    assert math.isnan(found.standard_error[0])  # no error was given


def test_a_bent_curve_is_inverted():
    for change in (0.0, 1.0, 50.0, 150.0, 225.0):
        root = optimize.brentq(lambda c, y=change: 60.0 * c - 3.0 * c**2 - y, 0.0, 5.0)
        assert iron_concentration(change, BENT).mmol_per_l == pytest.approx(root, abs=1e-9)
    # 60 x 5 - 3 x 25 = 225 is the end of the range
    assert iron_concentration(225.1, BENT).reason == IronReason.ABOVE_RANGE
    assert iron_concentration(1e6, BENT).reason == IronReason.ABOVE_RANGE


def test_standard_error_is_the_scatter_of_random_curves_and_noise():
    """40 000 draws: the scatter is known to 1 / sqrt(80 000) = 0.35 %; allowed are 2 %."""
    rng = np.random.default_rng(5)
    true = 3.0
    change = 60.0 * true - 3.0 * true**2
    pairs = rng.multivariate_normal([60.0, -3.0], BENT.covariance, 40_000)
    noisy = change + 2.0 * rng.standard_normal(40_000)
    b, d = pairs.T
    draws = (-b + np.sqrt(b**2 + 4 * d * noisy)) / (2 * d)
    found = iron_concentration(change, BENT, dr2star_se_per_s=2.0)
    assert found.mmol_per_l == pytest.approx(true)
    assert found.standard_error == pytest.approx(draws.std(), rel=0.02)
    only_noise = (-60.0 + np.sqrt(3600.0 - 12.0 * noisy)) / -6.0
    assert found.noise_error == pytest.approx(only_noise.std(), rel=0.02)


def test_published_changes_imply_more_iron_than_was_injected():
    """Changes of Stirrat 2016, 1.8 L and 0.2 L, 4 mg/kg x 70 kg = 280 mg (science.md section 2.1).

    1.5 T: (216.3 x 1.8 + 336.3 x 0.2) / 64.4 x 55.845 = 395.9 mg, 141 %; 3 T: (275.6 x 1.8 +
    463.9 x 0.2) / 55.7 x 55.845 = 590.4 mg, 211 %.
    """
    low = implied_iron([216.3, 336.3], [1800.0, 200.0], PLASMA_1T5)
    assert low.mg == pytest.approx((216.3 * 1.8 + 336.3 * 0.2) / 64.4 * 55.845)
    assert low.mg / 280.0 == pytest.approx(1.41, abs=0.005)
    high = implied_iron([275.6, 463.9], [1800.0, 200.0], PLASMA_3T)
    assert high.mg / 280.0 == pytest.approx(2.11, abs=0.005)
    assert high.region_mg[1] == pytest.approx(463.9 / 55.7 * 0.2 * 55.845)
    # 275.6 / 55.7 = 4.95 mmol/L lies above the 4.2 that were measured
    assert high.beyond.tolist() == [True, True]
    assert math.isnan(high.standard_error_mg)


def test_the_error_of_the_curve_is_shared_by_all_regions():
    noise = [2.0, 3.0]
    found = implied_iron([100.0, 150.0], [1000.0, 500.0], PLASMA_3T, dr2star_se_per_s=noise)
    per_s_to_mg = 55.845 / 55.7
    shared = found.mg * 4.4 / 55.7
    own = per_s_to_mg * math.hypot(2.0 * 1.0, 3.0 * 0.5)
    assert found.standard_error_mg == pytest.approx(math.hypot(shared, own))


def test_a_bent_curve_is_not_prolonged():
    found = implied_iron([400.0, -6.0], [1000.0, 100.0], BENT, dr2star_se_per_s=[1.0, 1.0])
    assert found.beyond.tolist() == [True, False]
    assert found.region_mg[0] == pytest.approx(5.0 * 55.845)  # the end of the range: a lower bound
    assert found.region_mg[1] == pytest.approx(-0.1 * 0.1 * 55.845)  # noise below zero is kept
    assert found.standard_error_mg > 0


def test_types_shapes_and_words():
    found = iron_concentration(np.full((2, 3), 100.0, np.float32), PLASMA_3T, dr2star_se_per_s=1.0)
    assert found.mmol_per_l.dtype == np.float32
    assert found.standard_error.shape == (2, 3)
    assert iron_concentration([100.0], PLASMA_3T, dr2star_se_per_s=[-1.0]).reason[0] == (
        IronReason.BAD_ERROR
    )
    assert set(IRON_REASON_TEXT) == set(IronReason)


@pytest.mark.parametrize(
    "call",
    [
        lambda: linear_curve(0.0, standard_error=1.0, low_mmol_per_l=0.0, high_mmol_per_l=1.0),
        lambda: linear_curve(50.0, standard_error=-1.0, low_mmol_per_l=0.0, high_mmol_per_l=1.0),
        lambda: linear_curve(50.0, standard_error=1.0, low_mmol_per_l=2.0, high_mmol_per_l=1.0),
        lambda: iron_concentration([1.0, 2.0], PLASMA_3T, dr2star_se_per_s=[1.0, 1.0, 1.0]),
        lambda: implied_iron([1.0, 2.0], [1.0], PLASMA_3T),
        lambda: iron_content_ug_per_g(1.0, density_g_per_ml=0.0),
    ],
)
def test_arguments_that_cannot_be(call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == "E_ARGUMENT"
