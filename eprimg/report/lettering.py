"""What is drawn without a ground, to be laid over pixels as often as wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Lettering", "take_off"]


@dataclass(frozen=True, eq=False, slots=True)
class Lettering:
    """Pixels that words and lines touch, and how much of the ground they cover.

    Parameters
    ----------
    rows, columns : ndarray of int, shape (n,)
        Pixels that are touched.
    opacity : ndarray of uint32, shape (n, 1)
        From 1 to 255.
    ink : ndarray of uint32, shape (n, 3)
        RGB from 0 to 255, times the opacity.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    opacity: npt.NDArray[np.uint32]
    ink: npt.NDArray[np.uint32]

    def lay_over(self, pixels: npt.NDArray[np.uint8], *, top: int = 0, left: int = 0) -> None:
        """Draw onto pixels, which are changed.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (rows, columns, 3)
            RGB.
        top, left : int
            Where the upper left corner of the lettering comes to lie.
        """
        place = (self.rows + top, self.columns + left)
        mixed = self.ink + pixels[place] * (255 - self.opacity)
        pixels[place] = (mixed + 127) // 255


def take_off(figure: Figure) -> Lettering:
    """Draw a figure whose ground is not painted.

    Parameters
    ----------
    figure : Figure
        With a raster canvas.

    Returns
    -------
    Lettering
        What is seen of it.
    """
    canvas = cast("Any", figure.canvas)  # matplotlib leaves these methods untyped
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    rows, columns = np.nonzero(drawn[..., 3])
    colours = drawn[rows, columns].astype(np.uint32)
    opacity = colours[:, 3:]
    return Lettering(rows, columns, opacity, colours[:, :3] * opacity)
