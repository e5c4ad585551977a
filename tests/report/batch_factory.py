"""A batch of made-up studies, for tests and pictures of its page."""

from __future__ import annotations

import random

from eprimg.model.study_record import (
    BatchSummary,
    CaseDigest,
    Light,
    PatientTierWord,
    Status,
    StudyRecord,
)

LABELS = ("low", "moderate", "high")
SCHEMES = ("example-pid-per-kg-peak", "example-dr2star-median")
WARNINGS = (
    (
        "W_REGION_SMALL",
        (
            "lesion-6 is small: equivalent diameter 9.8 mm, below 10 mm; partial volume "
            "pulls the numbers towards the surroundings."
        ),
    ),
    ("W_CARRIER_BACKGROUND", "lesion-1 lies inside the liver: carrier background."),
    (
        "W_NOISE_FLOOR",
        (
            "spleen: 94 % of the R2* voxels of mr_post lie above the measurable range "
            "(357 1/s): late echoes are noise, R2* is too low."
        ),
    ),
)
REFUSALS = (
    (
        "E_SUV_WEIGHT",
        "the body weight is missing (0010,1030)",
        "enter [patient] weight_kg in study.toml",
    ),
    ("E_GEOM_GAP", "a slice is missing between 12.0 and 20.0 mm", "send the series again"),
    ("E_EMPTY", "the folder holds no files", "name a folder with DICOM or NIfTI files"),
)


def _tier(rng: random.Random, scheme: str) -> PatientTierWord:
    label = rng.choice([*LABELS, *LABELS, "indeterminate", "not tiered"])
    confidence = round(rng.uniform(0.5, 1.0), 3) if label in LABELS else None
    return PatientTierWord(scheme, label, confidence, LABELS, "example, not validated")


def record(number: int, seed: int = 1) -> StudyRecord:
    """One study; one in eight is refused, one in thirty failed."""
    rng = random.Random(1000 * seed + number)
    key = f"S-{rng.getrandbits(40):010x}"
    if number % 8 == 5:
        code, message, action = REFUSALS[number % 3]
        return StudyRecord(
            key,
            Status.REFUSED,
            code,
            message,
            action,
            "in",
            "conf",
            "0.1.0",
            seconds=0.4 + rng.random(),
            exit="3",
            finished="2026-11-20T23:10:00+00:00",
        )
    if number % 30 == 7:
        return StudyRecord(
            key,
            Status.FAILED,
            "E_BATCH_TIME",
            "the study took longer than 3600 s",
            "raise --time-limit, then --retry-failed",
            "in",
            "conf",
            "0.1.0",
            seconds=3600.0,
            attempts=2,
            exit="signal 9",
        )
    warnings = rng.sample(WARNINGS, rng.randint(0, 3))
    findings = (
        *((code, "warning", text) for code, text in warnings),
        ("I_SCHEME_EXAMPLE", "info", "The cut-offs of these schemes are examples."),
    )
    digest = CaseDigest(
        f"P-{rng.getrandbits(32):08x}",
        Light.LOOK if warnings else Light.OK,
        tuple(_tier(rng, s) for s in SCHEMES),
        rng.randint(1, 9),
        n_references=4,
        n_findings={"error": 0, "warning": len(warnings), "info": rng.randint(1, 7)},
        worst="warning" if warnings else "info",
        findings=findings,
        n_registrations=2,
        n_accepted=2,
    )
    return StudyRecord(
        key,
        Status.OK,
        "",
        "",
        "",
        "in",
        "conf",
        "0.1.0",
        result_hash="aa" * 32,
        seconds=9.0 + 4.0 * rng.random(),
        peak_memory_mb=812.0,
        exit="0",
        finished="2026-11-20T23:10:00+00:00",
        digest=digest,
    )


def summary(count: int, *, waiting: int = 0) -> BatchSummary:
    """A batch; every study that went well has a thumbnail, and all have a log."""
    records = tuple(sorted((record(n) for n in range(count)), key=lambda r: r.key))
    return BatchSummary(
        records,
        tuple(f"S-{n:010x}" for n in range(waiting)),
        version="0.1.0",
        created="2026-11-20T21:00:00+00:00",
        thumbnails=frozenset(r.key for r in records if r.status == Status.OK),
        logs=frozenset(r.key for r in records),
    )
