"""Level of the noise in air echo by echo: no decay changes it, a scale of each echo does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels import _r2star_checks as checks
from eprimg.kernels.signal_noise import estimate_sigma

__all__ = ["EchoLevels", "echo_levels", "shared_maximum"]

_MOST_VOXELS = 20_000
_FEWEST_VOXELS = 200
_SHARES = (0.05, 0.15, 0.4)
"""Darkest parts of the field that are tried as air; more than this is hardly ever air alone."""

_ROUNDS = 4
_SETTLED = 0.005
_INSIDE = 0.99
"""Part of true air whose power lies below the limit by which voxels are chosen."""

_EQUAL = 1e-6
_FEW_AT_MAXIMUM = 10
"""More voxels than this at the largest value were cut off there: a saturated series, no scale."""


class EchoLevels(NamedTuple):
    """Root mean square of air at each echo.

    Attributes
    ----------
    levels : ndarray of float64, shape (n_echoes,), or None
        In the unit of the signal; None where no part of the field looks like air.
    relative_se : float
        Statistical standard error of one level over the level; 0 without levels.
    n_voxels : int
        Voxels of air they were read from.
    """

    levels: NDArray[np.float64] | None
    relative_se: float
    n_voxels: int


def echo_levels(stack: ArrayLike, n_coils: int = 1) -> EchoLevels:
    r"""Read the level of air at each echo, whatever scale each echo was given.

    Parameters
    ----------
    stack : array_like of float or integer, shape (..., n_echoes)
        Magnitude signal in any unit, last axis = echoes.
    n_coils : int, default 1
        Channels that were added as a sum of squares.

    Returns
    -------
    EchoLevels
        Levels, their error, and the number of voxels; or no levels.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` or ``E_ECHO`` for arguments that have no meaning.

    Notes
    -----
    The noise of a magnitude echo does not depend on its echo time, so the root mean square of air
    is one number, ``sigma sqrt(2 n_coils)`` [1]_, for all echoes of one read-out and one scale.

    Air is found without knowing the scales.  The darkest voxels by their mean rank within each echo
    (a rank does not change with a scale) give first levels; the echoes are divided by them, and
    `eprimg.kernels.signal_noise.estimate_sigma` looks for the distribution of air in the quotients.
    What it finds gives new levels, until they rest.  Voxels that are zero in all echoes were set to
    zero and are left out.  A field whose darkest part is tissue, ghosts or filtered air does not
    have this distribution and gives no levels.

    References
    ----------
    .. [1] Constantinides CD, Atalar E, McVeigh ER. Signal-to-noise measurements in magnitude images
       from NMR phased arrays. Magnetic Resonance in Medicine 1997;38:852.
       doi:10.1002/mrm.1910380524
    """
    from scipy.special import gammaincinv  # late, as in `estimate_sigma`

    samples = checks.checked_signal(stack)
    coils = checks.checked_coils(n_coils)
    rows = _spread(samples)
    if len(rows) < _FEWEST_VOXELS:
        return EchoLevels(None, 0.0, 0)
    n_echoes = rows.shape[1]
    rank = np.argsort(np.argsort(rows, axis=0, kind="stable"), axis=0, kind="stable").sum(axis=1)
    order = np.argsort(rank, kind="stable")
    limit = 2.0 * float(gammaincinv(coils * n_echoes, _INSIDE))
    best = EchoLevels(None, 0.0, 0)
    for share in _SHARES:
        levels = _rms(rows[order[: max(_FEWEST_VOXELS, int(share * len(rows)))]])
        for _ in range(_ROUNDS):
            if not (levels > 0.0).all():
                break
            scaled = rows / levels
            sigma = estimate_sigma(scaled, None, coils, "background").sigma
            if sigma is None:
                break
            air = np.einsum("ij,ij->i", scaled, scaled) < limit * sigma**2
            before, levels = levels, _rms(rows[air])
            n = int(np.count_nonzero(air))
            if np.ptp(np.log(levels / before)) < _SETTLED:
                # Power of one echo is gamma distributed of shape n_coils: spread 1 / sqrt(shape).
                if n > best.n_voxels:
                    best = EchoLevels(levels, 0.5 / float(np.sqrt(n * coils)), n)
                break
    return best


def shared_maximum(stack: NDArray[Any]) -> float | None:
    """Return the largest value of the echoes where it is the same in all of them.

    Parameters
    ----------
    stack : ndarray, shape (..., n_echoes)
        Magnitude signal.

    Returns
    -------
    float or None
        In the unit of the signal.  None where the maxima differ by more than one part in a million,
        and where more than ten voxels of an echo hold it: these were cut off at it.

    Notes
    -----
    The brightest voxel decays as well, so the echoes of one scale have falling maxima.
    """
    highest = []
    for n in range(stack.shape[-1]):
        echo = stack[..., n]
        top = float(np.nanmax(echo)) if np.isfinite(echo).any() else 0.0
        if not 0.0 < top < np.inf or np.count_nonzero(echo == top) > _FEW_AT_MAXIMUM:
            return None
        highest.append(top)
    return highest[0] if max(highest) - min(highest) <= _EQUAL * max(highest) else None


def _spread(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Voxels spread evenly over the field that are finite and not zero in all echoes."""
    size = int(np.prod(samples.shape[:-1]))
    where = np.arange(0, size, max(1, -(-size // _MOST_VOXELS)))
    # Index by coordinates: a stack in another memory order is not copied whole.
    index = np.unravel_index(where, samples.shape[:-1]) if samples.ndim > 1 else ()
    rows = np.asarray(samples[index], dtype=np.float64).reshape(-1, samples.shape[-1])
    good = (rows >= 0.0).all(axis=1) & (rows < np.inf).all(axis=1) & (rows > 0.0).any(axis=1)
    return rows[good]


def _rms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    power: NDArray[np.float64] = np.einsum("ij,ij->j", rows, rows) / max(len(rows), 1)
    return np.sqrt(power)
