"""A case of a few voxels, built by hand, for tests of what is written to disk."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from eprimg.config import Config
from eprimg.model.acquisition import Injection, Known, MRAcquisition, Origin, PETAcquisition
from eprimg.model.case import Case, Finding, Provenance, Severity
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.tiers import PatientTier, Tier, TierScheme
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity

NAN = float("nan")


def grid(frame: str = "1.2.3", shape: tuple[int, int, int] = (3, 4, 5)) -> Grid:
    affine = np.array(
        [[0, 0, 1.5, -10], [0, 1.5, 0, 20], [4.0, 0, 0, -7], [0, 0, 0, 1]], dtype=float
    )
    return Grid(shape, affine, frame)


def pet_acquisition() -> PETAcquisition:
    injection = Injection(
        Known(datetime(2026, 3, 1, 9, 0), Origin.HEADER),
        Known(37e6, Origin.ENTERED),
        Known("89Zr", Origin.HEADER),
        Known(282276.0, Origin.HEADER),
    )
    return PETAcquisition(
        injection,
        Known(70.0, Origin.HEADER),
        Known(1.75, Origin.HEADER),
        Known("F", Origin.HEADER),
        "BQML",
        "START",
        datetime(2026, 3, 4, 9, 0),
        "SeriesTime",
    )


def study() -> Study:
    mr = Series(
        "mr_pre",
        Role.MR_PRE,
        EchoStack(
            Volume(np.ones((3, 4, 5, 3), np.float32), grid(), quantity("signal")),
            (0.001, 0.002, 0.003),
        ),
        MRAcquisition((0.001, 0.002, 0.003)),
        "R2star GRE",
        "1.9.1",
        "aa",
        "1.8",
        9,
    )
    pet = Series(
        "pet",
        Role.PET,
        Volume(np.ones((3, 4, 5), np.float32), grid("4.5"), quantity("activity")),
        pet_acquisition(),
        "PET",
        "1.9.2",
        "bb",
        "1.7",
        3,
    )
    return Study(
        "P-1",
        (
            Timepoint("pre ferumoxytol", datetime(2026, 3, 1), (mr,)),
            Timepoint("89Zr PET", datetime(2026, 3, 4), (pet,)),
        ),
        overrides={"dose_mbq": 37.0},
        input_hash="input",
    )


def case() -> Case:
    place = grid()
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    valid = np.ones(place.shape, bool)
    valid[0, 0, 0] = False
    values = np.where(valid, values, np.nan).astype(np.float32)
    reason = np.where(valid, 0, 3).astype(np.uint8)
    r2star = QuantityMap(
        values,
        place,
        quantity("r2star"),
        valid,
        "nlls",
        ("mr_pre",),
        standard_error=np.where(valid, 0.5, np.nan).astype(np.float32),
        reason=reason,
        reason_words={0: "measured", 3: "signal not positive"},
        facts={"EchoTimes_s": (0.001,)},
    )
    labels = np.zeros(place.shape, np.uint8)
    labels[1, 1:3, 1:3] = 1
    labels[2, 1:3, 1:3] = 2
    tier = Tier(
        "demo-scheme",
        "high",
        0.97,
        "noise only",
        "12 above 5",
        "high",
        {"low": 0.03, "high": 0.97},
        "example, not validated",
    )
    lesion = Region(
        1,
        "=lesion-1",
        RegionRole.LESION,
        tracking_uid="2.25.1",
        measurements=(
            Measurement("volume", "volume", "reference", 0.036, NAN, "voxel count", 4, "mr_pre"),
            Measurement("r2star", "median", "mr_pre", 28.5, 0.25, "fit", 4, "native mr_pre"),
            Measurement("pid_per_kg", "peak", "pet", 12.0, NAN, "none published", 4, "native pet"),
        ),
        tiers=(tier,),
        notes=("touches the edge",),
    )
    spleen = Region(2, "spleen", RegionRole.REFERENCE, anatomy="spleen")
    scheme = TierScheme(
        "demo-scheme",
        "1",
        "Demo",
        "pid_per_kg",
        "peak",
        "fixed",
        (5.0,),
        ("low", "high"),
        "any",
        False,
        "none",
        "pet",
    )
    return Case(
        study(),
        registrations=(
            Registration(
                "mr_pre",
                "pet",
                Transform(np.eye(4), "1.2.3", "4.5"),
                "identity",
                {"seed": 1},
                {"moved_mm": 0.0},
                True,
                "fine",
            ),
        ),
        maps={"r2star_pre": r2star},
        registered={"r2star_pre": r2star},
        lesions=LesionSet(labels, place, (lesion, spleen), "by hand"),
        schemes=(scheme,),
        patient_tiers=(
            PatientTier("demo-scheme", "high", 0.97, "n", "r", "any", 1, "example, not validated"),
        ),
        findings=(Finding("W_NOISE_FLOOR", Severity.WARNING, "liver", "late echoes"),),
        provenance=Provenance(
            {"eprimg": "0.1.0"}, Config().hash, "input", "s", "f", {"register": 1.0}
        ),
    )
