"""Which minimum is the right one: what the samples say, and what the neighbours' field says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eprimg.kernels._fat_water_model import Real

__all__ = ["Choice", "choose"]

_ROUNDS = 10
_FIELD_SCALE_HZ = 30.0
"""A field that differs by this much from the neighbours' costs one."""

_MOST = 40.0
"""What the neighbours can cost at most: clear samples outvote them."""

_ODDS = 9.0
"""Below this difference of two costs (odds of 90 to 1) a choice is not safe."""

_SAME_HZ = 25.0
"""Minima nearer than this are one answer."""


class Choice(NamedTuple):
    """The minimum of each voxel, and whether another one is about as good.

    Attributes
    ----------
    which : ndarray of int, shape (n,)
        Column of the candidates.
    margin : ndarray, shape (n,)
        Cost of the best other answer minus that of the chosen one.
    safe : ndarray of bool, shape (n,)
        False where `margin` is too small.
    """

    which: NDArray[np.intp]
    margin: Real
    safe: NDArray[np.bool_]


def choose(
    field_hz: Real,
    rss: Real,
    variance: Real,
    energy: Real,
    places: NDArray[np.bool_],
    smoothing_voxels: tuple[float, ...] | None,
    period_hz: float | None,
) -> Choice:
    """Choose among the minima of every voxel.

    Parameters
    ----------
    field_hz, rss : ndarray, shape (n, n_candidates)
        Field offset and residual sum of squares of each minimum; infinite `rss` where absent.
    variance : ndarray, shape (n,)
        Variance of the noise per real or imaginary part.
    energy : ndarray, shape (n,)
        Sum of the squared samples.
    places : ndarray of bool, leading shape
        The n voxels.
    smoothing_voxels : tuple of float, optional
        Standard deviation of the neighbourhood along every leading axis; none to leave the
        neighbours out.
    period_hz : float, optional
        Fields that differ by a multiple of this are the same.

    Returns
    -------
    Choice
        One column per voxel.

    Notes
    -----
    The cost of a minimum is ``rss / variance`` plus ``min((d / 30 Hz)**2, 40)``, with ``d`` the
    distance to the mean field of the neighbours.  The mean runs over voxels in proportion to
    their energy and to how clearly they have decided; it is made anew ten times, so that
    the decided ones carry their field into the undecided.
    """
    cost = rss / variance[:, None]
    cost -= cost[:, :1]
    which = np.zeros(len(cost), dtype=np.intp)
    if smoothing_voxels is None:
        return _judged(field_hz, cost, which, period_hz)
    strength = np.minimum(energy / variance, 1e4)
    now = _judged(field_hz, cost, which, period_hz)
    for number in range(_ROUNDS):
        weight = strength * (now.margin / (now.margin + _ODDS)).clip(0.0, 1.0)
        mine = np.take_along_axis(field_hz, which[:, None], axis=1)[:, 0]
        mean, known = _mean_field(mine, weight, places, smoothing_voxels, period_hz)
        distance = _distance(field_hz, mean[:, None], period_hz)
        prior = np.minimum((distance / _FIELD_SCALE_HZ) ** 2, _MOST)
        whole = cost + np.where(known[:, None], prior, 0.0)
        before, which = which, np.where(np.isfinite(whole), whole, np.inf).argmin(axis=1)
        now = _judged(field_hz, whole, which, period_hz)
        if number > 0 and np.array_equal(before, which):
            break
    return now


def _distance(a: Real, b: Real, period_hz: float | None) -> Real:
    difference = np.abs(a - b)
    if period_hz is not None:
        difference = difference % period_hz
        difference = np.minimum(difference, period_hz - difference)
    return np.asarray(difference)


def _judged(field_hz: Real, cost: Real, which: NDArray[np.intp], period_hz: float | None) -> Choice:
    mine = np.take_along_axis(field_hz, which[:, None], axis=1)
    least = np.take_along_axis(cost, which[:, None], axis=1)[:, 0]
    other = np.where(_distance(field_hz, mine, period_hz) > _SAME_HZ, cost, np.inf)
    margin = np.where(np.isnan(other), np.inf, other).min(axis=1) - least
    margin = np.minimum(margin, 1e6)
    return Choice(which, margin, margin >= _ODDS)


def _mean_field(
    field_hz: Real,
    weight: Real,
    places: NDArray[np.bool_],
    smoothing_voxels: tuple[float, ...],
    period_hz: float | None,
) -> tuple[Real, NDArray[np.bool_]]:
    """Return the mean field of the others around each voxel, and where there are any."""

    def spread(values: Real) -> Real:
        whole = np.zeros(places.shape)
        whole[places] = values
        smooth = gaussian_filter(whole, smoothing_voxels, mode="constant", truncate=3.0)
        # A voxel is no neighbour of its own.
        return np.asarray(smooth[places] - centre * values)

    point = np.zeros(tuple(2 * int(np.ceil(3.0 * s)) + 1 for s in smoothing_voxels))
    middle = tuple(n // 2 for n in point.shape)
    point[middle] = 1.0
    centre = float(gaussian_filter(point, smoothing_voxels, mode="constant", truncate=3.0)[middle])
    total = spread(weight)
    known = total > 1e-6 * max(float(weight.max(initial=0.0)), 1e-300)
    safe = np.where(known, total, 1.0)
    if period_hz is None:
        return spread(weight * field_hz) / safe, known
    turn = 2.0 * np.pi * field_hz / period_hz
    mean = np.arctan2(spread(weight * np.sin(turn)), spread(weight * np.cos(turn)))
    return mean * period_hz / (2.0 * np.pi), known
