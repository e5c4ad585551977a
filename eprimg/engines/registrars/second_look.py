"""Does a place nearby fit better?  A small search of its own, apart from any engine.

An alignment that stopped at the wrong place, was planted there, or came from a file does not show
it in its own figures.  Here the series are shifted and turned a little as long as mutual
information grows; the distance to where that ends is a figure of the alignment, in millimetres.
The same is done from the other side, with the roles of the two series exchanged.

References
----------
Christensen GE, Johnson HJ, IEEE Trans Med Imaging 2001;20:568, doi 10.1109/42.932742 (consistency
of the two directions).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.similarity import SimilarityCheck, moved_rms_mm
from eprimg.model.transform import Transform

__all__ = ["SecondLook", "fit_nearby", "inverse_distance_mm"]

FloatArray = npt.NDArray[np.float64]

_STEPS = (8.0, 4.0, 2.0, 1.0)
_SWEEPS = 6
_REACH_MM = 60.0


@dataclass(frozen=True, eq=False, slots=True)
class SecondLook:
    """The best place near an alignment.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        What has to follow the alignment to get there, in the moving frame.
    moved_mm : float
        Root-mean-square distance to it over the body of the fixed series; NaN when nothing could
        be compared.
    gain : float
        Normalised mutual information minus 1 there over that of the alignment, minus 1.
    """

    matrix: FloatArray
    moved_mm: float
    gain: float


def fit_nearby(
    check: SimilarityCheck,
    transform: npt.ArrayLike | Transform,
    *,
    ask: Callable[[], object] | None = None,
) -> SecondLook:
    """Shift and turn the moving series as long as it fits better.

    Parameters
    ----------
    check : SimilarityCheck
        The two volumes, prepared; a lattice of about 8 mm is fine enough to find 1 mm.
    transform : array_like, shape (4, 4), or Transform
        The alignment.  A bent one is moved as a whole.
    ask : callable, optional
        Called before every comparison; it may raise to end the search.

    Returns
    -------
    SecondLook
        Where it ended.

    Notes
    -----
    Per sweep the figure is taken one step to either side along and about each of three axes; each
    of the six coordinates then goes to the top of the parabola through its three values, at most
    one step.  A sweep that does not raise the figure ends the step; steps are 8, 4, 2 and 1 mm or
    degrees.
    """
    place = _Place(check, transform, ask or (lambda: None))
    before = place.value
    if not np.isfinite(before):
        return SecondLook(np.eye(4), float("nan"), float("nan"))
    for step in _STEPS:
        for _ in range(_SWEEPS):
            if not place.sweep(step) or place.moved_mm() > _REACH_MM:
                break
    here = before - 1.0
    gain = (place.value - 1.0) / here - 1.0 if here > 0 else float("inf")
    return SecondLook(place.follow, place.moved_mm(), gain)


def inverse_distance_mm(
    back: SimilarityCheck,
    matrix: npt.ArrayLike,
    points_mm: npt.ArrayLike,
    *,
    ask: Callable[[], object] | None = None,
) -> float:
    """Return how far there and back again ends from where it began.

    Parameters
    ----------
    back : SimilarityCheck
        The two volumes with their roles exchanged.
    matrix : array_like, shape (4, 4)
        The alignment, from the fixed frame to the moving frame.
    points_mm : array_like, shape (n, 3)
        Points of the fixed body, LPS mm.
    ask : callable, optional
        As above.

    Returns
    -------
    float
        Root-mean-square distance between each point and where the alignment, followed by a
        second estimate of the way back, brings it.
    """
    there = np.asarray(matrix, dtype=float)
    home = np.linalg.inv(there)
    found = fit_nearby(back, home, ask=ask)
    if not np.isfinite(found.moved_mm):
        return float("nan")
    return moved_rms_mm(points_mm, found.matrix @ home @ there, np.eye(4))


class _Place:
    """An alignment and the movement after it."""

    def __init__(
        self,
        check: SimilarityCheck,
        transform: npt.ArrayLike | Transform,
        ask: Callable[[], object],
    ) -> None:
        points = check.body_mm()
        self.check, self.start, self.ask = check, transform, ask
        if isinstance(transform, Transform):
            self.points = transform.apply(points)
        else:
            matrix = np.asarray(transform, dtype=float)
            self.points = points @ matrix[:3, :3].T + matrix[:3, 3]
        self.middle = self.points.mean(axis=0)
        self.follow = np.eye(4)
        self.value = self.fit(self.follow)

    def at(self, follow: FloatArray) -> FloatArray | Transform:
        start = self.start
        if isinstance(start, Transform):
            return Transform(
                follow @ start.matrix, start.from_frame, start.to_frame, start.displacement
            )
        return np.asarray(follow @ np.asarray(start))

    def moved_mm(self) -> float:
        return moved_rms_mm(self.points, self.follow, np.eye(4))

    def sweep(self, step: float) -> bool:
        """Take one step in all six coordinates at once; False when nothing better was found."""
        tried: list[tuple[float, FloatArray]] = []
        best = np.zeros(6)
        for axis in range(6):
            beside = []
            for sign in (-1.0, 1.0):
                six = np.zeros(6)
                six[axis] = sign * step
                follow = self._moved(six)
                beside.append(self.fit(follow))
                tried.append((beside[-1], follow))
            best[axis] = _top(beside[0], self.value, beside[1]) * step
        together = self._moved(best)
        tried.append((self.fit(together), together))
        value, follow = max(tried, key=lambda entry: entry[0])
        if not value > self.value + 1e-6:
            return False
        # Far less than a step was gained: the next, smaller step does the rest.
        small = moved_rms_mm(self.points, follow, self.follow) < 0.25 * step
        self.value, self.follow = value, follow
        return not small

    def fit(self, follow: FloatArray) -> float:
        self.ask()
        found = self.check.at(self.at(follow), local=False).nmi
        return found if np.isfinite(found) else -np.inf

    def _moved(self, six: FloatArray) -> FloatArray:
        angles = np.radians(six[3:])
        turn = np.eye(3)
        for axis, angle in enumerate(angles):
            one, two = (axis + 1) % 3, (axis + 2) % 3
            part = np.eye(3)
            part[one, one] = part[two, two] = np.cos(angle)
            part[two, one] = np.sin(angle)
            part[one, two] = -part[two, one]
            turn = part @ turn
        move = np.eye(4)
        move[:3, :3] = turn
        move[:3, 3] = self.middle - turn @ self.middle + six[:3]
        return np.asarray(move @ self.follow)


def _top(left: float, middle: float, right: float) -> float:
    """Return the top of a parabola through three values at -1, 0 and 1, kept within -1 to 1."""
    if not (np.isfinite(left) and np.isfinite(right)):
        return 0.0
    bend = left - 2.0 * middle + right
    if bend >= 0:
        return float(np.sign(right - left)) if max(left, right) > middle else 0.0
    return float(np.clip(0.5 * (left - right) / bend, -1.0, 1.0))
