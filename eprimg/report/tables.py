"""Rows of the tables: lesions, reference organs, and every measurement of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement, Region, RegionSource
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Tier, TierScheme
from eprimg.quantities import QUANTITIES
from eprimg.report.numbers import NOTHING, format_percent, format_value
from eprimg.report.palette import TierStyle, tier_style

__all__ = [
    "STATISTIC_WORDS",
    "Cell",
    "Column",
    "Footnotes",
    "Row",
    "TierBadge",
    "every_measurement",
    "lesion_columns",
    "organ_columns",
    "table_rows",
    "tier_badge",
]

STATISTIC_WORDS: Final[Mapping[str, str]] = {
    "mean": "mean",
    "mean_partial_volume": "mean, corrected for partial volume",
    "mean_without_blood": "mean without blood",
    "mean_fat_water": "mean, fat and water fitted",
    "median": "median",
    "median_fat_water": "median, fat and water fitted",
    "max": "max",
    "peak": "peak (1 mL sphere)",
    "peak_partial_volume": "peak, corrected for partial volume",
    "sd": "standard deviation",
    "sd_fat_water": "standard deviation, fat and water fitted",
    "registration_error_term": "error from registration",
    "p90_mean": "mean above 90th percentile",
    "volume": "volume",
    "ratio": "ratio",
}
CANDIDATE: Final = "candidate, not reviewed"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers.

    Parameters
    ----------
    title, detail, unit : str
        Head of the column.
    quantity : str
        Key of the quantity.
    statistics : tuple of str
        Statistics to try, in order.
    source : str
        Key of the series or map; empty for any.
    strict : bool
        False lets a number of another source stand in.
    wide : bool
        True for a column that is shown on the lesion's card only.
    """

    title: str
    detail: str
    unit: str
    quantity: str
    statistics: tuple[str, ...]
    source: str = ""
    strict: bool = True
    wide: bool = False

    def find(self, region: Region) -> Measurement | None:
        """Find the column's number.

        Parameters
        ----------
        region : Region
            The row.

        Returns
        -------
        Measurement or None
            The first statistic that is there.
        """
        for source in (self.source,) if self.strict or not self.source else (self.source, ""):
            for statistic in self.statistics:
                found = region.measurement(self.quantity, statistic, source or None)
                if found is not None:
                    return found
        return None


class Footnotes:
    """Numbered remarks below a table; equal texts share one number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the number of a remark, adding it when it is new.

        Parameters
        ----------
        text : str
            The remark.

        Returns
        -------
        int
            From 1.
        """
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


@dataclass(frozen=True, slots=True)
class Cell:
    """A number in a table.

    Parameters
    ----------
    value, uncertainty : str
        Ready to print.
    footnotes : tuple of int
        Numbers of the remarks.
    hint : str
        What the number rests on.
    remarked : bool
        True when the number has a remark of its own in the list of all numbers.
    """

    value: str
    uncertainty: str = ""
    footnotes: tuple[int, ...] = ()
    hint: str = ""
    remarked: bool = False


@dataclass(frozen=True, slots=True)
class TierBadge:
    """A tier, ready to print.

    Parameters
    ----------
    label, confidence, notice, reason, confidence_note, title : str
        Words.
    look : TierStyle
        Colours and symbol.
    most_likely : str
        Shown for an indeterminate tier.
    """

    label: str
    confidence: str
    notice: str
    reason: str
    confidence_note: str
    title: str
    look: TierStyle
    most_likely: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A region in a table.

    Parameters
    ----------
    region : Region
        The region.
    cells : tuple of Cell
        One per column.
    badges : tuple of TierBadge
        One per scheme.
    candidate : bool
        True when nobody has reviewed the region.
    notes : tuple of str
        Remarks.
    """

    region: Region
    cells: tuple[Cell, ...]
    badges: tuple[TierBadge, ...] = ()
    candidate: bool = False
    notes: tuple[str, ...] = field(default=())


_FAT_WATER_COLUMNS = tuple(
    Column(title, f"{when}, {detail}", unit, key, (statistic,), source)
    for when, source in (("before agent", "mr_pre"), ("after agent", "mr_post"))
    for title, detail, unit, key, statistic in (
        ("R2*", "fat-corrected, median", "1/s", "r2star", "median_fat_water"),
        ("Fat fraction", "median", "%", "pdff", "median"),
    )
)
"""Only where `fat_water.fit` was asked for and there were complex echoes."""

_LESION_COLUMNS = (
    Column("Volume", "", "mL", "volume", ("volume", "mean")),
    Column("%ID/kg", "peak", "%ID/kg", "pid_per_kg", ("peak",)),
    Column("SUVbw", "peak", "g/mL", "suvbw", ("peak",)),
    Column("SUVbw", "mean", "g/mL", "suvbw", ("mean",), wide=True),
    Column("SUVbw", "max", "g/mL", "suvbw", ("max",), wide=True),
    Column("R2*", "before agent, median", "1/s", "r2star", ("median",), "mr_pre"),
    Column("R2*", "after agent, median", "1/s", "r2star", ("median",), "mr_post"),
    *_FAT_WATER_COLUMNS,
    Column("ΔR2*", "median", "1/s", "dr2star", ("median",), "mr_post-mr_pre", False),
    Column("ΔR2*", "voxel-wise, median", "1/s", "dr2star", ("median",), "registered", wide=True),
    Column("Iron", "median", "mmol/L", "iron_concentration", ("median",)),
    Column("Iron", "median", "µg/g", "iron_content", ("median",), wide=True),
    Column("rR2*,90", "", "ratio", "rr2star90", ("ratio", "p90_mean", "mean")),
    Column("Lesion / blood", "", "ratio", "lesion_blood_ratio", ("ratio", "mean")),
    Column("Lesion / muscle", "", "ratio", "lesion_muscle_ratio", ("ratio", "mean")),
    Column("Lesion / liver", "", "ratio", "lesion_liver_ratio", ("ratio", "mean"), wide=True),
)
_NO_DENOMINATOR = "not computed: there is no reference region"
"""A ratio that no lesion can have gets no column; measurements.csv keeps the reason."""
_ORGAN_COLUMNS = (
    Column("Volume", "", "mL", "volume", ("volume", "mean")),
    Column("%ID/kg", "mean", "%ID/kg", "pid_per_kg", ("mean",)),
    Column("SUVbw", "mean", "g/mL", "suvbw", ("mean",)),
    Column("R2*", "before agent, median", "1/s", "r2star", ("median",), "mr_pre"),
    Column("R2*", "after agent, median", "1/s", "r2star", ("median",), "mr_post"),
    *_FAT_WATER_COLUMNS,
    Column("ΔR2*", "median", "1/s", "dr2star", ("median",), "mr_post-mr_pre", False),
    Column("Iron", "median", "mmol/L", "iron_concentration", ("median",)),
)


def lesion_columns(regions: Sequence[Region]) -> tuple[Column, ...]:
    """Choose the columns of the lesion table.

    Parameters
    ----------
    regions : sequence of Region
        The rows.

    Returns
    -------
    tuple of Column
        Those that at least one row has.
    """
    found = {c: [m for r in regions if (m := c.find(r)) is not None] for c in _LESION_COLUMNS}
    return tuple(
        c for c, each in found.items() if any(not m.note.startswith(_NO_DENOMINATOR) for m in each)
    )


def organ_columns(regions: Sequence[Region]) -> tuple[Column, ...]:
    """Choose the columns of the reference organ table.

    Parameters
    ----------
    regions : sequence of Region
        The rows.

    Returns
    -------
    tuple of Column
        Those that at least one row has.
    """
    return tuple(c for c in _ORGAN_COLUMNS if any(c.find(r) for r in regions))


def table_rows(
    case: Case, regions: Sequence[Region], columns: Sequence[Column], footnotes: Footnotes
) -> tuple[Row, ...]:
    """Fill a table.

    Parameters
    ----------
    case : Case
        Gives the schemes.
    regions : sequence of Region
        Rows.
    columns : sequence of Column
        Columns.
    footnotes : Footnotes
        Collects what the uncertainties cover and why numbers are missing.

    Returns
    -------
    tuple of Row
        In order of the regions.
    """
    rows = []
    for region in regions:
        badges = tuple(tier_badge(_tier(region, scheme), scheme) for scheme in case.schemes)
        rows.append(
            Row(
                region,
                tuple(_cell(c.find(region), footnotes) for c in columns),
                badges,
                region.source == RegionSource.CANDIDATE,
                region.notes,
            )
        )
    return tuple(rows)


def tier_badge(tier: Tier, scheme: TierScheme | None) -> TierBadge:
    """Make a tier ready to print.

    Parameters
    ----------
    tier : Tier
        The tier (a `PatientTier` has the same fields).
    scheme : TierScheme or None
        Its scheme.

    Returns
    -------
    TierBadge
        With the notice ``example, not validated`` when the scheme is not validated.
    """
    notice = tier.notice
    if not notice and scheme is not None and not scheme.validated:
        notice = "example, not validated"
    confidence = format_percent(tier.confidence)
    return TierBadge(
        tier.label,
        "" if confidence == NOTHING else confidence,
        notice,
        tier.reason,
        tier.confidence_note,
        scheme.title if scheme is not None else tier.scheme,
        tier_style(tier.label, scheme),
        tier.most_likely if tier.label == INDETERMINATE else "",
    )


def every_measurement(region: Region) -> tuple[dict[str, str], ...]:
    """List every number of a region with unit, doubt, voxels and grid.

    Parameters
    ----------
    region : Region
        The region.

    Returns
    -------
    tuple of dict
        Keys ``quantity``, ``statistic``, ``unit``, ``value``, ``voxels``, ``grid``, ``doubt``,
        ``note``.
    """
    rows = []
    for m in region.measurements:
        known = QUANTITIES.get(m.quantity)
        rows.append(
            {
                "quantity": known.name if known else m.quantity,
                "statistic": STATISTIC_WORDS.get(m.statistic, m.statistic.replace("_", " ")),
                "unit": known.unit.text if known else "",
                "value": format_value(m.value, m.uncertainty),
                "voxels": str(m.n_voxels),
                "grid": m.grid,
                "doubt": m.uncertainty_note,
                "note": m.note,
            }
        )
    return tuple(rows)


def _cell(m: Measurement | None, footnotes: Footnotes) -> Cell:
    if m is None:
        return Cell(NOTHING)
    value, _, uncertainty = format_value(m.value, m.uncertainty).partition(" ± ")
    texts = []
    if not np.isfinite(m.value):
        texts.append(m.note or "could not be measured")
    else:
        texts += [m.uncertainty_note] if m.uncertainty_note else []
    numbers = tuple(footnotes.number(t) for t in texts)
    rests_on = f"{m.n_voxels} voxels, {m.grid}" + (f"; {m.note}" if m.note else "")
    return Cell(value, uncertainty, numbers, rests_on, bool(m.note) and np.isfinite(m.value))


def _tier(region: Region, scheme: TierScheme) -> Tier:
    for tier in region.tiers:
        if tier.scheme == scheme.key:
            return tier
    why = "not judged by this scheme"
    if region.source == RegionSource.CANDIDATE:
        why = f"{CANDIDATE}: a tier needs a confirmed region"
    return Tier(scheme.key, NOT_TIERED, float("nan"), "", why)
