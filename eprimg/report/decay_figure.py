"""Echo decay of a lesion: measured medians and the exponential of its maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap, echoes_of_map
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack
from eprimg.report.drawing import drawable, new_figure, style
from eprimg.report.numbers import format_value
from eprimg.report.picture import Picture, to_svg

__all__ = ["EchoDecay", "decay_picture", "lesion_decays"]

# Okabe and Ito: blue and vermilion differ in lightness too; marker and line differ as well.
_LOOKS: Final = {
    Role.MR_PRE: ("#0072B2", "o", "--", "before agent"),
    Role.MR_POST: ("#D55E00", "s", "-", "after agent"),
}


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
    with style():
        figure = new_figure(4.1, 2.9)
        axes = figure.add_axes((0.155, 0.155, 0.81, 0.8))
        words = []
        for decay in decays:
            colour, marker, line, phase = _LOOKS[decay.role]
            times_ms = 1000 * decay.echo_times_s
            positive = decay.median > 0
            spread = np.abs(np.stack([decay.median - decay.low, decay.high - decay.median]))
            rate = f"R2* {format_value(decay.r2star_per_s)} 1/s"
            fitted = np.isin(np.arange(times_ms.size), decay.used)
            # Echoes that the fit of the median voxel left out are hollow.
            for shown, label, face, edge in (
                (positive & fitted, f"{phase}: {rate}", colour, "white"),
                (positive & ~fitted, f"{phase}: not in the fit", "none", colour),
            ):
                if not shown.any():
                    continue
                axes.errorbar(
                    times_ms[shown],
                    decay.median[shown],
                    spread[:, shown],
                    fmt=marker,
                    ms=4.5,
                    color=colour,
                    ecolor=colour,
                    elinewidth=0.9,
                    capsize=2,
                    mfc=face,
                    mec=edge,
                    mew=0.5,
                    label=label,
                    zorder=3,
                )
            if np.isfinite(decay.r2star_per_s) and np.isfinite(decay.s0):
                fine = np.linspace(0, times_ms[-1] * 1.03, 100)
                axes.plot(
                    fine,
                    decay.s0 * np.exp(-decay.r2star_per_s * fine / 1000),
                    line,
                    color=colour,
                    linewidth=1.4,
                    zorder=2,
                )
            echoes = f"{len(times_ms)} echoes"
            if len(decay.used) < len(times_ms):
                echoes += f" ({len(decay.used)} in the fit)"
            words.append(f"{phase} {echoes}, {rate}, {decay.n_voxels} voxels")
        axes.set_yscale("log")
        _plain_ticks(axes, decays)
        axes.set_xlim(0, 1060 * max(float(d.echo_times_s[-1]) for d in decays))
        axes.set_xlabel("echo time [ms]")
        axes.set_ylabel("signal [arbitrary], log scale")
        axes.grid(True)
        axes.legend(loc="lower left", fontsize=8, handletextpad=0.3)
        return to_svg(
            figure, f"Echo decay of {drawable(name, 60)} on a logarithmic axis: {'; '.join(words)}."
        )


def _plain_ticks(axes: object, decays: tuple[EchoDecay, ...]) -> None:
    """Label 1, 2 and 5 times powers of ten as plain numbers over the range of the signal."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    assert isinstance(axes, Axes)
    every = np.concatenate([np.concatenate([d.low, d.high]) for d in decays])
    positive = every[every > 0]
    if positive.size:
        tops = [d.s0 for d in decays if np.isfinite(d.s0)]
        axes.set_ylim(float(positive.min()) / 1.7, max([float(positive.max()), *tops]) * 1.25)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


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
