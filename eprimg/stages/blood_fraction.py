"""Fractional blood volume of regions: ΔR2* over that of the blood region, soon after the dose."""

from __future__ import annotations

import math

from eprimg.config import Config
from eprimg.kernels.vascular import (
    VASCULAR_REASON_TEXT,
    VascularReason,
    fractional_blood_volume,
)
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.study import Study
from eprimg.stages.agent_dose import hours_after_agent
from eprimg.stages.denominator import judge_denominator
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number

__all__ = ["measure_blood_fraction", "why_not_in_vessels"]

_SOURCE = "mr_post-mr_pre"

_EARLY_H = 4.0
"""Later than this after the dose the signal is no measure of blood any more: leaked agent and cells
hold a growing part of it (early scans of published protocols lie at 1 to 4 h: Ravi et al., Radiol
Imaging Cancer 2023;5(2):e220022, doi:10.1148/rycan.220022).  House rule."""

_ASSUMES = (
    "taken for granted: all agent in vessels, equal relaxivity in large and small vessels, R2* "
    "linear in concentration (in whole blood it is not)"
)


def measure_blood_fraction(
    numbers: Numbers, kept: Kept, lesions: LesionSet, study: Study, config: Config
) -> None:
    """Append the fractional blood volume of regions when the settings ask for it.

    Parameters
    ----------
    numbers : dict
        Measurements by region id with the native dR2*; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    lesions : LesionSet
        Regions; one of them must be blood.
    study : Study
        What was read: the instant of the dose and of the series after it.
    config : Config
        ``measure.blood_fraction``.
    """
    if not config.measure.blood_fraction:
        return
    blood = lesions.reference("blood")
    refused, said = why_not_in_vessels(study), ""
    below = None
    if blood is None:
        refused = "there is no blood region"
    else:
        below = find_number(numbers, kept, blood.id, "dr2star", "mean", _SOURCE)
        why, said = judge_denominator(numbers, kept, blood, below, "mr_post", config.measure)
        refused = refused or why
    for number, measured in numbers.items():
        above = find_number(numbers, kept, number, "dr2star", "mean", _SOURCE)
        if above is None or (blood is not None and number == blood.id):
            continue
        value, error, why = NAN, NAN, refused
        if below is not None and not refused:
            found = fractional_blood_volume(
                above.value, below.value, tissue_se=above.uncertainty, blood_se=below.uncertainty
            )
            value, error = float(found.value), float(found.standard_error)
            reason = VascularReason(int(found.reason))
            why = "" if reason == VascularReason.OK else VASCULAR_REASON_TEXT[reason]
        note = f"not computed: {why}" if why else f"mean ΔR2* over that of blood; {_ASSUMES}"
        measured.append(
            Measurement(
                "blood_fraction",
                "ratio",
                _SOURCE,
                value,
                error,
                "fit noise of both mean ΔR2* in quadrature: a lower bound",
                above.n_voxels,
                "native mr_post and native mr_pre",
                "; ".join(n for n in (note, said if not why else "", above.note) if n),
            )
        )


def why_not_in_vessels(study: Study) -> str:
    """Say why the agent cannot be taken to lie in the vessels alone.

    Parameters
    ----------
    study : Study
        What was read: the instant of the dose and of the series after it.

    Returns
    -------
    str
        Empty within four hours after the dose.
    """
    hours = hours_after_agent(study)
    if not math.isfinite(hours):
        return "the time from the dose to the series after it is not known (agent.instant)"
    if hours < 0.0:
        return "the series after the agent was acquired before the dose"
    if hours > _EARLY_H:
        return (
            f"the series after the agent was acquired {hours:.1f} h after the dose, later than "
            f"{_EARLY_H:g} h: the agent is not in the vessels alone"
        )
    return ""
