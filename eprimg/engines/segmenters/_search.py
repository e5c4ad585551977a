"""The threshold by which candidates are searched: its mask, its value, its words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.kernels.thresholds import fixed_threshold_mask, percent_of_max_mask
from eprimg.model.maps import QuantityMap

__all__ = ["Search", "fixed_search", "percent_search"]


class Search(NamedTuple):
    """A search threshold.

    Attributes
    ----------
    threshold : float
        In the unit of the map.
    by : str
        The rule that gave it, in words.
    short : str
        What stands behind ``>=`` in one line about the search.
    """

    threshold: float
    by: str
    short: str

    def rule(self, unit: str) -> str:
        """Name the rule in one line."""
        return f"{unit} >= {self.short}"

    def facts(self) -> dict[str, Any]:
        """Write it down for the settings of a set of regions."""
        return {"threshold": self.threshold, "by": self.by}


def fixed_search(
    values: QuantityMap, threshold: float, by: str = "a fixed level of the settings"
) -> tuple[npt.NDArray[np.bool_], Search]:
    """Search from a level on."""
    mask = fixed_threshold_mask(values.values, threshold=threshold, valid=values.valid)
    return mask, Search(float(threshold), by, f"{threshold:.4g}")


def percent_search(values: QuantityMap, percent: float) -> tuple[npt.NDArray[np.bool_], Search]:
    """Search from a percentage of the whole map's maximum on."""
    mask = percent_of_max_mask(values.values, percent=percent, valid=values.valid)
    usable = values.valid & np.isfinite(values.values)
    maximum = float(np.max(values.values, where=usable, initial=-np.inf))
    short = f"{percent:g} % of the maximum"
    return mask, Search(percent / 100.0 * maximum, f"{short} of the whole series", short)
