"""Would a series fit better turned or mirrored?  A wrong orientation in the header looks like this.

A trunk is nearly its own mirror image, so a search over small movements settles on a good-looking
place even when left and right are exchanged.  The other seven orientations are therefore tried too,
along the axes of either grid and of the patient; the best of them move to their own best place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.similarity import SimilarityCheck

__all__ = ["OtherOrientation", "best_other_orientation"]

FloatArray = npt.NDArray[np.float64]

_MIRRORED = ("left to right", "front to back", "head to foot")
_AXES = ("left-right", "front-back", "head-foot")
_CLIMBED = 3
_STEPS_MM_DEG = (8.0, 4.0, 2.0)
_MOST_MOVES = 6


@dataclass(frozen=True, eq=False, slots=True)
class OtherOrientation:
    """The turned or mirrored position that fits best.

    Parameters
    ----------
    name : str
        What the change of orientation is, in words.
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
    accepted: npt.ArrayLike,
    *,
    minimum_overlap_fraction: float,
    ask: Callable[[], object] | None = None,
) -> OtherOrientation:
    """Turn and mirror the moving series and return what fits best.

    Parameters
    ----------
    check : SimilarityCheck
        Gives the figure that is returned.
    coarse : SimilarityCheck
        The same volumes on a wider lattice, for the search.
    accepted : array_like, shape (4, 4)
        The alignment to be doubted, from the fixed frame to the moving frame.
    minimum_overlap_fraction : float
        Positions at which the fields of view overlap less are not compared.
    ask : callable, optional
        Called before every comparison; it may raise to end the search.

    Returns
    -------
    OtherOrientation
        The best of three half turns, three mirrorings along one axis and the mirroring along all
        three.
    """
    search = _Search(
        coarse,
        np.asarray(accepted, dtype=float),
        minimum_overlap_fraction,
        ask or (lambda: None),
    )
    found = []
    for signs in product((1.0, -1.0), repeat=3):
        if min(signs) < 0:
            value, place = max(
                ((search.fit(place), place) for place in search.places(signs)),
                key=lambda entry: entry[0],
            )
            found.append((value, _name(signs), place))
    found.sort(key=lambda entry: -entry[0])
    best = OtherOrientation("", float("nan"), np.eye(4))
    for value, name, place in found[:_CLIMBED]:
        if value > 0:
            there = search.climbed(place)
            # The wider lattice can lead astray: where the climb began counts too.
            for matrix in (place, there):
                search.ask()
                nmi = check.at(matrix, local=False).nmi
                if np.isfinite(nmi) and not nmi <= best.nmi:
                    best = OtherOrientation(name, nmi, matrix)
    return best


class _Search:
    def __init__(
        self,
        check: SimilarityCheck,
        accepted: FloatArray,
        overlap: float,
        ask: Callable[[], object],
    ) -> None:
        self.ask = ask
        self.check = check
        self.accepted = accepted
        self.overlap = overlap
        self.middle = check.grids[0].center_lps_mm

    def fit(self, place: FloatArray) -> float:
        self.ask()
        found = self.check.at(place, local=False)
        usable = np.isfinite(found.nmi) and found.overlap_fraction >= self.overlap
        return found.nmi if usable else 0.0

    def places(self, signs: tuple[float, ...]) -> Iterator[FloatArray]:
        """Yield positions with one change of orientation.

        Pixels stored in the wrong order are turned along the axes of their grid, a wrong patient
        position along those of the patient.  A search led astray may have turned the series, so the
        header's angles are tried beside those of the accepted alignment.
        """
        fixed, moving = self.check.grids
        first, second = self.check.centroids_mm
        for start in (self.accepted, np.eye(4)):
            for turned in (
                _about(moving.center_lps_mm, _along(moving.axes_lps, signs)) @ start,
                start @ _about(self.middle, _along(fixed.axes_lps, signs)),
                start @ _about(self.middle, np.diag(signs)),
            ):
                yield turned
                centred = np.array(turned)
                centred[:3, 3] = second - turned[:3, :3] @ first
                yield centred

    def climbed(self, place: FloatArray) -> FloatArray:
        """Shift and turn in small steps as long as it gets better."""
        best = self.fit(place)
        for step in _STEPS_MM_DEG:
            for _ in range(_MOST_MOVES):
                beside = [place @ move for move in _moves(step, self.middle)]
                values = [self.fit(matrix) for matrix in beside]
                top = int(np.argmax(values))
                if values[top] <= best:
                    break
                best, place = values[top], beside[top]
        return place


def _along(axes: FloatArray, signs: tuple[float, ...]) -> FloatArray:
    """Mirror along the axes of a grid that lie nearest to those patient axes."""
    lengths = np.abs(axes)
    nearest = max(permutations(range(3)), key=lambda order: sum(lengths[list(order), range(3)]))
    return np.asarray(axes @ np.diag([signs[axis] for axis in nearest]) @ np.linalg.inv(axes))


def _about(centre: FloatArray, linear: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre - linear @ centre
    return matrix


def _moves(step: float, centre: FloatArray) -> Iterator[FloatArray]:
    """Yield shifts by so many mm and turns by so many degrees, along and about each axis."""
    for axis, size in product(range(3), (-step, step)):
        shift = np.eye(4)
        shift[axis, 3] = size
        yield shift
        angle = np.radians(size)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[two, one] = np.sin(angle)
        turn[one, two] = -turn[two, one]
        yield _about(centre, turn)


def _name(signs: tuple[float, ...]) -> str:
    changed = [axis for axis, sign in enumerate(signs) if sign < 0]
    if len(changed) == 1:
        return f"mirrored {_MIRRORED[changed[0]]}"
    if len(changed) == 3:
        return "mirrored along all three axes"
    (kept,) = {0, 1, 2} - set(changed)
    return f"turned by 180 degrees about the {_AXES[kept]} axis"
