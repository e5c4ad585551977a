"""Adapters of itk-elastix: rigid, and rigid followed by B-splines.

References
----------
Klein S et al., IEEE Trans Med Imaging 2010;29:196, doi 10.1109/TMI.2009.2035616.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.child_registrar import ChildRegistrar
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.resources import load_resource

__all__ = ["ItkElastix", "ItkElastixDeformable", "faded"]

_LARGEST_BYTES = 2_000_000_000


class ItkElastix(ChildRegistrar):
    """Rigid registration: mutual information, adaptive stochastic gradient descent."""

    name = "itk-elastix"
    package = "itk-elastix"
    variable = "EPRIMG_ELASTIX_PYTHON"
    script = "_run_elastix.py"
    resource = "itk-elastix"

    def prepare(self, fixed: Volume, own: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return parameters, seed, and the lattice of the field.

        Parameters
        ----------
        fixed : Volume
            The fixed series.
        own : Mapping
            Settings of the engine.
        seed : int
            Seed of the sampler.

        Returns
        -------
        dict
            Content of ``in.json``.
        """
        asked = {"settings": dict(own), "seed": seed, "deformable": self.deformable}
        if self.deformable:
            lattice = _lattice(fixed.grid, float(own["field"]["spacing_mm"]))
            axes = lattice.axes_lps[:, ::-1]
            asked["lattice"] = {
                "Size": lattice.shape[::-1],
                "Index": (0, 0, 0),
                "Spacing": lattice.spacing_mm[::-1],
                "Origin": lattice.affine[:3, 3].tolist(),
                # elastix lists the direction column by column
                "Direction": axes.T.ravel().tolist(),
            }
        return asked


class ItkElastixDeformable(ItkElastix):
    """Rigid, then B-splines with bending energy, sampled as a displacement field."""

    name = "itk-elastix-deformable"
    deformable = True

    def answer(
        self, folder: Path, fixed: Volume
    ) -> tuple[npt.NDArray[np.float64], Displacement | None]:
        """Read matrix and field.

        Parameters
        ----------
        folder : Path
            The private folder.
        fixed : Volume
            The fixed series.

        Returns
        -------
        matrix : ndarray, shape (4, 4)
            Rigid part, LPS mm.
        displacement : Displacement
            What the B-splines add: a point p goes to ``matrix (p + u(p))``.
        """
        matrix, _ = super().answer(folder, fixed)
        if (folder / "field.npy").stat().st_size > _LARGEST_BYTES:
            raise ValueError
        vectors = np.load(folder / "field.npy", allow_pickle=False)
        field = load_resource(f"registration_engines/{self.resource}.toml")["field"]
        lattice = _lattice(fixed.grid, float(field["spacing_mm"]))
        if vectors.shape != (*lattice.shape, 3) or not np.isfinite(vectors).all():
            raise ValueError
        index = np.moveaxis(np.indices(lattice.shape, dtype=np.float64), 0, -1)
        points = lattice.index_to_lps_mm(index)
        back = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        there = (points + vectors) @ back[:3, :3].T + back[:3, 3]
        return matrix, faded(there - points, lattice, int(field["fade_nodes"]))


def faded(vectors_mm: npt.NDArray[np.float64], grid: Grid, nodes: int) -> Displacement:
    """Let a field fade to zero in a rim of new nodes, so that it does not end in a jump.

    Parameters
    ----------
    vectors_mm : ndarray, shape (k, j, i, 3)
        Shifts at the nodes.
    grid : Grid
        Where the nodes lie.
    nodes : int
        Width of the rim; the outermost new nodes hold zero.

    Returns
    -------
    Displacement
        Unchanged at the old nodes.
    """
    wide = np.pad(vectors_mm, [(nodes, nodes)] * 3 + [(0, 0)], mode="edge")
    for axis, size in enumerate(grid.shape):
        outside = np.maximum(nodes - np.arange(size + 2 * nodes), 0)
        outside = np.maximum(outside, outside[::-1])
        shape = [1, 1, 1, 1]
        shape[axis] = len(outside)
        wide *= (1.0 - outside / max(nodes, 1)).reshape(shape)
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.index_to_lps_mm((-nodes, -nodes, -nodes))
    k, j, i = (n + 2 * nodes for n in grid.shape)
    lattice = Grid((k, j, i), affine, grid.frame_of_reference)
    return Displacement(wide.astype(np.float32), lattice)


def _lattice(grid: Grid, spacing_mm: float) -> Grid:
    """Lay a coarser lattice over the box of a grid, from corner to corner."""
    spacing = np.array(grid.spacing_mm)
    extent = spacing * (np.array(grid.shape) - 1)
    count = np.maximum(np.ceil(extent / spacing_mm).astype(int), 1) + 1
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.axes_lps * (extent / (count - 1))
    k, j, i = (int(n) for n in count)
    return Grid((k, j, i), affine, grid.frame_of_reference)
