"""Which way round the planes are drawn, and the letters at their edges.

Displayed arrays run to S, P and L along their three axes; only the camera turns them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PLANES", "EdgeLetters", "camera_orientation", "edge_letters", "turned_letters"]

PLANES = {0: "axial", 1: "coronal", 2: "sagittal"}
"""Name of the plane that is cut across each axis (S, P, L)."""

_RISING = "SPL"
_FALLING = "IAR"


class EdgeLetters(NamedTuple):
    """Patient directions at the edges of a picture.

    Attributes
    ----------
    left, right, top, bottom : str
        One of R L A P S I, or two of them between two directions.
    """

    left: str
    right: str
    top: str
    bottom: str


def camera_orientation(displayed: Sequence[int], *, radiological: bool = True) -> tuple[str, str]:
    """Choose the camera's orientation for two displayed axes.

    Parameters
    ----------
    displayed : sequence of int
        Axis that runs vertically, axis that runs horizontally (0 = S, 1 = P, 2 = L).
    radiological : bool
        True: the patient's right is on the left of the screen; False: neurological, the patient's
        right is on the right.

    Returns
    -------
    vertical, horizontal : str
        Direction of rising world coordinate: ``up`` or ``down``, ``left`` or ``right``.  Head and
        anterior are up; anterior is on the left where it runs horizontally.
    """
    vertical, horizontal = displayed
    mirrored = not radiological
    up_down = {0: "up", 1: "down", 2: "up" if mirrored else "down"}
    left_right = {0: "right", 1: "right", 2: "left" if mirrored else "right"}
    return up_down[vertical], left_right[horizontal]


def edge_letters(displayed: Sequence[int], orientation: Sequence[object]) -> EdgeLetters:
    """Name the patient directions at the four edges.

    Parameters
    ----------
    displayed : sequence of int
        Axis that runs vertically, axis that runs horizontally (0 = S, 1 = P, 2 = L).
    orientation : sequence
        The camera's two-dimensional orientation, vertical then horizontal.

    Returns
    -------
    EdgeLetters
        One letter for each edge.
    """
    vertical, horizontal = displayed
    rising_down = str(orientation[0]) == "down"
    rising_right = str(orientation[1]) == "right"
    top, bottom = _FALLING[vertical], _RISING[vertical]
    left, right = _FALLING[horizontal], _RISING[horizontal]
    return EdgeLetters(
        left if rising_right else right,
        right if rising_right else left,
        top if rising_down else bottom,
        bottom if rising_down else top,
    )


def turned_letters(angle_deg: float, *, radiological: bool = True) -> EdgeLetters:
    """Name the directions at the edges of a projection that was turned about the S axis.

    Parameters
    ----------
    angle_deg : float
        0 looks from anterior to posterior; 90 looks from the patient's left to the right (the
        picture's rising axis then runs to posterior).
    radiological : bool
        See `camera_orientation`.

    Returns
    -------
    EdgeLetters
        Two letters where the axis lies between two directions, the nearer one first.
    """
    angle = math.radians(angle_deg)
    left, posterior = math.cos(angle), math.sin(angle)
    parts = [(abs(left), "L" if left > 0 else "R"), (abs(posterior), "P" if posterior > 0 else "A")]
    parts.sort(reverse=True)
    rising = "".join(letter for size, letter in parts if size > math.sin(math.radians(22.5)))
    falling = rising.translate(str.maketrans("LRPA", "RLAP"))
    ends = (falling, rising) if radiological else (rising, falling)
    return EdgeLetters(*ends, "S", "I")
