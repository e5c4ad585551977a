"""Solids with a soft edge: how far points lie from a surface. All positions are LPS millimetres.

Distances are negative inside.  Those of ellipsoids and of stretched tubes are of first order: exact
at the surface, where the edge is, and of the right sign elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array, rotation_matrix

Points = npt.NDArray[np.float32]
"""Shape (3, ...): x, y and z."""

_SMALL = np.float32(1e-6)


class Solid(Protocol):
    """What every solid offers."""

    @property
    def box_mm(self) -> Array:
        """Lowest and highest corner of a box around it, shape (2, 3)."""
        ...

    def distance(self, points_mm: Points) -> npt.NDArray[np.float32]:
        """Signed distance (mm) of points (3, ...) from the surface, negative inside."""
        ...

    def mirrored(self) -> Solid:
        """Return the same solid with left and right exchanged (x -> -x)."""
        ...

    def moved(self, step_mm: npt.ArrayLike) -> Solid:
        """Return the same solid elsewhere."""
        ...


@dataclass(frozen=True)
class SmoothRound:
    """An ellipsoid, or a cylinder of elliptic section.

    Attributes
    ----------
    centre_mm : numpy.ndarray
        Shape (3,).
    frame : numpy.ndarray
        Shape (3, 3): rows are the directions of the axes.
    axes_mm : numpy.ndarray
        Shape (3,): semi-axes; of a cylinder, the third is half its length.
    flat_ends : bool
        True for a cylinder, along the third axis.
    """

    centre_mm: Array
    frame: Array
    axes_mm: Array
    flat_ends: bool = False

    @classmethod
    def build(
        cls,
        centre_mm: npt.ArrayLike,
        axes_mm: npt.ArrayLike,
        angles_deg: npt.ArrayLike = (0.0, 0.0, 0.0),
        *,
        flat_ends: bool = False,
    ) -> Self:
        """Build from the centre, the semi-axes and angles about x, y, z."""
        return cls(
            np.asarray(centre_mm, dtype=float),
            rotation_matrix(angles_deg).T,
            np.asarray(axes_mm, dtype=float),
            flat_ends,
        )

    @property
    def box_mm(self) -> Array:
        """Lowest and highest corner of a box around it, shape (2, 3)."""
        spread = np.abs(self.frame.T) * self.axes_mm
        half = spread.sum(axis=1) if self.flat_ends else np.sqrt((spread**2).sum(axis=1))
        return np.stack([self.centre_mm - half, self.centre_mm + half])

    def distance(self, points_mm: Points) -> npt.NDArray[np.float32]:
        """Signed distance (mm) of points (3, ...) from the surface, negative inside."""
        scaled = (self.frame / self.axes_mm[:, None]).astype(np.float32)
        offset = (scaled @ self.centre_mm.astype(np.float32)).astype(np.float32)
        y = np.tensordot(scaled, points_mm, axes=1)
        y -= offset.reshape(3, *[1] * (points_mm.ndim - 1))
        last = 2 if self.flat_ends else 3
        square = y[:last] * y[:last]
        q2 = square.sum(axis=0)
        # |q| - 1 over the length of its gradient.
        steep = np.tensordot((1.0 / self.axes_mm[:last] ** 2).astype(np.float32), square, axes=1)
        out = (q2 - np.sqrt(q2)) / np.sqrt(np.maximum(steep, _SMALL))
        # At the very centre the quotient is 0 / 0 and means "deep inside".
        deep = q2 < 1e-4
        if deep.any():
            out[deep] = -np.float32(self.axes_mm[:last].min())
        if self.flat_ends:
            out = np.maximum(out, (np.abs(y[2]) - 1.0) * np.float32(self.axes_mm[2]))
        return np.asarray(out, dtype=np.float32)

    def mirrored(self) -> SmoothRound:
        """Return the same solid with left and right exchanged (x -> -x)."""
        flip = np.array([-1.0, 1.0, 1.0])
        return SmoothRound(self.centre_mm * flip, self.frame * flip, self.axes_mm, self.flat_ends)

    def moved(self, step_mm: npt.ArrayLike) -> SmoothRound:
        """Return the same solid elsewhere."""
        return SmoothRound(self.centre_mm + step_mm, self.frame, self.axes_mm, self.flat_ends)


@dataclass(frozen=True)
class SmoothTube:
    """A round tube along straight pieces, with a radius that changes linearly between them.

    Attributes
    ----------
    nodes_mm : numpy.ndarray
        Shape (n, 3).
    radii_mm : numpy.ndarray
        Shape (n,), across the axis along which nothing is stretched.
    stretch : numpy.ndarray
        Shape (3,): the tube is this much wider along x, y, z, about each node.
    """

    nodes_mm: Array
    radii_mm: Array
    stretch: Array

    @classmethod
    def build(
        cls,
        nodes_mm: npt.ArrayLike,
        radii_mm: float | Sequence[float],
        stretch: npt.ArrayLike = (1.0, 1.0, 1.0),
    ) -> Self:
        """Build from nodes, one radius or one per node, and the stretch."""
        nodes = np.asarray(nodes_mm, dtype=float)
        radii = np.broadcast_to(np.asarray(radii_mm, dtype=float), len(nodes))
        return cls(nodes, np.array(radii), np.asarray(stretch, dtype=float))

    @property
    def box_mm(self) -> Array:
        """Lowest and highest corner of a box around it, shape (2, 3)."""
        wide = self.radii_mm[:, None] * self.stretch
        return np.stack([(self.nodes_mm - wide).min(axis=0), (self.nodes_mm + wide).max(axis=0)])

    def distance(self, points_mm: Points) -> npt.NDArray[np.float32]:
        """Signed distance (mm) of points (3, ...) from the surface, negative inside."""
        shape = (3, *[1] * (points_mm.ndim - 1))
        widen = self.stretch.astype(np.float32).reshape(shape)
        p = points_mm / widen if (self.stretch != 1.0).any() else points_mm
        nodes = (self.nodes_mm / self.stretch).astype(np.float32)
        best: npt.NDArray[np.float32] | None = None
        for first, second, r0, r1 in zip(
            nodes[:-1], nodes[1:], self.radii_mm[:-1], self.radii_mm[1:], strict=True
        ):
            along = second - first
            beside = p - first.reshape(shape)
            share = np.tensordot(along / (along @ along), beside, axes=1).clip(0.0, 1.0)
            beside -= along.reshape(shape) * share
            here = np.sqrt((beside * beside).sum(axis=0))
            here -= np.float32(r0) + np.float32(r1 - r0) * share
            best = here if best is None else np.minimum(best, here, out=best)
        assert best is not None
        return best

    def mirrored(self) -> SmoothTube:
        """Return the same solid with left and right exchanged (x -> -x)."""
        return SmoothTube(self.nodes_mm * [-1.0, 1.0, 1.0], self.radii_mm, self.stretch)

    def moved(self, step_mm: npt.ArrayLike) -> SmoothTube:
        """Return the same solid elsewhere."""
        return SmoothTube(self.nodes_mm + step_mm, self.radii_mm, self.stretch)


def soft_share(
    distance_mm: npt.NDArray[np.float32], half_width_mm: float
) -> npt.NDArray[np.float32]:
    """Turn distances into the share of a voxel that a solid fills.

    Parameters
    ----------
    distance_mm : numpy.ndarray
        Signed distance from the surface, negative inside.
    half_width_mm : float
        The share falls from 1 to 0 between minus and plus this distance.

    Returns
    -------
    numpy.ndarray
        Cubic step, 1 inside, 0 outside, one half at the surface.
    """
    t = np.clip(0.5 - distance_mm / np.float32(2.0 * half_width_mm), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)
