"""A tiny study whose every number can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.model.acquisition import Injection, Known, MRAcquisition, Origin, PETAcquisition
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity

ECHO_TIMES_S = (0.002, 0.004, 0.006, 0.008, 0.010, 0.014)
SHAPE = (12, 20, 24)
SPACING = (4.0, 3.0, 3.0)
INJECTED = datetime(2024, 3, 5, 11, 15)
HALF_LIFE_S = 282276.0
DOSE_BQ = 74.0e6
WEIGHT_KG = 72.0

# Boxes along (k, j, i); below, per tissue: R2* before and after in 1/s, activity in Bq/mL.
LIVER = (slice(1, 9), slice(1, 9), slice(1, 9))
SPLEEN = (slice(1, 9), slice(1, 9), slice(15, 23))
BLOOD = (slice(0, 12), slice(12, 15), slice(1, 4))
MUSCLE = (slice(0, 12), slice(12, 18), slice(18, 23))
LESION = (slice(4, 8), slice(12, 17), slice(8, 13))
TISSUE = {
    "background": (30.0, 35.0, 500.0),
    "liver": (40.0, 300.0, 6000.0),
    "spleen": (60.0, 500.0, 7000.0),
    "blood": (20.0, 50.0, 1500.0),
    "muscle": (32.0, 38.0, 750.0),
    "lesion": (30.0, 130.0, 12000.0),
}
BOXES = {"liver": LIVER, "spleen": SPLEEN, "blood": BLOOD, "muscle": MUSCLE, "lesion": LESION}
IDS = {"lesion": 1, "liver": 11, "spleen": 12, "blood": 13, "muscle": 14}


def known(value, where="test"):
    return Known(value, Origin.HEADER if value is not None else Origin.MISSING, where)


def grid(frame, *, shape=SHAPE, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
    """Axes (k, j, i) along (z, y, x) of LPS."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:3, 3] = origin
    affine[3, 3] = 1.0
    return Grid(shape, affine, frame)


def paint(column):
    values = np.full(SHAPE, TISSUE["background"][column])
    for name, box in BOXES.items():
        values[box] = TISSUE[name][column]
    return values


def mr_series(role, frame, *, echo_times_s=ECHO_TIMES_S, field_t=3.0, column=0, noise=0.0):
    rate = paint(column)
    signal = 1000.0 * np.exp(-rate[..., None] * np.asarray(echo_times_s))
    if noise:
        signal = signal + np.random.default_rng(7 + column).normal(0.0, noise, signal.shape)
    volume = Volume(signal.astype(np.float32), grid(frame), quantity("signal"))
    return Series(
        str(role),
        role,
        EchoStack(volume, tuple(echo_times_s)),
        MRAcquisition(
            tuple(echo_times_s),
            field_strength_t=known(field_t),
            agent_phase="pre" if role == Role.MR_PRE else "post",
        ),
        study_uid=f"study-{frame}",
    )


def pet_acquisition(**changes):
    base = PETAcquisition(
        injection=Injection(known(INJECTED), known(DOSE_BQ), known("89Zr"), known(HALF_LIFE_S)),
        weight_kg=known(WEIGHT_KG),
        height_m=known(1.75),
        sex=known("M"),
        unit="BQML",
        decay_correction="START",
        reference_instant=INJECTED + timedelta(hours=72),
        reference_rule="SeriesTime",
        hours_after_injection=72.0,
    )
    return replace(base, **changes)


def pet_series(frame, acquisition=None, values=None):
    values = paint(2) if values is None else values
    volume = Volume(values.astype(np.float32), grid(frame), quantity("activity"))
    return Series(
        "pet", Role.PET, volume, acquisition or pet_acquisition(), study_uid=f"study-{frame}"
    )


def region_set(frame="pre", *, names=tuple(IDS), ids=IDS):
    labels = np.zeros(SHAPE, dtype=np.int32)
    regions = []
    for name in names:
        labels[BOXES[name]] = ids[name]
        lesion = name == "lesion"
        regions.append(
            Region(
                ids[name],
                name,
                RegionRole.LESION if lesion else RegionRole.REFERENCE,
                anatomy="" if lesion else name,
            )
        )
    return LesionSet(
        labels, grid(frame), tuple(sorted(regions, key=lambda r: r.id)), origin="masks"
    )


def registration(
    moving,
    *,
    fixed="mr_pre",
    fixed_frame="pre",
    frame=None,
    shift=(0.0, 0.0, 0.0),
    accepted=True,
    error_mm=0.5,
    note="",
):
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return Registration(
        fixed,
        moving,
        Transform(matrix, fixed_frame, frame or moving.removeprefix("mr_")),
        "test",
        qc={} if error_mm is None else {"registration_error_mm": error_mm},
        accepted=accepted,
        note=note,
    )


@dataclass
class Scene:
    """Builders of the tiny study; tests change one thing at a time."""

    config: Config = field(default_factory=Config)
    ids = IDS
    boxes = BOXES
    tissue = TISSUE
    shape = SHAPE
    spacing = SPACING
    echo_times_s = ECHO_TIMES_S
    injected = INJECTED
    half_life_s = HALF_LIFE_S
    dose_bq = DOSE_BQ
    weight_kg = WEIGHT_KG
    known = staticmethod(known)
    grid = staticmethod(grid)
    paint = staticmethod(paint)
    mr_series = staticmethod(mr_series)
    pet_acquisition = staticmethod(pet_acquisition)
    pet_series = staticmethod(pet_series)
    region_set = staticmethod(region_set)
    registration = staticmethod(registration)

    def study(self, *series, regions=()):
        """One timepoint per series."""
        if not series:
            series = (
                mr_series(Role.MR_PRE, "pre"),
                mr_series(Role.MR_POST, "post", column=1),
                pet_series("pet"),
            )
        return Study(
            "case-1", tuple(Timepoint(s.key, None, (s,)) for s in series), regions=tuple(regions)
        )

    def registrations(self):
        """Both sessions lie where the reference lies."""
        return (registration("mr_post"), registration("pet"))


@pytest.fixture
def scene():
    return Scene(Config().with_settings({"threads": 1}))
