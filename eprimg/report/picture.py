"""Figures as data URIs: what the page carries inside itself."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "to_png", "to_svg"]

_LEVEL: Final = 5
"""A page of level 7 is 4 % smaller and takes more than twice the time to write."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure ready for the page.

    Parameters
    ----------
    uri : str
        ``data:`` URI.
    alt : str
        What it shows, for those who cannot see it.
    """

    uri: str
    alt: str


def to_png(drawn: Figure | npt.NDArray[np.uint8], alt: str) -> Picture:
    """Write a figure as PNG.

    Parameters
    ----------
    drawn : Figure or ndarray of uint8, shape (rows, columns, 3)
        The figure, or its pixels.
    alt : str
        Alternative text.

    Returns
    -------
    Picture
        With three colour channels: the page is white, so transparency would only cost bytes.
    """
    from PIL import Image

    pixels = drawn if isinstance(drawn, np.ndarray) else _pixels(drawn)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(
        sink, "PNG", compress_level=_LEVEL, compress_type=zlib.Z_DEFAULT_STRATEGY
    )
    return Picture(_uri("image/png", sink.getvalue()), alt)


def to_svg(figure: Figure, alt: str) -> Picture:
    """Write a figure as SVG, sharp at any size.

    Parameters
    ----------
    figure : Figure
        The figure.
    alt : str
        Alternative text.

    Returns
    -------
    Picture
        Text is drawn as paths, so that no font is needed.
    """
    sink = io.BytesIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(_uri("image/svg+xml", sink.getvalue()), alt)


def _pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    canvas = cast("Any", figure.canvas)  # matplotlib leaves these methods untyped
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
