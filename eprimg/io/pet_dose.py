"""The dose of a PET series at its injection: entered assay, residual and cross-calibration."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from eprimg.errors import ClockError, EprimgError, InputError
from eprimg.io.pet_entered import EnteredFacts
from eprimg.kernels.administered_dose import administered_dose
from eprimg.model.acquisition import (
    CLOCK_SKEW_S,
    Injection,
    Known,
    Origin,
    PETAcquisition,
    seconds_between,
)
from eprimg.model.case import Finding, Severity

__all__ = ["cross_calibration", "net_injection", "require_applied"]

_RESIDUAL = "study.toml [injection] residual"
_ASSAY = "study.toml [injection] dose_instant"
_FACTOR = "study.toml [injection] pet_over_dose_calibrator"

_LARGE_RESIDUAL = 0.1
_FAR_CALIBRATION = 0.1
"""A residual above a tenth of the syringe, or two instruments more than a tenth apart, is told.
House rules, not published."""

_LONGEST_HALF_LIVES, _LONGEST_S = 10.0, 30.0 * 86400.0
"""A syringe measured longer before or after the injection is a wrong date (as for injections)."""


def net_injection(
    injection: Injection,
    injected: datetime,
    half_life_s: float,
    known: EnteredFacts,
    findings: list[Finding],
    faults: list[EprimgError],
) -> Injection:
    """Bring an entered assay to the injection and take the residual of the syringe off.

    Parameters
    ----------
    injection : Injection
        Dose as stated by header or user.
    injected : datetime
        Instant of the injection.
    half_life_s : float
        Half-life in s.
    known : EnteredFacts
        Facts that the user entered.
    findings, faults : list
        ``I_RESIDUAL``, ``I_ASSAY``, ``W_RESIDUAL``; ``E_SUV_DOSE`` and ``E_SUV_TIME``.

    Returns
    -------
    Injection
        With the dose that went into the patient, at the injection; as given when a fact was refused
        or nothing was entered.

    Notes
    -----
    The formula is that of `eprimg.kernels.administered_dose.administered_dose`.
    """
    dose = injection.dose_bq.value
    if dose is None or (known.residual_bq is None and known.dose_instant is None):
        return injection
    before = _elapsed(known.dose_instant, injected, -1, half_life_s, _ASSAY, faults)
    after = _elapsed(known.residual_instant, injected, 1, half_life_s, _RESIDUAL, faults)
    if before is None or after is None:
        return injection
    try:
        net = administered_dose(
            dose,
            half_life_s=half_life_s,
            assay_to_injection_s=before,
            residual_bq=known.residual_bq or 0.0,
            injection_to_residual_s=after,
        )
    except InputError as fault:
        faults.append(
            InputError(
                fault.message,
                code=fault.code,
                where=_RESIDUAL if known.residual_bq is not None else _ASSAY,
                value=known.residual_bq if known.residual_bq is not None else dose,
                action="check residual activity, its instant and the dose",
            )
        )
        return injection
    where = injection.dose_bq.where
    if known.dose_instant is not None:
        findings.append(
            Finding(
                "I_ASSAY",
                Severity.INFO,
                _ASSAY,
                f"The dose of {dose / 1e6:.4g} MBq was measured {before / 60:.1f} min before the "
                f"injection; at the injection it was {net.assayed_bq / 1e6:.4g} MBq.",
            )
        )
        where = f"{where} decayed to the injection"
    if known.residual_bq is not None:
        _tell_residual(net.residual_bq, net.assayed_bq, injection, findings)
        where = f"{where} less the entered residual"
    return replace(injection, dose_bq=Known(net.dose_bq, Origin.ENTERED, where))


def _tell_residual(
    residual: float, dose: float, injection: Injection, findings: list[Finding]
) -> None:
    findings.append(
        Finding(
            "I_RESIDUAL",
            Severity.INFO,
            _RESIDUAL,
            f"A residual of {residual / 1e6:.4g} MBq (at the injection) was taken off the dose of "
            f"{dose / 1e6:.4g} MBq.",
        )
    )
    doubts = []
    if residual > _LARGE_RESIDUAL * dose:
        doubts.append(f"the residual is {100 * residual / dose:.0f} % of the syringe")
    if injection.dose_bq.origin is not Origin.ENTERED:
        doubts.append(
            "the residual was entered and the dose is that of the header, which may be net of it "
            "already"
        )
    if doubts:
        said = "; ".join(doubts)
        findings.append(
            Finding("W_RESIDUAL", Severity.WARNING, _RESIDUAL, f"{said[0].upper()}{said[1:]}.")
        )


def _elapsed(
    measured: datetime | None,
    injected: datetime,
    sign: int,
    half_life_s: float,
    where: str,
    faults: list[EprimgError],
) -> float | None:
    """Seconds between a measurement and the injection; None when it cannot be."""
    if measured is None:
        return 0.0
    if measured.tzinfo is None and injected.tzinfo is not None:
        measured = measured.replace(tzinfo=injected.tzinfo)
    try:
        elapsed = sign * seconds_between(injected, measured, where=where)
    except EprimgError as fault:
        faults.append(fault)
        return None
    longest = min(_LONGEST_HALF_LIVES * half_life_s, _LONGEST_S)
    if -CLOCK_SKEW_S <= elapsed <= longest:
        return elapsed
    order = "after" if sign > 0 else "before"
    faults.append(
        ClockError(
            f"the syringe was measured {_words(elapsed)} {order} the injection, which cannot be",
            code="E_SUV_TIME",
            where=where,
            value=measured.isoformat(),
            action="check date and time of the measurement and of the injection",
        )
    )
    return None


def _words(elapsed_s: float) -> str:
    return f"{timedelta(seconds=round(elapsed_s)).total_seconds() / 3600:.2f} h"


def cross_calibration(known: EnteredFacts, findings: list[Finding]) -> Known[float]:
    """Return the entered ratio of scanner to dose calibrator.

    Parameters
    ----------
    known : EnteredFacts
        Facts that the user entered.
    findings : list
        ``W_CROSS_CALIBRATION`` when the two are more than a tenth apart.

    Returns
    -------
    Known[float]
        Missing when nothing was entered; the dose is multiplied by it.
    """
    factor = known.pet_over_dose_calibrator
    if factor is None:
        return Known(None, Origin.MISSING, _FACTOR)
    if abs(factor - 1.0) > _FAR_CALIBRATION:
        findings.append(
            Finding(
                "W_CROSS_CALIBRATION",
                Severity.WARNING,
                _FACTOR,
                f"Scanner and dose calibrator are {100 * (factor - 1.0):+.0f} % apart; every "
                "uptake value was divided by this factor.",
            )
        )
    return Known(factor, Origin.ENTERED, _FACTOR)


def require_applied(
    acquisition: PETAcquisition, known: EnteredFacts, faults: list[EprimgError]
) -> None:
    """Refuse an entered assay or residual that could not be brought to the injection.

    Parameters
    ----------
    acquisition : PETAcquisition
        As judged.
    known : EnteredFacts
        Facts that the user entered.
    faults : list
        ``E_SUV_TIME`` is appended when injection or half-life are not known and nothing else was
        refused.
    """
    if faults or (known.residual_bq is None and known.dose_instant is None):
        return
    injection = acquisition.injection
    if injection.instant.value is not None and injection.half_life_s.value is not None:
        return
    faults.append(
        ClockError(
            "the entered assay or residual of the syringe belongs to an instant, and without the "
            "instant of the injection and the half-life it cannot be brought to the injection",
            code="E_SUV_TIME",
            where=_RESIDUAL if known.residual_bq is not None else _ASSAY,
            action="enter [injection] instant and nuclide, or enter the net dose at the injection "
            "and leave the measurement of the syringe out",
        )
    )
