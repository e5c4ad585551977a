"""Put contours on voxels and write the errors to ``docs/validation/contours.md``.

Run by ``make validate``.  Volumes of spheres and ellipsoids are closed forms; the numbers of the
clinical structure set (STS_001) are those of the IBSI validation set.  Its rows are left out where
the scanner files are not there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from eprimg.io.rtstruct_file import Contour, Outline
from eprimg.io.rtstruct_raster import rasterise
from eprimg.model.grid import Grid

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "validation" / "contours.md"
FRAME = "2.25.1"
SUV_FACTOR = 2.429029766e-4
PUBLISHED = {"volume (mL)": 366.079, "SUVmax": 7.9107, "SUVmean": 2.5551}
BOUNDS = {"volume (mL)": 0.01, "SUVmax": 0.005, "SUVmean": 0.005}


def grid_of(spacing_mm):
    """A field of view of 96 mm with the centre at an odd place."""
    shape = tuple(int(np.ceil(96.0 / s)) for s in spacing_mm)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = (-47.3, -48.9, -47.7)
    affine[3, 3] = 1.0
    return Grid(shape, affine, FRAME)


def sphere(radius_mm, planes_mm, *, inner_mm=0.0):
    """Circles where planes cut a sphere (and a hollow one inside it)."""
    angle = 2 * np.pi * np.arange(180) / 180
    contours = []
    for z in planes_mm:
        for radius in (radius_mm, inner_mm):
            if abs(z) < radius:
                r = np.sqrt(radius**2 - z**2)
                points = np.column_stack(
                    [r * np.cos(angle), r * np.sin(angle), np.full(angle.size, z)]
                )
                contours.append(Contour("CLOSEDPLANAR_XOR", points))
    return Outline(1, "GTV", FRAME, contours=tuple(contours))


def errors(radius_mm, spacing_mm, *, step_mm=None, inner_mm=0.0):
    """Relative errors of the outlined volume and of the voxels, and the shift of the centroid."""
    grid = grid_of(spacing_mm)
    own = step_mm is None
    places = grid.affine[2, 3] + spacing_mm[0] * np.arange(grid.shape[0])
    planes = places if own else np.arange(-45.0, 45.0, step_mm) + 0.4
    found = rasterise(
        sphere(radius_mm, planes, inner_mm=inner_mm),
        grid,
        own_series=own,
        fill_gaps=False,
        where="",
        on="pet",
    )
    true_ml = 4 / 3 * np.pi * (radius_mm**3 - inner_mm**3) / 1000
    index = np.argwhere(found.voxels) + found.corner
    voxels_ml = len(index) * grid.voxel_volume_ml
    centre = np.linalg.norm(grid.index_to_lps_mm(index).mean(axis=0))
    return found.outlined_ml / true_ml - 1, voxels_ml / true_ml - 1, float(centre)


CASES = (
    ("ball of 30 mm radius, PET 3.27 x 4.69 x 4.69 mm", 30.0, (3.27, 4.69, 4.69), None, 0.0, 0.01),
    ("ball of 15 mm, PET 3.27 x 4.69 x 4.69 mm", 15.0, (3.27, 4.69, 4.69), None, 0.0, 0.03),
    ("ball of 10 mm, MR 3 x 1.2 x 1.2 mm", 10.0, (3.0, 1.2, 1.2), None, 0.0, 0.02),
    ("shell of 30 and 20 mm (XOR), 3 x 2 x 2 mm", 30.0, (3.0, 2.0, 2.0), None, 20.0, 0.02),
    ("ball of 30 mm drawn every 2 mm, put on 5 mm slices", 30.0, (5.0, 4.0, 4.0), 2.0, 0.0, 0.02),
    ("ball of 30 mm drawn every 5 mm, put on 2 mm slices", 30.0, (2.0, 2.0, 2.0), 5.0, 0.0, 0.02),
)


def clinical():
    """Volume, SUVmax and SUVmean of STS_001, or None without the scanner files."""
    from eprimg.config import Config
    from eprimg.io.index import scan
    from eprimg.io.read_rtstruct import SeriesGrid, read_rtstruct
    from eprimg.io.study import read_series
    from eprimg.model.study import Role

    data = Path(os.environ.get("EPRIMG_REAL_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "pet" / "sts001_ge_fdg_dicom"
    if not folder.is_dir():
        return None
    (entry,) = scan(folder / "PT").series
    pet = read_series(entry, role=Role.PET, config=Config()).value
    sets = read_rtstruct(
        folder / "RTSTRUCT" / "1-1.dcm", series=[SeriesGrid("pet", pet.grid, pet.source_uid)]
    ).value
    mass = next(s for s in sets for r in s.regions if r.name == "GTV_Mass")
    inside = np.asarray(mass.labels) == 1
    suv = np.asarray(pet.pixels.data)[inside].astype(np.float64) * SUV_FACTOR
    return {
        "volume (mL)": float(inside.sum() * pet.grid.voxel_volume_ml),
        "SUVmax": float(suv.max()),
        "SUVmean": float(suv.mean()),
    }


def main() -> int:
    """Write the page; 1 when a bound is broken."""
    broken = False
    lines = [
        "# Contours on voxels",
        "",
        "RT structure sets: a voxel belongs to a region when at least half of it lies inside the",
        "contours. Written by `make validate` (`tests/validation/contours_page.py`).",
        "",
        "## Known shapes",
        "",
        "Errors against the closed form. *Outlined* is the volume between the contours, *voxels*",
        "that of the voxels which were kept.",
        "",
        "| case | outlined (%) | voxels (%) | bound (%) | centroid off by (mm) |",
        "|---|---|---|---|---|",
    ]
    for name, radius, spacing, step, inner, bound in CASES:
        outlined, voxels, centre = errors(radius, spacing, step_mm=step, inner_mm=inner)
        broken |= abs(voxels) > bound
        lines.append(
            f"| {name} | {100 * outlined:+.2f} | {100 * voxels:+.2f} | {100 * bound:g} | "
            f"{centre:.2f} |"
        )
    lines += ["", "## A clinical structure set (STS_001, 18F-FDG)", ""]
    found = clinical()
    if found is None:
        lines += ["The scanner files are not there: nothing was compared."]
    else:
        lines += [
            "`GTV_Mass`, drawn on the PET, against the numbers of the IBSI validation set.",
            "",
            "| quantity | found | published | difference (%) | bound (%) |",
            "|---|---|---|---|---|",
        ]
        for key, value in found.items():
            off = value / PUBLISHED[key] - 1
            broken |= abs(off) > BOUNDS[key]
            lines.append(
                f"| {key} | {value:.4f} | {PUBLISHED[key]:.4f} | {100 * off:+.3f} | "
                f"{100 * BOUNDS[key]:g} |"
            )
        lines += [
            "",
            "The published mask holds the voxels whose centres lie inside the contours (5095); the",
            "rule of one half gives 5088. Volume of the polygons themselves: 365.18 mL.",
        ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
