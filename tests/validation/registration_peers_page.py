"""Align the same series with other programs, one case after the other; write a page of ratios.

Run by ``make validate``; writes ``docs/validation/registration_peers.md``.  Needs itk-elastix (and
antspyx) in environments of their own, named by ``EPRIMG_ELASTIX_PYTHON`` and
``EPRIMG_ANTSPYX_PYTHON``; without the first nothing is written.

CPU seconds of a program in a child process are counted without its start: importing ITK takes
longer than aligning.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eprimg.engines.sitk_bridge import to_sitk
from eprimg.model.volume import Volume
from eprimg.registry import load_engine
from tests.validation.registration_bench import (
    ANATOMIES,
    FAILED_MM,
    KINDS,
    BenchCase,
    Row,
    make_case,
    run,
)

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "validation" / "registration_peers.md"
OURS = "simpleitk-rigid"
# Environment variable, and what the program's script does before it aligns.
PEERS = {
    "itk-elastix": (
        "EPRIMG_ELASTIX_PYTHON",
        (
            "import itk; v = [itk.imread(n, itk.F) for n in ('fixed.nii', 'moving.nii')]; "
            "itk.ParameterObject.New(); itk.elastix_registration_method"
        ),
    ),
    "antspyx": (
        "EPRIMG_ANTSPYX_PYTHON",
        "import ants; v = [ants.image_read(n) for n in ('fixed.nii', 'moving.nii')]",
    ),
}
SEEDS = range(5)
BOUNDS = {"mr": 1.0, "pet": 3.0}
"""CPU time over that of itk-elastix."""
LARGE = (60, 256, 256)


class Both(NamedTuple):
    """One case solved by us and by another program."""

    ours: Row
    theirs: Row


def child_cpu_s() -> float:
    """CPU seconds of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start_s(engine: str, case: BenchCase) -> float:
    """CPU seconds that a program needs before it aligns: start, imports, reading two volumes."""
    variable, code = PEERS[engine]
    with tempfile.TemporaryDirectory() as folder:
        for name, volume in (("fixed", case.fixed), ("moving", case.moving)):
            write(volume, Path(folder) / f"{name}.nii")
        before = child_cpu_s()
        subprocess.run(
            [os.environ[variable], "-I", "-c", code],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"},
        )
        return child_cpu_s() - before


def write(volume: Volume, path: Path) -> None:
    """Write a volume as NIfTI, as the adapters do."""
    import SimpleITK as sitk

    sitk.WriteImage(to_sitk(volume.data.astype(np.float32), volume.grid), str(path))


def solve(engine: str, case: BenchCase, start_cpu_s: float) -> Both:
    """Solve one case with both, one after the other."""
    ours, _ = run(OURS, case)
    theirs, result = run(engine, case)
    peak = float(result.settings["engine_peak_memory_mb"])
    return Both(ours, theirs._replace(cpu_s=theirs.cpu_s - start_cpu_s, peak_mb=peak))


def ratios(pairs: list[Both]) -> tuple[float, float]:
    """Return mean error over mean error, and the median of CPU time over CPU time."""
    error = np.mean([p.ours.mean_mm for p in pairs]) / np.mean([p.theirs.mean_mm for p in pairs])
    return float(error), float(np.median([p.ours.cpu_s / p.theirs.cpu_s for p in pairs]))


def line(engine: str, kind: str, pairs: list[Both]) -> tuple[str, bool]:
    """One row of the table, and whether a bound is broken."""
    error, cpu = ratios(pairs)
    broken = engine == "itk-elastix" and (error > 1.0 or cpu > BOUNDS[kind])
    limit = f"{BOUNDS[kind]:g}" if engine == "itk-elastix" else "-"

    def told(rows: list[Row]) -> str:
        means = [r.mean_mm for r in rows]
        return f"{np.mean(means):.2f} ({max(r.worst_mm for r in rows):.2f})"

    seconds = [f"{np.median([r.cpu_s for r in rows]):.1f}" for rows in zip(*pairs, strict=True)]
    failed = [sum(r.mean_mm > FAILED_MM for r in rows) for rows in zip(*pairs, strict=True)]
    text = (
        f"| {KINDS[kind].words} | {engine} | {len(pairs)} | {told([p.ours for p in pairs])} | "
        f"{told([p.theirs for p in pairs])} | {error:.2f} | {seconds[0]} | {seconds[1]} | "
        f"{cpu:.2f} | {limit} | {failed[0]} / {failed[1]} |"
    )
    return text, broken


INTRODUCTION = """# Registration side by side

Written by `make validate` (`tests/validation/registration_peers_page.py`). The same two series
were given to eprimg's default engine (multi-start and second estimate included) and to another
program, one after the other in one run: the cases of [Registration on three
anatomies](registration.md), {seeds} movements of each anatomy. All programs get the same
comparable values and run on one thread, with the settings of `eprimg/resources/
registration_engines`. CPU seconds of the others are counted without the start of their process,
imports and reading. Error: mean over cases (worst lesion of any case). Ratios: mean error over mean
error; median over the cases of CPU time over CPU time. Bounds: error 1.0; CPU {mr:g} for MR-MR and
{pet:g} for PET-MR against itk-elastix.

"""
HEAD = (
    "pair", "program", "cases", "error of eprimg mm", "error of program mm", "ratio",
    "CPU s of eprimg", "CPU s of program", "CPU ratio", "bound", "failed: eprimg / program",
)  # fmt: skip
LARGE_HEAD = ("pair", "program", "CPU s", "memory MB", "error mm (worst lesion)")


def large_lines(engines: list[str], starts: dict[str, float]) -> list[str]:
    """Rows of 60 slices of 256 x 256: seconds and peak memory."""
    lines = []
    for kind in ("mr", "pet"):
        case = make_case("abdomen", 0, kind, mr_shape=LARGE)
        ours, _ = run(OURS, case)
        rows = [ours, *(solve(engine, case, starts[engine]).theirs for engine in engines)]
        lines += [
            f"| {KINDS[kind].words} | {r.engine} | {r.cpu_s:.1f} | {r.peak_mb:.0f} | "
            f"{r.mean_mm:.2f} ({r.worst_mm:.2f}) |"
            for r in rows
        ]
    return lines


def table(head: tuple[str, ...], lines: list[str]) -> str:
    """A table with a head."""
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines, ""])


def main() -> int:
    """Write the page; 1 when a bound is broken."""
    engines = [name for name, (variable, _) in PEERS.items() if os.environ.get(variable)]
    if "itk-elastix" not in engines:
        print("EPRIMG_ELASTIX_PYTHON names no python: registration_peers.md stays as it is")
        return 0
    lines, broken, versions = [], False, []
    starts: dict[str, float] = {}
    for engine in engines:
        first = make_case(ANATOMIES[0], 0, "mr")
        starts[engine] = float(np.median([start_s(engine, first) for _ in range(3)]))
        versions.append(f"{engine} {load_engine('registrar', engine)().installed()}")
        print(f"{engine}: start {starts[engine]:.1f} CPU s", flush=True)
    for kind in ("mr", "pet"):
        pairs: dict[str, list[Both]] = {engine: [] for engine in engines}
        for seed in SEEDS:
            for anatomy in ANATOMIES:
                case = make_case(anatomy, seed, kind)
                for engine in engines:
                    both = solve(engine, case, starts[engine])
                    pairs[engine].append(both)
                    print(f"{kind} {anatomy} {seed}: {both}", flush=True)
        for engine in engines:
            row, over = line(engine, kind, pairs[engine])
            lines.append(row)
            broken |= over
    text = INTRODUCTION.format(seeds=len(SEEDS), **BOUNDS) + table(HEAD, lines)
    text += (
        "\n## 60 slices of 256 x 256\n\nOne movement of the abdomen. Memory: growth of this "
        "process during the call for eprimg, all of the child process for the others.\n\n"
    )
    text += table(LARGE_HEAD, large_lines(engines, starts))
    text += f"\nVersions: SimpleITK {load_engine('registrar', OURS)().version()}; "
    TARGET.write_text(text + "; ".join(versions) + ".\n", encoding="utf-8")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
