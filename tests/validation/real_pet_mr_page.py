"""Align four real PET-MR pairs from disturbed starts; write ``docs/validation/real_pet_mr.md``.

Run by ``make validate``.  Nobody knows the true alignment of these pairs, so what is judged is
whether the answer depends on where the search begins; the distance to the headers' alignment is
told beside it.  Nothing is written where the files are absent.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from eprimg.config import Config
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid
from eprimg.io.read_volume import read_volume
from eprimg.model.volume import Volume
from eprimg.stages.register_check import list_doubts, list_faults
from eprimg.stages.register_examine import examine

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "validation" / "real_pet_mr.md"
PATIENTS = ("STS_001", "STS_008", "STS_015", "STS_025")
STARTS = 10
SHIFT_MM = 20.0
TURN_DEG = 10.0
SEED = 20


@dataclass(frozen=True)
class Pair:
    """MR and PET of a patient, and the centre of the tumour."""

    mr: Volume
    pet: Volume
    tumour_mm: np.ndarray

    @property
    def voxel_mm(self) -> float:
        """Largest edge of a PET voxel."""
        return max(self.pet.grid.spacing_mm)


@dataclass(frozen=True)
class Answer:
    """Where one search put the tumour, from where the headers put it (LPS mm)."""

    offset_mm: np.ndarray
    verdict: str
    reasons: tuple[str, ...]
    seconds: float


def folder() -> Path | None:
    """Return the folder with the four patients, or None."""
    data = Path(os.environ.get("EPRIMG_REAL_DATA", ROOT.parent / "shared" / "data"))
    found = data / "pet" / "ibsi_sts_pet_mr"
    return found if found.is_dir() else None


@cache
def load(patient: str) -> Pair:
    """Read one patient; headers of MR and PET share their coordinates."""
    where = folder()
    assert where is not None
    mr = read_volume(where / patient / "MR_T1_image.nii.gz", key="mr").value.pixels
    pet = read_volume(where / patient / "PET_image.nii.gz", key="pet", kind="pet").value.pixels
    mask = nib.load(where / patient / "PET_mask.nii.gz")
    index = np.argwhere(np.asarray(mask.dataobj) > 0).mean(axis=0)
    # NIfTI counts to the left and to the back negative.
    centre = (mask.affine @ [*index, 1.0])[:3] * (-1.0, -1.0, 1.0)
    return Pair(mr, pet, centre)


def disturbances(number: int = STARTS) -> list[np.ndarray]:
    """Draw movements: up to 20 mm along and 10 degrees about each axis."""
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(number):
        matrix = np.eye(4)
        turn = rng.uniform(-TURN_DEG, TURN_DEG, 3)
        matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
        matrix[:3, 3] = rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
        drawn.append(matrix)
    return drawn


def moved(volume: Volume, matrix: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Give a series another header: turned about its centre, and shifted; voxels untouched."""
    centre = volume.grid.center_lps_mm
    about = np.array(matrix)
    about[:3, 3] += centre - matrix[:3, :3] @ centre
    grid = replace(
        volume.grid,
        affine=about @ volume.grid.affine,
        frame_of_reference=volume.grid.frame_of_reference + ".1",
    )
    return replace(volume, grid=grid), about


def solve(patient: str, disturbance: np.ndarray, *, judged: bool = True) -> Answer:
    """Align MR with the PET whose header was disturbed, as between two sessions."""
    pair = load(patient)
    pet, about = moved(pair.pet, disturbance)
    profile = load_profile(Config().register.profile)
    began = time.process_time()
    result = SimpleITKRigid().register(
        pair.mr, pet, settings=profile, seed=1, threads=1, start="best"
    )
    seconds = time.process_time() - began
    there = np.linalg.inv(about) @ result.matrix @ [*pair.tumour_mm, 1.0]
    verdict, reasons = "", ()
    if judged:
        rules = RigidSettings.from_mapping(profile)
        estimate = examine(result, pair.mr, pet, rules, key="pet", both_mr=False)
        faults = list_faults(estimate, Config().register, rules.check)
        doubts = list_doubts(estimate, rules.check)
        verdict = "fail" if faults else "review" if doubts else "pass"
        reasons = tuple(faults or doubts)
    return Answer(there[:3] - pair.tumour_mm, verdict, reasons, seconds)


def spread_mm(answers: list[Answer]) -> tuple[np.ndarray, np.ndarray]:
    """Return the median offset, and the distance of each answer from it."""
    offsets = np.array([a.offset_mm for a in answers])
    median = np.median(offsets, axis=0)
    return median, np.linalg.norm(offsets - median, axis=1)


INTRODUCTION = f"""# Real PET-MR from disturbed starts

Written by `make validate` (`tests/validation/real_pet_mr_page.py`). Four patients with sarcomas
of the limbs (IBSI validation set, CC BY 3.0; Vallieres 2015, doi 10.7937/K9/TCIA.2015.7GO2GSKS):
FDG-PET and T1-weighted MR, each cut out around the tumour, so that skin and outline of the limb
are there on some sides only. The header of PET was disturbed {STARTS} times, by up to
{SHIFT_MM:g} mm along and {TURN_DEG:g} degrees about each axis; then the two were aligned as
between two sessions (default profile, start *best*).

*Spread*: distance of the tumour's centre from the median of the answers; bound: one PET voxel
(largest edge). *From the headers*: median answer against the alignment that the files came with.
That one is not the truth either: PET and MR were made on two machines with the limb lying
differently.

"""
HEAD = (
    "patient", "field of view of MR mm", "PET voxel mm", "spread, median mm",
    "spread, largest mm", "bound", "from the headers mm (x, y, z)", "verdicts", "CPU s",
)  # fmt: skip

DISCUSSION = """
**The answer hardly depends on the start, and it is not the headers' alignment.** Mutual
information itself is highest there, whichever lattice or scale of PET is taken (root, ranks,
clipped at three quarters), and normalised or not. Local correlation and the direction of edges
are no better: from shifts on a lattice of 6 mm they choose places 8 to 38 mm from the headers'. In
these cuts little of the outline of the limb is to be seen. Fat under the skin is bright on T1 and,
like air, dark on PET; tumour and muscle look alike on T1. So mutual information slides PET until
its dark parts cover the fat. On overlays the headers fit the tumour better in three of the four
(not in STS_008, where uptake reaches 6 to 10 mm into the fat).

What follows for a reader: **PET and MR of a piece of the body that was cut out cannot be aligned
by mutual information, however steadily it answers.** The check doubts every such pair (share of
the sides of the field of view that cuts through tissue, `cut_share`; whole bodies have 0.00 to
0.01), so that none of them reaches a tier without a person. When both series come from one machine
or were aligned before, keep their headers (one frame of reference), or give landmarks.
"""


def rows() -> tuple[list[str], bool]:
    """Align all, and return the lines of the table and whether a bound is broken."""
    lines, broken = [], False
    for patient in PATIENTS:
        pair = load(patient)
        answers = [solve(patient, matrix) for matrix in disturbances()]
        median, spread = spread_mm(answers)
        kept = spread.max() <= pair.voxel_mm
        doubted = all(a.verdict != "pass" for a in answers)
        broken |= not (kept and doubted)
        size = " x ".join(
            f"{n * s:.0f}"
            for n, s in zip(pair.mr.grid.shape[::-1], pair.mr.grid.spacing_mm[::-1], strict=True)
        )
        verdicts = ", ".join(
            f"{name} {count}"
            for name in ("pass", "review", "fail")
            if (count := sum(a.verdict == name for a in answers))
        )
        place = ", ".join(f"{v:+.1f}" for v in median)
        lines.append(
            f"| {patient} | {size} | {pair.voxel_mm:.2f} | {np.median(spread):.2f} | "
            f"{spread.max():.2f} | {'kept' if kept else '**broken**'} | "
            f"{np.linalg.norm(median):.1f} ({place}) | {verdicts} | "
            f"{np.median([a.seconds for a in answers]):.1f} |"
        )
        print(lines[-1], flush=True)
        for reason in sorted({r.split(" (")[0][:100] for a in answers for r in a.reasons}):
            print("   ", reason, flush=True)
    return lines, broken


def main() -> int:
    """Write the page; 1 when a bound is broken."""
    if folder() is None:
        print("no real PET-MR pairs here: docs/validation/real_pet_mr.md stays as it is")
        return 0
    lines, broken = rows()
    head = [f"| {' | '.join(HEAD)} |", "|---|---|---:|---:|---:|---|---|---|---:|"]
    table = "\n".join(head + lines)
    TARGET.write_text(f"{INTRODUCTION}{table}\n{DISCUSSION}", encoding="utf-8")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
