"""Would a series fit better turned or mirrored?  A wrong orientation in the header looks like this.

A trunk is nearly its own mirror image, so a search over small movements settles on a good-looking
place even when left and right are exchanged.  The other seven orientations of the moving series are
therefore tried too, each about the centre of either field of view and moved to its own best place.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.similarity import SimilarityCheck
from eprimg.model.grid import Grid

__all__ = ["OtherOrientation", "best_other_orientation"]

FloatArray = npt.NDArray[np.float64]

_WORDS = ("left-right", "front-back", "head-feet")
_CLIMBED = 3
_STEPS_MM = (8.0, 4.0)
_MOST_MOVES = 12


@dataclass(frozen=True, eq=False, slots=True)
class OtherOrientation:
    """The turned or mirrored position that fits best.

    Parameters
    ----------
    name : str
        What was done to the moving series, in words.
    nmi : float
        Normalised mutual information there; NaN when no position could be compared.
    matrix : ndarray, shape (4, 4)
        From the fixed frame to the moving frame; mirrored when its determinant is negative.
    """

    name: str
    nmi: float
    matrix: FloatArray


def best_other_orientation(
    check: SimilarityCheck,
    coarse: SimilarityCheck,
    grids: tuple[Grid, Grid],
    starts: tuple[npt.ArrayLike, ...],
) -> OtherOrientation:
    """Turn and mirror the moving series and return what fits best.

    Parameters
    ----------
    check : SimilarityCheck
        Gives the figure that is returned.
    coarse : SimilarityCheck
        The same volumes on a wider lattice, for the search.
    grids : tuple of Grid
        The fixed and the moving grid.
    starts : tuple of array_like, shape (4, 4)
        Positions to turn and mirror: the accepted one, and the start, which a search that was led
        astray has not yet moved.

    Returns
    -------
    OtherOrientation
        The best of three half turns, three mirrorings along one axis and the mirroring along all
        three, the axes being those of the series that is turned.
    """
    fixed, moving = grids
    tried: list[tuple[float, str, FloatArray]] = []
    for signs in product((1.0, -1.0), repeat=3):
        if min(signs) > 0:
            continue
        places = []
        for start in (np.asarray(s, dtype=float) for s in starts):
            # Whichever of the two series has the wrong header: its own axes and centre count.
            places += [_turned(moving, signs) @ start, start @ _turned(fixed, signs)]
        best = max(places, key=lambda place: _fit(coarse, place))
        tried.append((_fit(coarse, best), _name(moving, signs), best))
    tried.sort(key=lambda entry: -entry[0])
    found = OtherOrientation("", float("nan"), np.eye(4))
    for _, name, place in tried[:_CLIMBED]:
        place = _climbed(coarse, place)
        nmi = check.at(place, local=False).nmi
        if np.isfinite(nmi) and not nmi <= found.nmi:
            found = OtherOrientation(name, nmi, place)
    return found


def _fit(check: SimilarityCheck, place: FloatArray) -> float:
    nmi = check.at(place, local=False).nmi
    return nmi if np.isfinite(nmi) else 0.0


def _climbed(check: SimilarityCheck, place: FloatArray) -> FloatArray:
    """Shift along the axes as long as it gets better."""
    best = _fit(check, place)
    for step in _STEPS_MM:
        for _ in range(_MOST_MOVES):
            beside = []
            for axis, sign in product(range(3), (-step, step)):
                shifted = np.array(place)
                shifted[axis, 3] += sign
                beside.append((_fit(check, shifted), shifted))
            value, shifted = max(beside, key=lambda entry: entry[0])
            if value <= best:
                break
            best, place = value, shifted
    return place


def _turned(grid: Grid, signs: tuple[float, ...]) -> FloatArray:
    """Return the map that mirrors along the axes of a grid, about its centre."""
    axes = grid.axes_lps
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ np.diag(signs) @ np.linalg.inv(axes)
    centre = grid.center_lps_mm
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def _name(grid: Grid, signs: tuple[float, ...]) -> str:
    """Name a change of orientation by the patient axes nearest to the grid's."""
    along = np.abs(grid.axes_lps)
    nearest = max(permutations(range(3)), key=lambda order: sum(along[order, range(3)]))
    changed = [_WORDS[axis] for axis, sign in sorted(zip(nearest, signs, strict=True)) if sign < 0]
    if len(changed) == 1:
        return f"mirrored {changed[0]}"
    if len(changed) == 3:
        return "mirrored along all three axes"
    (axis,) = set(_WORDS) - set(changed)
    return f"turned by 180 degrees about the {axis} axis"
