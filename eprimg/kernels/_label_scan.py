"""The voxel loops of `eprimg.kernels.label_boxes`, in plain Python that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def scan_boxes(labels: NDArray[Any], ends: NDArray[np.int64]) -> None:
    """Widen `ends` (first and last index along k, j, i per label) to hold every voxel."""
    for k in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            last = 0
            for i in range(labels.shape[2]):
                label = labels[k, j, i]
                if label == last:
                    continue
                # Runs of one label along i: only their ends can widen the box.
                if 0 < last < ends.shape[0]:
                    ends[last, 5] = max(ends[last, 5], i - 1)
                if 0 < label < ends.shape[0]:
                    ends[label, 0] = min(ends[label, 0], k)
                    ends[label, 1] = max(ends[label, 1], k)
                    ends[label, 2] = min(ends[label, 2], j)
                    ends[label, 3] = max(ends[label, 3], j)
                    ends[label, 4] = min(ends[label, 4], i)
                last = label
            if 0 < last < ends.shape[0]:
                ends[last, 5] = max(ends[last, 5], labels.shape[2] - 1)


def scan_changes(before: NDArray[Any], after: NDArray[Any], ends: NDArray[np.int64]) -> None:
    """Widen `ends` (first and last index along k, j, i) to hold every voxel that differs."""
    for k in range(before.shape[0]):
        for j in range(before.shape[1]):
            differs = 0
            # Without a jump the compiler compares many voxels at a time.
            for i in range(before.shape[2]):
                differs |= before[k, j, i] != after[k, j, i]
            if differs:
                ends[0] = min(ends[0], k)
                ends[1] = max(ends[1], k)
                ends[2] = min(ends[2], j)
                ends[3] = max(ends[3], j)
                for i in range(before.shape[2]):
                    if before[k, j, i] != after[k, j, i]:
                        ends[4] = min(ends[4], i)
                        ends[5] = max(ends[5], i)
