"""How a bent transform treats space: folding, change of volume, and whether the way back fits.

References
----------
Christensen GE, Johnson HJ, IEEE Trans Med Imaging 2001;20:568, doi 10.1109/42.932742 (inverse
consistency).
Leow AD et al., IEEE Trans Med Imaging 2007;26:822, doi 10.1109/TMI.2007.892646 (log of the
Jacobian determinant).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

__all__ = [
    "InverseConsistency",
    "JacobianFigures",
    "body_nodes",
    "inverse_consistency",
    "jacobian_figures",
    "smallest_jacobian",
]

FloatArray = npt.NDArray[np.float64]


class JacobianFigures(NamedTuple):
    """Change of volume by a bent transform.

    Attributes
    ----------
    smallest : float
        Smallest Jacobian determinant J inside the body; at most 0 where space folds.
    first_percentile : float
        1st percentile of J inside the body.
    folding_percent : float
        Part of the body's nodes at which J is not above 0.
    sd_log : float
        Standard deviation of the natural logarithm of J inside the body; infinite when it folds.
    smallest_anywhere : float
        Smallest J of the whole field.
    """

    smallest: float
    first_percentile: float
    folding_percent: float
    sd_log: float
    smallest_anywhere: float


class InverseConsistency(NamedTuple):
    """Distance of points from where they return to.

    Attributes
    ----------
    mean_mm, p95_mm : float
        Mean and 95th percentile, mm.
    """

    mean_mm: float
    p95_mm: float


def jacobian_figures(
    transform: Transform, body: npt.NDArray[np.bool_] | None = None
) -> JacobianFigures:
    """Return the Jacobian statistics of a transform.

    Parameters
    ----------
    transform : Transform
        Rigid or bent.
    body : ndarray of bool, shape of the displacement's grid, optional
        Nodes inside the body, see `body_nodes`; all nodes when left out or when none is.

    Returns
    -------
    JacobianFigures
        Without a displacement: the determinant of the matrix everywhere.

    Notes
    -----
    A displacement is linear between its nodes, so its determinant jumps there.  At every node the
    smallest of the eight one-sided determinants counts for folding and for the percentile, and that
    of central differences for the logarithm.
    """
    whole = float(np.linalg.det(transform.matrix[:3, :3]))
    bend = transform.displacement
    if bend is None:
        return JacobianFigures(whole, whole, 0.0 if whole > 0 else 100.0, 0.0, whole)
    strict = whole * _one_sided(bend)
    smooth = whole * _determinant(_slopes(bend, "central"))
    inside = body if body is not None and body.any() else np.ones(strict.shape, dtype=bool)
    worst, mild = strict[inside], smooth[inside]
    folds = float(100.0 * np.count_nonzero(worst <= 0) / worst.size)
    return JacobianFigures(
        float(worst.min()),
        float(np.quantile(worst, 0.01)),
        folds,
        float(np.log(mild).std()) if folds == 0 and mild.min() > 0 else float("inf"),
        float(strict.min()),
    )


def smallest_jacobian(bend: Displacement) -> float:
    """Return the smallest one-sided Jacobian determinant of a field.

    Parameters
    ----------
    bend : Displacement
        The field.

    Returns
    -------
    float
        At most 0 when it folds space somewhere.
    """
    return float(_one_sided(bend).min())


def body_nodes(values: npt.NDArray[np.floating], grid: Grid, nodes: Grid) -> npt.NDArray[np.bool_]:
    """Tell which nodes of a field lie inside the body.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        The fixed series; the body is what is above its mean.
    grid : Grid
        Its grid.
    nodes : Grid
        Grid of the field, in the same frame.

    Returns
    -------
    ndarray of bool, shape of ``nodes``
        By the nearest voxel.
    """
    index = np.moveaxis(np.indices(nodes.shape), 0, -1)
    there = np.rint(grid.lps_mm_to_index(nodes.index_to_lps_mm(index))).astype(np.intp)
    inside = ((there >= 0) & (there < np.array(grid.shape))).all(axis=-1)
    k, j, i = np.moveaxis(np.clip(there, 0, np.array(grid.shape) - 1), -1, 0)
    above = values > values.mean(dtype=np.float64)
    return np.asarray(above[k, j, i] & inside)


def inverse_consistency(
    forward: Transform, backward: Transform, points_mm: npt.ArrayLike
) -> InverseConsistency:
    """Return how far points end from where they began, there and back.

    Parameters
    ----------
    forward, backward : Transform
        From the fixed frame to the moving frame, and back; found independently, the distance shows
        what the series do not decide.
    points_mm : array_like, shape (n, 3)
        LPS mm of the fixed frame.

    Returns
    -------
    InverseConsistency
        Distances in mm.
    """
    points = np.asarray(points_mm, dtype=float)
    away = np.linalg.norm(backward.apply(forward.apply(points)) - points, axis=-1)
    return InverseConsistency(float(away.mean()), float(np.quantile(away, 0.95)))


def _one_sided(bend: Displacement) -> FloatArray:
    """Smallest of the determinants of the eight cells that meet at a node."""
    sides = {side: _slopes(bend, side) for side in ("before", "after")}
    least = np.full(bend.grid.shape, np.inf)
    for choice in product(sides, repeat=3):
        slopes = [sides[side][axis] for axis, side in enumerate(choice)]
        np.minimum(least, _determinant(slopes), out=least)
    return least


def _slopes(bend: Displacement, side: str) -> list[FloatArray]:
    """Differentiate the displacement along each grid axis; components along these axes."""
    axes = bend.grid.axes_lps
    vectors = np.asarray(bend.vectors_mm.astype(np.float64) @ axes)
    found = []
    for axis, spacing in enumerate(bend.grid.spacing_mm):
        if vectors.shape[axis] < 2:
            found.append(np.zeros_like(vectors))
        elif side == "central":
            found.append(np.gradient(vectors, spacing, axis=axis))
        else:
            step = np.diff(vectors, axis=axis) / spacing
            edge = 0 if side == "before" else -1
            last = np.take(step, [edge], axis=axis)
            found.append(np.concatenate([last, step] if edge == 0 else [step, last], axis=axis))
    return found


def _determinant(slopes: list[FloatArray]) -> FloatArray:
    a, b, c = slopes
    # Columns are derivatives along k, j, i; the identity is added on the diagonal.
    a0, a1, a2 = a[..., 0] + 1.0, a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1] + 1.0, b[..., 2]
    c0, c1, c2 = c[..., 0], c[..., 1], c[..., 2] + 1.0
    return np.asarray(
        a0 * (b1 * c2 - b2 * c1) - b0 * (a1 * c2 - a2 * c1) + c0 * (a1 * b2 - a2 * b1)
    )
