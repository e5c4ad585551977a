"""A small body that is painted from formulas, still and bent: nothing is resampled."""

from __future__ import annotations

import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

SHAPE = (32, 32, 32)
SPACING_MM = 6.0
MARKS_MM = np.array(
    [[30.0, 20, 10], [-40, 10, -20], [10, -35, 25], [-15, 35, 30], [0, 0, -40], [-30, -25, 30]]
)
RADII_MM = (22, 18, 20, 14, 24, 16)
PRE = (0.0, 500.0, 700.0, 300.0, 620.0, 420.0, 800.0, 350.0)
POST = (0.0, 510.0, 200.0, 310.0, 250.0, 430.0, 820.0, 360.0)
"""Air, body, six organs; two of them turn dark."""
PEAK_MM = 8.0


def grid(frame: str = "1.2.3", shape: tuple[int, int, int] = SHAPE) -> Grid:
    """Axes k, j, i along z, y, x, centred in the body."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag([SPACING_MM] * 3)[::-1]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine, frame)


def bump(points: np.ndarray, peak_mm: float = PEAK_MM) -> np.ndarray:
    """A movement along z and y that is largest above the middle: v in ``base = q + v(q)``."""
    away = ((points - (5.0, 0.0, 15.0)) ** 2).sum(axis=-1)
    size = peak_mm * np.exp(-0.5 * away / 45.0**2)
    return size[..., None] * np.array([0.0, -0.5, np.sqrt(0.75)])


def bent_place(points: np.ndarray, peak_mm: float = PEAK_MM) -> np.ndarray:
    """Where a point of the still body lies in the bent one (q + v(q) = p, by iteration)."""
    here = np.array(points, dtype=float)
    for _ in range(100):
        here = points - bump(here, peak_mm)
    return here


def painted(
    table: tuple[float, ...],
    *,
    frame: str,
    peak_mm: float = 0.0,
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    seed: int = 0,
    shape: tuple[int, int, int] = SHAPE,
) -> Volume:
    """A body with six organs and a texture that moves with it, and noise."""
    where = grid(frame, shape)
    index = np.stack(np.meshgrid(*map(np.arange, where.shape), indexing="ij"), axis=-1)
    q = where.index_to_lps_mm(index) - shift_mm
    p = q + bump(q, peak_mm)
    x, y, z = np.moveaxis(p, -1, 0)
    # Narrower towards one side and one end: no mirror image of itself.
    wide, deep = 78 - 0.25 * z, 66 + 0.3 * x
    edge = np.sqrt((x / wide) ** 2 + (y / deep) ** 2 + (z / 88) ** 2)
    body = 1 / (1 + np.exp((edge - 1) * 25))
    values = np.full(where.shape, table[1])
    for centre, value, radius in zip(MARKS_MM, table[2:], RADII_MM, strict=True):
        shape_ = ((p - centre) / (radius, 0.8 * radius, 1.2 * radius)) ** 2
        share = 1 / (1 + np.exp((np.sqrt(shape_.sum(axis=-1)) - 1) * radius / 2.0))
        values = values + share * (value - table[1])
    texture = np.sin(x / 5.0 + 0.3) * np.sin(y / 4.5 + 1.0) * np.sin(z / 5.5 + 0.5)
    values = values * body * (1.0 + 0.15 * texture)
    noise = np.random.default_rng(seed).standard_normal(where.shape)
    values = np.abs(values + 6.0 * noise)
    return Volume(values.astype(np.float32), where, quantity("signal"))
