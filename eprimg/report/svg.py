"""Charts written as SVG by hand: many small ones cost next to nothing this way.

With matplotlib three small panels take as long as all planes of a lesion.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import Final

from eprimg.report.drawing import INK
from eprimg.report.picture import Picture

__all__ = ["AXIS_LINE", "GRID_LINE", "SMALL_INK", "label", "short", "svg_picture"]

GRID_LINE: Final = "#dfe3e7"
AXIS_LINE: Final = "#8a939c"
SMALL_INK: Final = "#4a545e"


def short(value: float) -> str:
    """Write a length.

    Parameters
    ----------
    value : float
        Pixels.

    Returns
    -------
    str
        With one decimal at most: more cannot be seen.
    """
    return f"{value:.1f}".removesuffix(".0")


def label(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    """Write words.

    Parameters
    ----------
    x, y : float
        Foot of the words, in pixels.
    text : str
        Any text; it is escaped.
    anchor : str
        ``start``, ``middle`` or ``end``.
    more : str
        Further attributes.

    Returns
    -------
    str
        An element.
    """
    return (
        f'<text x="{short(x)}" y="{short(y)}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
    )


def svg_picture(
    elements: Iterable[str], *, width: float, height: float, size: float, alt: str
) -> Picture:
    """Put elements together.

    Parameters
    ----------
    elements : iterable of str
        SVG elements.
    width, height : float
        Size in pixels.
    size : float
        Font size in pixels.
    alt : str
        Alternative text.

    Returns
    -------
    Picture
        SVG.
    """
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{short(width)}" height="{short(height)}" '
        f'viewBox="0 0 {short(width)} {short(height)}" font-family="DejaVu Sans, Helvetica, Arial, '
        f'sans-serif" font-size="{short(size)}" fill="{INK}">' + "".join(elements) + "</svg>"
    )
    coded = base64.b64encode(text.encode()).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{coded}", alt)
