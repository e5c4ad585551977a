"""The voxel loop of `eprimg.kernels.resample`, in plain Python that numba compiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Indices nearer than this to a whole number count as whole: rounding of positions in files.
ON_LATTICE = 1e-4


def interpolate(
    coefficients: NDArray[Any],
    samples: NDArray[Any],
    good: NDArray[np.bool_],
    matrix: NDArray[np.float64],
    shifts: NDArray[np.float32],
    order: int,
    erode: bool,
    result: NDArray[Any],
    result_valid: NDArray[np.bool_],
    first: int,
    end: int,
) -> None:
    """Fill planes `first` to `end` of `result` and `result_valid`; compiled by numba.

    `shifts` of shape (planes, j, i, 3) are added to the input index; without planes, none are.
    """
    bent = shifts.shape[0] > 0
    taps = order + 1
    before = 1 if order == 3 else 0
    weight = np.zeros((3, 4))
    index = np.zeros((3, 4), dtype=np.int64)
    # First and last input voxel per axis: neighbours for the range, and those asked to be valid.
    near = np.zeros((3, 2), dtype=np.int64)
    asked = np.zeros((3, 2), dtype=np.int64)
    reach = 1 if erode else 0
    for k in range(first, end):
        for j in range(result.shape[1]):
            for i in range(result.shape[2]):
                inside = True
                for axis in range(3):
                    n = samples.shape[axis]
                    x = (
                        matrix[axis, 0] * k
                        + matrix[axis, 1] * j
                        + matrix[axis, 2] * i
                        + matrix[axis, 3]
                    )
                    if bent:
                        x += shifts[k - first, j, i, axis]
                    if n == 1:
                        if abs(x) > 0.5 + ON_LATTICE:
                            inside = False
                            break
                        x = 0.0
                    if x < -ON_LATTICE or x > n - 1 + ON_LATTICE:
                        inside = False
                        break
                    x = min(max(x, 0.0), n - 1.0)
                    whole = round(x)
                    if abs(x - whole) <= ON_LATTICE:
                        near[axis, 0] = near[axis, 1] = whole
                        asked[axis, 0] = asked[axis, 1] = whole
                    else:
                        near[axis, 0] = math.floor(x)
                        near[axis, 1] = near[axis, 0] + 1
                        asked[axis, 0] = max(near[axis, 0] - reach, 0)
                        asked[axis, 1] = min(near[axis, 1] + reach, n - 1)
                    base = math.floor(x)
                    t = x - base
                    if order == 3:
                        weight[axis, 0] = (1.0 - t) ** 3 / 6.0
                        weight[axis, 1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
                        weight[axis, 2] = (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t * t * t) / 6.0
                        weight[axis, 3] = t * t * t / 6.0
                    else:
                        weight[axis, 0] = 1.0 - t
                        weight[axis, 1] = t
                    for tap in range(taps):
                        position = base - before + tap
                        if n == 1:
                            position = 0
                        # Mirror at the outermost voxel centres.
                        if position < 0:
                            position = -position
                        if position > n - 1:
                            position = 2 * (n - 1) - position
                        index[axis, tap] = min(max(position, 0), n - 1)
                if not inside:
                    continue
                for a in range(asked[0, 0], asked[0, 1] + 1):
                    for b in range(asked[1, 0], asked[1, 1] + 1):
                        for c in range(asked[2, 0], asked[2, 1] + 1):
                            if not good[a, b, c]:
                                inside = False
                if not inside:
                    continue
                total = 0.0
                for a in range(taps):
                    plane = 0.0
                    for b in range(taps):
                        row = 0.0
                        for c in range(taps):
                            row += (
                                weight[2, c] * coefficients[index[0, a], index[1, b], index[2, c]]
                            )
                        plane += weight[1, b] * row
                    total += weight[0, a] * plane
                if order == 3:
                    low = samples[near[0, 0], near[1, 0], near[2, 0]]
                    high = low
                    for a in range(2):
                        for b in range(2):
                            for c in range(2):
                                value = samples[near[0, a], near[1, b], near[2, c]]
                                low = min(low, value)
                                high = max(high, value)
                    total = min(max(total, low), high)
                result[k, j, i] = total
                result_valid[k, j, i] = True
