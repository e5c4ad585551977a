"""What the batch engine costs: against a shell loop, with two workers, per study, per page row."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.soak.page import keep, kept, write_part
from tests.soak.studies import make_studies, plan

GOAL_OVERHEAD = 1.05
GOAL_TWO_WORKERS = 1.8
STUDIES = 20
ROUNDS = 1
QUEUED = 1000
ROWS = 2000

_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    ),
    "1",
)
_EPRIMG = f"{sys.executable} -m eprimg.cli"

_QUEUE = """
import json, sys, threading, time
from pathlib import Path
import psutil
from eprimg.batch.engine import run_batch
from eprimg.batch.options import EngineOptions
from eprimg.batch.orders import NOTHING
from eprimg.batch.progress import BatchProgress
from eprimg.config import Config
from eprimg.io.batch_inputs import list_studies
from rich.console import Console

root, out = map(Path, sys.argv[1:])
tasks = list_studies(root).value
me, seen, ended = psutil.Process(), [], threading.Event()


def look():
    while not ended.wait(0.2):
        seen.append((time.perf_counter(), me.memory_info().rss / 2**20))


watch = threading.Thread(target=look, daemon=True)
watch.start()
clock = time.perf_counter()
options = EngineOptions(workers=2, work=NOTHING, summary_every=0)
end = run_batch(tasks, out, Config(), options, BatchProgress(Console(stderr=True)))
seconds = time.perf_counter() - clock
for task in tasks:  # what a study that did something would have left
    folder = out / "studies" / task.key
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
clock = time.perf_counter()
again = run_batch(tasks, out, Config(), options, BatchProgress(Console(stderr=True)))
skipped = time.perf_counter() - clock
ended.set()
watch.join()
fifth = [mb for at, mb in seen if at - seen[0][0] < 0.2 * seconds]
print(json.dumps({
    "counts": end.counts, "seconds": seconds, "run_again": again.n_run, "skip_seconds": skipped,
    "memory_first_fifth_mb": max(fifth), "memory_peak_mb": max(mb for _, mb in seen),
}))
"""


def _seconds(command: str) -> tuple[float, float]:
    """Run a command line; return its wall-clock and its processor time."""
    clock = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["sh", "-ec", command],
        env={**os.environ, **_ONE_THREAD},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-1000:]} {done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - clock, cpu


def _loop(root: Path, out: Path, names: list[str]) -> str:
    """A shell loop over some studies, as one writes it who has no engine."""
    return (
        f"mkdir -p {out}; for s in {' '.join(names)}; do {_EPRIMG} run {root}/$s "
        f"--set threads=1 --out {out}/$s; done"
    )


def _load() -> float:
    return os.getloadavg()[0]


def measure_engine(work: Path, studies: int = STUDIES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure the same studies in a shell loop, with one worker and with two, by turns."""
    root = work / "studies"
    make_studies(root, plan(("pair",) * studies, ()), size="small")
    ways: dict[str, list[tuple[float, float]]] = {"loop": [], "loops": [], "one": [], "two": []}
    load = _load()
    for number in range(rounds):
        out = work / f"out-{number}"
        names = sorted(p.name for p in root.iterdir())
        ways["loop"].append(_seconds(_loop(root, out / "loop", names)))
        halves = [_loop(root, out / "loops", part) for part in (names[::2], names[1::2])]
        ways["loops"].append(_seconds(f"({halves[0]}) & ({halves[1]}); wait"))
        for name, workers in (("one", 1), ("two", 2)):
            batch = f"{_EPRIMG} batch {root} --out {out}/{name} --workers {workers}"
            ways[name].append(_seconds(batch))
        shutil.rmtree(out)
    best = {name: min(wall for wall, _ in spent) for name, spent in ways.items()}
    cpu = {name: min(cpu for _, cpu in spent) for name, spent in ways.items()}
    return {
        "studies": studies,
        "load": load,
        "rounds": ways,
        "loop_s": best["loop"],
        "one_s": best["one"],
        "two_s": best["two"],
        "two_loops": best["loop"] / best["loops"],
        "overhead": best["one"] / best["loop"],
        "cpu_overhead": cpu["one"] / cpu["loop"],
        "two_workers": best["one"] / best["two"],
    }


def measure_queue(work: Path, queued: int = QUEUED) -> dict[str, Any]:
    """Queue studies that do nothing: what remains is the engine."""
    root = work / "nothing"
    for number in range(queued):
        (root / f"study-{number:05d}").mkdir(parents=True)
        (root / f"study-{number:05d}" / "note.txt").write_text(str(number))
    time.sleep(2.5)  # files that are younger than two seconds get no stamp
    load = _load()
    done = subprocess.run(
        [sys.executable, "-c", _QUEUE, str(root), str(work / "nothing-out")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["counts"]["ok"] != queued or found["run_again"]:
        raise RuntimeError(f"not all studies were done once: {found}")
    return {"queued": queued, "load": load, **found}


def measure_page(work: Path, rows: int = ROWS) -> dict[str, Any]:
    """Write the summary of many studies; each row is a copy of one that was measured."""
    from eprimg.io.batch_files import BatchPaths
    from eprimg.io.batch_records import read_records, write_record
    from eprimg.io.batch_summary import write_summary
    from eprimg.report.batch_page import render_batch_page

    one, out = work / "one", work / "page"
    root = work / "page-study"
    make_studies(root, plan(("whole",), ()), size="tiny")
    _seconds(f"{_EPRIMG} batch {root} --out {one} --workers 0")
    record = read_records(one).value[0]
    old, new = BatchPaths(one), BatchPaths(out)
    for folder in (new.records, new.studies, new.thumbnails, new.logs):
        folder.mkdir(parents=True)
    picture = old.thumbnail(record.key).read_bytes()
    table = (old.study(record.key) / "lesions.csv").read_bytes()
    for number in range(rows):
        copy = replace(record, key=f"S-{number:010x}")
        write_record(out, copy)
        new.thumbnail(copy.key).write_bytes(picture)
        new.log(copy.key).touch()
        new.study(copy.key).mkdir()
        (new.study(copy.key) / "lesions.csv").write_bytes(table)
    load = _load()
    clock = time.perf_counter()
    write_summary(out, render_batch_page)
    seconds = time.perf_counter() - clock
    return {
        "rows": rows,
        "load": load,
        "seconds": seconds,
        "page_mb": new.page.stat().st_size / 1e6,
        "cohort_mb": new.cohort.stat().st_size / 1e6,
        "lesions_mb": new.cohort_lesions.stat().st_size / 1e6,
        "thumbnail_kb": len(picture) / 1e3,
        "inside": b"data:image/webp" in new.page.read_bytes(),
        "study_mb": sum(p.stat().st_size for p in old.study(record.key).rglob("*")) / 1e6,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Put the numbers into a table."""
    engine, queue, page = found["engine"], found["queue"], found["page"]
    n, queued = engine["studies"], queue["queued"]
    each = engine["loop_s"] / n
    first, peak = queue["memory_first_fifth_mb"], queue["memory_peak_mb"]
    loads = ", ".join(f"{part['load']:.1f}" for part in (engine, queue, page))
    rounds = len(engine["rounds"]["loop"])
    per_queued, per_skipped = (1000 * queue[k] / queued for k in ("seconds", "skip_seconds"))
    overhead = (
        f"{engine['overhead']:.3f} of the loop; goal <= {GOAL_OVERHEAD} (processor time "
        f"{engine['cpu_overhead']:.3f})"
    )
    faster = (
        f"{engine['two_workers']:.2f} times as fast as one; goal >= {GOAL_TWO_WORKERS} (two shell "
        f"loops side by side: {engine['two_loops']:.2f} times as fast as one)"
    )
    tables = (
        f"cohort.csv {page['cohort_mb']:.1f} MB, cohort_lesions.csv {page['lesions_mb']:.1f} MB"
    )
    rows = {
        f"shell loop of `eprimg run`, {n} studies of {each:.1f} s, one thread each": (
            f"{engine['loop_s']:.1f} s"
        ),
        "`eprimg batch --workers 1`": f"{engine['one_s']:.1f} s = {overhead}",
        "`eprimg batch --workers 2`": f"{engine['two_s']:.1f} s = {faster}",
        f"{queued} queued studies that do nothing, two workers": (
            f"{queue['seconds']:.0f} s = {per_queued:.0f} ms per study (process, record, log)"
        ),
        "memory of the program with its scheduler": (
            f"{first:.0f} MB in the first fifth, {peak:.0f} MB at most"
        ),
        f"the same {queued} studies again, nothing to do": (
            f"{queue['skip_seconds']:.1f} s = {per_skipped:.1f} ms per study"
        ),
        f"summary of {page['rows']} studies": (
            f"{page['seconds']:.1f} s; index.html {page['page_mb']:.1f} MB, {tables}"
        ),
        "thumbnail of a study": f"{page['thumbnail_kb']:.0f} kB, inside index.html"
        if page["inside"]
        else f"{page['thumbnail_kb']:.0f} kB, beside index.html",
    }
    return [
        f"Machine: {os.cpu_count()} cores; load before each part {loads}; best of {rounds} rounds.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {words} |" for name, words in rows.items()),
    ]


_PARTS = {"engine": measure_engine, "queue": measure_queue, "page": measure_page}


def main(only: str = "") -> dict[str, Any]:
    """Measure, print, and write the part of the page; one part alone when it is named."""
    found = kept("batch") if only else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in _PARTS.items():
            if only in ("", name):
                found[name] = measure(Path(folder) / name)
    keep("batch", found)
    text = lines(found)
    write_part("cost", text)
    print("## Batch engine\n")
    print("\n".join(text))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:2])
