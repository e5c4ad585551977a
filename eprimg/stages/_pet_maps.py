"""Maps of a PET series that are its activity times one constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.uptake import scaled, scaled_with_valid
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.quantities import quantity
from eprimg.stages.uptake_scales import UptakeScales

__all__ = ["percent_in_view", "plain_map", "scaled_map"]

_LARGEST_FACTOR = 1e6
"""Below it no finite Bq/mL of a scanner leaves the range of float32."""


def percent_in_view(
    series: Series, activity: npt.NDArray[Any], valid: npt.NDArray[np.bool_], dose_bq: float
) -> float:
    """Sum of Bq/mL times mL over all voxels, in percent of the dose at the same instant."""
    total = 0.0
    if valid.size and not any(valid.strides):  # one flag for all voxels: nothing to look up
        valid = np.broadcast_to(valid[:, :1, :1], (valid.shape[0], 1, 1))
    for plane, usable in zip(activity, valid, strict=True):  # by plane: no copy of the volume
        if usable.all():
            # Rows in their own type (pairwise, 1e-6), then float64: five times as fast.
            total += float(plane.sum(axis=-1).sum(dtype=np.float64))
        else:
            total += float(plane[usable].sum(dtype=np.float64))
    return 100.0 * total * series.grid.voxel_volume_ml / dose_bq


def scaled_map(
    series: Series,
    activity: npt.NDArray[Any],
    key: str,
    scales: UptakeScales,
    method: str,
    facts: dict[str, Any],
    valid: npt.NDArray[np.bool_] | None = None,
) -> QuantityMap:
    """Multiply once; a factor that may leave the range of the type has its voxels looked at."""
    factor = scales.factors[key]
    if valid is None:
        values, valid = scaled_with_valid(activity, factor)
    else:
        values = scaled(activity, factor)
    if factor > _LARGEST_FACTOR:
        valid = np.isfinite(values)
    return plain_map(series, values, key, method, facts, valid)


def plain_map(
    series: Series,
    values: npt.NDArray[Any],
    key: str,
    method: str,
    facts: dict[str, Any],
    valid: npt.NDArray[np.bool_] | None = None,
) -> QuantityMap:
    """Put values on the grid of the series; without ``valid``, voxels that are no number failed."""
    return QuantityMap(
        values=values,
        grid=series.grid,
        quantity=quantity(key),
        valid=np.isfinite(values) if valid is None else valid,
        method=method,
        sources=(series.key,),
        facts=facts,
    )
