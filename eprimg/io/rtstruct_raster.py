"""One region of a structure set as voxels: which contours count, planes, gaps, covered parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, GeometryError, InputError
from eprimg.io.rtstruct_file import CLOSED, XOR, Contour, Outline
from eprimg.kernels.contours import (
    between_planes,
    overlap_area,
    planar_coverage,
    polygon_area,
    slab_borders,
    slab_coverage,
)
from eprimg.model.grid import Grid

__all__ = ["Rasterised", "lies_in_slices", "rasterise"]

FloatArray = npt.NDArray[np.float64]

_FLAT = 0.1
"""Part of a slice by which a contour may leave its plane, and a plane the middle of a slice."""
_SAME_PLANE_MM = 0.1
"""Contours closer together than this lie in one plane: holes are looked for among them."""
_HALF = 0.5
"""A voxel belongs to a region when at least this part of it is inside."""
_INSIDE, _APART = 0.98, 0.02
"""Shared part of the smaller of two contours above which it lies inside the other one, and below
which the two only touch."""
_DISPUTED = 0.01
"""Part of a region's volume that may depend on how crossing contours are meant."""
_SAME_THICKNESS = 0.1
"""Relative difference up to which a slab is as thick as a slice."""
_MOST_VOXELS = 1 << 28
"""A larger window around one region is taken for a fault in its coordinates."""
_MOST_SLICES = 5000
_SLAB = "Contour Slab Thickness (3006,0044)"
_EDGE = 1e-9
"""Rounding that a voxel may miss from one half."""


@dataclass(frozen=True, eq=False, slots=True)
class Rasterised:
    """A region as voxels.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        Voxels that belong to it, inside the grid.
    corner : tuple of int
        Index of their first voxel in the grid.
    outlined_ml : float
        Volume that the contours enclose, also outside of the grid.
    outside_ml : float
        What of it lies outside of the grid.
    notes : tuple of (str, str)
        Code and words for everything that a reader should know.
    """

    voxels: npt.NDArray[np.bool_]
    corner: tuple[int, int, int]
    outlined_ml: float
    outside_ml: float
    notes: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Plane:
    """Contours of one plane: place in slices, corners (row, column), whether they are XOR."""

    place: float
    polygons: list[FloatArray]
    xor: list[bool]


def lies_in_slices(outline: Outline, grid: Grid) -> bool:
    """Tell whether every closed contour of a region lies in a plane of the slices of a grid.

    Parameters
    ----------
    outline : Outline
        The region.
    grid : Grid
        Grid in the same frame of reference.

    Returns
    -------
    bool
        False when a contour leaves the plane by more than a tenth of a slice.
    """
    return all(
        np.ptp(grid.lps_mm_to_index(c.points_mm)[:, 0]) <= _FLAT
        for c in outline.contours
        if c.kind in CLOSED and len(c.points_mm)
    )


def rasterise(
    outline: Outline, grid: Grid, *, own_series: bool, fill_gaps: bool, where: str, on: str
) -> Rasterised:
    """Turn a region into voxels: those of which at least half lies inside.

    Parameters
    ----------
    outline : Outline
        The region, without faults.
    grid : Grid
        Grid in its frame of reference.
    own_series : bool
        The contours were drawn on the series of this grid: a slice without a contour is a gap.
    fill_gaps : bool
        Fill gaps between contours by shape-based interpolation instead of leaving them empty.
    where : str
        Place, for messages.
    on : str
        Key of the series, for messages.

    Returns
    -------
    Rasterised
        The voxels, which may be none, and the volumes to check them with.

    Raises
    ------
    EprimgError
        ``E_RT_CONTOUR`` for contours that enclose no volume or contradict each other,
        ``E_RT_PLANE`` for planes across the slices, ``E_RT_GAP`` for a sparse drawing.
    """
    notes: list[tuple[str, str]] = []
    planes = _planes(_closed(outline, where), grid, where, on)
    planes = _without_copies(planes, notes)
    if not planes:
        raise _unusable("no contour encloses an area", where)
    origin, shape = _window(planes, where)
    holes, disputed = _crossing(planes)
    covered = [
        planar_coverage([p - origin for p in plane.polygons], shape=shape) for plane in planes
    ]
    areas = np.array([float(c.sum()) for c in covered])
    if disputed > _DISPUTED * float(areas.sum()):
        raise _unusable(
            "contours of one plane cross each other, and the file does not say whether the shared "
            "part belongs to the region (that would be CLOSEDPLANAR_XOR)",
            where,
        )
    places, thickness = _places(planes, outline, grid, own_series, fill_gaps, notes, where, on)
    voxel_ml = grid.voxel_volume_ml
    if holes:
        words = "contours inside other contours were taken as holes"
        notes.append(("W_RT_HOLE", f"{words} (in {holes} of {len(planes)} planes)"))
    _require_size((float(np.ptp(places)) + thickness, *shape), where)
    places, covered = _bridged(places, covered, thickness, fill_gaps, notes, grid, on)
    slabs = slab_borders(places, thickness=thickness)
    below = int(np.floor(slabs.lower.min() + 0.5))
    moved = slabs._replace(lower=slabs.lower - below, upper=slabs.upper - below)
    span = int(np.ceil(moved.upper.max() + 0.5))
    _require_size((span, *shape), where)
    _, part = slab_coverage(covered, moved, n_slices=span)
    corner = (below, int(origin[0]), int(origin[1]))
    inside = tuple(
        slice(max(0, -c), max(0, min(n, size - c)))
        for c, n, size in zip(corner, part.shape, grid.shape, strict=True)
    )
    total = float(part.sum()) * voxel_ml
    kept = part[inside]
    return Rasterised(
        np.ascontiguousarray(kept >= _HALF - _EDGE),
        (max(0, corner[0]), max(0, corner[1]), max(0, corner[2])),
        total,
        max(0.0, total - float(kept.sum()) * voxel_ml),
        tuple(notes),
    )


def _unusable(text: str, where: str) -> InputError:
    return InputError(
        text, code="E_RT_CONTOUR", where=where, action="correct the drawing and export it again"
    )


def _closed(outline: Outline, where: str) -> list[Contour]:
    """Return the contours; a region that also has open ones is not guessed at."""
    other = sorted({c.kind or "no type" for c in outline.contours} - CLOSED)
    if other:
        raise _unusable(
            f"contours of type {', '.join(other)} (Contour Geometric Type (3006,0042)) enclose no "
            "volume",
            where,
        )
    return list(outline.contours)


def _planes(contours: Sequence[Contour], grid: Grid, where: str, on: str) -> list[_Plane]:
    """Group contours by plane, in rising order."""
    found: list[tuple[float, FloatArray, bool]] = []
    for contour in contours:
        if len(contour.points_mm) == 0:
            continue
        index = grid.lps_mm_to_index(contour.points_mm)
        if np.ptp(index[:, 0]) > _FLAT:
            raise _out_of_plane(contour.points_mm, grid, where, on)
        found.append((float(index[:, 0].mean()), index[:, 1:], contour.kind == XOR))
    planes: list[_Plane] = []
    same = min(_FLAT, _SAME_PLANE_MM / grid.spacing_mm[0])
    for place, polygon, xor in sorted(found, key=lambda f: f[0]):
        if not planes or place - planes[-1].place > same:
            planes.append(_Plane(place, [], []))
        planes[-1].polygons.append(polygon)
        planes[-1].xor.append(xor)
    return planes


def _out_of_plane(points: FloatArray, grid: Grid, where: str, on: str) -> EprimgError:
    centred = points - points.mean(axis=0)
    thickness = float(np.ptp(centred @ np.linalg.svd(centred, full_matrices=False)[2][-1]))
    if thickness > _FLAT * grid.spacing_mm[0]:
        return _unusable(f"a contour is not flat (it is {thickness:.2g} mm thick)", where)
    return GeometryError(
        f"the contours lie across the slices of {on}: they were drawn on a series of another "
        "orientation",
        code="E_RT_PLANE",
        where=where,
        action="add the series on which they were drawn to the study, or export the region as "
        "NIfTI labels or DICOM SEG",
    )


def _without_copies(planes: list[_Plane], notes: list[tuple[str, str]]) -> list[_Plane]:
    """Leave out contours without an area, and second copies of a contour."""
    flat = copies = 0
    kept = []
    for plane in planes:
        polygons: list[FloatArray] = []
        xor: list[bool] = []
        for polygon, is_xor in zip(plane.polygons, plane.xor, strict=True):
            area = polygon_area(polygon)
            if len(polygon) < 3 or area == 0.0:
                flat += 1
                continue
            if not is_xor and any(_same(polygon, area, other) for other in polygons):
                copies += 1
                continue
            polygons.append(polygon)
            xor.append(is_xor)
        if polygons:
            kept.append(_Plane(plane.place, polygons, xor))
    if flat:
        notes.append(("W_RT_CONTOUR", f"{flat} contours without an area were left out"))
    if copies:
        words = f"{copies} contours stand twice in the file; each was used once"
        notes.append(("W_RT_CONTOUR", words))
    return kept


def _same(polygon: FloatArray, area: float, other: FloatArray) -> bool:
    area_other = polygon_area(other)
    if abs(area - area_other) > 1e-6 * max(area, area_other):
        return False
    limits = [(p.min(axis=0), p.max(axis=0)) for p in (polygon, other)]
    return bool(np.allclose(limits[0], limits[1], atol=1e-6))


def _window(planes: list[_Plane], where: str) -> tuple[FloatArray, tuple[int, int]]:
    """Find the part of the slices that the contours touch, also outside of the grid."""
    corners = np.vstack([p for plane in planes for p in plane.polygons])
    low = np.floor(corners.min(axis=0) + 0.5)
    high = np.ceil(corners.max(axis=0) + 0.5)
    size = high - low
    _require_size((len(planes), float(size[0]), float(size[1])), where)
    return low, (int(size[0]), int(size[1]))


def _require_size(size: tuple[float, float, float], where: str) -> None:
    if not (size[0] <= _MOST_SLICES and np.prod(size) <= _MOST_VOXELS):
        raise _unusable("the coordinates of the contours lie implausibly far apart", where)


def _crossing(planes: list[_Plane]) -> tuple[int, float]:
    """Count planes with holes; return also the area (voxels) where contours cross each other."""
    with_holes, disputed = 0, 0.0
    for plane in planes:
        hole = False
        pairs = zip(plane.polygons, plane.xor, strict=True)
        for (one, xor), (other, other_xor) in combinations(pairs, 2):
            if xor and other_xor:
                continue  # the file says how they are meant
            shared = overlap_area(one, other)
            share = shared / min(polygon_area(one), polygon_area(other))
            if share >= _INSIDE:
                hole = True
            elif share > _APART:
                disputed += shared
        with_holes += hole
    return with_holes, disputed


def _places(
    planes: list[_Plane],
    outline: Outline,
    grid: Grid,
    own_series: bool,
    fill_gaps: bool,
    notes: list[tuple[str, str]],
    where: str,
    on: str,
) -> tuple[FloatArray, float]:
    """Return the places of the planes and their thickness, in slices."""
    places = np.array([p.place for p in planes])
    steps = np.diff(places)
    whole = np.round(places)
    on_slices = bool((np.abs(places - whole) <= _FLAT).all())
    slabs = [c.slab_mm for c in outline.contours if c.slab_mm is not None and c.slab_mm > 0]
    slab = float(np.median(slabs)) / grid.spacing_mm[0] if slabs else None
    if on_slices and steps.size == 0:
        return whole, _of_one_plane(slab, grid, own_series, notes, on)
    if on_slices and (own_series or steps.min() < _HALF + 1.0):
        sparse = steps.size > 1 and float(np.round(steps).min()) >= 2.0
        if sparse and not fill_gaps:
            raise GeometryError(
                f"contours stand at least {int(np.round(steps).min())} slices of {on} apart; "
                "what lies between them is not drawn",
                code="E_RT_GAP",
                where=where,
                action="interpolate in the program that made it, or set "
                'read.contour_gaps="interpolate"',
            )
        return whole, 1.0
    if steps.size:
        thickness, source = float(np.median(steps)), "their usual distance"
    elif slab is not None:
        thickness, source = slab, _SLAB
    else:
        raise _unusable(
            f"there is one contour, between two slices of {on}; how thick the region is, is not "
            "said",
            where,
        )
    millimetres = thickness * grid.spacing_mm[0]
    words = (
        f"the contours do not lie on the slices of {on}; each was taken as a slab of "
        f"{millimetres:.3g} mm ({source}), and voxels that lie at least half "
        "inside were kept"
    )
    notes.append(("W_RT_PLANES", words))
    return places, thickness


def _of_one_plane(
    slab: float | None, grid: Grid, own_series: bool, notes: list[tuple[str, str]], on: str
) -> float:
    """Return the thickness, in slices, of a region with contours in the plane of one slice."""
    same = own_series if slab is None else abs(slab - 1.0) <= _SAME_THICKNESS
    if same:
        return 1.0
    slice_mm = grid.spacing_mm[0]
    # On its own series a contour stands for the slice that it was drawn on.
    thickness = 1.0 if own_series or slab is None else slab
    said = "no thickness is given" if slab is None else f"their {_SLAB} is {slab * slice_mm:.3g} mm"
    words = (
        f"the contours lie in one plane, and {said}; the slices of {on} are {slice_mm:.3g} mm "
        f"thick, and the region was taken as {'one slice' if thickness == 1.0 else 'that slab'} "
        "(voxels at least half inside)"
    )
    notes.append(("W_RT_PLANES", words))
    return thickness


def _bridged(
    places: FloatArray,
    covered: list[Any],
    thickness: float,
    fill: bool,
    notes: list[tuple[str, str]],
    grid: Grid,
    on: str,
) -> tuple[FloatArray, list[Any]]:
    """Fill the gaps between planes when that was asked for; say in any case where they are."""
    gaps = slab_borders(places, thickness=thickness).gaps
    if not gaps:
        return places, covered
    words = ", ".join(
        f"between {grid.spacing_mm[0] * places[n]:.1f} and "
        f"{grid.spacing_mm[0] * places[n + 1]:.1f} mm"
        for n in gaps[:6]
    ) + (f" and {len(gaps) - 6} more" if len(gaps) > 6 else "")
    missing = f"planes without a contour {words} from the first slice of {on}"
    if not fill:
        notes.append(("W_RT_GAP", f"{missing}; they were left empty"))
        return places, covered
    notes.append(("W_RT_GAP", f"{missing}; they were filled by shape-based interpolation"))
    new_places: list[float] = []
    new_covered: list[Any] = []
    for n, (place, plane) in enumerate(zip(places.tolist(), covered, strict=True)):
        new_places.append(place)
        new_covered.append(plane)
        if n in gaps:
            count = max(1, int(np.round((places[n + 1] - place) / thickness)) - 1)
            for m in range(1, count + 1):
                share = m / (count + 1)
                new_places.append((1.0 - share) * place + share * float(places[n + 1]))
                between = between_planes(plane >= _HALF, covered[n + 1] >= _HALF, share)
                new_covered.append(between.astype(np.float64))
    return np.array(new_places), new_covered
