"""The point loop of `eprimg.kernels.plane_cut`, in plain Python that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def cut_points(
    samples: NDArray[Any],
    good: NDArray[np.bool_],
    ends: NDArray[np.float64],
    path: NDArray[np.float64],
    steps: int,
    shifts: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result`, which begins as NaN; compiled by numba.

    The rows of `path` are the first point and what a row, a column and a step add to it.  An empty
    `good` asks for no validity, and empty `shifts` bend nothing.
    """
    masked = good.shape[0] > 0
    bent = shifts.shape[0] > 0
    last_k, last_j, last_i = samples.shape[0] - 1, samples.shape[1] - 1, samples.shape[2] - 1
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            at_k = path[0, 0] + path[1, 0] * row + path[2, 0] * column
            at_j = path[0, 1] + path[1, 1] * row + path[2, 1] * column
            at_i = path[0, 2] + path[1, 2] * row + path[2, 2] * column
            if bent:
                at_k += shifts[row, column, 0]
                at_j += shifts[row, column, 1]
                at_i += shifts[row, column, 2]
            best = np.nan
            for step in range(steps):
                z = at_k + path[3, 0] * step
                y = at_j + path[3, 1] * step
                x = at_i + path[3, 2] * step
                if z < ends[0, 0] or z > ends[0, 1]:
                    continue
                if y < ends[1, 0] or y > ends[1, 1]:
                    continue
                if x < ends[2, 0] or x > ends[2, 1]:
                    continue
                z = min(max(z, 0.0), float(last_k))
                y = min(max(y, 0.0), float(last_j))
                x = min(max(x, 0.0), float(last_i))
                k, j, i = int(z), int(y), int(x)
                k_next, j_next, i_next = min(k + 1, last_k), min(j + 1, last_j), min(i + 1, last_i)
                z -= k
                y -= j
                x -= i
                total, weight = 0.0, 1.0
                if masked:
                    weight = 0.0
                    for corner in range(8):
                        a, share = (k_next, z) if corner & 4 else (k, 1.0 - z)
                        b, part = (j_next, y) if corner & 2 else (j, 1.0 - y)
                        share *= part
                        c, part = (i_next, x) if corner & 1 else (i, 1.0 - x)
                        share *= part
                        if good[a, b, c]:
                            weight += share
                            total += share * samples[a, b, c]
                    if weight <= 0.5:
                        continue
                else:
                    low = samples[k, j, i] * (1.0 - x) + samples[k, j, i_next] * x
                    high = samples[k, j_next, i] * (1.0 - x) + samples[k, j_next, i_next] * x
                    near = low * (1.0 - y) + high * y
                    low = samples[k_next, j, i] * (1.0 - x) + samples[k_next, j, i_next] * x
                    high = (
                        samples[k_next, j_next, i] * (1.0 - x) + samples[k_next, j_next, i_next] * x
                    )
                    total = near * (1.0 - z) + (low * (1.0 - y) + high * y) * z
                value = total / weight
                if not value <= best:  # also while there is none
                    best = value
            result[row, column] = best
