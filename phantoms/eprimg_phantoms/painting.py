"""From shapes to voxels: which object fills which part of every voxel.

A voxel that no surface can reach holds one object. Every other voxel is cut into ``n`` x ``n`` x
``n`` sub-voxels; the share of each object in it is counted. Signals are averaged with these shares,
so that edges mix signals, not R2*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array, SampleGrid, Shape, inside

SUBVOXELS = 3


@dataclass(frozen=True)
class PaintedSlice:
    """One slice of a painted grid. Label 0 is air, label n the n-th shape.

    Attributes
    ----------
    labels : numpy.ndarray
        Shape (rows, columns), uint8: the object that fills most of the voxel.
    edge_rows, edge_columns : numpy.ndarray
        Shape (n_edge,): the voxels that were cut.
    shares : numpy.ndarray
        Shape (n_edge, n_objects + 1), float32: share of every object in them; rows add up to 1.
    """

    labels: npt.NDArray[np.uint8]
    edge_rows: npt.NDArray[np.intp]
    edge_columns: npt.NDArray[np.intp]
    shares: npt.NDArray[np.float32]

    def mean(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Average a per-object table over each voxel.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (n_objects + 1, ...): the value of air, then of every object.

        Returns
        -------
        numpy.ndarray
            Shape (rows, columns, ...).
        """
        out = table[self.labels]
        if self.edge_rows.size:
            out[self.edge_rows, self.edge_columns] = np.tensordot(self.shares, table, axes=1)
        return out


def paint_slice(
    shapes: list[Shape], grid: SampleGrid, k: int, to_base: Array, *, subvoxels: int = SUBVOXELS
) -> PaintedSlice:
    """Paint one slice.

    Parameters
    ----------
    shapes : list of Shape
        In painting order; later ones cover earlier ones.
    grid : SampleGrid
        Grid in the frame of the session.
    k : int
        Slice.
    to_base : numpy.ndarray
        Shape (4, 4): frame of the session to the frame ``pre`` in which the shapes are given.
    subvoxels : int
        Cuts along each axis of a voxel that a surface may cross.

    Returns
    -------
    PaintedSlice
        Labels and shares.
    """
    _, rows, columns = grid.shape
    index_to_base = to_base @ grid.affine
    half_diagonal = float(np.linalg.norm(grid.spacing_mm)) / 2.0
    j = np.arange(rows, dtype=np.float32)[:, None]
    i = np.arange(columns, dtype=np.float32)[None, :]
    steps = (np.arange(subvoxels) + 0.5) / subvoxels - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)

    labels = np.zeros((rows, columns), dtype=np.uint8)
    ambiguous = np.zeros((rows, columns), dtype=bool)
    near: list[tuple[int, Array, Array, slice, slice, npt.NDArray[np.int8]]] = []
    for number, shape in enumerate(shapes, start=1):
        a, b = shape.coordinates(index_to_base)
        box = _window(shape, a, b, k, rows, columns, half_diagonal)
        if box is None:
            continue
        rs, cs = box
        y = [(a[n, 1] * j[rs] + (a[n, 0] * k + b[n])) + a[n, 2] * i[:, cs] for n in range(3)]
        state = _state(shape, y, half_diagonal)
        labels[box][inside(shape.kind, y[0], y[1], y[2])] = number
        # A shape that surely fills a voxel settles it, whatever was below.
        ambiguous[box] = (ambiguous[box] & (state != 1)) | (state == 0)
        near.append((number, a, b, rs, cs, state))

    er, ec = np.nonzero(ambiguous)
    sub = np.zeros((er.size, offsets.shape[0]), dtype=np.uint8)
    for number, a, b, rs, cs, state in near:
        here = np.nonzero((er >= rs.start) & (er < rs.stop) & (ec >= cs.start) & (ec < cs.stop))[0]
        s = state[er[here] - rs.start, ec[here] - cs.start]
        sub[here[s == 1]] = number
        cut = here[s == 0]
        if cut.size:
            base = a @ np.stack([np.full(cut.size, float(k)), er[cut], ec[cut]]) + b[:, None]
            y = (base[:, :, None] + (a @ offsets.T)[:, None, :]).astype(np.float32)
            block = sub[cut]
            block[inside(shapes[number - 1].kind, y[0], y[1], y[2])] = number
            sub[cut] = block
    n = len(shapes) + 1
    flat = sub.astype(np.intp) + np.arange(er.size)[:, None] * n
    counts = np.bincount(flat.ravel(), minlength=er.size * n).reshape(er.size, n)
    labels[er, ec] = counts.argmax(axis=1)
    return PaintedSlice(labels, er, ec, (counts / np.float32(offsets.shape[0])).astype(np.float32))


def _window(
    shape: Shape, a: Array, b: Array, k: int, rows: int, columns: int, margin_mm: float
) -> tuple[slice, slice] | None:
    """Return the rows and columns that the shape plus a margin can touch in slice ``k``."""
    inverse = np.linalg.inv(a)
    centre = -inverse @ b
    # Extent of the unit solid along each index axis.
    grow = 1.0 + margin_mm / shape.semi_axes_mm
    if shape.kind == "ellipsoid":
        extent = np.sqrt(((inverse * grow) ** 2).sum(axis=1))
    else:
        extent = (
            np.sqrt(((inverse[:, :2] * grow[:2]) ** 2).sum(axis=1))
            + np.abs(inverse[:, 2]) * grow[2]
        )
    low, high = centre - extent, centre + extent
    if k < low[0] or k > high[0]:
        return None
    r0, r1 = max(int(np.floor(low[1])), 0), min(int(np.ceil(high[1])) + 1, rows)
    c0, c1 = max(int(np.floor(low[2])), 0), min(int(np.ceil(high[2])) + 1, columns)
    if r0 >= r1 or c0 >= c1:
        return None
    return slice(r0, r1), slice(c0, c1)


def _state(
    shape: Shape, y: list[npt.NDArray[np.float32]], margin_mm: float
) -> npt.NDArray[np.int8]:
    """Return 1 for voxels surely inside, -1 surely outside, 0 where the surface may cross.

    |q - 1| times the shortest semi-axis never exceeds the distance to the surface (q: scaled
    radius).
    """
    if shape.kind == "ellipsoid":
        t = margin_mm / float(shape.semi_axes_mm.min())
        q = np.sqrt(y[0] ** 2 + y[1] ** 2 + y[2] ** 2)
        return np.where(q > 1.0 + t, -1, np.where(q < 1.0 - t, 1, 0)).astype(np.int8)
    t = margin_mm / float(shape.semi_axes_mm[:2].min())
    c = margin_mm / float(shape.semi_axes_mm[2])
    q, w = np.sqrt(y[0] ** 2 + y[1] ** 2), np.abs(y[2])
    outside = (q > 1.0 + t) | (w > 1.0 + c)
    return np.where(outside, -1, np.where((q < 1.0 - t) & (w < 1.0 - c), 1, 0)).astype(np.int8)
