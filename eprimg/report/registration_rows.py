"""The figures of a registration that a reader sees first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from eprimg.report.numbers import format_fixed

__all__ = ["HEADLINE", "apart", "headline"]

HEADLINE: Final = (
    "Moved [mm]",
    "Turned [°]",
    "NMI before → after",
    "Local NCC² before → after",
    "Overlap [%]",
    "Best place nearby [mm]",
    "There and back [mm]",
    "Two estimates differ by [mm]",
)
"""Columns of the table of registrations."""


def headline(qc: Mapping[str, float]) -> tuple[str, ...]:
    """Write the figures of the columns of `HEADLINE`.

    Parameters
    ----------
    qc : Mapping
        Figures of a registration.

    Returns
    -------
    tuple of str
        A dash for what is not known.
    """

    def text(name: str, digits: int, factor: float = 1.0) -> str:
        value = factor * float(qc.get(name, math.nan))
        return format_fixed(value, digits) if math.isfinite(value) else "–"

    return (
        text("moved_center_mm", 1),
        text("rotated_deg", 1),
        f"{text('nmi_before', 3)} → {text('nmi_after', 3)}",
        f"{text('ncc_before', 2)} → {text('ncc_after', 2)}",
        text("overlap_fraction", 0, 100.0),
        text("nearby_mm", 1),
        text("inverse_mm", 1),
        text("consistency_mm", 1),
    )


def apart(distances_mm: Mapping[int, float], region: int, moving: str = "pet") -> str:
    """Say how far the uptake of a lesion lies from its outline.

    Parameters
    ----------
    distances_mm : Mapping of int to float
        Distance by region id, as in `Case.uptake_apart_mm`.
    region : int
        Id of the lesion.
    moving : str
        Key of the series that is shown; only PET has uptake.

    Returns
    -------
    str
        Empty when it was not measured.
    """
    value = float(distances_mm.get(region, math.nan))
    if moving != "pet" or not math.isfinite(value):
        return ""
    return f"uptake {format_fixed(value, 1)} mm from the outline's centre"
