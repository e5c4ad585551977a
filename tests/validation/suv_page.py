"""Measure objects of known SUV and write every result to ``docs/validation/suv.md``.

Run by ``make validate``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.validation.pet_cases import ERRORS, VALID, Case, Outcome, judge, make
from tests.validation.pet_objects import CU64, ZR89, Writing
from tests.validation.results import Line, write_lines
from tests.validation.test_pet_cases import AGES, TOLERANCE, object_at, scan_of_ages

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "suv.md"
MODES = ("strict", "lenient")
BOUNDS = (
    "0.20 / 1.00 / 4.00 in both modes, every voxel within 0.1 %",
    "strict: the right exception names the tag; lenient differences are listed",
    "within 0.1 %; a lost date is refused; strict refuses from two half-lives on",
)
NAMES = {ZR89: "89Zr", CU64: "64Cu"}
INTRODUCTION = "\n".join(
    (
        "# SUV against objects of known SUV",
        "",
        (
            "Made by `make validate`. Every object is written as DICOM by a forward model of its "
            "own (dose, decay, mean"
        ),
        (
            "over the frame by Simpson's rule, units, rounding to 16 bits), then read and mapped "
            "as the main job does."
        ),
        (
            "True SUVbw is 0.20 (minimum), 1.00 (median) and 4.00 (maximum). The list is that of "
            "IBSI-SUV v3.0.1"
        ),
        (
            "(M. Vácha et al., oncoray/suv_computation, CC BY 4.0); the objects are re-created by "
            "number and description,"
        ),
        'not copied. "Worst" is the largest relative error of a voxel.',
        "",
    )
)
LATE = "\n".join(
    (
        (
            "The scan starts 20 min after midnight. Strict mode follows IBSI, which takes no "
            "injection of two half-lives"
        ),
        "or more; lenient mode is made for them.",
        "",
        "| nuclide | age | half-lives | lenient | strict | date lost | |",
        "|---|---|---|---|---|---|---|",
    )
)


def both(case: Case) -> dict[str, Outcome]:
    """Judge one object in both modes."""
    with tempfile.TemporaryDirectory() as folder:
        made = make(case, Path(folder) / "object")
        return {mode: judge(made, mode) for mode in MODES}


def numbers(found: Outcome) -> str:
    """Three SUVs and the worst error, or the codes of the refusal."""
    if found.suv is None:
        return f"refused: {', '.join(found.codes)}"
    return " / ".join(f"{v:.2f}" for v in found.suv) + f", worst {100 * found.worst:.3f} %"


def valid_rows() -> Iterator[tuple[bool, str]]:
    """Objects that have to compute."""
    for case in VALID:
        found = both(case)
        good = all(f.suv is not None and f.worst < TOLERANCE for f in found.values())
        rule = found["strict"].facts.reference_rule if good else ""
        cells = (case.number, case.words, *(numbers(found[m]) for m in MODES), rule)
        yield good, "| " + " | ".join((*cells, "ok" if good else "**fails**")) + " |"


def error_rows() -> Iterator[tuple[bool, str]]:
    """Objects that have to be refused, with the code and the tag."""
    for case in ERRORS:
        found = both(case)
        assert case.refused is not None
        code, number = case.refused
        strict, lenient = found["strict"], found["lenient"]
        good = strict.codes == (code,) and number in strict.text
        good &= (lenient.suv is not None) if case.lenient else lenient.codes == (code,)
        words = case.lenient or "same"
        cells = (case.number, case.words, f"`{code}` {number}", words)
        yield good, "| " + " | ".join((*cells, "ok" if good else "**fails**")) + " |"


def age_rows() -> Iterator[tuple[bool, str]]:
    """89Zr and 64Cu over many days."""
    for half_life_s, hours in AGES:
        with tempfile.TemporaryDirectory() as folder:
            made = object_at(half_life_s, hours, Writing("SIEMENS"), scan_of_ages(), Path(folder))
            found = {mode: judge(made, mode) for mode in MODES}
            undated = object_at(
                half_life_s,
                hours,
                Writing("SIEMENS", drug={"RadiopharmaceuticalStartDateTime": None}),
                scan_of_ages(),
                Path(folder),
            )
            lost = judge(undated, "lenient")
        late = hours * 3600 >= 2 * half_life_s
        good = found["lenient"].worst < TOLERANCE and lost.codes == ("E_SUV_TIME",)
        good &= (found["strict"].suv is None) is late
        cells = (NAMES[half_life_s], f"{hours:g} h", f"{hours * 3600 / half_life_s:.2f}")
        results = (numbers(found["lenient"]), numbers(found["strict"]), numbers(lost))
        yield good, "| " + " | ".join((*cells, *results, "ok" if good else "**fails**")) + " |"


def main() -> int:
    """Write the page; return 1 when a case fails."""
    sections = (
        (
            f"## {len(VALID)} objects that compute",
            "| object | what | strict | lenient | reference instant | |\n|---|---|---|---|---|---|",
            list(valid_rows()),
        ),
        (
            f"## {len(ERRORS)} objects that are refused",
            "| object | what | strict | lenient | |\n|---|---|---|---|---|",
            list(error_rows()),
        ),
        (
            "## Long-lived nuclides",
            LATE,
            list(age_rows()),
        ),
    )
    page, good, claims = [INTRODUCTION], True, []
    for title, head, rows in sections:
        passed = sum(ok for ok, _ in rows)
        good &= passed == len(rows)
        page += [title, "", f"{passed} of {len(rows)} as they have to be.", "", head]
        page += [row for _, row in rows]
        page.append("")
        name = title.removeprefix("## ")
        print(name, f"{passed} of {len(rows)}")
        measured, right = f"{passed} of {len(rows)}", passed == len(rows)
        claims.append(Line("SUV", name, BOUNDS[len(claims)], measured, right, "suv.md"))
    TARGET.write_text("\n".join(page), encoding="utf-8")
    write_lines("suv", claims)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
