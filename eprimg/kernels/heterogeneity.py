"""How uneven a lesion is: histogram, hot and cold parts, and uptake against depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import InputError

__all__ = [
    "HistogramStatistics",
    "PenetrationProfile",
    "histogram_statistics",
    "hot_cold_fractions",
    "penetration_profile",
    "rim_distance",
]


class HistogramStatistics(NamedTuple):
    """Statistics of a histogram with their IBSI codes.

    Attributes
    ----------
    entropy : float
        TLU2, in bits.
    uniformity : float
        BJ5W, sum of the squared shares, without unit.
    mode : float
        Middle of the fullest bin (the lowest of equals), in the unit of the values.
    n_bins : int
        Bins from the lowest to the highest value.
    n_voxels : int
        Voxels that entered.
    """

    entropy: float
    uniformity: float
    mode: float
    n_bins: int
    n_voxels: int


class PenetrationProfile(NamedTuple):
    """Mean against distance from the rim; one entry per bin.

    Attributes
    ----------
    from_mm, to_mm : ndarray of float64
        Edges of the bins: from the rim inwards.
    mean : ndarray of float64
        In the unit of the values; NaN where no voxel has a value.
    standard_error : ndarray of float64
        Standard deviation (n - 1) over the root of n; NaN below two voxels.
    n_voxels : ndarray of int64
        Voxels with a value.
    """

    from_mm: NDArray[np.float64]
    to_mm: NDArray[np.float64]
    mean: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    n_voxels: NDArray[np.int64]


def histogram_statistics(
    values: NDArray[np.floating[Any]], *, bin_width: float, low: float | None = None
) -> HistogramStatistics:
    """Entropy and uniformity of the values of a region in bins of fixed width.

    Parameters
    ----------
    values : ndarray of float, any shape
        Voxels of one region; NaN and infinite values are left out.
    bin_width : float
        Width of a bin in the unit of the values, above 0.
    low : float, optional
        Lower edge of the first bin; the lowest value when left out.  With a calibrated quantity
        give 0, so that the bins of two lesions are the same.

    Returns
    -------
    HistogramStatistics
        Statistics of the bins that hold a voxel.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: no voxel can be used, a bad width, or values below ``low``.

    Notes
    -----
    Bin of x: ``floor((x - low) / width)`` (fixed bin size); p is the share of the voxels in a bin,
    ``entropy = -sum p log2 p``, ``uniformity = sum p^2`` [1]_.  Both depend on the bin width and,
    for a small region, on the number of voxels: compare only with equal bins and like sizes.

    References
    ----------
    .. [1] Zwanenburg A et al., The Image Biomarker Standardization Initiative. Radiology
       2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    x = _usable(values)
    if not (math.isfinite(bin_width) and bin_width > 0):
        raise _refused("bin_width", bin_width, "The width of a bin is above 0.")
    start = float(x.min()) if low is None else float(low)
    if not math.isfinite(start) or float(x.min()) < start:
        raise _refused("low", low, "The first bin starts at or below the lowest value.")
    place = np.floor((x - start) / bin_width)
    found, counts = np.unique(place, return_counts=True)
    share = counts / x.size
    return HistogramStatistics(
        entropy=max(-float(share @ np.log2(share)), 0.0),
        uniformity=float(share @ share),
        mode=start + (float(found[int(np.argmax(counts))]) + 0.5) * bin_width,
        n_bins=int(found[-1] - found[0]) + 1,
        n_voxels=int(x.size),
    )


def hot_cold_fractions(
    values: NDArray[np.floating[Any]], *, part: float = 0.5
) -> tuple[float, float]:
    """Parts of a region well above and well below its median.

    Parameters
    ----------
    values : ndarray of float, any shape
        Voxels of one region; NaN and infinite values are left out.
    part : float
        Hot is above ``(1 + part)`` times the median, cold below ``(1 - part)`` times it; 0 to 1.

    Returns
    -------
    hot, cold : float
        Parts of the voxels, without unit; NaN when the median is not above 0.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: no voxel can be used, or ``part`` is out of range.

    Notes
    -----
    House definition, not published.  Both grow with noise.
    """
    if not 0.0 < part < 1.0:
        raise _refused("part", part, "The part lies between 0 and 1.")
    x = _usable(values)
    median = float(np.median(x))
    if not median > 0:
        return math.nan, math.nan
    return float(np.mean(x > (1 + part) * median)), float(np.mean(x < (1 - part) * median))


def rim_distance(inside: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """Distance of the centre of every voxel of a region from the region's rim.

    Parameters
    ----------
    inside : ndarray of bool, shape (k, j, i)
        The region with at least a voxel of its surroundings, except where the volume ends (its
        border is no rim).
    spacing_mm : sequence of float
        Voxel spacing along (k, j, i) in mm.

    Returns
    -------
    ndarray of float64, same shape
        Distance in mm to the box of the nearest voxel outside; 0 outside; infinite when there is
        nothing outside.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shape or spacing.

    Notes
    -----
    The nearest outside voxel is found by its centre (exact Euclidean distance transform with the
    spacing); then half a voxel is taken off along every axis that separates the two, so that a
    voxel beside a flat rim lies half a voxel from it.  At a curved rim the steps of the grid make
    distances a little short (0.6 mm on average in a ball of 30 mm on voxels of 3 x 2 x 1 mm).
    """
    if inside.ndim != 3:
        raise _refused("inside", inside.shape, "One volume with the axes (k, j, i) is needed.")
    steps = np.asarray(spacing_mm, dtype=np.float64)
    if steps.shape != (3,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise _refused("spacing_mm", tuple(spacing_mm), "Three lengths above 0 mm are needed.")
    if inside.all():
        return np.full(inside.shape, np.inf)
    nearest = ndimage.distance_transform_edt(
        inside, sampling=steps, return_distances=False, return_indices=True
    )
    squared = np.zeros(inside.shape)
    for axis in range(3):
        here = np.arange(inside.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
        gap = np.maximum(np.abs(nearest[axis] - here) - 0.5, 0.0) * steps[axis]
        squared += gap**2
    return np.asarray(np.where(inside, np.sqrt(squared), 0.0))


def penetration_profile(
    values: NDArray[np.floating[Any]],
    inside: NDArray[np.bool_],
    spacing_mm: Sequence[float],
    *,
    bin_mm: float,
    valid: NDArray[np.bool_] | None = None,
) -> PenetrationProfile:
    """Mean of a map against the distance from the rim of a region.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        The map; NaN and infinite values are left out.
    inside : ndarray of bool, same shape
        The region, as in `rim_distance`.
    spacing_mm : sequence of float
        Voxel spacing along (k, j, i) in mm.
    bin_mm : float
        Width of a bin of distance; below the voxel size bins stay empty.
    valid : ndarray of bool, same shape, optional
        Voxels that may enter; the others still belong to the region.

    Returns
    -------
    PenetrationProfile
        Bins from the rim to the deepest voxel; empty when nothing of the region's rim is seen.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shapes, spacing or width.

    Notes
    -----
    Within about one width of the scanner's blur from the rim the profile is that of the blur, not
    of the carrier.  Neighbouring voxels are correlated, so the standard error is a lower bound.
    """
    if values.shape != inside.shape or (valid is not None and valid.shape != inside.shape):
        raise _refused("values", values.shape, "Map, region and valid voxels have one shape.")
    if not (math.isfinite(bin_mm) and bin_mm > 0):
        raise _refused("bin_mm", bin_mm, "The width of a bin is above 0 mm.")
    depth = rim_distance(inside, spacing_mm)
    known = inside & np.isfinite(depth)
    deepest = int(np.floor(depth[known].max() / bin_mm)) + 1 if known.any() else 0
    edges = bin_mm * np.arange(deepest + 1, dtype=np.float64)
    used = known & np.isfinite(values)
    if valid is not None:
        used &= valid
    x = values[used].astype(np.float64)
    place = np.floor(depth[used] / bin_mm).astype(np.int64)
    n = np.bincount(place, minlength=deepest)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, np.bincount(place, x, deepest) / n, np.nan)
        squares = np.bincount(place, (x - mean[place]) ** 2, deepest)
        error = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
    return PenetrationProfile(edges[:-1], edges[1:], mean, error, n.astype(np.int64))


def _usable(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    x = np.asarray(values)
    x = x[np.isfinite(x)].astype(np.float64)
    if x.size == 0:
        raise _refused("values", 0, "No voxel of the region can be used.")
    return x


def _refused(where: str, value: object, message: str) -> InputError:
    return InputError(
        message,
        code="E_ARGUMENT",
        where=where,
        value=value,
        action="Give the voxels of one region, and lengths above 0.",
    )
