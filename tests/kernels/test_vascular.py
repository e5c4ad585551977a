"""Expected values are worked out by hand; errors are the scatter of random draws.

200 000 draws: the scatter is known to 0.16 %; allowed are 2 % for what first order leaves out.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.kinetics import two_scan_permeability_index
from eprimg.kernels.vascular import (
    VASCULAR_REASON_TEXT,
    VascularReason,
    early_permeability,
    extravascular_change,
    fractional_blood_volume,
    late_retention,
    vessel_size_q,
)

N = 200_000


def draw(seed, *pairs):
    rng = np.random.default_rng(seed)
    return [m + s * rng.standard_normal(N) for m, s in pairs]


def test_blood_volume_is_a_ratio():
    found = fractional_blood_volume(6.0, 120.0, tissue_se=0.3, blood_se=3.0)
    assert found.value == pytest.approx(0.05)
    t, b = draw(1, (6.0, 0.3), (120.0, 3.0))
    assert found.standard_error == pytest.approx(np.std(t / b), rel=0.02)


def test_signal_that_is_all_blood_leaves_nothing():
    # a tumour that is 8 % blood, while blood falls from 120 to 70 1/s
    found = extravascular_change(0.08 * 70.0, 70.0, 0.08 * 120.0, 120.0)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    # and 4 1/s that have leaked on top of it
    assert extravascular_change(0.08 * 70.0 + 4.0, 70.0, 9.6, 120.0).value == pytest.approx(4.0)


def test_error_of_the_extravascular_change():
    numbers = [(20.0, 0.8), (70.0, 2.0), (9.6, 0.6), (120.0, 4.0)]
    t, b, t0, b0 = draw(2, *numbers)
    names = ("tissue_se", "blood_se", "first_tissue_se", "first_blood_se")
    found = extravascular_change(
        *(m for m, _ in numbers), **dict(zip(names, (s for _, s in numbers), strict=True))
    )
    assert found.value == pytest.approx(20.0 - 9.6 * 70.0 / 120.0)
    assert found.standard_error == pytest.approx(np.std(t - t0 * b / b0), rel=0.02)


def test_early_permeability_is_zero_for_tight_vessels_and_the_leak_otherwise():
    blood = np.array([120.0, 90.0])
    tight = 0.1 * blood
    leaky = tight + np.array([0.0, 5.4])
    found = early_permeability(
        np.stack([tight, leaky]), blood, [600.0, 11400.0], tissue_se=0.5, blood_se=2.0
    )
    np.testing.assert_allclose(found.value, [0.0, 5.4 / 10800.0], atol=1e-15)
    t1, t2, b1, b2 = draw(3, (12.0, 0.5), (14.4, 0.5), (120.0, 2.0), (90.0, 2.0))
    scatter = np.std((t2 - t1 * b2 / b1) / 10800.0)
    assert found.standard_error[1] == pytest.approx(scatter, rel=0.02)
    # the difference of slopes is not zero there: (0.1 - 1) x (90 - 120) / 10800
    slopes = two_scan_permeability_index(tight, blood, [600.0, 11400.0])
    assert slopes.value == pytest.approx(27.0 / 10800.0)


def test_late_retention_is_what_tissue_keeps_beyond_blood():
    numbers = [(30.0, 1.0), (24.0, 1.0), (120.0, 3.0), (36.0, 3.0)]
    names = ("early_tissue_se", "late_tissue_se", "early_blood_se", "late_blood_se")
    found = late_retention(
        *(m for m, _ in numbers), **dict(zip(names, (s for _, s in numbers), strict=True))
    )
    assert found.value == pytest.approx(0.8 - 0.3)
    te, tl, be, bl = draw(4, *numbers)
    assert found.standard_error == pytest.approx(np.std(tl / te - bl / be), rel=0.02)
    assert late_retention(30.0, 9.0, 120.0, 36.0).value == pytest.approx(0.0)
    # the same in other words: the late extravascular change over the early change
    outside = extravascular_change(24.0, 36.0, 30.0, 120.0)
    assert found.value == pytest.approx(outside.value / 30.0)


def test_q_of_jensen_and_chandra():
    found = vessel_size_q(4.0, 27.0, dr2_se=0.2, dr2star_se=0.9)
    assert found.value == pytest.approx(4.0 / 9.0)  # 27^(2/3) = 9
    r2, star = draw(5, (4.0, 0.2), (27.0, 0.9))
    assert found.standard_error == pytest.approx(np.std(r2 / star ** (2 / 3)), rel=0.02)
    # with dR2 rising as the two-thirds power of the dose Q does not depend on it
    assert vessel_size_q(4.0 * 2 ** (2 / 3), 54.0).value == pytest.approx(4.0 / 9.0)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (fractional_blood_volume(math.nan, 100.0), VascularReason.NON_FINITE),
        (fractional_blood_volume(5.0, 0.0), VascularReason.NON_POSITIVE),
        (fractional_blood_volume(5.0, 5.9, blood_se=2.0), VascularReason.DENOMINATOR_UNCERTAIN),
        (fractional_blood_volume(5.0, 100.0, tissue_se=-1.0), VascularReason.BAD_ERROR),
        (extravascular_change(5.0, 80.0, 5.0, -3.0), VascularReason.NON_POSITIVE),
        (late_retention(-1.0, 5.0, 100.0, 50.0), VascularReason.NON_POSITIVE),
        (
            late_retention(9.0, 5.0, 100.0, 50.0, early_tissue_se=4.0),
            VascularReason.DENOMINATOR_UNCERTAIN,
        ),
        (vessel_size_q(-1.0, 27.0), VascularReason.NON_POSITIVE),
        (vessel_size_q(1.0, -27.0), VascularReason.NON_POSITIVE),
        (vessel_size_q(math.inf, 27.0), VascularReason.NON_FINITE),
    ],
)
def test_what_cannot_be_formed_is_nan_with_a_reason(found, reason):
    assert found.reason == reason
    assert math.isnan(found.value)
    assert math.isnan(found.standard_error)
    assert VASCULAR_REASON_TEXT[reason]


def test_an_error_that_is_not_given_is_not_zero():
    assert math.isnan(fractional_blood_volume(5.0, 100.0, tissue_se=0.1).standard_error)
    assert fractional_blood_volume(-1.0, 100.0).value == pytest.approx(-0.01)  # noise is kept


def test_types_and_arguments():
    maps = fractional_blood_volume(np.full((2, 2), 5.0, np.float32), 100.0)
    assert maps.value.dtype == np.float32
    early = early_permeability(np.full((3, 2), 5.0, np.float32), [100.0, 90.0], [0.0, 60.0])
    assert early.value.shape == (3,)
    for call in (
        lambda: early_permeability([1.0, 2.0, 3.0], 5.0, [0.0, 1.0]),
        lambda: early_permeability([1.0, 2.0], 5.0, [1.0, 1.0]),
        lambda: early_permeability([1.0, 2.0], 5.0, [1.0]),
        lambda: vessel_size_q([1.0, 2.0], [1.0, 2.0, 3.0]),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
