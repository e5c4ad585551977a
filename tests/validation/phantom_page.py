"""Measure the phantom and write every comparison with its truth to ``docs/validation/phantom.md``.

Run by ``make validate``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from eprimg import Config, export_case, read_study, run
from eprimg_phantoms import make
from eprimg_phantoms.compare import ComparisonReport, compare
from tests.validation.results import Line, write_lines

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "phantom.md"
RUNS = (("full", 1), ("small", 1), ("small", 2), ("small", 3))


def measured(size: str, seed: int) -> ComparisonReport:
    """Write a phantom, run the main job on it, compare what is on disk with the truth."""
    with tempfile.TemporaryDirectory() as folder:
        phantom = make("abdomen", Path(folder) / "phantom", size=size, seed=seed)
        config = Config()
        read = read_study(phantom / "dicom", config=config)
        case = run(read.value, config, findings=read.findings)
        return compare(export_case(case, config, Path(folder) / "results"), phantom)


def cell(value: object) -> str:
    """Write a number with four digits; words as they are."""
    return f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)


def section(size: str, seed: int, report: ComparisonReport) -> str:
    """Write one run as a table."""
    lines = [
        f"## {size}, seed {seed}",
        "",
        report.summary(),
        "",
        "| comparison | measured | true | error | bound | unit | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report.rows:
        state = ("ok" if row.ok else "**fails**") if row.judged else "shown"
        cells = (row.name, cell(row.measured), cell(row.true), cell(row.error), cell(row.bound))
        lines.append("| " + " | ".join((*cells, row.unit, f"{state} {row.note}".strip())) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page; return 1 when a comparison fails."""
    page = [
        "# The main job against the phantom's truth",
        "",
        (
            "Made by `make validate`. Only what `eprimg run` wrote to disk is compared. Cores are "
            "masks eroded by one voxel (SUV: by 8 mm); whole-mask values are shown beside and not "
            "judged: their edge voxels hold two tissues. R2* bounds hold where S0/sigma is 50 or "
            "more."
        ),
        "",
    ]
    good, claims = True, []
    for size, seed in RUNS:
        report = measured(size, seed)
        good &= report.ok
        print(size, seed, report.summary())
        page.append(section(size, seed, report))
        claims.append(
            Line(
                "Scenes",
                f"abdomen, {size}, seed {seed}: DICOM to tiers against the truth",
                "every comparison within its bound",
                report.summary(),
                report.ok,
                "phantom.md",
            )
        )
    TARGET.write_text("\n".join(page), encoding="utf-8")
    write_lines("phantom", claims)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
