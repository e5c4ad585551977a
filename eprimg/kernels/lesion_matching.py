"""Which lesion of one label volume is which of another: overlap first, then the nearest centre."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from eprimg.errors import GeometryError, InputError

__all__ = ["LesionMatch", "match_lesions"]


class LesionMatch(NamedTuple):
    """Lesions that belong together.

    Attributes
    ----------
    first, second : tuple of int
        Labels of the two volumes, in rising order.
    kind : str
        ``same`` (one and one), ``split`` (one became several), ``merge`` (several became one),
        ``mixed`` (several and several), ``gone`` (only in the first) or ``new`` (only in the
        second).
    by : str
        ``overlap``, ``distance`` or empty.
    dice : float
        Twice the shared volume over the sum of both volumes; NaN for gone and new.
    distance_mm : float
        Between the centres of the joined lesions; NaN for gone and new.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    kind: str
    by: str
    dice: float
    distance_mm: float


def match_lesions(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    spacing_mm: Sequence[float],
    *,
    least_overlap: float = 0.1,
    most_distance_mm: float = 20.0,
) -> tuple[LesionMatch, ...]:
    """Match the lesions of two label volumes on one grid.

    Parameters
    ----------
    first, second : ndarray of integer, shape (k, j, i)
        Labels; zero and negative ones are background.
    spacing_mm : sequence of float
        Voxel spacing along (k, j, i) in mm.
    least_overlap : float
        Two lesions belong together when they share at least this part of the smaller one.
    most_distance_mm : float
        Lesions without a partner are matched by the distance of their centres up to this one;
        0 matches by overlap alone.

    Returns
    -------
    tuple of LesionMatch
        Every label of both volumes once; in the order of the first labels, new ones last.

    Raises
    ------
    GeometryError
        ``E_ARGUMENT``: shapes differ.
    InputError
        ``E_ARGUMENT``: a limit or the spacing is out of range.

    Notes
    -----
    Overlap: the shared volume over the smaller of the two volumes, so that a part of a lesion that
    split off still counts.  Lesions joined by such overlaps, directly or through others, form one
    match; its numbers tell a split from a merge.  Those left over are paired one to one with the
    smallest sum of distances between their centres of mass [1]_, leaving out pairs beyond the
    limit.  The limits are house rules, not published: after registration within 2 mm an unmoved
    lesion of 10 mm overlaps.

    References
    ----------
    .. [1] Kuhn HW. The Hungarian method for the assignment problem. Naval Research Logistics
       Quarterly 1955;2:83-97.
    """
    steps = _checked(first, second, spacing_mm, least_overlap, most_distance_mm)
    labels, sizes, centres = zip(*(_measured(v, steps) for v in (first, second)), strict=True)
    shared = _shared(first, second, labels[0], labels[1])
    groups = _groups(shared, sizes[0], sizes[1], least_overlap)
    matches = [
        _match(rows, columns, "overlap", labels, sizes, centres, shared) for rows, columns in groups
    ]
    taken_rows = {r for rows, _ in groups for r in rows}
    taken_columns = {c for _, columns in groups for c in columns}
    lone_rows = [r for r in range(len(labels[0])) if r not in taken_rows]
    lone_columns = [c for c in range(len(labels[1])) if c not in taken_columns]
    for row, column in _nearest(centres[0][lone_rows], centres[1][lone_columns], most_distance_mm):
        pair = ([lone_rows[row]], [lone_columns[column]])
        matches.append(_match(*pair, "distance", labels, sizes, centres, shared))
        taken_rows.add(lone_rows[row])
        taken_columns.add(lone_columns[column])
    nothing = (math.nan, math.nan)
    matches += [
        LesionMatch((int(labels[0][r]),), (), "gone", "", *nothing)
        for r in lone_rows
        if r not in taken_rows
    ]
    matches.sort(key=lambda m: m.first)
    new = [c for c in lone_columns if c not in taken_columns]
    return (
        *matches,
        *(LesionMatch((), (int(labels[1][c]),), "new", "", *nothing) for c in new),
    )


def _measured(
    volume: NDArray[np.integer], steps: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Labels, voxels and centres of mass in mm."""
    places = np.argwhere(volume > 0)
    values = volume[tuple(places.T)].astype(np.int64)
    labels, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    centres = np.stack(
        [np.bincount(index, places[:, a] * steps[a], len(labels)) for a in range(3)], axis=1
    )
    return labels, counts.astype(np.int64), centres / np.maximum(counts, 1)[:, None]


def _shared(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Voxels that every pair of lesions shares."""
    both = (first > 0) & (second > 0)
    shared = np.zeros((len(rows), len(columns)), dtype=np.int64)
    place = (np.searchsorted(rows, first[both]), np.searchsorted(columns, second[both]))
    np.add.at(shared, place, 1)
    return shared


def _groups(
    shared: NDArray[np.int64],
    sizes_first: NDArray[np.int64],
    sizes_second: NDArray[np.int64],
    least: float,
) -> list[tuple[list[int], list[int]]]:
    """Lesions that are joined by overlaps, directly or through others."""
    smaller = np.minimum(sizes_first[:, None], sizes_second[None, :])
    joined = (shared > 0) & (shared >= least * smaller)
    groups = []
    open_rows = set(np.flatnonzero(joined.any(axis=1)).tolist())
    while open_rows:
        rows = {min(open_rows)}
        while True:
            columns = set(np.flatnonzero(joined[sorted(rows)].any(axis=0)).tolist())
            wider = set(np.flatnonzero(joined[:, sorted(columns)].any(axis=1)).tolist())
            if wider == rows:
                break
            rows = wider
        groups.append((sorted(rows), sorted(columns)))
        open_rows -= rows
    return groups


def _nearest(
    first: NDArray[np.float64], second: NDArray[np.float64], most_mm: float
) -> list[tuple[int, int]]:
    """Pairs with the smallest sum of distances; a pair beyond the limit costs more than none."""
    if not len(first) or not len(second):
        return []
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    # Leaving a lesion alone costs the limit, so a far pair never wins over none.
    rows, columns = linear_sum_assignment(np.minimum(distance, most_mm))
    return [
        (int(r), int(c))
        for r, c in zip(rows, columns, strict=True)
        if distance[r, c] <= most_mm and most_mm > 0
    ]


def _match(
    rows: list[int],
    columns: list[int],
    by: str,
    labels: tuple[NDArray[np.int64], ...],
    sizes: tuple[NDArray[np.int64], ...],
    centres: tuple[NDArray[np.float64], ...],
    shared: NDArray[np.int64],
) -> LesionMatch:
    kind = {(False, False): "same", (False, True): "split", (True, False): "merge"}.get(
        (len(rows) > 1, len(columns) > 1), "mixed"
    )
    one, other = sizes[0][rows], sizes[1][columns]
    middle = [
        (centres[n][at] * size[:, None]).sum(axis=0) / size.sum()
        for n, at, size in ((0, rows, one), (1, columns, other))
    ]
    overlap = int(shared[np.ix_(rows, columns)].sum())
    return LesionMatch(
        tuple(int(v) for v in labels[0][rows]),
        tuple(int(v) for v in labels[1][columns]),
        kind,
        by,
        2.0 * overlap / float(one.sum() + other.sum()),
        float(np.linalg.norm(middle[0] - middle[1])),
    )


def _checked(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    spacing_mm: Sequence[float],
    least_overlap: float,
    most_distance_mm: float,
) -> NDArray[np.float64]:
    if first.ndim != 3 or first.shape != second.shape:
        raise GeometryError(
            "the two label volumes lie on one grid",
            code="E_ARGUMENT",
            where="second",
            value=(first.shape, second.shape),
            action="bring both to one grid first",
        )
    steps = np.asarray(spacing_mm, dtype=np.float64)
    fine = steps.shape == (3,) and bool((np.isfinite(steps) & (steps > 0)).all())
    limits = (least_overlap, most_distance_mm)
    if not fine or not 0.0 <= least_overlap <= 1.0 or not 0.0 <= most_distance_mm < math.inf:
        raise InputError(
            "spacings are above 0 mm, the overlap is 0 to 1, the distance 0 mm or more",
            code="E_ARGUMENT",
            where="spacing_mm, least_overlap, most_distance_mm",
            value=(tuple(spacing_mm), *limits),
            action="give lengths in mm",
        )
    return steps
