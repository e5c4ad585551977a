"""All benchmarks in one run; the table is kept in ``docs/validation/performance.md``."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import platform
from importlib.metadata import version
from pathlib import Path

NAMES = ("bench_r2star", "bench_read", "bench_register", "bench_run")
TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "performance.md"


def main() -> None:
    """Run every benchmark, print it, and write the page."""
    packages = ("numpy", "scipy", "numba", "SimpleITK", "pydicom")
    page = [
        "# Performance",
        "",
        (
            "Made by `make bench`. Ratios hold within one run on one machine; seconds are that "
            "machine's."
        ),
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; " + ", ".join(f"{p} {version(p)}" for p in packages) + ".",
        "",
    ]
    for name in NAMES:
        sink = io.StringIO()
        with contextlib.redirect_stdout(sink):
            importlib.import_module(f"tests.benchmarks.{name}").main()
        print(sink.getvalue(), flush=True)
        page += [sink.getvalue().strip(), ""]
    TARGET.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
