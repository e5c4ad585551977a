"""Blood in the vessels of lesions: what is left of their PET uptake without it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from eprimg.config import Config
from eprimg.kernels.kinetics import blood_volume_correction
from eprimg.model.lesions import LesionSet, Measurement, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number

__all__ = ["BLOOD_FREE_MEAN", "correct_blood_volume"]

BLOOD_FREE_MEAN = "mean_without_blood"
"""Statistic of the corrected mean."""

_SOURCE = "pet"
_KEYS = ("suvbw", "pid_per_kg", "sul_janmahasatian")


def correct_blood_volume(
    numbers: Numbers,
    kept: Kept,
    native: LesionSet,
    maps: Mapping[str, QuantityMap],
    config: Config,
) -> None:
    """Put a mean without the activity of blood beside the raw mean of every lesion.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; each gets one more for every mean that it has.
    kept : Mapping
        Measurements of regions that are not measured again.
    native : LesionSet
        Labels on the PET grid.
    maps : Mapping of str to QuantityMap
        Native maps; ``activity`` gives the unit of a blood sample.
    config : Config
        ``blood_volume``; nothing is done while its fraction is 0.

    Notes
    -----
    ``mean - fraction x blood`` (`eprimg.kernels.kinetics.blood_volume_correction`).  The blood is a
    sample (`blood_bq_per_ml`, at the reference instant of the scan, brought to the quantity by the
    ratio of the maps), else the mean of the blood-pool region.
    """
    settings = config.blood_volume
    if not settings.fraction > 0.0:
        return
    lesions = {r.id for r in native.regions if r.role == RegionRole.LESION}
    pool = native.reference("blood")
    pool_id = None if pool is None else pool.id
    for number, measured in numbers.items():
        if number not in lesions:
            continue
        for key in _KEYS:
            raw = find_number(numbers, kept, number, key, "mean", _SOURCE)
            if raw is None or key not in maps:
                continue
            blood, blood_se, origin = _blood(numbers, kept, pool_id, key, maps, config)
            made = _corrected(raw, blood, blood_se, origin, config)
            measured.insert(measured.index(raw) + 1, made)


def _corrected(
    raw: Measurement, blood: float, blood_se: float, origin: str, config: Config
) -> Measurement:
    settings = config.blood_volume
    note = f"raw mean {raw.value:.4g} less {settings.fraction:g} of {origin}"
    value, error = NAN, NAN
    said = "none: nothing was corrected"
    if not math.isfinite(blood):
        note = f"not corrected: {origin}"
    elif math.isfinite(raw.value):
        found = blood_volume_correction(
            raw.value,
            blood,
            settings.fraction,
            uptake_se=raw.uncertainty,
            blood_se=blood_se,
            fraction_se=settings.fraction_se,
        )
        value, error = float(found.value), float(found.standard_error)
        said = (
            f"standard errors of the raw mean, of the blood and of the fraction "
            f"({settings.fraction_se:g}) in quadrature"
        )
        if value < 0.0:
            note += "; negative: the fraction or the blood is too high"
    return Measurement(
        raw.quantity, BLOOD_FREE_MEAN, raw.source, value, error, said, raw.n_voxels, raw.grid, note
    )


def _blood(
    numbers: Numbers,
    kept: Kept,
    pool: int | None,
    key: str,
    maps: Mapping[str, QuantityMap],
    config: Config,
) -> tuple[float, float, str]:
    """Find the blood concentration in the unit of a quantity, or say why there is none."""
    settings = config.blood_volume
    if settings.blood_bq_per_ml > 0.0:
        scale = _scale(maps, key)
        if not math.isfinite(scale):
            return NAN, NAN, "the PET has no activity that a blood sample could be compared with"
        text = f"the blood sample ({settings.blood_bq_per_ml:.4g} Bq/mL)"
        return settings.blood_bq_per_ml * scale, settings.blood_se_bq_per_ml * scale, text
    if pool is None:
        return NAN, NAN, "there is no blood-pool region and no blood sample"
    found = find_number(numbers, kept, pool, key, "mean", _SOURCE)
    if found is None or not math.isfinite(found.value):
        return NAN, NAN, "the blood-pool region was not measured"
    return found.value, found.uncertainty, f"the mean of the blood-pool region ({found.value:.4g})"


def _scale(maps: Mapping[str, QuantityMap], key: str) -> float:
    """Return quantity per Bq/mL: the maps are proportional, so the largest voxel tells it."""
    if "activity" not in maps:
        return NAN
    activity, uptake = maps["activity"], maps[key]
    good = activity.valid & uptake.valid
    if not good.any():
        return NAN
    place = int(np.where(good, np.abs(activity.values), -1.0).argmax())
    below = float(activity.values.flat[place])
    return float(uptake.values.flat[place]) / below if below else NAN
