from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels import confidence as kernel

TRUTH = json.loads((Path(__file__).parents[1] / "truth" / "confidence.json").read_text())


@pytest.mark.parametrize("case", TRUTH["exceedance_lognormal"]["cases"])
def test_confidence_at_a_fifth_above_the_cutoff(case: dict[str, float]) -> None:
    truth = TRUTH["exceedance_lognormal"]
    for cutoff in (0.1, 1.0, 7.0):
        found = kernel.exceedance_probability_lognormal(
            truth["value_over_cutoff"] * cutoff, cutoff, wcv=case["wcv"]
        )
        assert float(found) == pytest.approx(case["expected"], abs=truth["tolerance_absolute"])
        assert round(float(found), 2) == case["published"]


def test_qiba_limits() -> None:
    truth = TRUTH["repeatability_limits"]
    limits = kernel.repeatability_limits_lognormal(truth["wcv"])
    tolerance = truth["tolerance_percent"]
    assert 100 * limits.lower == pytest.approx(truth["lower_percent"], abs=tolerance)
    assert 100 * limits.upper == pytest.approx(truth["upper_percent"], abs=tolerance)


def test_wcv_from_published_coefficients() -> None:
    truth = TRUTH["wcv_from_rc"]
    for rc, wcv in zip(truth["rc"], truth["wcv"], strict=True):
        found = kernel.wcv_from_repeatability_coefficient(rc)
        assert found == pytest.approx(wcv, abs=truth["tolerance_absolute"])


def test_log_sd_gives_the_wcv_of_simulated_errors() -> None:
    rng = np.random.default_rng(7)
    measured = np.exp(rng.normal(0.0, kernel.log_sd_from_wcv(0.3), 400_000))
    assert measured.std() / measured.mean() == pytest.approx(0.3, rel=0.01)


def test_normal_model_equals_the_standard_library() -> None:
    found = kernel.exceedance_probability_normal([10.0, 25.0, -5.0], 12.0, sd=[4.0, 8.0, 10.0])
    expected = [NormalDist(12.0, s).cdf(x) for x, s in ((10.0, 4.0), (25.0, 8.0), (-5.0, 10.0))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_not_positive_and_missing_values() -> None:
    found = kernel.exceedance_probability_lognormal([-1.0, 0.0, np.nan, 1e-3], 2.0, wcv=0.1)
    np.testing.assert_allclose(found, [0.0, 0.0, np.nan, 0.0], atol=1e-12)
    found = kernel.exceedance_probability_normal([1.0, np.nan], 1.0, sd=[np.nan, 1.0])
    assert np.isnan(found).all()


@given(
    st.lists(st.floats(-5.0, 50.0), min_size=1, max_size=6),
    st.lists(st.floats(0.1, 40.0), min_size=1, max_size=4, unique=True),
    st.floats(0.01, 0.6),
)
def test_tier_probabilities_are_a_distribution(
    values: list[float], edges: list[float], wcv: float
) -> None:
    edges = sorted(edges)
    for found in (
        kernel.tier_probabilities_lognormal(values, edges, wcv=wcv),
        kernel.tier_probabilities_normal(values, edges, sd=10.0 * wcv),
    ):
        assert found.shape == (len(values), len(edges) + 1)
        assert np.all((found >= 0.0) & (found <= 1.0))
        np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-12)


def test_tier_probabilities_of_a_normal_error() -> None:
    found = kernel.tier_probabilities_normal([[10.0], [0.0]], [8.0, 12.0], sd=[[2.0], [2.0]])
    unit = NormalDist()
    expected = [unit.cdf(-1), unit.cdf(1) - unit.cdf(-1), unit.cdf(-1)]
    assert found.shape == (2, 1, 3)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-12)


def test_missing_value_has_no_distribution_and_is_indeterminate() -> None:
    found = kernel.tier_probabilities_lognormal([np.nan, 9.0], [2.0], wcv=0.1)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(kernel.is_indeterminate(found), [True, False])


def test_indeterminate_near_any_edge() -> None:
    # Standard normal error: 0.1 and 0.9 lie 1.2816 from the edge.
    values = [0.0, 8.7, 8.8, 10.0, 11.2, 11.3, 15.0, 18.7, 18.8, 21.2, 21.3]
    found = kernel.tier_probabilities_normal(values, [10.0, 20.0], sd=1.0)
    doubtful = [False, False, True, True, True, False, False, False, True, True, False]
    np.testing.assert_array_equal(kernel.is_indeterminate(found), doubtful)
    wide = kernel.is_indeterminate(found, lower=0.0, upper=1.0)
    assert wide.all()
    assert bool(kernel.is_indeterminate([0.5, 0.5]))
    np.testing.assert_array_equal(kernel.is_indeterminate([[0.1, 0.9], [0.0, 1.0]]), [True, False])


def test_five_percent_above_the_cutoff_is_indeterminate_for_zirconium_peak() -> None:
    found = kernel.tier_probabilities_lognormal([1.05, 1.75, 1 / 1.75], [1.0], wcv=0.126)
    np.testing.assert_array_equal(kernel.is_indeterminate(found), [True, False, False])


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernel.wcv_from_repeatability_coefficient(35.0),
        lambda: kernel.log_sd_from_wcv(0.0),
        lambda: kernel.log_sd_from_wcv(math.nan),
        lambda: kernel.repeatability_limits_lognormal(0.1, coverage=1.0),
        lambda: kernel.exceedance_probability_lognormal(1.0, 0.0, wcv=0.1),
        lambda: kernel.exceedance_probability_normal(1.0, 0.0, sd=0.0),
        lambda: kernel.exceedance_probability_normal(1.0, np.nan, sd=1.0),
        lambda: kernel.tier_probabilities_lognormal([1.0], [2.0, 1.0], wcv=0.1),
        lambda: kernel.is_indeterminate([0.5, 0.5], lower=0.9, upper=0.1),
        lambda: kernel.is_indeterminate([1.0]),
    ],
)
def test_bad_arguments_are_refused(call: object) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == "E_ARGUMENT"
