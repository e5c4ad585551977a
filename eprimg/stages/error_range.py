"""Say where the standard errors of an R2* map have been shown to be calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.error_range import (
    ERROR_RANGE_TEXT,
    RATE_LIMITS_PER_S,
    SNR_STEPS,
    ErrorRange,
)
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap

__all__ = [
    "ERROR_RANGE",
    "ERROR_RANGE_REMARK",
    "WORTH_SAYING",
    "error_range_finding",
    "error_range_words",
    "outside_share",
]

ERROR_RANGE = "error_range"
"""Name of the detail of an R2* map that holds `ErrorRange` of every voxel."""

ERROR_RANGE_REMARK = "not known to be calibrated in part of the voxels (see the remark)"
"""End of what an error covers; how many voxels stands in the remark of the measurement."""

WORTH_SAYING = 0.005
"""A smaller part would read "0 %"."""

_TISSUE_SIGMAS = 10.0
"""Tissue: S0 above so many sigmas; air would make every share look bad."""


def outside_share(codes: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> float:
    """Return the part of the voxels with a standard error that lie outside the shown range.

    Parameters
    ----------
    codes : ndarray of uint8
        `ErrorRange` of some voxels.
    weights : ndarray, same shape, optional
        Weight of each of them; equal when left out.

    Returns
    -------
    float
        0 to 1; 0 without any standard error.
    """
    weight = np.ones(codes.shape) if weights is None else np.abs(weights)
    weight = np.where(codes == ErrorRange.NO_ERROR, 0.0, weight)
    total = float(weight.sum())
    return float(weight[codes != ErrorRange.CALIBRATED].sum()) / total if total > 0.0 else 0.0


def error_range_words(codes: npt.NDArray[Any]) -> str:
    """Say for a reader which part of some voxels lies outside the range, and why.

    Parameters
    ----------
    codes : ndarray of uint8
        `ErrorRange` of the voxels.

    Returns
    -------
    str
        One clause; empty where all of them lie inside.
    """
    share = outside_share(codes)
    if share < WORTH_SAYING:
        return ""
    counts = np.bincount(codes.ravel(), minlength=max(ErrorRange) + 1)
    n = int(counts.sum() - counts[ErrorRange.NO_ERROR])
    why = [
        f"{ERROR_RANGE_TEXT[code]}: {100 * counts[code] / n:.0f} %"
        for code in ErrorRange
        if code not in (ErrorRange.CALIBRATED, ErrorRange.NO_ERROR)
        and counts[code] / n >= WORTH_SAYING
    ]
    said = (
        "outside the range in which the standard error is known to be calibrated in "
        f"{100 * share:.0f} % of the voxels"
    )
    return said + (f" ({'; '.join(why)})" if why else "")


def error_range_finding(
    codes: npt.NDArray[Any], s0: QuantityMap, sigma: float | None, key: str
) -> list[Finding]:
    """Tell of one map how much of its tissue lies outside the range.

    Parameters
    ----------
    codes : ndarray of uint8, shape (k, j, i)
        `ErrorRange` of every voxel.
    s0 : QuantityMap
        Fitted S0.
    sigma : float or None
        Noise per channel; without it every voxel with a value is tissue.
    key : str
        Key of the series.

    Returns
    -------
    list of Finding
        ``I_ERROR_RANGE``, or nothing where all tissue lies inside or nothing has an error.
    """
    tissue = s0.valid
    if sigma is not None:
        with np.errstate(invalid="ignore"):
            tissue = tissue & (s0.values > _TISSUE_SIGMAS * sigma)
    words = error_range_words(codes[tissue])
    if not words:
        return []
    low, high = RATE_LIMITS_PER_S
    return [
        Finding(
            "I_ERROR_RANGE",
            Severity.INFO,
            key,
            f"Standard errors of R2* of {key}: {words} with signal. The range: four echoes or "
            f"more, R2* up to {low:g} 1/s at S0/sigma {SNR_STEPS[0]:g} and {high:g} 1/s at "
            f"{SNR_STEPS[1]:g}, and no more than the echo times bear.",
        )
    ]
