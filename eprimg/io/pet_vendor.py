"""Vendors' private statements beside the computed ones: compared and told, never used instead."""

from __future__ import annotations

from eprimg.errors import ClockError
from eprimg.io.clocks import parse_datetime, shown
from eprimg.io.pet_header import PetHeader
from eprimg.io.pet_reference import series_offset
from eprimg.io.pet_units import stored_uptake
from eprimg.kernels.radioactivity import reference_scale
from eprimg.kernels.uptake import suvbw_factor
from eprimg.model.acquisition import Known, PETAcquisition, seconds_between
from eprimg.model.case import Finding, Severity

__all__ = ["check_philips", "check_private_injection"]

_FACTOR_TOLERANCE = 0.01
_SAME_INJECTION_S = 60.0
_GE_INJECTION = "GEMS_PETD_01 (0009,xx3B)"


def check_private_injection(
    header: PetHeader, acquisition: PETAcquisition, findings: list[Finding]
) -> None:
    """Compare GE's private administration date-time with the injection that is used.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    acquisition : PETAcquisition
        Judged facts.
    findings : list of Finding
        ``W_INJECTION_TIME`` is appended when they are more than a minute apart.
    """
    used = acquisition.injection.instant.value
    if not header.private_injection or used is None:
        return
    try:
        private = parse_datetime(
            header.private_injection, where=_GE_INJECTION, offset=series_offset(header)
        )
        apart = seconds_between(private, used, where=_GE_INJECTION)
    except ClockError:
        return  # not a statement that could be compared
    if abs(apart) > _SAME_INJECTION_S:
        findings.append(
            Finding(
                "W_INJECTION_TIME",
                Severity.WARNING,
                _GE_INJECTION,
                f"The vendor's private administration date-time is {shown(private)}, the "
                f"injection that is used {shown(used)}.",
            )
        )


def check_philips(header: PetHeader, acquisition: PETAcquisition, findings: list[Finding]) -> None:
    """Compare Philips' two private factors with the scale computed here.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    acquisition : PETAcquisition
        Judged facts, complete for SUVbw.
    findings : list of Finding
        ``I_PHILIPS_FACTOR`` or ``W_PHILIPS_FACTOR`` (more than 1 % apart) is appended, and
        ``W_PRIVATE_CREATOR`` when a factor is used whose creator element is gone.
    """
    suv, activity = header.philips_suv_factor, header.philips_activity_factor
    if header.creator_stripped and header.units == "CNTS" and (suv or activity):
        findings.append(
            Finding(
                "W_PRIVATE_CREATOR",
                Severity.WARNING,
                "Philips PET Private Group (7053,0010)",
                "The private factor stands without its creator element (removed by "
                "de-identification?); it was taken as Philips', because the manufacturer is.",
            )
        )
    if not acquisition.injection.dose_bq.value or stored_uptake(header):
        return
    if not suv or not activity or acquisition.decay_correction == "NONE":
        return
    apart = suv / activity / _suvbw_factor(acquisition) - 1
    agrees = abs(apart) <= _FACTOR_TOLERANCE
    findings.append(
        Finding(
            "I_PHILIPS_FACTOR" if agrees else "W_PHILIPS_FACTOR",
            Severity.INFO if agrees else Severity.WARNING,
            "Philips PET Private Group (7053,xx00), (7053,xx09)",
            f"The vendor's private factors mean a SUVbw {100 * apart:+.2f} % from the one computed "
            + (
                "here; they were not used, because the units are Bq/mL."
                if header.units == "BQML"
                else "here from the activity factor, dose and weight, which is used."
            ),
        )
    )


def _suvbw_factor(acquisition: PETAcquisition) -> float:
    """Factor from Bq/mL to SUVbw that is the same for all slices (START and ADMIN)."""
    injection, elapsed_s, half_life_s = acquisition.injection, 0.0, float("nan")
    if acquisition.decay_correction == "START":
        half_life_s = injection.half_life_s.require("the half-life", code="E_SUV_HALF_LIFE")
        elapsed_s = seconds_between(
            injection.instant.require("the instant of the injection", code="E_SUV_TIME"),
            Known(acquisition.reference_instant).require(
                "the reference instant", code="E_SUV_TIME"
            ),
            where="injection and reference instant",
        )
    common = reference_scale(
        acquisition.decay_correction,
        dose_bq=injection.dose_bq.require("the injected activity", code="E_SUV_DOSE"),
        half_life_s=half_life_s,
        elapsed_s=elapsed_s,
    )
    weight_kg = acquisition.weight_kg.require("the body weight", code="E_SUV_WEIGHT")
    return suvbw_factor(common.dose_at_reference_bq, 1000.0 * weight_kg)
