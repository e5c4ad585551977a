"""Penetration profiles of a lesion: mean against the distance from its rim, one panel a quantity.

Written as SVG by hand: with matplotlib the three panels of one lesion take as long as its planes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from eprimg.model.lesions import Profile, Region
from eprimg.quantities import QUANTITIES
from eprimg.report.numbers import format_fixed, format_value, round_ticks, tick_decimals
from eprimg.report.picture import Picture
from eprimg.report.svg import AXIS_LINE, GRID_LINE, SMALL_INK, label, short, svg_picture

__all__ = ["MOST_PROFILES", "profile_picture"]

MOST_PROFILES: Final = 24
"""Lesions with profiles; those of all lesions stand in profiles.csv."""

# Okabe and Ito; sessions of one quantity differ in the line too.
_LOOKS: Final = {"r2star": "#D55E00", "dr2star": "#009E73", "suvbw": "#0072B2"}
_OTHER: Final = "#0072B2"
_DASHES: Final = ("", "6 3", "2 2", "8 3 2 3")
_SMALL: Final = f'fill="{SMALL_INK}" font-size="10"'

_WIDTH, _TALL = 262.0, 130.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 10.0, 26.0, 40.0
_INNER = _WIDTH - _LEFT - _RIGHT
_ROW, _PER_ROW = 14.0, 2
_REACH: Final = 1.96
"""Standard errors of a whisker to each side, as in the other charts of the report."""
_HEADROOM: Final = 1.5
"""A whisker may stretch the axis to this multiple of the largest mean; a longer one is cut."""


def profile_picture(region: Region) -> Picture | None:
    """Draw the profiles of a lesion.

    Parameters
    ----------
    region : Region
        A measured lesion.

    Returns
    -------
    Picture or None
        SVG; None when no profile has a number.

    Notes
    -----
    Marks stand in the middle of a bin at the mean; whiskers reach 1.96 standard errors to each
    side, and a hollow mark is one voxel, which has none.  Axes begin at zero (below it for values
    below zero), so that the height of a mark can be compared with that of another.  A bin without a
    value has no mark and ends the line.
    """
    panels: dict[str, list[Profile]] = {}
    for profile in region.profiles:
        if any(math.isfinite(v) for v in profile.mean):
            panels.setdefault(profile.quantity, []).append(profile)
    if not panels:
        return None
    # All panels leave the room that the longest list of sessions takes, so that they are level.
    sessions = max(len(profiles) for profiles in panels.values())
    top = _TOP + (_ROW * math.ceil(sessions / _PER_ROW) if sessions > 1 else 0.0)
    width, height = _WIDTH * len(panels), top + _TALL + _BOTTOM
    drawn = []
    for number, profiles in enumerate(panels.values()):
        drawn.append(f'<g transform="translate({short(_WIDTH * number)} 0)">')
        drawn += _panel(profiles, number, top)
        drawn.append("</g>")
    words = "; ".join(_words(p) for profiles in panels.values() for p in profiles)
    return svg_picture(
        drawn,
        width=width,
        height=height,
        size=11,
        alt=f"Mean against the distance from the rim of {region.name}. {words}.",
    )


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where a panel puts depths and values."""

    top: float
    deepest: float
    ticks: tuple[float, ...]

    @property
    def bottom(self) -> float:
        return self.top + _TALL

    def across(self, depth_mm: float) -> float:
        return _LEFT + _INNER * depth_mm / self.deepest

    def up(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.bottom - _TALL * (value - low) / (high - low)


def _panel(profiles: Sequence[Profile], number: int, top: float) -> Iterator[str]:
    """Draw one quantity in all its sessions."""
    quantity = QUANTITIES[profiles[0].quantity]
    colour = _LOOKS.get(quantity.key, _OTHER)
    plot = _Plot(top, max(p.to_mm[-1] for p in profiles), round_ticks(*_span(profiles), about=4))
    title = f"{quantity.name}, {_source(profiles[0])}" if len(profiles) == 1 else quantity.name
    yield label(_LEFT, 14, title, "start", 'font-weight="bold"')
    yield from _axes(plot, quantity.unit.text)
    clip = f"c{number}"
    yield (
        f'<clipPath id="{clip}"><rect x="{short(_LEFT)}" y="{short(top)}" '
        f'width="{short(_INNER + 6)}" height="{short(_TALL)}"/></clipPath>'
    )
    for place, profile in enumerate(profiles):
        dash = _DASHES[place % len(_DASHES)]
        stroke = f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")
        yield from _curve(plot, profile, colour, stroke, clip)
        if len(profiles) > 1:
            x = _LEFT + (place % _PER_ROW) * _INNER / _PER_ROW
            y = _TOP + _ROW * (place // _PER_ROW)
            yield f'<path d="M{short(x)} {short(y)}h22" stroke-width="1.6" {stroke}/>'
            yield label(x + 26, y + 4, _source(profile), "start", _SMALL)


def _axes(plot: _Plot, unit: str) -> Iterator[str]:
    decimals = tick_decimals(plot.ticks)
    for tick in plot.ticks:
        y, colour = plot.up(tick), AXIS_LINE if tick == 0.0 else GRID_LINE
        yield f'<path d="M{short(_LEFT)} {short(y)}h{short(_INNER)}" stroke="{colour}"/>'
        yield label(_LEFT - 5, y + 4, format_fixed(tick, decimals), "end", _SMALL)
    depths = round_ticks(0.0, plot.deepest, about=5)
    decimals = tick_decimals(depths)
    for tick in depths:
        if tick <= plot.deepest:
            x = plot.across(tick)
            yield f'<path d="M{short(x)} {short(plot.bottom)}v4" stroke="{AXIS_LINE}"/>'
            text = format_fixed(tick, decimals)
            yield label(x, plot.bottom + 16, text, "middle", _SMALL)
    yield (
        f'<path d="M{short(_LEFT)} {short(plot.top)}V{short(plot.bottom)}H{short(_LEFT + _INNER)}" '
        f'fill="none" stroke="{AXIS_LINE}"/>'
    )
    x, y = _LEFT + _INNER / 2, plot.top + _TALL / 2
    yield label(x, plot.bottom + 33, "distance from the rim [mm]", "middle", "")
    yield label(11, y, f"mean [{unit}]", "middle", f'transform="rotate(-90 11 {short(y)})"')


def _curve(plot: _Plot, profile: Profile, colour: str, stroke: str, clip: str) -> Iterator[str]:
    """Join the marks; a bin without a value breaks the line."""
    line, whiskers, marks, joined = "", "", [], False
    for depth, mean, error, n in _steps(profile):
        if not math.isfinite(mean):
            joined = False
            continue
        x, y = short(plot.across(depth)), short(plot.up(mean))
        line += f"{'L' if joined else 'M'}{x} {y}"
        joined = True
        if math.isfinite(error) and error > 0:
            ends = (plot.up(mean - _REACH * error), plot.up(mean + _REACH * error))
            whiskers += f"M{x} {short(ends[0])}V{short(ends[1])}"
        face = colour if n > 1 else "#ffffff"
        marks.append(
            f'<circle cx="{x}" cy="{y}" r="3" fill="{face}" stroke="{colour}" stroke-width="1.2"/>'
        )
    yield f'<path d="{line}" fill="none" stroke-width="1.6" {stroke}/>'
    if whiskers:
        yield f'<path d="{whiskers}" stroke="{colour}" clip-path="url(#{clip})"/>'
    yield from marks


def _steps(profile: Profile) -> Iterator[tuple[float, float, float, int]]:
    """Middle, mean, standard error and number of voxels of every bin."""
    middles = [(a + b) / 2 for a, b in zip(profile.from_mm, profile.to_mm, strict=True)]
    yield from zip(middles, profile.mean, profile.standard_error, profile.n_voxels, strict=True)


def _known(profile: Profile) -> list[tuple[float, float, float]]:
    """Middle, mean and standard error (0 when there is none) of the bins with a value."""
    return [
        (depth, mean, error if math.isfinite(error) else 0.0)
        for depth, mean, error, _ in _steps(profile)
        if math.isfinite(mean)
    ]


def _span(profiles: Sequence[Profile]) -> tuple[float, float]:
    """Find the ends of the axis: zero is on it, and one long whisker does not flatten the rest."""
    steps = [step for profile in profiles for step in _known(profile)]
    means = [mean for _, mean, _ in steps]
    high = min(max(m + _REACH * e for _, m, e in steps), _HEADROOM * max(means))
    low = max(min(m - _REACH * e for _, m, e in steps), _HEADROOM * min(means))
    low, high = (low if min(means) < 0 else 0.0), (high if max(means) > 0 else 0.0)
    return (low, high) if high > low else (0.0, 1.0)


def _source(profile: Profile) -> str:
    if profile.source.startswith("registered"):
        return f"reference grid{profile.source.removeprefix('registered')}"
    return profile.source


def _words(profile: Profile) -> str:
    quantity = QUANTITIES[profile.quantity]
    steps = ", ".join(f"{format_value(m, e)} at {depth:g} mm" for depth, m, e in _known(profile))
    return f"{quantity.name} [{quantity.unit.text}], {_source(profile)}: {steps}"
