"""Metabolic tumour volume (MTV) and total lesion uptake (TLG) of one region under a threshold."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import GeometryError, InputError

__all__ = ["MetabolicVolume", "background_adapted_threshold", "metabolic_volume"]


class MetabolicVolume(NamedTuple):
    """Volume at or above a threshold, with its uptake.

    Attributes
    ----------
    volume_ml : float
        Volume in mL; 0 where no voxel reaches the threshold.
    mean : float
        Mean of these voxels in the unit of the map; NaN where there are none.
    total : float
        ``mean * volume_ml`` (TLG): g for SUV in g/mL; 0 where no voxel reaches the threshold.
    n_voxels : int
        Number of these voxels.
    threshold : float
        As given.
    """

    volume_ml: float
    mean: float
    total: float
    n_voxels: int
    threshold: float


def metabolic_volume(
    values: NDArray[np.floating[Any]],
    *,
    voxel_volume_ml: float,
    threshold: float = -math.inf,
    valid: NDArray[np.bool_] | None = None,
) -> MetabolicVolume:
    """Volume and total uptake of the voxels of a region that reach a threshold.

    Parameters
    ----------
    values : ndarray of float, any shape
        Map values of the voxels of one region; NaN is left out.
    voxel_volume_ml : float
        Volume of one voxel in mL.
    threshold : float, optional
        In the unit of the map; a voxel at the threshold counts.  Left out: all voxels.
    valid : ndarray of bool, same shape, optional
        Voxels that may be used.

    Returns
    -------
    MetabolicVolume
        ``MTV = n V`` and ``TLG = mean x MTV``.

    Raises
    ------
    InputError
        The voxel volume is not positive, or the threshold is NaN.
    GeometryError
        Shapes differ.

    Notes
    -----
    Whole voxels are counted: for a small lesion the volume comes in steps of a voxel, and blur
    widens it.  MTV and TLG by different thresholds are not comparable; a percentage of the maximum
    shrinks the volume as noise raises the maximum, a fixed value misses cold lesions.  Negative
    voxels of the region stay negative in the total.

    References
    ----------
    .. [1] Larson SM et al., Clin Positron Imaging 1999;2:159-171 (total lesion glycolysis).
    .. [2] Wahl RL et al., PERCIST. J Nucl Med 2009;50 Suppl 1:122S-150S.
       doi:10.2967/jnumed.108.057307
    """
    if not (math.isfinite(voxel_volume_ml) and voxel_volume_ml > 0.0):
        raise _refused("voxel_volume_ml", voxel_volume_ml, "The voxel volume must be positive.")
    if math.isnan(threshold):
        raise _refused("threshold", threshold, "The threshold must be a number.")
    usable = np.isfinite(values)
    if valid is not None:
        if valid.shape != values.shape:
            raise GeometryError(
                f"valid must have the shape of the values, {values.shape}.",
                code="E_ARGUMENT",
                where="valid",
                value=valid.shape,
            )
        usable &= valid
    inside = values[usable & np.greater_equal(values, threshold)]
    n = int(inside.size)
    volume = n * voxel_volume_ml
    if n == 0:
        return MetabolicVolume(0.0, math.nan, 0.0, 0, threshold)
    mean = float(inside.mean(dtype=np.float64))
    return MetabolicVolume(volume, mean, mean * volume, n, threshold)


def background_adapted_threshold(
    maximum: float, background: float, *, fraction: float = 0.5
) -> float:
    """Threshold between the background and the maximum of a lesion (A50 of EARL for one half).

    Parameters
    ----------
    maximum : float
        Maximum of the lesion, or its peak, in the unit of the map.
    background : float
        Mean of the surroundings in the same unit, below the maximum.
    fraction : float, optional
        Between 0 and 1; one half gives ``0.5 (maximum + background)``.

    Returns
    -------
    float
        ``background + fraction (maximum - background)``.

    Raises
    ------
    InputError
        A number is not finite, the background is not below the maximum, or the fraction is out of
        range.
    """
    if not (math.isfinite(maximum) and math.isfinite(background) and background < maximum):
        raise _refused(
            "background", background, "The background must be finite and below the maximum."
        )
    if not 0.0 < fraction <= 1.0:
        raise _refused("fraction", fraction, "The fraction must be above 0 and at most 1.")
    return background + fraction * (maximum - background)


def _refused(where: str, value: object, message: str) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)
