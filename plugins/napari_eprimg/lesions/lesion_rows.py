"""Rows of the lesion table: the cells of ``lesions.csv``, with what a reader wants beside them.

The table on the screen and the file are the same text (`LesionTable.text`).  What a cell *shows*
(sensible digits, uncertainty, unit, the reason for a missing number) is made from the same case.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from eprimg.io.write_tables import column_dictionary, lesions_csv
from eprimg.model.case import Case
from eprimg.model.lesions import Measurement, Region, RegionRole
from eprimg.quantities import QUANTITIES
from eprimg.report.numbers import NOTHING, format_value
from eprimg.resources import load_resource
from napari_eprimg.lesions.tier_view import TierView, scheme_by_key, tier_view

__all__ = ["Column", "LesionRow", "LesionTable", "lesion_table"]

_FIRST_NUMBERS: Final = (
    "volume_ml",
    "dr2star_median_per_s",
    "pid_per_kg_peak",
    "suvbw_max",
)
"""Numbers that are shown before anything is chosen, as far as one region has them."""

_SOURCES: Final = {
    "mr_pre": "before agent",
    "mr_post": "after agent",
    "registered": "voxel-wise",
}
_STATISTICS: Final = {"p90_mean": "mean above P90", "ratio": "", "volume": ""}
_PLAIN: Final = {
    "region_id": "id",
    "tier_confidence": "confidence",
    "tier_scheme": "scheme",
    "tier_notice": "notice",
}
_ORDER: Final = {RegionRole.LESION: 0, RegionRole.REFERENCE: 1, RegionRole.EXCLUDE: 2}
_NOT_MEASURED: Final = "not measured: the study has no such map, or the series is not aligned"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Parameters
    ----------
    name : str
        Name in ``lesions.csv``.
    title : str
        What stands above it, with the unit.
    text : str
        What it holds, for the tooltip.
    kind : str
        ``number``, ``tier`` or ``text``.
    first : bool
        Shown before the reader chooses.
    scheme : str
        Key of the scheme of a tier column.
    """

    name: str
    title: str
    text: str
    kind: str
    first: bool
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class LesionRow:
    """One region.

    Parameters
    ----------
    region_id : int
        Label value.
    rank : int
        0 for lesions, 1 for reference regions, 2 for excluded ones.
    cells : tuple of str
        Text of ``lesions.csv``, one per column.
    numbers : tuple of float
        Value of every cell; NaN for a text and for what was not measured.
    shown : tuple of str
        What the cell shows.
    tips : tuple of str
        What the cell says on a closer look.
    tiers : tuple of TierView or None
        Look of the tier columns; None for the others.
    """

    region_id: int
    rank: int
    cells: tuple[str, ...]
    numbers: tuple[float, ...]
    shown: tuple[str, ...]
    tips: tuple[str, ...]
    tiers: tuple[TierView | None, ...]


@dataclass(frozen=True, slots=True)
class LesionTable:
    """All rows and columns.

    Parameters
    ----------
    columns : tuple of Column
        In the order of ``lesions.csv``.
    rows : tuple of LesionRow
        In the order of ``lesions.csv``: lesions, then the others, each by id.
    """

    columns: tuple[Column, ...]
    rows: tuple[LesionRow, ...]

    @property
    def text(self) -> str:
        """The table as ``lesions.csv``."""
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow([c.name for c in self.columns])
        writer.writerows(r.cells for r in self.rows)
        return sink.getvalue()

    def column(self, name: str) -> int:
        """Return the place of a column.

        Parameters
        ----------
        name : str
            Name in ``lesions.csv``.

        Returns
        -------
        int
            Index into ``columns``.

        Raises
        ------
        KeyError
            When there is no such column.
        """
        for place, column in enumerate(self.columns):
            if column.name == name:
                return place
        raise KeyError(name)


@lru_cache(maxsize=1)
def _measured() -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in load_resource("columns.toml")["columns"]}


def _title(name: str, unit: str, schemes: dict[str, str]) -> str:
    made = _measured().get(name)
    if made is None:
        for prefix, words in (("tier_confidence_", "confidence by"), ("tier_", "tier by")):
            key = name.removeprefix(prefix)
            if name != key and key in schemes:
                return f"{words} {schemes[key]}"
        return _PLAIN.get(name, name.replace("_", " "))
    quantity, statistic, source = made["from"]
    words = [QUANTITIES[quantity].name, _STATISTICS.get(statistic, statistic)]
    words.append(_SOURCES.get(source, ""))
    said = " ".join(w for w in words if w)
    part = made.get("part", "value")
    if part == "n_voxels":
        return f"voxels {_SOURCES.get(source, 'of ' + source.upper())}"
    said = f"± {said}" if part == "uncertainty" else said
    return said if unit in ("ratio", "") else f"{said} [{unit}]"


def _columns(case: Case, names: list[str], wanted: frozenset[str]) -> tuple[Column, ...]:
    short = {s.key: QUANTITIES[s.quantity].name for s in case.schemes}
    for scheme in case.schemes:  # two schemes of one quantity need more words
        if list(short.values()).count(short[scheme.key]) > 1:
            short[scheme.key] = scheme.key
    described = {d["name"]: d for d in column_dictionary(tuple(short))}
    columns = []
    for name in names:
        about = described[name]
        key = name.removeprefix("tier_")
        is_tier = name.startswith("tier_") and key in short
        numeric = name in _measured() or name.startswith("tier_confidence")
        columns.append(
            Column(
                name,
                _title(name, about["unit"], short),
                about["text"],
                "tier" if is_tier else "number" if numeric or name == "region_id" else "text",
                name in ("region_id", "name") or is_tier or name in wanted,
                key if is_tier else "",
            )
        )
    return tuple(columns)


def lesion_table(case: Case | None) -> LesionTable:
    """Make the rows of a case.

    Parameters
    ----------
    case : Case or None
        A measured case.

    Returns
    -------
    LesionTable
        Empty without a case.
    """
    if case is None:
        return LesionTable((), ())
    names, *lines = list(csv.reader(io.StringIO(lesions_csv(case))))
    held = {n for n in _FIRST_NUMBERS if any(line[names.index(n)] for line in lines)}
    columns = _columns(case, names, frozenset(held or {"volume_ml"}))
    regions = {r.id: r for r in case.lesions.regions} if case.lesions is not None else {}
    return LesionTable(
        columns, tuple(_row(case, regions[int(line[0])], columns, line) for line in lines)
    )


def _row(case: Case, region: Region, columns: tuple[Column, ...], cells: list[str]) -> LesionRow:
    numbers, shown, tips, tiers = [], [], [], []
    for column, cell in zip(columns, cells, strict=True):
        view = None
        number = float(cell) if column.kind == "number" and cell else math.nan
        words, tip = cell, f"{column.text}\n{cell}" if cell else column.text
        if column.kind == "tier":
            view = tier_view(region, scheme_by_key(case, column.scheme))
            words, tip = view.text, "\n".join(w for w in (view.why, view.notice) if w)
        elif column.name in _measured():
            words, tip = _measurement_words(region, column)
        elif column.name.startswith("tier_confidence"):
            words = format_value(number)
            tip = _confidence_words(region, column.name) or column.text
        numbers.append(number)
        shown.append(words)
        tips.append(tip)
        tiers.append(view)
    return LesionRow(
        region.id,
        _ORDER[region.role],
        tuple(cells),
        tuple(numbers),
        tuple(shown),
        tuple(tips),
        tuple(tiers),
    )


def _confidence_words(region: Region, name: str) -> str:
    key = name.removeprefix("tier_confidence").lstrip("_")
    found = [t for t in region.tiers if not key or t.scheme == key]
    return found[0].confidence_note if found else ""


def _measurement_words(region: Region, column: Column) -> tuple[str, str]:
    """Say what a number cell shows, and what it says on a closer look."""
    made = _measured()[column.name]
    quantity, statistic, source = made["from"]
    found = region.measurement(quantity, statistic, source)
    if found is None:
        if region.role == RegionRole.EXCLUDE:
            return NOTHING, "an excluded region is not measured"
        return NOTHING, _NOT_MEASURED
    part = made.get("part", "value")
    value = getattr(found, part)
    tip = [column.text, *_closer(found)]
    if isinstance(value, int):
        return str(value), "\n".join(tip)
    if not math.isfinite(value):
        why = found.note or found.uncertainty_note or _NOT_MEASURED
        return NOTHING, why if part == "value" else found.uncertainty_note or why
    error = found.uncertainty if part == "value" else math.nan
    return format_value(value, error), "\n".join(tip)


def _closer(found: Measurement) -> list[str]:
    unit = QUANTITIES[found.quantity].unit.text
    said = [f"{found.value:.9g} {unit}" if math.isfinite(found.value) else "no value"]
    if math.isfinite(found.uncertainty):
        said[0] += f" ± {found.uncertainty:.3g} {unit}"
    if found.uncertainty_note:
        said.append(f"uncertainty: {found.uncertainty_note}")
    said.append(f"{found.n_voxels} voxels, {found.grid}")
    if found.note:
        said.append(found.note)
    return said
