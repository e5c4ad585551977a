"""Checks of body facts that several formulas share."""

from __future__ import annotations

import math

from eprimg.errors import InputError

__all__ = ["height_in_m", "positive"]

_TALLEST_M = 3.0


def positive(value: float, name: str, action: str) -> float:
    """Hand back a finite, positive number or refuse it.

    Parameters
    ----------
    value : float
        The number.
    name : str
        Its name, for the message.
    action : str
        What to do about it.

    Returns
    -------
    float
        The number.

    Raises
    ------
    InputError
        ``E_ARGUMENT``.
    """
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise InputError(
            f"{name} must be a finite, positive number.",
            code="E_ARGUMENT",
            where=name,
            value=value,
            action=action,
        )
    return number


def height_in_m(height_m: float) -> float:
    """Hand back a height in m or refuse it; a value above 3 is in cm.

    Parameters
    ----------
    height_m : float
        Body height.

    Returns
    -------
    float
        The height in m.

    Raises
    ------
    InputError
        ``E_ARGUMENT``.
    """
    height = positive(height_m, "height_m", "Give the body height in m.")
    if height > _TALLEST_M:
        raise InputError(
            "The body height is above 3 m, so it is probably in cm.",
            code="E_ARGUMENT",
            where="height_m",
            value=height_m,
            action="Give the body height in m.",
        )
    return height
