"""Windows: from which value to which value a layer is drawn, and how PET is laid over MR."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.report.layers import signal_window
from eprimg.report.numbers import nice_ceiling

__all__ = [
    "AUTO",
    "Preset",
    "auto_window",
    "dragged",
    "fusion_opacities",
    "next_preset",
    "presets",
    "see_through",
]

AUTO: Final = "auto"

_RAMP: Final = 0.35
"""Part of the window, from its lower end, over which a laid-over map becomes opaque."""

_SMALLEST: Final = 1e-6


class Preset(NamedTuple):
    """A named window.

    Attributes
    ----------
    words : str
        What the reader chooses.
    limits : tuple of float or None
        Lowest and highest value in the quantity's unit; None: from the values of the map.
    """

    words: str
    limits: tuple[float, float] | None


def _fixed(*limits: tuple[float, float]) -> tuple[Preset, ...]:
    named = (Preset(f"{low:g} to {high:g}", (low, high)) for low, high in limits)
    return (*named, Preset(AUTO, None))


_PRESETS: Final[dict[str, tuple[Preset, ...]]] = {
    "suvbw": _fixed((0, 5), (0, 10), (0, 20)),
    "pid_per_kg": _fixed((0, 5), (0, 10), (0, 20)),
    "r2star": _fixed((0, 100), (0, 250), (0, 500)),
    "dr2star": _fixed((0, 50), (0, 150), (-100, 100)),
    "hounsfield": _fixed((-160, 240), (-1000, 400)),
}


def presets(quantity: str) -> tuple[Preset, ...]:
    """Return the windows that a reader may choose.

    Parameters
    ----------
    quantity : str
        Key of the quantity.

    Returns
    -------
    tuple of Preset
        The last one is automatic; it is the only one for a signal.
    """
    return _PRESETS.get(quantity, _fixed())


def next_preset(
    quantity: str, limits: tuple[float, float], auto: tuple[float, float] | None = None
) -> Preset:
    """Return the window after the one that is in use; never the one in use again.

    Parameters
    ----------
    quantity : str
        Key of the quantity.
    limits : tuple of float
        Window in use.
    auto : tuple of float, optional
        What the automatic window is; it is passed over when it is in use, too.

    Returns
    -------
    Preset
        The first other one when none of the fixed ones is in use.
    """
    offered = presets(quantity)
    used = [
        np.allclose(known, limits) if known is not None else False
        for known in (auto if preset.limits is None else preset.limits for preset in offered)
    ]
    start = used.index(True) + 1 if True in used else 0
    turns = [(start + n) % len(offered) for n in range(len(offered))]
    return offered[next((n for n in turns if not used[n]), turns[0])]


def auto_window(
    values: npt.NDArray[Any], quantity: str, inside: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Choose a window from the values.

    Parameters
    ----------
    values : ndarray
        Values of a map or series; NaN where there is none.
    quantity : str
        Key of the quantity.
    inside : ndarray of bool, optional
        Voxels of the lesions, same shape.

    Returns
    -------
    low, high : float
        From 0 to a round number: for a signal the bright end of the body; for a map the 95th
        percentile of the lesions, for PET less, so that the weaker lesions stay visible.
    """
    if quantity in ("signal", "s0"):
        return signal_window(values)
    chosen = values[inside] if inside is not None else values[::2, ::2, ::2]
    chosen = chosen[np.isfinite(chosen)]
    if chosen.size == 0:
        chosen = values[np.isfinite(values)]
    if chosen.size == 0:
        return 0.0, 1.0
    if quantity in ("r2star", "dr2star"):
        # Air and bone have a long tail; lesions are what the window is for.
        high = float(np.percentile(chosen, 95))
        return 0.0, nice_ceiling(max(1.15 * high, 40.0))
    high = float(np.percentile(chosen, 99.5))
    high *= 0.6 if inside is not None else 1.0
    return 0.0, nice_ceiling(high if high > 0 else 1.0)


def dragged(
    limits: tuple[float, float], right: float, up: float, size: tuple[float, float]
) -> tuple[float, float]:
    """Change a window by a drag of the mouse.

    Parameters
    ----------
    limits : tuple of float
        Window before the drag.
    right, up : float
        How far the mouse went, in pixels of the canvas.
    size : tuple of float
        Width and height of the canvas, in pixels.

    Returns
    -------
    low, high : float
        To the right the window becomes wider, upwards its level rises; a whole canvas doubles the
        width or raises the level by one width.  The limits may leave the range of the values.
    """
    width = max(limits[1] - limits[0], _SMALLEST)
    level = (limits[0] + limits[1]) / 2 + width * up / max(size[1], 1.0)
    width = max(width * 2.0 ** (2 * right / max(size[0], 1.0)), _SMALLEST)
    return level - width / 2, level + width / 2


def fusion_opacities(share: float) -> tuple[float, float]:
    """Say how strongly the two fused layers are drawn.

    Parameters
    ----------
    share : float
        0: only the lower layer (MR); 1: only the upper one (PET).

    Returns
    -------
    lower, upper : float
        Opacities.  Up to the middle MR stays and PET comes; from there MR goes.
    """
    share = min(max(share, 0.0), 1.0)
    return min(1.0, 2 * (1 - share)), min(1.0, 1.6 * share)


def see_through(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Let the lower end of a colour table fade out, so that MR shows where there is no uptake.

    Parameters
    ----------
    colours : ndarray, shape (n, 4)
        Red, green, blue and opacity from low to high, 0 to 1.

    Returns
    -------
    ndarray, shape (n, 4)
        The same colours; opacity rises from 0 to 1 over the lower third of the window.
    """
    faded = np.array(colours, dtype=np.float64)
    place = np.linspace(0.0, 1.0, len(faded))
    faded[:, 3] *= np.clip(place / _RAMP, 0.0, 1.0)
    return faded
