"""What every page script of the validation leaves for the page of all claims.

A script writes its judged claims as ``build/validation/NAME.json``; `accuracy_page` gathers them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "build" / "validation"


class Line(NamedTuple):
    """One claim.

    Attributes
    ----------
    item : str
        Heading it belongs to, e.g. ``SUV``.
    claim, bound, measured : str
        What is claimed, what is allowed, and what was found, all in words.
    ok : bool or None
        Whether the bound holds; None where nothing is judged.
    where : str
        Page or test with the details.
    """

    item: str
    claim: str
    bound: str
    measured: str
    ok: bool | None
    where: str


def write_lines(name: str, lines: list[Line], folder: Path = FOLDER) -> None:
    """Write the claims of one page."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [line._replace(ok=None if line.ok is None else bool(line.ok)) for line in lines]
    text = json.dumps([line._asdict() for line in made], indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_lines(name: str, folder: Path = FOLDER) -> list[Line] | None:
    """Read the claims of one page; None where it was not made."""
    file = folder / f"{name}.json"
    if not file.is_file():
        return None
    return [Line(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
