"""What callers of partial-volume correction hand in, checked once for all methods."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_blur import (
    Kernel,
    Psf,
    argument,
    check_volume,
    make_psf,
    noise_weights,
    triple,
)
from eprimg.kernels._partial_volume_regions import Group, make_groups
from eprimg.kernels._partial_volume_solve import Noise

Fwhm = float | Sequence[float] | NDArray[np.floating]
Spacing = Sequence[float] | NDArray[np.floating]
_Volume = NDArray[np.floating]


def start(
    image: _Volume,
    regions: NDArray[np.integer] | NDArray[np.floating],
    fwhm_mm: Fwhm,
    spacing_mm: Spacing,
    kernel: Kernel | None,
    valid: NDArray[np.bool_] | None,
    *,
    extra_mm: float = 0.0,
) -> tuple[Psf, list[Group]]:
    """Check the input and split it into groups."""
    check_volume(image)
    if kernel is None:
        kernel = "integrated" if regions.ndim == 3 else "sampled"
    psf = make_psf(fwhm_mm, spacing_mm, kernel)
    return psf, make_groups(image, regions, psf, valid, extra_mm=extra_mm)


def make_noise(
    image: _Volume,
    psf: Psf,
    voxel_sd: float | _Volume | None,
    noise_fwhm_mm: Fwhm | None,
    valid: NDArray[np.bool_] | None,
) -> Noise:
    """Check the noise; without a width it is as smooth as the map."""
    width = psf.fwhm_mm
    if noise_fwhm_mm is not None:
        width = triple(noise_fwhm_mm, "noise_fwhm_mm", zero=True, one=True)
    weights = noise_weights(width, psf.spacing_mm)
    if voxel_sd is None:
        return Noise(None, weights)
    try:
        sd = np.asarray(voxel_sd, dtype=np.float64)
    except (TypeError, ValueError):
        raise argument("The noise is no number.", "voxel_sd", repr(voxel_sd)) from None
    if sd.shape == image.shape:
        used = np.isfinite(image) if valid is None else np.isfinite(image) & valid
        sd = np.where(used, sd, 0.0)
    if sd.shape not in ((), image.shape) or not bool(np.all(np.isfinite(sd) & (sd >= 0.0))):
        raise argument(
            "The noise is one finite number from 0 on, or a volume of such on the grid of the map.",
            "voxel_sd",
            sd.shape,
        )
    return Noise(float(sd) if sd.ndim == 0 else sd, weights)


def at_least(value: float, name: str, smallest: float) -> float:
    """Hand back a finite number that is not too small, or refuse it."""
    try:
        good = math.isfinite(value) and value >= smallest
    except TypeError:
        good = False
    if not good:
        raise argument(f"{name} must be finite and at least {smallest:g}.", name, value)
    return value
