"""Overview: where the lesions lie in the body, numbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eprimg.model.lesions import Region
from eprimg.model.transform import Transform
from eprimg.report.drawing import (
    add_colour_bar,
    draw_grey,
    drawable,
    dress_plane,
    halo,
    new_figure,
    style,
)
from eprimg.report.layers import Layer
from eprimg.report.lesion_figure import LesionPlace
from eprimg.report.picture import Picture, to_png
from eprimg.report.planes import Plane, bounds_mm, make_plane, project_maximum, sample_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["overview_picture"]

_PIXEL_MM = 2.0
_STEP_MM = 5.0
_HEIGHT_IN = 4.4


def overview_picture(
    places: Mapping[int, LesionPlace],
    regions: Sequence[Region],
    anatomy: Layer | None,
    uptake: Layer | None,
    frame: str,
    *,
    ask: Callable[[], object] | None = None,
) -> Picture | None:
    """Draw coronal and sagittal overviews with numbered lesions.

    Parameters
    ----------
    places : Mapping of int to LesionPlace
        Where the lesions lie.
    regions : sequence of Region
        Lesions in order; their ids are the numbers in the picture.
    anatomy : Layer or None
        Shown as a coronal plane through the middle of the lesions.
    uptake : Layer or None
        Shown as coronal and sagittal maximum intensity projections.
    frame : str
        The reference frame.
    ask : callable, optional
        Called before every panel; what it raises ends the work.

    Returns
    -------
    Picture or None
        PNG; None when there is no volume to show.
    """
    shown = [layer for layer in (uptake, anatomy) if layer is not None]
    if not shown:
        return None
    low, high = bounds_mm([(layer.grid, layer.transform) for layer in shown])
    middle = (low + high) / 2
    if places:
        middle = np.median([p.centre_mm for p in places.values()], axis=0)
    panels: list[tuple[str, Layer, Plane, float]] = []
    if uptake is not None:
        for view in ("coronal", "sagittal"):
            panels.append(_panel(view, uptake, (low + high) / 2, frame, project=True))
    if anatomy is not None:
        panels.append(_panel("coronal", anatomy, middle, frame, project=False))
        if uptake is None:
            panels.append(_panel("sagittal", anatomy, middle, frame, project=False))
    widths = [_HEIGHT_IN * p.shape[1] / p.shape[0] for _, _, p, _ in panels]
    bar = 0.85 if uptake is not None else 0.1
    fixed = 0.12 * len(widths) + bar
    shrink = min(1.0, (10.4 - fixed) / sum(widths))
    width = sum(widths) * shrink + fixed
    height, tall = _HEIGHT_IN * shrink + 0.3, _HEIGHT_IN * shrink
    with style():
        figure = new_figure(width, height)
        x = 0.04
        for (title, layer, plane, depth), wide in zip(panels, widths, strict=True):
            if ask is not None:
                ask()
            axes = figure.add_axes((x / width, 0.02, wide * shrink / width, tall / height))
            if depth:
                cut = project_maximum(
                    layer.values,
                    layer.grid,
                    plane,
                    depth_mm=depth,
                    step_mm=_STEP_MM,
                    transform=layer.transform,
                )
            else:
                cut = sample_plane(layer.values, layer.grid, plane, transform=layer.transform)
            draw_grey(axes, cut, plane, low=layer.low, high=layer.high, colours=layer.colours)
            _mark(axes, places, regions, plane, "#D55E00" if depth else "#F0E442")
            dress_plane(axes, plane, scale_mm=100.0, size=9.0)
            axes.set_title(title, pad=4)
            x += wide * shrink + 0.12
        if uptake is not None:
            add_colour_bar(figure, (x / width, 0.1, 0.1 / width, 0.75), uptake)
        if ask is not None:
            ask()
        names = ", ".join(f"{r.id} {drawable(r.name, 40)}" for r in regions)
        return to_png(
            figure,
            "Overview: "
            + "; ".join(t for t, _, _, _ in panels)
            + (f". Numbered lesions: {names}." if names else "."),
        )


def _panel(
    view: str,
    layer: Layer,
    centre: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    frame: str,
    *,
    project: bool,
) -> tuple[str, Layer, Plane, float]:
    low, high = bounds_mm([(layer.grid, layer.transform)])
    size = high - low
    # The picture frames the volume; a plane (not a projection) passes through the lesions.
    place = (low + high) / 2
    across = 1 if view == "coronal" else 0
    if not project:
        place[across] = centre[across]
    plane = make_plane(
        view,
        place,
        frame_of_reference=frame,
        width_mm=size[1 - across],
        height_mm=size[2],
        pixel_mm=_PIXEL_MM,
    )
    words = layer.title.split("\n")[0].split(",")[0]
    title = f"{words}, {view}" + (" projection" if project else " plane")
    return title, layer, plane, float(size[across]) if project else 0.0


def _mark(
    axes: Axes,
    places: Mapping[int, LesionPlace],
    regions: Sequence[Region],
    plane: Plane,
    colour: str,
) -> None:
    """Outline each lesion's projection and put its number beside it."""
    left, right, _, _ = plane.extent_mm
    for region in regions:
        place = places.get(region.id)
        if place is None:
            continue
        reach = float(np.linalg.norm(np.array(place.grid.shape) * place.grid.spacing_mm))
        near = make_plane(
            plane.view,
            place.centre_mm,
            frame_of_reference=plane.frame_of_reference,
            width_mm=reach,
            height_mm=reach,
            pixel_mm=1.0,
        )
        cut = project_maximum(
            place.mask,
            place.grid,
            near,
            depth_mm=reach,
            step_mm=2.0,
            transform=Transform.identity(plane.frame_of_reference),
        )
        x, y = plane.locate(place.centre_mm)
        # The outline is drawn on its own small plane, shifted to its place.
        rows, columns = near.shape
        across = (np.arange(columns) - (columns - 1) / 2) * near.pixel_mm + x
        along = (np.arange(rows) - (rows - 1) / 2) * near.pixel_mm + y
        cut = np.nan_to_num(cut)
        radius = 8.0
        if cut.max() > 0.5:
            axes.contour(across, along, cut, levels=[0.5], colors=[colour], linewidths=1.1)
            radius = float(np.sqrt((cut > 0.5).sum() / np.pi)) * near.pixel_mm
        side = 1 if x < (left + right) / 2 + 0.3 * (right - left) else -1
        axes.annotate(
            str(region.id),
            (x + side * 0.7 * radius, y - 0.7 * radius),
            (side * 7, 6),
            textcoords="offset points",
            size=9,
            weight="bold",
            color="white",
            ha="center",
            va="center",
            path_effects=halo(2.4),
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8},
        )
