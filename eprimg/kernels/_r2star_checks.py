"""Checks of the arguments of the R2* fit and of the noise estimate: use, or refuse with a code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

__all__ = [
    "argument_error",
    "checked_coils",
    "checked_mask",
    "checked_sigma",
    "checked_signal",
    "checked_times",
    "is_real",
    "is_whole",
]

_MOST_COILS = 32
"""Above about 50, the hypergeometric function of scipy overflows."""


def argument_error(message: str, where: str, value: object, action: str | None) -> InputError:
    """Make the error of an argument that has no meaning; the parameters are those of the error."""
    return InputError(message, code="E_ARGUMENT", where=where, value=value, action=action)


def is_real(value: object) -> bool:
    """Tell whether an argument is one real number."""
    try:
        given = np.asarray(value)
    except ValueError:  # nested lists of different lengths
        return False
    return given.ndim == 0 and given.dtype.kind in "biuf"


def is_whole(value: Any) -> bool:
    """Tell whether an argument is one whole number; a truth value is none."""
    if not is_real(value) or isinstance(value, bool):
        return False
    return bool(np.isfinite(value) and value == int(value))


def checked_signal(signal: ArrayLike) -> NDArray[Any]:
    """Return the signal as an array; refuse what is not real magnitude data."""
    stack = np.asarray(signal)
    if stack.ndim == 0:
        raise argument_error(
            "a signal needs an echo axis",
            "signal",
            stack.shape,
            "give an array whose last axis holds the echoes",
        )
    if stack.dtype.kind not in "iuf" or stack.dtype.itemsize > 8:
        raise argument_error(
            "the signal must be real magnitude data",
            "signal",
            str(stack.dtype),
            "give float32, float64 or integers; take the magnitude of complex data",
        )
    return stack


def checked_times(echo_times_s: ArrayLike, n_echoes: int) -> NDArray[np.float64]:
    """Return the echo times in seconds; refuse what does not rise, and milliseconds."""
    try:
        times = np.asarray(echo_times_s, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            "echo times must be a list of real numbers",
            code="E_ECHO",
            where="echo_times_s",
            value=echo_times_s,
            action="give the echo times in seconds",
        ) from error
    fault, action = None, None
    if times.ndim != 1 or times.size != n_echoes or times.size == 0:
        fault = f"one echo time is needed for each of the {n_echoes} entries of the last axis"
    elif not np.all(np.isfinite(times)) or np.any(times <= 0.0):
        fault = "echo times must be finite and positive"
    elif np.any(np.diff(times) <= 0.0):
        fault = "echo times must rise strictly"
        action = "sort the echoes and their times together, and drop repeated ones"
    elif times[-1] > 1.0:
        fault = "an echo time above 1 s is not a gradient echo"
        action = "these look like milliseconds: divide by 1000"
    if fault is not None:
        raise InputError(
            fault, code="E_ECHO", where="echo_times_s", value=times.tolist(), action=action
        )
    return times


def checked_mask(
    mask: NDArray[np.bool_] | None, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """Return the mask; refuse another shape and anything that is not boolean."""
    if mask is None:
        return None
    chosen = np.asarray(mask)
    if chosen.dtype != np.bool_:
        raise argument_error(
            "the mask must be boolean", "mask", str(chosen.dtype), "write the rule, e.g. labels > 0"
        )
    if chosen.shape != shape:
        raise argument_error(
            f"the mask must have the leading shape {shape} of the signal",
            "mask",
            chosen.shape,
            None,
        )
    return chosen


def checked_sigma(
    sigma: float | NDArray[np.floating], shape: tuple[int, ...]
) -> float | NDArray[np.float64]:
    """Return the noise as a number or as a map; a voxel without one is left to the fit."""
    given = np.asarray(sigma)
    if given.dtype.kind not in "iuf":
        raise argument_error("the noise must be a real number", "sigma", str(given.dtype), None)
    if given.ndim == 0:
        value = float(given)
        if not (np.isfinite(value) and value > 0.0):
            raise argument_error(
                "the noise must be finite and positive",
                "sigma",
                value,
                "give the standard deviation per channel in the unit of the signal",
            )
        return value
    if given.shape != shape:
        raise argument_error(
            f"a map of the noise must have the leading shape {shape} of the signal",
            "sigma",
            given.shape,
            "give one number, or one per voxel",
        )
    return given.astype(np.float64)


def checked_coils(n_coils: int) -> int:
    """Return the number of receive channels that were added as a sum of squares."""
    if not is_whole(n_coils) or not 1 <= n_coils <= _MOST_COILS:
        raise argument_error(
            f"the number of coils must be a whole number from 1 to {_MOST_COILS}",
            "n_coils",
            n_coils,
            "use 1 unless the channels were added as a sum of squares",
        )
    return int(n_coils)
