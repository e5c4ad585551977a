"""Figures as data URIs: what the page carries inside itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "to_png", "to_svg"]


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


def to_png(figure: Figure, alt: str) -> Picture:
    """Write a figure as PNG.

    Parameters
    ----------
    figure : Figure
        The figure.
    alt : str
        Alternative text.

    Returns
    -------
    Picture
        With three colour channels: the page is white, so transparency would only cost bytes.
    """
    from PIL import Image

    canvas = cast("Any", figure.canvas)  # matplotlib leaves these methods untyped
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(sink, "PNG", compress_level=7)
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


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
