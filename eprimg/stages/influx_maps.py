"""Net influx and permeability index of every voxel, from the blood curve that the lesions use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.config import Config, KineticsConfig
from eprimg.errors import InputError
from eprimg.kernels.kinetics import KINETIC_REASON_TEXT, patlak, two_scan_permeability_index
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.maps import QuantityMap
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Study
from eprimg.quantities import quantity
from eprimg.stages.measure_pet_over_time import (
    SessionInput,
    blood_curve,
    dated_sessions,
    session_input,
)
from eprimg.stages.time_points import suffix_of

__all__ = ["INFLUX_KEYS", "influx_maps"]

INFLUX_KEYS = ("patlak_ki", "permeability_index")
"""Keys of the maps that this file makes."""

_HOUR_S = 3600.0
_UPTAKE = "pid_per_kg"

_BLOCK_VOXELS = 100_000
"""Voxels handled at once, so that the work beside input and output stays small."""

_Array = npt.NDArray[Any]
_Fit = Callable[[_Array], tuple[_Array, _Array | None, npt.NDArray[np.uint8]]]


class _Session(NamedTuple):
    """A session whose uptake lies on the reference grid."""

    place: int
    """Position among all dated sessions, which is that of the input."""
    hours: float
    key: str
    uptake: QuantityMap


def influx_maps(
    study: Study,
    registered: Mapping[str, QuantityMap],
    lesions: LesionSet,
    config: Config,
    *,
    plasma: PlasmaInput | None = None,
) -> StageResult[dict[str, QuantityMap]]:
    """Form net influx and permeability index voxel by voxel on the reference grid.

    Parameters
    ----------
    study : Study
        What was read.
    registered : Mapping of str to QuantityMap
        Maps on the reference grid: ``pid_per_kg`` of the sessions, and maps that this function
        made before, which are returned as they are while nothing that enters them has changed.
    lesions : LesionSet
        Regions **with their measurements**: the mean %ID/kg of the blood region is the input.
    config : Config
        ``kinetics`` and ``measure.minimum_coverage``.
    plasma : PlasmaInput, optional
        Blood samples; without them the blood region gives the input.

    Returns
    -------
    StageResult[dict of str to QuantityMap]
        ``patlak_ki`` in mL plasma per mL tissue per hour and ``permeability_index`` in %ID/kg per
        hour, as far as they can be formed.  ``I_NO_INFLUX_MAP`` says why there is no Ki.

    Notes
    -----
    Input, start time and formulas are those of the lesions (`measure_pet_over_time`), so a voxel
    and a uniform lesion around it agree.  A lesion weighs its sessions with their known errors, a
    voxel cannot: the lesion's Ki is therefore not the mean of its voxels where the plot is bent.
    The standard error of a voxel comes from its residuals, with ``n - 2`` degrees of freedom, and
    from the errors of the input; it is NaN with two sessions, which every line fits.  A voxel that
    one session did not see has no value and a reason.  In blood itself Ki is about zero.
    """
    dated = dated_sessions(study)
    found = [
        (n, h, s.key, registered.get(f"{_UPTAKE}{suffix_of(s)}")) for n, (h, s) in enumerate(dated)
    ]
    sessions = [_Session(n, h, key, each) for n, h, key, each in found if each is not None]
    if len(sessions) < 2:
        return StageResult({})
    for each in sessions[1:]:
        each.uptake.grid.require_match(
            sessions[0].uptake.grid, what="uptake maps of several sessions"
        )
    kept = {r.id: r.measurements for r in lesions.regions}
    series = [s for _, s in dated]
    of_blood, why = blood_curve({}, kept, lesions.reference("blood"), series, config)
    times = np.array([h * _HOUR_S for h, _ in dated])
    given = session_input(times, of_blood, why, study, config.kinetics, plasma)
    maps = {}
    if of_blood:
        pair = [of_blood[each.place] for each in sessions[:2]]
        maps["permeability_index"] = _permeability(registered, sessions[:2], pair)
    try:
        maps["patlak_ki"] = _influx(registered, sessions, given, config.kinetics)
    except InputError as error:
        text = f"There is no map of the net influx Ki: {error.message.rstrip('.')}."
        return StageResult(maps, (Finding("I_NO_INFLUX_MAP", Severity.INFO, "patlak_ki", text),))
    return StageResult(maps)


def _influx(
    registered: Mapping[str, QuantityMap],
    sessions: Sequence[_Session],
    given: SessionInput,
    config: KineticsConfig,
) -> QuantityMap:
    if given.values is None:
        raise InputError(given.words, code="E_INPUT_FUNCTION", where="patlak_ki")
    places = [each.place for each in sessions]
    times = np.array([each.hours * _HOUR_S for each in sessions])
    both = np.array([*places, *(given.values.activity.size + n for n in places)])
    joint = given.values.covariance[np.ix_(both, both)]
    known = bool(np.isfinite(joint).all())
    activity, integral = given.values.activity[places], given.values.integral_s[places]
    start_s = config.patlak_start_h * _HOUR_S

    def fit(uptake: _Array) -> tuple[_Array, _Array | None, npt.NDArray[np.uint8]]:
        line = patlak(
            uptake,
            times,
            plasma=activity,
            plasma_integral_s=integral,
            start_s=start_s,
            plasma_covariance=joint if known else None,
            allow_two_points=True,
        )
        return _HOUR_S * line.ki_per_s, _HOUR_S * line.ki_se_per_s, line.reason

    late = [each for each in sessions if each.hours * _HOUR_S >= start_s]
    error = "standard error from the residuals of the voxel"
    error += " and the errors of the input" if known else "; the errors of the input are not known"
    if len(late) == 2:
        error = "no standard error, because every line fits two sessions"
    facts = {
        "plasma_pid_per_kg": activity.tolist(),
        "plasma_integral_pid_h_per_kg": (integral / _HOUR_S).tolist(),
        "plasma_covariance": joint.tolist() if known else None,
        "start_h": config.patlak_start_h,
    }
    method = (
        f"Net influx by the graphical method of Patlak, voxel by voxel on the reference grid, from "
        f"{config.patlak_start_h:g} h on ({_words(late)}); {given.words}; {error}."
    )
    return _map(registered, "patlak_ki", sessions, fit, method, facts)


def _permeability(
    registered: Mapping[str, QuantityMap],
    sessions: Sequence[_Session],
    blood: Sequence[Measurement],
) -> QuantityMap:
    of_blood = [m.value for m in blood]
    times = [each.hours * _HOUR_S for each in sessions]

    def fit(uptake: _Array) -> tuple[_Array, _Array | None, npt.NDArray[np.uint8]]:
        index = two_scan_permeability_index(uptake, of_blood, times)
        return _HOUR_S * index.value, None, index.reason

    method = (
        f"Permeability index: slope of %ID/kg less that of the blood region ({_words(sessions)}), "
        "voxel by voxel on the reference grid; positive while blood falls even where vessels are "
        "tight. No standard error: that of a voxel of PET is not known."
    )
    return _map(
        registered, "permeability_index", sessions, fit, method, {"blood_pid_per_kg": of_blood}
    )


def _words(sessions: Sequence[_Session]) -> str:
    return ", ".join(f"{each.key} at {each.hours:.1f} h" for each in sessions)


def _map(
    registered: Mapping[str, QuantityMap],
    key: str,
    sessions: Sequence[_Session],
    fit: _Fit,
    method: str,
    facts: Mapping[str, Any],
) -> QuantityMap:
    """Fit block by block; a map that rests on the same numbers is not made again."""
    facts = {
        "hours_after_injection": [each.hours for each in sessions],
        "series": [each.key for each in sessions],
        **facts,
    }
    before = registered.get(key)
    if before is not None and (before.method, before.facts) == (method, facts):
        return before
    like = sessions[0].uptake
    values = np.empty(like.grid.shape, like.values.dtype)
    error: _Array | None = np.empty_like(values)
    reason = np.empty(like.grid.shape, np.uint8)
    step = max(1, _BLOCK_VOXELS // (like.grid.shape[1] * like.grid.shape[2]))
    for start in range(0, like.grid.shape[0], step):
        part = slice(start, start + step)
        uptake = [np.where(s.uptake.valid[part], s.uptake.values[part], np.nan) for s in sessions]
        values[part], found, reason[part] = fit(np.stack(uptake, axis=-1))
        if found is None:
            error = None
        elif error is not None:
            error[part] = found
    return QuantityMap(
        values=values,
        grid=like.grid,
        quantity=quantity(key),
        valid=np.isfinite(values),
        method=method,
        sources=tuple(each.key for each in sessions),
        standard_error=error,
        reason=reason,
        reason_words={int(k): v for k, v in KINETIC_REASON_TEXT.items()},
        facts=facts,
    )
