"""A field of small shifts that bends space, on a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from eprimg.model.volume import read_only

__all__ = ["Displacement"]

FloatArray = npt.NDArray[np.float64]

_AT_ONCE = 500_000
"""Points interpolated at a time: bounds the memory to some tens of megabytes."""


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Displacement:
    """Shifts of points, linear between the nodes of a grid.

    Parameters
    ----------
    vectors_mm : ndarray of float, shape (k, j, i, 3)
        Shift of a point at each node, LPS mm.
    grid : Grid
        Where the nodes lie.

    Notes
    -----
    Outside the box of the outermost nodes a point is not shifted, as in ITK's displacement-field
    transform (which goes on with the outermost vectors for half a node more).  A field should fade
    to zero towards its border, so that a file written for another program means the same there, or
    cover all that is asked of it.
    """

    vectors_mm: npt.NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        """Validate and freeze."""
        vectors = np.ascontiguousarray(self.vectors_mm, dtype=np.float32)
        if vectors.shape != (*self.grid.shape, 3):
            raise GeometryError(
                "a displacement has one vector of three numbers per node of its grid",
                code="E_TRANSFORM",
                value=(vectors.shape, self.grid.shape),
            )
        if not np.isfinite(vectors).all():
            raise GeometryError("a displacement must be finite", code="E_TRANSFORM")
        object.__setattr__(self, "vectors_mm", read_only(vectors))

    @property
    def largest_mm(self) -> float:
        """Length of the longest shift."""
        squares = np.einsum("...a,...a->...", self.vectors_mm, self.vectors_mm)
        return float(np.sqrt(squares.max()))

    @property
    def largest_at_border_mm(self) -> float:
        """Length of the longest shift at an outermost node: the jump to zero there."""
        inner = np.zeros(self.grid.shape, dtype=bool)
        inner[1:-1, 1:-1, 1:-1] = True
        return float(np.linalg.norm(self.vectors_mm[~inner], axis=-1).max())

    def at(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Interpolate the shift at points.

        Parameters
        ----------
        points_mm : array_like, shape (..., 3)
            LPS mm in the frame of the grid.

        Returns
        -------
        ndarray, shape (..., 3)
            Shifts in LPS mm; zero outside the grid.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        flat = points.reshape(-1, 3)
        shifts = np.zeros(flat.shape)
        for first in range(0, len(flat), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            shifts[part] = self._interpolated(self.grid.lps_mm_to_index(flat[part]))
        return shifts.reshape(points.shape)

    def _interpolated(self, index: FloatArray) -> FloatArray:
        last = np.array(self.grid.shape) - 1
        inside = ((index >= -1e-6) & (index <= last + 1e-6)).all(axis=1)
        index = np.clip(index, 0, last)
        low = np.minimum(np.floor(index).astype(np.intp), np.maximum(last - 1, 0))
        high = np.minimum(low + 1, last)
        part = index - low
        total = np.zeros((len(index), 3))
        for corner in np.ndindex(2, 2, 2):
            node = np.where(corner, high, low)
            weight = np.prod(np.where(corner, part, 1.0 - part), axis=1)
            total += weight[:, None] * self.vectors_mm[node[:, 0], node[:, 1], node[:, 2]]
        total[~inside] = 0.0
        return total

    def nodes_mm(self) -> FloatArray:
        """Return the points of the nodes.

        Returns
        -------
        ndarray, shape (k, j, i, 3)
            LPS mm.
        """
        index = np.moveaxis(np.indices(self.grid.shape, dtype=np.float64), 0, -1)
        return self.grid.index_to_lps_mm(index)

    def moved(self, matrix: FloatArray, frame_of_reference: str) -> Displacement:
        """Express the same bending in coordinates that an affine map gives.

        Parameters
        ----------
        matrix : ndarray, shape (4, 4)
            Maps LPS mm of this frame to LPS mm of the other; it must keep right angles.
        frame_of_reference : str
            The other frame.

        Returns
        -------
        Displacement
            Its shift at ``matrix p`` is the linear part of the matrix times the shift at ``p``.

        Raises
        ------
        GeometryError
            ``E_GEOM_SHEAR`` when the matrix does not keep the grid's right angles.
        """
        grid = Grid(self.grid.shape, matrix @ self.grid.affine, frame_of_reference)
        return Displacement((self.vectors_mm @ matrix[:3, :3].T).astype(np.float32), grid)

    def widened(self, margin_mm: float) -> Grid:
        """Return the grid with more nodes of the same spacing on every side.

        Parameters
        ----------
        margin_mm : float
            Least distance by which it grows.

        Returns
        -------
        Grid
            Nodes of the old grid are nodes of the new one.
        """
        more = np.ceil(margin_mm / np.array(self.grid.spacing_mm)).astype(int)
        return _grown(self.grid, more, more)

    def covering(self, other: Grid) -> Grid:
        """Return the grid with as many more nodes as it takes to hold another grid.

        Parameters
        ----------
        other : Grid
            In the same frame.

        Returns
        -------
        Grid
            Nodes of the old grid are nodes of the new one.
        """
        ends = np.array(list(np.ndindex(2, 2, 2))) * (np.array(other.shape) - 1)
        index = self.grid.lps_mm_to_index(other.index_to_lps_mm(ends))
        before = np.maximum(np.ceil(-index.min(axis=0) - 1e-6), 0).astype(int)
        last = np.array(self.grid.shape) - 1
        after = np.maximum(np.ceil(index.max(axis=0) - last - 1e-6), 0).astype(int)
        return _grown(self.grid, before, after)

    def __repr__(self) -> str:
        """Short form: grid and longest shift."""
        return f"Displacement({self.grid!r}, at most {self.largest_mm:.1f} mm)"


def _grown(grid: Grid, before: npt.NDArray[np.int_], after: npt.NDArray[np.int_]) -> Grid:
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.index_to_lps_mm(-before)
    k, j, i = (int(n) for n in np.array(grid.shape) + before + after)
    return Grid((k, j, i), affine, grid.frame_of_reference)
