"""A sphere inside an organ near a click, away from its edges and vessels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from eprimg.errors import InputError

__all__ = ["ReferenceSphere", "place_reference_sphere"]

_LEVEL_MM = 3.0
_FEW = 0.02
"""Part of the voxels within the sphere and its margin that may differ from the clicked tissue."""


class ReferenceSphere(NamedTuple):
    """Where the sphere was put.

    Attributes
    ----------
    mask : ndarray of bool, shape (k, j, i)
        The sphere on the whole volume; empty when refused.
    centre_index : tuple of int
        Its centre (k, j, i); the clicked voxel when refused.
    moved_mm : float
        Distance of the centre from the click; NaN when refused.
    median, mad : float
        Median, and median absolute deviation from it (not scaled), of the voxels of the sphere in
        the unit of the values; NaN when refused.
    refused : str
        Why there is no sphere; empty when there is one.
    """

    mask: NDArray[np.bool_]
    centre_index: tuple[int, int, int]
    moved_mm: float
    median: float
    mad: float
    refused: str


def place_reference_sphere(
    values: NDArray[np.floating[Any]],
    spacing_mm: Sequence[float],
    seed_index: Sequence[int],
    *,
    diameter_mm: float,
    search_mm: float = 15.0,
    margin_mm: float = 3.0,
    tolerance: float = 0.25,
    taken: NDArray[np.bool_] | None = None,
) -> ReferenceSphere:
    """Place a sphere of stated size in the tissue that was clicked.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        A signal, an activity or an SUV (values of a tissue are above 0); voxels that are not
        finite belong to no tissue.
    spacing_mm : sequence of float
        Voxel spacing along (k, j, i) in mm.
    seed_index : sequence of int
        Clicked voxel (k, j, i), inside the organ.
    diameter_mm : float
        Diameter of the sphere.
    search_mm : float
        The centre lies at most this far from the click.
    margin_mm : float
        This much around the sphere has to be the same tissue too (edges blur, motion).
    tolerance : float
        A voxel is other tissue when the value, smoothed over one voxel, differs from that of the
        click by more than this part of it.
    taken : ndarray of bool, same shape, optional
        Voxels of other regions; the sphere and its margin keep off them.

    Returns
    -------
    ReferenceSphere
        The sphere with the smallest spread, or the reason why there is none.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shape, spacing, a length, the tolerance, or a click outside the volume.

    Notes
    -----
    The level of the tissue is the median within 3 mm of the click.  Allowed are the centres whose
    sphere lies inside the volume and whose sphere with margin holds at most 2 % of other tissue
    and no taken voxel.  Among them the one with the smallest standard deviation of the unsmoothed
    values within the sphere and its margin is chosen (the nearest of equals), as a reader does who
    avoids edges and vessels.  Tolerance, margin and the 2 % are house rules, not published.
    Choosing the most even place makes the spread a little too small and leaves the median alone.
    """
    seed, spacing = _checked(values, spacing_mm, seed_index, taken)
    for name, length in (("diameter_mm", diameter_mm), ("search_mm", search_mm)):
        if not (math.isfinite(length) and length > 0):
            raise _refuse(name, length, f"{name} is a length above 0 mm")
    if not (math.isfinite(margin_mm) and margin_mm >= 0 and 0 < tolerance < 1):
        raise _refuse(
            "margin_mm", (margin_mm, tolerance), "the margin is 0 mm or more, the tolerance 0 to 1"
        )
    radius = 0.5 * diameter_mm
    reach = [math.ceil((search_mm + radius + margin_mm) / step) + 1 for step in spacing]
    box = tuple(
        slice(max(s - r, 0), min(s + r + 1, n))
        for s, r, n in zip(seed, reach, values.shape, strict=True)
    )
    here = tuple(s - b.start for s, b in zip(seed, box, strict=True))
    part = np.asarray(values[box], dtype=np.float64)
    usable = np.isfinite(part)
    empty = np.zeros(values.shape, dtype=np.bool_)

    def refused(why: str) -> ReferenceSphere:
        return ReferenceSphere(empty, seed, math.nan, math.nan, math.nan, why)

    distance = _distance(part.shape, here, spacing)
    around = part[usable & (distance <= max(_LEVEL_MM, max(spacing)))]
    level = float(np.median(around)) if usable[here] else math.nan
    if not level > 0:
        return refused("the clicked voxel has no value above 0")
    filled = np.where(usable, part, level)
    other = ~usable | (np.abs(ndimage.gaussian_filter(filled, 1.0) - level) > tolerance * level)
    held = np.zeros(part.shape) if taken is None else taken[box].astype(np.float64)
    wide = _ball(radius + margin_mm, spacing)
    # Voxels outside the box count as missing: the sum over the ball tells how many lie inside.
    inside = np.rint(_sum_over(np.ones(part.shape), _ball(radius, spacing)))
    n = _sum_over(usable.astype(np.float64), wide)
    deviation = np.where(usable, part - level, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = _sum_over(deviation**2, wide) / n - (_sum_over(deviation, wide) / n) ** 2
    allowed = (distance <= search_mm) & (inside == _ball(radius, spacing).sum())
    if not allowed.any():
        return refused(
            f"no sphere of {diameter_mm:g} mm within {search_mm:g} mm of the click lies inside "
            "the volume"
        )
    pure = _sum_over(other.astype(np.float64), wide) <= _FEW * wide.sum() + 0.5
    free = _sum_over(held, wide) < 0.5
    if not (allowed & pure & free).any():
        why = "is free of other regions" if (allowed & pure).any() else "holds this tissue alone"
        return refused(
            f"no sphere of {diameter_mm:g} mm with a margin of {margin_mm:g} mm within "
            f"{search_mm:g} mm of the click {why}: it would reach into edges or vessels"
        )
    # Rounded, so that of even places the nearest wins and not the rounding of the transform.
    cost = np.round(np.maximum(spread, 0.0) / level**2, 9) + 1e-12 * distance
    place = np.unravel_index(
        int(np.argmin(np.where(allowed & pure & free, cost, np.inf))), part.shape
    )
    sphere = (_distance(part.shape, tuple(int(p) for p in place), spacing) <= radius) & usable
    mask = empty
    mask[box] = sphere
    picked = part[sphere]
    median = float(np.median(picked))
    k, j, i = (int(p) + b.start for p, b in zip(place, box, strict=True))
    return ReferenceSphere(
        mask,
        (k, j, i),
        float(distance[place]),
        median,
        float(np.median(np.abs(picked - median))),
        "",
    )


def _ball(radius_mm: float, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    half = tuple(int(radius_mm / step) for step in spacing)
    shape = tuple(2 * h + 1 for h in half)
    return (_distance(shape, half, spacing) <= radius_mm).astype(np.float64)


def _sum_over(values: NDArray[np.float64], ball: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the values within a ball around every voxel; nothing lies outside the volume."""
    if all(b <= v for b, v in zip(ball.shape, values.shape, strict=True)):
        return np.asarray(fftconvolve(values, ball, mode="same"))
    # `same` keeps the size of the larger input, so a volume thinner than the ball is widened.
    wide = [max(b - v, 0) for b, v in zip(ball.shape, values.shape, strict=True)]
    padded = np.pad(values, [(0, w) for w in wide])
    whole = fftconvolve(padded, ball, mode="full")
    start = [(b - 1) // 2 for b in ball.shape]
    return np.asarray(
        whole[tuple(slice(s, s + v) for s, v in zip(start, values.shape, strict=True))]
    )


def _distance(
    shape: tuple[int, ...], centre: tuple[int, ...], spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Distance of every voxel from one of them, in mm."""
    k, j, i = (
        ((np.arange(n) - c) * step) ** 2 for n, c, step in zip(shape, centre, spacing, strict=True)
    )
    return np.asarray(np.sqrt(k[:, None, None] + j[None, :, None] + i[None, None, :]))


def _checked(
    values: NDArray[np.floating[Any]],
    spacing_mm: Sequence[float],
    seed_index: Sequence[int],
    taken: NDArray[np.bool_] | None,
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    if values.ndim != 3 or (taken is not None and taken.shape != values.shape):
        raise _refuse("values", values.shape, "one volume with the axes (k, j, i) is needed")
    if len(spacing_mm) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise _refuse("spacing_mm", tuple(spacing_mm), "the spacing is three lengths above 0 mm")
    if len(seed_index) != 3 or not all(
        0 <= c < n for c, n in zip(seed_index, values.shape, strict=True)
    ):
        raise _refuse("seed_index", tuple(seed_index), "a click lies inside the volume")
    one, two, three = (int(c) for c in seed_index)
    k, j, i = (float(s) for s in spacing_mm)
    return (one, two, three), (k, j, i)


def _refuse(where: str, value: object, message: str) -> InputError:
    return InputError(
        message,
        code="E_ARGUMENT",
        where=where,
        value=value,
        action="give voxel indices (k, j, i) and lengths in mm",
    )
