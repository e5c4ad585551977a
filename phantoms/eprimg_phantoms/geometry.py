"""Grids, rigid motions and analytic shapes. All positions are patient LPS millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def rotation_matrix(angles_deg: npt.ArrayLike) -> Array:
    """Return the rotation Rz Ry Rx for three angles.

    Parameters
    ----------
    angles_deg : array_like
        Angles about x, y and z (degrees); x is applied first.

    Returns
    -------
    numpy.ndarray
        Shape (3, 3), proper rotation.
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(angles_deg)), np.sin(np.deg2rad(angles_deg))
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx, dtype=float)


def apply(matrix: Array, points: npt.ArrayLike) -> Array:
    """Apply a 4x4 matrix to points of shape (..., 3)."""
    p = np.asarray(points, dtype=float)
    return np.asarray(p @ matrix[:3, :3].T + matrix[:3, 3], dtype=float)


@dataclass(frozen=True)
class RigidMotion:
    """Where the patient lies in a session: maps the frame ``pre`` to the frame of the session.

    Attributes
    ----------
    matrix : numpy.ndarray
        Shape (4, 4), LPS mm.
    """

    matrix: Array

    @classmethod
    def about(
        cls, angles_deg: npt.ArrayLike, translation_mm: npt.ArrayLike, centre_mm: npt.ArrayLike
    ) -> Self:
        """Build p -> R (p - c) + c + t."""
        r = rotation_matrix(angles_deg)
        c = np.asarray(centre_mm, dtype=float)
        m = np.eye(4)
        m[:3, :3] = r
        m[:3, 3] = c + np.asarray(translation_mm, dtype=float) - r @ c
        return cls(m)

    @property
    def inverse(self) -> Array:
        """The 4x4 matrix from the session frame to the frame ``pre``."""
        return np.asarray(np.linalg.inv(self.matrix), dtype=float)

    @property
    def angle_deg(self) -> float:
        """Total angle of the rotation (degrees)."""
        return float(
            np.rad2deg(np.arccos(np.clip((np.trace(self.matrix[:3, :3]) - 1.0) / 2.0, -1.0, 1.0)))
        )


@dataclass(frozen=True)
class SampleGrid:
    """A regular stack of voxels.

    Attributes
    ----------
    shape : tuple of int
        Voxels along (slice, row, column) = (k, j, i).
    affine : numpy.ndarray
        Shape (4, 4): index (k, j, i) of a voxel centre to LPS mm.
    """

    shape: tuple[int, int, int]
    affine: Array

    @classmethod
    def centred(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        centre_mm: npt.ArrayLike,
        angles_deg: npt.ArrayLike = (0.0, 0.0, 0.0),
    ) -> Self:
        """Build a grid around a centre; unrotated, columns run to +x, rows to +y, slices to +z."""
        r = rotation_matrix(angles_deg)
        affine = np.eye(4)
        affine[:3, :3] = r[:, ::-1] * np.asarray(spacing_mm, dtype=float)
        middle = (np.asarray(shape, dtype=float) - 1.0) / 2.0
        affine[:3, 3] = np.asarray(centre_mm, dtype=float) - affine[:3, :3] @ middle
        k, j, i = shape
        return cls((k, j, i), affine)

    @property
    def spacing_mm(self) -> Array:
        """Voxel size along (k, j, i), mm."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=float)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel (mL)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def directions(self) -> Array:
        """Unit vectors of (k, j, i) as columns, shape (3, 3)."""
        return np.asarray(self.affine[:3, :3] / self.spacing_mm, dtype=float)

    def refined(self, factor: int) -> SampleGrid:
        """Return the grid of ``factor`` times smaller voxels that covers the same box."""
        fine = self.affine.copy()
        fine[:3, :3] /= factor
        fine[:3, 3] -= fine[:3, :3] @ np.full(3, (factor - 1) / 2.0)
        return SampleGrid(
            (self.shape[0] * factor, self.shape[1] * factor, self.shape[2] * factor), fine
        )

    def slice_points(self, k: int) -> Array:
        """Return the centres of slice ``k``: shape (rows, columns, 3), LPS mm."""
        j, i = np.meshgrid(np.arange(self.shape[1]), np.arange(self.shape[2]), indexing="ij")
        return apply(self.affine, np.stack([np.full(j.shape, k), j, i], axis=-1))


@dataclass(frozen=True)
class Shape:
    """A solid given by three scaled coordinates.

    With y = scale (p - centre), an ellipsoid is |y| <= 1, and a cylinder is |(y0, y1)| <= 1 with
    |y2| <= 1.

    Attributes
    ----------
    kind : str
        ``"ellipsoid"`` or ``"cylinder"``.
    centre_mm : numpy.ndarray
        Shape (3,).
    scale : numpy.ndarray
        Shape (3, 3), 1/mm.
    semi_axes_mm : numpy.ndarray
        Shape (3,); for a cylinder the third is the half length.
    """

    kind: str
    centre_mm: Array
    scale: Array
    semi_axes_mm: Array

    @classmethod
    def ellipsoid(cls, centre_mm: npt.ArrayLike, semi_axes_mm: npt.ArrayLike) -> Self:
        """Build an ellipsoid with axes along x, y, z."""
        axes = np.asarray(semi_axes_mm, dtype=float)
        return cls("ellipsoid", np.asarray(centre_mm, dtype=float), np.diag(1.0 / axes), axes)

    @classmethod
    def sphere(cls, centre_mm: npt.ArrayLike, radius_mm: float) -> Self:
        """Build a sphere."""
        return cls.ellipsoid(centre_mm, [radius_mm] * 3)

    @classmethod
    def cylinder(
        cls,
        centre_mm: npt.ArrayLike,
        semi_axes_mm: npt.ArrayLike,
        half_length_mm: float,
        axis: npt.ArrayLike,
    ) -> Self:
        """Build a cylinder of elliptic section; its first section axis is nearest to x."""
        w = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
        helper = np.array([1.0, 0.0, 0.0]) if abs(w[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
        u = helper - (helper @ w) * w
        u /= np.linalg.norm(u)
        axes = np.array([*np.asarray(semi_axes_mm, dtype=float), float(half_length_mm)])
        frame = np.stack([u, np.cross(w, u), w])
        return cls("cylinder", np.asarray(centre_mm, dtype=float), frame / axes[:, None], axes)

    def coordinates(self, to_base: Array) -> tuple[Array, Array]:
        """Return (A, b): scaled coordinates are A x + b if ``to_base`` maps x to ``pre``."""
        a = self.scale @ to_base[:3, :3]
        return a, self.scale @ (to_base[:3, 3] - self.centre_mm)

    def contains(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which points (..., 3) of the frame ``pre`` lie inside."""
        y = (np.asarray(points_mm, dtype=float) - self.centre_mm) @ self.scale.T
        return inside(self.kind, y[..., 0], y[..., 1], y[..., 2])


def inside(
    kind: str, y0: npt.NDArray[Any], y1: npt.NDArray[Any], y2: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Tell which scaled coordinates lie in the unit solid of this kind."""
    if kind == "ellipsoid":
        return np.asarray(y0 * y0 + y1 * y1 + y2 * y2 <= 1.0)
    return np.asarray((y0 * y0 + y1 * y1 <= 1.0) & (np.abs(y2) <= 1.0))
