"""Signs that each echo was given a scale of its own, which no tissue can show."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.echo_levels import echo_levels, shared_maximum
from eprimg.model.case import Finding, Severity
from eprimg.model.volume import EchoStack

__all__ = ["air_scale_findings", "lone_echo", "off_text", "scaled_echo"]

_RISE = 1.10
"""Level of air at an echo over that at an earlier one; 10 % over 13 ms are 7 1/s of R2*."""

_ERRORS = 4.0


def air_scale_findings(stack: EchoStack, n_coils: int, key: str) -> list[Finding]:
    """Compare the echoes where there is no tissue.

    Parameters
    ----------
    stack : EchoStack
        Magnitude echoes.
    n_coils : int
        Channels that were added as a sum of squares.
    key : str
        Key of the series.

    Returns
    -------
    list of Finding
        ``W_ECHO_SCALE``, or nothing.

    Notes
    -----
    Each echo scaled to its own maximum is again an exponential, with an R2* that is too low by that
    of the brightest tissue: the decay itself shows nothing.  The noise of air is raised by the same
    factors.  Ghosts and ringing of tissue fall with the echo time, so only a rise counts: an echo
    whose air is 10 % (and by four standard errors or more) above that of an earlier one.

    Where air cannot be read, most often because it was set to zero, one sign is left: the same
    largest value in all echoes.
    """
    data, times = stack.volume.data, np.array(stack.echo_times_s)
    found = echo_levels(data, n_coils)
    if found.levels is None:
        top = shared_maximum(data)
        if top is None:
            return []
        text = (
            f"the largest value is {top:.6g} in each of the {times.size} echoes, and there is no "
            "air to compare: each echo was scaled to its own maximum (or cut off at this value), "
            "and R2* is too low by what the scales hide"
        )
    else:
        lowest = np.minimum.accumulate(found.levels)
        rise = found.levels / lowest
        n = int(np.argmax(rise))
        if not rise[n] > max(_RISE, 1.0 + _ERRORS * np.sqrt(2.0) * found.relative_se):
            return []
        first = int(np.argmin(found.levels[: n + 1]))
        steady = bool(
            np.all(np.diff(found.levels) > -_ERRORS * found.levels[1:] * found.relative_se)
        )
        text = (
            f"air is {100 * (rise[n] - 1):.0f} % brighter in the echo at {1000 * times[n]:.3g} ms "
            f"than in the one at {1000 * times[first]:.3g} ms ({found.n_voxels} voxels; the noise "
            "of one scale is the same in all echoes): the echoes were scaled differently"
        )
        if steady:
            slope = float(np.polyfit(times, np.log(found.levels), 1)[0])
            text += (
                ", as when each is scaled to its own maximum, and R2* is too low by about "
                f"{slope:.3g} 1/s everywhere"
            )
    return [Finding("W_ECHO_SCALE", Severity.WARNING, key, f"{key}: {text}.")]


def lone_echo(
    residual: npt.NDArray[np.floating[Any]],
    decay: npt.NDArray[np.floating[Any]],
    times: npt.NDArray[np.float64],
    alternating: npt.NDArray[np.float64],
) -> int | None:
    """Tell one echo that is off from a pattern that alternates.

    Parameters
    ----------
    residual, decay : ndarray, shape (voxels, n)
        Signal over S0 less the fitted decay, and the decay.
    times : ndarray, shape (n,)
        Echo times in seconds.
    alternating : ndarray, shape (n,)
        The other explanation: a pattern on top of the decay.

    Returns
    -------
    int or None
        The echo whose factor leaves less of the median residual than the alternation does; none
        where the alternation explains it as well.
    """
    middle, level = np.median(residual, axis=0), np.median(decay, axis=0)

    def left(pattern: npt.NDArray[np.float64]) -> float:
        columns = np.stack([level, level * times / times[-1], level * pattern], axis=-1)
        rest = middle - columns @ np.linalg.lstsq(columns, middle, rcond=None)[0]
        return float(rest @ rest)

    alone = [left(each) for each in np.eye(times.size)]
    n = int(np.argmin(alone))
    return n if alone[n] < left(alternating) else None


def scaled_echo(
    quotient: npt.NDArray[np.float64], times: npt.NDArray[np.float64], least: float, share: float
) -> str | None:
    """Find an echo that is off the decay by the same part in most of the tissue.

    Parameters
    ----------
    quotient : ndarray, shape (voxels, n)
        Signal over the fitted signal.
    times : ndarray, shape (n or more,)
        Echo times in seconds.
    least : float
        Smallest departure of the median from 1.
    share : float
        Part of the voxels that have to depart to the same side.

    Returns
    -------
    str or None
        Words on the echo that is off most; none where no echo is.
    """
    off = np.median(quotient, axis=0) - 1.0
    agree = np.mean(np.sign(quotient - 1.0) == np.sign(off), axis=0)
    odd = np.flatnonzero((np.abs(off) > least) & (agree > share))
    if odd.size == 0:
        return None
    n = int(odd[np.argmax(np.abs(off[odd]))])
    return off_text(quotient[:, n] - 1.0, n, times, "fitted decay")


def off_text(
    factor: npt.NDArray[np.float64], n: int, times: npt.NDArray[np.float64], decay: str
) -> str:
    """Say that one echo is off.

    Parameters
    ----------
    factor : ndarray, shape (voxels,)
        By what part of the decay it is off.
    n : int
        The echo.
    times : ndarray
        Echo times in seconds.
    decay : str
        What it was compared with.

    Returns
    -------
    str
        One clause.
    """
    middle = float(np.median(factor))
    agree = float(np.mean(np.sign(factor) == np.sign(middle)))
    return (
        f"the echo at {1000 * times[n]:.3g} ms lies {100 * abs(middle):.0f} % "
        f"{'above' if middle > 0 else 'below'} the {decay} in {100 * agree:.0f} % of the "
        "tissue: it was scaled or filtered differently from the others"
    )
