"""How stages bring maps and labels from one series' grid to another, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.label_boxes import Box, label_boxes
from eprimg.kernels.resample import Bend, resample_labels, resample_map
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.stages._carry_bend import bend_of
from eprimg.stages.region_voxels import RegionVoxels, fills_space

__all__ = [
    "REFERENCE_ORDER",
    "carry_labels",
    "carry_map",
    "carry_regions",
    "fingerprints",
    "labels_by_lattice",
    "output_to_input",
    "reference_series",
    "transform_to",
]

Method = Literal["signed-distance", "nearest"]

_ON_LATTICE = 1e-3
"""Part of a voxel (or of a slope per voxel) by which two lattices may differ and still be one."""

REFERENCE_ORDER = (Role.MR_PRE, Role.MR_POST, Role.PET)
"""The first of these that a study has is its reference series."""


def reference_series(study: Study) -> Series:
    """Return the series whose grid carries regions and registered maps.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    Series
        MR before ferumoxytol, else MR after it, else PET.

    Raises
    ------
    InputError
        ``E_NO_SERIES`` when the study has none of the three.
    """
    for role in REFERENCE_ORDER:
        series = study.find(role)
        if series is not None:
            return series
    raise InputError(
        "the study has no R2* series and no PET series",
        code="E_NO_SERIES",
        where=study.pseudonym,
        action="look at `eprimg scan`; give roles in study.toml",
    )


def transform_to(
    study: Study, registrations: Sequence[Registration], series: Series
) -> Transform | None:
    """Return the transform from the reference series to a series.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        Estimated transforms.
    series : Series
        Where points shall go.

    Returns
    -------
    Transform or None
        Identity for the reference series itself; None when the series was not registered or its
        registration was not accepted.
    """
    reference = reference_series(study)
    if series.key == reference.key:
        return Transform.identity(reference.grid.frame_of_reference)
    for registration in registrations:
        if registration.moving == series.key and registration.fixed == reference.key:
            return registration.transform if registration.accepted else None
    return None


def output_to_input(output: Grid, source: Grid, transform: Transform) -> npt.NDArray[np.float64]:
    """Compose output index -> LPS -> transform -> input index into one matrix.

    Parameters
    ----------
    output : Grid
        Grid of the result.
    source : Grid
        Grid of the values.
    transform : Transform
        From the frame of ``output`` to the frame of ``source``.

    Returns
    -------
    ndarray, shape (4, 4)
        Affine between indices (k, j, i, 1).

    Raises
    ------
    GeometryError
        ``E_FOR`` when the frames do not join.
    """
    frames = (output.frame_of_reference, source.frame_of_reference)
    if (transform.from_frame, transform.to_frame) != frames:
        raise GeometryError(
            "the transform does not lead from the frame of the output to the frame of the values",
            code="E_FOR",
            value=(transform.from_frame, transform.to_frame, *frames),
            action="register the series, or pass the transform of this pair",
        )
    matrix = np.linalg.inv(source.affine) @ transform.matrix @ output.affine
    matrix[3] = (0.0, 0.0, 0.0, 1.0)
    return np.asarray(matrix)


def carry_map(
    native: QuantityMap,
    grid: Grid,
    transform: Transform,
    *,
    order: int,
    progress: Callable[[float], object] | None = None,
) -> QuantityMap:
    """Resample a map once onto another grid.

    Parameters
    ----------
    native : QuantityMap
        Map on its own grid.
    grid : Grid
        Where it is wanted.
    transform : Transform
        From the frame of ``grid`` to the frame of the map.
    order : int
        3: cubic B-spline with clipped overshoot; 1: linear.
    progress : callable, optional
        Called with the finished share between pieces of the work; what it raises ends it.

    Returns
    -------
    QuantityMap
        Same quantity; its method says how it was resampled.
    """
    tell = progress or (lambda share: None)
    matrix = output_to_input(grid, native.grid, transform)
    bend = bend_of(grid, native.grid, transform)
    moved = resample_map(
        native.values,
        output_to_input=matrix,
        output_shape=grid.shape,
        order=3 if order == 3 else 1,
        valid=native.valid,
        bend=bend,
        progress=lambda share: tell(0.5 * share),
    )
    error = None
    if native.standard_error is not None:
        usable = native.valid & np.isfinite(native.standard_error)
        if usable.any():
            # Linear: an error is carried, not sharpened.
            error = np.asarray(
                resample_map(
                    native.standard_error,
                    output_to_input=matrix,
                    output_shape=grid.shape,
                    order=1,
                    valid=usable,
                    bend=bend,
                    progress=lambda share: tell(0.5 + 0.5 * share),
                ).values
            )
    how = "cubic B-spline, overshoot clipped to the neighbours" if order == 3 else "linear"
    method = (
        f"{native.method} The map was resampled once to the reference grid through the "
        f"registration ({how})."
    )
    if error is not None:
        method += (
            " Its standard error was carried linearly; the smoothing of noise by the "
            "interpolation is not counted."
        )
    return QuantityMap(
        values=moved.values,
        grid=grid,
        quantity=native.quantity,
        valid=moved.valid,
        method=method,
        sources=native.sources,
        standard_error=error,
        facts={**native.facts, "interpolation": how},
    )


def carry_labels(
    labels: npt.NDArray[Any],
    source: Grid,
    target: Grid,
    transform: Transform,
    *,
    nearest: Collection[int] = (),
) -> npt.NDArray[np.int32]:
    """Carry labels to another grid, region by region.

    Parameters
    ----------
    labels : ndarray of integer
        Labels on ``source``.
    source, target : Grid
        From where, to where.
    transform : Transform
        From the frame of ``target`` to the frame of ``source``.
    nearest : collection of int, optional
        Labels of organs that go by nearest voxel, so that neighbours stay neighbours.  All others
        go by signed distance, keep their volumes, and win where they meet an organ.

    Returns
    -------
    ndarray of int32
        Labels on ``target``; a plain copy where both grids are one lattice.
    """
    bend = bend_of(target, source, transform)
    matrix, same_lattice = labels_by_lattice(output_to_input(target, source, transform), bend)
    labels = np.ascontiguousarray(labels, dtype=np.int32)

    def moved(wanted: npt.NDArray[np.int32], method: Method, keep: bool) -> npt.NDArray[np.int32]:
        return resample_labels(
            wanted,
            output_to_input=matrix,
            output_shape=target.shape,
            input_spacing_mm=source.spacing_mm,
            method=method,
            keep_volume=keep,
            bend=bend,
        )

    if same_lattice:
        return moved(labels, "nearest", False)
    if not nearest:
        return moved(labels, "signed-distance", True)
    large = np.isin(labels, list(nearest))
    above = moved(np.where(large, 0, labels).astype(np.int32), "signed-distance", True)
    below = moved(np.where(large, labels, 0).astype(np.int32), "nearest", False)
    return np.where(above > 0, above, below)


def carry_regions(
    regions: LesionSet, target: Grid, transform: Transform
) -> tuple[npt.NDArray[np.int32], dict[int, str]]:
    """Carry all regions of a set to another grid, each by the method that suits it.

    Parameters
    ----------
    regions : LesionSet
        Regions on their grid.
    target : Grid
        Where they are wanted.
    transform : Transform
        From the frame of ``target`` to the frame of the regions.

    Returns
    -------
    ndarray of int32
        Labels on ``target``.
    dict of int to str
        Method by region: ``nearest``, ``signed-distance``, or ``copied`` where both grids are one
        lattice.
    """
    voxels = RegionVoxels(regions)
    organs = [r.id for r in regions.regions if fills_space(voxels, r)]
    labels = carry_labels(regions.labels, regions.grid, target, transform, nearest=organs)
    bend = bend_of(target, regions.grid, transform)
    same = labels_by_lattice(output_to_input(target, regions.grid, transform), bend)[1]
    return labels, {
        r.id: "copied" if same else "nearest" if r.id in organs else "signed-distance"
        for r in regions.regions
    }


def labels_by_lattice(
    matrix: npt.NDArray[np.float64], bend: Bend | None
) -> tuple[npt.NDArray[np.float64], bool]:
    """Tell one lattice, as in a segmentation that stores only its occupied slices: copy exactly.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        As `output_to_input` gives it.
    bend : Bend or None
        What a deformable transform adds.

    Returns
    -------
    ndarray, shape (4, 4)
        The matrix; of whole voxels for one lattice.
    bool
        Whether it is one.
    """
    whole = np.eye(4)
    whole[:3, 3] = np.round(matrix[:3, 3])
    same = bend is None and bool(np.abs(matrix - whole).max() < _ON_LATTICE)
    return (whole if same else matrix), same


def fingerprints(
    lesions: LesionSet,
    *,
    boxes: Mapping[int, Box] | None = None,
    ids: Collection[int] | None = None,
) -> dict[str, str]:
    """Tell the outline of every region, so that an edit is noticed.

    Parameters
    ----------
    lesions : LesionSet
        Regions on the reference grid.
    boxes : Mapping of int to tuple of slice, optional
        Bounding boxes by region id, when they are known.
    ids : collection of int, optional
        Only these regions.

    Returns
    -------
    dict of str to str
        Hash of the voxels of each region, by its id as text.
    """
    labels = lesions.labels
    if boxes is None:
        boxes = label_boxes(labels, max([0, *(r.id for r in lesions.regions)]))
    voxels = RegionVoxels(lesions, boxes)
    found = {}
    for region in lesions.regions:
        if ids is not None and region.id not in ids:
            continue
        box = voxels.boxes.get(region.id)
        digest = hashlib.sha256(repr((box, labels.shape)).encode())
        if box is not None:
            digest.update(np.packbits(voxels.inside(region.id)).tobytes())
        found[str(region.id)] = digest.hexdigest()[:16]
    return found
