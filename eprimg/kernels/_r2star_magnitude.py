"""Mean and spread of a magnitude sample (Rice, or non-central chi) as a function of its signal.

In units of the noise per channel: ``u`` is the true signal, ``m(u)`` the mean of the magnitude.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MagnitudePolynomial",
    "MagnitudeTable",
    "magnitude_polynomial",
    "magnitude_table",
    "mean_magnitude",
    "variance_of_magnitude",
]

_PER_UNIT = 32
"""Pieces per unit of ``u``; a piece is a cubic, off by less than 3e-9."""

_REACH = 32.0

_FINE, _COARSE = 20, 8
"""Degrees of the polynomials."""

_NODES = 200
_TERMS = 12
"""Terms of the series far above the noise; the last is below 1e-20 there."""


class MagnitudeTable(NamedTuple):
    """Piecewise cubics of ``m(u)`` from 0 to `reach`; beyond it a series serves.

    Attributes
    ----------
    cubics : ndarray of float64, shape (n_pieces, 4)
        Coefficients of ``1, t, t**2, t**3`` with ``t`` from 0 to 1 in the piece.
    per_unit : float
        Pieces per unit of ``u``.
    reach : float
        End of the last piece.
    n_coils : int
        Channels added as a sum of squares; 1 is the Rice distribution.
    """

    cubics: NDArray[np.float64]
    per_unit: float
    reach: float
    n_coils: int


class MagnitudePolynomial(NamedTuple):
    """Polynomials of ``m(u)**2 - u**2`` in ``(u**2 - centre) / (u**2 + centre)``, for every ``u``.

    Attributes
    ----------
    coarse : tuple of float32, length 9
        Coefficients of rising powers; ``m`` is off by less than 3e-6.
    fine : tuple of float, length 21
        The same, off by less than 1e-10.
    centre : float
        Where the variable is zero.
    n_coils : int
        Channels added as a sum of squares.
    """

    coarse: tuple[np.float32, ...]
    fine: tuple[float, ...]
    centre: float
    n_coils: int


@cache
def magnitude_table(n_coils: int) -> MagnitudeTable:
    r"""Tabulate the mean of the magnitude for a number of coils.

    Parameters
    ----------
    n_coils : int
        Channels N added as a sum of squares, 1 to 32.

    Returns
    -------
    MagnitudeTable
        Read-only.

    Notes
    -----
    ``m(u) = sqrt(2) Gamma(N + 1/2) / Gamma(N) 1F1(-1/2; N; -u**2 / 2)``, see [1]_; for N = 1 this
    is the mean of the Rice distribution [2]_.

    References
    ----------
    .. [1] Koay CG, Basser PJ. Analytically exact correction scheme for signal extraction from noisy
       magnitude MR signals. Journal of Magnetic Resonance 2006;179:317.
       doi:10.1016/j.jmr.2006.01.016
    .. [2] Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magnetic Resonance in
       Medicine 1995;34:910. doi:10.1002/mrm.1910340618
    """
    # Late, so that a plain fit loads no scipy.
    from scipy.special import gammaln, hyp1f1

    reach = float(np.ceil(_REACH * np.sqrt(n_coils)))
    u = np.arange(int(reach) * _PER_UNIT + 1) / _PER_UNIT
    front = np.sqrt(2.0) * np.exp(gammaln(n_coils + 0.5) - gammaln(n_coils))
    value = front * hyp1f1(-0.5, n_coils, -0.5 * u * u)
    slope = front * u / (2.0 * n_coils) * hyp1f1(0.5, n_coils + 1, -0.5 * u * u) / _PER_UNIT
    rise, left, right = np.diff(value), slope[:-1], slope[1:]
    cubics = np.column_stack(
        (value[:-1], left, 3.0 * rise - 2.0 * left - right, left + right - 2.0 * rise)
    )
    cubics.flags.writeable = False
    return MagnitudeTable(cubics, float(_PER_UNIT), reach, n_coils)


@cache
def magnitude_polynomial(n_coils: int) -> MagnitudePolynomial:
    r"""Approximate the mean of the magnitude by polynomials, which need no look-up.

    Parameters
    ----------
    n_coils : int
        Channels N added as a sum of squares, 1 to 32.

    Returns
    -------
    MagnitudePolynomial
        For `eprimg.kernels._r2star_rician_block_numba`.

    Notes
    -----
    ``m**2 - u**2`` falls without a turn from ``m(0)**2`` to ``2 N - 1``, and is a smooth function
    of the variable over its whole range -1 to 1.  Least squares at Chebyshev nodes; ``m`` as in
    `magnitude_table`, beyond its reach from the asymptotic series of 1F1 (DLMF 13.7.2).  The
    variance of the magnitude is ``2 N`` less the polynomial.
    """
    from numpy.polynomial import chebyshev
    from scipy.special import gammaln, hyp1f1

    centre = 8.0 + 4.0 * n_coils
    x = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    square = centre * (1.0 + x) / (1.0 - x)
    end = _REACH**2 * n_coils
    near = np.minimum(square, end)
    front = np.sqrt(2.0) * np.exp(gammaln(n_coils + 0.5) - gammaln(n_coils))
    value = (front * hyp1f1(-0.5, n_coils, -0.5 * near)) ** 2 - near
    far = np.maximum(square, end)
    term, excess = np.ones_like(far), np.zeros_like(far)
    for k in range(_TERMS):
        term = term * (k - 0.5) * (k + 0.5 - n_coils) / (0.5 * (k + 1) * far)
        excess += term
    value = np.where(square > end, far * excess * (2.0 + excess), value)
    fine, coarse = (
        chebyshev.cheb2poly(chebyshev.chebfit(x, value, degree)) for degree in (_FINE, _COARSE)
    )
    return MagnitudePolynomial(
        tuple(np.float32(c) for c in coarse), tuple(float(c) for c in fine), centre, n_coils
    )


def mean_magnitude(
    u: NDArray[np.float64], table: MagnitudeTable
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Look up ``m(u)`` and its first two derivatives.

    Parameters
    ----------
    u : ndarray of float64
        True signal over noise, not negative.
    table : MagnitudeTable
        From `magnitude_table`.

    Returns
    -------
    tuple of ndarray of float64
        ``m``, ``m'`` and ``m''``, each of the shape of `u`.
    """
    place = np.minimum(u, table.reach) * table.per_unit
    piece = np.minimum(place.astype(np.int64), len(table.cubics) - 1)
    t = place - piece
    c0, c1, c2, c3 = np.moveaxis(table.cubics[piece], -1, 0)
    value = ((c3 * t + c2) * t + c1) * t + c0
    slope = ((3.0 * c3 * t + 2.0 * c2) * t + c1) * table.per_unit
    bend = (6.0 * c3 * t + 2.0 * c2) * table.per_unit**2
    # Asymptotic series of 1F1; its next term is below 1e-9 from the end of the table on.
    b = table.n_coils - 0.5
    inverse = 1.0 / np.maximum(u, table.reach)
    square = inverse * inverse
    p, q = 0.5 * b * (b - 1.0), 0.5 * b * (b - 1.0) * (b - 2.0)
    far = u >= table.reach
    value = np.where(far, u + inverse * (b - square * (p - square * q)), value)
    slope = np.where(far, 1.0 - square * (b - square * (3.0 * p - 5.0 * square * q)), slope)
    bend = np.where(far, inverse * square * (2.0 * b - 12.0 * square * p), bend)
    return value, slope, bend


def variance_of_magnitude(
    u: NDArray[np.float64], mean: NDArray[np.float64], table: MagnitudeTable
) -> NDArray[np.float64]:
    """Return the variance of the magnitude, from ``E[M**2] = u**2 + 2 N``.

    Parameters
    ----------
    u : ndarray of float64
        True signal over noise.
    mean : ndarray of float64
        ``m(u)``.
    table : MagnitudeTable
        From `magnitude_table`.

    Returns
    -------
    ndarray of float64
        Variance over the square of the noise; 1 far above the noise.
    """
    b = table.n_coils - 0.5
    far = u >= table.reach
    near = np.where(far, 0.0, u)
    return np.where(
        far,
        1.0 - b / np.maximum(u, table.reach) ** 2,
        2.0 * table.n_coils + near**2 - np.where(far, 0.0, mean) ** 2,
    )
