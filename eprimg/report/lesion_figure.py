"""Three orthogonal planes through a lesion, one row per layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.transform import Transform
from eprimg.report.drawing import (
    add_colour_bar,
    draw_layer,
    draw_outline,
    drawable,
    dress_plane,
    new_figure,
    style,
)
from eprimg.report.layers import Layer
from eprimg.report.palette import NOT_MEASURED
from eprimg.report.picture import Picture, to_png
from eprimg.report.planes import VIEWS, make_plane, sample_plane

__all__ = ["LesionPlace", "lesion_places", "lesion_planes_picture"]

_WIDTH_MM, _HEIGHT_MM, _PIXEL_MM = 160.0, 124.0, 0.6
_PANEL_IN = 1.95


@dataclass(frozen=True, eq=False, slots=True)
class LesionPlace:
    """Where a lesion lies, and its mask cut out of the label volume.

    Parameters
    ----------
    id : int
        Label value.
    centre_mm : ndarray, shape (3,)
        Centre of gravity of its voxels in LPS mm.
    mask : ndarray of uint8
        The mask with a margin of one voxel.
    grid : Grid
        Grid of the mask.
    """

    id: int
    centre_mm: npt.NDArray[np.float64]
    mask: npt.NDArray[np.uint8]
    grid: Grid


def lesion_places(lesions: LesionSet) -> dict[int, LesionPlace]:
    """Find all lesions of a label volume in one pass.

    Parameters
    ----------
    lesions : LesionSet
        Labels and regions.

    Returns
    -------
    dict of int to LesionPlace
        By region id; lesions without a voxel are left out.
    """
    boxes = ndimage.find_objects(np.asarray(lesions.labels, dtype=np.int32))
    places = {}
    for region in lesions.lesions:
        box = boxes[region.id - 1] if region.id <= len(boxes) else None
        shared = lesions.shared_by(region.id)
        around = [s.place for s in shared] + ([] if box is None else [box])
        if not around:
            continue
        box = tuple(
            slice(min(b[a].start for b in around), max(b[a].stop for b in around)) for a in range(3)
        )
        inner = (lesions.labels[box] == region.id).astype(np.uint8)
        for each in shared:
            there = tuple(
                slice(p.start - b.start, p.stop - b.start)
                for p, b in zip(each.place, box, strict=True)
            )
            inner[there] |= each.now(lesions.labels)
        # The padding lets the outline close at the edge of the field of view.
        mask = np.pad(inner, 1)
        start = np.array([s.start - 1 for s in box])
        affine = np.array(lesions.grid.affine)
        affine[:3, 3] = lesions.grid.index_to_lps_mm(start)
        grid = Grid(mask.shape, affine, lesions.grid.frame_of_reference)
        centre = grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))
        places[region.id] = LesionPlace(region.id, centre, mask, grid)
    return places


def lesion_planes_picture(
    place: LesionPlace,
    layers: Sequence[Layer],
    *,
    name: str,
    ask: Callable[[], object] | None = None,
) -> Picture:
    """Draw axial, coronal and sagittal planes through the centre of a lesion.

    Parameters
    ----------
    place : LesionPlace
        The lesion.
    layers : sequence of Layer
        Rows, from top to bottom; at least one.
    name : str
        Name of the lesion, for the alternative text.
    ask : callable, optional
        Called before every row; what it raises ends the work.

    Returns
    -------
    Picture
        PNG.
    """
    frame = place.grid.frame_of_reference
    planes = [
        make_plane(
            view,
            place.centre_mm,
            frame_of_reference=frame,
            width_mm=_WIDTH_MM,
            height_mm=_HEIGHT_MM,
            pixel_mm=_PIXEL_MM,
        )
        for view in VIEWS
    ]
    here = Transform.identity(frame)
    outlines = [sample_plane(place.mask, place.grid, p, transform=here) for p in planes]
    height_in = _PANEL_IN * _HEIGHT_MM / _WIDTH_MM
    gap, left, right, top, bottom = 0.045, 0.46, 0.86, 0.26, 0.26
    width = left + 3 * (_PANEL_IN + gap) + right
    height = top + len(layers) * (height_in + gap) + bottom
    with style():
        figure = new_figure(width, height)
        for row, layer in enumerate(layers):
            if ask is not None:
                ask()
            y = (height - top - (row + 1) * height_in - row * gap) / height
            for column, (plane, outline) in enumerate(zip(planes, outlines, strict=True)):
                x = (left + column * (_PANEL_IN + gap)) / width
                axes = figure.add_axes((x, y, _PANEL_IN / width, height_in / height))
                draw_layer(axes, layer, plane)
                draw_outline(axes, outline, plane)
                dress_plane(axes, plane)
                if row == 0:
                    axes.set_title(plane.view, pad=4)
            figure.text(
                0.21 / width,
                y + height_in / height / 2,
                layer.title,
                rotation=90,
                ha="center",
                va="center",
                weight="bold",
                size=8.5,
                linespacing=1.35,
            )
            if layer.unit:
                box = (
                    (left + 3 * (_PANEL_IN + gap) + 0.03) / width,
                    y + 0.04 * height_in / height,
                    0.09 / width,
                    0.92 * height_in / height,
                )
                add_colour_bar(figure, box, layer)
        _legend(figure, left / width, 0.07 / height, width, height)
        if ask is not None:
            ask()
        return to_png(figure, _alt(name, layers))


def _legend(figure: object, x: float, y: float, width: float, height: float) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    assert isinstance(figure, Figure)
    figure.add_artist(
        Rectangle(
            (x, y),
            0.16 / width,
            0.1 / height,
            facecolor=NOT_MEASURED,
            edgecolor="#444",
            linewidth=0.4,
        )
    )
    figure.text(
        x + 0.22 / width,
        y,
        "not measured, or outside the field of view      "
        "white line: outline of the lesion      colours of R2* and ΔR2*: square-root scale",
        size=7.2,
        va="bottom",
        color="#4a545e",
    )


def _alt(name: str, layers: Sequence[Layer]) -> str:
    rows = "; ".join(
        layer.title.replace("\n", " ")
        + (f", window {layer.low:g} to {layer.high:g}, {layer.unit}" if layer.unit else "")
        for layer in layers
    )
    return (
        f"Axial, coronal and sagittal planes through {drawable(name, 60)} with its outline. "
        f"Rows: {rows}."
    )
