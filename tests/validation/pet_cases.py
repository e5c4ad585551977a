"""The 58 cases of IBSI-SUV v3.0.1, re-created by number with objects of our own.

Source of the list: M. Vácha et al., IBSI SUV, oncoray/suv_computation (CC BY 4.0), as the numbers
and one-line descriptions; instants, sizes and doses are ours, and every object is written by the
forward model of ``pet_objects``.  43 have to give 0.20 / 1.00 / 4.00, 15 have to be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_pet import read_pet_series
from eprimg.stages.quantify_pet import pet_maps
from tests.validation.pet_objects import (
    GA68,
    INJECTED,
    ZR89,
    Truth,
    Writing,
    at,
    write_classic,
    write_enhanced,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
VENDORS = ("SIEMENS", "GE MEDICAL SYSTEMS", "Philips Medical Systems", "Synthetic")
START = INJECTED + HOUR
LATER = (START + 2.5 * MINUTE, START + 7.5 * MINUTE, START + 12.5 * MINUTE)
NIGHT = Truth(
    injected=INJECTED + 13.5 * HOUR,
    reference=INJECTED + 14.5 * HOUR,
    starts=(INJECTED + 14.5 * HOUR,) * 3,
)
DAYS = Truth(
    injected=INJECTED,
    reference=INJECTED + 48 * HOUR,
    starts=(INJECTED + 48 * HOUR,) * 3,
    half_life_s=ZR89,
    dose_bq=37e6,
)
ANONYMOUS = timedelta(days=-23000)


@dataclass(frozen=True)
class Case:
    """One object; `refused` holds code and tag for those that must not compute."""

    number: str
    words: str
    truth: Truth = field(default_factory=Truth)
    how: Writing = field(default_factory=Writing)
    refused: tuple[str, str] | None = None
    lenient: str = ""
    write: Callable[..., Path] = write_classic
    options: tuple[tuple[str, Any], ...] = ()


def _valid() -> list[Case]:
    cases = [
        Case("0_0", "default"),
        Case("1_0", "slope differs between slices", how=Writing(slopes=(1.0, 1.7, 3.1))),
        Case("2_0", "GML, BW", how=Writing(units="GML", suv_type="BW")),
        Case("2_3", "CM2ML", how=Writing(units="CM2ML", suv_type="BSA")),
        Case("2_4", "CNTS, SUV factor", how=Writing(VENDORS[2], "CNTS", suv_factor=0.0005)),
        Case("2_5", "CNTS, activity factor", how=Writing(VENDORS[2], "CNTS", activity_factor=2.5)),
        Case(
            "3_0",
            "dose in MBq",
            how=Writing(drug={"RadionuclideTotalDose": 368.08}),
        ),
        Case("3_1", "ADMIN", how=Writing(decay="ADMIN")),
        Case("4_0", "DateTime only", how=Writing(drug={"RadiopharmaceuticalStartTime": None})),
        Case("4_1", "Time only", how=Writing(drug={"RadiopharmaceuticalStartDateTime": None})),
        Case(
            "4_2",
            "across midnight, Time only",
            NIGHT,
            Writing(drug={"RadiopharmaceuticalStartDateTime": None}),
        ),
        Case("4_3", "across midnight, DateTime", NIGHT),
        Case(
            "4_4",
            "across midnight, acquisition date anonymised",
            NIGHT,
            Writing(scan_shift=ANONYMOUS),
        ),
        Case("4_5", "89Zr, more than 24 h", DAYS),
        Case("5_0", "68Ga", Truth(half_life_s=GA68)),
    ]
    for first, kind in (("2_1", "LBMJAMES128"), ("2_2", "IBW"), ("2_6", "LBMJANMA")):
        cases += [
            Case(
                f"{first}_{n}",
                f"GML, {kind}, sex {sex}",
                Truth(sex=sex),
                Writing(units="GML", suv_type=kind),
            )
            for n, sex in enumerate("MFO")
        ]
    late = Truth(reference=START, starts=LATER)
    for n, vendor in enumerate(VENDORS):
        name = vendor.split()[0]
        cases += [
            Case(
                f"3_2_{n}",
                f"SeriesTime after AcquisitionTime, {name}",
                late,
                Writing(vendor, series=START + 30 * MINUTE),
            ),
            Case(f"3_4_{n}", f"NONE, {name}", late, Writing(vendor, decay="NONE")),
            Case(f"3_5_{n}", f"SeriesTime equals AcquisitionTime, {name}", how=Writing(vendor)),
        ]
    private = (
        ("3_3_0", VENDORS[0], (0x0071, "SIEMENS MED PT", 0x22)),
        ("3_3_1", VENDORS[1], (0x0009, "GEMS_PETD_01", 0x0D)),
    )
    cases += [
        Case(
            number,
            f"private decay date-time, {vendor.split()[0]}",
            Truth(reference=START - 10 * MINUTE),
            Writing(vendor, series=START, private_decay=where),
        )
        for number, vendor, where in private
    ]
    none = Writing(decay="NONE")
    enhanced: tuple[tuple[str, str, Truth, Writing, dict[str, Any]], ...] = (
        ("7_0_0", "Enhanced", Truth(), Writing(), {"mapped": False}),
        ("7_1_0", "Enhanced, slope per frame", Truth(), Writing(slopes=(1.0, 1.7, 3.1)), {}),
        (
            "7_2_0",
            "Enhanced, g/mL",
            Truth(),
            Writing(units="GML", suv_type="BW"),
            {"unit": "g/ml{SUVbw}"},
        ),
        (
            "7_3_0",
            "Enhanced, decay correction date-time",
            Truth(reference=START - 25 * MINUTE),
            Writing(series=START),
            {"corrected_to": START - 25 * MINUTE},
        ),
        ("7_3_1", "Enhanced, not decay corrected", late, none, {}),
    )
    cases += [
        Case(number, words, truth, how, write=write_enhanced, options=tuple(options.items()))
        for number, words, truth, how, options in enhanced
    ]
    return sorted(cases, key=lambda c: [int(p) for p in c.number.split("_")])


def _errors() -> list[Case]:
    plain = Writing()
    james = Writing(units="GML", suv_type="LBMJAMES128")

    def tags(how: Writing = plain, **changes: Any) -> Writing:
        return Writing(how.manufacturer, how.units, how.suv_type, how.decay, tags=changes)

    def drug(**changes: Any) -> Writing:
        return Writing(drug=changes)

    weight, size = ("E_SUV_WEIGHT", "(0010,1030)"), ("E_SUV_HEIGHT", "(0010,1020)")
    sex, dose = ("E_SUV_SEX", "(0010,0040)"), ("E_SUV_DOSE", "(0018,1074)")
    units, instant = ("E_PET_UNITS", "(0054,1001)"), ("E_SUV_TIME", "(0018,1078)")
    undated = drug(RadiopharmaceuticalStartDateTime=None)
    no_clock = drug(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime=None)
    anonymised = drug(RadiopharmaceuticalStartDateTime="19000101100000")
    late = Writing(series=START + 30 * MINUTE, tags={"ActualFrameDuration": None})
    half_life = ("E_SUV_HALF_LIFE", "(0018,1075)")
    return [
        Case("2_0", "weight absent", how=tags(PatientWeight=None), refused=weight),
        Case("2_1", "weight 0", how=tags(PatientWeight=0), refused=weight),
        Case("2_2", "sex absent", how=tags(james, PatientSex=None), refused=sex),
        Case("2_3", "sex invalid", how=tags(james, PatientSex="X"), refused=sex),
        Case("2_4", "size absent", how=tags(james, PatientSize=None), refused=size),
        Case("2_5", "size 0", how=tags(james, PatientSize=0), refused=size),
        Case("2_6", "CNTS without factor", how=Writing(VENDORS[2], "CNTS"), refused=units),
        Case("2_7", "PROPCNTS", how=Writing(units="PROPCNTS"), refused=units),
        Case("3_0", "dose absent", how=drug(RadionuclideTotalDose=None), refused=dose),
        Case("3_1", "dose negative", how=drug(RadionuclideTotalDose=-3.7e8), refused=dose),
        Case(
            "3_2",
            "duration absent, not GE",
            Truth(reference=START, starts=LATER),
            late,
            refused=("E_PET_DURATION", "(0018,1242)"),
        ),
        Case("4_0", "no injection time", how=no_clock, refused=instant),
        Case("4_1", "89Zr, more than 24 h, no DateTime", DAYS, undated, refused=instant),
        Case("4_2", "89Zr, more than 24 h, DateTime anonymised", DAYS, anonymised, refused=instant),
        Case(
            "5_0",
            "half-life absent",
            how=drug(RadionuclideHalfLife=None),
            refused=half_life,
            lenient="computes: half-life of the coded nuclide, with W_HALF_LIFE",
        ),
    ]


VALID, ERRORS = _valid(), _errors()


@dataclass(frozen=True)
class Outcome:
    """What the reader made of an object."""

    suv: tuple[float, float, float] | None
    worst: float
    """Largest relative difference of a voxel from the truth."""
    codes: tuple[str, ...]
    text: str
    facts: Any = None


def judge(folder: Path, mode: str, truth: np.ndarray | None = None) -> Outcome:
    """Read an object and make its SUV map as the main job does."""
    from tests.validation.pet_objects import SUV

    entry = next(e for e in scan(folder).series if e.modality == "PT")
    try:
        result = read_pet_series(entry, config=ReadConfig(), mode=mode)
    except EprimgError as error:
        faults = error.faults or (error,)
        return Outcome(None, np.inf, tuple(f.code for f in faults), str(error))
    made = pet_maps(result.value)
    if "suvbw" not in made.maps:
        return Outcome(None, np.inf, tuple(f.code for f in made.faults), str(made.faults))
    values = np.asarray(made.maps["suvbw"].values, dtype=np.float64)
    expected = np.broadcast_to(SUV if truth is None else truth, values.shape)
    worst = float(np.max(np.abs(values / expected - 1.0)))
    told = tuple(f.code for f in result.findings)
    suv = (float(values.min()), float(np.median(values)), float(values.max()))
    return Outcome(suv, worst, told, "", result.value.acquisition)


def make(case: Case, folder: Path) -> Path:
    """Write the object of a case."""
    return case.write(folder, case.truth, case.how, **dict(case.options))


__all__ = ["ERRORS", "VALID", "Case", "Outcome", "at", "judge", "make"]
