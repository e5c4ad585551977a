"""Peak uptake in a small sphere: SUVpeak, and the IBSI local intensity peak, named apart.

The two differ in where the sphere may sit and in how voxels at its surface count.  State which one
a number is: for small or noisy lesions they differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError

__all__ = [
    "PeakResult",
    "global_intensity_peak",
    "local_intensity_peak",
    "sphere_weights",
    "suv_peak",
]

_CHORDS_PER_SIDE = 32

# Label, peak, centre, fraction inside.
_Row = tuple[int, float, tuple[int, ...], float]
_Box = tuple[slice, ...]


class PeakResult(NamedTuple):
    """Peak per positive label, in rising order of the label.

    Attributes
    ----------
    label : ndarray of int64, shape (n_labels,)
        The labels.
    peak : ndarray of float64, shape (n_labels,)
        Peak in the unit of the map; NaN where no sphere could be placed.
    center_index : ndarray of int64, shape (n_labels, 3)
        Index (k, j, i) of the voxel at the centre of the sphere; -1 where there is none.
    fraction_inside : ndarray of float64, shape (n_labels,)
        Part of the sphere that lies on valid voxels of the volume; below 1 the sphere was cut.
    """

    label: NDArray[np.int64]
    peak: NDArray[np.float64]
    center_index: NDArray[np.int64]
    fraction_inside: NDArray[np.float64]


def sphere_weights(
    spacing_mm: Sequence[float] | NDArray[np.floating], *, diameter_mm: float = 12.4
) -> NDArray[np.float64]:
    """Fraction of each voxel that lies inside a sphere at the centre of the middle voxel.

    Parameters
    ----------
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    diameter_mm : float, optional
        Diameter of the sphere in mm; 12.4 mm is 1 mL.

    Returns
    -------
    ndarray of float64, shape (2 a + 1, 2 b + 1, 2 c + 1)
        Fractions between 0 and 1.

    Raises
    ------
    InputError
        A spacing or the diameter is not finite or not positive.

    Notes
    -----
    Voxels cut by the surface are divided into 32 x 32 columns whose length inside the sphere is
    exact.  The sum times the voxel volume equals the volume of the sphere within 2e-4, single
    fractions are right within 1e-3 (spacings 0.5-6 mm; 1e-3 for the sum with larger voxels).
    """
    return _sphere_weights(_spacing(spacing_mm), _radius(diameter_mm)).copy()


@lru_cache(maxsize=16)
def _sphere_weights(spacing: tuple[float, float, float], radius: float) -> NDArray[np.float64]:
    """Weights of one sphere; the same few spheres are asked for again and again."""
    reach = [math.ceil(radius / step - 0.5) for step in spacing]
    offsets = [np.arange(-r, r + 1) for r in reach]
    centres = [o * step for o, step in zip(offsets, spacing, strict=True)]
    far = _squared([np.abs(c) + 0.5 * s for c, s in zip(centres, spacing, strict=True)])
    near = _squared(
        [np.maximum(np.abs(c) - 0.5 * s, 0.0) for c, s in zip(centres, spacing, strict=True)]
    )
    weights = (far <= radius**2).astype(np.float64)
    k, j, i = np.nonzero((near < radius**2) & (far > radius**2))

    step_k, step_j, step_i = spacing
    ticks = (np.arange(_CHORDS_PER_SIDE) + 0.5) / _CHORDS_PER_SIDE - 0.5
    y = centres[1][j][:, None, None] + step_j * ticks[None, :, None]
    x = centres[2][i][:, None, None] + step_i * ticks[None, None, :]
    half = np.sqrt(np.maximum(radius**2 - y * y - x * x, 0.0))
    top = np.minimum(centres[0][k][:, None, None] + 0.5 * step_k, half)
    bottom = np.maximum(centres[0][k][:, None, None] - 0.5 * step_k, -half)
    weights[k, j, i] = np.maximum(top - bottom, 0.0).mean(axis=(1, 2)) / step_k
    return weights


def suv_peak(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    spacing_mm: Sequence[float] | NDArray[np.floating],
    *,
    diameter_mm: float = 12.4,
    valid: NDArray[np.bool_] | None = None,
    minimum_fraction: float = 0.5,
) -> PeakResult:
    """Highest mean in a 1 mL sphere that is centred on any voxel of the lesion (SUVpeak).

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Map on its native grid; NaN is left out.
    labels : ndarray of int, shape (k, j, i)
        Labels; zero and negative ones are background.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    diameter_mm : float, optional
        Diameter of the sphere in mm; 12.4 mm is 1 mL (PERCIST).
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels that may enter.
    minimum_fraction : float, optional
        A sphere counts only when at least this part of it lies on valid voxels of the volume.

    Returns
    -------
    PeakResult
        One entry per positive label in rising order; of equal peaks the first in (k, j, i) order.

    Raises
    ------
    InputError
        A spacing, the diameter or the fraction is out of range.
    GeometryError
        Shapes differ, or the arrays are not three-dimensional.

    Notes
    -----
    ``peak = max over lesion voxels c of sum(w v) / sum(w)``, where w is the fraction of each voxel
    inside the sphere around c.  The sphere may reach beyond the lesion, not beyond the volume: at
    the border of the field of view, and at failed voxels, the mean runs over the part that is there
    and `fraction_inside` says how much that was.  A cut sphere is smaller, hence noisier and biased
    up: below 1, say so beside the number.  Half (`minimum_fraction`) still admits a lesion on a
    flat border and refuses one in a corner.

    The sphere sits on voxel centres only; a finer search would find slightly higher values.  For
    lesions under about 12 mm the sphere averages background.

    References
    ----------
    .. [1] Wahl RL et al., PERCIST. J Nucl Med 2009;50 Suppl 1:122S-150S.
       doi:10.2967/jnumed.108.057307
    """
    if not 0.0 < minimum_fraction <= 1.0:
        raise InputError(
            "The minimum fraction must be above 0 and at most 1.",
            code="E_ARGUMENT",
            where="minimum_fraction",
            value=minimum_fraction,
            action="Use 0.5.",
        )
    _check(values, labels, valid)
    weights = sphere_weights(spacing_mm, diameter_mm=diameter_mm)
    reach = tuple(n // 2 for n in weights.shape)
    total = float(weights.sum())
    rows: list[_Row] = []
    for label, box in _boxes(labels):
        padded, usable = _padded(values, valid, box, reach)
        inner = tuple(slice(r, n - r) for r, n in zip(reach, padded.shape, strict=True))
        # mode constant: voxels that are missing carry value 0 and weight 0.
        sums = ndimage.correlate(padded, weights, mode="constant", cval=0.0)[inner]
        if usable.all() or total == 0.0:
            share = np.ones_like(sums)
        else:
            share = ndimage.correlate(
                usable.astype(np.float64), weights, mode="constant", cval=0.0
            )[inner]
            share /= total
        # Rounding: a sphere of exactly the minimum fraction counts.  None counts among voxels so
        # much larger than it that no column meets it (total 0).
        candidate = (labels[box] == label) & (share >= minimum_fraction - 1e-9) & (total > 0.0)
        if not candidate.any():
            rows.append((label, math.nan, (-1, -1, -1), math.nan))
            continue
        means = np.full(sums.shape, -np.inf)
        np.divide(sums, share * total, out=means, where=candidate)
        centre = np.unravel_index(int(np.argmax(means)), means.shape)
        index = tuple(int(c) + b.start for c, b in zip(centre, box, strict=True))
        rows.append((label, float(means[centre]), index, min(float(share[centre]), 1.0)))
    return _result(rows)


def local_intensity_peak(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    spacing_mm: Sequence[float] | NDArray[np.floating],
    *,
    diameter_mm: float = 12.4,
    valid: NDArray[np.bool_] | None = None,
) -> PeakResult:
    """Mean in a sphere around the maximum of the lesion (IBSI local intensity peak, VJGA).

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Map on its native grid; NaN is left out.
    labels : ndarray of int, shape (k, j, i)
        Labels; zero and negative ones are background.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    diameter_mm : float, optional
        Diameter of the sphere in mm; 12.4 mm is 1 mL.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels that may enter.

    Returns
    -------
    PeakResult
        One entry per positive label in rising order.

    Raises
    ------
    InputError
        A spacing or the diameter is out of range.
    GeometryError
        Shapes differ, or the arrays are not three-dimensional.

    Notes
    -----
    The sphere is centred on the voxel with the maximum of the lesion; every voxel of the volume, in
    or out of the lesion, whose centre lies within the radius counts fully.  With several equal
    maxima the highest resulting mean is taken.  As the maximum is set by noise, so is the place of
    the sphere; `suv_peak` is the steadier of the two.

    References
    ----------
    .. [1] Zwanenburg A et al., Radiology 2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    _check(values, labels, valid)
    ball = _ball(_spacing(spacing_mm), _radius(diameter_mm))
    reach = tuple(n // 2 for n in ball.shape)
    rows: list[_Row] = []
    for label, box in _boxes(labels):
        padded, usable = _padded(values, valid, box, reach)
        inner = tuple(slice(r, n - r) for r, n in zip(reach, padded.shape, strict=True))
        candidate = (labels[box] == label) & usable[inner]
        if not candidate.any():
            rows.append((label, math.nan, (-1, -1, -1), math.nan))
            continue
        highest = padded[inner].max(where=candidate, initial=-np.inf)
        best: tuple[float, tuple[int, ...], float] = (-math.inf, (-1, -1, -1), math.nan)
        for centre in np.argwhere(candidate & (padded[inner] == highest)):
            window = tuple(
                slice(int(c), int(c) + 2 * r + 1) for c, r in zip(centre, reach, strict=True)
            )
            members = usable[window] & ball
            mean = float(padded[window][members].mean())
            if mean > best[0]:
                index = tuple(int(c) + b.start for c, b in zip(centre, box, strict=True))
                best = (mean, index, float(members.sum() / ball.sum()))
        rows.append((label, *best))
    return _result(rows)


def global_intensity_peak(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    spacing_mm: Sequence[float] | NDArray[np.floating],
    *,
    diameter_mm: float = 12.4,
    valid: NDArray[np.bool_] | None = None,
) -> PeakResult:
    """Highest mean in a sphere around any voxel of the lesion (IBSI global intensity peak, 0F91).

    Parameters
    ----------
    values, labels, spacing_mm, diameter_mm, valid
        As in `local_intensity_peak`.

    Returns
    -------
    PeakResult
        One entry per positive label in rising order; of equal peaks the first in (k, j, i) order.

    Raises
    ------
    InputError
        A spacing or the diameter is out of range.
    GeometryError
        Shapes differ, or the arrays are not three-dimensional.

    Notes
    -----
    As `suv_peak`, but a voxel counts fully when its centre lies within the radius, and a cut sphere
    counts however little of it is there: that is the definition of IBSI.  On coarse grids the two
    differ by several per cent.

    References
    ----------
    .. [1] Zwanenburg A et al., Radiology 2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    _check(values, labels, valid)
    ball = _ball(_spacing(spacing_mm), _radius(diameter_mm))
    reach = tuple(n // 2 for n in ball.shape)
    weights = ball.astype(np.float64)
    rows: list[_Row] = []
    for label, box in _boxes(labels):
        padded, usable = _padded(values, valid, box, reach)
        inner = tuple(slice(r, n - r) for r, n in zip(reach, padded.shape, strict=True))
        candidate = (labels[box] == label) & usable[inner]
        if not candidate.any():
            rows.append((label, math.nan, (-1, -1, -1), math.nan))
            continue
        sums = ndimage.correlate(padded, weights, mode="constant", cval=0.0)[inner]
        count = ndimage.correlate(usable.astype(np.float64), weights, mode="constant", cval=0.0)
        means = np.full(sums.shape, -np.inf)
        np.divide(sums, count[inner], out=means, where=candidate)
        centre = np.unravel_index(int(np.argmax(means)), means.shape)
        index = tuple(int(c) + b.start for c, b in zip(centre, box, strict=True))
        share = float(count[inner][centre] / weights.sum())
        rows.append((label, float(means[centre]), index, share))
    return _result(rows)


def _ball(spacing: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    """Voxels whose centre lies within the radius of the middle one."""
    reach = tuple(math.floor(radius / step * (1.0 + 1e-9)) for step in spacing)
    axes = [
        np.arange(-r, r + 1, dtype=np.float64) * step
        for r, step in zip(reach, spacing, strict=True)
    ]
    return _squared(axes) <= radius**2 * (1.0 + 1e-9)


def _boxes(
    labels: NDArray[np.integer],
) -> Iterator[tuple[int, _Box]]:
    """Each positive label and its bounding box, in rising order."""
    if labels.size == 0 or int(labels.max()) <= 0:
        return
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            yield number, box


def _padded(
    values: NDArray[np.floating],
    valid: NDArray[np.bool_] | None,
    box: _Box,
    reach: tuple[int, ...],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Copy a box with a margin; voxels outside the volume or not valid are 0 and not usable."""
    shape = tuple(b.stop - b.start + 2 * r for b, r in zip(box, reach, strict=True))
    source, target = [], []
    for b, r, n in zip(box, reach, values.shape, strict=True):
        low, high = max(b.start - r, 0), min(b.stop + r, n)
        source.append(slice(low, high))
        target.append(slice(low - b.start + r, high - b.start + r))
    cut = values[tuple(source)]
    good = np.isfinite(cut)
    if valid is not None:
        good &= valid[tuple(source)]
    padded = np.zeros(shape)
    usable = np.zeros(shape, dtype=np.bool_)
    padded[tuple(target)] = np.where(good, cut, 0.0)
    usable[tuple(target)] = good
    return padded, usable


def _result(rows: list[_Row]) -> PeakResult:
    """Turn rows into columns."""
    return PeakResult(
        label=np.asarray([row[0] for row in rows], dtype=np.int64),
        peak=np.asarray([row[1] for row in rows], dtype=np.float64),
        center_index=np.asarray([row[2] for row in rows], dtype=np.int64).reshape(-1, 3),
        fraction_inside=np.asarray([row[3] for row in rows], dtype=np.float64),
    )


def _squared(axes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Squared distance on the grid of three axes."""
    a, b, c = axes
    return (a * a)[:, None, None] + (b * b)[None, :, None] + (c * c)[None, None, :]


def _spacing(
    spacing_mm: Sequence[float] | NDArray[np.floating],
) -> tuple[float, float, float]:
    """Hand back three finite, positive spacings or refuse them."""
    array = np.asarray(spacing_mm, dtype=np.float64)
    if array.shape != (3,) or not np.all(np.isfinite(array) & (array > 0.0)):
        raise InputError(
            "The spacing must be three finite, positive numbers in mm.",
            code="E_ARGUMENT",
            where="spacing_mm",
            value=array.tolist(),
            action="Give the spacing along (k, j, i).",
        )
    return float(array[0]), float(array[1]), float(array[2])


def _radius(diameter_mm: float) -> float:
    """Hand back the radius of a finite, positive diameter or refuse it."""
    if not (math.isfinite(diameter_mm) and diameter_mm > 0.0):
        raise InputError(
            "The diameter must be finite and positive.",
            code="E_ARGUMENT",
            where="diameter_mm",
            value=diameter_mm,
            action="Use 12.4 mm for a sphere of 1 mL.",
        )
    return 0.5 * float(diameter_mm)


def _check(
    values: NDArray[np.floating],
    labels: NDArray[np.integer],
    valid: NDArray[np.bool_] | None,
) -> None:
    """Refuse arrays that are not volumes of one shape, and labels that are not integers."""
    for name, array in (("labels", labels), ("valid", valid)):
        if array is not None and (array.shape != values.shape or values.ndim != 3):
            raise GeometryError(
                f"{name} must be a volume (k, j, i) of the shape of the values, {values.shape}.",
                code="E_ARGUMENT",
                where=name,
                value=array.shape,
                action="Bring the labels to the grid of the map first.",
            )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            "Labels must be integers.",
            code="E_ARGUMENT",
            where="labels",
            value=str(labels.dtype),
            action="Convert the labels to an integer type.",
        )
