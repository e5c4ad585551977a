"""Size of an outlined PET lesion: its whole voxels, and whether the resolution shows it at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels.pet_thresholds import smallest_apparent_diameter_mm

__all__ = ["below_reason", "diameter_mm_of", "resolution_mm", "thin_reason", "whole_voxels"]

_NEAR = 0.03
"""Voxels that nothing tells apart stay together within this share of the volume."""

_AXES = ("k (slices)", "j (rows)", "i (columns)")


def whole_voxels(
    fraction: NDArray[np.floating[Any]], values: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """Choose whole voxels whose volume is that of an outline, to half a voxel.

    The fullest voxels belong, and of equally full ones the hottest, as many as the sum of the
    fractions; at least one.  On a grid of half the voxel size many voxels are exactly half inside:
    taking all of them makes a ball some percent too large, taking none too small.  Voxels that are
    equally full and equally hot, as in a drawn block, belong together where all or none of them
    come near enough to the volume, so that no order of the voxels decides.
    """
    inside = np.flatnonzero(fraction > 0.0)
    mask = np.zeros(fraction.shape, dtype=np.bool_)
    if not inside.size:
        return mask
    full, hot = fraction.ravel()[inside], values.ravel()[inside]
    order = np.lexsort((-hot, -full))  # by fraction, then by value
    full, hot = full[order], hot[order]
    differs = (np.diff(full) != 0.0) | (np.diff(hot) != 0.0)
    counts = np.append(np.flatnonzero(differs) + 1, inside.size)
    wanted = float(np.sum(fraction, dtype=np.float64))
    # of two counts that are equally near the larger one: from the far end, the first
    count = int(counts[::-1][np.argmin(np.abs(counts[::-1] - wanted))])
    if abs(count - wanted) > max(_NEAR * wanted, 0.5):
        count = min(max(round(wanted), 1), inside.size)
    mask.ravel()[inside[order[:count]]] = True
    return mask


def diameter_mm_of(volume_ml: float) -> float:
    """Diameter of the sphere of a volume."""
    return float((6000.0 * volume_ml / math.pi) ** (1.0 / 3.0))


def resolution_mm(
    spacing: tuple[float, float, float], psf_mm: float, fraction: float, factor: int
) -> float:
    """Largest diameter at which a lesion may be one of two voxels across."""
    voxel_mm = float(np.max(spacing))
    # the box of a voxel blurs like a Gaussian of variance step^2 / 12
    blur = math.sqrt(psf_mm**2 + 8.0 * math.log(2.0) * voxel_mm**2 / 12.0)
    seems = smallest_apparent_diameter_mm(2.0 * voxel_mm, psf_fwhm_mm=blur, fraction=fraction)
    # the top lies up to half a finer voxel off, so it is seen too low and the lesion too wide
    return seems + 0.5 * voxel_mm / factor


def below_reason(size_mm: float, diameter_mm: float, limit_mm: float, fraction: float) -> str:
    """Say which size of a lesion is one that a lesion of two voxels may show; else nothing."""
    most = f"as a lesion of two voxels or any smaller one may be (up to {limit_mm:.1f} mm)"
    if diameter_mm <= limit_mm:
        return f"its outline is {diameter_mm:.1f} mm wide, {most}"
    if size_mm <= limit_mm:
        return (
            f"at {100.0 * fraction:.0f} % of its height above the background it is "
            f"{size_mm:.1f} mm wide, {most}, although its outline is {diameter_mm:.1f} mm wide"
        )
    return ""


def thin_reason(fine: NDArray[np.bool_], factor: int) -> str:
    """Say along which axis a lesion is less than two voxels wide: a single slice, say."""
    for axis, name in enumerate(_AXES):
        along = np.flatnonzero(fine.any(axis=tuple({0, 1, 2} - {axis})))
        wide = int(along[-1] - along[0]) + 1 if along.size else 2 * factor
        if wide < 2 * factor:
            across = "voxel" if wide == factor else "voxels"
            return f"it is {wide / factor:g} {across} wide along {name}, fewer than two"
    return ""
