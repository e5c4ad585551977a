"""Displacement as a cubic B-spline on a box: values, bending energy, linear systems.

A field is a product of three one-dimensional splines, so everything here is three small matrices,
one per axis.  Sums are taken by `numpy.einsum` without BLAS: the result does not depend on the
number of threads.

References
----------
Rueckert D et al., IEEE Trans Med Imaging 1999;18:712, doi 10.1109/42.796284 (free-form deformation
by cubic B-splines, bending energy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["SplineField", "conjugate_gradients", "transferred"]

FloatArray = npt.NDArray[np.float64]

_SAMPLES_PER_INTERVAL = 24
_FIRST, _ZEROTH = 1e-6, 1e-9
"""Weights (per mm2 and mm4) of the gradient and of the field itself: they only settle what bending
leaves free (a field without data is a straight line)."""


def _basis(offset: FloatArray, derivative: int) -> FloatArray:
    """Cubic B-spline and its derivatives, with a support of four intervals."""
    a, sign = np.abs(offset), np.sign(offset)
    if derivative == 0:
        return np.where(
            a < 1, 2.0 / 3.0 - a * a + a**3 / 2.0, np.where(a < 2, (2.0 - a) ** 3 / 6.0, 0.0)
        )
    if derivative == 1:
        return sign * np.where(
            a < 1, 1.5 * a * a - 2.0 * a, np.where(a < 2, -((2.0 - a) ** 2) / 2.0, 0.0)
        )
    return np.where(a < 1, 3.0 * a - 2.0, np.where(a < 2, 2.0 - a, 0.0))


class SplineField:
    """A vector field on a box, by control points.

    Parameters
    ----------
    lengths_mm : sequence of float
        Edges of the box along its axes (k, j, i); coordinates run from 0 to these.
    spacing_mm : float
        Distance of the control points; their net is centred on the box.

    Attributes
    ----------
    shape : tuple of int
        Control points along each axis.
    """

    def __init__(self, lengths_mm: Sequence[float], spacing_mm: float) -> None:
        self.lengths_mm = tuple(float(length) for length in lengths_mm)
        self.spacing_mm = spacing_mm
        intervals = [max(1, int(np.ceil(length / spacing_mm))) for length in self.lengths_mm]
        self.shape = tuple(n + 3 for n in intervals)
        self._first = [
            (length - n * spacing_mm) / 2.0 - spacing_mm
            for length, n in zip(self.lengths_mm, intervals, strict=True)
        ]
        self._grams = [[self._gram(axis, d) for d in range(3)] for axis in range(3)]

    def zeros(self) -> FloatArray:
        """Return the coefficients of a field that moves nothing.

        Returns
        -------
        ndarray, shape (3, k, j, i)
            Zeros.
        """
        return np.zeros((3, *self.shape))

    def matrix(self, axis: int, at_mm: npt.ArrayLike, derivative: int = 0) -> FloatArray:
        """Return the weights of the control points of an axis.

        Parameters
        ----------
        axis : int
            0 for k, 1 for j, 2 for i.
        at_mm : array_like, shape (n,)
            Coordinates along it; those outside the box count as its ends.
        derivative : int
            0, 1 or 2.

        Returns
        -------
        ndarray, shape (n, m)
            In mm to the power of minus ``derivative``.
        """
        at = np.clip(np.asarray(at_mm, dtype=float), 0.0, self.lengths_mm[axis])
        centres = self._first[axis] + np.arange(self.shape[axis]) * self.spacing_mm
        offset = (at[:, None] - centres) / self.spacing_mm
        return _basis(offset, derivative) / self.spacing_mm**derivative

    def _gram(self, axis: int, derivative: int) -> FloatArray:
        n = _SAMPLES_PER_INTERVAL * (self.shape[axis] - 3)
        at = (np.arange(n) + 0.5) / n * self.lengths_mm[axis]
        weights = self.matrix(axis, at, derivative)
        return np.asarray(np.einsum("na,nb->ab", weights, weights) / n)

    @staticmethod
    def values(coefficients: FloatArray, matrices: Sequence[FloatArray]) -> FloatArray:
        """Multiply by one matrix along each axis.

        Parameters
        ----------
        coefficients : ndarray, shape (3, a, b, c)
            Control points, or values when the matrices are transposed.
        matrices : sequence of ndarray
            Shapes (k, a), (j, b), (i, c).

        Returns
        -------
        ndarray, shape (3, k, j, i)
            For the matrices of `matrix`: the field on a lattice.
        """
        first, second, third = matrices
        out = np.einsum("ka,nabc->nkbc", first, coefficients)
        out = np.einsum("jb,nkbc->nkjc", second, out)
        return np.asarray(np.einsum("ic,nkjc->nkji", third, out))

    def stiffness(self, coefficients: FloatArray) -> FloatArray:
        """Return half the gradient of the bending energy.

        Parameters
        ----------
        coefficients : ndarray, shape (3, k, j, i)
            Control points, mm.

        Returns
        -------
        ndarray, shape (3, k, j, i)
            Its product with the coefficients is the energy: the mean over the box of the sum of the
            squared second derivatives (mixed ones counted twice), in 1/mm2.
        """
        g = self._grams
        total = np.zeros_like(coefficients)
        for axis in range(3):
            orders = [0, 0, 0]
            orders[axis] = 2
            total += self.values(coefficients, [g[a][orders[a]] for a in range(3)])
            orders[axis] = 1
            total += _FIRST * self.values(coefficients, [g[a][orders[a]] for a in range(3)])
            for other in range(axis + 1, 3):
                orders[other] = 1
                total += 2.0 * self.values(coefficients, [g[a][orders[a]] for a in range(3)])
                orders[other] = 0
        return total + _ZEROTH * self.values(coefficients, [g[a][0] for a in range(3)])


def transferred(coefficients: FloatArray, old: SplineField, new: SplineField) -> FloatArray:
    """Express a field by other control points of the same box (least squares along each axis).

    Parameters
    ----------
    coefficients : ndarray, shape (3, k, j, i)
        Of ``old``.
    old, new : SplineField
        Fields of boxes of one size.

    Returns
    -------
    ndarray, shape (3, k, j, i)
        Of ``new``.
    """
    steps: list[FloatArray] = []
    for axis in range(3):
        at = np.linspace(0.0, new.lengths_mm[axis], 8 * new.shape[axis])
        steps.append(
            np.asarray(
                np.linalg.lstsq(new.matrix(axis, at), old.matrix(axis, at), rcond=None)[0],
                dtype=np.float64,
            )
        )
    return SplineField.values(coefficients, steps)


def conjugate_gradients(
    operator: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    *,
    iterations: int = 80,
    tolerance: float = 1e-3,
) -> FloatArray:
    """Solve a linear system with a symmetric positive operator.

    Parameters
    ----------
    operator : callable
        The operator.
    right : ndarray
        Right-hand side.
    iterations : int
        Most steps.
    tolerance : float
        Residual, as a share of the right-hand side, at which it ends.

    Returns
    -------
    ndarray
        The solution, from a start at zero.
    """
    found = np.zeros_like(right)
    left = right.copy()
    along = left.copy()
    size = first = float(np.sum(left * left))
    for _ in range(iterations):
        if size <= tolerance**2 * first or size == 0.0:
            break
        image = operator(along)
        step = size / float(np.sum(along * image))
        found += step * along
        left -= step * image
        following = float(np.sum(left * left))
        along = left + following / size * along
        size = following
    return found
