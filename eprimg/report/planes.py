"""Display planes: axis-aligned cuts through the patient, in radiological convention.

Cuts are made for looking only; nothing is measured on them.  LPS millimetres: x to the patient's
left, y to the back, z to the head.  The patient's right is at the left of axial and coronal planes,
the front at the left of sagittal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError
from eprimg.kernels.plane_cut import cut_plane
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform

__all__ = [
    "VIEWS",
    "EdgeLetters",
    "Plane",
    "axis_letter",
    "bounds_mm",
    "make_plane",
    "project_maximum",
    "sample_plane",
]

FloatArray = npt.NDArray[np.float64]

_PLANES_AT_ONCE: Final = 16

VIEWS: Final[tuple[str, ...]] = ("axial", "coronal", "sagittal")

# (towards the right edge, towards the lower edge) in LPS.
_DIRECTIONS: Final[dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]]] = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


class EdgeLetters(NamedTuple):
    """Anatomical letters at the four edges of a plane."""

    left: str
    right: str
    top: str
    bottom: str


def axis_letter(direction: npt.ArrayLike) -> str:
    """Name the anatomical direction that a vector mainly points to.

    Parameters
    ----------
    direction : array_like, shape (3,)
        A vector in LPS.

    Returns
    -------
    str
        ``L``, ``R``, ``P``, ``A``, ``S`` or ``I``.
    """
    vector = np.asarray(direction, dtype=np.float64)
    axis = int(np.argmax(np.abs(vector)))
    return ("LR", "PA", "SI")[axis][0 if vector[axis] > 0 else 1]


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """A rectangular cut through the patient.

    Parameters
    ----------
    view : str
        ``axial``, ``coronal`` or ``sagittal``.
    centre_mm : ndarray, shape (3,)
        Centre in LPS mm.
    right, down : ndarray, shape (3,)
        Unit vectors in LPS towards the right and the lower edge of the picture.
    shape : tuple of int
        Rows and columns.
    pixel_mm : float
        Distance between pixel centres.
    frame_of_reference : str
        Frame that the coordinates belong to.
    """

    view: str
    centre_mm: FloatArray
    right: FloatArray
    down: FloatArray
    shape: tuple[int, int]
    pixel_mm: float
    frame_of_reference: str

    @property
    def letters(self) -> EdgeLetters:
        """Letters of the four edges, derived from the directions."""
        return EdgeLetters(
            axis_letter(-self.right),
            axis_letter(self.right),
            axis_letter(-self.down),
            axis_letter(self.down),
        )

    @property
    def normal(self) -> FloatArray:
        """Unit vector across the plane."""
        return np.asarray(np.cross(self.right, self.down), dtype=np.float64)

    @property
    def extent_mm(self) -> tuple[float, float, float, float]:
        """Edges (left, right, bottom, top) in mm from the centre, y pointing down."""
        rows, columns = self.shape
        half_width, half_height = columns * self.pixel_mm / 2, rows * self.pixel_mm / 2
        return -half_width, half_width, half_height, -half_height

    @property
    def corner_mm(self) -> FloatArray:
        """Centre of the pixel in the first row and column, in LPS mm."""
        rows, columns = self.shape
        across, along = (columns - 1) / 2 * self.pixel_mm, (rows - 1) / 2 * self.pixel_mm
        return np.asarray(self.centre_mm - across * self.right - along * self.down)

    def points_mm(self, offset_mm: float = 0.0) -> FloatArray:
        """Return the pixel centres.

        Parameters
        ----------
        offset_mm : float
            Shift along the normal.

        Returns
        -------
        ndarray, shape (rows, columns, 3)
            LPS mm.
        """
        rows, columns = self.shape
        x = (np.arange(columns) - (columns - 1) / 2) * self.pixel_mm
        y = (np.arange(rows) - (rows - 1) / 2) * self.pixel_mm
        return np.asarray(
            self.centre_mm
            + offset_mm * self.normal
            + x[np.newaxis, :, np.newaxis] * self.right
            + y[:, np.newaxis, np.newaxis] * self.down
        )

    def locate(self, point_mm: npt.ArrayLike) -> tuple[float, float]:
        """Project a point onto the plane.

        Parameters
        ----------
        point_mm : array_like, shape (3,)
            LPS mm.

        Returns
        -------
        tuple of float
            Millimetres from the centre: to the right and down.
        """
        away = np.asarray(point_mm, dtype=np.float64) - self.centre_mm
        return float(away @ self.right), float(away @ self.down)


def make_plane(
    view: str,
    centre_mm: npt.ArrayLike,
    *,
    frame_of_reference: str,
    width_mm: float = 160.0,
    height_mm: float = 128.0,
    pixel_mm: float = 1.0,
) -> Plane:
    """Make an axis-aligned plane in radiological convention.

    Parameters
    ----------
    view : str
        ``axial``, ``coronal`` or ``sagittal``.
    centre_mm : array_like, shape (3,)
        Centre in LPS mm.
    frame_of_reference : str
        Frame of the centre.
    width_mm, height_mm : float
        Field of view.
    pixel_mm : float
        Pixel size.

    Returns
    -------
    Plane
        The plane.
    """
    right, down = _DIRECTIONS[view]
    shape = max(1, round(height_mm / pixel_mm)), max(1, round(width_mm / pixel_mm))
    return Plane(
        view=view,
        centre_mm=np.asarray(centre_mm, dtype=np.float64),
        right=np.asarray(right, dtype=np.float64),
        down=np.asarray(down, dtype=np.float64),
        shape=shape,
        pixel_mm=pixel_mm,
        frame_of_reference=frame_of_reference,
    )


def sample_plane(
    values: npt.NDArray[Any],
    grid: Grid,
    plane: Plane,
    *,
    transform: Transform | None = None,
    valid: npt.NDArray[np.bool_] | None = None,
    offset_mm: float = 0.0,
) -> FloatArray:
    """Cut a volume, linearly, for display.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Numbers or a mask.
    grid : Grid
        Where they lie.
    plane : Plane
        The cut, in the reference frame.
    transform : Transform, optional
        From the plane's frame to the grid's frame; needed when they differ.
    valid : ndarray of bool, optional
        False for voxels that must not be shown.
    offset_mm : float
        Shift of the plane along its normal.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        NaN outside the grid and where fewer than half of the neighbours (by weight) are valid.

    Raises
    ------
    GeometryError
        ``E_FOR`` when plane, transform and grid do not belong together.
    """
    return _cut(values, grid, plane, np.array([offset_mm]), transform=transform, valid=valid)


def project_maximum(
    values: npt.NDArray[Any],
    grid: Grid,
    plane: Plane,
    *,
    depth_mm: float,
    step_mm: float = 4.0,
    transform: Transform | None = None,
) -> FloatArray:
    """Take the maximum over a slab around a plane.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Numbers or a mask.
    grid : Grid
        Where they lie.
    plane : Plane
        Middle of the slab.
    depth_mm : float
        Thickness of the slab.
    step_mm : float
        Distance between the cuts.
    transform : Transform, optional
        From the plane's frame to the grid's frame.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        NaN where no cut meets the grid.
    """
    steps = max(1, int(np.ceil(depth_mm / step_mm)))
    offsets = np.asarray((np.arange(steps) - (steps - 1) / 2) * step_mm, dtype=np.float64)
    bent = transform is not None and transform.displacement is not None
    # A field bends every plane of the slab in its own way; else many planes are cut at a time, but
    # not all of them: their part of the volume is copied.
    at_once = 1 if bent else _PLANES_AT_ONCE
    shown = np.full(plane.shape, np.nan)
    for first in range(0, steps, at_once):
        pile = offsets[first : first + at_once]
        shown = np.fmax(shown, _cut(values, grid, plane, pile, transform=transform))
    return shown


def bounds_mm(
    grids: Sequence[tuple[Grid, Transform | None]],
) -> tuple[FloatArray, FloatArray]:
    """Bound several fields of view in the reference frame.

    Parameters
    ----------
    grids : sequence of (Grid, Transform or None)
        Each grid with the transform from the reference frame to its frame.

    Returns
    -------
    low, high : ndarray, shape (3,)
        Corners in LPS mm of the reference frame.
    """
    corners = []
    for grid, transform in grids:
        ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape], indexing="ij"))
        points = grid.index_to_lps_mm(ends.reshape(3, -1).T)
        if transform is not None:  # a frame for pictures: bending by millimetres does not count
            back = Transform(transform.matrix, transform.from_frame, transform.to_frame).inverse()
            points = back.apply(points)
        corners.append(points)
    every = np.concatenate(corners)
    return every.min(axis=0), every.max(axis=0)


def _cut(
    values: npt.NDArray[Any],
    grid: Grid,
    plane: Plane,
    offsets_mm: FloatArray,
    *,
    transform: Transform | None,
    valid: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Cut a volume at evenly spaced offsets along the normal; of several, take the maximum."""
    frame = plane.frame_of_reference
    to_grid = np.linalg.inv(grid.affine).astype(np.float64)
    bend = transform.displacement if transform is not None else None
    if transform is not None:
        if transform.from_frame != frame:
            raise _frame_error(transform.from_frame, frame)
        to_grid, frame = np.asarray(to_grid @ transform.matrix), transform.to_frame
    if frame != grid.frame_of_reference:
        raise _frame_error(frame, grid.frame_of_reference)
    turn = to_grid[:3, :3]
    first = plane.corner_mm + offsets_mm[0] * plane.normal
    origin = turn @ first + to_grid[:3, 3]
    right, down = turn @ plane.right * plane.pixel_mm, turn @ plane.down * plane.pixel_mm
    step = turn @ plane.normal * (offsets_mm[-1] - offsets_mm[0]) / max(len(offsets_mm) - 1, 1)
    rows, columns = plane.shape
    travel = (down * (rows - 1), right * (columns - 1), step * (len(offsets_mm) - 1))
    reach = np.stack([np.minimum(travel, 0).sum(axis=0), np.maximum(travel, 0).sum(axis=0)])
    shifts = None
    if bend is not None:
        shifts = bend.at(plane.points_mm(float(offsets_mm[0]))) @ turn.T
        reach += np.stack([shifts.min(axis=(0, 1)), shifts.max(axis=(0, 1))])
    # Only the part of the volume that the plane crosses is touched: planes are many, volumes big.
    size = np.array(grid.shape)
    low = np.clip(np.floor(origin + reach[0]).astype(int) - 1, 0, size - 1)
    high = np.clip(np.ceil(origin + reach[1]).astype(int) + 2, low + 1, size)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return cut_plane(
        np.asarray(values[box], dtype=np.float32),
        origin=origin - low,
        down=down,
        right=right,
        shape=plane.shape,
        valid=None if valid is None else valid[box],
        ends=np.stack([-0.5 - low, size - 0.5 - low], axis=1),
        step=step,
        steps=len(offsets_mm),
        shifts=shifts,
    )


def _frame_error(found: str, wanted: str) -> GeometryError:
    return GeometryError(
        "the plane and the volume lie in different frames of reference",
        code="E_FOR",
        value=(found, wanted),
        action="give the transform from the plane's frame to the volume's frame",
    )
