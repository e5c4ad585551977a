"""Volume and surface of one region by the definitions of IBSI (chapter morphology)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import GeometryError, InputError

__all__ = ["RegionShape", "region_shape"]


class RegionShape(NamedTuple):
    """Volume and surface with their IBSI codes.

    Attributes
    ----------
    volume_mesh_mm3 : float
        RNU0, of the triangle mesh, in mm3.
    volume_voxels_mm3 : float
        YEKZ, voxels times voxel volume, in mm3.
    surface_mm2 : float
        C0JK, of the triangle mesh, in mm2.
    surface_per_volume_per_mm : float
        2PR5, in 1/mm.
    sphericity : float
        QCFX, 1 for a sphere, without unit.
    n_voxels : int
        Voxels of the region.
    """

    volume_mesh_mm3: float
    volume_voxels_mm3: float
    surface_mm2: float
    surface_per_volume_per_mm: float
    sphericity: float
    n_voxels: int


def region_shape(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float] | NDArray[np.floating[Any]]
) -> RegionShape:
    """Volume and surface of a region.

    Parameters
    ----------
    mask : ndarray of bool, shape (k, j, i)
        Voxels of the region.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.

    Returns
    -------
    RegionShape
        Volume and surface.

    Raises
    ------
    InputError
        A spacing is not finite or not positive, or the region has no voxel.
    GeometryError
        The mask is not a volume.

    Notes
    -----
    The mesh runs halfway between voxels inside and outside (marching cubes, level 0.5, mask padded
    by one voxel).  Its volume is the sum of signed tetrahedra, ``|sum a . (b x c)| / 6``, its
    surface the sum of ``|(b - a) x (c - a)| / 2``; sphericity ``(36 pi V^2)^(1/3) / A``.  The mesh
    cuts corners, so it is smaller than the counted voxels: by 7 % for a ball of 57 voxels; the
    staircase keeps the surface of a large ball about 8 % too high.

    References
    ----------
    .. [1] Zwanenburg A et al., The Image Biomarker Standardization Initiative. Radiology
       2020;295:328-338. doi:10.1148/radiol.2020191145
    .. [2] Lorensen WE, Cline HE, Comput Graph 1987;21:163-169. doi:10.1145/37402.37422
    """
    from skimage.measure import marching_cubes

    if mask.ndim != 3:
        raise GeometryError(
            "The mask must be a volume (k, j, i).",
            code="E_ARGUMENT",
            where="mask",
            value=mask.shape,
        )
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not np.all(np.isfinite(spacing) & (spacing > 0.0)):
        raise _refused(
            "spacing_mm", spacing.tolist(), "The spacing must be three positive numbers."
        )
    inside = np.asarray(mask, dtype=np.bool_)
    n = int(np.count_nonzero(inside))
    if n == 0:
        raise _refused("mask", 0, "The region has no voxel.")
    box = tuple(slice(int(w.min()), int(w.max()) + 1) for w in np.nonzero(inside))
    padded = np.pad(inside[box], 1).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(padded, level=0.5, spacing=tuple(spacing.tolist()))
    corners = np.asarray(vertices, dtype=np.float64)[np.asarray(faces)]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    volume = abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6.0
    surface = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2.0
    return RegionShape(
        volume_mesh_mm3=volume,
        volume_voxels_mm3=n * float(np.prod(spacing)),
        surface_mm2=surface,
        surface_per_volume_per_mm=surface / volume,
        sphericity=(36.0 * math.pi * volume**2) ** (1.0 / 3.0) / surface,
        n_voxels=n,
    )


def _refused(where: str, value: object, message: str) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)
