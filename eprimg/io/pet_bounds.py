"""Upper bounds of dose, body weight and half-life, beyond which a value is told or refused.

A value beyond them is in another unit than it says, or a slip of the pen, and SUV is off by that
factor in every voxel while the picture looks right.  The header, the side-car and the user are
held to the same bounds, in both modes.
"""

from __future__ import annotations

from eprimg.errors import EprimgError, InputError
from eprimg.model.acquisition import Known
from eprimg.model.case import Finding, Severity

__all__ = ["check_bounds"]

_DOSE_TOLD_BQ = 1e10
"""More is told.  The largest single dose of a diagnostic PET agent is 2.22 GBq (82Rb, U.S.
prescribing information of CardioGen-82, section 2); 15O gases and count-rate phantoms stay below
10 GBq, mice get MBq.  It is also the largest dose that is read as MBq (10 000).  House rule."""

_DOSE_REFUSED_BQ = 1e11
"""More is refused: 45 times that dose, and more than any therapy that is imaged (131I, 177Lu, 90Y:
up to some tens of GBq).  Bq that are called MBq make even 0.1 MBq as much as this.  House rule."""

_WEIGHT_TOLD_KG = 300.0
"""More is told: the strongest tables of CT and PET are rated for about 306 kg (675 lb).  It is not
refused here, because a large animal may weigh that; above 1000 kg every reader refuses, or reads
grams.  No lower bound: a mouse has 0.02 kg, a phantom what it holds.  House rule."""

_HALF_LIFE_REFUSED_S = 1e8
"""More is refused for PET: of the positron emitters in use, sealed sources of phantoms included,
22Na has the longest half-life, 2.60 y or 8.2e7 s (DDEP, Bé et al., Table of Radionuclides,
Monographie BIPM-5).  Gamma emitters of SPECT phantoms live longer (133Ba: 10.5 y)."""


def check_bounds(
    findings: list[Finding],
    faults: list[EprimgError],
    *,
    dose_bq: Known[float] | None = None,
    weight_kg: Known[float] | None = None,
    half_life_s: Known[float] | None = None,
    divides: bool = True,
) -> None:
    """Tell or refuse a dose, a weight or a half-life that is too large to be true.

    Parameters
    ----------
    findings, faults : list
        ``W_DOSE_HIGH`` and ``W_WEIGHT_HIGH``; ``E_SUV_DOSE`` and ``E_SUV_HALF_LIFE``
        are appended here.
    dose_bq : Known[float], optional
        Activity in Bq, of the header, the side-car or the user; an entered assay before the
        injection too.
    weight_kg : Known[float], optional
        Body weight in kg.
    half_life_s : Known[float], optional
        Half-life in s of a positron emitter, where the decay is applied.
    divides : bool
        False when the voxel values are an uptake value of the scanner: an impossible dose is then
        told, because it is not applied here.
    """
    _dose(dose_bq or Known(), findings, faults, divides=divides)
    _weight(weight_kg or Known(), findings)
    known = half_life_s or Known()
    if known.value is not None and known.value > _HALF_LIFE_REFUSED_S:
        faults.append(
            InputError(
                "the half-life is longer than that of any positron emitter in use (22Na: 8.2e7 s)",
                code="E_SUV_HALF_LIFE",
                where=known.where,
                value=known.value,
                action="enter [injection] nuclide or half_life_s in study.toml, in seconds",
            )
        )


def _dose(
    known: Known[float], findings: list[Finding], faults: list[EprimgError], *, divides: bool
) -> None:
    value = known.value
    if value is None or value <= _DOSE_TOLD_BQ:
        return
    if value > _DOSE_REFUSED_BQ and divides:
        faults.append(
            InputError(
                f"the injected activity, {value / 1e9:g} GBq, is larger than any that is imaged "
                f"(up to {_DOSE_REFUSED_BQ / 1e9:g} GBq is read); is its unit another one?",
                code="E_SUV_DOSE",
                where=known.where,
                value=value,
                action="find the injected activity and enter it as [injection] dose_mbq in "
                "study.toml",
            )
        )
        return
    text = (
        f"The injected activity is {value / 1e9:g} GBq; the largest diagnostic dose is about 2 "
        "GBq. A wrong unit or power of ten scales every uptake value."
    )
    findings.append(Finding("W_DOSE_HIGH", Severity.WARNING, known.where, text))


def _weight(known: Known[float], findings: list[Finding]) -> None:
    value = known.value
    if value is None or value <= _WEIGHT_TOLD_KG:
        return
    text = (
        f"The body weight is {value:g} kg, more than tables of scanners carry. Are these grams or "
        "pounds? SUV is proportional to it."
    )
    findings.append(Finding("W_WEIGHT_HIGH", Severity.WARNING, known.where, text))
