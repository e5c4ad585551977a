"""A picture of a study small enough for a page of thousands: coronal, PET over MR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.transform import Transform
from eprimg.report.frames import reference_grid
from eprimg.report.layers import Layer, anatomy_layer, pet_layer
from eprimg.report.lesion_figure import LesionPlace, lesion_places
from eprimg.report.planes import Plane, bounds_mm, make_plane, project_maximum, sample_plane

__all__ = ["THUMBNAIL_SIZE", "make_thumbnail"]

FloatArray = npt.NDArray[np.float64]

THUMBNAIL_SIZE: Final = (240, 180)
"""Greatest width and height in pixels; the page shows it at half of that."""
_OUTLINE: Final = (0.34, 0.95, 1.0)
_STEP_MM: Final = 5.0
_OPAQUE_AT: Final = 0.6
_QUALITY: Final = 75


def make_thumbnail(case: Case, config: Config | None = None) -> bytes | None:
    """Draw a coronal plane through the largest lesion.

    Parameters
    ----------
    case : Case
        A finished case.
    config : Config, optional
        Settings, for the PET window.

    Returns
    -------
    bytes or None
        WebP of a few kilobytes: PET in colours over the MR series, or the PET projection in
        inverted grey where there is no MR series; outlines of the lesions as seen along the line
        of sight. It holds no text. None when there is no volume to show.
    """
    grid = reference_grid(case)
    if grid is None:
        return None
    frame = grid.frame_of_reference
    anatomy = anatomy_layer(case, frame)
    uptake = pet_layer(case, config or Config(), frame)
    ground = anatomy or uptake
    if ground is None:
        return None
    places = list(lesion_places(case.lesions).values()) if case.lesions is not None else []
    plane = _plane(ground, places, frame)
    if anatomy is not None:
        picture = _coloured(_cut(anatomy, plane), anatomy, "gray")
        if uptake is not None:
            picture = _laid_over(picture, _cut(uptake, plane), uptake)
    else:
        picture = _coloured(_projected(ground, plane), ground, ground.colours)
    picture = _outlined(picture, places, plane)
    return _webp(picture)


def _plane(ground: Layer, places: Sequence[LesionPlace], frame: str) -> Plane:
    """Frame the whole volume, at the depth of the largest lesion."""
    low, high = bounds_mm([(ground.grid, ground.transform)])
    centre, size = (low + high) / 2, high - low
    if places:
        centre[1] = max(places, key=lambda p: int(p.mask.sum())).centre_mm[1]
    pixel_mm = max(size[0] / THUMBNAIL_SIZE[0], size[2] / THUMBNAIL_SIZE[1])
    return make_plane(
        "coronal",
        centre,
        frame_of_reference=frame,
        width_mm=size[0],
        height_mm=size[2],
        pixel_mm=float(pixel_mm),
    )


def _cut(layer: Layer, plane: Plane) -> FloatArray:
    return sample_plane(
        layer.values, layer.grid, plane, transform=layer.transform, valid=layer.valid
    )


def _projected(layer: Layer, plane: Plane) -> FloatArray:
    low, high = bounds_mm([(layer.grid, layer.transform)])
    centre = np.array(plane.centre_mm)
    centre[1] = (low[1] + high[1]) / 2
    return project_maximum(
        layer.values,
        layer.grid,
        replace(plane, centre_mm=centre),
        depth_mm=float(high[1] - low[1]),
        step_mm=_STEP_MM,
        transform=layer.transform,
    )


def _scaled(cut: FloatArray, layer: Layer) -> FloatArray:
    span = max(layer.high - layer.low, 1e-12)
    return np.clip((np.nan_to_num(cut, nan=layer.low) - layer.low) / span, 0.0, 1.0)


def _coloured(cut: FloatArray, layer: Layer, colours: str) -> FloatArray:
    """Paint a cut; beyond the grid stays black, or white for inverted grey."""
    import matplotlib as mpl

    return np.asarray(mpl.colormaps[colours](_scaled(cut, layer))[..., :3], dtype=np.float64)


def _laid_over(picture: FloatArray, cut: FloatArray, layer: Layer) -> FloatArray:
    """Lay the uptake over the anatomy, the more opaque the stronger it is."""
    share = _scaled(cut, layer)
    opacity = np.clip(share / _OPAQUE_AT, 0.0, 1.0)[..., np.newaxis]
    return picture * (1.0 - opacity) + _coloured(cut, layer, "inferno") * opacity


def _outlined(picture: FloatArray, places: Sequence[LesionPlace], plane: Plane) -> FloatArray:
    """Draw the edge of every lesion's projection, one pixel wide."""
    from scipy import ndimage

    edges = np.zeros(plane.shape, dtype=np.bool_)
    for place in places:
        reach = float(np.linalg.norm(np.array(place.grid.shape) * place.grid.spacing_mm))
        centre = np.array(plane.centre_mm)
        centre[1] = place.centre_mm[1]
        seen = project_maximum(
            place.mask,
            place.grid,
            replace(plane, centre_mm=centre),
            depth_mm=reach,
            step_mm=_STEP_MM,
            transform=Transform.identity(plane.frame_of_reference),
        )
        inner = np.nan_to_num(seen) > 0.5
        edges |= ndimage.binary_dilation(inner) & ~inner
    picture = picture.copy()
    picture[edges] = _OUTLINE
    return picture


def _webp(picture: FloatArray) -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    pixels = np.round(255.0 * picture).astype(np.uint8)
    Image.fromarray(pixels).save(sink, "WEBP", quality=_QUALITY, method=4)
    return sink.getvalue()
