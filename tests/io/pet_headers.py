"""A plain PET header for the rule tests: 89Zr, 72.5 h after injection, six slices, START."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eprimg.io.pet_header import NuclideCode, PetHeader, PetSlice

ZR89 = NuclideCode("C-168A4", "SRT", "^89^Zirconium")
CU64 = NuclideCode("C-127A2", "SRT", "^64^Copper")
F18 = NuclideCode("C-111A1", "SRT", "^18^Fluorine")


def slices(n: int = 6, **changes: Any) -> tuple[PetSlice, ...]:
    first = PetSlice(
        where="slice",
        acquisition_date="20240104",
        acquisition_time="103000",
        frame_reference_s=None,
        duration_s=300.0,
        slope=2.0,
        intercept=0.0,
    )
    return tuple(
        replace(first, where=f"{k}.dcm", position=(0.0, 0.0, 3.0 * k), **changes) for k in range(n)
    )


def zr89(**changes: Any) -> PetHeader:
    """Injected 2024-01-01 10:00, scanned 2024-01-04 10:30."""
    facts: dict[str, Any] = {
        "slices": slices(),
        "manufacturer": "SIEMENS",
        "series_type": ("STATIC", "IMAGE"),
        "corrections": ("DECY", "ATTN", "SCAT"),
        "units": "BQML",
        "decay_correction": "START",
        "sex": "F",
        "weight_kg": 70.0,
        "height_m": 1.7,
        "dose": 37e6,
        "half_life_s": 282276.0,
        "start_time": "100000",
        "start_datetime": "20240101100000",
        "nuclide": ZR89,
        "series_date": "20240104",
        "series_time": "103000",
    }
    return PetHeader(**{**facts, **changes})


def f18(**changes: Any) -> PetHeader:
    """Injected 2024-01-04 09:30, scanned one hour later; same day."""
    facts: dict[str, Any] = {
        "dose": 370e6,
        "half_life_s": 6586.2,
        "nuclide": F18,
        "start_time": "093000",
        "start_datetime": "20240104093000",
    }
    return zr89(**{**facts, **changes})
