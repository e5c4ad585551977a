"""Noise level that the residuals of an echo decay show in tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import InputError

__all__ = ["ResidualNoise", "residual_noise"]

_SIGNAL_SIGMAS = 10.0
_FEWEST_VOXELS = 100


class ResidualNoise(NamedTuple):
    """Scatter of tissue about its fitted decay.

    Attributes
    ----------
    sigma : float or None
        Standard deviation in the unit of the signal; None where too few voxels have a residual.
    n_voxels : int
        Voxels it was read from.
    """

    sigma: float | None
    n_voxels: int


def residual_noise(
    r2star_per_s: NDArray[np.floating],
    s0: NDArray[np.floating],
    rmse: NDArray[np.floating],
    n_echoes: NDArray[np.integer],
    *,
    echo_times_s: Sequence[float] | NDArray[np.floating],
    sigma: float,
) -> ResidualNoise:
    r"""Read the noise from the residuals of voxels whose first echo lies well above the noise.

    Parameters
    ----------
    r2star_per_s, s0, rmse, n_echoes : ndarray, one shape
        Of `eprimg.kernels.r2star.R2StarFit`: R2* in 1/s, S0 and root mean square residual
        ``sqrt(RSS / n_echoes)`` in the unit of the signal, echoes used.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times that were given to the fit, in seconds, rising.
    sigma : float
        Noise level so far, in the unit of the signal.  Tissue is what is fitted above ten times
        this at the first echo.

    Returns
    -------
    ResidualNoise
        The level, or none with fewer than 100 such voxels.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for arrays of different shapes or a sigma that is not positive.

    Notes
    -----
    For noise of standard deviation sigma, ``RSS / sigma**2`` of a fit of two unknowns follows a
    chi-squared distribution of ``n_echoes - 2`` degrees of freedom.  Each voxel gives its RSS over
    the median of this distribution, and the median over the voxels is sigma squared: it bears up to
    half of the voxels with another fault.

    Whatever the decay is not (fat, a field gradient, motion, a scaled echo) is in the residuals
    too.  The number is that of the noise only where the model holds in most of the tissue, and an
    upper bound elsewhere.  Echoes close to the noise floor scatter less than sigma (Rice), so with
    a high R2* and a sigma that is far too low the number is somewhat too low.
    """
    arrays = [np.asarray(a) for a in (r2star_per_s, s0, rmse, n_echoes)]
    if any(a.shape != arrays[0].shape for a in arrays):
        raise InputError(
            "the arrays of a fit have one shape",
            code="E_ARGUMENT",
            where="residual_noise",
            value=[a.shape for a in arrays],
        )
    if not (np.isfinite(sigma) and sigma > 0.0):
        raise InputError(
            "the noise level is positive", code="E_ARGUMENT", where="sigma", value=sigma
        )
    from scipy.special import gammaincinv  # late, so that a plain fit loads no scipy

    rate, amplitude, residual, used = (a.ravel() for a in arrays)
    with np.errstate(all="ignore"):
        first = amplitude * np.exp(-rate * float(np.asarray(echo_times_s)[0]))
        chosen = (first > _SIGNAL_SIGMAS * sigma) & (used > 2) & np.isfinite(residual)
    n = int(np.count_nonzero(chosen))
    if n < _FEWEST_VOXELS:
        return ResidualNoise(None, n)
    freedom = used[chosen].astype(np.float64) - 2.0
    square = residual[chosen].astype(np.float64) ** 2 * used[chosen]
    # Echo counts are few, so the median of chi-squared is made once for each.
    counts, place = np.unique(freedom, return_inverse=True)
    middle = 2.0 * np.asarray(gammaincinv(0.5 * counts, 0.5))
    return ResidualNoise(float(np.sqrt(np.median(square / middle[place]))), n)
