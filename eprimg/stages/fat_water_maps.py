"""Fat-water maps of a series of a study, and their numbers per region."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from eprimg.config import Config
from eprimg.errors import Cancelled, EprimgError
from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import Measurement
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.volume import EchoStack
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.quantify_fat_water import quantify_fat_water
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["fat_water_maps", "measure_fat_water"]

_SPREAD_ONLY = "none: scatter of the voxels and the error of the fat spectrum are not told apart"
_MEASURED = (("r2star_fatwater", "r2star", "_fat_water"), ("pdff", "pdff", ""))
"""Map key without its phase, quantity, and what is added to the names of the statistics."""


def fat_water_maps(
    series: Series, phase: str, config: Config, told: Callable[[float], object]
) -> tuple[dict[str, QuantityMap], list[Finding]]:
    """Fit fat and water where a series has complex echoes; what is in the way becomes a finding.

    Parameters
    ----------
    series : Series
        Magnitude echoes with, perhaps, their complex companion.
    phase : str
        ``pre`` or ``post``: end of the map keys.
    config : Config
        Settings (``fat_water``, ``threads``).
    told : callable
        Called with the fraction done.

    Returns
    -------
    dict of str to QuantityMap
        As `eprimg.stages.quantify_fat_water.quantify_fat_water`; empty where it cannot be done.
    list of Finding
        ``I_NO_COMPLEX``, or what the reader and the fit say.
    """
    stack = series.pixels
    assert isinstance(stack, EchoStack)
    if series.complex_echoes is None:
        text = (
            f"{series.key} has no phase and no real and imaginary parts, so fat and water were not "
            "fitted."
        )
        return {}, [Finding("I_NO_COMPLEX", Severity.INFO, series.key, text)]
    field = (
        series.acquisition.field_strength_t.value
        if isinstance(series.acquisition, MRAcquisition)
        else None
    )
    try:
        echoes = series.complex_echoes.read(stack)
        made = quantify_fat_water(
            echoes.value,
            source=series.key,
            phase=phase,
            field_strength_t=field,
            settings=config.fat_water,
            threads=config.threads or os.cpu_count() or 1,
            progress=told,
        )
    except Cancelled:
        raise
    except EprimgError as error:
        return {}, [Finding.from_error(error)]
    return made.value, [*echoes.findings, *made.findings]


def measure_fat_water(
    numbers: Numbers, voxels: RegionVoxels, maps: Mapping[str, QuantityMap], phase: str, source: str
) -> None:
    """Append R2* and fat fraction of the complex fit, where there is one.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    voxels : RegionVoxels
        Regions on the grid of the series.
    maps : Mapping of str to QuantityMap
        Native maps.
    phase : str
        ``pre`` or ``post``.
    source : str
        ``mr_pre`` or ``mr_post``.
    """
    for key, quantity, suffix in _MEASURED:
        values = maps.get(f"{key}_{phase}")
        if values is None:
            continue
        for number, measured in numbers.items():
            stats = voxels.statistics(values, number)
            n = 0 if stats is None else int(stats.n_valid[0])
            note = "" if n else "the complex fit gave no value in any voxel of the region"
            if stats is not None and 0 < n < int(stats.count[0]):
                note = f"{int(stats.count[0]) - n} of {int(stats.count[0])} voxels have no value"
            for name in ("median", "mean", "sd"):
                value = float(getattr(stats, name)[0]) if n else NAN
                measured.append(
                    Measurement(
                        quantity,
                        f"{name}{suffix}",
                        source,
                        value,
                        NAN,
                        _SPREAD_ONLY if n else "none: nothing was measured",
                        n,
                        f"native {source}",
                        note,
                    )
                )
