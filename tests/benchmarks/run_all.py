"""All benchmarks in one run; the table is kept in ``docs/validation/performance.md``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

NAMES = (
    "bench_r2star",
    "bench_read",
    "bench_register",
    "bench_measure",
    "bench_partial_volume",
    "bench_uptake",
    "bench_run",
    "bench_batch",
)
TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "performance.md"


def main() -> None:
    """Run every benchmark, print it, and write the page."""
    packages = ("numpy", "scipy", "numba", "SimpleITK", "pydicom")
    page = [
        "# Performance",
        "",
        (
            "Made by `make bench`. Ratios hold within one run on one machine; seconds are that "
            "machine's. BLAS has one thread."
        ),
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; " + ", ".join(f"{p} {version(p)}" for p in packages) + ".",
        "",
    ]
    # Waiting threads of BLAS count as processor time, and the peers of these ratios have none.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    for name in NAMES:
        # A process of its own: what one benchmark left in memory must not count for the next.
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        print(done.stdout, flush=True)
        page += [done.stdout.strip(), ""]
    TARGET.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
