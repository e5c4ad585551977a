"""Expected numbers are worked out from half-lives by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels.administered_dose import administered_dose


def test_one_half_life_before_and_after():
    """80 at the assay is 40 at the injection; 3 one half-life later was 6: 34 are left."""
    found = administered_dose(
        80e6,
        half_life_s=100.0,
        assay_to_injection_s=100.0,
        residual_bq=3e6,
        injection_to_residual_s=100.0,
    )
    assert found == pytest.approx((34e6, 40e6, 6e6, 0.15))


def test_nothing_entered_changes_nothing():
    assert administered_dose(37e6, half_life_s=282276.0).dose_bq == 37e6


@given(
    st.floats(1e6, 1e9),
    st.floats(0.0, 0.3),
    st.floats(0.0, 2e4),
    st.floats(0.0, 2e4),
    st.floats(60.0, 3e5),
)
def test_it_does_not_matter_when_the_syringes_are_measured(assay, share, before, after, half_life):
    """Both syringes decay by 2^(-t/T): the dose is that of measuring both at the injection."""
    found = administered_dose(
        assay * 2.0 ** (before / half_life),
        half_life_s=half_life,
        assay_to_injection_s=before,
        residual_bq=share * assay * 2.0 ** (-after / half_life),
        injection_to_residual_s=after,
    )
    assert found.dose_bq == pytest.approx(assay * (1.0 - share), rel=1e-9)
    assert found.residual_share == pytest.approx(share, rel=1e-9, abs=1e-12)


def test_more_rest_than_syringe_is_refused():
    with pytest.raises(InputError) as caught:
        administered_dose(10e6, half_life_s=100.0, residual_bq=6e6, injection_to_residual_s=100.0)
    assert caught.value.code == "E_SUV_DOSE"


@pytest.mark.parametrize(
    "options",
    [
        {"assayed_bq": 0.0},
        {"assayed_bq": math.nan},
        {"residual_bq": -1.0},
        {"residual_bq": math.inf},
        {"assay_to_injection_s": math.nan},
        {"half_life_s": 0.0},
        {"injection_to_residual_s": 1e9},
    ],
)
def test_bad_numbers_are_refused(options):
    arguments = {"assayed_bq": 1e8, "half_life_s": 100.0, "residual_bq": 1e6, **options}
    with pytest.raises(InputError) as caught:
        administered_dose(arguments.pop("assayed_bq"), **arguments)
    assert caught.value.code == "E_ARGUMENT"
