"""How many voxels of a region lie above the R2* that its echo train can measure, or failed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.kernels.r2star import R2StarReason
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.maps import QuantityMap
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.region_voxels import RegionVoxels

__all__ = [
    "DOUBT_STATISTICS",
    "VoxelDoubt",
    "VoxelDoubts",
    "measurable_limit_per_s",
    "measure_doubts",
    "voxel_doubts",
]

DOUBT_STATISTICS = ("above_range", "saturated", "at_bound", "low_signal", "few_echoes", "failed")
"""Statistics of the quantity ``r2star_voxels``: parts of the voxels of a region."""

_LOST = (R2StarReason.NON_POSITIVE, R2StarReason.AT_BOUND, R2StarReason.LOW_SIGNAL)
"""Without a value because the signal is gone."""

_WORTH_SAYING = 0.005
"""A smaller part would read "0 %"."""

_SATURATED = 2.0
"""R2* times the first echo time above which a value is called saturated (`fit_r2star`)."""

_OF_SERIES = re.compile(r"r2star_(pre|post(_\d+)?)")
"""Maps of the series ``mr_pre``, ``mr_post`` and of further sessions, e.g. ``mr_post_2``."""


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
    saturated : float
        Part of all voxels whose value, which is kept, lies above 2 / TE_first.
    at_bound : float
        Part of all voxels without a value because only the first echo holds signal.
    low_signal : float
        Part of all voxels without a value because not even the first echo rises above the noise.
    few_echoes : float
        Part of all voxels with a value that rests on too few echoes above the noise.
    noise : str
        Noise mode of the map: ``none``, ``truncate`` or ``rician``.
    n_voxels : int
        Voxels of the region on the map.
    first_echo_product : float
        Median R2* times the first echo time; NaN without a value.

    Notes
    -----
    Without a noise mode the range ends at `noise_floor_product` over the last echo time: above it
    the late echoes, which are in the fit, hold noise only.  With a noise mode they are not in the
    fit, or do no harm; a voxel lies above the range when too few echoes are left
    (``r2star.least_echoes_above_noise``) or when it is saturated: R2* above 2 / TE_first, where
    less than 14 % of the signal is left at the first echo.

    Where R2* is high, a late echo that is stored as an integer becomes 0 (without a noise mode), or
    only the first echo or none rises above the noise (with one), and no rate can be fitted.  Those
    voxels are missing just because they hold the most iron, so they count as above the range:
    leaving them out would hide the bias of what is left.
    """

    above: float
    no_signal: float
    failed: float
    limit_per_s: float
    saturated: float = 0.0
    at_bound: float = 0.0
    low_signal: float = 0.0
    few_echoes: float = 0.0
    noise: str = "none"
    n_voxels: int = 0
    first_echo_product: float = NAN

    @property
    def bias(self) -> str:
        """Direction of the error of R2*, as in `Objection`: ``low`` or ``unknown``.

        A fit of the mean magnitude scatters to both sides where few echoes are left.
        """
        return "unknown" if self.noise == "rician" else "low"

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
        said = f"{100 * self.above:.0f} % of the R2* voxels of {source} lie above the measurable "
        parts = [
            f"{100 * share:.0f} % {what}"
            for share, what in (
                (self.no_signal, "have no signal left in a late echo, and no value"),
                (self.at_bound, "hold signal in the first echo only, and have no value"),
                (self.low_signal, "do not rise above the noise, and have no value"),
                (self.few_echoes, "rest on too few echoes above the noise"),
                (self.saturated, f"lie above {_SATURATED:g} / TE of the first echo"),
            )
            if share >= _WORTH_SAYING
        ]
        if self.noise == "none":
            lost = f" ({parts[0]})" if self.no_signal >= _WORTH_SAYING else ""
            why = "late echoes are noise, R2* is too low"
            return f"{said}range ({self.limit_per_s:.0f} 1/s){lost}: {why}"
        listed = f" ({', '.join(parts)})" if parts else ""
        why = "R2* is too low" if self.bias == "low" else "R2* is not certain"
        return f"{said}range{listed}: {why}"


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
    for key, r2star in maps.items():
        named = _OF_SERIES.fullmatch(key)
        if named is None or r2star.sources[0] not in carried:
            continue
        source = f"mr_{named[1]}"
        voxels = RegionVoxels.of(carried[r2star.sources[0]])
        found[source] = {
            number: _doubt(voxels, r2star, number, config)
            for number in voxels.boxes
            if ids is None or number in ids
        }
    return found


def measurable_limit_per_s(r2star: QuantityMap, noise_floor_product: float) -> float:
    """Return the R2* up to which a map can be right at all.

    Parameters
    ----------
    r2star : QuantityMap
        With the facts ``echo_times_s`` and ``noise``.
    noise_floor_product : float
        Setting of that name; it counts without a noise mode.

    Returns
    -------
    float
        1/s.  With a noise mode the range of a voxel may end earlier, where too few of its echoes
        lie above the noise.
    """
    times = r2star.facts["echo_times_s"]
    if r2star.facts.get("noise", "none") == "none":
        return float(noise_floor_product / max(times))
    return float(_SATURATED / min(times))


def measure_doubts(numbers: Numbers, doubts: VoxelDoubts) -> None:
    """Count the doubtful voxels of every region as numbers of their own.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; changed in place.
    doubts : Mapping
        From `voxel_doubts`.
    """
    for source, each in doubts.items():
        for number, measured in numbers.items():
            doubt = each.get(number)
            if doubt is None:
                continue
            for statistic in DOUBT_STATISTICS:
                share = doubt.above if statistic == "above_range" else getattr(doubt, statistic)
                measured.append(
                    Measurement(
                        "r2star_voxels",
                        statistic,
                        source,
                        share,
                        NAN,
                        "none: voxels of the mask are counted",
                        doubt.n_voxels,
                        f"native {source}",
                    )
                )


def _doubt(voxels: RegionVoxels, r2star: QuantityMap, number: int, config: Config) -> VoxelDoubt:
    valid = voxels.pick(r2star.valid, number)
    values = np.where(valid, voxels.pick(r2star.values, number), np.nan)
    noise = str(r2star.facts.get("noise", "none"))
    limit = measurable_limit_per_s(r2star, config.r2star.noise_floor_product)
    nothing = np.zeros(valid.shape, dtype=np.bool_)
    lost = dict.fromkeys(_LOST, nothing)
    if r2star.reason is not None:
        reasons = voxels.pick(r2star.reason, number)
        lost = {reason: ~valid & (reasons == int(reason)) for reason in _LOST}
    with np.errstate(invalid="ignore"):
        saturated = values > _SATURATED / min(r2star.facts["echo_times_s"])
        high = saturated | (values > limit)
    few = nothing
    above_noise = r2star.details.get("echoes_above_noise")
    if above_noise is not None:
        # Of a train of two echoes both have to be there.
        least = min(config.r2star.least_echoes_above_noise, len(r2star.facts["echo_times_s"]))
        few = valid & (voxels.pick(above_noise, number) < least)
    gone = np.any(list(lost.values()), axis=0)
    n = valid.size

    def share(chosen: npt.NDArray[np.bool_], of: int = n) -> float:
        return int(np.count_nonzero(chosen)) / of if of else 0.0

    return VoxelDoubt(
        share(high | few | gone, int(np.count_nonzero(valid | gone))),
        share(lost[R2StarReason.NON_POSITIVE]),
        share(~valid),
        limit,
        saturated=share(saturated),
        at_bound=share(lost[R2StarReason.AT_BOUND]),
        low_signal=share(lost[R2StarReason.LOW_SIGNAL]),
        few_echoes=share(few),
        noise=noise,
        n_voxels=n,
        first_echo_product=(
            float(np.median(values[valid])) * min(r2star.facts["echo_times_s"])
            if valid.any()
            else NAN
        ),
    )
