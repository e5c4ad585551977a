from __future__ import annotations

import pytest

from eprimg.engines.tier_rules.cohort import CohortMedianRule, CohortTertileRule
from eprimg.errors import ConfigError
from eprimg.model.tiers import Cohort, TierScheme

SCHEME = TierScheme(
    "s", "1", "t", "pid_per_kg", "peak", "cohort-median", (), ("a", "b"), "any", False, "c", "pet"
)


def cohort(*values, quantity="pid_per_kg", statistic="peak"):
    return Cohort("demo", quantity, statistic, values, 3)


def test_median_of_the_matching_cohort():
    others = cohort(100.0, 200.0, statistic="mean")
    found = CohortMedianRule().cutoffs(SCHEME, [others, cohort(1.0, 5.0, 9.0, 13.0)])
    assert found.edges == (7.0,)
    assert found.trace == "median of cohort demo (4 lesions of 3 patients)"


def test_tertiles():
    # quantiles 1/3 and 2/3 of 0, 3, 6, 9 at positions 1 and 2 of the sorted values
    found = CohortTertileRule().cutoffs(SCHEME, [cohort(9.0, 0.0, 6.0, 3.0)])
    assert found.edges == pytest.approx((3.0, 6.0))


@pytest.mark.parametrize("rule", [CohortMedianRule, CohortTertileRule])
def test_no_cohort_or_one_that_cannot_be_used(rule):
    with pytest.raises(ConfigError, match="needs a stored cohort") as caught:
        rule().cutoffs(SCHEME, [cohort(1.0, 2.0, quantity="suvbw")])
    assert caught.value.code == "E_COHORT"
    with pytest.raises(ConfigError, match="cannot be used"):
        rule().cutoffs(SCHEME, [cohort(1.0)])
