"""Facts about a PET series that a user entered; they win over the header and are recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eprimg.errors import EprimgError, InputError
from eprimg.io.nuclides import nuclide_by_name, nuclides
from eprimg.model.case import Finding, Severity

__all__ = ["ENTERED_KEYS", "EnteredFacts", "read_entered"]

_INSTANTS = ("injection_instant", "reference_instant", "residual_instant", "dose_instant")
_NUMBERS = (
    "dose_bq",
    "dose_mbq",
    "residual_bq",
    "residual_mbq",
    "weight_kg",
    "height_m",
    "half_life_s",
    "pet_over_dose_calibrator",
    "bq_per_ml_per_count",
)
ENTERED_KEYS = (*_INSTANTS, *_NUMBERS, "sex", "nuclide", "decay_correction")
"""Keys that a user may enter; each ends in its unit."""

_SMALLEST_DOSE_BQ = 1e5
_HEAVIEST_KG, _TALLEST_M = 1000.0, 3.0
_CALIBRATION_RANGE = (0.5, 2.0)
"""A ratio of two calibrated instruments outside of it is a mistake (inverse, per cent, unit).
House rule, not published."""


@dataclass(frozen=True, slots=True)
class EnteredFacts:
    """Facts that a user entered; None where the header is to be used.

    Parameters
    ----------
    injection_instant, reference_instant, residual_instant, dose_instant : datetime or None
        Dated instants; without an offset they are on the clock of the header.
    dose_bq : float or None
        Injected activity in Bq at ``dose_instant``, or at the injection when that is None.
    residual_bq : float or None
        Activity left in the syringe, in Bq at ``residual_instant``.
    weight_kg, height_m, half_life_s : float or None
        Body weight, height, half-life.
    pet_over_dose_calibrator : float or None
        Cross-calibration: what the scanner reads over what the dose calibrator reads.
    sex, nuclide : str or None
        ``M``, ``F`` or ``O``; key of the nuclide table.
    bq_per_ml_per_count : float or None
        Calibration of a SPECT reconstruction that holds counts.
    decay_correction : str or None
        ``START``, ``ADMIN`` or ``NONE`` for a SPECT header that does not say it.
    """

    injection_instant: datetime | None = None
    reference_instant: datetime | None = None
    residual_instant: datetime | None = None
    dose_instant: datetime | None = None
    dose_bq: float | None = None
    residual_bq: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    half_life_s: float | None = None
    pet_over_dose_calibrator: float | None = None
    sex: str | None = None
    nuclide: str | None = None
    bq_per_ml_per_count: float | None = None
    decay_correction: str | None = None


def read_entered(
    entered: Mapping[str, object],
) -> tuple[EnteredFacts, list[Finding], list[EprimgError]]:
    """Check what a user entered.

    Parameters
    ----------
    entered : Mapping
        Keys of `ENTERED_KEYS`; instants as datetime or ISO 8601 text.

    Returns
    -------
    facts : EnteredFacts
        Checked facts.
    findings : list of Finding
        ``I_ENTERED`` for each of them.
    faults : list of EprimgError
        ``E_ENTERED`` for each one that cannot be used.
    """
    facts: dict[str, Any] = {}
    findings: list[Finding] = []
    faults: list[EprimgError] = []
    for key, value in entered.items():
        try:
            facts[key] = _checked(key, value)
        except InputError as fault:
            faults.append(fault)
            continue
        findings.append(
            Finding(
                "I_ENTERED",
                Severity.INFO,
                f"study.toml {key}",
                f"{key} = {facts[key]} was entered by the user and is used instead of the "
                "header's.",
            )
        )
    for kind in ("dose", "residual"):
        mega = facts.pop(f"{kind}_mbq", None)
        if mega is not None and f"{kind}_bq" in facts:
            faults.append(
                _fault(
                    f"{kind}_mbq",
                    entered.get(f"{kind}_mbq"),
                    f"was entered beside {kind}_bq; give one of them",
                )
            )
        elif mega is not None:
            facts[f"{kind}_bq"] = 1e6 * mega
    if ("residual_bq" in facts) != ("residual_instant" in facts) and not faults:
        faults.append(
            _fault(
                "residual_instant",
                None,
                "and the residual activity belong together: enter both or neither",
            )
        )
    if "dose_instant" in facts and "dose_bq" not in facts and not faults:
        faults.append(
            _fault(
                "dose_instant",
                facts["dose_instant"],
                "tells when an entered dose was measured; enter dose_mbq too",
            )
        )
    if 0 < facts.get("dose_bq", math.inf) < _SMALLEST_DOSE_BQ:
        faults.append(
            _fault("dose_bq", facts["dose_bq"], "is below 0.1 MBq; is it in MBq? Then use dose_mbq")
        )
    return EnteredFacts(**facts), findings, faults


def _checked(key: str, value: object) -> Any:
    if key in _INSTANTS:
        return _instant(key, value)
    if key in _NUMBERS:
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is None or not math.isfinite(number) or number <= 0:
            raise _fault(key, value, "is a finite, positive number")
        if key == "weight_kg" and number > _HEAVIEST_KG:
            raise _fault(key, value, "is in kilograms")
        if key == "height_m" and number > _TALLEST_M:
            raise _fault(key, value, "is in metres")
        low, high = _CALIBRATION_RANGE
        if key == "pet_over_dose_calibrator" and not low <= number <= high:
            raise _fault(key, value, f"is a ratio between {low:g} and {high:g}")
        return float(number)
    if key == "sex":
        sex = str(value).strip().upper()
        if sex not in ("M", "F", "O"):
            raise _fault(key, value, "is M, F or O")
        return sex
    if key == "decay_correction":
        word = str(value).strip().upper()
        if word not in ("START", "ADMIN", "NONE"):
            raise _fault(key, value, "is START, ADMIN or NONE")
        return word
    if key == "nuclide":
        known = nuclide_by_name(str(value))
        if known is None:
            raise _fault(
                key,
                value,
                f"is one of {', '.join(n.key for n in nuclides())}; for another nuclide "
                "enter half_life_s",
            )
        return known.key
    raise _fault(key, value, f"is not known; use one of {', '.join(ENTERED_KEYS)}")


def _instant(key: str, value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and len(value.strip()) > len("2024-01-01"):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            pass
    raise _fault(key, value, "is a date with a time, e.g. 2024-05-17T10:00:00")


def _fault(key: str, value: object, problem: str) -> InputError:
    return InputError(
        f"the entered {key} {problem}",
        code="E_ENTERED",
        where=f"study.toml {key}",
        value=value,
        action="mend study.toml",
    )
