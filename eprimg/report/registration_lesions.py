"""Registration check at every lesion: both series in turn, as a checkerboard, and with edges."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Case
from eprimg.model.transform import Registration
from eprimg.report.layers import Layer
from eprimg.report.lesion_figure import LesionPlace
from eprimg.report.picture import Picture
from eprimg.report.planes import make_plane, sample_plane
from eprimg.report.registration_figure import (
    EDGE,
    check_layers,
    checkerboard,
    edge_mask,
    scaled_cut,
)

__all__ = ["MOST_LESIONS", "LesionCheck", "lesion_checks"]

FloatArray = npt.NDArray[np.float64]

MOST_LESIONS = 12
"""More would make the page too big to open or to send."""

_PIXEL_MM = 1.0
_SIDE_MM = 108.0
_TILE_MM = 18.0
_GAP = 4
_ENLARGED = 2
_QUALITY = 78


@dataclass(frozen=True, slots=True)
class LesionCheck:
    """Four pictures of three planes through a lesion, all of the same size.

    Parameters
    ----------
    fixed, moved : Picture
        Both series, to be shown in turn.
    tiles : Picture
        Checkerboard of both.
    edges : Picture
        Edges of the fixed series over the moved one.
    """

    fixed: Picture
    moved: Picture
    tiles: Picture
    edges: Picture


def lesion_checks(
    case: Case, registration: Registration, places: dict[int, LesionPlace]
) -> dict[int, LesionCheck]:
    """Draw axial, coronal and sagittal planes through lesions.

    Parameters
    ----------
    case : Case
        The case.
    registration : Registration
        What is checked, whether accepted or not.
    places : dict of int to LesionPlace
        Lesions on the reference grid, by region id.

    Returns
    -------
    dict
        By region id, for the first `MOST_LESIONS` of them; empty when the two series cannot be
        shown together.
    """
    layers = check_layers(case, registration)
    if layers is None:
        return {}
    frame = layers[0].grid.frame_of_reference
    checks = {}
    for number, place in list(places.items())[:MOST_LESIONS]:
        if place.grid.frame_of_reference == frame:
            checks[number] = _check(registration, layers, place)
    return checks


def _check(
    registration: Registration, layers: tuple[Layer, Layer], place: LesionPlace
) -> LesionCheck:
    rows: tuple[list[FloatArray], ...] = ([], [], [], [])
    frame = layers[0].grid.frame_of_reference
    for view in ("axial", "coronal", "sagittal"):
        plane = make_plane(
            view,
            place.centre_mm,
            frame_of_reference=frame,
            width_mm=_SIDE_MM,
            height_mm=_SIDE_MM,
            pixel_mm=_PIXEL_MM,
        )
        # What lies outside a field of view is black in either picture, so that it does not flicker.
        first, second = (np.nan_to_num(scaled_cut(layer, plane)) for layer in layers)
        outline = _outline(sample_plane(place.mask.astype(np.float32), place.grid, plane))
        tiles = checkerboard(first, second, round(_TILE_MM / _PIXEL_MM))
        for row, cut in zip(rows, (first, second, tiles), strict=False):
            row.append(np.where(outline, 1.0, cut))
        coloured = np.repeat(second[..., None], 3, axis=-1)
        coloured[edge_mask(first)] = EDGE
        rows[3].append(coloured)
    what = f"three planes through lesion {place.id}"
    fixed, moving = registration.fixed, registration.moving
    return LesionCheck(
        _picture(rows[0], f"{fixed} in {what}, the lesion outlined"),
        _picture(rows[1], f"{moving}, aligned with {fixed}, in {what}, the lesion outlined"),
        _picture(rows[2], f"Tiles of {fixed} and {moving} in turn, in {what}"),
        _picture(rows[3], f"Edges of {fixed} over {moving} as aligned, in {what}"),
    )


def _outline(mask_cut: FloatArray) -> npt.NDArray[np.bool_]:
    """Dots on the rim of a mask, so that what lies under it can still be seen."""
    from scipy import ndimage

    inside = np.nan_to_num(mask_cut) >= 0.5
    rim = ndimage.binary_dilation(inside) & ~inside
    rows, columns = np.indices(rim.shape)
    return np.asarray(rim & ((rows + columns) % 3 == 0))


def _picture(planes: list[FloatArray], alt: str) -> Picture:
    """Set planes side by side; JPEG, for it is looked at and not measured."""
    from PIL import Image

    gap = np.ones((planes[0].shape[0], _GAP, *planes[0].shape[2:]))
    strip = np.concatenate([planes[0], gap, planes[1], gap, planes[2]], axis=1)
    drawn = Image.fromarray(np.round(255 * np.clip(strip, 0, 1)).astype(np.uint8))
    size = (drawn.width * _ENLARGED, drawn.height * _ENLARGED)
    sink = io.BytesIO()
    drawn.resize(size, Image.Resampling.BICUBIC).save(
        sink, "JPEG", quality=_QUALITY, subsampling=0, optimize=True
    )
    text = base64.b64encode(sink.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", alt)
