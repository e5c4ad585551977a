"""Nuclides of the table: found by DICOM code or by name, with half-life and citation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from eprimg.resources import load_resource

__all__ = ["Nuclide", "nuclide_by_code", "nuclide_by_name", "nuclides"]

_NAMES = {
    "F": "fluorine",
    "Ga": "gallium",
    "Cu": "copper",
    "Zr": "zirconium",
    "I": "iodine",
    "C": "carbon",
    "N": "nitrogen",
    "O": "oxygen",
    "Ge": "germanium",
    "In": "indium",
}


@dataclass(frozen=True, slots=True)
class Nuclide:
    """One row of ``nuclides.toml``.

    Parameters
    ----------
    key : str
        E.g. ``89Zr``.
    half_life_s : float
        Half-life in s.
    citation : str
        Evaluation that the half-life comes from.
    positron : bool
        False when a PET scanner cannot have imaged it.
    codes : tuple of str
        DICOM code values (SCT and older SNOMED).
    """

    key: str
    half_life_s: float
    citation: str
    positron: bool
    codes: tuple[str, ...]


@cache
def nuclides() -> tuple[Nuclide, ...]:
    """Return the table.

    Returns
    -------
    tuple of Nuclide
        In the order of the file.
    """
    return tuple(
        Nuclide(
            key, float(row["half_life_s"]), row["citation"], row["positron"], tuple(row["codes"])
        )
        for key, row in load_resource("nuclides.toml").items()
    )


def nuclide_by_code(value: str) -> Nuclide | None:
    """Find a nuclide by its DICOM code value.

    Parameters
    ----------
    value : str
        SCT or older SNOMED code value; scheme designators vary between vendors and are ignored.

    Returns
    -------
    Nuclide or None
        None when the table does not hold the code.
    """
    return next((n for n in nuclides() if value and value in n.codes), None)


def nuclide_by_name(text: str) -> Nuclide | None:
    """Find the one nuclide that a text names.

    Parameters
    ----------
    text : str
        E.g. ``89Zr``, ``Zr-89 trastuzumab``, ``^68^Gallium``.

    Returns
    -------
    Nuclide or None
        None when the text names none of the table, or more than one.
    """
    found = [n for n in nuclides() if _pattern(n.key).search(text)]
    return found[0] if len(found) == 1 else None


@cache
def _pattern(key: str) -> re.Pattern[str]:
    match = re.fullmatch(r"(\d+)([A-Z][a-z]?)", key)
    if match is None:
        raise AssertionError(f"not the key of a nuclide: {key}")
    mass, symbol = match.groups()
    element = f"(?:{_NAMES[symbol]}|{symbol})"
    gap = r"[\^\s_-]*"
    return re.compile(
        rf"(?<![\d.]){mass}{gap}{element}(?![A-Za-z])|(?<![A-Za-z]){element}{gap}{mass}(?!\d)",
        re.IGNORECASE,
    )
