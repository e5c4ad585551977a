"""Paths and walks on the grid of 6-neighbours between two seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

_MOST_SWEEPS = 200
_TOLERANCE = 1e-4
_MOST_STEPS = 1000


def least_costs(
    edges: Sequence[NDArray[np.float64]], usable: NDArray[np.bool_], seeds: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Least sum of edge costs from every seed, by sweeps along the axes until nothing changes.

    Parameters
    ----------
    edges : sequence of ndarray
        Cost (at least 0) between neighbours along each axis, one entry less along that axis.
    usable : ndarray of bool, shape (k, j, i)
        Voxels that a path may use.
    seeds : ndarray of bool, shape (n, k, j, i)
        Where the paths of each label start.

    Returns
    -------
    ndarray, shape (n, k, j, i)
        Least cost; infinite where no path leads.
    """
    cost = np.where(seeds, 0.0, np.inf)
    walls = []
    for axis, edge in enumerate(edges):
        # Along the first axis, so that one step of a sweep is one contiguous slice.
        ends = np.moveaxis(usable, axis, 0)
        walls.append(np.where(ends[1:] & ends[:-1], np.moveaxis(edge, axis, 0), np.inf))
    for _ in range(_MOST_SWEEPS):
        before = cost.copy()
        for axis, wall in enumerate(walls):
            lines = np.ascontiguousarray(np.moveaxis(cost, axis + 1, 0))
            for n in range(1, len(lines)):
                np.minimum(lines[n], lines[n - 1] + wall[n - 1], out=lines[n])
            for n in range(len(lines) - 2, -1, -1):
                np.minimum(lines[n], lines[n + 1] + wall[n], out=lines[n])
            cost = np.moveaxis(lines, 0, axis + 1)
        if np.array_equal(before, cost):
            break
    return cost


def walk_probability(
    weights: Sequence[NDArray[np.float64]], usable: NDArray[np.bool_], seeds: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Probability that a random walk reaches the first seed before the second.

    Parameters
    ----------
    weights : sequence of ndarray
        Weight between neighbours along each axis, one entry less along that axis.
    usable : ndarray of bool, shape (k, j, i)
        Voxels that a walk may use.
    seeds : ndarray of bool, shape (2, k, j, i)
        The two seeds.

    Returns
    -------
    ndarray, shape (k, j, i)
        Probability; 0 where the walk cannot go.
    """
    size = usable.size
    number = np.arange(size).reshape(usable.shape)
    rows, columns, strengths = [], [], []
    for axis, weight in enumerate(weights):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        joined = usable[tuple(low)] & usable[tuple(high)]
        rows.append(number[tuple(low)][joined])
        columns.append(number[tuple(high)][joined])
        strengths.append(weight[joined])
    one, other = np.concatenate(rows), np.concatenate(columns)
    weight = np.concatenate(strengths)
    links: Any = csr_array((weight, (one, other)), shape=(size, size))
    links = (links + links.T).tocsr()
    degree: NDArray[np.float64] = np.asarray(links.sum(axis=1)).ravel()
    fixed = (seeds[0] | seeds[1]).ravel()
    free = np.flatnonzero(~fixed & (degree > 0))
    held = np.flatnonzero(seeds[0].ravel())
    result: NDArray[np.float64] = seeds[0].astype(np.float64).ravel()
    if free.size == 0:
        return result.reshape(usable.shape)
    between = links[free]
    towards: NDArray[np.float64] = np.asarray(between[:, held].sum(axis=1)).ravel()
    system: Any = _diagonal(degree[free]) - between[:, free]
    found, _ = cg(
        system.tocsr(),
        towards,
        x0=np.full(free.size, 0.5),
        rtol=_TOLERANCE,
        maxiter=_MOST_STEPS,
        M=_diagonal(1.0 / degree[free]),
    )
    result[free] = np.clip(found, 0.0, 1.0)
    return result.reshape(usable.shape)


def _diagonal(values: NDArray[np.float64]) -> Any:
    """Sparse matrix with a diagonal."""
    return diags_array(values, format="dia")
