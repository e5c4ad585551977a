"""Echo decay of a lesion: measured medians and the exponential of its maps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap, echoes_of_map
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack
from eprimg.report.drawing import drawable
from eprimg.report.numbers import format_fixed, format_value, round_ticks, tick_decimals
from eprimg.report.picture import Picture
from eprimg.report.svg import AXIS_LINE, GRID_LINE, SMALL_INK, label, short, svg_picture

__all__ = ["EchoDecay", "decay_picture", "lesion_decays"]


class _Look(NamedTuple):
    colour: str
    round: bool
    dash: str
    phase: str


# Okabe and Ito: blue and vermilion differ in lightness too; marker and line differ as well.
_LOOKS: Final = {
    Role.MR_PRE: _Look("#0072B2", True, "6.9 3", "before agent"),
    Role.MR_POST: _Look("#D55E00", False, "", "after agent"),
}
_RIM: Final = 'stroke="#ffffff" stroke-width="0.7"'
_WIDTH, _HEIGHT = 393.6, 278.4
_LEFT, _RIGHT, _TOP, _BOTTOM = 61.0, 379.8, 12.5, 235.2
_MOST_TICKS: Final = 12
"""More do not fit above each other: then the powers of ten are left."""


@dataclass(frozen=True, eq=False, slots=True)
class EchoDecay:
    """Signal of a lesion over echo time.

    Parameters
    ----------
    role : Role
        Before or after the agent.
    echo_times_s : ndarray, shape (n_echoes,)
        Echo times.
    median, low, high : ndarray, shape (n_echoes,)
        Median and quartiles of the lesion's voxels, arbitrary units.
    r2star_per_s, s0 : float
        Medians of the lesion's voxels in the maps; NaN without maps.
    n_voxels : int
        Number of voxels.
    used : tuple of int
        Positions of the echoes in the fit of the median voxel.
    """

    role: Role
    echo_times_s: npt.NDArray[np.float64]
    median: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    r2star_per_s: float
    s0: float
    n_voxels: int
    used: tuple[int, ...]


def lesion_decays(case: Case, region_id: int) -> tuple[EchoDecay, ...]:
    """Collect the echo decay of a lesion on each native MR grid.

    Parameters
    ----------
    case : Case
        The case.
    region_id : int
        Label value.

    Returns
    -------
    tuple of EchoDecay
        Before and after the agent, as far as the labels reach those grids.
    """
    decays = []
    for role in _LOOKS:
        series = case.study.find(role)
        if series is None or not isinstance(series.pixels, EchoStack):
            continue
        regions = _labels_on(case, series)
        if regions is None:
            continue
        chosen = regions.labels == region_id
        if not chosen.any():
            continue
        signal = np.asarray(series.pixels.volume.data[chosen], dtype=np.float64)
        low, median, high = np.nanpercentile(signal, (25, 50, 75), axis=0)
        phase = "pre" if role == Role.MR_PRE else "post"
        decays.append(
            EchoDecay(
                role,
                np.array(series.pixels.echo_times_s),
                median,
                low,
                high,
                _map_median(case, f"r2star_{phase}", chosen, series),
                _map_median(case, f"s0_{phase}", chosen, series),
                len(signal),
                _used(case.maps.get(f"r2star_{phase}"), series, chosen),
            )
        )
    return tuple(decays)


def decay_picture(decays: tuple[EchoDecay, ...], *, name: str) -> Picture | None:
    """Draw the echo decay with the exponential of the maps' medians.

    Parameters
    ----------
    decays : tuple of EchoDecay
        From `lesion_decays`.
    name : str
        Name of the lesion, for the alternative text.

    Returns
    -------
    Picture or None
        SVG; None when there is nothing to draw.
    """
    if not decays:
        return None
    plot = _plot(decays)
    drawn, words, legend = [*_axes(plot)], [], []
    for decay in decays:
        phase, rate = _LOOKS[decay.role].phase, f"R2* {format_value(decay.r2star_per_s)} 1/s"
        drawn += _exponential(plot, decay)
        fitted = np.isin(np.arange(decay.echo_times_s.size), decay.used)
        # Echoes that the fit of the median voxel left out are hollow.
        for chosen, hollow, text in (
            ((decay.median > 0) & fitted, False, f"{phase}: {rate}"),
            ((decay.median > 0) & ~fitted, True, f"{phase}: not in the fit"),
        ):
            if chosen.any():
                drawn += _points(plot, decay, chosen, hollow=hollow)
                legend.append((decay.role, hollow, text))
        echoes = f"{len(fitted)} echoes"
        if len(decay.used) < len(fitted):
            echoes += f" ({len(decay.used)} in the fit)"
        words.append(f"{phase} {echoes}, {rate}, {decay.n_voxels} voxels")
    for number, (role, hollow, text) in enumerate(legend):
        x, y = plot.left + 20, _BOTTOM - 16 - 16 * (len(legend) - 1 - number)
        drawn += _point(role, x, (y - 5, y, y + 5), hollow=hollow)
        drawn.append(label(x + 14, y + 4, text, "start", 'font-size="10.7"'))
    return svg_picture(
        drawn,
        width=_WIDTH,
        height=_HEIGHT,
        size=11.3,
        alt=f"Echo decay of {drawable(name, 60)} on a logarithmic axis: {'; '.join(words)}.",
    )


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where the chart puts echo times and signals."""

    left: float
    end_ms: float
    low: float
    high: float
    ticks: tuple[float, ...]

    def across(self, time_ms: float) -> float:
        return self.left + (_RIGHT - self.left) * time_ms / self.end_ms

    def up(self, log_signal: float) -> float:
        """Take the logarithm: that of a line far below the axis is at hand, its signal is not."""
        low, high = math.log(self.low), math.log(self.high)
        return _BOTTOM - (_BOTTOM - _TOP) * (log_signal - low) / (high - low)

    def height(self, signal: float) -> float:
        """Height of a signal; without one that a logarithm has, just below the axis."""
        return min(self.up(math.log(signal)), _BOTTOM + 9) if signal > 0 else _BOTTOM + 9


def _plot(decays: tuple[EchoDecay, ...]) -> _Plot:
    every = np.concatenate([np.concatenate([d.low, d.high]) for d in decays])
    positive = every[every > 0]
    low, high = 1.0, 10.0
    if positive.size:
        tops = [d.s0 for d in decays if np.isfinite(d.s0)]
        low = float(positive.min()) / 1.7
        high = max([float(positive.max()), *tops]) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = tuple(m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high)
    if len(ticks) > _MOST_TICKS:
        ticks = tuple(10.0**p for p in powers if low <= 10.0**p <= high)
    if len(ticks) < 2:  # less than a factor of 2.5 may hold none of them
        ticks = tuple(t for t in round_ticks(low, high, about=5) if low <= t <= high)
    longest = max((len(f"{t:g}") for t in ticks), default=1)
    left = max(_LEFT, 30 + 7.2 * longest)
    return _Plot(left, 1060 * max(float(d.echo_times_s[-1]) for d in decays), low, high, ticks)


def _axes(plot: _Plot) -> Iterator[str]:
    small, grid = f'fill="{SMALL_INK}"', f'stroke="{GRID_LINE}" stroke-width="0.8"'
    tick = f'stroke="{SMALL_INK}"'
    times = [t for t in round_ticks(0.0, plot.end_ms, about=8) if t <= plot.end_ms]
    decimals = tick_decimals(times)
    across, heights = short(_RIGHT - plot.left), short(_BOTTOM - _TOP)
    for time in times:
        x = plot.across(time)
        yield f'<path d="M{short(x)} {short(_TOP)}v{heights}" {grid}/>'
        yield f'<path d="M{short(x)} {short(_BOTTOM)}v4.7" {tick}/>'
        yield label(x, _BOTTOM + 18, format_fixed(time, decimals), "middle", small)
    for signal in plot.ticks:
        y = plot.height(signal)
        yield f'<path d="M{short(plot.left)} {short(y)}h{across}" {grid}/>'
        yield f'<path d="M{short(plot.left)} {short(y)}h-4.7" {tick}/>'
        yield label(plot.left - 9, y + 4, f"{signal:g}", "end", small)
    yield (
        f'<path d="M{short(plot.left)} {short(_TOP)}v{heights}h{across}" fill="none" '
        f'stroke="{AXIS_LINE}"/>'
    )
    middle = (_TOP + _BOTTOM) / 2
    yield label((plot.left + _RIGHT) / 2, _BOTTOM + 35, "echo time [ms]", "middle")
    turned = f'transform="rotate(-90 16 {short(middle)})"'
    yield label(16, middle, "signal [arbitrary], log scale", "middle", turned)
    yield (
        f'<clipPath id="c"><rect x="{short(plot.left)}" y="{short(_TOP)}" width="{across}" '
        f'height="{heights}"/></clipPath>'
    )


def _exponential(plot: _Plot, decay: EchoDecay) -> Iterator[str]:
    """Draw the exponential of the maps: straight on a logarithmic axis."""
    if not (np.isfinite(decay.r2star_per_s) and np.isfinite(decay.s0) and decay.s0 > 0):
        return
    last_ms = 1030 * float(decay.echo_times_s[-1])
    start, fall = math.log(decay.s0), decay.r2star_per_s * last_ms / 1000
    look = _LOOKS[decay.role]
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    yield (
        f'<path d="M{short(plot.left)} {short(plot.up(start))}L{short(plot.across(last_ms))} '
        f'{short(plot.up(start - fall))}" fill="none" stroke="{look.colour}" stroke-width="1.9"'
        f'{dash} clip-path="url(#c)"/>'
    )


def _points(
    plot: _Plot, decay: EchoDecay, chosen: npt.NDArray[np.bool_], *, hollow: bool
) -> Iterator[str]:
    for n in np.flatnonzero(chosen):
        heights = tuple(plot.height(float(v[n])) for v in (decay.high, decay.median, decay.low))
        x = plot.across(1000 * float(decay.echo_times_s[n]))
        yield from _point(decay.role, x, heights, hollow=hollow, clip=' clip-path="url(#c)"')


def _point(
    role: Role, x: float, heights: tuple[float, ...], *, hollow: bool, clip: str = ""
) -> Iterator[str]:
    """Draw a median with its quartiles."""
    look = _LOOKS[role]
    top, y, bottom = heights
    yield (
        f'<path d="M{short(x)} {short(top)}V{short(bottom)}M{short(x - 2.7)} {short(top)}h5.4'
        f'M{short(x - 2.7)} {short(bottom)}h5.4" stroke="{look.colour}" stroke-width="1.2"{clip}/>'
    )
    paint = f'fill="none" stroke="{look.colour}"' if hollow else f'fill="{look.colour}" {_RIM}'
    if look.round:
        yield f'<circle cx="{short(x)}" cy="{short(y)}" r="3" {paint}/>'
    else:
        yield f'<rect x="{short(x - 3)}" y="{short(y - 3)}" width="6" height="6" {paint}/>'


def _labels_on(case: Case, series: Series) -> LesionSet | None:
    native = case.native_lesions.get(series.key)
    if native is not None and native.grid.shape == series.grid.shape:
        return native
    if case.lesions is not None and case.lesions.grid.matches(series.grid):
        return case.lesions
    return None


def _used(
    r2star: QuantityMap | None, series: Series, chosen: npt.NDArray[np.bool_]
) -> tuple[int, ...]:
    """Echoes in the fit of the median voxel: those that were chosen, less the late ones."""
    assert isinstance(series.pixels, EchoStack)
    given = echoes_of_map(r2star, series.pixels.echo_times_s)
    counts = None if r2star is None else r2star.details.get("n_echoes")
    if r2star is None or counts is None or not r2star.grid.matches(series.grid):
        return tuple(given)
    kept = counts[chosen & r2star.valid]
    return tuple(given[: int(np.median(kept))] if kept.size else given)


def _map_median(case: Case, key: str, chosen: npt.NDArray[np.bool_], series: Series) -> float:
    found = case.maps.get(key)
    if found is None or not found.grid.matches(series.grid):
        return float("nan")
    values = np.asarray(found.values[chosen], dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")
