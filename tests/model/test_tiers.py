"""Tier schemes: edges and labels must fit."""

from __future__ import annotations

import pytest

from eprimg.errors import ConfigError
from eprimg.model.tiers import TierScheme


def scheme(edges: tuple[float, ...], labels: tuple[str, ...], rule: str = "fixed") -> TierScheme:
    return TierScheme("k", "1", "t", "suvbw", "peak", rule, edges, labels, "any", False, "c", "pet")


def test_edges_and_labels() -> None:
    assert scheme((1.0, 2.0), ("low", "moderate", "high")).edges == (1.0, 2.0)
    assert scheme((), ("low", "high"), rule="cohort-median").edges == ()


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ((), ("low",)),
        ((2.0, 1.0), ("a", "b", "c")),
        ((1.0, 1.0), ("a", "b", "c")),
        ((float("nan"),), ("a", "b")),
        ((1.0,), ("a", "b", "c")),
    ],
)
def test_faulty_schemes_are_refused(edges: tuple[float, ...], labels: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        scheme(edges, labels)
    assert caught.value.code == "E_SCHEME"
