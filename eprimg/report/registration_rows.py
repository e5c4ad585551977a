"""The figures of a registration that a reader sees first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from eprimg.model.transform import Registration
from eprimg.report.numbers import format_fixed

__all__ = ["BENDING", "HEADLINE", "apart", "bending_row", "headline"]

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

BENDING: Final = (
    "Bent by up to [mm]",
    "Smallest Jacobian J",
    "Folding [%]",
    "SD of log J",
    "There and back, mean [mm]",
    "There and back, 95th percentile [mm]",
)
"""Columns of the table of bent transforms."""


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
        return _text(qc, name, digits, factor)

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


def bending_row(registration: Registration) -> tuple[str, ...]:
    """Write the figures of the columns of `BENDING`.

    Parameters
    ----------
    registration : Registration
        A registration.

    Returns
    -------
    tuple of str
        Empty for a transform that does not bend: figures of a bending that was tried and refused
        are not its own.  A dash for what is not known, as of a transform that was handed in.

    Notes
    -----
    Folding that is less than the last digit is not written as none.
    """
    if registration.transform.displacement is None:
        return ()
    qc = registration.qc
    folding = _text(qc, "folding_percent", 3)
    if folding == "0.000":
        folding = "< 0.001" if float(qc["folding_percent"]) > 0 else "0"
    return (
        _text(qc, "bent_largest_mm", 1),
        _text(qc, "jacobian_min", 3),
        folding,
        _text(qc, "jacobian_sd_log", 3),
        _text(qc, "inverse_mean_mm", 2),
        _text(qc, "inverse_p95_mm", 2),
    )


def _text(qc: Mapping[str, float], name: str, digits: int, factor: float = 1.0) -> str:
    value = factor * float(qc.get(name, math.nan))
    return "∞" if value == math.inf else format_fixed(value, digits)


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
