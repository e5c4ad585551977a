"""How often two volumes have which pair of values, at an affine alignment of the two."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import GeometryError
from eprimg.kernels._joint_histogram_numba import count_pairs

__all__ = ["joint_histogram"]

_MOST_BINS: Final = 256


def joint_histogram(
    fixed_bins: NDArray[np.uint8],
    moving: NDArray[np.float32],
    *,
    output_to_input: ArrayLike,
    top: float,
    bins: int,
) -> NDArray[np.int64]:
    """Interpolate a volume linearly at the points of a lattice and count pairs of bins.

    Parameters
    ----------
    fixed_bins : ndarray of uint8, shape (k, j, i)
        Bin of the fixed volume at every point of the lattice, below `bins`.
    moving : ndarray of float32, shape (k, j, i)
        The moving volume; a point whose neighbours hold a NaN is not counted.
    output_to_input : array-like of float, shape (4, 4)
        Affine from the index (k, j, i, 1) of the lattice to the index of the moving volume.
    top : float
        Value at which the last bin of the moving volume ends, above 0; the first begins at 0.
        Values beyond either end count in the outermost bin.
    bins : int
        Bins of either volume, 1 to 256.

    Returns
    -------
    ndarray of int64, shape (bins, bins)
        Number of points with each pair: rows are bins of the fixed volume, columns of the moving
        one.  Points beyond the outermost voxel centres of the moving volume are not counted.

    Raises
    ------
    GeometryError
        ``E_ARGUMENT`` when an array is not three-dimensional or a number is out of range.

    Notes
    -----
    The same as interpolating with `scipy.ndimage.affine_transform` (order 1, NaN outside) and
    counting with `numpy.bincount`, in about a fifth of the time: no volume is stored between.

    References
    ----------
    .. [1] Studholme C, Hill DLG, Hawkes DJ. Pattern Recognit 1999;32:71-86.
       doi:10.1016/S0031-3203(98)00091-0
    """
    for where, value, right in (
        ("fixed_bins", fixed_bins.shape, fixed_bins.ndim == 3),
        ("moving", moving.shape, moving.ndim == 3 and 0 not in moving.shape),
        ("bins", bins, 1 <= bins <= _MOST_BINS),
        ("top", top, bool(np.isfinite(top)) and top > 0),
    ):
        if not right:
            raise GeometryError(
                "the arrays of a joint histogram do not fit",
                code="E_ARGUMENT",
                where=where,
                value=value,
                action="give two volumes, 1 to 256 bins and a value above 0 for the last of them",
            )
    if fixed_bins.size and int(fixed_bins.max()) >= bins:
        raise GeometryError(
            "a bin of the fixed volume does not exist",
            code="E_ARGUMENT",
            where="fixed_bins",
            value=int(fixed_bins.max()),
            action=f"number the bins from 0 to {bins - 1}",
        )
    counts = np.zeros((bins, bins), dtype=np.int64)
    _compiled()(
        np.ascontiguousarray(fixed_bins, dtype=np.uint8),
        np.ascontiguousarray(moving, dtype=np.float32),
        np.ascontiguousarray(output_to_input, dtype=np.float64),
        np.float32(bins / top),
        counts,
    )
    return counts


@cache
def _compiled() -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    compiled: Callable[..., None] = numba.njit(cache=True, nogil=True)(count_pairs)
    return compiled
