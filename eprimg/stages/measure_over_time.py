"""Numbers of a region that need more than one session: permeability, retention, area, influx.

Every function below takes numbers that the sessions gave one by one (`time_points`); the formulas
are in `eprimg.kernels.vascular` and `eprimg.kernels.kinetics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from eprimg.config import Config
from eprimg.kernels.vascular import (
    VASCULAR_REASON_TEXT,
    VascularReason,
    VascularValue,
    early_permeability,
    extravascular_change,
    late_retention,
)
from eprimg.model.lesions import LesionSet, Measurement, Region
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Role, Series, Study
from eprimg.stages.agent_dose import agent_facts
from eprimg.stages.denominator import judge_denominator
from eprimg.stages.measure_pet_over_time import measure_pet_over_time
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number

__all__ = ["measure_over_time"]

_HOUR_S = 3600.0

_SHARED = (
    "fit noise of the mean ΔR2* of region and blood, as if independent: the scan before the agent, "
    "which all of them share, is counted more than once; registration, outline and repeatability "
    "are not included"
)


@dataclass(frozen=True, slots=True)
class _Session:
    """One MR session after the agent."""

    series: Series
    instant: datetime
    hours: float
    """After the agent; after the first session when that is not known."""


def measure_over_time(
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet,
    study: Study,
    config: Config,
    *,
    plasma: PlasmaInput | None = None,
) -> None:
    """Append the numbers of regions that were seen in several sessions.

    Parameters
    ----------
    numbers : dict
        Measurements by region id, those of every session among them; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    lesions : LesionSet
        Regions; one of blood gives what follows blood, and the input of the influx.
    study : Study
        What was read.
    config : Config
        ``time_points`` and ``kinetics``.
    plasma : PlasmaInput, optional
        Blood samples; without them the blood region gives the input.

    Notes
    -----
    MR, from two sessions after the agent on: ``dr2star_permeability`` between the first two,
    ``dr2star_extravascular`` of every later one and ``dr2star_retention`` of every late one, all
    against the first.  PET: see `measure_pet_over_time`.
    """
    sessions = _sessions(study)
    if len(sessions) > 1:
        _measure_mr(numbers, kept, lesions, sessions, study, config)
    measure_pet_over_time(numbers, kept, lesions, study, config, plasma=plasma)


def _sessions(study: Study) -> list[_Session]:
    """Sessions after the agent in order of time; none where an instant is not known."""
    found = [(s, study.instant_of(s.key)) for s in study.find_all(Role.MR_POST)]
    dates = [i for _, i in found if i is not None]
    if len(dates) < len(found) or len({i.tzinfo is None for i in dates}) > 1:
        return []
    in_order = sorted(
        ((s, i) for s, i in found if i is not None), key=lambda each: each[1].timestamp()
    )
    sessions = []
    for series, instant in in_order:
        hours = study.hours_after_dose(series)
        if hours is None:
            hours = (instant - in_order[0][1]).total_seconds() / _HOUR_S
        sessions.append(_Session(series, instant, hours))
    return sessions


def _measure_mr(
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet,
    sessions: Sequence[_Session],
    study: Study,
    config: Config,
) -> None:
    blood = lesions.reference("blood")
    since = "the agent" if agent_facts(study).instant is not None else "the first session"
    for number, measured in numbers.items():
        if blood is not None and number == blood.id:
            continue
        of_region = [_change(numbers, kept, number, s) for s in sessions]
        first = of_region[0]
        if first is None:
            continue
        for n, session in enumerate(sessions[1:], start=1):
            late = of_region[n]
            if late is None:
                continue
            wanted = ["dr2star_extravascular"]
            wanted += ["dr2star_permeability"] if n == 1 else []
            wanted += ["dr2star_retention"] if session.hours >= config.time_points.late_h else []
            pair = (sessions[0], session)
            refused, said, of_blood = _blood(numbers, kept, blood, pair, config)
            words = f"{pair[0].hours:.1f} h and {pair[1].hours:.1f} h after {since}"
            for key in wanted:
                found = None
                if not refused:
                    found = _form(key, (first, late), of_blood, pair)
                note = f"not computed: {refused}" if refused else f"{words}{said}"
                statistic = "rate" if key == "dr2star_permeability" else "mean"
                statistic = "ratio" if key == "dr2star_retention" else statistic
                source = f"{session.series.key}/{sessions[0].series.key}"
                scale = _HOUR_S if key == "dr2star_permeability" else 1.0
                measured.append(_row(key, statistic, source, found, scale, late, note, _SHARED))


def _change(numbers: Numbers, kept: Kept, region: int, session: _Session) -> Measurement | None:
    source = f"{session.series.key}-{Role.MR_PRE}"
    return find_number(numbers, kept, region, "dr2star", "mean", source)


def _blood(
    numbers: Numbers,
    kept: Kept,
    blood: Region | None,
    pair: tuple[_Session, _Session],
    config: Config,
) -> tuple[str, str, list[Measurement]]:
    """Find the changes of blood at both sessions, or why there are none, and remarks."""
    if blood is None:
        return "there is no blood region", "", []
    found, notes = [], []
    for session in pair:
        change = _change(numbers, kept, blood.id, session)
        refused, said = judge_denominator(
            numbers, kept, blood, change, session.series.key, config.measure
        )
        # What blood has cleared of may be zero or less late: it is no denominator there.
        if change is None or (refused and session is pair[0]):
            return refused or f"{blood.name} was not measured", "", []
        found.append(change)
        notes += [said] if said else []
    return "", "".join(f"; {n}" for n in dict.fromkeys(notes)), found


def _form(
    key: str,
    tissue: tuple[Measurement, Measurement],
    blood: Sequence[Measurement],
    pair: tuple[_Session, _Session],
) -> VascularValue:
    early, late = tissue
    first, last = blood
    if key == "dr2star_retention":
        return late_retention(
            early.value,
            late.value,
            first.value,
            last.value,
            early_tissue_se=early.uncertainty,
            late_tissue_se=late.uncertainty,
            early_blood_se=first.uncertainty,
            late_blood_se=last.uncertainty,
        )
    if key == "dr2star_extravascular":
        return extravascular_change(
            late.value,
            last.value,
            early.value,
            first.value,
            tissue_se=late.uncertainty,
            blood_se=last.uncertainty,
            first_tissue_se=early.uncertainty,
            first_blood_se=first.uncertainty,
        )
    gap = (pair[1].instant - pair[0].instant).total_seconds()
    # Only the time between the sessions enters.
    return early_permeability(
        [early.value, late.value],
        [first.value, last.value],
        [0.0, gap],
        tissue_se=[early.uncertainty, late.uncertainty],
        blood_se=[first.uncertainty, last.uncertainty],
    )


def _row(
    key: str,
    statistic: str,
    source: str,
    found: VascularValue | None,
    scale: float,
    late: Measurement,
    note: str,
    covers: str,
) -> Measurement:
    value, error = NAN, NAN
    if found is not None:
        value, error = scale * float(found.value), scale * float(found.standard_error)
        reason = VascularReason(int(np.asarray(found.reason)))
        if reason != VascularReason.OK:
            note = f"not computed: {VASCULAR_REASON_TEXT[reason]}; {note}"
    said = covers if math.isfinite(error) else "none: nothing was computed, or an error is missing"
    return Measurement(key, statistic, source, value, error, said, late.n_voxels, late.grid, note)
