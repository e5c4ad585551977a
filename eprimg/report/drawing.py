"""Drawing: one typography, and planes with letters, outline and scale."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager, patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eprimg.report.layers import Layer
from eprimg.report.palette import NOT_MEASURED
from eprimg.report.planes import Plane, sample_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "INK",
    "add_colour_bar",
    "draw_grey",
    "draw_layer",
    "draw_outline",
    "drawable",
    "dress_plane",
    "halo",
    "new_figure",
    "plane_colours",
    "style",
]

INK: Final = "#1f2933"
_DPI: Final = 150
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
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, facecolor="white")
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


def plane_colours(layer: Layer, plane: Plane) -> npt.NDArray[np.float64]:
    """Colour a cut through a layer.

    Parameters
    ----------
    layer : Layer
        What is shown.
    plane : Plane
        The cut.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        RGB between 0 and 1; the colour of `NOT_MEASURED` where there is no value.
    """
    cut = sample_plane(
        layer.values, layer.grid, plane, transform=layer.transform, valid=layer.valid
    )
    seen = np.isfinite(cut)
    scaled = np.clip((np.where(seen, cut, layer.low) - layer.low) / (layer.high - layer.low), 0, 1)
    colours = np.asarray(mpl.colormaps[layer.colours](scaled**layer.gamma))[..., :3]
    if layer.base is None:
        below = np.broadcast_to(_rgb(NOT_MEASURED), colours.shape)
        return np.where(seen[..., np.newaxis], colours, below)
    below = plane_colours(layer.base, plane)
    # Weak uptake stays transparent: the anatomy must be readable under it.
    strength = np.where(seen, np.clip(scaled * 2.2, 0, 0.85), 0.0)[..., np.newaxis]
    return np.asarray(colours * strength + below * (1 - strength))


def draw_layer(axes: Axes, layer: Layer, plane: Plane) -> None:
    """Draw a cut through a layer.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    layer : Layer
        What is shown.
    plane : Plane
        The cut.
    """
    axes.imshow(
        plane_colours(layer, plane), extent=plane.extent_mm, interpolation="nearest", aspect="equal"
    )


def draw_grey(
    axes: Axes,
    cut: npt.NDArray[np.float64],
    plane: Plane,
    *,
    low: float,
    high: float,
    colours: str = "gray",
) -> None:
    """Draw a cut that was sampled before.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    cut : ndarray, shape (rows, columns)
        Numbers; NaN is drawn as not measured.
    plane : Plane
        The cut.
    low, high : float
        Ends of the window.
    colours : str
        Name of a colour map.
    """
    colour_map = mpl.colormaps[colours].with_extremes(bad=NOT_MEASURED)
    axes.imshow(
        np.ma.masked_invalid(cut),
        extent=plane.extent_mm,
        vmin=low,
        vmax=high,
        cmap=colour_map,
        interpolation="nearest",
        aspect="equal",
    )


def draw_outline(
    axes: Axes,
    mask_cut: npt.NDArray[np.float64],
    plane: Plane,
    *,
    colour: str = "white",
    width: float = 1.0,
) -> None:
    """Draw the outline of a region.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    mask_cut : ndarray, shape (rows, columns)
        Cut through a mask of zeros and ones.
    plane : Plane
        The cut.
    colour : str
        Colour of the line.
    width : float
        Width in points.
    """
    cut = np.nan_to_num(mask_cut)
    if cut.max() <= 0.5 or cut.min() >= 0.5:
        return
    rows, columns = plane.shape
    x = (np.arange(columns) - (columns - 1) / 2) * plane.pixel_mm
    y = (np.arange(rows) - (rows - 1) / 2) * plane.pixel_mm
    lines = axes.contour(x, y, cut, levels=[0.5], colors=[colour], linewidths=width)
    lines.set_path_effects(halo(width + 1.4))


def dress_plane(axes: Axes, plane: Plane, *, scale_mm: float = 20.0, size: float = 8.0) -> None:
    """Add edge letters and a scale bar, and take the axis lines away.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    plane : Plane
        The cut.
    scale_mm : float
        Length of the scale bar.
    size : float
        Font size of the letters.
    """
    axes.set_axis_off()
    left, right, bottom, top = plane.extent_mm
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    places = (
        (0.03, 0.5, "left", "center"),
        (0.97, 0.5, "right", "center"),
        (0.5, 0.96, "center", "top"),
        (0.5, 0.035, "center", "bottom"),
    )
    for letter, (x, y, across, along) in zip(plane.letters, places, strict=True):
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            ha=across,
            va=along,
            color="white",
            size=size,
            weight="bold",
            path_effects=halo(),
        )
    inset, height = 0.05 * (right - left), 0.07 * (bottom - top)
    end = right - inset
    axes.plot(
        [end - scale_mm, end],
        [bottom - height] * 2,
        color="white",
        linewidth=2.0,
        solid_capstyle="butt",
        path_effects=halo(3.4),
    )
    axes.text(
        end - scale_mm / 2,
        bottom - 1.5 * height,
        f"{scale_mm / 10:g} cm",
        ha="center",
        va="bottom",
        color="white",
        size=size - 1.5,
        path_effects=halo(),
    )


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


def _rgb(colour: str) -> npt.NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


@cache
def _characters() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())
