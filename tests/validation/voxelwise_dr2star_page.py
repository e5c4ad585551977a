"""Bias of the voxel-wise ΔR2* of lesions: writes ``docs/validation/voxelwise_dr2star.md``.

Run by ``make validate``.  Truth and studies come from `tests.validation.voxelwise_dr2star`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.validation.results import Line, write_lines
from tests.validation.voxelwise_bias import BOUND_PER_S, bias, by_lesion, groups, judged, signed
from tests.validation.voxelwise_dr2star import (
    FARTHEST_MM,
    NO_NOISE,
    NOISE,
    Made,
    Row,
    drawn_movement,
    make_study,
    measured,
    rows_of,
)
from tests.validation.voxelwise_misled import Off, added_rows, cost_words, off_rows, off_section

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "voxelwise_dr2star.md"
LENGTHS_MM = (2.0, 4.0, 6.0, 8.0, FARTHEST_MM)
DRAWS = 2
QUIET_MM = (3.0, 6.0, FARTHEST_MM)
"""Movements that are also measured without noise."""
MISLED = "6 mm, a"
"""The study that is given wrong transforms."""
WHERE = "voxelwise_dr2star.md"


def moved_studies(folder: Path) -> Iterator[tuple[bool, Made, list[Row]]]:
    """Make and measure every study: whether it has noise, the study, its lesions."""
    todo = [(NOISE, length, n) for length in LENGTHS_MM for n in range(DRAWS)]
    todo += [(NO_NOISE, length, 0) for length in QUIET_MM]
    for number, (sigma, length, draw) in enumerate(todo):
        movement = drawn_movement(100 * number + draw, length)
        name = f"{length:g} mm, {'abcdef'[draw]}" + ("" if sigma == NOISE else ", no noise")
        made = make_study(name, folder / str(number), movement, sigma=sigma)
        yield sigma == NOISE, made, rows_of(made, measured(made))


def claims(noisy: Sequence[Row], off: Sequence[Off]) -> list[Line]:
    """Hold what was found against the bound."""
    rows = judged(noisy)
    shift = max(r.shift_mm for r in rows)
    studies = len({r.study for r in rows})
    name = f"voxel-wise dR2* of lesions, {studies} studies moved by up to {shift:.1f} mm"
    lines = []
    for figure, words in (
        ("mean", "mean over whole masks"),
        ("median", "median over whole masks"),
        ("core_mean", "mean over cores"),
    ):
        found = bias(rows, figure)
        text = f"{found}, {found.lesions} lesions"
        bound = f"bias at most {BOUND_PER_S:g} 1/s"
        lines.append(Line("Scenes", f"{name}: {words}", bound, text, found.ok, WHERE))
    cores = by_lesion(rows, "core_mean")
    most = max(cores, key=lambda n: abs(cores[n]))
    lines.append(
        Line(
            "Scenes",
            f"{name}: mean over the core of every lesion",
            f"bias of each at most {BOUND_PER_S:g} 1/s",
            f"worst {signed(cores[most])} 1/s ({most})",
            abs(cores[most]) <= BOUND_PER_S,
            WHERE,
        )
    )
    if off:
        bright, other = groups(added_rows(off, 1.0))
        lines.append(
            Line(
                "Scenes",
                "voxel-wise dR2* of lesions, alignment wrong by 1 mm: what is added",
                "stated, not judged",
                f"{signed(bias(bright, 'mean').value)} 1/s in liver and spleen, "
                f"{signed(bias(other, 'mean').value)} 1/s elsewhere",
                None,
                WHERE,
            )
        )
    return lines


def page(noisy: list[Row], quiet: list[Row], off: Sequence[Off]) -> str:
    """Write the page."""
    lines = claims(noisy, off)
    good = all(line.ok for line in lines if line.ok is not None)
    rows = judged(noisy)
    bright, other = groups(rows)
    left_out = len(noisy) - len(rows)
    shifts = [r.shift_mm for r in rows]
    text = [
        "# Voxel-wise ΔR2\\* of lesions",
        "",
        "Written by `tests/validation/voxelwise_dr2star_page.py`; do not edit.",
        "",
        (
            f"**Bias of the mean over whole lesions {bias(rows, 'mean')}, of the median "
            f"{bias(rows, 'median')}, of the mean over cores {bias(rows, 'core_mean')}. Wanted: at "
            f"most {BOUND_PER_S:g} 1/s with true shifts of up to {FARTHEST_MM:g} mm. "
            f"{'Held.' if good else 'NOT held.'}**"
        ),
        "",
        (
            "This is an average over lesions in bright and in dark surroundings. Alone, lesions in "
            f"liver and spleen (which change by 276 and 464 1/s) have {bias(bright, 'mean')} in "
            f"the mean over the whole mask, lesions elsewhere {bias(other, 'mean')}"
            f"{_above(bright, other)}. The largest bias of one lesion, averaged over the studies, "
            f"is {_largest(rows, 'mean')}. The difference of native "
            f"statistics, without any interpolation, has {bias(bright, 'native_mean')} and "
            f"{bias(other, 'native_mean')}: a rim voxel holds two tissues in parts that change "
            "with the place of the grid."
        ),
        "",
        *cost_words(off),
        "## What is compared",
        "",
        (
            f"Scene `abdomen` with 16 lesions on voxels of 2 x 2 x 3 mm, "
            f"{len({r.study for r in noisy})} studies with noise, "
            "each with a movement of its own (2 to 10 mm in a random direction, up to 2 degrees "
            f"about every axis; lesions moved by {min(shifts):.1f} to {max(shifts):.1f} mm), "
            "written as DICOM and taken through the whole main job with default settings. "
            "True, for the whole mask: the scene painted where the patient lay first, with the "
            "tissues of either session, without noise, its mixed signals fitted by least squares "
            "of the phantom's own. True, for the core (one voxel taken off the rim): what the "
            f"scene file says. {left_out} of {len(noisy)} rows are not judged: less than 13 mm "
            "across, or cut by a field of view. Intervals are over lesions, each with its mean "
            "over the studies."
        ),
        "",
        (
            "*Mean* is the one of `measurements.csv`: through the spline, overshoot not clipped. "
            "*Map's voxels* is the mean of the voxels of `maps/dr2star.nii.gz`, where it is "
            f"clipped: {bias(bright, 'map_mean')} in liver and spleen, "
            f"{bias(other, 'map_mean')} elsewhere. The map itself is the better one voxel by voxel "
            "(medians, cores); only a mean over a region that ends at a steep rim is drawn "
            "towards the surroundings by the clipping "
            "([why](../explanation/accumulation.md))."
        ),
        "",
        "## By movement",
        "",
        "Errors in 1/s, averaged over the judged lesions of a study.",
        "",
        (
            "| study | lesions moved, mm | registration off, mm (worst) | check | mean | "
            "in liver, spleen | elsewhere | map's voxels | median | core | native mean |"
        ),
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            _study_row([r for r in judged([*noisy, *quiet]) if r.study == n])
            for n in _names(noisy, quiet)
        ),
        "",
        "## By lesion",
        "",
        (
            "Errors in 1/s, averaged over the studies with noise; in brackets the worst of one "
            "study. *Blurred*: what the rim's mixed voxels do to the mean of the mask even "
            "without movement, in 1/s against the tissue; it is in both truth and measurement."
        ),
        "",
        (
            "| lesion | diameter, mm | ΔR2\\*, 1/s | mean | map's voxels | median | core mean | "
            "native mean | native median | blurred |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_lesion_row(noisy, n) for n in dict.fromkeys(r.lesion for r in noisy)),
        "",
        *off_section(off),
        "## Limits",
        "",
        (
            "One digital anatomy, mono-exponential decay, spheres, no movement within a scan, no "
            "deformation (breathing leaves more: see [registration](registration.md)). Masks are "
            "the painted ones; an outline drawn by hand adds its own error. Lesions of less than "
            "13 mm are mostly rim on these voxels, and no interpolation brings back what the "
            "sampling did not keep: their mean and their median are both off, only the voxels in "
            "the middle are not."
        ),
        "",
    ]
    return "\n".join(text)


def _above(bright: list[Row], other: list[Row]) -> str:
    """Name the group whose interval reaches beyond the bound."""
    names = (("liver and spleen", bright), ("elsewhere", other))
    each = [(name, bias(rows, "mean")) for name, rows in names]
    above = [name for name, b in each if abs(b.value) + b.half > BOUND_PER_S]
    return f" (the interval of {' and '.join(above)} reaches beyond the bound)" if above else ""


def _largest(rows: list[Row], figure: str) -> str:
    each = by_lesion(rows, figure)
    name = max(each, key=lambda n: abs(each[n]))
    row = next(r for r in rows if r.lesion == name)
    return f"{signed(each[name])} 1/s ({name}, {row.diameter_mm:g} mm, {row.where})"


def _names(*rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(r.study for part in rows for r in part))


def _study_row(rows: list[Row]) -> str:
    bright, other = groups(rows)
    shifts = [r.shift_mm for r in rows]
    cells = [
        rows[0].study,
        f"{min(shifts):.1f} to {max(shifts):.1f}",
        f"{np.mean([r.apart_mm for r in rows]):.2f} ({max(r.apart_mm for r in rows):.2f})",
        rows[0].verdict,
        *(
            signed(bias(some, figure).value)
            for some, figure in (
                (rows, "mean"),
                (bright, "mean"),
                (other, "mean"),
                (rows, "map_mean"),
                (rows, "median"),
                (rows, "core_mean"),
                (rows, "native_mean"),
            )
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def _lesion_row(noisy: list[Row], name: str) -> str:
    rows = [r for r in noisy if r.lesion == name]
    kept = judged(rows) or rows
    where = rows[0].where.split(",")[0]
    cells = [f"{name}, {where}" + ("" if rows[0].judged else " (not judged)")]
    cells += [f"{rows[0].diameter_mm:g}", f"{rows[0].tissue:g}"]
    for figure in (
        "mean",
        "map_mean",
        "median",
        "core_mean",
        "native_mean",
        "native_median",
    ):
        worst = max((getattr(r, figure) for r in kept), key=abs)
        cells.append(f"{signed(bias(kept, figure).value)} ({signed(worst)})")
    cells.append(signed(rows[0].blurred))
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Write the page; return 1 when a bound is broken."""
    noisy: list[Row] = []
    quiet: list[Row] = []
    off: list[Off] = []
    with tempfile.TemporaryDirectory() as name:
        for has_noise, made, rows in moved_studies(Path(name)):
            (noisy if has_noise else quiet).extend(rows)
            told = [f"{f} {bias(judged(rows), f)}" for f in ("mean", "core_mean")]
            print(made.name, *told, flush=True)
            if made.name == MISLED:
                off += off_rows(made)
    TARGET.write_text(page(noisy, quiet, off), encoding="utf-8")
    lines = claims(noisy, off)
    write_lines("voxelwise_dr2star", lines)
    return 1 if any(line.ok is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
