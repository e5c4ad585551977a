"""Analytic abdomen for clicks: lesions of known outline, one gradient echo, with and without iron.

The tissue numbers are those of the scene ``abdomen`` of the phantoms.  Nothing of `eprimg` is used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ECHO_TIME_S = 4.6e-3
NOISE = 12.0
"""SD of each of the two channels; the signal of muscle is about 500."""

# S0, its factor after the agent, R2* before, change of R2* (1/s), texture of S0.
TISSUES = {
    "fat": (1150.0, 1.0, 35.0, 1.0, 0.06),
    "mesentery": (1080.0, 1.02, 34.0, 2.0, 0.10),
    "muscle": (600.0, 1.03, 32.0, 6.0, 0.03),
    "liver": (780.0, 1.10, 45.0, 276.0, 0.02),
    "spleen": (700.0, 1.10, 60.0, 464.0, 0.02),
    "kidney": (760.0, 1.10, 24.0, 45.0, 0.03),
    "blood": (640.0, 1.50, 20.0, 31.0, 0.0),
    "marrow": (640.0, 1.05, 90.0, 418.0, 0.04),
    "bowel": (640.0, 1.02, 28.0, 5.0, 0.10),
}

# Tissue, centre (x, y, z) and semi-axes in mm; later ones replace earlier ones.
BODY = (
    ("fat", (0, 0, 0), (130, 100, 400)),
    ("muscle", (0, 0, 0), (118, 88, 390)),
    ("mesentery", (0, -6, 0), (110, 76, 380)),
    ("liver", (-50, -10, 20), (58, 58, 52)),
    ("blood", (-45, -30, 25), (4, 40, 4)),
    ("blood", (-70, 5, 35), (30, 4, 4)),
    ("spleen", (84, 22, 25), (24, 38, 40)),
    ("kidney", (60, 36, -45), (22, 20, 34)),
    ("kidney", (-55, 40, -50), (22, 20, 26)),
    ("bowel", (30, -40, -30), (30, 24, 24)),
    ("bowel", (-40, -35, -50), (26, 20, 16)),
    ("muscle", (-42, 70, 0), (26, 18, 300)),
    ("muscle", (42, 70, 0), (26, 18, 300)),
    ("marrow", (0, 56, 0), (20, 18, 300)),
    ("blood", (14, 28, 0), (11, 11, 300)),
    ("blood", (-16, 30, 0), (11, 9, 300)),
)

# Centre (mm), diameter (mm), S0, factor, R2* before, change.
LESIONS = (
    ((-70, -25, 10), 24.0, 900.0, 1.05, 30.0, 60.0),
    ((-30, -20, 45), 16.0, 880.0, 1.05, 32.0, 80.0),
    ((-60, 15, 40), 13.0, 900.0, 1.05, 28.0, 40.0),
    ((-75, 20, 5), 20.0, 840.0, 1.05, 30.0, 110.0),
    ((85, 15, 30), 18.0, 880.0, 1.05, 30.0, 90.0),
    ((0, -40, -25), 17.0, 760.0, 1.05, 30.0, 40.0),
    ((45, -20, 30), 22.0, 740.0, 1.05, 33.0, 60.0),
    ((32, -42, -30), 15.0, 880.0, 1.03, 27.0, 40.0),
    ((42, 70, 20), 14.0, 880.0, 1.10, 26.0, 20.0),
    ((-42, 68, -20), 19.0, 840.0, 1.10, 26.0, 40.0),
    ((14, 2, 5), 15.0, 720.0, 1.05, 30.0, 50.0),
    ((62, 40, -40), 16.0, 560.0, 1.05, 36.0, 10.0),
)

FIELD_MM = (150.0, 192.0, 248.0)
"""Size of the volume along (k, j, i); it is centred on the origin."""


class ClickObject(NamedTuple):
    """One volume and the outlines in it.

    Attributes
    ----------
    before, after : ndarray, shape (k, j, i)
        Magnitude at one echo time before and after the agent.
    labels : ndarray of int
        1 to 12 for the lesions, by the centre of the voxel.
    clicks : list of (lesion, (k, j, i))
        Three per lesion, 0.35 to 0.6 of its radius off its centre.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    labels: NDArray[np.int32]
    clicks: list[tuple[int, tuple[int, int, int]]]


def make_object(
    seed: int, spacing_mm: tuple[float, float, float] = (3.0, 2.0, 2.0), noise: float = NOISE
) -> ClickObject:
    """Draw the abdomen with other offsets, shapes, texture and noise for every seed."""
    random = np.random.default_rng(seed)
    shape = tuple(round(f / h) for f, h in zip(FIELD_MM, spacing_mm, strict=True))
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * h).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, h) in enumerate(zip(shape, spacing_mm, strict=True))
    )
    step = float(np.prod(spacing_mm)) ** (1 / 3)

    def cover(centre: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.float64]:
        radius = np.sqrt(
            ((x - centre[0]) / half[0]) ** 2
            + ((y - centre[1]) / half[1]) ** 2
            + ((z - centre[2]) / half[2]) ** 2
        )
        # Share of a voxel inside, from the distance to the surface in units of a voxel.
        return np.clip(0.5 - (radius - 1.0) * float(np.min(half)) / step, 0.0, 1.0)

    pattern = _texture(random, x, y, z)
    signal = [np.zeros(shape), np.zeros(shape)]

    def paint(share: NDArray[np.float64], tissue: tuple[float, ...]) -> None:
        s0, factor, rate, change, texture = tissue
        ground = s0 * (1.0 + texture * pattern)
        signal[0] += share * (ground * np.exp(-ECHO_TIME_S * rate) - signal[0])
        signal[1] += share * (ground * factor * np.exp(-ECHO_TIME_S * (rate + change)) - signal[1])

    for name, middle, half in BODY:
        paint(cover(np.array(middle, float), np.array(half, float)), TISSUES[name])
    labels = np.zeros(shape, dtype=np.int32)
    clicks: list[tuple[int, tuple[int, int, int]]] = []
    for number, (middle, diameter, *tissue) in enumerate(LESIONS, start=1):
        centre = np.array(middle, float) + random.uniform(-2.0, 2.0, 3)
        half = diameter / 2.0 * random.uniform(0.9, 1.1, 3)
        paint(cover(centre, half), (*tissue, 0.03))
        inside = sum(
            ((axis - c) / h) ** 2 for axis, c, h in zip((x, y, z), centre, half, strict=True)
        )
        labels[np.asarray(inside) <= 1.0] = number
        for _ in range(3):
            way = random.normal(size=3)
            point = centre + half * way / np.linalg.norm(way) * random.uniform(0.35, 0.6)
            index = [
                round(p / h + (n - 1) / 2)
                for p, h, n in zip(point[::-1], spacing_mm, shape, strict=True)
            ]
            clicks.append((number, (index[0], index[1], index[2])))
    shading = 1.0 + 0.0004 * x + 0.0010 * y + 0.0002 * z
    noisy = [
        np.hypot(s * shading + random.normal(0, noise, shape), random.normal(0, noise, shape))
        for s in signal
    ]
    return ClickObject(noisy[0], noisy[1], labels, clicks)


def _texture(
    random: np.random.Generator,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Smooth pattern of wavelengths of 15 to 40 mm, of standard deviation 1."""
    pattern = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape))
    for _ in range(12):
        way = random.normal(size=3)
        way *= 2 * np.pi / random.uniform(15.0, 40.0) / np.linalg.norm(way)
        pattern += np.sin(way[0] * x + way[1] * y + way[2] * z + random.uniform(0, 2 * np.pi))
    return pattern / pattern.std()


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum."""
    return float(2.0 * np.count_nonzero(one & other) / (one.sum() + other.sum()))
