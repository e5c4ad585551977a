"""Three orthogonal planes through a lesion, one row per layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.transforms import IdentityTransform
from scipy import ndimage

from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.transform import Transform
from eprimg.report.drawing import (
    DPI,
    add_colour_bar,
    drawable,
    layer_cut,
    plane_colours,
    style,
)
from eprimg.report.layers import Layer
from eprimg.report.lettering import Lettering
from eprimg.report.palette import NOT_MEASURED
from eprimg.report.picture import Picture, to_png
from eprimg.report.planes import VIEWS, Plane, make_plane, sample_plane
from eprimg.report.sheet import Box, Sheet, rims_mm

__all__ = [
    "LesionLettering",
    "LesionPlace",
    "lesion_lettering",
    "lesion_places",
    "lesion_planes_picture",
]

_WIDTH_MM, _HEIGHT_MM, _PIXEL_MM = 160.0, 124.0, 0.6
# Whole pixels: what is drawn over one row then fits every other.  Millimetres are as long across as
# down within 0.1 %.
_PANEL, _GAP = (293, 227), 7
_LEFT, _TOP, _BOTTOM, _WIDTH_PX = 69, 39, 39, 1095


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


class LesionLettering(NamedTuple):
    """What the pictures of all lesions have in common.

    Parameters
    ----------
    row : Lettering
        Edge letters and scale bars, the same in every row of panels.
    around : Lettering
        Titles, colour bars and legend.
    """

    row: Lettering
    around: Lettering


def lesion_lettering(layers: Sequence[Layer]) -> LesionLettering:
    """Draw what the pictures of all lesions have in common.

    Parameters
    ----------
    layers : sequence of Layer
        Rows, from top to bottom; at least one.

    Returns
    -------
    LesionLettering
        To be laid over the panels of a lesion.
    """
    with style():
        strip, sheet = Sheet(_WIDTH_PX, _PANEL[1]), Sheet(_WIDTH_PX, _height_px(layers))
        # Letters and scale depend on the directions of the planes alone, which all lesions share.
        for column, plane in enumerate(_planes(np.zeros(3), "")):
            strip.dress(replace(_box(0, column), top=0), plane)
            sheet.entitle(_box(0, column), plane.view)
        for row, layer in enumerate(layers):
            first = _box(row, 0)
            middle = first.top + first.height / 2
            sheet.write_upwards(0.21 * DPI, middle, layer.title, size=8.5)
            if layer.unit:
                bar = Box(
                    _LEFT + len(VIEWS) * (_PANEL[0] + _GAP) + 4,
                    first.top + round(0.04 * first.height),
                    14,
                    round(0.92 * first.height),
                )
                add_colour_bar(sheet.figure, sheet.fraction(bar), layer)
        _legend(sheet)
        return LesionLettering(strip.lettering(), sheet.lettering())


def lesion_planes_picture(
    place: LesionPlace,
    layers: Sequence[Layer],
    *,
    name: str,
    lettering: LesionLettering | None = None,
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
    lettering : LesionLettering, optional
        From `lesion_lettering` with the same layers, when many lesions share it.
    ask : callable, optional
        Called before every row; what it raises ends the work.

    Returns
    -------
    Picture
        PNG.
    """
    letters = lesion_lettering(layers) if lettering is None else lettering
    planes = _planes(place.centre_mm, place.grid.frame_of_reference)
    outlines = _outlines(place, planes)
    cuts = [_Cuts(plane) for plane in planes]
    sheet = Sheet(_WIDTH_PX, _height_px(layers))
    for row, layer in enumerate(layers):
        if ask is not None:
            ask()
        for column, (plane, cut) in enumerate(zip(planes, cuts, strict=True)):
            sheet.show(plane_colours(layer, plane, take=cut.take), _box(row, column))
        for drawn in (outlines, letters.row):
            drawn.lay_over(sheet.pixels, top=_box(row, 0).top)
    if ask is not None:
        ask()
    letters.around.lay_over(sheet.pixels)
    return to_png(sheet.pixels, _alt(name, layers))


class _Cuts:
    """Cuts through the layers of one plane: the fusion shows two that were made before."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._made: dict[tuple[int, ...], npt.NDArray[np.float64]] = {}

    def take(self, layer: Layer) -> npt.NDArray[np.float64]:
        parts = (layer.values, layer.grid, layer.transform, layer.valid)
        key = tuple(id(part) for part in parts)
        if key not in self._made:
            self._made[key] = layer_cut(layer, self._plane)
        return self._made[key]


def _planes(centre_mm: npt.NDArray[np.float64], frame: str) -> list[Plane]:
    return [
        make_plane(
            view,
            centre_mm,
            frame_of_reference=frame,
            width_mm=_WIDTH_MM,
            height_mm=_HEIGHT_MM,
            pixel_mm=_PIXEL_MM,
        )
        for view in VIEWS
    ]


def _outlines(place: LesionPlace, planes: Sequence[Plane]) -> Lettering:
    """Draw the outlines of one row; they are the same in every row."""
    here = Transform.identity(place.grid.frame_of_reference)
    with style():
        strip = Sheet(_WIDTH_PX, _PANEL[1])
        for column, plane in enumerate(planes):
            cut = sample_plane(place.mask, place.grid, plane, transform=here)
            there = replace(_box(0, column), top=0)
            strip.outline(there, plane, rims_mm(cut, plane.pixel_mm), dark=1.4)
        return strip.lettering()


def _box(row: int, column: int) -> Box:
    width, height = _PANEL
    return Box(_LEFT + column * (width + _GAP), _TOP + row * (height + _GAP), width, height)


def _height_px(layers: Sequence[Layer]) -> int:
    return _TOP + len(layers) * (_PANEL[1] + _GAP) + _BOTTOM


def _legend(sheet: Sheet) -> None:
    from matplotlib.patches import Rectangle

    bottom = 0.07 * DPI
    sheet.figure.add_artist(
        Rectangle(
            (_LEFT, bottom),
            0.16 * DPI,
            0.1 * DPI,
            facecolor=NOT_MEASURED,
            edgecolor="#444",
            linewidth=0.4,
            transform=IdentityTransform(),
        )
    )
    sheet.write(
        _LEFT + 0.22 * DPI,
        sheet.height - bottom,
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
