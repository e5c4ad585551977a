"""Solve the registration cases and write ``docs/validation/registration.md``.

Run by ``make validate``.  Every solved case is kept in ``build/validation/registration.jsonl`` with
the hash of the code and settings that solved it, so the work can be cut into pieces and goes on
where it stopped::

    python -m tests.validation.registration_page --anatomy thorax --kind pet --seeds 0:20
    python -m tests.validation.registration_page --qc
    python -m tests.validation.registration_page --write

Without arguments everything that is missing is solved, and the page is written.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.validation.registration_bench import (
    ANATOMIES,
    FAILED_MM,
    KINDS,
    PROFILE,
    Row,
    make_case,
    run,
)
from tests.validation.registration_qc import QC_KINDS, QcRow, judge, qc_cases

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "validation" / "registration.md"
STORE = ROOT / "build" / "validation" / "registration.jsonl"
REGISTRARS = ROOT / "eprimg" / "engines" / "registrars"
PHANTOM = ROOT / "phantoms" / "eprimg_phantoms"
ENGINE = "simpleitk-rigid"
SEEDS = range(20)
LOST_SEEDS = range(7)
QC_SEEDS = range(7)
RIGID_KINDS = ("mr", "mr-late", "pet", "pet-low", "mr-lost", "pet-lost")

# What a volume or an error is made of; the engine's own files are found by their imports.
_CASE = (
    "anatomy.py", "motion.py", "smooth_shapes.py", "geometry.py", "mri.py", "pet.py",
)  # fmt: skip
_FOLLOWED = ("eprimg.engines", "eprimg.kernels")
_RECORDS = {"eprimg.engines.registrars.contract"}


def bare_code(path: Path) -> str:
    """Return the code of a file without comments and docstrings: words change no number."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            body = [
                n
                for n in node.body
                if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
            ]
            node.body = body or [ast.Pass()]
    return ast.unparse(tree)


def engine_files(engine: str) -> list[Path]:
    """Return the files of an engine: its module and the engines' files and kernels it imports."""
    from importlib.metadata import entry_points

    (point,) = entry_points(group="eprimg.registrars", name=engine)
    waiting, found = [point.module], set()
    while waiting:
        module = waiting.pop()
        path = ROOT / (module.replace(".", "/") + ".py")
        if path in found or module in _RECORDS or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(_FOLLOWED):
                waiting += [str(node.module)]
                waiting += [f"{node.module}.{name.name}" for name in node.names]
    return sorted(found)


@cache
def state_hash(engine: str, profile: str, *, checks: bool = False) -> str:
    """Return a hash of all that decides the numbers of an engine.

    Parameters
    ----------
    engine, profile : str
        Their names.
    checks : bool
        Take in the checks of a result too, and the limits they use.
    """
    files = engine_files(engine) + [PHANTOM / name for name in _CASE]
    if checks:
        files += sorted(REGISTRARS.glob("*.py"))
        files += [
            *sorted((ROOT / "eprimg" / "stages").glob("register*.py")),
            ROOT / "tests" / "validation" / "registration_qc.py",
        ]
    digest = hashlib.sha256()
    for path in files:
        digest.update(bare_code(path).encode())
    for path in sorted((PHANTOM / "anatomies").glob("*.toml")):
        digest.update(path.read_bytes())
    settings = ROOT / "eprimg" / "resources" / "registration" / f"{profile}.toml"
    table = tomllib.loads(settings.read_text(encoding="utf-8"))
    if not checks:
        table.pop("check", None)
    digest.update(json.dumps(table, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def stored() -> list[dict[str, Any]]:
    """Return the lines of the store that the code and settings of today would give again."""
    if not STORE.is_file():
        return []
    entries = [json.loads(line) for line in STORE.read_text(encoding="utf-8").splitlines()]
    states = {
        (what, profile): state_of(what, profile)
        for what, profile in {(e["what"], e["profile"]) for e in entries}
    }
    return [e for e in entries if e["state"] == states[e["what"], e["profile"]]]


def state_of(what: str, profile: str) -> str:
    """Return the hash that lines of this kind have today; empty when their engine is absent."""
    try:
        return state_hash(ENGINE if what == "qc" else what, profile, checks=what == "qc")
    except (LookupError, ValueError, OSError):
        return ""


def rows_of(what: str, profile: str = PROFILE) -> list[dict[str, Any]]:
    """Return the rows of an engine, or of the checks (``qc``)."""
    return [e["row"] for e in stored() if (e["what"], e["profile"]) == (what, profile)]


def keep(what: str, profile: str, state: str, row: Row | QcRow) -> None:
    """Add one line to the store."""
    STORE.parent.mkdir(parents=True, exist_ok=True)
    entry = {"what": what, "profile": profile, "state": state, "row": row._asdict()}
    with STORE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def solve(engine: str, profile: str, anatomies: Iterable[str], kinds: Iterable[str],
          seeds: range) -> None:  # fmt: skip
    """Solve the cases that are missing."""
    state = state_hash(engine, profile)
    done = {(r["anatomy"], r["kind"], r["seed"]) for r in rows_of(engine, profile)}
    anatomies = list(anatomies)
    for kind in kinds:
        for seed in seeds:
            for anatomy in anatomies:
                if (anatomy, kind, seed) in done:
                    continue
                row, _ = run(engine, make_case(anatomy, seed, kind), profile=profile)
                keep(engine, profile, state, row)
                print(f"{kind} {anatomy} {seed}: {row.mean_mm:.2f} mm", flush=True)


def solve_qc(kinds: Iterable[str], seeds: range) -> None:
    """Judge the planted misregistrations and the good alignments that are missing."""
    state = state_hash(ENGINE, PROFILE, checks=True)
    done = {(r["anatomy"], r["kind"], r["seed"]) for r in rows_of("qc")}
    for kind in kinds:
        for seed in seeds:
            for anatomy in ANATOMIES:
                if (anatomy, kind, seed) in done:
                    continue
                # All three or none, so that a stop in between leaves no half case.
                judged = [judge(qc) for qc in qc_cases((anatomy,), (kind,), range(seed, seed + 1))]
                for row in judged:
                    keep("qc", PROFILE, state, row)
                print(f"qc {kind} {anatomy} {seed}: {[r.flagged for r in judged]}", flush=True)


def within(kind: str, rows: list[dict[str, Any]]) -> bool:
    """Tell whether the cases of a kind keep its bounds."""
    mean, worst = KINDS[kind].bounds_mm
    errors = np.array([r["mean_mm"] for r in rows])
    good = errors.mean() <= mean and max(r["worst_mm"] for r in rows) <= worst
    return bool(good and not (errors > FAILED_MM).any())


def unsolved(rows: list[dict[str, Any]]) -> list[str]:
    """Say what the default engine's table lacks of its usual cases."""
    said = []
    for kind in RIGID_KINDS:
        wanted = len(LOST_SEEDS if KINDS[kind].lost else SEEDS) * len(ANATOMIES)
        missing = wanted - sum(r["kind"] == kind for r in rows)
        if missing > 0:
            said.append(f"{KINDS[kind].words}, {missing} of {wanted}")
    return said


def table(rows: list[dict[str, Any]]) -> list[str]:
    """One line per kind and anatomy, and one per kind for all."""
    lines = [
        (
            "| pair | anatomy | cases | before mm | error mm | worst case mm | worst lesion mm "
            "| failed | CPU s | memory MB | bounds |"
        ),
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for kind, rules in KINDS.items():
        of_kind = [r for r in rows if r["kind"] == kind]
        for anatomy in (*ANATOMIES, "all"):
            some = [r for r in of_kind if anatomy in (r["anatomy"], "all")]
            if not some:
                continue
            error = np.array([r["mean_mm"] for r in some])
            before = np.array([r["before_mm"] for r in some])
            mean, worst = rules.bounds_mm
            bounds = f"{mean:g} / {worst:g} mm" if np.isfinite(worst) else f"{mean:g} mm"
            verdict = "kept" if within(kind, some) else "**broken**"
            lines.append(
                f"| {rules.words} | {anatomy} | {len(some)} | {before.min():.0f}-{before.max():.0f}"
                f" | {error.mean():.2f} | {error.max():.2f} | "
                f"{max(r['worst_mm'] for r in some):.2f} | {int((error > FAILED_MM).sum())} | "
                f"{np.median([r['cpu_s'] for r in some]):.1f} | "
                f"{max(r['peak_mb'] for r in some):.0f} | {verdict} ({bounds}) |"
            )
    return [*lines, ""]


def qc_table(rows: list[dict[str, Any]]) -> list[str]:
    """One line per kind and anatomy: planted ones that were flagged, and false alarms."""
    lines = [
        "| pair | anatomy | planted (> 5 mm) | refused | doubted | missed | good | false alarms |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in QC_KINDS:
        for anatomy in (*ANATOMIES, "all"):
            some = [r for r in rows if r["kind"] == kind and anatomy in (r["anatomy"], "all")]
            planted = [r for r in some if r["planted"]]
            good = [r for r in some if not r["planted"]]
            if not some:
                continue
            refused = sum(r["refused"] for r in planted)
            doubted = sum(r["doubted"] and not r["refused"] for r in planted)
            alarms = sum(r["refused"] or r["doubted"] for r in good)
            lines.append(
                f"| {KINDS[kind].words} | {anatomy} | {len(planted)} | {refused} | {doubted} | "
                f"{len(planted) - refused - doubted} | {len(good)} | {alarms} |"
            )
    return [*lines, ""]


def page(engines: dict[str, list[dict[str, Any]]], qc: list[dict[str, Any]]) -> str:
    """Write the whole page."""
    lines = [
        "# Registration on three anatomies",
        "",
        (
            "Made by `make validate`. Abdomen, thorax, head and neck of `eprimg_phantoms.anatomy` "
            "(12 lesions of 13 to 24 mm each): MR before and after ferumoxytol (2 x 2 x 3 mm, 160 "
            "x 160 x 80, coil shading, Rician noise) and PET (4 mm, point spread 6 mm, noise of "
            "counts correlated over 6 mm: about 9 % in one voxel of 10 %ID/kg, 24 % when low "
            "count). Shifts of up to 8 mm and turns of up to 5 degrees about each axis."
        ),
        "",
        (
            "**The truth is a formula.** The second volume is painted from shapes at the moved "
            "points; nothing in it was resampled. Error: distance from the truth at the centres of "
            "the lesions, mean and worst of 12. Bounds: mean over the cases / worst lesion of any "
            f"case; failed means more than {FAILED_MM:g} mm. All series have frames of their own, "
            "as sessions do; *header frame lost* moves the origin by 25 mm across and 60 mm along "
            "the body. One thread; CPU seconds are the median, on a shared machine; memory is the "
            "largest growth during a call."
        ),
        "",
        (
            "These anatomies have sharp organ borders in both series, no breathing within a scan, "
            "no distortion and no error of attenuation correction: expect larger errors in "
            "patients."
        ),
        "",
    ]
    for engine, rows in engines.items():
        lines += [f"## {engine}", "", *table(rows)]
        if engine == ENGINE and (open_ := unsolved(rows)):
            lines += [f"**Not complete.** Still to be solved: {'; '.join(open_)}.", ""]
    if qc:
        lines += [
            "## Planted misregistrations",
            "",
            (
                "The truth moved by 5 to 20 mm and turned by up to 10 degrees, until the mean "
                "error at the lesions exceeds 5 mm, and given to the checks of the stage. Good "
                "ones: the truth, and the truth moved by up to 1 mm and 0.5 degrees. *Refused*: "
                "no map is made. *Doubted*: a warning, and no tier."
            ),
            "",
            *qc_table(qc),
        ]
    return "\n".join(lines).rstrip() + "\n"


def write() -> bool:
    """Write the page from what is kept; tell whether every bound of the default engine is kept."""
    found: dict[str, list[dict[str, Any]]] = {ENGINE: rows_of(ENGINE)}
    for entry in stored():
        if entry["what"] not in ("qc", ENGINE):
            title = f"{entry['what']}, profile {entry['profile']}"
            found.setdefault(title, []).append(entry["row"])
    qc = rows_of("qc")
    TARGET.write_text(page(found, qc), encoding="utf-8")
    rows = found[ENGINE]
    kinds = {r["kind"] for r in rows if not KINDS[r["kind"]].breathing}
    return all(within(kind, [r for r in rows if r["kind"] == kind]) for kind in kinds)


def main(arguments: list[str] | None = None) -> int:
    """Solve what is asked; return 1 when the page was written and a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anatomy", choices=ANATOMIES, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--seeds", default="", help="first:last, the last not included")
    parser.add_argument("--engine", default=ENGINE)
    parser.add_argument("--profile", default=PROFILE)
    parser.add_argument("--qc", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)
    seeds = range(*map(int, given.seeds.split(":"))) if given.seeds else None
    nothing = not (given.kind or given.qc or given.write)
    for kind in given.kind or (RIGID_KINDS if nothing else ()):
        usual = LOST_SEEDS if KINDS[kind].lost else SEEDS
        solve(given.engine, given.profile, given.anatomy or ANATOMIES, [kind], seeds or usual)
    if given.qc or nothing:
        solve_qc(QC_KINDS, seeds or QC_SEEDS)
    if given.write or nothing:
        return 0 if write() else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
