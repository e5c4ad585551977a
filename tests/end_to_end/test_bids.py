"""BIDS without DICOM: an echo train before and after iron, and a PET with its side-car."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.conftest import Outcome
from tests.quick import QUICK_ARGS
from tests.tiny_body import SHAPE, SPACING_MM, body, grid

Command = Callable[..., Outcome]

AFFINE = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0])  # RAS of the grid of the body
ECHOES_MS = (1.2, 3.0, 4.8, 6.6, 8.4)
BEFORE, AFTER, SIGMA = 40.0, 100.0, 5.0  # R2* (1/s) of the lesion; noise, first echo near 1000
CENTRE, MOVED_MM = np.array((88.0, 72.0, 58.0)), np.array((6.0, -4.0, 5.0))

# 89Zr, ICRP 107: 78.41 h.  Injected 48 h before the frame; no decay correction.
ZR89_S, DELAY_S, FRAME_S = 282276.0, 48 * 3600.0, 600.0
DOSE_BQ, WEIGHT_KG, RATIO = 37e6, 82.0, 1.05
TISSUE, LESION = 2e3, 9e3  # Bq/mL as stored


def points() -> np.ndarray:
    return grid("any").index_to_lps_mm(np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1))


def ball(at: np.ndarray, radius_mm: float) -> np.ndarray:
    return np.linalg.norm(at - CENTRE, axis=-1) < radius_mm


def save(path: Path, values: np.ndarray, **car: object) -> None:
    """Write an array (k, j, i) as NIfTI, with its side-car."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nibabel.Nifti1Image(values.T, AFFINE)
    made.header.set_xyzt_units("mm")
    nibabel.save(made, path)
    if car:
        path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(car))


def write_pair(sub: Path) -> None:
    rng = np.random.default_rng(7)
    for session, at in (("pre", points()), ("post", points() + MOVED_MM)):
        rate = np.where(ball(at, 22.0), BEFORE if session == "pre" else AFTER, BEFORE)
        for number, echo_ms in enumerate(ECHOES_MS, start=1):
            clean = 1000.0 * body(at) * np.exp(-rate * echo_ms / 1000.0)
            noise = SIGMA * rng.standard_normal((2, *SHAPE))
            name = f"{sub.name}_ses-{session}_echo-{number}_part-mag_MEGRE.nii.gz"
            save(
                sub / f"ses-{session}" / "anat" / name,
                np.hypot(clean + noise[0], noise[1]).astype(np.float32),
                EchoTime=echo_ms / 1000.0,
                MagneticFieldStrength=3,
            )
    mask_on(sub, "mr_pre")


def write_pet(sub: Path) -> None:
    at = points()
    values = np.where(body(at) > 0.3, TISSUE, 0.0)
    values[ball(at, 22.0)] = LESION
    save(
        sub / "ses-1" / "pet" / f"{sub.name}_ses-1_pet.nii.gz",
        values.astype(np.float32),
        Units="Bq/mL",
        TracerRadionuclide="Zr89",
        InjectedRadioactivity=DOSE_BQ / 1e6,
        InjectedRadioactivityUnits="MBq",
        TimeZero="10:30:00",
        InjectionStart=-DELAY_S,
        ImageDecayCorrected=False,
        FrameTimesStart=[0],
        FrameDuration=[FRAME_S],
        AttenuationCorrection="CT-based",
        BodyWeight="n/a",
    )
    mask_on(sub, "pet", f"[injection]\npet_over_dose_calibrator = {RATIO}\n")


def mask_on(sub: Path, series: str, more: str = "") -> None:
    save(sub / "drawn.nii.gz", ball(points(), 14.0).astype(np.uint8))
    (sub / "study.toml").write_text(
        f'pseudonym = "{sub.name}"\n{more}'
        f'[[masks]]\npath = "drawn.nii.gz"\non = "{series}"\nrole = "lesion"\n'
        'names = {1 = "lesion-1"}\n'
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    write_pair(root / "sub-01")
    write_pet(root / "sub-02")
    (root / "dataset_description.json").write_text('{"Name": "two", "BIDSVersion": "1.8.0"}')
    (root / "participants.tsv").write_text(
        f"participant_id\tweight\nsub-01\t60\nsub-02\t{WEIGHT_KG}\n"
    )
    (root / "participants.json").write_text('{"weight": {"Units": "kg"}}')
    return root


def measured(out: Path) -> dict[tuple[str, str, str], float]:
    with (out / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["name"] == "lesion-1" and r["value"]]
    return {(r["quantity"], r["statistic"], r["source"]): float(r["value"]) for r in rows}


def check_pair(out: Path) -> None:
    found = measured(out)
    # 88 voxels with an error of some 1 1/s each: 0.1 to 0.2 1/s of a median; five of these.
    assert found["r2star", "median", "mr_pre"] == pytest.approx(BEFORE, abs=0.6)
    assert found["r2star", "median", "mr_post"] == pytest.approx(AFTER, abs=0.9)
    assert found["dr2star", "median", "mr_post-mr_pre"] == pytest.approx(AFTER - BEFORE, abs=1.0)


def check_pet(out: Path) -> None:
    rate = math.log(2.0) / ZR89_S
    # By hand: A is the mean over a frame that decays; SUV = A exp(l t) W / (D ratio).
    at_injection = LESION * math.exp(rate * DELAY_S) * rate * FRAME_S / -math.expm1(-rate * FRAME_S)
    suv = at_injection * 1000.0 * WEIGHT_KG / (DOSE_BQ * RATIO)
    assert measured(out)["suvbw", "mean", "pet"] == pytest.approx(suv, rel=1e-5)


@pytest.mark.usefixtures("plain_page")
def test_a_pair_of_echo_trains_without_dates(
    command: Command, dataset: Path, tmp_path: Path
) -> None:
    study, out = dataset / "sub-01", tmp_path / "out"
    plan = command("run", study, "--out", out, "--dry-run")
    assert plan.code == 0, plan.err
    assert "would run: register, quantify" in plan.out
    done = command("run", study, "--out", out, *QUICK_ARGS)
    assert done.code == 0, done.err
    check_pair(out)


def test_a_pet_with_a_side_car(command: Command, dataset: Path, tmp_path: Path) -> None:
    study, out = dataset / "sub-02", tmp_path / "out"
    plan = command("run", study, "--out", out, "--dry-run")
    assert plan.code == 0, plan.err
    assert "is pet: PET-BIDS name and side-car" in plan.out
    done = command("run", study, "--out", out)
    assert done.code == 0, done.err
    assert "I_ENTERED" in done.out
    check_pet(out)
    assert (out / "report.html").is_file()


@pytest.mark.usefixtures("plain_page")
def test_a_dataset_in_a_batch(command: Command, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = command("batch", dataset, "--out", out, "--dry-run")
    assert plan.code == 0, plan.err
    assert "refused" not in plan.out
    done = command("batch", dataset, "--out", out, "--workers", 0, *QUICK_ARGS)
    assert done.code == 0, done.err
    assert "2 ok" in done.out
    check_pair(out / "studies" / "sub-01")
    check_pet(out / "studies" / "sub-02")
