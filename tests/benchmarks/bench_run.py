"""`eprimg run` on the full phantom: seconds per stage and peak memory, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL_SECONDS = 90.0
GOAL_MEMORY_MB = 3072.0

_CHILD = """
import json, sys, time
begin = time.perf_counter()
from pathlib import Path
from eprimg import pipeline
from eprimg.config import Config
from eprimg.io.study import read_study
config = Config()
clock = time.perf_counter()
read = read_study(Path(sys.argv[1]), config=config)
seconds = {"import": clock - begin, "scan and read": time.perf_counter() - clock}
case = pipeline.run(read.value, config, findings=read.findings)
seconds |= dict(case.provenance.seconds)
clock = time.perf_counter()
pipeline.export_case(case, config, Path(sys.argv[2]))
seconds["report and write"] = time.perf_counter() - clock
total = time.perf_counter() - begin
peak = next(
    int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")
)
print(json.dumps({"seconds": seconds, "total": total, "peak_mb": peak}))
"""


def measure(size: str = "full", seed: int = 1) -> dict[str, Any]:
    """Write a phantom, run the main job on it in a child process, return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        from eprimg_phantoms import make

        clock = time.perf_counter()
        phantom = make("abdomen", Path(folder) / "phantom", size=size, seed=seed)
        written = time.perf_counter() - clock
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(phantom / "dicom"), str(Path(folder) / "out")],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        result["phantom_seconds"] = written
        return result


def main(size: str = "full") -> dict[str, Any]:
    """Print a table and return the figures."""
    result = measure(size)
    print(f"### `eprimg run` on the `{size}` phantom study\n")
    print("| step | seconds |\n|---|---|")
    for step, seconds in result["seconds"].items():
        print(f"| {step} | {seconds:.1f} |")
    print(f"| **total** (goal < {GOAL_SECONDS:.0f}) | **{result['total']:.1f}** |")
    print(
        f"\nPeak memory {result['peak_mb']:.0f} MB (goal < {GOAL_MEMORY_MB:.0f} MB). "
        f"Writing the phantom took {result['phantom_seconds']:.0f} s.\n"
    )
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
