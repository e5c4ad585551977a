"""Drawing: one typography, the colours of a cut and the colour bar beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager, patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eprimg.report.layers import Layer
from eprimg.report.palette import NOT_MEASURED
from eprimg.report.planes import Plane, sample_plane

__all__ = [
    "DPI",
    "INK",
    "add_colour_bar",
    "cut_colours",
    "drawable",
    "halo",
    "layer_cut",
    "new_figure",
    "plane_colours",
    "style",
]

INK: Final = "#1f2933"
DPI: Final = 150
"""Pixels per inch of every raster picture."""
# Ticks of a square-root colour bar: evenly legible, and round for round windows.
_TICKS: Final = (0.0, 0.05, 0.2, 0.5, 1.0)
_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": "#8a939c",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": "#4a545e",
    "ytick.color": "#4a545e",
    "grid.color": "#dfe3e7",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "eprimg",
    "svg.fonttype": "path",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw with the house's settings, whatever the user's own ones are.

    Yields
    ------
    None
        Inside, matplotlib's defaults with the house's typography hold.
    """
    settings: dict[Any, Any] = {
        k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")
    }
    settings.update(_STYLE)
    with mpl.rc_context():
        mpl.rcParams.update(settings)
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make a figure without global state.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches.

    Returns
    -------
    Figure
        White, with a raster canvas.
    """
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def drawable(text: str, longest: int = 28) -> str:
    """Make a text from a header fit to be drawn.

    Parameters
    ----------
    text : str
        Any text.
    longest : int
        Longer texts are cut with an ellipsis.

    Returns
    -------
    str
        On one line; a box for characters that the font lacks.
    """
    flat = " ".join(text.split())
    if len(flat) > longest:
        flat = flat[: longest - 1].rstrip() + "…"
    known = _characters()
    return "".join(c if ord(c) in known else "▯" for c in flat)


def halo(width: float = 1.6, colour: str = "black") -> list[patheffects.AbstractPathEffect]:
    """Give a line or a text an outline, so that it can be read on any background.

    Parameters
    ----------
    width : float
        Width of the outline in points.
    colour : str
        Colour of the outline.

    Returns
    -------
    list
        Path effects.
    """
    return [patheffects.withStroke(linewidth=width, foreground=colour)]


def layer_cut(layer: Layer, plane: Plane) -> npt.NDArray[np.float64]:
    """Cut a layer.

    Parameters
    ----------
    layer : Layer
        What is shown.
    plane : Plane
        The cut.

    Returns
    -------
    ndarray, shape (rows, columns)
        NaN where there is no value.
    """
    return sample_plane(
        layer.values, layer.grid, plane, transform=layer.transform, valid=layer.valid
    )


def cut_colours(
    cut: npt.NDArray[np.float64], *, low: float, high: float, colours: str, gamma: float = 1.0
) -> npt.NDArray[np.float64]:
    """Colour a cut.

    Parameters
    ----------
    cut : ndarray, shape (rows, columns)
        Numbers; NaN is shown as not measured.
    low, high : float
        Ends of the window.
    colours : str
        Name of a colour map.
    gamma : float
        Exponent of the colour scale.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        RGB between 0 and 1; the colour of `NOT_MEASURED` where there is no value.
    """
    seen = np.isfinite(cut)
    return _coloured(_scaled(cut, seen, low, high), seen, colours, gamma)


def plane_colours(
    layer: Layer, plane: Plane, *, take: Callable[[Layer], npt.NDArray[np.float64]] | None = None
) -> npt.NDArray[np.float64]:
    """Colour a cut through a layer.

    Parameters
    ----------
    layer : Layer
        What is shown.
    plane : Plane
        The cut.
    take : callable, optional
        Gives the cut through a layer, when it was made before; `layer_cut` by default.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        RGB between 0 and 1; the colour of `NOT_MEASURED` where there is no value.
    """
    cut = layer_cut(layer, plane) if take is None else take(layer)
    seen = np.isfinite(cut)
    scaled = _scaled(cut, seen, layer.low, layer.high)
    colours = _coloured(scaled, seen, layer.colours, layer.gamma)
    if layer.base is None:
        return colours
    below = plane_colours(layer.base, plane, take=take)
    # Weak uptake stays transparent: the anatomy must be readable under it.
    strength = np.where(seen, np.clip(scaled * 2.2, 0, 0.85), 0.0)[..., np.newaxis]
    return np.asarray(below + (colours - below) * strength)


def add_colour_bar(figure: Figure, box: Sequence[float], layer: Layer) -> None:
    """Draw the colour bar of a layer.

    Parameters
    ----------
    figure : Figure
        Where to draw.
    box : sequence of float
        Left, bottom, width and height in figure fractions.
    layer : Layer
        Gives colours, window and unit.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    axes = figure.add_axes((box[0], box[1], box[2], box[3]))
    scale = ScalarMappable(
        PowerNorm(layer.gamma, layer.low, layer.high), mpl.colormaps[layer.colours]
    )
    bar = figure.colorbar(scale, cax=axes, extend="both" if layer.signed else "max")
    if layer.gamma != 1:
        bar.set_ticks([layer.low + share * (layer.high - layer.low) for share in _TICKS])
        bar.ax.minorticks_off()
        bar.ax.yaxis.set_major_formatter(lambda v, _: f"{v:.3g}")
    bar.set_label(layer.unit, size=8)
    bar.ax.tick_params(labelsize=7.5, length=2.5)
    bar.outline.set_linewidth(0.5)


def _scaled(
    cut: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_], low: float, high: float
) -> npt.NDArray[np.float64]:
    """Bring a window between 0 and 1; 0 where there is no value."""
    return np.clip((np.where(seen, cut, low) - low) / (high - low), 0, 1)


def _coloured(
    scaled: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_], colours: str, gamma: float
) -> npt.NDArray[np.float64]:
    table = _table(colours)
    last = len(table) - 2
    steps = np.minimum((scaled**gamma * (last + 1)).astype(np.intp), last)
    return table[np.where(seen, steps, last + 1)]


@cache
def _table(colours: str) -> npt.NDArray[np.float64]:
    """Colours of a map in its own steps, and last the colour of `NOT_MEASURED`."""
    steps = mpl.colormaps[colours]
    grey = [int(NOT_MEASURED[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.concatenate([np.asarray(steps(np.arange(steps.N)))[:, :3], [grey]])


@cache
def _characters() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())
