"""Numbers for readers: sensible digits, uncertainty, a real minus sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "NOTHING",
    "decimals_for",
    "format_fixed",
    "format_percent",
    "format_value",
    "nice_ceiling",
    "round_ticks",
    "tick_decimals",
]

NOTHING = "–"
"""Shown where there is no number."""


def decimals_for(value: float, uncertainty: float = math.nan) -> int:
    """Choose how many decimals a number deserves.

    Parameters
    ----------
    value : float
        The number.
    uncertainty : float
        Its standard error; NaN when there is none.

    Returns
    -------
    int
        Two significant digits of the uncertainty, else three of the value; never more than four
        of the value, because a small standard error does not make a number that accurate; 0 to 4.
    """
    choices = []
    if math.isfinite(value) and value != 0:
        digits = 4 if math.isfinite(uncertainty) and uncertainty > 0 else 3
        choices.append(digits - 1 - math.floor(math.log10(abs(value))))
    if math.isfinite(uncertainty) and uncertainty > 0:
        choices.append(1 - math.floor(math.log10(uncertainty)))
    return min(4, max(0, min(choices, default=1)))


def format_fixed(value: float, decimals: int) -> str:
    """Write a number with a fixed number of decimals.

    Parameters
    ----------
    value : float
        The number.
    decimals : int
        Decimals.

    Returns
    -------
    str
        With a real minus sign; never ``-0``; an en dash for NaN.
    """
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def format_value(value: float, uncertainty: float = math.nan) -> str:
    """Write a number with its uncertainty.

    Parameters
    ----------
    value : float
        The number.
    uncertainty : float
        Its standard error; NaN when there is none.

    Returns
    -------
    str
        E.g. ``12.3 ± 1.1``; an en dash when there is no number.
    """
    if not math.isfinite(value):
        return NOTHING
    decimals = decimals_for(value, uncertainty)
    text = format_fixed(value, decimals)
    if math.isfinite(uncertainty) and uncertainty > 0:
        doubt = format_fixed(uncertainty, decimals)
        if float(doubt) == 0:
            doubt = f"< {format_fixed(10.0**-decimals, decimals)}"
        text += f" ± {doubt}"
    return text


def format_percent(fraction: float) -> str:
    """Write a probability as a percentage that never claims certainty.

    Parameters
    ----------
    fraction : float
        Between 0 and 1; NaN when it cannot be stated.

    Returns
    -------
    str
        E.g. ``97 %``; ``> 99 %`` instead of 100 %.
    """
    if not math.isfinite(fraction):
        return NOTHING
    if fraction > 0.99:
        return "> 99 %"
    if fraction < 0.01:
        return "< 1 %"
    return f"{100 * fraction:.0f} %"


def nice_ceiling(value: float) -> float:
    """Round up to 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten.

    Parameters
    ----------
    value : float
        A positive number.

    Returns
    -------
    float
        The upper end of an axis or of a window; 1 for a number that is not positive.
    """
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0):
        if value <= step * power * (1 + 1e-9):
            return step * power
    return 10.0 * power


def round_ticks(low: float, high: float, *, about: int) -> tuple[float, ...]:
    """Return round numbers that cover a range.

    Parameters
    ----------
    low, high : float
        The range; ``high`` is greater.
    about : int
        How many steps are wanted, at most.

    Returns
    -------
    tuple of float
        Steps of 1, 2, 2.5 or 5 times a power of ten; the first and the last may lie outside.
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * n for n in range(first, last + 1))


def tick_decimals(ticks: Sequence[float]) -> int:
    """Choose the decimals that tell neighbouring ticks apart: 2.5 needs one, 0.25 two.

    Parameters
    ----------
    ticks : sequence of float
        From `round_ticks`.

    Returns
    -------
    int
        0 to 6.
    """
    step = ticks[1] - ticks[0]
    return next((d for d in range(6) if math.isclose(round(step, d), step, rel_tol=1e-6)), 6)
