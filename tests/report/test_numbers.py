from __future__ import annotations

import math

import pytest

from eprimg.report.numbers import (
    NOTHING,
    decimals_for,
    format_fixed,
    format_percent,
    format_value,
    nice_ceiling,
    round_ticks,
    tick_decimals,
)


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (28.0, 3.528, "28.0 ± 3.5"),
        (12.0, 0.0301, "12.00 ± 0.03"),
        (120.04, 3.41, "120.0 ± 3.4"),
        (1.4368, 0.0862, "1.437 ± 0.086"),
        (321.0, 45.0, "321 ± 45"),
        (-12.345, 1.0, "−12.3 ± 1.0"),
        (320.0, 0.0004, "320.0 ± < 0.1"),
        (0.3173, math.nan, "0.317"),
        (5.0, math.nan, "5.00"),
        (0.0, math.nan, "0.0"),
        (math.nan, 1.0, NOTHING),
        (math.inf, math.nan, NOTHING),
    ],
)
def test_a_number_carries_the_digits_that_it_deserves(
    value: float, uncertainty: float, text: str
) -> None:
    assert format_value(value, uncertainty) == text


def test_zero_never_carries_a_sign() -> None:
    assert format_fixed(-0.0001, 2) == "0.00"


def test_large_numbers_have_no_decimals() -> None:
    assert decimals_for(12345.0) == 0


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.974, "97 %"), (1.0, "> 99 %"), (0.0, "< 1 %"), (math.nan, NOTHING)]
)
def test_a_probability_never_claims_certainty(fraction: float, text: str) -> None:
    assert format_percent(fraction) == text


@pytest.mark.parametrize(
    ("value", "top"),
    [
        (172.0, 200.0),
        (14.5, 15.0),
        (0.7, 0.8),
        (10.0, 10.0),
        (9.1, 10.0),
        (0.0, 1.0),
        (math.nan, 1.0),
    ],
)
def test_windows_end_at_a_round_number(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks", "decimals"),
    [
        (0.0, 14.8, 8, (0, 2, 4, 6, 8, 10, 12, 14, 16), 0),
        (0.0, 1.0, 4, (0, 0.25, 0.5, 0.75, 1), 2),
        (-3.0, 8.0, 4, (-5, 0, 5, 10), 0),
        (0.0, 30.0, 8, (0, 5, 10, 15, 20, 25, 30), 0),
    ],
)
def test_ticks_are_round_and_cover_the_range(
    low: float, high: float, about: int, ticks: tuple[float, ...], decimals: int
) -> None:
    # Steps by hand: the smallest of 1, 2, 2.5, 5 and 10 that is at least the range over `about`.
    assert round_ticks(low, high, about=about) == pytest.approx(ticks)
    assert tick_decimals(ticks) == decimals
