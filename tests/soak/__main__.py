"""``python -m tests.soak``: everything that can happen to a batch, and what must be left of it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.soak import slurm_node
from tests.soak.disturb import may_mount, unshare
from tests.soak.page import keep, soak_lines, write_part
from tests.soak.scenario import BRIEF, FULL, MOUNTS, Outcome, soak
from tests.soak.studies import BAD


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--brief", action="store_true", help="the two-minute version")
    parser.add_argument("--work", type=Path, help="folder for everything; must be new")
    parser.add_argument("--studies", type=Path, help="studies that an earlier soak made")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--without-slurm", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run the soak; 0 when nothing was lost, half-written or different."""
    said = _arguments()
    if MOUNTS not in os.environ and may_mount():
        # a mount of ours must not outlive us, nor be seen by others
        command = [*unshare(), sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, MOUNTS: "own"}, check=False).returncode
    work = said.work or Path(tempfile.mkdtemp(prefix="soak-")) / "work"
    found = soak(work, BRIEF if said.brief else FULL, made=said.studies, keep=said.keep)
    if not (said.brief or said.without_slurm):
        _slurm(work.with_name("slurm"), found)
        found.numbers["faults"] = len(found.faults)
        keep("soak", found.numbers)
        write_part("soak", soak_lines(found.numbers, {k: bad.code for k, bad in BAD.items()}))
    for fault in found.faults:
        print(f"FAULT {fault}")
    words = "all is well" if not found.faults else f"{len(found.faults)} faults; see {work}"
    print(f"soak: {len(found.notes)} steps, {words}")
    return 1 if found.faults else 0


def _slurm(work: Path, found: Outcome) -> None:
    """Run the studies of the SLURM part on a node of its own."""
    slurm_node.install()
    reason = slurm_node.why_not()
    if reason is not None:
        words = f"SLURM: not tested, {reason}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            found.wrong("SLURM", [words])
        else:
            found.say(words)
        return
    command = [sys.executable, "-m", "tests.soak.slurm", str(work)]
    done = subprocess.run(slurm_node.inside(command), check=False)
    try:
        part = json.loads((work / "found.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found.wrong("SLURM", [f"the part ended with {done.returncode} and left no result"])
        return
    found.numbers |= part["numbers"]
    found.notes += part["notes"]
    found.wrong("SLURM", part["faults"])


if __name__ == "__main__":
    raise SystemExit(main())
