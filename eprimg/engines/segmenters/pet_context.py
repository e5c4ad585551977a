"""What a PET segmenter may know besides the map: organs, tracer, and what a person pointed at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eprimg.model.lesions import LesionSet

__all__ = ["PetContext", "liver_seeking"]

_LIVER_NUCLIDES = ("89Zr", "64Cu")
_LIVER_WORDS = re.compile(
    r"ferumoxytol|feraheme|nanopartic|liposom|antibod|immuno|\w+mab\b|\bzirconium|\bcopper"
    r"|(?<!\d)(?:89[\^\s_-]*zr|64[\^\s_-]*cu)(?![a-z])|(?<![a-z])(?:zr[\^\s_-]*89|cu[\^\s_-]*64)(?!\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False, slots=True)
class PetContext:
    """Surroundings of a PET map.

    Parameters
    ----------
    organs : LesionSet or None
        Reference regions and excluded parts on the grid of the map.
    nuclide : str
        E.g. ``89Zr``; empty when it is not known.
    tracer : str
        What was injected, in words; empty when nobody said.
    seeds : tuple of (int, int, int)
        Voxels (k, j, i) that a person pointed at: only these lesions are outlined.
    """

    organs: LesionSet | None = None
    nuclide: str = ""
    tracer: str = ""
    seeds: tuple[tuple[int, int, int], ...] = ()


def liver_seeking(nuclide: str, tracer: str) -> str:
    """Say why the liver is a target of the tracer, so that it is no reference.

    Parameters
    ----------
    nuclide, tracer : str
        As in `PetContext`.

    Returns
    -------
    str
        The reason; empty for any other tracer, and when nothing is known.

    Notes
    -----
    89Zr and 64Cu are the labels of antibodies and nanoparticles, which the liver takes up; 64Cu
    goes there by itself as well.  FDG is what PERCIST was made for.
    """
    named = _LIVER_WORDS.search(tracer)
    if named:
        return f"{tracer} is taken up by the liver on purpose"
    if nuclide in _LIVER_NUCLIDES:
        return f"{nuclide} labels antibodies and nanoparticles, which the liver takes up"
    return ""
