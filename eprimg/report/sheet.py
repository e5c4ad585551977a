"""A sheet of panels: their pixels by numpy, the letters and lines over them by matplotlib.

One axes for every panel would be the plain way, but making and drawing an axes costs more than all
that is seen in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, IdentityTransform

from eprimg.report.drawing import DPI, halo, new_figure
from eprimg.report.lettering import Lettering, take_off
from eprimg.report.picture import Picture, to_png
from eprimg.report.planes import Plane

__all__ = ["Box", "Sheet", "pixels_of", "rims_mm"]

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_POINT: Final = DPI / 72
"""Pixels per point."""


@dataclass(frozen=True, slots=True)
class Box:
    """Place of a panel on a sheet.

    Parameters
    ----------
    left, top : int
        Pixels from the upper left corner of the sheet.
    width, height : int
        Size in pixels.
    """

    left: int
    top: int
    width: int
    height: int


class Sheet:
    """A white picture that panels, letters and lines are put on.

    Parameters
    ----------
    width_px, height_px : int
        Size.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width, self.height = width_px, height_px
        self.pixels: Pixels = np.full((height_px, width_px, 3), 255, dtype=np.uint8)

    @cached_property
    def figure(self) -> Figure:
        """What letters and lines are drawn on; its ground is not painted."""
        # A canvas rounds down: a hundredth more, so that no pixel is lost to floating point.
        figure = new_figure((self.width + 0.01) / DPI, (self.height + 0.01) / DPI)
        figure.patch.set_visible(False)
        return figure

    def show(self, colours: npt.NDArray[Any], box: Box) -> None:
        """Put the pixels of a panel in their place.

        Parameters
        ----------
        colours : ndarray, shape (rows, columns, 3)
            RGB: uint8, or numbers between 0 and 1.
        box : Box
            Filled by repeating pixels: nothing is smoothed.
        """
        rows = (np.arange(box.height) + 0.5) * colours.shape[0] / box.height
        columns = (np.arange(box.width) + 0.5) * colours.shape[1] / box.width
        taken = pixels_of(colours)[rows.astype(np.intp)][:, columns.astype(np.intp)]
        self.pixels[box.top : box.top + box.height, box.left : box.left + box.width] = taken

    def fraction(self, box: Box) -> tuple[float, float, float, float]:
        """Return a place as matplotlib wants it for axes.

        Parameters
        ----------
        box : Box
            The place.

        Returns
        -------
        tuple of float
            Left, bottom, width and height in fractions of the sheet.
        """
        bottom = self.height - box.top - box.height
        return (
            box.left / self.width,
            bottom / self.height,
            box.width / self.width,
            box.height / self.height,
        )

    def write(self, x_px: float, y_px: float, words: str, **look: Any) -> None:
        """Write words.

        Parameters
        ----------
        x_px, y_px : float
            Pixels from the upper left corner of the sheet.
        words : str
            What is written.
        **look
            Properties of a matplotlib text.
        """
        self.figure.text(x_px, self.height - y_px, words, transform=IdentityTransform(), **look)

    def entitle(self, box: Box, words: str) -> None:
        """Write a title above a panel.

        Parameters
        ----------
        box : Box
            The panel.
        words : str
            The title.
        """
        self.write(
            box.left + box.width / 2,
            box.top - 4 * _POINT,
            words,
            ha="center",
            va="baseline",
            size=9.5,
            weight="bold",
        )

    def write_upwards(self, x_px: float, y_px: float, words: str, **look: Any) -> None:
        """Write the words of a row beside it, from below to above.

        Parameters
        ----------
        x_px, y_px : float
            Middle of the words, in pixels from the upper left corner of the sheet.
        words : str
            What is written.
        **look
            Properties of a matplotlib text.
        """
        middle = {"ha": "center", "va": "center", "rotation": 90}
        self.write(x_px, y_px, words, weight="bold", linespacing=1.35, **middle, **look)

    def dress(self, box: Box, plane: Plane, *, scale_mm: float = 20.0, size: float = 8.0) -> None:
        """Add edge letters and a scale bar to a panel.

        Parameters
        ----------
        box : Box
            The panel.
        plane : Plane
            The cut that it shows.
        scale_mm : float
            Length of the scale bar.
        size : float
            Font size of the letters.
        """
        places = (
            (0.03, 0.5, "left", "center"),
            (0.97, 0.5, "right", "center"),
            (0.5, 0.04, "center", "top"),
            (0.5, 0.965, "center", "bottom"),
        )
        light: dict[str, Any] = {"color": "white", "path_effects": halo()}
        for letter, (x, y, across, along) in zip(plane.letters, places, strict=True):
            self.write(
                box.left + x * box.width,
                box.top + y * box.height,
                letter,
                ha=across,
                va=along,
                size=size,
                weight="bold",
                **light,
            )
        length = scale_mm * self._px_per_mm(box, plane)[0]
        end = box.left + 0.95 * box.width
        self._line([(end - length, 0.93), (end, 0.93)], box)
        self.write(
            end - length / 2,
            box.top + 0.895 * box.height,
            f"{scale_mm / 10:g} cm",
            ha="center",
            va="bottom",
            size=size - 1.5,
            **light,
        )

    def outline(
        self,
        box: Box,
        plane: Plane,
        rims: list[FloatArray],
        *,
        colour: str = "white",
        width: float = 1.0,
        dark: float = 0.0,
    ) -> None:
        """Draw the outline of a region, as far as it lies on the panel.

        Parameters
        ----------
        box : Box
            The panel.
        plane : Plane
            The cut that it shows.
        rims : list of ndarray
            From `rims_mm`.
        colour : str
            Colour of the line.
        width : float
            Width in points.
        dark : float
            Points of black around the line; none for 0.
        """
        if not rims:
            return
        paths = [
            Path(self._at(box, plane, rim), closed=bool((rim[0] == rim[-1]).all())) for rim in rims
        ]
        lines = PathCollection(
            paths,
            facecolors="none",
            edgecolors=[colour],
            linewidths=[width],
            transform=IdentityTransform(),
        )
        if dark:
            lines.set_path_effects(halo(width + dark))
        self.figure.add_artist(lines)
        lines.set_clip_box(self._clip(box))

    def mark(
        self,
        box: Box,
        plane: Plane,
        at_mm: tuple[float, float],
        words: str,
        *,
        offset_points: tuple[float, float],
        colour: str,
    ) -> None:
        """Put a number beside a place, joined to it by a line; not where the place is not shown.

        Parameters
        ----------
        box : Box
            The panel.
        plane : Plane
            The cut that it shows.
        at_mm : tuple of float
            The place: millimetres from the centre of the plane, to the right and down.
        words : str
            What is written.
        offset_points : tuple of float
            From the place to the words: to the right and up.
        colour : str
            Colour of the line.
        """
        left, right, bottom, top = plane.extent_mm
        if not (left <= at_mm[0] <= right and top <= at_mm[1] <= bottom):
            return
        (place,) = self._at(box, plane, np.array([at_mm]))
        self.figure.add_artist(
            Annotation(
                words,
                (float(place[0]), float(place[1])),
                offset_points,
                xycoords="figure pixels",
                textcoords="offset points",
                size=9,
                weight="bold",
                color="white",
                ha="center",
                va="center",
                path_effects=halo(2.4),
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8},
            )
        )

    def lettering(self) -> Lettering:
        """Take off what was written and drawn, without the panels.

        Returns
        -------
        Lettering
            To be laid over this sheet or over others.
        """
        return take_off(self.figure)

    def picture(self, alt: str) -> Picture:
        """Lay what was written and drawn over the panels.

        Parameters
        ----------
        alt : str
            Alternative text.

        Returns
        -------
        Picture
            PNG.
        """
        self.lettering().lay_over(self.pixels)
        return to_png(self.pixels, alt)

    def _line(self, ends: list[tuple[float, float]], box: Box) -> None:
        """Draw a bar; ends are pixels across the sheet and shares of the panel from its top."""
        heights = [self.height - box.top - y * box.height for _, y in ends]
        self.figure.add_artist(
            Line2D(
                [x for x, _ in ends],
                heights,
                color="white",
                linewidth=2.0,
                solid_capstyle="butt",
                path_effects=halo(3.4),
                transform=IdentityTransform(),
            )
        )

    def _px_per_mm(self, box: Box, plane: Plane) -> tuple[float, float]:
        left, right, bottom, top = plane.extent_mm
        return box.width / (right - left), box.height / (bottom - top)

    def _at(self, box: Box, plane: Plane, points_mm: FloatArray) -> FloatArray:
        """Go from millimetres on the plane (right, down) to matplotlib's pixels (right, up)."""
        across, down = self._px_per_mm(box, plane)
        x = box.left + box.width / 2 + across * points_mm[:, 0]
        y = self.height - box.top - box.height / 2 - down * points_mm[:, 1]
        return np.stack([x, y], axis=1)

    def _clip(self, box: Box) -> Bbox:
        bottom = self.height - box.top - box.height
        return Bbox.from_bounds(box.left, bottom, box.width, box.height)


def pixels_of(colours: npt.NDArray[Any]) -> Pixels:
    """Round colours to what a picture holds.

    Parameters
    ----------
    colours : ndarray, shape (rows, columns, 3)
        RGB: uint8, or numbers between 0 and 1.

    Returns
    -------
    ndarray of uint8
        RGB from 0 to 255.
    """
    if colours.dtype == np.uint8:
        return cast("Pixels", colours)
    return (255 * colours + 0.5).astype(np.uint8)


def rims_mm(mask_cut: FloatArray, pixel_mm: float) -> list[FloatArray]:
    """Trace the outline of a region on a cut.

    Parameters
    ----------
    mask_cut : ndarray, shape (rows, columns)
        Cut through a mask of zeros and ones; NaN is outside.
    pixel_mm : float
        Distance between pixel centres of the cut.

    Returns
    -------
    list of ndarray, shape (n, 2)
        Lines where the mask passes 0.5: millimetres from the centre of the cut, to the right and
        down.
    """
    from skimage.measure import find_contours

    cut = np.nan_to_num(mask_cut)
    if cut.max() <= 0.5 or cut.min() >= 0.5:
        return []
    middle = (np.array(cut.shape) - 1) / 2
    return [(line - middle)[:, ::-1] * pixel_mm for line in find_contours(cut, 0.5)]
