"""Whether the standard error of R2* is one that has been shown to be calibrated, per voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

__all__ = [
    "ERROR_RANGE_TEXT",
    "FEWEST_ECHOES",
    "FIRST_ECHO_PRODUCT",
    "LAST_ECHO_PRODUCT",
    "RATE_LIMITS_PER_S",
    "SHOWN_ESTIMATORS",
    "SNR_STEPS",
    "ErrorRange",
    "error_range",
    "highest_shown_rate_per_s",
]

FEWEST_ECHOES = 4
"""Echoes in the fit of the voxel."""

SNR_STEPS = (20.0, 50.0)
"""S0 / sigma at which the two limits of R2* were shown; below the first nothing was."""

RATE_LIMITS_PER_S = (200.0, 400.0)
"""Highest R2* at these two; between them by a straight line, above the second as at it."""

FIRST_ECHO_PRODUCT = 0.48
"""R2* times the first echo time: 400 1/s at 1.2 ms, the end of the reference object's range."""

LAST_ECHO_PRODUCT = 5.6
"""R2* times the last echo time: 400 1/s at 14 ms."""

SHOWN_ESTIMATORS = ("nlls", "irls")

_NOISE_SIGMAS = 2.5
"""An echo below this multiple of the noise is noise, as in `fit_r2star`."""

_BLOCK = 65_536


class ErrorRange(IntEnum):
    """Where a voxel lies; `ERROR_RANGE_TEXT` says it in words."""

    CALIBRATED = 0
    NO_ERROR = 1
    UNKNOWN_NOISE = 2
    NOT_SHOWN = 3
    FEW_ECHOES = 4
    LOW_SIGNAL = 5
    HIGH_RATE = 6
    NOISE_FLOOR = 7


ERROR_RANGE_TEXT: Mapping[ErrorRange, str] = MappingProxyType(
    {
        ErrorRange.CALIBRATED: "calibrated",
        ErrorRange.NO_ERROR: "no standard error",
        ErrorRange.UNKNOWN_NOISE: "the noise level is not known",
        ErrorRange.NOT_SHOWN: "not shown for this estimator, noise mode, channels or correction",
        ErrorRange.FEW_ECHOES: f"fewer than {FEWEST_ECHOES} echoes in the fit",
        ErrorRange.LOW_SIGNAL: f"S0 / sigma below {SNR_STEPS[0]:g}",
        ErrorRange.HIGH_RATE: "R2* too high for its S0 / sigma and these echo times",
        ErrorRange.NOISE_FLOOR: "echoes in the noise are part of the fit",
    }
)
"""A few plain words per code."""


def highest_shown_rate_per_s(
    snr: ArrayLike, echo_times_s: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the R2* up to which the standard error has been shown to be calibrated.

    Parameters
    ----------
    snr : array_like of float, any shape
        S0 / sigma; sigma is the noise per channel.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times of the fit in seconds, rising.

    Returns
    -------
    ndarray of float64, same shape
        1/s; ``-inf`` below S0 / sigma 20 and where it is not a number.
    """
    times = np.asarray(echo_times_s, dtype=np.float64)
    ratio = np.asarray(snr, dtype=np.float64)
    # The quotients are those of the reference object, 400 1/s, to within rounding.
    train = min(FIRST_ECHO_PRODUCT / times[0], LAST_ECHO_PRODUCT / times[-1]) * (1.0 + 1e-9)
    limit = np.minimum(np.interp(ratio, SNR_STEPS, RATE_LIMITS_PER_S), train)
    return np.where(ratio >= SNR_STEPS[0], limit, -np.inf)


def error_range(
    r2star_per_s: NDArray[np.floating],
    s0: NDArray[np.floating],
    r2star_se_per_s: NDArray[np.floating],
    n_echoes: NDArray[np.integer],
    *,
    echo_times_s: Sequence[float] | NDArray[np.floating],
    sigma: float | None,
    method: str = "nlls",
    noise: str | None = None,
    n_coils: int = 1,
) -> NDArray[np.uint8]:
    r"""Tell for every voxel whether its standard error has been shown to be calibrated.

    Parameters
    ----------
    r2star_per_s, s0, r2star_se_per_s, n_echoes : ndarray, one shape
        Of `eprimg.kernels.r2star.R2StarFit`: R2* in 1/s, S0 in the unit of the signal, standard
        error of R2* in 1/s, echoes used.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times that were given to the fit, in seconds, rising.
    sigma : float or None
        Standard deviation of the noise per channel in the unit of the signal; None where it is not
        known.
    method : str, default "nlls"
        Estimator of the fit.
    noise : {None, "none", "truncate", "rician"}, default None
        Noise mode of the fit.
    n_coils : int, default 1
        Channels that were added as a sum of squares.

    Returns
    -------
    ndarray of uint8, same shape
        `ErrorRange` of each voxel.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for arrays of different shapes or a sigma that is not positive.

    Notes
    -----
    *Calibrated* means that the intervals ``R2* +- t SE`` (Student's t, ``n_echoes - 2`` degrees of
    freedom) hold the truth in 93 to 97 % of all voxels.  On Rician reference objects of ten echo
    trains (``docs/validation/r2star_errors.md``) that was so

    * with four echoes or more in the fit of the voxel;
    * up to 200 1/s at S0 / sigma 20 and up to 400 1/s from 50 on, and by a straight line between;
    * as long as R2* times the first echo time is at most 0.48 and times the last one at most 5.6,
      which is 400 1/s on the train of the reference object (1.2 to 14 ms): a train that is longer
      by a factor has the same errors at R2* that are lower by this factor;
    * for the estimators ``nlls`` and ``irls``;
    * without a noise mode only where no echo of the fitted decay lies below 2.5 sigma;
    * for sums of squares of several channels only with ``noise="rician"``.

    Outside this range the error may still be right; it has not been shown, and far outside it has
    been shown to be too small (coverage below 80 %).  What no residual shows, such as field
    gradients, fat or a wrong sigma, is outside all of this.

    The limits are compared with the fitted R2* and S0, which scatter themselves, so close to a
    limit some voxels are put on its wrong side.
    """
    arrays = [np.asarray(a) for a in (r2star_per_s, s0, r2star_se_per_s, n_echoes)]
    shape = arrays[0].shape
    if any(a.shape != shape for a in arrays):
        raise InputError(
            "the arrays of a fit have one shape",
            code="E_ARGUMENT",
            where="error_range",
            value=[a.shape for a in arrays],
        )
    if sigma is not None and not (np.isfinite(sigma) and sigma > 0.0):
        raise InputError(
            "the noise level is positive", code="E_ARGUMENT", where="sigma", value=sigma
        )
    mode = None if noise == "none" else noise
    shown = method in SHOWN_ESTIMATORS and (n_coils == 1 or mode == "rician")
    flat = [a.ravel() for a in arrays]
    found = np.empty(flat[0].shape, np.uint8)
    times = np.asarray(echo_times_s, dtype=np.float64)
    for start in range(0, found.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        rate, amplitude, error, used = (a[part] for a in flat)
        code = np.full(rate.shape, ErrorRange.CALIBRATED, np.uint8)
        # The most basic reason last, so that it is the one that stays.
        if sigma is not None and shown:
            with np.errstate(all="ignore"):
                snr = amplitude.astype(np.float64) / sigma
                if mode is None:
                    last = snr * np.exp(-rate * times[-1])
                    code[~(last >= _NOISE_SIGMAS)] = ErrorRange.NOISE_FLOOR
                high = ~(rate <= highest_shown_rate_per_s(snr, times))
                code[high] = ErrorRange.HIGH_RATE
                code[~(snr >= SNR_STEPS[0])] = ErrorRange.LOW_SIGNAL
            code[used < FEWEST_ECHOES] = ErrorRange.FEW_ECHOES
        else:
            code[:] = ErrorRange.UNKNOWN_NOISE if shown else ErrorRange.NOT_SHOWN
        code[~np.isfinite(error)] = ErrorRange.NO_ERROR
        found[part] = code
    return found.reshape(shape)
