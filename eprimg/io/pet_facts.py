"""Dose, half-life, weight, height and sex of a PET series: header against user and nuclide table.

Source of the rules: IBSI SUV manual (Vácha et al., draft 2026, CC BY 4.0).  A value that is
converted (MBq, grams, centimetres) is told as a warning; a missing one is refused, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from eprimg.errors import EprimgError, InputError, MissingTagError
from eprimg.io.nm_frames import NM_CLASS
from eprimg.io.nuclides import Nuclide, nuclide_by_code, nuclide_by_name
from eprimg.io.pet_entered import EnteredFacts
from eprimg.io.pet_header import PetHeader, tag
from eprimg.model.acquisition import Known, Origin
from eprimg.model.case import Finding, Severity

__all__ = ["Decay", "dose", "half_life", "height", "sex", "spect_finding", "weight"]

_MBQ_BELOW, _MBQ_AT_MOST, _MBQ_AT_LEAST = 1e5, 1e4, 1.0
"""Below 1 a dose may be in MBq or in GBq; between 1e4 and 1e5 it is none in Bq and none in MBq."""
_ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
_MBQ_CLASSES = frozenset({_ENHANCED_PET, NM_CLASS})
"""Objects in which the dose is defined in MBq (NM: PS3.3 C.8.4.10.1.7); classic PET has Bq."""
_GRAMS_ABOVE, _GRAMS_AT_MOST = 1e3, 1e6
"""1000 kg is the most that is read, in kg or in g; as for an entered weight and a side-car's."""
_CM_ABOVE = 3.0
_HALF_LIFE_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Decay:
    """Nuclide and half-life of a series.

    Parameters
    ----------
    nuclide : Known[str]
        Key of the nuclide table, e.g. ``89Zr``.
    half_life_s : Known[float]
        Half-life in s.
    longest_s : float or None
        Longest half-life that any statement of the header leads to; decides whether a date may be
        inferred from a clock time.
    contradicted_by : Nuclide or None
        Nuclide that the header names and whose half-life is another one; None when they agree or
        when the user has decided.
    """

    nuclide: Known[str]
    half_life_s: Known[float]
    longest_s: float | None
    contradicted_by: Nuclide | None = None


def dose(
    header: PetHeader, entered: EnteredFacts, findings: list[Finding], faults: list[EprimgError]
) -> Known[float]:
    """Injected activity in Bq, as stated (without the residual taken off).

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : EnteredFacts
        Facts that the user entered.
    findings, faults : list
        Findings and ``E_SUV_DOSE`` are appended here.

    Returns
    -------
    Known[float]
        Missing when it was refused.
    """
    where = tag("RadionuclideTotalDose")
    if entered.dose_bq is not None:
        return Known(entered.dose_bq, Origin.ENTERED, "study.toml [injection] dose")
    value = header.dose
    if value is None:
        faults.append(
            MissingTagError(
                "the injected activity is missing",
                code="E_SUV_DOSE",
                where=where,
                action="enter [injection] dose_mbq in study.toml",
            )
        )
    elif value < _MBQ_AT_LEAST or _MBQ_AT_MOST < value < _MBQ_BELOW:
        faults.append(
            InputError(
                "the injected activity is not positive"
                if value <= 0
                else "the injected activity is plausible neither in Bq nor in MBq",
                code="E_SUV_DOSE",
                where=where,
                value=value,
                action="enter [injection] dose_mbq in study.toml",
            )
        )
    elif value < _MBQ_BELOW and header.sop_class == NM_CLASS:
        return Known(1e6 * value, Origin.HEADER, where)
    elif value < _MBQ_BELOW:
        findings.append(
            _warn(
                "W_DOSE_MBQ",
                where,
                f"The injected activity is {value:g}; as Bq that is far below any "
                f"dose, so it was read as {value:g} MBq.",
            )
        )
        return Known(1e6 * value, Origin.HEADER, where)
    else:
        if header.sop_class in _MBQ_CLASSES:
            findings.append(
                _warn(
                    "W_DOSE_BQ",
                    where,
                    f"The injected activity of an enhanced PET or an NM object is defined in MBq; "
                    f"{value:g} can only be Bq and was read so.",
                )
            )
        return Known(value, Origin.HEADER, where)
    return Known(None, Origin.MISSING, where)


def half_life(
    header: PetHeader,
    entered: EnteredFacts,
    findings: list[Finding],
    faults: list[EprimgError],
    *,
    needed: bool,
    strict: bool = False,
) -> Decay:
    """Nuclide and half-life, checked against the nuclide table.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : EnteredFacts
        Facts that the user entered.
    findings, faults : list
        Findings, ``E_SUV_HALF_LIFE`` and ``E_PET_KIND`` are appended here.
    needed : bool
        False for DecayCorrection ADMIN, where nothing decays.
    strict : bool
        Refuse an absent half-life even when the header codes a nuclide of the table.

    Returns
    -------
    Decay
        Nuclide and half-life; missing when refused.
    """
    code_where = tag("RadionuclideCodeSequence")
    coded = nuclide_by_code(header.nuclide.value) or nuclide_by_name(header.nuclide.meaning)
    named = nuclide_by_name(header.nuclide.meaning) or nuclide_by_name(header.radiopharmaceutical)
    if entered.nuclide is not None:
        coded = named = nuclide_by_name(entered.nuclide)
    nuclide = _nuclide(coded or named, entered, code_where)
    if coded is not None and named is not None and coded != named:
        findings.append(
            _warn(
                "W_NUCLIDE",
                code_where,
                f"The coded nuclide is {coded.key}, but the text of the header names "
                f"{named.key}. A wrong nuclide also means a wrong positron fraction, "
                "which scales every voxel.",
            )
        )
    spect = header.modality == "NM"
    if spect and coded is not None and coded.positron:
        findings.append(
            _warn(
                "W_NUCLIDE",
                code_where,
                f"The series is SPECT, and {coded.key} emits positrons. Check the nuclide before "
                "using any number.",
            )
        )
    if spect:
        pass  # I_SPECT says what it is
    elif coded is not None and not coded.positron and entered.nuclide is None:
        faults.append(
            InputError(
                f"{coded.key} emits no positrons: this is not a PET acquisition (SPECT stored as "
                "PET?)",
                code="E_PET_KIND",
                where=code_where,
                action="use a PET series; if it is quantitative SPECT in Bq/mL, say so by entering "
                f'[injection] nuclide = "{coded.key}" in study.toml',
            )
        )
    elif coded is not None and not coded.positron:
        findings.append(spect_finding(coded, "study.toml [injection] nuclide"))
    where = tag("RadionuclideHalfLife")
    value: float | None = header.half_life_s
    known = Known(value, Origin.HEADER, where)
    if entered.half_life_s is not None:
        value = entered.half_life_s
        known = Known(value, Origin.ENTERED, "study.toml [injection] half_life_s")
    elif entered.nuclide is not None and coded is not None:
        value = coded.half_life_s
        known = Known(value, Origin.ENTERED, "study.toml [injection] nuclide")
    elif value is not None and value <= 0:
        faults.append(
            InputError(
                "the half-life is not positive",
                code="E_SUV_HALF_LIFE",
                where=where,
                value=value,
                action="enter [injection] half_life_s in study.toml",
            )
        )
        value, known = None, Known(None, Origin.MISSING, where)
    elif value is None and coded is not None and not (strict and needed):
        value = coded.half_life_s
        known = Known(value, Origin.HEADER, code_where)
        findings.append(
            _warn(
                "W_HALF_LIFE",
                where,
                f"The header has no half-life; {value:g} s was taken for the coded "
                f"nuclide {coded.key} ({coded.citation}).",
            )
        )
    elif value is None:
        known = Known(None, Origin.MISSING, where)
        if needed:
            faults.append(
                MissingTagError(
                    "the half-life is missing, and strict mode takes none from the nuclide table"
                    if coded is not None
                    else "the half-life is missing and the header codes no nuclide of the table",
                    code="E_SUV_HALF_LIFE",
                    where=where,
                    action="enter [injection] half_life_s in study.toml",
                )
            )
    other = coded or named
    if value is not None and other is not None:
        _check_half_life(value, other, known.where, findings)
        if header.half_life_s is None:  # the value is the coded nuclide's own
            other = named
    decided = entered.half_life_s is not None or entered.nuclide is not None
    stated = [value, coded.half_life_s if coded else None, named.half_life_s if named else None]
    return Decay(
        nuclide,
        known,
        max((s for s in stated if s is not None), default=None),
        None if decided or other is None or value in (None, other.half_life_s) else other,
    )


def spect_finding(nuclide: Nuclide, where: str) -> Finding:
    """Say that a series is read as SPECT.

    Parameters
    ----------
    nuclide : Nuclide
        One that emits no positrons.
    where : str
        Who said so.

    Returns
    -------
    Finding
        ``W_SPECT``.
    """
    return _warn(
        "W_SPECT",
        where,
        f"{nuclide.key} emits no positrons: the series is read as quantitative SPECT in Bq/mL. "
        "Decay, dose and weight follow the same rules; calibration, scatter and resolution are "
        "those of SPECT.",
    )


def _nuclide(found: Nuclide | None, entered: EnteredFacts, where: str) -> Known[str]:
    if found is None:
        return Known(None, Origin.MISSING, where)
    if entered.nuclide is not None:
        return Known(found.key, Origin.ENTERED, "study.toml [injection] nuclide")
    return Known(found.key, Origin.HEADER, where)


def _check_half_life(value: float, other: Nuclide, where: str, findings: list[Finding]) -> None:
    apart = abs(value / other.half_life_s - 1)
    if apart > _HALF_LIFE_TOLERANCE:
        findings.append(
            _warn(
                "W_NUCLIDE",
                where,
                f"The half-life {value:g} s is {100 * apart:.0f} % off that of {other.key} "
                f"({other.half_life_s:g} s). The scanner may have been set to another nuclide; "
                "then "
                "decay and positron fraction are wrong in every voxel. Check before using any "
                "number.",
            )
        )


def weight(
    header: PetHeader, entered: EnteredFacts, findings: list[Finding], faults: list[EprimgError]
) -> Known[float]:
    """Body weight in kg.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : EnteredFacts
        Facts that the user entered.
    findings, faults : list
        Findings and ``E_SUV_WEIGHT`` are appended here.

    Returns
    -------
    Known[float]
        Missing when it was refused; never assumed.
    """
    where = tag("PatientWeight")
    if entered.weight_kg is not None:
        return Known(entered.weight_kg, Origin.ENTERED, "study.toml [patient] weight_kg")
    value = header.weight_kg
    action = "enter [patient] weight_kg in study.toml"
    if value is None:
        faults.append(
            MissingTagError(
                "the body weight is missing", code="E_SUV_WEIGHT", where=where, action=action
            )
        )
    elif value <= 0 or value > _GRAMS_AT_MOST:
        faults.append(
            InputError(
                "the body weight is not positive"
                if value <= 0
                else "the body weight is plausible neither in kg nor in g",
                code="E_SUV_WEIGHT",
                where=where,
                value=value,
                action=action,
            )
        )
    elif value < _CM_ABOVE and (header.height_m or 0) > _CM_ABOVE:
        faults.append(
            InputError(
                "body weight and height seem to be swapped",
                code="E_SUV_WEIGHT",
                where=where,
                value=value,
                action=action,
            )
        )
    elif value > _GRAMS_ABOVE:
        findings.append(
            _warn(
                "W_WEIGHT_GRAMS",
                where,
                f"The body weight is {value:g}; it was read as grams, {value / 1000:g} kg.",
            )
        )
        return Known(value / 1000.0, Origin.HEADER, where)
    else:
        return Known(value, Origin.HEADER, where)
    return Known(None, Origin.MISSING, where)


def height(header: PetHeader, entered: EnteredFacts, findings: list[Finding]) -> Known[float]:
    """Body height in m; SUVbw and %ID/kg do not need it.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : EnteredFacts
        Facts that the user entered.
    findings : list
        ``W_HEIGHT_CM`` is appended here.

    Returns
    -------
    Known[float]
        Missing when the header has none.
    """
    where = tag("PatientSize")
    if entered.height_m is not None:
        return Known(entered.height_m, Origin.ENTERED, "study.toml [patient] height_m")
    value = header.height_m
    if value is None or value <= 0:
        return Known(None, Origin.MISSING, where)
    if value > _CM_ABOVE:
        findings.append(
            _warn(
                "W_HEIGHT_CM", where, f"The body height is {value:g}; it was read as centimetres."
            )
        )
        value /= 100.0
    return Known(value, Origin.HEADER, where)


def sex(header: PetHeader, entered: EnteredFacts) -> Known[str]:
    """Sex of the patient; SUVbw and %ID/kg do not need it.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : EnteredFacts
        Facts that the user entered.

    Returns
    -------
    Known[str]
        ``M``, ``F`` or ``O``; missing when the header has another value or none.
    """
    if entered.sex is not None:
        return Known(entered.sex, Origin.ENTERED, "study.toml [patient] sex")
    if header.sex in ("M", "F", "O"):
        return Known(header.sex, Origin.HEADER, tag("PatientSex"))
    return Known(None, Origin.MISSING, tag("PatientSex"))


def _warn(code: str, where: str, text: str) -> Finding:
    return Finding(code, Severity.WARNING, where, text)
