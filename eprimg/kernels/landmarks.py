"""Pairs of landmarks: the rigid transform that fits them best, and what their distances say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError

__all__ = ["FEWEST_PAIRS", "RigidFit", "fit_rigid", "landmark_distances_mm", "predicted_error_mm"]

FloatArray = npt.NDArray[np.float64]

FEWEST_PAIRS = 3
"""Pairs that a rigid transform needs."""

_SMALLEST_SPREAD_MM = 1.0
"""Points whose spread across their best line (root mean square) is smaller count as collinear: the
turn about that line would be guessed.  House rule."""


class RigidFit(NamedTuple):
    """A rigid transform through pairs of landmarks.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4)
        Maps fixed points to moving points, mm.
    residuals_mm : ndarray, shape (n,)
        Distance that is left at each pair.
    rms_mm : float
        Root mean square of the residuals (fiducial registration error).
    """

    matrix: FloatArray
    residuals_mm: FloatArray
    rms_mm: float


def fit_rigid(fixed_mm: npt.ArrayLike, moving_mm: npt.ArrayLike) -> RigidFit:
    r"""Fit rotation and shift to pairs of landmarks by least squares.

    Parameters
    ----------
    fixed_mm, moving_mm : array_like, shape (n, 3)
        The same anatomical points in both frames, mm; at least three pairs, not on one line.

    Returns
    -------
    RigidFit
        Transform from fixed to moving points and the residual of each pair.

    Raises
    ------
    InputError
        ``E_LANDMARKS`` for fewer than three pairs, unequal numbers, values that are not finite, or
        points that lie on one line.

    Notes
    -----
    With centred points :math:`x_n, y_n` and :math:`\sum_n x_n y_n^T = U S V^T`, the rotation is
    :math:`R = V \,\mathrm{diag}(1, 1, \det V U^T)\, U^T` [1]_ [2]_, never a mirroring.  The
    residuals are smaller than the error of the alignment elsewhere; see `predicted_error_mm`.

    References
    ----------
    .. [1] Kabsch W, Acta Cryst A 1976;32:922, doi 10.1107/S0567739476001873.
    .. [2] Arun KS, Huang TS, Blostein SD, IEEE Trans Pattern Anal Mach Intell 1987;9:698, doi
       10.1109/TPAMI.1987.4767965.
    """
    first, second = _pairs(fixed_mm, moving_mm)
    if len(first) < FEWEST_PAIRS:
        raise _fault("a rigid transform needs at least three pairs of landmarks", len(first))
    for points, name in ((first, "fixed"), (second, "moving")):
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1]
        if spread / np.sqrt(len(points)) < _SMALLEST_SPREAD_MM:
            raise _fault(f"the {name} landmarks lie on one line; the turn about it is open", None)
    centres = first.mean(axis=0), second.mean(axis=0)
    u, _, vt = np.linalg.svd((first - centres[0]).T @ (second - centres[1]))
    sign = np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)])
    matrix = np.eye(4)
    matrix[:3, :3] = vt.T @ sign @ u.T
    matrix[:3, 3] = centres[1] - matrix[:3, :3] @ centres[0]
    residuals = np.linalg.norm(first @ matrix[:3, :3].T + matrix[:3, 3] - second, axis=1)
    return RigidFit(matrix, residuals, float(np.sqrt(np.mean(residuals**2))))


def landmark_distances_mm(mapped_mm: npt.ArrayLike, moving_mm: npt.ArrayLike) -> FloatArray:
    """Return how far mapped landmarks end from where they should.

    Parameters
    ----------
    mapped_mm : array_like, shape (n, 3)
        Fixed landmarks after the transform, mm.
    moving_mm : array_like, shape (n, 3)
        Where they lie in the moving frame, mm.

    Returns
    -------
    ndarray, shape (n,)
        Distances in mm: the target registration error, plus the error of placing the landmarks.

    Raises
    ------
    InputError
        ``E_LANDMARKS`` for unequal numbers or values that are not finite.
    """
    first, second = _pairs(mapped_mm, moving_mm)
    return np.asarray(np.linalg.norm(first - second, axis=1), dtype=np.float64)


def predicted_error_mm(
    fixed_mm: npt.ArrayLike, rms_mm: float, targets_mm: npt.ArrayLike
) -> FloatArray:
    r"""Predict the error of a landmark fit at targets.

    Parameters
    ----------
    fixed_mm : array_like, shape (n, 3)
        Landmarks of the fit, mm; more than two.
    rms_mm : float
        Root mean square residual of the fit.
    targets_mm : array_like, shape (m, 3)
        Points of interest in the same frame, mm.

    Returns
    -------
    ndarray, shape (m,)
        Expected root-mean-square target registration error, mm.

    Notes
    -----
    Fitzpatrick et al. [1]_: with the residual :math:`r` of the fit, the error of placing a landmark
    is :math:`\langle p^2 \rangle = \langle r^2 \rangle / (1 - 2/n)`, and that at a target
    :math:`\langle t^2 \rangle = \langle p^2 \rangle / n\,(1 + \frac13 \sum_k d_k^2/f_k^2)`
    with the distances :math:`d_k` of the target and :math:`f_k` (root mean square) of the landmarks
    from their principal axis k.  It assumes equal, independent, isotropic errors of placing; from
    few landmarks the residual itself is a noisy figure.

    References
    ----------
    .. [1] Fitzpatrick JM, West JB, Maurer CR, IEEE Trans Med Imaging 1998;17:694, doi
       10.1109/42.736021.
    """
    points, targets = np.asarray(fixed_mm, float), np.asarray(targets_mm, float)
    number = len(points)
    centre = points.mean(axis=0)
    axes = np.linalg.svd(points - centre)[2]
    inner, outer = (points - centre) @ axes.T, (targets - centre) @ axes.T
    total = np.ones(len(targets))
    for axis in range(3):
        others = [n for n in range(3) if n != axis]
        f2 = np.mean(np.sum(inner[:, others] ** 2, axis=1))
        total += np.sum(outer[:, others] ** 2, axis=1) / f2 / 3.0
    placing2 = rms_mm**2 / (1.0 - 2.0 / number)
    return np.asarray(np.sqrt(placing2 / number * total), dtype=np.float64)


def _pairs(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or one.shape[1:] != (3,) or one.shape != two.shape:
        raise _fault("landmarks are pairs of points with three numbers", (one.shape, two.shape))
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise _fault("landmarks must be finite", None)
    return one, two


def _fault(message: str, value: object) -> InputError:
    return InputError(
        message,
        code="E_LANDMARKS",
        value=value,
        action="give at least three well-spread pairs of the same points, LPS mm",
    )
