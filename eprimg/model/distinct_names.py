"""Regions of one name are told apart: results are read by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from eprimg.model.lesions import Region

__all__ = ["distinct_names"]


def distinct_names(regions: Sequence[Region], taken: Collection[str] = ()) -> tuple[Region, ...]:
    """Give every region a name of its own.

    Parameters
    ----------
    regions : sequence of Region
        With different ids.
    taken : collection of str
        Names that other regions have.

    Returns
    -------
    tuple of Region
        The same regions in the same order.  Where a name stands more than once, or is taken, each
        of those that have it is called ``name #id``: none of them is the first one.
    """
    counts = Counter(r.name for r in regions)
    used = {*taken, *counts}
    named = []
    for region in regions:
        name = region.name
        if counts[name] > 1 or name in taken:
            name = f"{region.name} #{region.id}"
            while name in used:
                name += f" #{region.id}"
            used.add(name)
        named.append(region if name == region.name else replace(region, name=name))
    return tuple(named)
