"""How even the reference organs are: a robust spread beside the median, and a finding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eprimg.config import Config
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.maps import QuantityMap
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.time_points import suffixes_in

__all__ = ["measure_spread", "spread_findings"]

_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

_UNEVEN = "uneven:"
"""How the note of an uneven organ begins."""


def measure_spread(
    numbers: Numbers,
    voxels: Mapping[str, RegionVoxels],
    maps: Mapping[str, QuantityMap],
    config: Config,
) -> None:
    """Append the median absolute deviation of every reference region.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    voxels : Mapping of str to RegionVoxels
        Labels on native grids, by series key.
    maps : Mapping of str to QuantityMap
        Native maps.
    config : Config
        ``references.uneven_spread``, ``uptake.sul_formula``.

    Notes
    -----
    Median of ``|value - median|``, not scaled (statistic ``mad``); 1.4826 times it estimates the
    standard deviation of a normal distribution, and a vessel or an edge within the region moves it
    little.  The limit is a house rule, not published.
    """
    pet = ("suvbw", "pid_per_kg", f"sul_{config.uptake.sul_formula}")
    sources = {"mr_pre": ("r2star_pre",), "mr_post": ("r2star_post",), "pet": pet}
    keys = [(r + e, k + e, k) for r in sources for e in suffixes_in(voxels, r) for k in sources[r]]
    for source, key, plain in keys:
        if source in voxels and key in maps:
            regions = voxels[source]
            for region in regions.lesions.references:
                if region.id in numbers:
                    quantity = plain.removesuffix("_pre").removesuffix("_post")
                    found = _spread(regions, maps[key], region.id, quantity, source, config)
                    numbers[region.id].append(found)


def _spread(
    regions: RegionVoxels,
    map_: QuantityMap,
    number: int,
    quantity: str,
    source: str,
    config: Config,
) -> Measurement:
    values = np.empty(0)
    if number in regions.boxes:
        values = regions.pick(map_.values, number)[regions.pick(map_.valid, number)]
        values = values[np.isfinite(values)].astype(np.float64)
    mad, note = NAN, "no valid voxel of the region lies on this grid"
    if values.size:
        median = float(np.median(values))
        mad = float(np.median(np.abs(values - median)))
        limit = config.references.uneven_spread
        note = ""
        if median > 0 and _NORMAL * mad > limit * median:
            note = (
                f"{_UNEVEN} 1.4826 times the median absolute deviation is "
                f"{100 * _NORMAL * mad / median:.0f} % of the median, more than {100 * limit:g} %"
            )
    return Measurement(
        quantity,
        "mad",
        source,
        mad,
        NAN,
        "none: spread of the voxels",
        int(values.size),
        f"native {source}",
        note,
    )


def spread_findings(lesions: LesionSet) -> list[Finding]:
    """Say which reference regions are uneven.

    Parameters
    ----------
    lesions : LesionSet
        Measured regions.

    Returns
    -------
    list of Finding
        ``W_REFERENCE_UNEVEN``, at most one per region and series.
    """
    found = []
    for region in lesions.references:
        said: set[str] = set()
        for m in region.measurements:
            if m.statistic != "mad" or not m.note.startswith(_UNEVEN) or m.source in said:
                continue
            said.add(m.source)
            text = (
                f"{region.name} is not even on {m.source} ({m.quantity}): "
                f"{m.note.removeprefix(_UNEVEN).strip()}. Ratios to its mean depend on where it "
                "was drawn."
            )
            found.append(Finding("W_REFERENCE_UNEVEN", Severity.WARNING, region.name, text))
    return found
