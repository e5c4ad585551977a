"""A small trunk with organs as a formula, seen from two frames: nothing in it is resampled."""

from __future__ import annotations

import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

SHAPE = (24, 30, 36)
SPACING_MM = 5.0


def grid(frame: str) -> Grid:
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag((SPACING_MM,) * 3 + (1.0,))
    return Grid(SHAPE, affine, frame)


def body(points: np.ndarray) -> np.ndarray:
    """A trunk with three organs: a formula of points in LPS mm."""
    value = np.zeros(points.shape[:-1])
    for centre, radii, add in (
        ((88, 72, 58), (70, 50, 52), 1.0),
        ((60, 64, 66), (26, 22, 20), 0.8),
        ((112, 84, 46), (18, 16, 24), -0.6),
        ((92, 50, 80), (14, 12, 12), 1.2),
    ):
        far = np.sqrt((((points - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1))
        value += add / (1.0 + np.exp(12.0 * (far - 1.0)))
    # Texture of some 40 mm, as in organs: smooth solids alone hold a place only loosely.
    waves = np.array(((0.11, 0.05, 0.09), (-0.07, 0.12, 0.06), (0.05, -0.09, 0.14)))
    return value * (1.0 + 0.15 * np.cos(points @ waves.T).sum(axis=-1))


def volume(frame: str, to_body: np.ndarray | None = None) -> Volume:
    """Sample the body; ``to_body`` maps points of this frame into it.  No voxel is resampled."""
    there = grid(frame)
    points = there.index_to_lps_mm(np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1))
    if to_body is not None:
        points = points @ to_body[:3, :3].T + to_body[:3, 3]
    return Volume(body(points).astype(np.float32), there, quantity("signal"))


def shift(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    return matrix


def turned(angle_deg: float) -> np.ndarray:
    """Turn about z through the middle of the body."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    matrix = np.eye(4)
    matrix[:2, :2] = ((c, -s), (s, c))
    middle = np.array((88.0, 72.0, 58.0))
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    return matrix


TRUE = shift(6.0, -4.0, 5.0) @ turned(3.0)
