"""Uptake quantities that are %ID/kg times one factor: measured once, written in every unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eprimg.model.lesions import LesionSet, Measurement
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.quantify_pet import UPTAKE_REFUSED, UPTAKE_REMARKS, UPTAKE_SCALES

__all__ = ["measure_scaled"]

_BASE = "pid_per_kg"
_SAID_OF_REFUSED = ("mean", "peak")


def measure_scaled(
    numbers: Numbers, native: LesionSet, facts: Mapping[str, Any], *, source: str
) -> None:
    """Write the numbers of a region in the uptake quantities that have no map of their own.

    Parameters
    ----------
    numbers : dict
        Measurements by region id, those of %ID/kg among them; grows.
    native : LesionSet
        Regions on the PET grid; a quantity that could not be computed is said of the lesions.
    facts : Mapping
        Facts of the ``pid_per_kg`` map.
    source : str
        Key under which the numbers are found.

    Notes
    -----
    All of these quantities are the activity times a constant of the patient, so mean, median,
    maximum, peak, standard deviation and standard error scale with the same factor, and the
    relative standard error is that of %ID/kg.
    """
    scales: Mapping[str, float] = facts.get(UPTAKE_SCALES, {})
    refused: Mapping[str, str] = facts.get(UPTAKE_REFUSED, {})
    remarks: Mapping[str, str] = facts.get(UPTAKE_REMARKS, {})
    base = scales.get(_BASE)
    lesions = {r.id for r in native.lesions}
    for number, measured in numbers.items():
        here = [m for m in measured if m.quantity == _BASE and m.source == source]
        made = {m.quantity for m in measured}
        if base is not None:
            for key, factor in scales.items():
                if key not in made:
                    measured += [_scaled(m, key, factor / base, remarks.get(key, "")) for m in here]
        if number in lesions and here:
            for key, why in refused.items():
                if key not in made:
                    measured += [
                        _refusal(m, key, why) for m in here if m.statistic in _SAID_OF_REFUSED
                    ]


def _scaled(base: Measurement, key: str, factor: float, remark: str) -> Measurement:
    note = "; ".join(filter(None, (base.note, remark)))
    error = base.uncertainty * factor if math.isfinite(base.uncertainty) else NAN
    return replace(base, quantity=key, value=base.value * factor, uncertainty=error, note=note)


def _refusal(base: Measurement, key: str, why: str) -> Measurement:
    return replace(
        base,
        quantity=key,
        value=NAN,
        uncertainty=NAN,
        uncertainty_note="none: nothing was computed",
        n_voxels=0,
        note=why,
    )
