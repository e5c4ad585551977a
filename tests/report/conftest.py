"""A synthetic case in memory: oblique MR grid, PET in its own frame, three lesions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from eprimg.model.acquisition import Injection, Known, MRAcquisition, Origin, PETAcquisition
from eprimg.model.case import Case, Finding, Provenance, Severity
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole, RegionSource
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.tiers import PatientTier, Tier, TierScheme
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity

ECHO_TIMES_S = tuple(np.linspace(0.0012, 0.014, 8))
MR_FRAME, POST_FRAME, PET_FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.3"
START = datetime(2024, 3, 4, 9, 0)
INJECTED = datetime(2024, 3, 5, 11, 15)

# centre (LPS mm), radius (mm), R2* pre, R2* post, %ID/kg
LESIONS = {
    1: ((-70.0, -10.0, 10.0), 16.0, 30.0, 150.0, 28.0),
    2: ((60.0, 5.0, -20.0), 11.0, 28.0, 66.0, 5.1),
    3: ((20.0, 40.0, 30.0), 7.0, 35.0, 44.0, 2.0),
}
LIVER = ((-75.0, -10.0, 10.0), (62.0, 60.0, 50.0))
SPLEEN = ((90.0, 35.0, 20.0), (25.0, 30.0, 40.0))


def rotation(x: float, y: float, z: float) -> np.ndarray:
    ax, ay, az = np.radians((x, y, z))
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    rz = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    return rz @ ry @ rx


def make_grid(shape, spacing, frame, *, turn=None, centre=(0.0, 0.0, 0.0)) -> Grid:
    """Axes (k, j, i) point to the head, the back and the left before the turn."""
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float)
    axes = (np.eye(3) if turn is None else turn) @ axes
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine, frame)


def tissue(points: np.ndarray) -> dict[str, np.ndarray]:
    """Paint S0, R2* pre and post, %ID/kg and labels at points of the reference frame."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    shape = points.shape[:-1]
    s0, pre, post, uptake = (np.zeros(shape, np.float32) for _ in range(4))
    labels = np.zeros(shape, np.int16)

    def ball(centre, radii):
        r = np.broadcast_to(radii, (3,))
        return (((points - np.array(centre)) / r) ** 2).sum(-1) <= 1

    def paint(where, values, label=0):
        s0[where], pre[where], post[where], uptake[where] = values
        labels[where] = label

    body = ((x / 160) ** 2 + (y / 110) ** 2) <= 1
    paint(body, (1150, 35, 36, 0.5))
    paint(((x / 145) ** 2 + (y / 95) ** 2) <= 1, (820, 33, 38, 1.5))
    paint(ball(*LIVER), (900, 45, 320, 12), 11)
    paint(ball(*SPLEEN), (950, 60, 520, 15), 12)
    paint(((x - 5) ** 2 + (y - 20) ** 2) <= 11**2, (820, 20, 51, 3), 13)
    paint(((x / 20) ** 2 + ((y - 60) / 20) ** 2) <= 1, (500, 80, 300, 8))
    for label, (centre, radius, r_pre, r_post, pid) in LESIONS.items():
        paint(ball(centre, radius), (1000, r_pre, r_post, pid), label)
    return {"s0": s0, "pre": pre, "post": post, "uptake": uptake, "labels": labels, "z": z}


def _map(values, grid, key, valid, source) -> QuantityMap:
    return QuantityMap(
        np.where(valid, values, np.nan).astype(np.float32),
        grid,
        quantity(key),
        valid,
        f"synthetic {key}",
        (source,),
    )


def _measure(quantity_key, statistic, source, value, uncertainty, n, note=""):
    why = (
        "fit and registration error (lower bound)"
        if "r2star" in quantity_key
        else ("published 89Zr repeatability (doi:10.1007/s11307-018-1200-4)")
    )
    return Measurement(
        quantity_key,
        statistic,
        source,
        value,
        uncertainty,
        why if np.isfinite(uncertainty) else "none: derived from a ratio",
        n,
        f"native {source}",
        note,
    )


PID = TierScheme(
    "example-pid-per-kg-peak",
    "1",
    "Nanoparticle uptake by PET (%ID/kg peak)",
    "pid_per_kg",
    "peak",
    "fixed",
    (5.0, 20.0),
    ("low", "moderate", "high"),
    "dominant-volume",
    False,
    "example only",
    "pet",
)
DR2 = TierScheme(
    "example-dr2star-median",
    "1",
    "Nanoparticle uptake by MRI (ΔR2* median)",
    "dr2star",
    "median",
    "fixed",
    (20.0, 80.0),
    ("low", "moderate", "high"),
    "dominant-volume",
    False,
    "example only",
    "mr",
)


def _tier(scheme, label, confidence, reason):
    return Tier(
        scheme.key,
        label,
        confidence,
        "repeatability only: lower bound of the doubt",
        reason,
        "moderate" if label == "indeterminate" else label,
        {},
        "example, not validated",
    )


def _lesion(ident: int, n: int) -> Region:
    _, radius, pre, post, pid = LESIONS[ident]
    volume = 4 / 3 * np.pi * radius**3 / 1000
    tiers = {
        1: (
            _tier(PID, "high", 0.999, "26.1 %ID/kg is above 20"),
            _tier(DR2, "high", 0.97, "120 1/s is above 80"),
        ),
        2: (
            _tier(PID, "indeterminate", 0.56, "5.1 %ID/kg lies within the error of the edge 5"),
            _tier(DR2, "moderate", 0.93, "38 1/s lies between 20 and 80"),
        ),
        3: (
            _tier(PID, "low", 0.995, "2.0 %ID/kg is below 5"),
            _tier(DR2, "not tiered", float("nan"), "smaller than 10 mm"),
        ),
    }[ident]
    numbers = (
        _measure("volume", "volume", "mr_pre", volume, 0.06 * volume, n),
        _measure("r2star", "median", "mr_pre", pre, 1.2, n),
        _measure("r2star", "mean", "mr_pre", pre + 0.2, 1.2, n),
        _measure("r2star", "median", "mr_post", post, 3.1, n),
        _measure("dr2star", "median", "mr_post-mr_pre", post - pre, 3.4, n),
        _measure("rr2star90", "ratio", "mr_post", 1.1 * post / 520, float("nan"), n),
        _measure("suvbw", "mean", "pet", pid * 0.72 * 0.8, 0.1 * pid, n),
        _measure("suvbw", "max", "pet", pid * 0.72 * 1.2, 0.15 * pid, n),
        _measure("suvbw", "peak", "pet", pid * 0.72, 0.12 * 0.72 * pid, n),
        _measure("pid_per_kg", "mean", "pet", pid * 0.8, 0.1 * pid, n),
        _measure("pid_per_kg", "peak", "pet", pid, 0.126 * pid, n),
        _measure("lesion_blood_ratio", "ratio", "pet", pid / 3, float("nan"), n),
        _measure(
            "lesion_muscle_ratio",
            "ratio",
            "pet",
            float("nan"),
            float("nan"),
            0,
            "no muscle region was given",
        ),
    )
    notes = (
        ("equivalent diameter below 17 mm: partial volume lowers the number",)
        if (ident == 3)
        else ()
    )
    return Region(
        ident,
        f"lesion-{ident}",
        RegionRole.LESION,
        RegionSource.MASK,
        "",
        measurements=numbers,
        tiers=tiers,
        notes=notes,
    )


def _organ(ident, name, anatomy, pre, post, pid):
    numbers = (
        _measure("volume", "volume", "mr_pre", 400.0, 12.0, 9000),
        _measure("r2star", "median", "mr_pre", pre, 0.6, 9000),
        _measure("r2star", "median", "mr_post", post, 1.6, 9000),
        _measure("dr2star", "median", "mr_post-mr_pre", post - pre, 1.9, 9000),
        _measure("suvbw", "mean", "pet", pid * 0.72, 0.02, 9000),
        _measure("pid_per_kg", "mean", "pet", pid, 0.03, 9000),
    )
    return Region(
        ident, name, RegionRole.REFERENCE, RegionSource.MASK, anatomy, measurements=numbers
    )


def build_case(mr_shape=(24, 80, 80), pet_shape=(50, 64, 64), seed=7) -> Case:
    """Build the whole case; sizes scale the spacing so that the field of view stays."""
    draw = np.random.default_rng(seed)
    mr = make_grid(
        mr_shape,
        (180 / mr_shape[0], 371 / mr_shape[1], 371 / mr_shape[2]),
        MR_FRAME,
        turn=rotation(7, -5, 0),
    )
    moved = np.eye(4)
    moved[:3, :3] = rotation(1.6, -1.2, 2.2)
    moved[:3, 3] = (4.6, -3.4, 4.2)
    to_post = Transform(moved, MR_FRAME, POST_FRAME)
    turned = np.eye(4)
    turned[:3, :3] = rotation(-1.8, 1.5, -1.9)
    turned[:3, 3] = (-5.2, 4.8, -5.6)
    to_pet = Transform(turned, MR_FRAME, PET_FRAME)
    post = make_grid(mr_shape, mr.spacing_mm, POST_FRAME, turn=rotation(7, -5, 0))
    pet = make_grid(
        pet_shape,
        (500 / pet_shape[0], 480 / pet_shape[1], 480 / pet_shape[2]),
        PET_FRAME,
        centre=(0, 0, 20),
    )

    def points(grid):
        index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        return grid.index_to_lps_mm(index)

    here = tissue(points(mr))
    there = tissue(to_post.inverse().apply(points(post)))
    dot = tissue(to_pet.inverse().apply(points(pet)))

    def echoes(s0, r2star):
        clean = s0[..., None] * np.exp(-r2star[..., None] * np.array(ECHO_TIMES_S))
        noise = draw.normal(0, 8, (*clean.shape, 2))
        return np.hypot(clean + noise[..., 0], noise[..., 1]).astype(np.float32)

    pre_echoes = echoes(here["s0"], here["pre"])
    post_echoes = echoes(there["s0"] * 1.1, there["post"])
    bq = (dot["uptake"] * 740 * (1 + 0.05 * draw.standard_normal(pet.shape))).astype(np.float32)
    mr_facts = MRAcquisition(
        ECHO_TIMES_S,
        Known(3.0, Origin.HEADER, "(0018,0087)"),
        "pre",
        "SIEMENS",
        "Phantom",
        "gre",
        Known(0.12, Origin.HEADER),
        Known(20.0, Origin.HEADER),
    )
    pet_facts = PETAcquisition(
        Injection(
            Known(INJECTED, Origin.HEADER, "(0018,1078)"),
            Known(74e6, Origin.HEADER, "(0018,1074)"),
            Known("89Zr", Origin.HEADER, "(0054,0300)"),
            Known(282276.0, Origin.HEADER),
        ),
        Known(72.0, Origin.ENTERED, "study.toml pet.weight_kg"),
        Known(1.75, Origin.HEADER),
        Known("M", Origin.HEADER),
        "BQML",
        "START",
        INJECTED + timedelta(hours=72),
        "decay corrected to the start of the series (0008,0031), earliest frame agrees",
        (("series start", INJECTED + timedelta(hours=72)),),
        72.0,
    )
    study = Study(
        "case-7f3a",
        (
            Timepoint(
                "pre ferumoxytol",
                START,
                (
                    Series(
                        "mr_pre",
                        Role.MR_PRE,
                        EchoStack(Volume(pre_echoes, mr, quantity("signal")), ECHO_TIMES_S),
                        mr_facts,
                        "R2star GRE pre",
                        "1.2.3",
                        "ab" * 32,
                        "1.2",
                        192,
                    ),
                ),
            ),
            Timepoint(
                "post ferumoxytol",
                START + timedelta(hours=25),
                (
                    Series(
                        "mr_post",
                        Role.MR_POST,
                        EchoStack(Volume(post_echoes, post, quantity("signal")), ECHO_TIMES_S),
                        replace(mr_facts, agent_phase="post"),
                        "R2star GRE post",
                        "1.2.4",
                        "cd" * 32,
                        "1.3",
                        192,
                    ),
                ),
            ),
            Timepoint(
                "PET",
                INJECTED + timedelta(hours=72),
                (
                    Series(
                        "pet",
                        Role.PET,
                        Volume(bq, pet, quantity("activity")),
                        pet_facts,
                        "PET 89Zr AC",
                        "1.2.5",
                        "ef" * 32,
                        "1.4",
                        50,
                    ),
                ),
            ),
        ),
        overrides={"pet.weight_kg": 72.0},
        input_hash="12" * 32,
    )
    ok = {"mr": here["s0"] > 0, "post": there["s0"] > 0, "pet": np.ones(pet.shape, bool)}
    resampled = tissue(points(mr))
    maps = {
        "r2star_pre": _map(
            here["pre"] + draw.normal(0, 2, mr.shape), mr, "r2star", ok["mr"], "mr_pre"
        ),
        "s0_pre": _map(here["s0"], mr, "s0", ok["mr"], "mr_pre"),
        "r2star_post": _map(
            there["post"] + draw.normal(0, 4, mr.shape), post, "r2star", ok["post"], "mr_post"
        ),
        "s0_post": _map(there["s0"] * 1.1, post, "s0", ok["post"], "mr_post"),
        "suvbw": _map(bq / 740 * 0.72, pet, "suvbw", ok["pet"], "pet"),
        "pid_per_kg": _map(bq / 740, pet, "pid_per_kg", ok["pet"], "pet"),
    }
    registered = {
        "r2star_pre": maps["r2star_pre"],
        "r2star_post": _map(resampled["post"], mr, "r2star", ok["mr"], "mr_post"),
        "dr2star": _map(
            resampled["post"] - here["pre"] + draw.normal(0, 4, mr.shape),
            mr,
            "dr2star",
            ok["mr"],
            "mr_post",
        ),
        "suvbw": _map(resampled["uptake"] * 0.72, mr, "suvbw", ok["mr"], "pet"),
        "pid_per_kg": _map(resampled["uptake"], mr, "pid_per_kg", ok["mr"], "pet"),
    }
    regions = (
        *(_lesion(i, int((here["labels"] == i).sum())) for i in LESIONS),
        _organ(11, "liver", "liver", 45, 321, 12.0),
        _organ(12, "spleen", "spleen", 60, 524, 15.0),
        _organ(13, "aorta", "blood", 20, 51, 3.0),
    )
    lesions = LesionSet(here["labels"], mr, regions, "lesions.nii.gz")
    patient = tuple(
        PatientTier(
            s.key,
            "high",
            c,
            "repeatability only: lower bound of the doubt",
            "lesion-1 holds 74 % of the tumour volume",
            "dominant-volume",
            3,
            "example, not validated",
        )
        for s, c in ((PID, 0.998), (DR2, 0.97))
    )
    return Case(
        study,
        (
            Registration(
                "mr_pre",
                "mr_post",
                to_post,
                "SimpleITK 2.5",
                {"seed": 1},
                {"moved_mm": 7.1, "rotated_deg": 3.0},
                True,
                "the check passed",
            ),
            Registration(
                "mr_pre",
                "pet",
                to_pet,
                "SimpleITK 2.5",
                {"seed": 1},
                {"moved_mm": 9.0, "rotated_deg": 3.0},
                True,
                "the check passed",
            ),
        ),
        maps,
        registered,
        lesions,
        {
            "mr_pre": lesions,
            "mr_post": LesionSet(there["labels"], post, regions),
            "pet": LesionSet(dot["labels"], pet, regions),
        },
        (PID, DR2),
        patient,
        (
            Finding(
                "I_AGENT", Severity.INFO, "mr_post", "The agent phase was read from the header."
            ),
            Finding(
                "W_NOISE_FLOOR",
                Severity.WARNING,
                "spleen",
                "R2* times the longest echo time is above 5: the value is a lower bound.",
            ),
            Finding(
                "E_SEG_FRAME",
                Severity.ERROR,
                "mask <b>bold</b>.nii.gz",
                "The mask lies on another frame of reference and was not used.",
            ),
        ),
        Provenance(
            {"eprimg": "0.1.0", "numpy": "2.4.6"},
            "aa" * 32,
            "12" * 32,
            "2026-01-01T10:00:00Z",
            "2026-01-01T10:00:20Z",
            {"register": 9.1, "quantify": 4.4},
            812.0,
            {"registrar": "simpleitk-rigid"},
            2,
        ),
    )


@pytest.fixture(scope="session")
def case() -> Case:
    """The full synthetic case."""
    return build_case()


@pytest.fixture(scope="session")
def brief_case(case: Case) -> Case:
    """The same case with one lesion and one organ, to keep tests short."""

    def fewer(regions: LesionSet) -> LesionSet:
        kept = tuple(r for r in regions.regions if r.id in (1, 12))
        return replace(regions, regions=kept)

    assert case.lesions is not None
    return replace(
        case,
        lesions=fewer(case.lesions),
        native_lesions={k: fewer(v) for k, v in case.native_lesions.items()},
    )


@pytest.fixture
def candidate_case(brief_case: Case) -> Case:
    """The same case whose lesions come from an engine and were not reviewed."""
    assert brief_case.lesions is not None
    regions = tuple(
        replace(r, source=RegionSource.CANDIDATE, tiers=()) if r.role == RegionRole.LESION else r
        for r in brief_case.lesions.regions
    )
    return replace(brief_case, lesions=brief_case.lesions.with_regions(regions), patient_tiers=())
