"""Uptake bars: lesions against the bands of their tier scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement, Region, RegionSource
from eprimg.model.tiers import JUDGED_SOURCES, NOT_TIERED, TierScheme
from eprimg.quantities import QUANTITIES
from eprimg.report.drawing import drawable, halo, new_figure, style
from eprimg.report.numbers import format_value
from eprimg.report.palette import TierStyle, tier_style
from eprimg.report.picture import Picture, to_svg
from eprimg.report.tables import STATISTIC_WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["UptakePanel", "uptake_panels", "uptake_picture"]


@dataclass(frozen=True, slots=True)
class UptakePanel:
    """One panel of the chart.

    Parameters
    ----------
    title, unit : str
        What the bars show.
    scheme : TierScheme or None
        Scheme that judges this measurement.
    rows : tuple of (Region, Measurement or None)
        Lesions in order.
    """

    title: str
    unit: str
    scheme: TierScheme | None
    rows: tuple[tuple[Region, Measurement | None], ...]


def uptake_panels(case: Case) -> tuple[UptakePanel, ...]:
    """Choose the panels: %ID/kg peak and median ΔR2*, as far as they were measured.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of UptakePanel
        Empty without lesions or measurements.
    """
    if case.lesions is None:
        return ()
    wanted: list[tuple[str, str, TierScheme | None]] = []
    for scheme in case.schemes:
        if (scheme.quantity, scheme.statistic) not in [w[:2] for w in wanted]:
            wanted.append((scheme.quantity, scheme.statistic, scheme))
    for quantity, statistic in (("pid_per_kg", "peak"), ("dr2star", "median")):
        if quantity not in [w[0] for w in wanted]:
            wanted.append((quantity, statistic, None))
    panels = []
    for quantity, statistic, judge in wanted:
        source = JUDGED_SOURCES.get(quantity)
        rows = tuple(
            (r, r.measurement(quantity, statistic, source) or r.measurement(quantity, statistic))
            for r in case.lesions.lesions
        )
        if any(m is not None and np.isfinite(m.value) for _, m in rows):
            known = QUANTITIES[quantity]
            unit = known.unit.text
            name = f"{known.name}, {STATISTIC_WORDS.get(statistic, statistic)}"
            panels.append(UptakePanel(name, unit, judge, rows))
    return tuple(panels)


def uptake_picture(panels: Sequence[UptakePanel]) -> Picture | None:
    """Draw the panels side by side.

    Parameters
    ----------
    panels : sequence of UptakePanel
        From `uptake_panels`.

    Returns
    -------
    Picture or None
        SVG; None without a panel.
    """
    if not panels:
        return None
    n = len(panels[0].rows)
    with style():
        height = 0.74 + 0.36 * max(n, 2)
        width = 10.4 if len(panels) > 1 else 7.0
        figure = new_figure(width, height)
        share = (width - 1.35 - 0.3 * (len(panels) - 1)) / len(panels)
        words = []
        for number, panel in enumerate(panels):
            x = 1.2 + number * (share + 0.3)
            axes = figure.add_axes(
                (x / width, 0.48 / height, share / width, (height - 0.74) / height)
            )
            _draw(axes, panel, names=number == 0)
            words.append(
                f"{panel.title}: "
                + ", ".join(
                    f"{drawable(r.name, 60)} {format_value(m.value, m.uncertainty) if m else '–'} "
                    f"{panel.unit} ({_word(r, panel.scheme)})"
                    for r, m in panel.rows
                )
            )
        return to_svg(figure, "Uptake of the lesions with tier bands. " + "; ".join(words) + ".")


def _draw(axes: Axes, panel: UptakePanel, *, names: bool) -> None:
    numbers = [m for _, m in panel.rows if m is not None and np.isfinite(m.value)]
    ends = [m.value + (1.96 * m.uncertainty if np.isfinite(m.uncertainty) else 0) for m in numbers]
    edges = panel.scheme.edges if panel.scheme is not None else ()
    high = 1.14 * max([*ends, *(1.3 * e for e in edges[-1:]), 1e-9])
    low = min(
        0.0,
        1.2
        * min(
            m.value - (1.96 * m.uncertainty if np.isfinite(m.uncertainty) else 0) for m in numbers
        ),
    )
    axes.set_xlim(low, high)
    axes.set_ylim(len(panel.rows) - 0.45, -0.55)
    _bands(axes, panel.scheme, low, high)
    for row, (region, m) in enumerate(panel.rows):
        look = _look(region, panel.scheme)
        if m is None or not np.isfinite(m.value):
            axes.text(0, row, "  not measured", va="center", size=8, color="#5a636c")
            continue
        axes.barh(
            row,
            m.value,
            height=0.56,
            color=look.fill,
            zorder=2,
            linewidth=0.9,
            edgecolor="#30363c",
            hatch="////" if look.hatched else None,
        )
        end = m.value
        if np.isfinite(m.uncertainty):
            reach = 1.96 * m.uncertainty
            axes.errorbar(
                m.value,
                row,
                xerr=reach,
                fmt="none",
                ecolor="#111",
                elinewidth=1.1,
                capsize=3,
                zorder=3,
            )
            end += reach
        axes.text(
            max(end, 0) + 0.012 * (high - low),
            row,
            f"{format_value(m.value)}  {look.symbol}",
            va="center",
            size=8,
            zorder=4,
            path_effects=halo(2.2, "white"),
        )
    axes.axvline(0, color="#8a939c", linewidth=0.7, zorder=2)
    axes.set_yticks(
        range(len(panel.rows)),
        [drawable(r.name, 17) for r, _ in panel.rows] if names else [""] * len(panel.rows),
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{panel.title} [{panel.unit}]")


def _bands(axes: Axes, scheme: TierScheme | None, low: float, high: float) -> None:
    """Shade the tiers behind the bars and name them above."""
    if scheme is None or not scheme.edges:
        axes.grid(True, axis="x")
        return
    limits = [low, *scheme.edges, max(high, scheme.edges[-1])]
    for label, start, end in zip(scheme.labels, limits, limits[1:], strict=False):
        look = tier_style(label, scheme)
        axes.axvspan(start, end, color=look.fill, alpha=0.16, linewidth=0, zorder=0)
        room_in = (end - start) / (high - low) * axes.bbox.width / axes.figure.dpi
        narrow = room_in < 0.22 + 0.075 * len(label)
        axes.text(
            (start + end) / 2,
            1.015,
            look.symbol if narrow else f"{look.symbol} {label}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            size=8,
            weight="bold",
        )
    for edge in scheme.edges:
        axes.axvline(edge, color="#30363c", linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)


def _word(region: Region, scheme: TierScheme | None) -> str:
    if region.source == RegionSource.CANDIDATE:
        return "candidate, not reviewed"
    tier = next((t for t in region.tiers if scheme is not None and t.scheme == scheme.key), None)
    return tier.label if tier is not None else NOT_TIERED


def _look(region: Region, scheme: TierScheme | None) -> TierStyle:
    return tier_style(_word(region, scheme), scheme)
