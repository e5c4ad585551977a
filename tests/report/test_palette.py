from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.model.case import Severity
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, TierScheme
from eprimg.report.palette import SEVERITIES, tier_style

SCHEME = TierScheme(
    "s",
    "1",
    "S",
    "suvbw",
    "peak",
    "fixed",
    (1.0, 2.0),
    ("low", "mid", "high"),
    "any",
    False,
    "",
    "pet",
)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_every_tier_differs_in_colour_and_symbol_and_can_be_read(n: int) -> None:
    labels = tuple(f"tier {i}" for i in range(n))
    scheme = replace(SCHEME, labels=labels, edges=tuple(float(i) for i in range(n - 1)))
    looks = [tier_style(label, scheme) for label in labels]
    looks += [tier_style(INDETERMINATE, scheme), tier_style(NOT_TIERED, scheme)]
    assert len({look.symbol for look in looks}) == len(looks)
    assert len({look.fill for look in looks}) == len(looks)
    for look in looks:
        assert contrast(look.fill, look.ink) >= 4.5  # WCAG 2.2, 1.4.3 (AA)


def test_only_indeterminate_is_hatched() -> None:
    assert tier_style(INDETERMINATE, SCHEME).hatched
    assert not tier_style("low", SCHEME).hatched
    assert not tier_style(NOT_TIERED, None).hatched


def test_a_word_that_is_no_tier_looks_untiered() -> None:
    assert tier_style("unheard of", SCHEME) == tier_style(NOT_TIERED, SCHEME)


def test_errors_come_first() -> None:
    order = sorted(SEVERITIES, key=lambda s: SEVERITIES[s].rank)
    assert order == [Severity.ERROR, Severity.WARNING, Severity.INFO]
