"""Maximum-intensity projections of a map turned about the patient's long axis.

All pictures are made once; turning them is then only choosing one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from napari_eprimg.view.display import DisplayGrid

__all__ = ["N_ANGLES", "Projections", "project"]

N_ANGLES = 36
"""Pictures of a whole turn."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Projections:
    """Pictures of a turning volume.

    Parameters
    ----------
    pictures : ndarray of float32, shape (angles, S, across)
        Largest value along each ray; 0 where no voxel has a value.
    depths : ndarray of int16, shape (angles, S, across)
        Sample along the ray that gave it.
    angles_deg : tuple of float
        Turn of each picture; 0 looks from anterior to posterior, 90 from the patient's left.
    grid : DisplayGrid
        Grid of the volume.
    pixel_mm : float
        Distance of pixels across and of samples along the ray.
    """

    pictures: npt.NDArray[np.float32]
    depths: npt.NDArray[np.int16]
    angles_deg: tuple[float, ...]
    grid: DisplayGrid
    pixel_mm: float

    @property
    def scale_mm(self) -> tuple[float, float]:
        """Distance of pixels along S and across."""
        return self.grid.spacing_mm[0], self.pixel_mm

    @property
    def origin_mm(self) -> tuple[float, float]:
        """Place of the first pixel: S of the volume, distance across from the axis of the turn."""
        return self.grid.origin_mm[0], -self.pixel_mm * (self.pictures.shape[2] - 1) / 2

    def across_mm(self, number: int, point: tuple[float, float, float]) -> float:
        """Tell where a point lies in a picture.

        Parameters
        ----------
        number : int
            Which picture.
        point : tuple of float
            S, P, L in mm, in the frame of the volume.

        Returns
        -------
        float
            Distance across from the axis of the turn, in mm.
        """
        angle = math.radians(self.angles_deg[number])
        p, ell = self._axis_mm()
        return (point[2] - ell) * math.cos(angle) + (point[1] - p) * math.sin(angle)

    def voxels(self, number: int) -> npt.NDArray[np.intp]:
        """Tell which voxel made each pixel of a picture.

        Parameters
        ----------
        number : int
            Which picture.

        Returns
        -------
        ndarray of int, shape (S, across, 3)
            Index (S, P, L); never outside the volume.
        """
        angle = math.radians(self.angles_deg[number])
        depths = self.depths[number].astype(np.float64)
        rows, columns = depths.shape
        across = (np.arange(columns) - (columns - 1) / 2) * self.pixel_mm
        along = (depths - (columns - 1) / 2) * self.pixel_mm
        p_axis, l_axis = self._axis_mm()
        left = l_axis + across * math.cos(angle) - along * math.sin(angle)
        posterior = p_axis + across * math.sin(angle) + along * math.cos(angle)
        index = np.empty((rows, columns, 3), dtype=np.intp)
        index[..., 0] = np.arange(rows)[:, None]
        for axis, places in ((1, posterior), (2, left)):
            exact = (places - self.grid.origin_mm[axis]) / self.grid.spacing_mm[axis]
            index[..., axis] = np.clip(np.rint(exact), 0, self.grid.shape[axis] - 1)
        return index

    def point_at(
        self,
        number: int,
        s_mm: float,
        across_mm: float,
        values: npt.NDArray[Any] | None = None,
    ) -> tuple[float, float, float] | None:
        """Find the voxel that made a pixel.

        Parameters
        ----------
        number : int
            Which picture.
        s_mm, across_mm : float
            Place in the picture.
        values : ndarray, shape (S, P, L), optional
            The volume; with it the brightest of the neighbours of the sample is taken, which is
            the voxel that the sample owes its value to.

        Returns
        -------
        tuple of float or None
            Centre of the voxel: S, P, L in mm; None outside the picture.
        """
        row = round((s_mm - self.origin_mm[0]) / self.scale_mm[0])
        column = round((across_mm - self.origin_mm[1]) / self.scale_mm[1])
        if not (0 <= row < self.pictures.shape[1] and 0 <= column < self.pictures.shape[2]):
            return None
        s, p, ell = (int(n) for n in self.voxels(number)[row, column])
        if values is not None:
            near = values[s, max(p - 1, 0) : p + 2, max(ell - 1, 0) : ell + 2]
            if np.isfinite(near).any():
                dp, dl = np.unravel_index(int(np.nanargmax(near)), near.shape)
                p, ell = max(p - 1, 0) + int(dp), max(ell - 1, 0) + int(dl)
        origin, spacing = self.grid.origin_mm, self.grid.spacing_mm
        s_at, p_at, l_at = (o + n * d for o, n, d in zip(origin, (s, p, ell), spacing, strict=True))
        return s_at, p_at, l_at

    def _axis_mm(self) -> tuple[float, float]:
        """P and L of the axis of the turn."""
        return _axis(self.grid)


def project(
    values: npt.NDArray[Any],
    grid: DisplayGrid,
    *,
    angles: int = N_ANGLES,
    progress: Progress | None = None,
) -> Projections:
    """Make the pictures of a whole turn.

    Parameters
    ----------
    values : ndarray, shape (S, P, L)
        Map on a display grid; a voxel without a value counts as 0.
    grid : DisplayGrid
        Its grid; the spacing may differ along the axes.
    angles : int
        Number of pictures; for an even number every second half is the mirrored first one.
    progress : callable, optional
        Called with words and the finished share before each picture; it may raise
        `eprimg.errors.Cancelled`.

    Returns
    -------
    Projections
        Float32 pictures.

    Notes
    -----
    Rays and pixels are as far apart as the smaller in-plane spacing; along a ray the value is
    interpolated between four voxels of the slice.  The axis of the turn goes through a voxel
    centre, so that the pictures at 0 and 90 degrees hit voxel centres (of an isotropic plane) and
    a single hot voxel keeps its full value there.  Rows that hold no value are left out.
    """
    data = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False)
    data = np.ascontiguousarray(data)
    pixel = min(grid.spacing_mm[1:])
    p_axis, l_axis = _axis(grid)
    reach = max(
        math.hypot(p - p_axis, ell - l_axis) for p in _ends(grid, 1) for ell in _ends(grid, 2)
    )
    half = math.ceil(reach / pixel)
    size = 2 * half + 1
    pictures = np.zeros((angles, grid.shape[0], size), dtype=np.float32)
    depths = np.full((angles, grid.shape[0], size), half, dtype=np.int16)
    degrees = tuple(360.0 * n / angles for n in range(angles))
    extents = _extents(data)
    own = angles // 2 if angles % 2 == 0 else angles
    for number in range(own):
        if progress is not None:
            progress("turning the PET", number / own)
        angle = math.radians(degrees[number])
        _turn(
            data,
            extents,
            math.cos(angle),
            math.sin(angle),
            pixel / grid.spacing_mm[1],
            pixel / grid.spacing_mm[2],
            (p_axis - grid.origin_mm[1]) / grid.spacing_mm[1],
            (l_axis - grid.origin_mm[2]) / grid.spacing_mm[2],
            half,
            pictures[number],
            depths[number],
        )
        if own < angles:  # seen from behind: the same rays the other way round
            pictures[number + own] = pictures[number, :, ::-1]
            depths[number + own] = 2 * half - depths[number, :, ::-1]
    if progress is not None:
        progress("turning the PET", 1.0)
    return Projections(pictures, depths, degrees, grid, pixel)


def _axis(grid: DisplayGrid) -> tuple[float, float]:
    """P and L of the voxel centre nearest to the middle."""
    p, ell = (grid.origin_mm[a] + grid.spacing_mm[a] * ((grid.shape[a] - 1) // 2) for a in (1, 2))
    return p, ell


def _ends(grid: DisplayGrid, axis: int) -> tuple[float, float]:
    first = grid.origin_mm[axis]
    return first, first + grid.spacing_mm[axis] * (grid.shape[axis] - 1)


def _extents(data: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """First and last index along P and L that holds a value, for each slice."""
    filled = data > 0
    extents = np.zeros((data.shape[0], 4), dtype=np.int32)
    extents[:, 1] = extents[:, 3] = -1
    for column, along in ((0, filled.any(axis=2)), (2, filled.any(axis=1))):
        some = along.any(axis=1)
        extents[some, column] = along.argmax(axis=1)[some]
        extents[some, column + 1] = along.shape[1] - 1 - along[:, ::-1].argmax(axis=1)[some]
    return extents


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _turn(
    data: npt.NDArray[np.float32],
    extents: npt.NDArray[np.int32],
    cosine: float,
    sine: float,
    p_step: float,
    l_step: float,
    p_axis: float,
    l_axis: float,
    half: int,
    picture: npt.NDArray[np.float32],
    depth: npt.NDArray[np.int16],
) -> None:  # pragma: no cover (compiled)
    """Project every slice at one angle."""
    n_p, n_l = data.shape[1], data.shape[2]
    size = 2 * half + 1
    for s in range(data.shape[0]):
        first_p, last_p, first_l, last_l = extents[s]
        if last_p < first_p or last_l < first_l:
            continue
        plane = data[s]
        for column in range(size):
            across = column - half
            # place(t) = start + t * step, for the sample t = 0 .. size - 1
            p_slope, l_slope = cosine * p_step, -sine * l_step
            p_start = p_axis + across * sine * p_step - half * p_slope
            l_start = l_axis + across * cosine * l_step - half * l_slope
            low, high = 0.0, size - 1.0
            if abs(p_slope) > 1e-9:
                a, b = (first_p - 1 - p_start) / p_slope, (last_p + 1 - p_start) / p_slope
                low, high = max(low, min(a, b)), min(high, max(a, b))
            elif p_start <= first_p - 1 or p_start >= last_p + 1:
                continue
            if abs(l_slope) > 1e-9:
                a, b = (first_l - 1 - l_start) / l_slope, (last_l + 1 - l_start) / l_slope
                low, high = max(low, min(a, b)), min(high, max(a, b))
            elif l_start <= first_l - 1 or l_start >= last_l + 1:
                continue
            best, where = np.float32(0.0), half
            for t in range(math.ceil(low), math.floor(high) + 1):
                p, ell = p_start + t * p_slope, l_start + t * l_slope
                p0, l0 = math.floor(p), math.floor(ell)
                u, v = np.float32(p - p0), np.float32(ell - l0)
                value = np.float32(0.0)
                if p0 >= 0 and p0 + 1 < n_p and l0 >= 0 and l0 + 1 < n_l:
                    a0, a1 = plane[p0, l0], plane[p0, l0 + 1]
                    b0, b1 = plane[p0 + 1, l0], plane[p0 + 1, l0 + 1]
                    top = a0 + v * (a1 - a0)
                    value = top + u * (b0 + v * (b1 - b0) - top)
                else:
                    for dp in range(2):
                        for dl in range(2):
                            if 0 <= p0 + dp < n_p and 0 <= l0 + dl < n_l:
                                weight = (u if dp else 1 - u) * (v if dl else 1 - v)
                                value += weight * plane[p0 + dp, l0 + dl]
                if value > best:
                    best, where = value, t
            picture[s, column] = best
            depth[s, column] = where
