"""The unevenness of lesions: statistics without unit, and profiles from the rim inwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from eprimg.config import Config
from eprimg.kernels.heterogeneity import (
    histogram_statistics,
    hot_cold_fractions,
    penetration_profile,
)
from eprimg.kernels.intensity_stats import intensity_statistics
from eprimg.kernels.label_boxes import widened_box
from eprimg.model.lesions import Measurement, Profile
from eprimg.model.maps import QuantityMap
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.time_points import suffixes_in

__all__ = ["measure_heterogeneity"]

_NO_ERROR = "none: spread of the voxels; noise makes it larger"

Profiles = dict[int, list[Profile]]
"""New profiles by region id."""


def measure_heterogeneity(
    numbers: Numbers,
    reference: RegionVoxels,
    voxels: Mapping[str, RegionVoxels],
    maps: Mapping[str, QuantityMap],
    registered: Mapping[str, QuantityMap],
    config: Config,
) -> Profiles:
    """Append statistics of the lesions, and return their profiles.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    reference : RegionVoxels
        Labels on the reference grid.
    voxels : Mapping of str to RegionVoxels
        Labels on native grids, by series key.
    maps, registered : Mapping of str to QuantityMap
        Native maps, and maps on the reference grid.
    config : Config
        ``heterogeneity``.

    Returns
    -------
    dict of int to list of Profile
        By region id.

    Notes
    -----
    Maps: R2* after the agent, the change of R2* on the reference grid, SUVbw (else %ID/kg).
    Percentiles are in the unit of the map; skewness (IBSI KE2A), excess kurtosis (IPH6),
    coefficient of variation (7TET), quartile coefficient of dispersion (9S40), uniformity (BJ5W),
    hot and cold part have none; entropy (TLU2) is in bits.
    """
    profiles: Profiles = {}
    if not config.heterogeneity.measure:
        return profiles
    for key, source, map_, regions, width in _maps(reference, voxels, maps, registered, config):
        for lesion in regions.lesions.lesions:
            if lesion.id not in numbers:
                continue
            grid = "reference grid" if source.startswith("registered") else f"native {source}"
            n, found, note = _statistics(regions, map_, lesion.id, key, width, config)
            for (quantity, statistic), value in found.items():
                numbers[lesion.id].append(
                    Measurement(quantity, statistic, source, value, NAN, _NO_ERROR, n, grid, note)
                )
            if n >= config.heterogeneity.least_voxels:
                profile = _profile(regions, map_, lesion.id, key, source, grid, config)
                profiles.setdefault(lesion.id, []).append(profile)
    return profiles


def _maps(
    reference: RegionVoxels,
    voxels: Mapping[str, RegionVoxels],
    maps: Mapping[str, QuantityMap],
    registered: Mapping[str, QuantityMap],
    config: Config,
) -> Iterator[tuple[str, str, QuantityMap, RegionVoxels, float]]:
    """Quantity, source, map, regions on its grid and width of a histogram bin."""
    settings = config.heterogeneity
    width = settings.r2star_bin_per_s
    for end in suffixes_in(voxels, "mr_post"):
        post, change = f"r2star_post{end}", f"dr2star{end}"
        if post in maps and f"mr_post{end}" in voxels:
            yield "r2star", f"mr_post{end}", maps[post], voxels[f"mr_post{end}"], width
        if change in registered and registered[change].grid.matches(reference.lesions.grid):
            yield "dr2star", f"registered{end}", registered[change], reference, width
    for end in suffixes_in(voxels, "pet"):
        for key, width in (("suvbw", settings.suv_bin), ("pid_per_kg", settings.pid_bin_per_kg)):
            if f"pet{end}" in voxels and f"{key}{end}" in maps:
                yield key, f"pet{end}", maps[f"{key}{end}"], voxels[f"pet{end}"], width
                break


def _statistics(
    regions: RegionVoxels,
    map_: QuantityMap,
    number: int,
    key: str,
    width: float,
    config: Config,
) -> tuple[int, dict[tuple[str, str], float], str]:
    """Return the number of voxels, statistics by quantity and name, and a note."""
    names = [
        (key, "p10"),
        (key, "p90"),
        *(
            ("heterogeneity", f"{key}_{name}")
            for name in (
                "skewness",
                "excess_kurtosis",
                "cov",
                "qcod",
                "uniformity",
                "hot_part",
                "cold_part",
            )
        ),
        ("histogram_entropy", key),
    ]
    values = np.empty(0)
    if number in regions.boxes:
        values = regions.pick(map_.values, number)[regions.pick(map_.valid, number)]
        values = values[np.isfinite(values)]
    least = config.heterogeneity.least_voxels
    if values.size < least:
        nothing = dict.fromkeys(names, NAN)
        return (
            values.size,
            nothing,
            f"not computed: {values.size} voxels with a value, fewer than {least}",
        )
    stats = intensity_statistics(values)
    # Bins begin at a multiple of their width, so that those of two lesions are the same.
    low = float(np.floor(float(values.min()) / width) * width)
    histogram = histogram_statistics(values, bin_width=width, low=low)
    part = config.heterogeneity.hot_cold_part
    hot, cold = hot_cold_fractions(values, part=part)
    numbers = (
        stats.p10,
        stats.p90,
        stats.skewness,
        stats.kurtosis,
        stats.coefficient_of_variation,
        stats.quartile_coefficient_of_dispersion,
        histogram.uniformity,
        hot,
        cold,
        histogram.entropy,
    )
    unit = map_.quantity.unit.text
    found = dict(zip(names, numbers, strict=True))
    return (
        values.size,
        found,
        f"bins of {width:g} {unit}; hot and cold: {100 * part:g} % off the median",
    )


def _profile(
    regions: RegionVoxels,
    map_: QuantityMap,
    number: int,
    key: str,
    source: str,
    grid: str,
    config: Config,
) -> Profile:
    spacing = map_.grid.spacing_mm
    width = max(config.heterogeneity.profile_bin_mm, min(spacing))
    box = widened_box(regions.boxes[number], (1, 1, 1), map_.grid.shape)
    inside = regions.within(number, box)
    found = penetration_profile(
        map_.values[box], inside, spacing, bin_mm=width, valid=map_.valid[box]
    )
    return Profile(
        key,
        source,
        grid,
        from_mm=tuple(float(v) for v in found.from_mm),
        to_mm=tuple(float(v) for v in found.to_mm),
        mean=tuple(float(v) for v in found.mean),
        standard_error=tuple(float(v) for v in found.standard_error),
        n_voxels=tuple(int(n) for n in found.n_voxels),
        note="within one width of the blur from the rim it shows the blur; standard error of "
        "correlated voxels: a lower bound",
    )
