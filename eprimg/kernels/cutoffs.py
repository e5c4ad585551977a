"""Tier cut-offs (fixed, median, tertiles) and the tier of a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

__all__ = ["assign_tier", "fixed_cutoffs", "median_cutoff", "tertile_cutoffs"]


def fixed_cutoffs(edges: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Check given cut-offs.

    Parameters
    ----------
    edges : sequence of float, shape (n_edges,)
        Cut-offs between the tiers, from low to high, in the unit of the quantity.

    Returns
    -------
    ndarray of float64, shape (n_edges,)
        The same numbers.

    Raises
    ------
    InputError
        There is no edge, an edge is not finite, or the edges do not rise strictly.

    Notes
    -----
    A fixed cut-off depends on the carrier, the dose, the nuclide, the scanner and the time after
    injection: one from another protocol is an example, not a threshold.
    """
    array = np.asarray(edges, dtype=np.float64)
    if (
        array.ndim != 1
        or array.size == 0
        or not np.all(np.isfinite(array))
        or not np.all(np.diff(array) > 0.0)
    ):
        raise InputError(
            "Cut-offs must be a list of finite numbers that rise strictly.",
            code="E_ARGUMENT",
            where="edges",
            value=array.tolist(),
            action="Sort the cut-offs from low to high and remove doubles.",
        )
    return array.copy()


def median_cutoff(values: ArrayLike) -> float:
    """Cohort median as the one cut-off between low and high.

    Parameters
    ----------
    values : array-like of float, any shape
        One value per lesion or patient of the reference cohort; NaN and infinite values are
        left out.

    Returns
    -------
    float
        The median in the unit of the values.

    Raises
    ------
    InputError
        Fewer than two finite values.

    Notes
    -----
    Relative to the cohort: half of it is always "high", whatever the uptake.  Lesions of one
    patient are not independent, so patients with many lesions weigh more.
    """
    return float(np.median(_finite(values, 2, "median")))


def tertile_cutoffs(values: ArrayLike) -> NDArray[np.float64]:
    """Cohort tertiles as the two cut-offs between low, moderate and high.

    Parameters
    ----------
    values : array-like of float, any shape
        One value per lesion or patient of the reference cohort; NaN and infinite values are
        left out.

    Returns
    -------
    ndarray of float64, shape (2,)
        The quantiles 1/3 and 2/3 (linear, Hyndman-Fan type 7), in the unit of the values.

    Raises
    ------
    InputError
        Fewer than three finite values, or so many equal ones that the tertiles coincide.

    Notes
    -----
    Relative to the cohort, as the median is.

    References
    ----------
    .. [1] Hyndman RJ, Fan Y, Am Stat 1996;50:361-365. doi:10.1080/00031305.1996.10473566
    """
    finite = _finite(values, 3, "tertiles")
    edges: NDArray[np.float64] = np.quantile(finite, [1.0 / 3.0, 2.0 / 3.0])
    if not edges[1] > edges[0]:
        raise InputError(
            "The tertiles of the cohort coincide: too many values are equal.",
            code="E_ARGUMENT",
            where="values",
            value=edges.tolist(),
            action="Use the median or fixed cut-offs.",
        )
    return edges


def assign_tier(
    values: ArrayLike, edges: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.int64]:
    """Tier of each value.

    Parameters
    ----------
    values : array-like of float, any shape
        Values in the unit of the edges.
    edges : sequence of float, shape (n_edges,)
        Finite, strictly rising cut-offs.

    Returns
    -------
    ndarray of int64, same shape as `values`
        0 below the first edge, up to ``n_edges`` at or above the last; a value equal to an edge
        belongs to the higher tier; -1 for NaN.

    Raises
    ------
    InputError
        The edges are not valid (see `fixed_cutoffs`).

    Notes
    -----
    A tier without its confidence (`eprimg.kernels.confidence`) claims more than was measured.
    """
    limits = fixed_cutoffs(edges)
    array = np.asarray(values, dtype=np.float64)
    tier = np.searchsorted(limits, array, side="right").astype(np.int64)
    return np.where(np.isnan(array), np.int64(-1), tier)


def _finite(values: ArrayLike, needed: int, what: str) -> NDArray[np.float64]:
    """Hand back the finite values, or refuse when there are too few."""
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    if finite.size < needed:
        raise InputError(
            f"At least {needed} finite values are needed for the {what} of a cohort.",
            code="E_ARGUMENT",
            where="values",
            value=int(finite.size),
            action="Use a larger cohort or fixed cut-offs.",
        )
    return finite
