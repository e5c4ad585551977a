"""The point loop of `eprimg.kernels.joint_histogram`, in plain Python that numba compiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_pairs(
    fixed_bins: NDArray[np.uint8],
    moving: NDArray[Any],
    matrix: NDArray[np.float64],
    scale: Any,
    counts: NDArray[np.int64],
) -> None:
    """Add to `counts` the pair of bins of every lattice point; compiled by numba.

    `scale` and the interpolated value have the dtype of `moving`, so that a value falls into the
    bin into which it falls after interpolation to an array of that dtype.
    """
    last_k, last_j, last_i = moving.shape[0] - 1, moving.shape[1] - 1, moving.shape[2] - 1
    top = counts.shape[1] - 1
    value = np.zeros(1, dtype=moving.dtype)
    for k in range(fixed_bins.shape[0]):
        for j in range(fixed_bins.shape[1]):
            for i in range(fixed_bins.shape[2]):
                z = matrix[0, 3] + matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i
                y = matrix[1, 3] + matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i
                x = matrix[2, 3] + matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i
                # Written so that NaN is outside.
                if not (0.0 <= z <= last_k and 0.0 <= y <= last_j and 0.0 <= x <= last_i):
                    continue
                a, b, c = int(z), int(y), int(x)
                z -= a
                y -= b
                x -= c
                # On the last centre the next one has no weight.
                a_next, b_next, c_next = min(a + 1, last_k), min(b + 1, last_j), min(c + 1, last_i)
                total = moving[a, b, c] * (1.0 - z) * (1.0 - y) * (1.0 - x)
                total += moving[a, b, c_next] * (1.0 - z) * (1.0 - y) * x
                total += moving[a, b_next, c] * (1.0 - z) * y * (1.0 - x)
                total += moving[a, b_next, c_next] * (1.0 - z) * y * x
                total += moving[a_next, b, c] * z * (1.0 - y) * (1.0 - x)
                total += moving[a_next, b, c_next] * z * (1.0 - y) * x
                total += moving[a_next, b_next, c] * z * y * (1.0 - x)
                total += moving[a_next, b_next, c_next] * z * y * x
                value[0] = total
                if math.isnan(value[0]):
                    continue
                at = int(min(max(value[0] * scale, 0.0), float(top)))
                counts[fixed_bins[k, j, i], at] += 1
