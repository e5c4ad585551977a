"""Spheres on a PET grid with an exact truth: closed-form blur, voxel means, correlated noise.

Nothing here comes from the package: the blur of a sphere and of a half-space by a Gaussian is
written out from its closed form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage, special

SCENES = ("soft 8:1", "liver 2.4:1", "hot organ 12 mm away", "necrotic core")
DIAMETERS_MM = (8.0, 10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
SPACING_MM = 4.0
PSF_FWHM_MM = 6.0
_SIGMA_MM = PSF_FWHM_MM / np.sqrt(8.0 * np.log(2.0))

BACKGROUND = {SCENES[0]: 1.0, SCENES[1]: 4.5, SCENES[2]: 1.0, SCENES[3]: 1.0}
CONTRAST = {SCENES[0]: 8.0, SCENES[1]: 2.4, SCENES[2]: 8.0, SCENES[3]: 8.0}
ORGAN = 12.0
"""Uptake of the hot organ, in the unit of the soft-tissue background."""
CORE = 0.45
"""Diameter of the necrotic core, as a part of the lesion's; its uptake is the background's."""
COUNTS = 40.0
"""Counts per voxel and unit of uptake, before the noise is smoothed."""
NOISE_FWHM_MM = 5.0


class Sphere(NamedTuple):
    """One noisy image of a sphere, with its truth."""

    values: np.ndarray[Any, Any]
    seed: tuple[int, int, int]
    centre: np.ndarray[Any, Any]
    diameter_mm: float

    def truth(self, box: Any, factor: int) -> np.ndarray[Any, Any]:
        """Voxels, on a grid `factor` times as fine, whose centre lies in the sphere."""
        axes = [
            ((np.arange(s.start * factor, s.stop * factor) + 0.5) / factor - 0.5) * SPACING_MM - c
            for s, c in zip(box, self.centre, strict=True)
        ]
        far = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
        return far <= (0.5 * self.diameter_mm) ** 2

    @property
    def volume_ml(self) -> float:
        """Volume of the sphere."""
        return float(np.pi / 6.0 * self.diameter_mm**3 / 1000.0)


def _sphere(r: np.ndarray[Any, Any], diameter_mm: float) -> np.ndarray[Any, Any]:
    radius, root = 0.5 * diameter_mm, np.sqrt(2.0) * _SIGMA_MM
    r = np.maximum(r, 1e-4)
    a, b = (radius - r) / root, (radius + r) / root
    rim = _SIGMA_MM / (r * np.sqrt(2.0 * np.pi)) * (np.exp(-(a**2)) - np.exp(-(b**2)))
    return 0.5 * (special.erf(a) + special.erf(b)) - rim


def make_sphere(scene: str, diameter_mm: float, draw: int, *, size: int = 30) -> Sphere:
    """Draw one image: random place within a voxel, voxel means of 3 x 3 x 3 samples, noise."""
    random = np.random.default_rng([SCENES.index(scene), int(diameter_mm), draw])
    middle = (size - 1) / 2.0
    centre = (middle + random.uniform(-0.5, 0.5, 3)) * SPACING_MM
    ticks = ((np.arange(3 * size) + 0.5) / 3.0 - 0.5) * SPACING_MM
    k, j, i = np.meshgrid(*(ticks - c for c in centre), indexing="ij", sparse=True)
    r = np.sqrt(k**2 + j**2 + i**2)
    ground = BACKGROUND[scene]
    uptake = ground + (CONTRAST[scene] - 1.0) * ground * _sphere(r, diameter_mm)
    if scene == SCENES[3]:
        uptake -= (CONTRAST[scene] - 1.0) * ground * _sphere(r, CORE * diameter_mm)
    if scene == SCENES[2]:
        edge = 0.5 * diameter_mm + 12.0
        uptake = uptake + (ORGAN - ground) * 0.5 * (
            1.0 + special.erf((i - edge) / (np.sqrt(2.0) * _SIGMA_MM))
        )
    mean = uptake.reshape(size, 3, size, 3, size, 3).mean(axis=(1, 3, 5))
    noise = (random.poisson(mean * COUNTS) - mean * COUNTS) / COUNTS
    width = NOISE_FWHM_MM / np.sqrt(8.0 * np.log(2.0)) / SPACING_MM
    values = mean + ndimage.gaussian_filter(noise, width)
    seed = np.rint(centre / SPACING_MM).astype(int)
    return Sphere(values, (int(seed[0]), int(seed[1]), int(seed[2])), centre, diameter_mm)


def dice(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Overlap of two masks: twice the intersection over the sum."""
    both = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2.0 * np.count_nonzero(one & other) / both) if both else float("nan")
