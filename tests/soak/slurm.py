"""A batch on SLURM whose jobs are cancelled: ``python -m tests.soak.slurm WORK``, on a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.soak import slurm_node
from tests.soak.disturb import Batch
from tests.soak.judge import judge, leaks, left, records
from tests.soak.scenario import Outcome
from tests.soak.studies import make_studies, plan

_BAD = ("missing weight", "empty folder")
_LIMIT_S = 900.0


def _running() -> list[int]:
    return [number for number, state in slurm_node.jobs() if state == "RUNNING"]


def _cancel(batch: Batch, out: Path, n_records: int, every_job: bool) -> list[int]:
    """Cancel one worker job, or all of them, once so many studies are done and one is running."""
    ready = batch.until(
        lambda: (
            len(records(out)) >= n_records
            and len(_running()) >= (1 if every_job else 2)
            and any("eprimg.batch.child" in p.cmdline() for p in batch.family())
        ),
        _LIMIT_S / 3,
    )
    victims = _running() if every_job else _running()[:1]
    if not ready or not victims:
        return []
    subprocess.run(["scancel", *map(str, victims)], check=True)
    return victims


def _cancel_waiting(batch: Batch) -> list[str]:
    """Cancel a job that still waits for its turn; say what is wrong when none takes its place."""

    def waiting() -> list[int]:
        return [number for number, state in slurm_node.jobs() if state == "PENDING"]

    if not batch.until(lambda: bool(waiting()), _LIMIT_S / 3):
        return ["no job waited: nothing was tested"]
    victim = waiting()[0]
    before = {number for number, _ in slurm_node.jobs()}
    subprocess.run(["scancel", str(victim)], check=True)
    asked_again = batch.until(
        lambda: any(number not in before for number, _ in slurm_node.jobs()), _LIMIT_S / 3
    )
    return [] if asked_again else [f"nothing took the place of job {victim}, which had waited"]


def run(work: Path) -> Outcome:
    """Run studies in peace on this machine, then on SLURM with cancelled jobs.

    Parameters
    ----------
    work : Path
        Folder for everything; must be new.

    Returns
    -------
    Outcome
        What was found.
    """
    found = Outcome()
    work.mkdir(parents=True)
    root, out = work / "studies", work / "disturbed"
    planned = plan(("pet", "mr") * 5, _BAD)
    make_studies(root, planned, size="tiny")
    quiet = Batch(work / "undisturbed.log", [root, "--out", work / "undisturbed", "--workers", "2"])
    code = quiet.wait(_LIMIT_S)
    found.wrong("undisturbed", judge(work / "undisturbed", planned, exit_code=code))
    clock = time.perf_counter()
    # one job more than the node has processors: it waits
    jobs = str((os.cpu_count() or 1) + 1)
    arguments = ["--slurm", "--jobs", jobs, "--partition", "soak", "--job-memory", "2"]
    batch = Batch(work / "slurm.log", [root, "--out", out, *arguments, "--walltime", "30"])
    found.wrong("cancelled while it waited", _cancel_waiting(batch))
    one = _cancel(batch, out, 2, every_job=False)
    every = _cancel(batch, out, 6, every_job=True)
    code = batch.wait(_LIMIT_S)
    seconds = time.perf_counter() - clock
    if not one or not every:
        found.wrong("cancelled jobs", [f"cancelled {one} and {every}: nothing was tested"])
    undisturbed = left(work / "undisturbed")
    found.wrong("finished", [f"still running: {words}" for words in batch.end()])
    found.wrong("finished", judge(out, planned, exit_code=code, undisturbed=undisturbed))
    found.wrong("finished", leaks(out, batch.log))
    if slurm_node.jobs():
        time.sleep(5)  # SLURM takes its time to forget a job that has ended
        found.wrong("finished", [f"jobs left in SLURM: {slurm_node.jobs()}"] * bool(_running()))
    found.say(
        f"SLURM: {len(planned)} studies in {seconds:.0f} s, cancelled jobs: 1 that waited, 1 that "
        f"ran, and then all {len(every)}"
    )
    found.numbers = {
        "slurm_studies": len(planned),
        "slurm_cancelled_jobs": 1 + len(one) + len(every),
        "slurm_s": round(seconds, 1),
    }
    return found


def main() -> int:
    """Run, and leave what was found in ``WORK/found.json``."""
    work = Path(sys.argv[1])
    found = run(work)
    content = {"faults": found.faults, "notes": found.notes, "numbers": found.numbers}
    (work / "found.json").write_text(json.dumps(content), encoding="utf-8")
    return 1 if found.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
