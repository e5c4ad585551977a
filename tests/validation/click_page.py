"""Click on lesions of known outline and write overlap and times to ``docs/validation/click.md``.

Run by ``make validate``.  Constants of the methods were chosen on the objects of seeds 1 to 4; the
page shows the seeds below, which were not looked at before.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eprimg.kernels.click import CLICK_METHODS, ClickMethod, click_segment
from tests.validation.click_objects import LESIONS, ClickObject, dice, make_object

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "click.md"
SEEDS = (11, 12)
SPACINGS = ((3.0, 2.0, 2.0), (5.0, 1.4, 1.4), (1.5, 1.5, 1.5))
MEDIAN_BOUND, LEAST_BOUND, TIME_BOUND_MS = 0.84, 0.5, 100.0
ROUGH = 1.2
"""The rough diameter that a person gives is taken as 20 % too large."""


class Row(NamedTuple):
    """One method on one contrast."""

    method: ClickMethod
    contrast: str
    hint: bool
    spacing_mm: tuple[float, float, float]
    overlaps: tuple[float, ...]
    median_ms: float

    @property
    def low(self) -> int:
        """Clicks below the least overlap."""
        return sum(d < LEAST_BOUND for d in self.overlaps)


def measured(
    objects: list[ClickObject],
    spacing_mm: tuple[float, float, float],
    method: ClickMethod,
    contrast: str,
    hint: bool,
) -> Row:
    """Segment every click of some objects and compare with the painted outline."""
    overlaps, times = [], []
    for each in objects:
        values = each.after if contrast == "post" else each.before
        for number, click in each.clicks:
            diameter = ROUGH * LESIONS[number - 1][1] if hint else None
            clock = time.process_time()
            found = click_segment(values, spacing_mm, click, method=method, diameter_mm=diameter)
            times.append(1e3 * (time.process_time() - clock))
            overlaps.append(dice(found.mask, each.labels == number))
    return Row(method, contrast, hint, spacing_mm, tuple(overlaps), float(np.median(times)))


def page(rows: list[Row]) -> str:
    """Write the whole page."""
    first = CLICK_METHODS[0]
    lines = [
        "# One click on a lesion",
        "",
        (
            "Made by `make validate`. Twelve ellipsoidal lesions of 13 to 24 mm in an analytic "
            "abdomen (liver, spleen, fat, bowel, muscle, kidney, beside the aorta), one gradient "
            "echo at 4.6 ms before and after ferumoxytol, with texture, coil shading and Rician "
            "noise; three clicks per lesion, 35 to 60 % of its radius off its centre; "
            f"{len(SEEDS)} draws. The outlines are the painted ones. The constants were chosen on "
            "other draws. Nothing here is a patient."
        ),
        "",
        (
            f"Bound of the default ({first}, after the agent, no diameter): median Dice "
            f"{MEDIAN_BOUND} or more, none below {LEAST_BOUND}, in less than "
            f"{TIME_BOUND_MS:g} ms of processor time."
        ),
        "",
    ]
    for spacing in dict.fromkeys(r.spacing_mm for r in rows):
        lines += [
            f"## Voxels of {' x '.join(f'{s:g}' for s in spacing)} mm",
            "",
            (
                "| method | diameter given | contrast | Dice: median | mean | least | below 0.5 "
                "| CPU ms |"
            ),
            "|---|---|---|---:|---:|---:|---:|---:|",
        ]
        for r in (r for r in rows if r.spacing_mm == spacing):
            d = np.array(r.overlaps)
            lines.append(
                f"| {r.method} | {'20 % too large' if r.hint else 'no'} | {r.contrast} | "
                f"{np.median(d):.2f} | {d.mean():.2f} | {d.min():.2f} | {r.low} of {d.size} | "
                f"{r.median_ms:.0f} |"
            )
        lines.append("")
    lines += [
        "## What follows",
        "",
        (
            "The random walker is the default: it is the only method that lost no lesion in any "
            "of the tables. Grow-cut follows the outline more closely (larger median) but runs "
            "out of a lesion whose edge is as weak as the texture of the bowel around it; a rough "
            "diameter mends that. The weight of the random walker (beta 2000) was chosen here; "
            "with 130, a value often used, a sixth of the clicks fell below 0.5, because the range "
            "of the values around the click is that between fat and dark liver. Times are medians "
            "of the processor time on one core of a small computer; they grow with the number of "
            "voxels within 28 mm."
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def kept(row: Row) -> bool:
    """Whether a row of the default keeps the bounds."""
    return float(np.median(row.overlaps)) >= MEDIAN_BOUND and row.low == 0


def main() -> int:
    """Write the page; return 1 when a bound is broken."""
    rows = []
    for spacing in SPACINGS:
        objects = [make_object(seed, spacing) for seed in SEEDS]
        rows += [
            measured(objects, spacing, method, contrast, hint)
            for method in CLICK_METHODS
            for contrast in ("post", "pre")
            for hint in (False, True)
        ]
    TARGET.write_text(page(rows), encoding="utf-8")
    judged = [
        r for r in rows if r.method == CLICK_METHODS[0] and r.contrast == "post" and not r.hint
    ]
    broken = [r for r in judged if not kept(r) or r.median_ms >= TIME_BOUND_MS]
    for row in broken:
        print("outside the bounds:", row.method, row.spacing_mm, min(row.overlaps), row.median_ms)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
