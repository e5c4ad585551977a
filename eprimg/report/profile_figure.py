"""Penetration profiles of a lesion: mean against the distance from its rim, one panel a quantity.

Written as SVG by hand: with matplotlib the three panels of one lesion take as long as its planes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from eprimg.model.lesions import Profile, Region
from eprimg.quantities import QUANTITIES
from eprimg.report.drawing import INK
from eprimg.report.numbers import format_fixed, format_value
from eprimg.report.picture import Picture

__all__ = ["MOST_PROFILES", "profile_picture"]

MOST_PROFILES: Final = 24
"""Lesions with profiles; those of all lesions stand in profiles.csv."""

# Okabe and Ito; sessions of one quantity differ in the line too.
_LOOKS: Final = {"r2star": "#D55E00", "dr2star": "#009E73", "suvbw": "#0072B2"}
_OTHER: Final = "#0072B2"
_DASHES: Final = ("", "6 3", "2 2", "8 3 2 3")
_LINE, _AXIS = "#dfe3e7", "#8a939c"
_SMALL: Final = 'fill="#4a545e" font-size="10"'

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
        drawn.append(f'<g transform="translate({_n(_WIDTH * number)} 0)">')
        drawn += _panel(profiles, number, top)
        drawn.append("</g>")
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" font-family="DejaVu Sans, Helvetica, Arial, '
        f'sans-serif" font-size="11" fill="{INK}">' + "".join(drawn) + "</svg>"
    )
    coded = base64.b64encode(text.encode()).decode("ascii")
    words = "; ".join(_words(p) for profiles in panels.values() for p in profiles)
    return Picture(
        f"data:image/svg+xml;base64,{coded}",
        f"Mean against the distance from the rim of {region.name}. {words}.",
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
    plot = _Plot(top, max(p.to_mm[-1] for p in profiles), _ticks(*_span(profiles), about=4))
    title = f"{quantity.name}, {_source(profiles[0])}" if len(profiles) == 1 else quantity.name
    yield _label(_LEFT, 14, title, "start", 'font-weight="bold"')
    yield from _axes(plot, quantity.unit.text)
    clip = f"c{number}"
    yield (
        f'<clipPath id="{clip}"><rect x="{_n(_LEFT)}" y="{_n(top)}" width="{_n(_INNER + 6)}" '
        f'height="{_n(_TALL)}"/></clipPath>'
    )
    for place, profile in enumerate(profiles):
        dash = _DASHES[place % len(_DASHES)]
        stroke = f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")
        yield from _curve(plot, profile, colour, stroke, clip)
        if len(profiles) > 1:
            x = _LEFT + (place % _PER_ROW) * _INNER / _PER_ROW
            y = _TOP + _ROW * (place // _PER_ROW)
            yield f'<path d="M{_n(x)} {_n(y)}h22" stroke-width="1.6" {stroke}/>'
            yield _label(x + 26, y + 4, _source(profile), "start", _SMALL)


def _axes(plot: _Plot, unit: str) -> Iterator[str]:
    decimals = _decimals(plot.ticks)
    for tick in plot.ticks:
        y, colour = plot.up(tick), _AXIS if tick == 0.0 else _LINE
        yield f'<path d="M{_n(_LEFT)} {_n(y)}h{_n(_INNER)}" stroke="{colour}"/>'
        yield _label(_LEFT - 5, y + 4, format_fixed(tick, decimals), "end", _SMALL)
    depths = _ticks(0.0, plot.deepest, about=5)
    decimals = _decimals(depths)
    for tick in depths:
        if tick <= plot.deepest:
            x = plot.across(tick)
            yield f'<path d="M{_n(x)} {_n(plot.bottom)}v4" stroke="{_AXIS}"/>'
            text = format_fixed(tick, decimals)
            yield _label(x, plot.bottom + 16, text, "middle", _SMALL)
    yield (
        f'<path d="M{_n(_LEFT)} {_n(plot.top)}V{_n(plot.bottom)}H{_n(_LEFT + _INNER)}" '
        f'fill="none" stroke="{_AXIS}"/>'
    )
    x, y = _LEFT + _INNER / 2, plot.top + _TALL / 2
    yield _label(x, plot.bottom + 33, "distance from the rim [mm]", "middle", "")
    yield _label(11, y, f"mean [{unit}]", "middle", f'transform="rotate(-90 11 {_n(y)})"')


def _curve(plot: _Plot, profile: Profile, colour: str, stroke: str, clip: str) -> Iterator[str]:
    """Join the marks; a bin without a value breaks the line."""
    line, whiskers, marks, joined = "", "", [], False
    for depth, mean, error, n in _steps(profile):
        if not math.isfinite(mean):
            joined = False
            continue
        x, y = _n(plot.across(depth)), _n(plot.up(mean))
        line += f"{'L' if joined else 'M'}{x} {y}"
        joined = True
        if math.isfinite(error) and error > 0:
            ends = (plot.up(mean - _REACH * error), plot.up(mean + _REACH * error))
            whiskers += f"M{x} {_n(ends[0])}V{_n(ends[1])}"
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


def _ticks(low: float, high: float, *, about: int) -> tuple[float, ...]:
    """Return round numbers that cover a range."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * n for n in range(first, last + 1))


def _decimals(ticks: Sequence[float]) -> int:
    """Decimals that tell neighbouring ticks apart: 2.5 needs one, 0.25 two."""
    step = ticks[1] - ticks[0]
    return next((d for d in range(6) if math.isclose(round(step, d), step, rel_tol=1e-6)), 6)


def _source(profile: Profile) -> str:
    if profile.source.startswith("registered"):
        return f"reference grid{profile.source.removeprefix('registered')}"
    return profile.source


def _words(profile: Profile) -> str:
    quantity = QUANTITIES[profile.quantity]
    steps = ", ".join(f"{format_value(m, e)} at {depth:g} mm" for depth, m, e in _known(profile))
    return f"{quantity.name} [{quantity.unit.text}], {_source(profile)}: {steps}"


def _label(x: float, y: float, text: str, anchor: str, more: str) -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
