"""Tables: one row per region, per number, and per step of a profile."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from eprimg.model.case import Case
from eprimg.model.lesions import Region
from eprimg.model.tiers import NOT_TIERED
from eprimg.quantities import QUANTITIES
from eprimg.resources import load_resource

__all__ = [
    "column_dictionary",
    "lesion_matches_csv",
    "lesions_csv",
    "measurements_csv",
    "profiles_csv",
]

_LEADING = ("region_id", "name", "role", "source", "anatomy")
_FIRST_TIER = ("tier", "tier_confidence", "tier_scheme")
_TRAILING = ("tier_notice", "notes", "not_tiered_because")
_MATCH = (
    "first_series",
    "first_ids",
    "first_names",
    "first_tracking_uids",
    "second_series",
    "second_ids",
    "second_names",
    "second_tracking_uids",
    "kind",
    "by",
    "dice",
    "distance_mm",
)
_PROFILE = (
    "region_id",
    "name",
    "quantity",
    "source",
    "unit",
    "ucum",
    "from_mm",
    "to_mm",
    "mean",
    "standard_error",
    "n_voxels",
    "grid",
    "note",
)
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def _text(value: str) -> str:
    """Quote a cell that a spreadsheet would take for a formula."""
    value = value.replace("\r", " ").replace("\n", " ")
    return f"'{value}" if value.startswith(_RISKY) else value


def _number(value: float | int | None) -> str:
    """Write a number so that nothing is lost; an empty cell means not measured."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _cell(region: Region, column: dict[str, Any]) -> str:
    quantity, statistic, source = column["from"]
    measurement = region.measurement(quantity, statistic, source)
    if measurement is None:
        return ""
    return _number(getattr(measurement, column.get("part", "value")))


def column_dictionary(schemes: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Describe the columns of ``lesions.csv``.

    Parameters
    ----------
    schemes : tuple of str
        Keys of the schemes that were applied.

    Returns
    -------
    list of dict
        ``name``, ``unit`` and ``text`` of every column, in order.
    """
    words = {
        "region_id": "Label value in regions/labels.nii.gz; never renumbered.",
        "name": "Name of the region.",
        "role": "lesion, reference or exclude.",
        "source": "mask, candidate (automatic, not reviewed) or confirmed.",
        "anatomy": "Organ of a reference region.",
        "tier": "Tier by the first scheme of the settings, not tiered included.",
        "tier_confidence": "Probability of that tier; empty when it cannot be stated.",
        "tier_scheme": "Key of that scheme; empty for a region that is no lesion.",
        "tier_notice": "E.g. example, not validated.",
        "notes": "Remarks for the reader.",
        "not_tiered_because": "Why the lesion got no tier, by scheme; empty when it has all tiers.",
    }
    rows = [{"name": n, "unit": "", "text": words[n]} for n in _LEADING]
    rows += [
        {"name": c["name"], "unit": c["unit"], "text": c["text"]}
        for c in load_resource("columns.toml")["columns"]
    ]
    rows += [{"name": n, "unit": "", "text": words[n]} for n in _FIRST_TIER]
    for key in schemes or ("<scheme>",):
        rows.append({"name": f"tier_{key}", "unit": "", "text": f"Tier by scheme {key}."})
        rows.append(
            {
                "name": f"tier_confidence_{key}",
                "unit": "",
                "text": "Probability of that tier; empty when it cannot be stated.",
            }
        )
    rows += [{"name": n, "unit": "", "text": words[n]} for n in _TRAILING]
    return rows


def lesions_csv(case: Case) -> str:
    r"""Write one row per region: lesions first, then the others, each in order of id.

    Parameters
    ----------
    case : Case
        A measured (and, as a rule, stratified) case.

    Returns
    -------
    str
        CSV text (RFC 4180, UTF-8, ``\\n`` line ends). Empty cells were not measured.
    """
    columns = load_resource("columns.toml")["columns"]
    schemes = [s.key for s in case.schemes]
    names = (
        [row["name"] for row in column_dictionary(tuple(schemes))]
        if schemes
        else [row["name"] for row in column_dictionary() if "<scheme>" not in row["name"]]
    )
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(names)
    if case.lesions is None:
        return sink.getvalue()
    for region in (
        *case.lesions.lesions,
        *(r for r in case.lesions.regions if r not in case.lesions.lesions),
    ):
        tiers = {t.scheme: t for t in region.tiers}
        # one scheme for the whole column: tiers of two quantities cannot be compared
        first = tiers.get(schemes[0]) if schemes else None
        row = [
            str(region.id),
            _text(region.name),
            str(region.role),
            str(region.source),
            _text(region.anatomy),
        ]
        row += [_cell(region, column) for column in columns]
        row += [first.label, _number(first.confidence), first.scheme] if first else [""] * 3
        for key in schemes:
            tier = tiers.get(key)
            row += [tier.label if tier else "", _number(tier.confidence) if tier else ""]
        notices = sorted({t.notice for t in region.tiers if t.notice})
        because = [f"{t.scheme}: {t.reason}" for t in region.tiers if t.label == NOT_TIERED]
        row += [_text("; ".join(each)) for each in (notices, region.notes, because)]
        writer.writerow(row)
    return sink.getvalue()


def measurements_csv(case: Case) -> str:
    """Write one row per number, with unit, uncertainty, voxels and grid.

    Parameters
    ----------
    case : Case
        A measured case.

    Returns
    -------
    str
        CSV text.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(
        [
            "region_id",
            "name",
            "role",
            "quantity",
            "statistic",
            "source",
            "value",
            "unit",
            "ucum",
            "uncertainty",
            "uncertainty_note",
            "n_voxels",
            "grid",
            "note",
        ]
    )
    for region in case.lesions.regions if case.lesions else ():
        for m in region.measurements:
            unit = QUANTITIES[m.quantity].unit
            writer.writerow(
                [
                    region.id,
                    _text(region.name),
                    region.role,
                    m.quantity,
                    m.statistic,
                    m.source,
                    _number(m.value),
                    unit.text,
                    unit.ucum,
                    _number(m.uncertainty),
                    _text(m.uncertainty_note),
                    m.n_voxels,
                    _text(m.grid),
                    _text(m.note),
                ]
            )
    return sink.getvalue()


def profiles_csv(case: Case) -> str:
    """Write one row per step of the profiles from the rim of a lesion inwards.

    Parameters
    ----------
    case : Case
        A measured case.

    Returns
    -------
    str
        CSV text.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_PROFILE)
    for region in case.lesions.regions if case.lesions else ():
        for p in region.profiles:
            unit = QUANTITIES[p.quantity].unit
            for step in zip(p.from_mm, p.to_mm, p.mean, p.standard_error, p.n_voxels, strict=True):
                writer.writerow(
                    [
                        region.id,
                        _text(region.name),
                        p.quantity,
                        p.source,
                        unit.text,
                        unit.ucum,
                        *(_number(value) for value in step),
                        _text(p.grid),
                        _text(p.note),
                    ]
                )
    return sink.getvalue()


def lesion_matches_csv(case: Case) -> str:
    """Write one row per match of lesions that were drawn on two series.

    Parameters
    ----------
    case : Case
        A segmented case.

    Returns
    -------
    str
        CSV text; several lesions of one side are separated by spaces (ids, identifiers) or
        semicolons (names).
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_MATCH)
    known = {r.id: r for r in case.lesions.regions} if case.lesions else {}
    for match in case.lesion_matches:
        row: list[str] = []
        for series, ids in (
            (match.first_series, match.first),
            (match.second_series, match.second),
        ):
            regions = [known[i] for i in ids if i in known]
            row += [
                _text(series),
                " ".join(str(i) for i in ids),
                _text("; ".join(r.name for r in regions)),
                _text(" ".join(r.tracking_uid for r in regions)),
            ]
        row += [match.kind, match.by, _number(match.dice), _number(match.distance_mm)]
        writer.writerow(row)
    return sink.getvalue()
