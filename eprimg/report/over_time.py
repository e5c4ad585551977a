"""Lesions over several sessions: a table, and the curves of uptake and of the change of R2*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement, Region
from eprimg.model.study import Role, Series
from eprimg.quantities import QUANTITIES
from eprimg.report.drawing import drawable, new_figure, style
from eprimg.report.numbers import NOTHING, format_fixed, format_value
from eprimg.report.picture import Picture, to_svg

__all__ = ["OverTime", "over_time", "over_time_picture"]

_CYCLE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
_DERIVED: Final = {
    Role.PET: (
        ("uptake_retention", "ratio"),
        ("uptake_auc", "area"),
        ("permeability_index", "slope"),
        ("patlak_ki", "slope"),
    ),
    Role.MR_POST: (
        ("dr2star_retention", "ratio"),
        ("dr2star_permeability", "rate"),
    ),
}


@dataclass(frozen=True, slots=True)
class OverTime:
    """One quantity of the regions in several sessions.

    Parameters
    ----------
    title, unit : str
        What is shown.
    since : str
        What the hours are counted from.
    hours : tuple of float
        Of the sessions, rising.
    keys : tuple of str
        Their series.
    rows : tuple of (Region, tuple of Measurement or None)
        Regions with a number per session; lesions first.
    derived : tuple of (str, str, tuple of str)
        Name, unit and one cell per row of what was formed from several sessions.
    """

    title: str
    unit: str
    since: str
    hours: tuple[float, ...]
    keys: tuple[str, ...]
    rows: tuple[tuple[Region, tuple[Measurement | None, ...]], ...]
    derived: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of the columns: hours and series."""
        return tuple(
            f"{format_fixed(h, 1)} h ({k})" for h, k in zip(self.hours, self.keys, strict=True)
        )

    @property
    def cells(self) -> tuple[tuple[Region, tuple[str, ...]], ...]:
        """Rows in words."""
        shown = []
        for row, (region, numbers) in enumerate(self.rows):
            words = [_cell(m) for m in numbers]
            shown.append((region, (*words, *(cells[row] for _, _, cells in self.derived))))
        return tuple(shown)


def over_time(case: Case) -> tuple[OverTime, ...]:
    """Collect what was measured in more than one session.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of OverTime
        PET first; empty with one session of each kind.
    """
    if case.lesions is None:
        return ()
    regions = (*case.lesions.lesions, *case.lesions.references)
    found = []
    for role, quantities in ((Role.PET, ("pid_per_kg", "suvbw")), (Role.MR_POST, ("dr2star",))):
        sessions, since = _sessions(case, role)
        ending = "-mr_pre" if role == Role.MR_POST else ""
        for quantity in quantities:
            rows = [
                (r, tuple(r.measurement(quantity, "mean", f"{s.key}{ending}") for _, s in sessions))
                for r in regions
            ]
            kept = tuple((r, each) for r, each in rows if sum(_known(m) for m in each) > 1)
            if len(sessions) > 1 and kept:
                known = QUANTITIES[quantity]
                hours, keys = tuple(h for h, _ in sessions), tuple(s.key for _, s in sessions)
                derived = _derived(role, [r for r, _ in kept])
                title = f"{known.name}, mean"
                found.append(OverTime(title, known.unit.text, since, hours, keys, kept, derived))
                break
    return tuple(found)


def over_time_picture(shown: Sequence[OverTime]) -> Picture | None:
    """Draw the curves of the lesions, one panel per quantity.

    Parameters
    ----------
    shown : sequence of OverTime
        From `over_time`.

    Returns
    -------
    Picture or None
        SVG; None when there is nothing to draw.
    """
    if not shown:
        return None
    with style():
        width, height = 5.2 * len(shown), 3.0
        figure = new_figure(width, height)
        words = []
        for number, each in enumerate(shown):
            left = (0.65 + 5.2 * number) / width
            axes = figure.add_axes((left, 0.48 / height, 3.2 / width, (height - 0.7) / height))
            for place, (region, numbers) in enumerate(each.rows):
                there = [(h, m) for h, m in zip(each.hours, numbers, strict=True) if _known(m)]
                hours = [h for h, _ in there]
                values = [m.value for _, m in there if m is not None]
                reach = [
                    1.96 * m.uncertainty if np.isfinite(m.uncertainty) else 0.0
                    for _, m in there
                    if m is not None
                ]
                axes.errorbar(
                    hours,
                    values,
                    yerr=reach,
                    color=_CYCLE[place % len(_CYCLE)],
                    marker=_MARKS[place % len(_MARKS)],
                    markersize=4,
                    linewidth=1.2,
                    capsize=2,
                    linestyle="--" if region.anatomy else "-",
                    label=drawable(region.name, 20),
                )
                curve = ", ".join(
                    f"{format_value(v)} at {h:.1f} h" for h, v in zip(hours, values, strict=True)
                )
                words.append(f"{drawable(region.name, 60)} {curve} ({each.title}, {each.unit})")
            axes.set_xlabel(f"hours after {each.since}")
            axes.set_ylabel(f"{each.title} [{each.unit}]")
            axes.grid(True)
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=7.5)
        return to_svg(figure, "Lesions over time. " + "; ".join(words) + ".")


def _sessions(case: Case, role: Role) -> tuple[list[tuple[float, Series]], str]:
    """Sessions with their hours, in order, and what these are counted from."""
    series = case.study.find_all(role)
    timed = [(case.study.hours_after_dose(s), s) for s in series]
    since = "the injection" if role == Role.PET else "the agent"
    if role == Role.MR_POST and any(h is None for h, _ in timed):
        dates = [case.study.instant_of(s.key) for s in series]
        known = [d for d in dates if d is not None]
        if len(known) < len(dates) or len({d.tzinfo is None for d in known}) > 1:
            return [], since
        first = min(known) if known else None
        timed = [
            ((d - first).total_seconds() / 3600.0 if first is not None else None, s)
            for d, s in zip(known, series, strict=True)
        ]
        since = "the first session"
    return sorted(((h, s) for h, s in timed if h is not None), key=lambda each: each[0]), since


def _derived(role: Role, regions: Sequence[Region]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Numbers over several sessions; of several retentions the one that ends last."""
    columns = []
    for quantity, statistic in _DERIVED[role]:
        cells = []
        for region in regions:
            rows = [m for m in region.measurements if m.quantity == quantity]
            cells.append(_cell(_latest([m for m in rows if m.statistic == statistic])))
        if any(c != NOTHING for c in cells):
            known = QUANTITIES[quantity]
            columns.append((known.name, known.unit.text, tuple(cells)))
    return tuple(columns)


def _latest(rows: Sequence[Measurement]) -> Measurement | None:
    # They are measured in order of time.
    finite = [m for m in rows if np.isfinite(m.value)]
    return finite[-1] if finite else None


def _known(m: Measurement | None) -> bool:
    return m is not None and bool(np.isfinite(m.value))


def _cell(m: Measurement | None) -> str:
    return NOTHING if m is None else format_value(m.value, m.uncertainty)
