"""Mean of the voxel-wise ΔR2* of a region and its standard error, through the interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from eprimg.config import Config
from eprimg.kernels.resampled_mean import (
    MeanWeights,
    resampled_mean,
    resampled_mean_error,
    resampled_mean_weights,
)
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Study
from eprimg.model.transform import Registration
from eprimg.stages._carry_bend import shifts_at
from eprimg.stages.carry import output_to_input, transform_to
from eprimg.stages.error_range import ERROR_RANGE, ERROR_RANGE_REMARK, WORTH_SAYING, outside_share
from eprimg.stages.numbers import NAN
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["VoxelwiseErrors"]

_COVERS = (
    "fit noise of the voxels through the weights of the one resampling, before and after in "
    "quadrature; registration (see registration_error_term) and repeatability not included: a "
    "lower bound"
)


class VoxelwiseErrors:
    """Means of the registered ΔR2* and their standard errors, region by region.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    maps : Mapping of str to QuantityMap
        Native maps; ``r2star_pre`` and ``r2star_post`` with their standard errors.
    config : Config
        Settings: the spline order.
    """

    def __init__(
        self,
        study: Study,
        registrations: Sequence[Registration],
        maps: Mapping[str, QuantityMap],
        config: Config,
    ) -> None:
        self._study = study
        self._registrations = registrations
        self._maps = [maps[k] for k in ("r2star_post", "r2star_pre") if k in maps]
        self._order = config.measure.map_order
        self._known: dict[tuple[int, bytes], MeanWeights] = {}

    def unclipped_mean(
        self, change: QuantityMap, regions: RegionVoxels, number: int
    ) -> float | None:
        """Give a region's mean through the spline, without the clipping of its overshoot.

        Parameters
        ----------
        change : QuantityMap
            Registered ΔR2* map.
        regions : RegionVoxels
            Regions on the same grid.
        number : int
            Region id; it must have a valid voxel.

        Returns
        -------
        float or None
            In 1/s; None where nothing is clipped (linear interpolation, or no interpolation at
            all) or the native maps are not there, so that the mean of the map's voxels stands.

        Notes
        -----
        Beside an organ that is much brighter the spline undershoots inside a lesion's rim and
        overshoots outside.  Both are clipped in the map, so that no voxel shows a value that its
        neighbours do not have; a mean over the lesion alone would then hold the one half of it,
        and be drawn towards the organ.
        """
        if self._order != 3 or len(self._maps) != 2:
            return None
        if all(native.grid.matches(change.grid) for native in self._maps):
            return None
        where = _voxels_of(change, regions, number)
        means = []
        for native in self._maps:
            if native.grid.matches(change.grid):
                means.append(float(np.mean(native.values[tuple(where.T)], dtype=np.float64)))
                continue
            found = self._weights(native, change, where)
            if found is None:
                return None
            usable = native.valid[found.box] & np.isfinite(native.values[found.box])
            values = np.where(usable, native.values[found.box], np.nan)
            whole = tuple(slice(0, n) for n in values.shape)
            means.append(resampled_mean(values, found._replace(box=whole)))
        after, before = means
        return after - before

    def of_mean(
        self, change: QuantityMap, regions: RegionVoxels, number: int, sd_per_s: float
    ) -> tuple[float, str, str]:
        """Give the standard error of a region's mean.

        Parameters
        ----------
        change : QuantityMap
            Registered ΔR2* map.
        regions : RegionVoxels
            Regions on the same grid.
        number : int
            Region id; it must have a valid voxel.
        sd_per_s : float
            Standard deviation of the region's ΔR2*, for fits that give no error.

        Returns
        -------
        error : float
            In 1/s; NaN when it cannot be told.
        covers : str
            What it covers, or why there is none.
        outside : str
            How much of it is not known to be calibrated; empty where all is.
        """
        where = _voxels_of(change, regions, number)
        squared, fewest, fitted = 0.0, math.inf, True
        outside = []
        for native in self._maps:
            error, independent, share = self._one(native, change, where)
            fitted = fitted and math.isfinite(error)
            outside.append(share)
            squared += error**2
            fewest = min(fewest, independent)
        if len(self._maps) != 2:
            return NAN, "none: the native maps are not there", ""
        if fitted:
            if max(outside) < WORTH_SAYING:
                return math.sqrt(squared), _COVERS, ""
            after, before = (f"{100 * share:.0f} %" for share in outside)
            remark = (
                "outside the range in which the standard error is known to be calibrated: "
                f"{after} of the voxels after, {before} before, by their weights"
            )
            return math.sqrt(squared), f"{_COVERS}; {ERROR_RANGE_REMARK}", remark
        if fewest > 1.0 and len(where) > 1:
            return (
                sd_per_s / math.sqrt(fewest),
                (
                    "spread of the interpolated voxels over the root of the number of independent "
                    f"native voxels ({fewest:.0f}; the fit gives no error in every voxel); a lower "
                    "bound"
                ),
                "",
            )
        return NAN, "none: one voxel without a fit error", ""

    def _one(
        self, native: QuantityMap, change: QuantityMap, where: np.ndarray
    ) -> tuple[float, float, float]:
        """Error of the mean of one map, independent voxels under it, part that is uncalibrated."""
        error = native.standard_error
        codes = native.details.get(ERROR_RANGE)
        if native.grid.matches(change.grid):
            picked = np.full(1, NAN) if error is None else error[tuple(where.T)]
            total = float(np.sum(np.asarray(picked, dtype=np.float64) ** 2))
            share = 0.0 if codes is None else outside_share(codes[tuple(where.T)])
            return math.sqrt(total) / len(where), float(len(where)), share
        found = self._weights(native, change, where)
        if found is None:
            return NAN, 1.0, 0.0
        if error is None:
            return NAN, 1.0 / float(np.sum(found.weights**2)), 0.0
        usable = np.where(native.valid[found.box], error[found.box], np.nan)
        whole = tuple(slice(0, n) for n in usable.shape)
        share = 0.0 if codes is None else outside_share(codes[found.box], found.weights)
        return *resampled_mean_error(usable, found._replace(box=whole)), share

    def _weights(
        self, native: QuantityMap, change: QuantityMap, where: np.ndarray
    ) -> MeanWeights | None:
        """Weigh the voxels of a map; the last region's weights are kept for its mean and error."""
        key = (id(native), where.tobytes())
        if key in self._known:
            return self._known[key]
        source = next(s for s in self._study.series if s.key == native.sources[0])
        transform = transform_to(self._study, self._registrations, source)
        if transform is None:
            return None
        found = resampled_mean_weights(
            where,
            output_to_input=output_to_input(change.grid, native.grid, transform),
            shifts=shifts_at(where, change.grid, native.grid, transform),
            input_shape=native.grid.shape,
            order=3 if self._order == 3 else 1,
        )
        self._known = {key: found}
        return found


def _voxels_of(change: QuantityMap, regions: RegionVoxels, number: int) -> np.ndarray:
    """Return the indices of the valid voxels of a region, shape (n, 3)."""
    box = regions.boxes[number]
    inside = regions.inside(number) & change.valid[box]
    return np.asarray(np.argwhere(inside) + np.asarray([b.start for b in box]))
