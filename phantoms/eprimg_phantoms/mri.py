"""Multi-echo gradient-echo MRI of a scene: signal, coil shading, noise, integer storage.

The signal of a voxel at echo time TE is the mean over its sub-voxels of ``S0 exp(-TE R2*)``. Noise
is Rician: the length of a vector whose two components carry independent Gaussian noise
(Gudbjartsson and Patz, Magnetic Resonance in Medicine 1995;34:910, doi 10.1002/mrm.1910340618).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array, SampleGrid, apply
from eprimg_phantoms.painting import PaintedSlice, paint_slice
from eprimg_phantoms.scene import Scene

# Wave vectors (1/mm) of the S0 pattern: waves longer than a voxel and shorter than an organ, in
# unrelated directions, so that it does not repeat within the displacements to be found.
_WAVES_PER_MM = np.array(
    [[0.031, 0.017, 0.012], [-0.013, 0.037, 0.019], [0.022, -0.029, 0.033], [0.041, 0.008, -0.027]],
    dtype=np.float32,
)


@dataclass(frozen=True)
class MRSlice:
    """One slice of a multi-echo acquisition.

    Attributes
    ----------
    painted : PaintedSlice
        Labels and shares.
    gain : numpy.ndarray
        Shape (rows, columns): coil shading times S0 pattern.
    clean : numpy.ndarray
        Shape (rows, columns, n_echoes), float32: signal without noise.
    stored : numpy.ndarray
        Shape (n_echoes, rows, columns), uint16: signal with noise, as stored.
    """

    painted: PaintedSlice
    gain: npt.NDArray[np.float32]
    clean: npt.NDArray[np.float32]
    stored: npt.NDArray[np.uint16]


def mr_grid(scene: Scene, size: str) -> SampleGrid:
    """Return the oblique grid of both MR sessions, in the frame of the session."""
    s = scene.sizes[size]
    return SampleGrid.centred(
        s.mr_shape, s.mr_spacing_mm, scene.mr["grid_centre_mm"], scene.mr["grid_rotation_deg"]
    )


def echo_decay(
    s0: npt.ArrayLike, r2star_per_s: npt.ArrayLike, echo_times_s: npt.ArrayLike
) -> Array:
    """Return the signal of a mono-exponential echo decay.

    Parameters
    ----------
    s0, r2star_per_s : array_like
        Shape (n,): signal at echo time zero, and R2* (1/s).
    echo_times_s : array_like
        Shape (n_echoes,), s.

    Returns
    -------
    numpy.ndarray
        Shape (n, n_echoes).
    """
    rate = np.multiply.outer(
        np.asarray(r2star_per_s, dtype=float), np.asarray(echo_times_s, dtype=float)
    )
    return np.asarray(np.asarray(s0, dtype=float)[..., None] * np.exp(-rate), dtype=float)


def rician(
    signal: npt.NDArray[np.float32], sigma: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Add Rician noise.

    Parameters
    ----------
    signal : numpy.ndarray
        Magnitude without noise, any shape, float32.
    sigma : float
        SD of each of the two Gaussian components, in units of the signal.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    numpy.ndarray
        Same shape.
    """
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    real *= np.float32(sigma)
    real += signal
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary *= np.float32(sigma)
    return np.hypot(real, imaginary, out=real)


def coil_shading(scene: Scene, points_mm: Array) -> npt.NDArray[np.float32]:
    """Return the smooth receive gain at points (..., 3) of the scanner frame."""
    row = scene.mr["shading"]
    gain = row["base"] + points_mm @ np.asarray(row["linear_per_mm"], dtype=float)
    return np.asarray(
        gain + row["quadratic_per_mm2"] * (points_mm**2).sum(axis=-1), dtype=np.float32
    ).clip(0.2)


def texture(points_mm: Array) -> npt.NDArray[np.float32]:
    """Return a smooth pattern in [-1, 1] at points (..., 3) of the frame ``pre``."""
    phase = points_mm.astype(np.float32) @ (np.float32(2.0 * np.pi) * _WAVES_PER_MM.T)
    phase += np.arange(len(_WAVES_PER_MM), dtype=np.float32)
    return np.asarray(np.sin(phase).mean(axis=-1), dtype=np.float32)


def acquire(
    scene: Scene, grid: SampleGrid, session: str, rng: np.random.Generator
) -> Iterator[MRSlice]:
    """Yield the slices of one MR session, from the first to the last.

    Parameters
    ----------
    scene : Scene
        What is scanned.
    grid : SampleGrid
        Where, in the frame of the session.
    session : str
        ``"pre"`` or ``"post"``.
    rng : numpy.random.Generator
        Source of the noise.

    Yields
    ------
    MRSlice
        One slice.
    """
    tissues = [o.tissue for o in scene.objects]
    table = np.zeros((len(tissues) + 1, scene.echo_times_s.size), dtype=np.float32)
    table[1:] = echo_decay(
        [t.s0_in(session) for t in tissues],
        [t.r2star(session) for t in tissues],
        scene.echo_times_s,
    )
    amplitude = np.array([0.0] + [t.texture for t in tissues], dtype=np.float32)
    to_base = scene.sessions[session].motion.inverse
    shapes = [o.shape for o in scene.objects]
    slope = np.float32(1.0 / scene.mr["rescale_slope"][session])
    for k in range(grid.shape[0]):
        painted = paint_slice(shapes, grid, k, to_base)
        points = grid.slice_points(k)
        gain = coil_shading(scene, points) * (
            1.0 + amplitude[painted.labels] * texture(apply(to_base, points))
        )
        clean = painted.mean(table) * gain[..., None]
        noisy = rician(np.ascontiguousarray(np.moveaxis(clean, -1, 0)), scene.mr["sigma"], rng)
        noisy *= slope
        np.rint(noisy, out=noisy)
        yield MRSlice(painted, gain, clean, noisy.clip(0, 65535).astype(np.uint16))
