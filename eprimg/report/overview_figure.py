"""Overview: where the lesions lie in the body, numbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.model.lesions import Region
from eprimg.model.transform import Transform
from eprimg.report.drawing import DPI, add_colour_bar, cut_colours, drawable, style
from eprimg.report.layers import Layer
from eprimg.report.lesion_figure import LesionPlace
from eprimg.report.picture import Picture
from eprimg.report.planes import Plane, bounds_mm, make_plane, project_maximum, sample_plane
from eprimg.report.sheet import Box, Sheet, rims_mm

__all__ = ["overview_picture"]

FloatArray = npt.NDArray[np.float64]

_PIXEL_MM = 2.0
_STEP_MM = 5.0
_HEIGHT_IN = 4.4


class _Shadow(NamedTuple):
    """A lesion as seen along the line of sight: outline about its centre, and radius."""

    rims_mm: list[FloatArray]
    radius_mm: float


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
        sheet = Sheet(round(width * DPI), round(height * DPI))
        x = 0.04
        shadows: dict[str, dict[int, _Shadow]] = {}
        for (title, layer, plane, depth), wide in zip(panels, widths, strict=True):
            if ask is not None:
                ask()
            box = Box(
                round(x * DPI),
                round((0.98 * height - tall) * DPI),
                round(wide * shrink * DPI),
                round(tall * DPI),
            )
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
            colours = cut_colours(cut, low=layer.low, high=layer.high, colours=layer.colours)
            sheet.show(colours, box)
            if plane.view not in shadows:  # two of the panels look from the front
                shadows[plane.view] = {i: _shadow(p, plane) for i, p in places.items()}
            colour = "#D55E00" if depth else "#F0E442"
            _mark(sheet, box, places, shadows[plane.view], regions, plane, colour)
            sheet.dress(box, plane, scale_mm=100.0, size=9.0)
            sheet.entitle(box, title)
            x += wide * shrink + 0.12
        if uptake is not None:
            add_colour_bar(sheet.figure, (x / width, 0.1, 0.1 / width, 0.75), uptake)
        if ask is not None:
            ask()
        names = ", ".join(f"{r.id} {drawable(r.name, 40)}" for r in regions)
        return sheet.picture(
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


def _shadow(place: LesionPlace, plane: Plane) -> _Shadow:
    """Project a lesion on a small plane of its own."""
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
    inside = int((np.nan_to_num(cut) > 0.5).sum())
    radius = float(np.sqrt(inside / np.pi)) * near.pixel_mm if inside else 8.0
    return _Shadow(rims_mm(cut, near.pixel_mm), radius)


def _mark(
    sheet: Sheet,
    box: Box,
    places: Mapping[int, LesionPlace],
    shadows: Mapping[int, _Shadow],
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
        rims, radius = shadows[region.id]
        x, y = plane.locate(place.centre_mm)
        there = [rim + np.array([x, y]) for rim in rims]
        sheet.outline(box, plane, there, colour=colour, width=1.1)
        side = 1 if x < (left + right) / 2 + 0.3 * (right - left) else -1
        sheet.mark(
            box,
            plane,
            (x + side * 0.7 * radius, y - 0.7 * radius),
            str(region.id),
            offset_points=(side * 7, 6),
            colour=colour,
        )
