"""CT of the PET/CT session: CT numbers with Gaussian noise, in the frame of the PET."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.painting import paint_slice
from eprimg_phantoms.scene import Scene

AIR_HU = -1000.0


def ct_grid(scene: Scene, size: str) -> SampleGrid:
    """Return the grid of the CT, in the frame of the PET session."""
    s = scene.sizes[size]
    return SampleGrid.centred(s.ct_shape, s.ct_spacing_mm, s.pet_centre_mm)


def acquire_ct(
    scene: Scene, grid: SampleGrid, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int16]]:
    """Yield the CT slices in HU, shape (rows, columns), int16."""
    table = np.array([AIR_HU] + [o.tissue.hu for o in scene.objects], dtype=np.float32)
    to_base = scene.sessions["pet"].motion.inverse
    shapes = [o.shape for o in scene.objects]
    for k in range(grid.shape[0]):
        hu = paint_slice(shapes, grid, k, to_base).mean(table)
        hu += rng.standard_normal(hu.shape, dtype=np.float32) * np.float32(scene.ct["noise_hu"])
        yield np.rint(hu).clip(-1024, 3071).astype(np.int16)
