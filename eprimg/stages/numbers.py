"""The numbers of a measuring run while they are being collected."""

from __future__ import annotations

from collections.abc import Mapping

from eprimg.model.lesions import Measurement

__all__ = ["NAN", "Kept", "Numbers", "find_number"]

NAN = float("nan")

Numbers = dict[int, list[Measurement]]
"""New measurements by region id."""

Kept = Mapping[int, tuple[Measurement, ...]]
"""Measurements of regions that are not measured again."""


def find_number(
    numbers: Numbers, kept: Kept, region: int, quantity: str, statistic: str, source: str
) -> Measurement | None:
    """Find a number among the new ones, else among those that were kept.

    Parameters
    ----------
    numbers : dict
        New measurements by region id.
    kept : Mapping
        Measurements of regions that are not measured again.
    region : int
        Region id.
    quantity, statistic, source : str
        As in `Measurement`.

    Returns
    -------
    Measurement or None
        The number.
    """
    for m in numbers.get(region, kept.get(region, ())):
        if (m.quantity, m.statistic, m.source) == (quantity, statistic, source):
            return m
    return None
