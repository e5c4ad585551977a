"""Where voxels lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError

__all__ = ["Grid"]

FloatArray = npt.NDArray[np.float64]

_ORTHOGONAL_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as orthogonal (0.06 degrees)."""


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """A regular voxel grid in patient coordinates.

    Parameters
    ----------
    shape : tuple of int
        Number of voxels along (k, j, i): slice, row, column.
    affine : ndarray, shape (4, 4)
        Maps the index ``(k, j, i, 1)`` of a voxel centre to LPS millimetres.
    frame_of_reference : str
        Identifier of the coordinate system; never empty.

    Raises
    ------
    GeometryError
        ``E_GEOM_MATRIX``, ``E_GEOM_SHEAR`` or ``E_FOR``.
    """

    shape: tuple[int, int, int]
    affine: FloatArray
    frame_of_reference: str

    def __post_init__(self) -> None:
        """Validate and freeze."""
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(
                "a grid has three positive sizes (k, j, i)", code="E_GEOM_MATRIX", value=self.shape
            )
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError("a grid's affine is a finite 4 x 4 matrix", code="E_GEOM_MATRIX")
        if not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError("the last row of a grid's affine is 0 0 0 1", code="E_GEOM_MATRIX")
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if (spacing <= 0).any():
            raise GeometryError(
                "a grid has positive spacing along every axis",
                code="E_GEOM_MATRIX",
                value=spacing.tolist(),
            )
        axes = affine[:3, :3] / spacing
        if np.abs(axes.T @ axes - np.eye(3)).max() > _ORTHOGONAL_TOLERANCE:
            raise GeometryError(
                "the axes of a grid must be at right angles (the slices are sheared or tilted)",
                code="E_GEOM_SHEAR",
                action="resample the series to an orthogonal grid before measuring",
            )
        if not self.frame_of_reference:
            raise GeometryError(
                "a grid needs a frame of reference",
                code="E_FOR",
                action="readers mint one when the file has none",
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (k, j, i), in mm."""
        k, j, i = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def axes_lps(self) -> FloatArray:
        """Unit vectors of the axes (k, j, i) as the columns of a (3, 3) array."""
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def center_lps_mm(self) -> FloatArray:
        """Centre of the field of view in LPS mm, shape (3,)."""
        return self.index_to_lps_mm((np.array(self.shape) - 1) / 2.0)

    def index_to_lps_mm(self, index: npt.ArrayLike) -> FloatArray:
        """Map indices (k, j, i) to LPS millimetres.

        Parameters
        ----------
        index : array_like, shape (..., 3)
            Voxel indices; fractions are allowed.

        Returns
        -------
        ndarray, shape (..., 3)
            Points in LPS mm.
        """
        points = np.asarray(index, dtype=np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_mm_to_index(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Map LPS millimetres to fractional indices (k, j, i).

        Parameters
        ----------
        points_mm : array_like, shape (..., 3)
            Points in LPS mm.

        Returns
        -------
        ndarray, shape (..., 3)
            Fractional indices.
        """
        inverse = np.linalg.inv(self.affine)
        points = np.asarray(points_mm, dtype=np.float64)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])

    def matches(self, other: Grid, *, tolerance_mm: float = 0.01) -> bool:
        """Tell whether two grids put every voxel at the same place of the same frame.

        Parameters
        ----------
        other : Grid
            The other grid.
        tolerance_mm : float
            Largest distance between corresponding corner voxels.

        Returns
        -------
        bool
            True when shape, frame of reference and all corners agree.
        """
        if self.shape != other.shape or self.frame_of_reference != other.frame_of_reference:
            return False
        if self.affine.tobytes() == other.affine.tobytes():
            return True
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"))
        index = corners.reshape(3, -1).T
        distance = np.linalg.norm(
            self.index_to_lps_mm(index) - other.index_to_lps_mm(index), axis=1
        )
        return bool(distance.max() <= tolerance_mm)

    def require_match(self, other: Grid, *, what: str = "the two volumes") -> None:
        """Refuse two grids that differ; nothing is resampled silently.

        Parameters
        ----------
        other : Grid
            The other grid.
        what : str
            What is being compared, for the message.

        Raises
        ------
        GeometryError
            ``E_FOR`` when the frames of reference differ, else ``E_GRID_MISMATCH``.
        """
        if self.frame_of_reference != other.frame_of_reference:
            raise GeometryError(
                f"{what} lie in different frames of reference",
                code="E_FOR",
                value=(self.frame_of_reference, other.frame_of_reference),
                action="register them, or give a transform",
            )
        if not self.matches(other):
            raise GeometryError(
                f"{what} lie on different grids ({self!r} and {other!r})",
                code="E_GRID_MISMATCH",
                action="resample one of them on purpose",
            )

    def __repr__(self) -> str:
        """Short form: sizes, spacing and the tail of the frame of reference."""
        size = " x ".join(str(n) for n in self.shape)
        spacing = " x ".join(f"{s:.2f}" for s in self.spacing_mm)
        return f"Grid({size} voxels, {spacing} mm, frame ...{self.frame_of_reference[-8:]})"
