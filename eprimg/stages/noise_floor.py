"""How many voxels of a region lie above the R2* that its echo train can measure, or failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from eprimg.config import Config
from eprimg.kernels.r2star import R2StarReason
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["VoxelDoubt", "VoxelDoubts", "voxel_doubts"]

_WORTH_SAYING = 0.005
"""A smaller part would read "0 %"."""

_SOURCES = {"r2star_pre": "mr_pre", "r2star_post": "mr_post"}


@dataclass(frozen=True, slots=True)
class VoxelDoubt:
    """Doubtful voxels of one region on one R2* map.

    Parameters
    ----------
    above : float
        Part above the measurable range, of the voxels that have a value or no signal left.
    no_signal : float
        Part of all voxels without a value because an echo holds zero (or less).
    failed : float
        Part of all voxels without a value, for any reason.
    limit_per_s : float
        Upper end of the measurable range.

    Notes
    -----
    Where R2* is high, a late echo that is stored as an integer becomes 0, and no rate can be
    fitted.  Those voxels are missing just because they hold the most iron, so they count as above
    the range: leaving them out would hide the bias of what is left.
    """

    above: float
    no_signal: float
    failed: float
    limit_per_s: float

    def words(self, source: str) -> str:
        """Say it for a reader.

        Parameters
        ----------
        source : str
            Key of the series.

        Returns
        -------
        str
            One clause.
        """
        lost = ""
        if self.no_signal >= _WORTH_SAYING:
            lost = (
                f" ({100 * self.no_signal:.0f} % have no signal left in a late echo, and no value)"
            )
        return (
            f"{100 * self.above:.0f} % of the R2* voxels of {source} lie above the measurable "
            f"range ({self.limit_per_s:.0f} 1/s){lost}: late echoes are noise, R2* is too low"
        )


VoxelDoubts = Mapping[str, Mapping[int, VoxelDoubt]]
"""By source (``mr_pre``, ``mr_post``) and region id."""


def voxel_doubts(
    carried: Mapping[str, LesionSet] | Mapping[str, RegionVoxels],
    maps: Mapping[str, QuantityMap],
    config: Config,
    *,
    ids: Collection[int] | None = None,
) -> dict[str, dict[int, VoxelDoubt]]:
    """Count doubtful voxels of every region on both R2* maps.

    Parameters
    ----------
    carried : Mapping of str to LesionSet or RegionVoxels
        Labels on native grids, by series key.
    maps : Mapping of str to QuantityMap
        Native maps.
    config : Config
        Settings.
    ids : collection of int, optional
        Only these regions; all when left out.

    Returns
    -------
    dict
        By source and region id; a region without a voxel there is missing.
    """
    found: dict[str, dict[int, VoxelDoubt]] = {}
    for key, source in _SOURCES.items():
        r2star = maps.get(key)
        if r2star is None or r2star.sources[0] not in carried:
            continue
        voxels = RegionVoxels.of(carried[r2star.sources[0]])
        limit = config.r2star.noise_floor_product / max(r2star.facts["echo_times_s"])
        found[source] = {
            number: _doubt(voxels, r2star, number, limit)
            for number in voxels.boxes
            if ids is None or number in ids
        }
    return found


def _doubt(voxels: RegionVoxels, r2star: QuantityMap, number: int, limit: float) -> VoxelDoubt:
    valid = voxels.pick(r2star.valid, number)
    lost = np.zeros(valid.shape, dtype=np.bool_)
    if r2star.reason is not None:
        reason = voxels.pick(r2star.reason, number)
        lost = ~valid & (reason == int(R2StarReason.NON_POSITIVE))
    high = lost.copy()
    high[valid] = voxels.pick(r2star.values, number)[valid] > limit
    n = valid.size
    known, above, no_signal, failed = (
        int(np.count_nonzero(x)) for x in (valid | lost, high, lost, ~valid)
    )
    return VoxelDoubt(above / known if known else 0.0, no_signal / n, failed / n, limit)
