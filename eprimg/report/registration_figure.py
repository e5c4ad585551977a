"""Registration check: the moved series against the reference, before and after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.model.case import Case
from eprimg.model.study import Role, Series
from eprimg.model.transform import Registration, Transform
from eprimg.report.drawing import DPI, cut_colours, style
from eprimg.report.layers import Layer, first_echo, signal_window
from eprimg.report.picture import Picture
from eprimg.report.planes import VIEWS, Plane, bounds_mm, make_plane, sample_plane
from eprimg.report.sheet import Box, Sheet

__all__ = [
    "EDGE",
    "check_layers",
    "checkerboard",
    "edge_mask",
    "registration_picture",
    "scaled_cut",
]

FloatArray = npt.NDArray[np.float64]

_PIXEL_MM = 1.5
_TILE_MM = 30.0
_PANEL_PX = 368
_LEFT, _TOP, _GAP = 69, 40, 7
EDGE = (0.84, 0.37, 0.0)
"""Colour of edges, RGB between 0 and 1."""


def checkerboard(first: FloatArray, second: FloatArray, tile: int) -> FloatArray:
    """Alternate tiles of two pictures.

    Parameters
    ----------
    first, second : ndarray, shape (rows, columns)
        Pictures of the same plane; the tile at the upper left shows the first.
    tile : int
        Size of a tile in pixels.

    Returns
    -------
    ndarray, shape (rows, columns)
        The mixture.
    """
    rows, columns = np.indices(first.shape)
    return np.where((rows // tile + columns // tile) % 2 == 0, first, second)


def edge_mask(
    cut: FloatArray, *, smooth_pixels: float = 1.2, share: float = 0.06
) -> npt.NDArray[np.bool_]:
    """Find the strongest edges of a picture.

    Parameters
    ----------
    cut : ndarray, shape (rows, columns)
        Picture; NaN counts as the lowest value.
    smooth_pixels : float
        Width of the Gaussian derivative.
    share : float
        Part of the pixels that may become edges.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        Thin lines where the gradient is strongest along its own direction.
    """
    seen = np.isfinite(cut)
    if not seen.any():
        return np.zeros(cut.shape, dtype=np.bool_)
    filled = np.where(seen, cut, np.nanmin(cut))
    down = ndimage.gaussian_filter(filled, smooth_pixels, order=(1, 0))
    right = ndimage.gaussian_filter(filled, smooth_pixels, order=(0, 1))
    strength = np.hypot(down, right)
    # The rim of the field of view is no anatomy.
    strength[~ndimage.binary_erosion(seen, iterations=3, border_value=1)] = 0
    safe = np.where(strength > 0, strength, 1)
    rows, columns = np.indices(cut.shape, dtype=np.float64)
    ridge = np.ones(cut.shape, dtype=np.bool_)
    for sign in (1, -1):
        beside = ndimage.map_coordinates(
            strength,
            [rows + sign * down / safe, columns + sign * right / safe],
            order=1,
            mode="nearest",
        )
        ridge &= strength >= beside
    positive = strength[strength > 0]
    if positive.size == 0:
        return np.zeros(cut.shape, dtype=np.bool_)
    limit = max(float(np.quantile(strength, 1 - 3 * share)), 0.05 * float(positive.max()))
    return np.asarray(ridge & (strength > limit), dtype=np.bool_)


def check_layers(case: Case, registration: Registration) -> tuple[Layer, Layer] | None:
    """Prepare both series of a registration to be looked at.

    Parameters
    ----------
    case : Case
        The case.
    registration : Registration
        What is checked.

    Returns
    -------
    tuple of Layer or None
        The fixed series, and the moving one through the transform; None when one of the series is
        not there or its frames do not fit.
    """
    found = {s.key: s for s in case.study.series}
    fixed, moving = found.get(registration.fixed), found.get(registration.moving)
    ends = (registration.transform.from_frame, registration.transform.to_frame)
    if (
        fixed is None
        or moving is None
        or ends != (fixed.grid.frame_of_reference, moving.grid.frame_of_reference)
    ):
        return None
    still = _layer(case, fixed, Transform.identity(ends[0]))
    return still, _layer(case, moving, registration.transform)


def registration_picture(
    case: Case, registration: Registration, centre_mm: FloatArray | None
) -> Picture | None:
    """Draw a registration in three planes: checkerboard, edges after, edges before.

    Parameters
    ----------
    case : Case
        The case.
    registration : Registration
        What is checked, whether accepted or not.
    centre_mm : ndarray, shape (3,), or None
        Where the planes cross, in the fixed frame; the centre of the fixed grid by default.

    Returns
    -------
    Picture or None
        PNG; None when one of the series is not there or its frames do not fit.
    """
    layers = check_layers(case, registration)
    if layers is None:
        return None
    still, moved = layers
    frame = still.grid.frame_of_reference
    unmoved = replace(moved, transform=Transform.identity(frame, moved.grid.frame_of_reference))
    low, high = bounds_mm([(still.grid, still.transform)])
    centre = (low + high) / 2 if centre_mm is None else np.asarray(centre_mm)
    size = np.minimum(high - low, 380.0)
    place = (low + high) / 2
    planes = []
    for view, across, width in (("axial", 2, 0), ("coronal", 1, 0), ("sagittal", 0, 1)):
        at = place.copy()
        at[across] = centre[across]
        # A patient is wider than deep: the empty front and back of an axial plane are left out.
        height = min(size[1], 0.75 * size[0]) if view == "axial" else size[2]
        planes.append(
            make_plane(
                view,
                at,
                frame_of_reference=frame,
                width_mm=size[width],
                height_mm=height,
                pixel_mm=_PIXEL_MM,
            )
        )
    assert tuple(p.view for p in planes) == VIEWS
    return _draw(registration, still, moved, unmoved, planes)


def _draw(
    registration: Registration, still: Layer, moved: Layer, unmoved: Layer, planes: list[Plane]
) -> Picture:
    scale = _PANEL_PX / max(p.shape[1] for p in planes)
    sizes = [(round(p.shape[1] * scale), round(p.shape[0] * scale)) for p in planes]
    tallest = max(height for _, height in sizes)
    rows = ("checkerboard", "aligned:\nreference edges", "not aligned:\nreference edges")
    width = _LEFT + sum(wide for wide, _ in sizes) + _GAP * (len(planes) + 1)
    height = _TOP + len(rows) * (tallest + _GAP) + _GAP
    with style():
        sheet = Sheet(width, height)
        x = _LEFT
        for plane, (wide, tall) in zip(planes, sizes, strict=True):
            cuts = [scaled_cut(layer, plane) for layer in (still, moved, unmoved)]
            edges = edge_mask(cuts[0])
            for row in range(len(rows)):
                box = Box(x, _TOP + row * (tallest + _GAP) + (tallest - tall) // 2, wide, tall)
                if row == 0:
                    mixed = checkerboard(cuts[0], cuts[1], round(_TILE_MM / plane.pixel_mm))
                    colours = cut_colours(mixed, low=0, high=1, colours="gray")
                    sheet.entitle(box, plane.view)
                else:
                    colours = cut_colours(cuts[row], low=0, high=1, colours="gray")
                    colours[edges] = EDGE
                sheet.show(colours, box)
                sheet.dress(box, plane, scale_mm=50.0)
            x += wide + _GAP
        for row, words in enumerate(rows):
            middle = _TOP + row * (tallest + _GAP) + tallest / 2
            sheet.write_upwards(0.21 * DPI, middle, words)
        return sheet.picture(
            f"Registration check of {registration.moving} to "
            f"{registration.fixed}: checkerboard of both, then the edges of "
            f"{registration.fixed} drawn over {registration.moving} with and without "
            "the transform, in axial, coronal and sagittal planes.",
        )


def _layer(case: Case, series: Series, transform: Transform) -> Layer:
    """Look at a series in a window between 0 and 1 of its own."""
    values = first_echo(series)
    low, high = signal_window(values)
    if series.role == Role.CT:
        low, high = -160.0, 240.0
    if series.role == Role.PET:
        # Uptake spans decades: the organs and the skin, not the hottest lesion, show the fit.
        sample = values[::2, ::2, ::2]
        sample = sample[sample > 0.05 * np.nanpercentile(sample, 99.9)]
        high = float(np.percentile(sample, 97)) if sample.size else high
    return Layer(str(series.role), "", values, series.grid, transform, low, high, "gray")


def scaled_cut(layer: Layer, plane: Plane) -> FloatArray:
    """Cut a layer and bring it between 0 and 1.

    Parameters
    ----------
    layer : Layer
        From `check_layers`.
    plane : Plane
        The cut.

    Returns
    -------
    ndarray, shape (rows, columns)
        NaN outside the field of view; PET as a square root.
    """
    cut = sample_plane(layer.values, layer.grid, plane, transform=layer.transform)
    scaled = np.clip((cut - layer.low) / (layer.high - layer.low), 0, 1)
    return np.sqrt(scaled) if layer.title == str(Role.PET) else scaled
