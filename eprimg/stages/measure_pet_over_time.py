"""Numbers of a region over several PET sessions: retention, area, permeability index, influx."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from eprimg.config import Config, KineticsConfig
from eprimg.errors import InputError
from eprimg.kernels.kinetic_input import (
    InputModel,
    InputValues,
    evaluate_input_function,
    fit_input_function,
)
from eprimg.kernels.kinetics import (
    KINETIC_REASON_TEXT,
    KineticReason,
    area_under_curve,
    patlak,
    retention,
    two_scan_permeability_index,
)
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.lesions import LesionSet, Measurement, Region
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Role, Series, Study
from eprimg.stages.denominator import judge_denominator
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number
from eprimg.stages.partial_volume import CORRECTED

__all__ = [
    "SessionInput",
    "blood_curve",
    "dated_sessions",
    "measure_pet_over_time",
    "session_input",
]

_HOUR_S = 3600.0
_PER_KG = 1.0e5
"""%ID/kg = 100 000 x activity (Bq/mL) / dose (Bq), 1 mL taken as 1 g."""

_KEY = "pid_per_kg"
_UNSEEN = 0.2
"""A larger part of an integral that no scan or sample has seen is said."""

_COVERS = (
    "spread of the voxels of every session as if independent: a lower bound; calibration, outline "
    "and partial volume, which sessions share, are not included"
)
_NO_ERROR = "none: nothing was computed, or an error is missing"


@dataclass(frozen=True, eq=False, slots=True)
class SessionInput:
    """Plasma at the times of the sessions, or why it is not known.

    Parameters
    ----------
    values : InputValues or None
        Activity in %ID/kg and its integral at every dated session; None when not known.
    words : str
        Where it comes from, or why there is none.
    """

    values: InputValues | None
    words: str


def dated_sessions(study: Study) -> list[tuple[float, Series]]:
    """Find the PET sessions whose time after the injection is known.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    list of (float, Series)
        Hours after the injection, in order of time.
    """
    timed = [(study.hours_after_dose(s), s) for s in study.find_all(Role.PET)]
    return sorted(((h, s) for h, s in timed if h is not None), key=lambda each: each[0])


def measure_pet_over_time(
    numbers: Numbers,
    kept: Kept,
    lesions: LesionSet,
    study: Study,
    config: Config,
    *,
    plasma: PlasmaInput | None = None,
) -> None:
    """Append retention, area, permeability index and net influx of every region but blood.

    Parameters
    ----------
    numbers : dict
        Measurements by region id, the %ID/kg of every session among them; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    lesions : LesionSet
        Regions.
    study : Study
        What was read.
    config : Config
        ``kinetics`` and ``measure.minimum_coverage``.
    plasma : PlasmaInput, optional
        Blood samples; without them the blood region gives the input.

    Notes
    -----
    All rest on the mean %ID/kg, decay-corrected to the injection; the source names the sessions
    (``pet/pet_2`` is the primary one over or after the second).  ``uptake_retention`` (``ratio``)
    of every later session over the first, ``uptake_auc`` (``area``) from the injection to the last
    session, ``permeability_index`` (``slope``) between the first two sessions, ``patlak_ki``
    (``slope``) and ``patlak_intercept`` (``intercept``) from ``kinetics.patlak_start_h`` on.
    Formulas and references: `eprimg.kernels.kinetics`.
    """
    sessions = dated_sessions(study)
    if len(sessions) < 2:
        return
    times = np.array([h * _HOUR_S for h, _ in sessions])
    series = [s for _, s in sessions]
    blood = lesions.reference("blood")
    of_blood, why = blood_curve(numbers, kept, blood, series, config)
    found = session_input(times, of_blood, why, study, config.kinetics, plasma)
    for number, measured in numbers.items():
        if blood is not None and number == blood.id:
            continue
        curve = [find_number(numbers, kept, number, _KEY, "mean", s.key) for s in series]
        there = [n for n, m in enumerate(curve) if m is not None and math.isfinite(m.value)]
        if len(there) < 2:
            continue
        means = [m for n in there if (m := curve[n]) is not None]
        own = times[there]
        measured += _retentions(numbers, kept, number, [series[n] for n in there], own)
        measured.append(_area(means, own, config.kinetics))
        pair = [of_blood[n] for n in there[:2]] if of_blood else []
        measured.append(_permeability(means[:2], own[:2], pair, why))
        measured += _influx(means, own, there, found, config.kinetics)


def blood_curve(
    numbers: Numbers,
    kept: Kept,
    blood: Region | None,
    series: Sequence[Series],
    config: Config,
) -> tuple[list[Measurement], str]:
    """Find the mean %ID/kg of blood at every session, or why there is none.

    Parameters
    ----------
    numbers, kept
        As in `find_number`.
    blood : Region or None
        The blood region.
    series : sequence of Series
        Dated sessions.
    config : Config
        ``measure.minimum_coverage``.

    Returns
    -------
    list of Measurement
        One per session; empty when one of them is missing or cannot be divided by.
    str
        Why it is empty.
    """
    if blood is None:
        return [], "there is no blood region"
    found = []
    for each in series:
        mean = find_number(numbers, kept, blood.id, _KEY, "mean", each.key)
        refused, _ = judge_denominator(numbers, kept, blood, mean, each.key, config.measure)
        if mean is None or refused:
            return [], f"{each.key}: {refused or 'blood was not measured'}"
        found.append(mean)
    return found, ""


def session_input(
    times: npt.NDArray[np.float64],
    of_blood: Sequence[Measurement],
    why: str,
    study: Study,
    config: KineticsConfig,
    plasma: PlasmaInput | None,
) -> SessionInput:
    """Fit the input function and evaluate it at the sessions.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Seconds from the injection to every dated session.
    of_blood : sequence of Measurement
        As `blood_curve` gives them; empty without blood.
    why : str
        Why there is none.
    study : Study
        What was read; its dose brings samples to %ID/kg.
    config : KineticsConfig
        Model, and plasma over blood.
    plasma : PlasmaInput or None
        Blood samples; they come before the blood region.

    Returns
    -------
    SessionInput
        In %ID/kg.
    """
    if plasma is not None:
        scale = _per_bq(study)
        if not math.isfinite(scale):
            return SessionInput(None, "the dose is not known, so blood samples have no %ID/kg")
        at, activity = plasma.times_s, scale * plasma.activity_bq_per_ml
        sd = None if plasma.sd_bq_per_ml is None else scale * plasma.sd_bq_per_ml
        words = plasma.words
    elif of_blood:
        at, activity = times, np.array([m.value for m in of_blood])
        errors = np.array([m.uncertainty for m in of_blood])
        sd = errors if bool(np.all(errors > 0.0)) else None
        words = f"the blood region of {len(of_blood)} sessions"
    else:
        return SessionInput(None, why)
    counted = plasma is not None and plasma.is_plasma
    try:
        function = fit_input_function(
            at,
            activity,
            sd=sd,
            model=cast(InputModel, config.input_model),
            plasma_over_blood=1.0 if counted else config.plasma_over_blood,
            plasma_over_blood_se=0.0 if counted else config.plasma_over_blood_se,
        )
        values = evaluate_input_function(function, times)
    except InputError as error:
        return SessionInput(
            None, f"the input from {words} cannot be used: {error.message.rstrip('.')}"
        )
    said = f"input: {config.input_model} through {words}"
    if not counted:
        said += f", plasma over blood {config.plasma_over_blood:g}"
    unseen = float(values.share_before_first[-1])
    if unseen > _UNSEEN:
        said += f"; {100 * unseen:.0f} % of its integral lies before the first value"
    return SessionInput(values, said)


def _per_bq(study: Study) -> float:
    """Return %ID/kg of 1 Bq/mL, both decay-corrected to the injection."""
    pet = study.find(Role.PET)
    facts = pet.acquisition if pet is not None else None
    if not isinstance(facts, PETAcquisition) or not facts.injection.dose_bq.value:
        return NAN
    return _PER_KG / (facts.injection.dose_bq.value * (facts.pet_over_dose_calibrator.value or 1.0))


def _retentions(
    numbers: Numbers,
    kept: Kept,
    number: int,
    series: Sequence[Series],
    times: npt.NDArray[np.float64],
) -> list[Measurement]:
    rows = []
    for statistic, name in (("mean", "ratio"), (f"mean_{CORRECTED}", f"ratio_{CORRECTED}")):
        early = find_number(numbers, kept, number, _KEY, statistic, series[0].key)
        for n, each in enumerate(series[1:], start=1):
            late = find_number(numbers, kept, number, _KEY, statistic, each.key)
            if early is None or late is None:
                continue
            found = retention(
                early.value, late.value, early_se=early.uncertainty, late_se=late.uncertainty
            )
            words = f"{statistic} %ID/kg at {times[n] / _HOUR_S:.1f} h over that at "
            words += f"{times[0] / _HOUR_S:.1f} h; physical decay is in neither"
            rows.append(
                _row(
                    ("uptake_retention", name, f"{each.key}/{series[0].key}"),
                    float(found.value),
                    float(found.standard_error),
                    int(found.reason),
                    words,
                    late,
                    _COVERS if statistic == "mean" else late.uncertainty_note,
                )
            )
    return rows


def _area(
    means: Sequence[Measurement], times: npt.NDArray[np.float64], config: KineticsConfig
) -> Measurement:
    values, sd = _values(means)
    early = cast(Literal["zero", "constant"], config.early_curve)
    found = area_under_curve(values, times, sd=sd, initial=early)
    share = float(found.early_share)
    words = f"%ID/kg from the injection to {times[-1] / _HOUR_S:.1f} h, {times.size} sessions"
    if math.isfinite(share):
        words += f"; {100 * share:.0f} % of it before the first session ({early})"
    return _row(
        ("uptake_auc", "area", _sources(means)),
        float(found.area_h),
        float(found.standard_error_h),
        int(found.reason),
        words,
        means[-1],
        _COVERS,
    )


def _permeability(
    means: Sequence[Measurement],
    times: npt.NDArray[np.float64],
    blood: Sequence[Measurement],
    why: str,
) -> Measurement:
    name = ("permeability_index", "slope", _sources(means))
    if not blood:
        return _row(name, NAN, NAN, 0, f"not computed: {why}", means[-1], _COVERS)
    values, sd = _values(means)
    of_blood, blood_sd = _values(blood)
    known = sd is not None and blood_sd is not None
    found = two_scan_permeability_index(
        values,
        of_blood,
        times,
        tumour_sd=sd if known else None,
        blood_sd=blood_sd if known else None,
    )
    words = f"between {times[0] / _HOUR_S:.1f} h and {times[1] / _HOUR_S:.1f} h; positive while "
    words += "blood falls even where vessels are tight: compare lesions of one patient only"
    return _row(
        name,
        _HOUR_S * float(found.value),
        _HOUR_S * float(found.standard_error),
        int(found.reason),
        words,
        means[-1],
        _COVERS,
    )


def _influx(
    means: Sequence[Measurement],
    times: npt.NDArray[np.float64],
    there: Sequence[int],
    found: SessionInput,
    config: KineticsConfig,
) -> list[Measurement]:
    names = [
        (key, statistic, _sources(means))
        for key, statistic in (("patlak_ki", "slope"), ("patlak_intercept", "intercept"))
    ]

    def refused(why: str) -> list[Measurement]:
        return [_row(n, NAN, NAN, 0, f"not computed: {why}", means[-1], _COVERS) for n in names]

    if found.values is None:
        return refused(found.words)
    n_all = found.values.activity.size
    picked = np.array([*there, *(n_all + n for n in there)])
    joint = found.values.covariance[np.ix_(picked, picked)]
    values, sd = _values(means)
    try:
        fit = patlak(
            values,
            times,
            plasma=found.values.activity[there],
            plasma_integral_s=found.values.integral_s[there],
            start_s=config.patlak_start_h * _HOUR_S,
            sd=sd,
            plasma_covariance=joint if bool(np.isfinite(joint).all()) else None,
            allow_two_points=True,
        )
    except InputError as error:
        return refused(error.message.rstrip("."))
    words = f"{int(fit.n_points)} sessions from {config.patlak_start_h:g} h on; {found.words}"
    covers = f"{_COVERS}; input included where its errors are known"
    return [
        _row(
            name,
            scale * float(value),
            scale * float(error),
            int(fit.reason),
            words,
            means[-1],
            covers,
        )
        for name, scale, value, error in (
            (names[0], _HOUR_S, fit.ki_per_s, fit.ki_se_per_s),
            (names[1], 1.0, fit.intercept, fit.intercept_se),
        )
    ]


def _values(
    means: Sequence[Measurement],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    """Values and standard deviations; None where one of them is not known."""
    errors = np.array([m.uncertainty for m in means])
    known = bool(np.all(np.isfinite(errors) & (errors > 0.0)))
    return np.array([m.value for m in means]), errors if known else None


def _sources(means: Sequence[Measurement]) -> str:
    return "/".join(m.source for m in reversed(means))


def _row(
    name: tuple[str, str, str],
    value: float,
    error: float,
    reason: int,
    note: str,
    like: Measurement,
    covers: str,
) -> Measurement:
    code = KineticReason(reason)
    if code != KineticReason.OK:
        note = f"not computed: {KINETIC_REASON_TEXT[code]}; {note}"
    said = covers if math.isfinite(error) else _NO_ERROR
    key, statistic, source = name
    grids = "native " + " and ".join(reversed(source.split("/")))
    return Measurement(key, statistic, source, value, error, said, like.n_voxels, grids, note)
