"""Gather every claim of accuracy with its bound and its verdict; writes ``accuracy.md``.

Run last by ``make validate``: the other pages leave their claims in ``build/validation``.  A page
that was not made is an error, so that no claim is lost.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.validation.real_lines import real_lines
from tests.validation.results import FOLDER, Line, read_lines
from tests.validation.scene_lines import scene_lines

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "accuracy.md"
PAGES = (
    "r2star_accuracy",
    "r2star_errors",
    "r2star_peers",
    "fat_water",
    "suv",
    "partial_volume",
    "kinetics",
    "phantom",
    "voxelwise_dr2star",
)
FUZZING = Line(
    "SUV",
    "headers with any combination of present, absent and odd tags, against an oracle of their own",
    "a right number or a coded error, never a wrong number",
    "judged by the tests, not here",
    None,
    "test_pet_fuzz.py",
)
ITEMS = ("R2*", "Real MR", "SUV", "IBSI 1", "Partial volume", "Kinetics", "Scenes")
HEADINGS = {
    "R2*": "R2\\*: reference object, standard errors, peers, fat and water",
    "Real MR": "R2\\* of real scanners",
    "SUV": "SUV",
    "IBSI 1": "IBSI 1 digital phantom",
    "Partial volume": "Recovery of spheres and partial-volume correction",
    "Kinetics": "Kinetics: coverage of the standard errors",
    "Scenes": "Phantom scenes, from DICOM files to the number",
}


def gathered(folder: Path = FOLDER) -> tuple[list[Line], list[str]]:
    """Return the claims of the other pages, and the pages that were not made."""
    found, missing = [], []
    for name in PAGES:
        lines = read_lines(name, folder)
        if lines is None:
            missing.append(name)
        else:
            found += lines
    return found, missing


def verdict(line: Line) -> str:
    """Say how a claim stands."""
    if line.ok is None:
        return "shown"
    return "ok" if line.ok else "**fails**"


def _where(name: str) -> str:
    return f"[{name.removesuffix('.md')}]({name})" if name.endswith(".md") else f"`{name}`"


def page(lines: list[Line]) -> str:
    """Write one table for each item."""
    judged = [line for line in lines if line.ok is not None]
    text = [
        "# Accuracy: every claim, its bound and what was measured",
        "",
        (
            "Made by `make validate`, which fails when a bound is broken. Each line comes from the "
            "page or the test on its right, which has the details."
        ),
        "",
        f"{sum(bool(line.ok) for line in judged)} of {len(judged)} bounds hold.",
        "",
    ]
    for item in ITEMS:
        some = [line for line in lines if line.item == item]
        if not some:
            continue
        text += [
            f"## {HEADINGS[item]}",
            "",
            "| claim | bound | measured | verdict | details |",
            "|---|---|---|---|---|",
        ]
        text += [
            f"| {_plain(line.claim)} | {_plain(line.bound)} | {_plain(line.measured)} "
            f"| {verdict(line)} | {_where(line.where) if line.where else ''} |"
            for line in some
        ]
        text.append("")
    return "\n".join(text).rstrip() + "\n"


def _plain(words: str) -> str:
    """Keep Markdown from reading a star or a bar as its own."""
    return words.replace("*", "\\*").replace("|", "\\|")


def main() -> int:
    """Write the page; return 1 when a bound is broken or a page is missing."""
    lines, missing = gathered()
    lines += [FUZZING, *real_lines(), *scene_lines()]
    unknown = sorted({line.item for line in lines} - set(ITEMS))
    if unknown:
        raise ValueError(f"no table for {unknown}")
    TARGET.write_text(page(lines), encoding="utf-8")
    for name in missing:
        print(f"not made: {name} (run its script first)")
    broken = [line for line in lines if line.ok is False]
    for line in broken:
        print("broken:", line)
    print(f"{sum(bool(line.ok) for line in lines)} bounds hold, {len(broken)} are broken")
    return 1 if broken or missing else 0


if __name__ == "__main__":
    sys.exit(main())
