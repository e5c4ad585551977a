from __future__ import annotations

from eprimg.engines.tier_rules.fixed import FixedRule
from eprimg.model.tiers import TierScheme
from eprimg.registry import load_engine


def test_edges_are_those_of_the_scheme():
    scheme = TierScheme(
        "s",
        "4",
        "t",
        "pid_per_kg",
        "peak",
        "fixed",
        (5.0, 20.0),
        ("a", "b", "c"),
        "any",
        False,
        "c",
        "pet",
    )
    found = FixedRule().cutoffs(scheme, ())
    assert found.edges == (5.0, 20.0)
    assert found.trace == "fixed cut-offs of scheme s version 4"
    assert load_engine("tier rule", "fixed") is FixedRule
