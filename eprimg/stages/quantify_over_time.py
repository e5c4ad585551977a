"""Maps over several PET sessions: retention and area under the curve, on the reference grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.kernels.kinetics import KINETIC_REASON_TEXT, area_under_curve, retention
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Study
from eprimg.quantities import quantity
from eprimg.stages.time_points import suffix_of

__all__ = ["maps_over_time"]

_HOUR_S = 3600.0


def maps_over_time(
    study: Study, registered: Mapping[str, QuantityMap], config: Config
) -> dict[str, QuantityMap]:
    """Make the maps that need more than one PET session.

    Parameters
    ----------
    study : Study
        What was read.
    registered : Mapping of str to QuantityMap
        ``pid_per_kg`` of the sessions on the reference grid.
    config : Config
        ``kinetics.early_curve``.

    Returns
    -------
    dict
        ``uptake_retention`` (last session over first) and ``uptake_auc`` (from the injection to
        the last session); empty with fewer than two sessions that are aligned and dated.

    Notes
    -----
    %ID/kg is decay-corrected to the injection, so the physical decay between the sessions is in
    neither.  Voxels carry no standard error: those of a PET map are not known.
    """
    found = []
    for series in study.find_all(Role.PET):
        each, at = registered.get(f"pid_per_kg{suffix_of(series)}"), study.hours_after_dose(series)
        if each is not None and at is not None:
            found.append((at, series.key, each))
    found.sort(key=lambda each: each[0])
    if len(found) < 2:
        return {}
    hours = [h for h, _, _ in found]
    maps = [m for _, _, m in found]
    for each in maps[1:]:
        each.grid.require_match(maps[0].grid, what="uptake maps of several sessions")
    words = ", ".join(f"{key} at {h:.1f} h" for h, key, _ in found)
    facts = {"hours_after_injection": hours, "series": [key for _, key, _ in found]}
    kept = retention(_values(maps[0]), _values(maps[-1]))
    stacked = np.stack([_values(m) for m in maps], axis=-1)
    times = [h * _HOUR_S for h in hours]
    early = cast(Literal["zero", "constant"], config.kinetics.early_curve)
    area = area_under_curve(stacked, times, initial=early)
    before = "rising from zero" if early == "zero" else "as at the first session"
    return {
        "uptake_retention": _map(
            maps[0],
            "uptake_retention",
            kept.value,
            kept.reason,
            f"Retention: %ID/kg of the last over that of the first session ({words}), voxel by "
            "voxel on the reference grid; the maps were resampled once each.",
            (found[0][1], found[-1][1]),
            facts,
        ),
        "uptake_auc": _map(
            maps[0],
            "uptake_auc",
            area.area_h,
            area.reason,
            f"Area under %ID/kg from the injection to the last session ({words}) by trapezoids, "
            f"before the first session {before}; decay-corrected.",
            tuple(key for _, key, _ in found),
            facts,
        ),
    }


def _values(each: QuantityMap) -> npt.NDArray[Any]:
    return np.where(each.valid, each.values, np.nan)


def _map(
    like: QuantityMap,
    key: str,
    values: npt.NDArray[Any],
    reason: npt.NDArray[np.uint8],
    method: str,
    sources: tuple[str, ...],
    facts: Mapping[str, Any],
) -> QuantityMap:
    return QuantityMap(
        values=values.astype(like.values.dtype, copy=False),
        grid=like.grid,
        quantity=quantity(key),
        valid=np.isfinite(values),
        method=method,
        sources=sources,
        reason=reason,
        reason_words={int(k): v for k, v in KINETIC_REASON_TEXT.items()},
        facts=facts,
    )
