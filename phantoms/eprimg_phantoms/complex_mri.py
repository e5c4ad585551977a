"""Complex multi-echo gradient-echo MRI of vials: water and fat, R2*, field offset, noise.

The signal of one material at echo time t is

    S0 exp(i phase0) ((1 - f) + f sum_p a_p exp(2 pi i d_p g t)) exp(2 pi i b t - R2* t)

with f the fat fraction, a_p and d_p share and shift (ppm) of the fat peaks, g the Larmor frequency
in MHz, b the field offset (Hz). A voxel that holds several materials adds their signals; the field
within a voxel is taken as even. Noise is Gaussian and independent in the real and the imaginary
part, so that the magnitude is Rician (Gudbjartsson and Patz, Magnetic Resonance in Medicine
1995;34:910, doi 10.1002/mrm.1910340618).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array, SampleGrid
from eprimg_phantoms.painting import paint_slice
from eprimg_phantoms.vials import FatPeaks, VialScene

# 1H at 1 T (MHz): gyromagnetic ratio over 2 pi, CODATA.
MHZ_PER_T = 42.577478

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class ComplexSlice:
    """One slice of a complex acquisition.

    Attributes
    ----------
    labels : numpy.ndarray
        Shape (rows, columns), uint8: number of the vial, 0 for bath and air.
    in_bath : numpy.ndarray
        Shape (rows, columns), bool: bath or vial fills most of the voxel.
    field_hz : numpy.ndarray
        Shape (rows, columns): field offset.
    clean, noisy : numpy.ndarray
        Shape (n_echoes, rows, columns), complex128: signal without and with noise.
    """

    labels: npt.NDArray[np.uint8]
    in_bath: npt.NDArray[np.bool_]
    field_hz: Array
    clean: ComplexArray
    noisy: ComplexArray


def fat_oscillation(peaks: FatPeaks, field_strength_t: float, echo_times_s: Array) -> ComplexArray:
    """Return the signal of fat alone, one at time zero.

    Parameters
    ----------
    peaks : FatPeaks
        Spectrum.
    field_strength_t : float
        Field strength (T).
    echo_times_s : numpy.ndarray
        Shape (n_echoes,), s.

    Returns
    -------
    numpy.ndarray
        Shape (n_echoes,), complex128.
    """
    larmor_mhz = MHZ_PER_T * field_strength_t
    out = np.zeros(echo_times_s.size, dtype=complex)
    for shift, share in zip(peaks.shift_ppm, peaks.share, strict=True):
        angle = 2.0 * np.pi * shift * larmor_mhz * echo_times_s
        out += share * (np.cos(angle) + 1j * np.sin(angle))
    return out


def material_signal(scene: VialScene, fat_percent: float, r2star_per_s: float) -> ComplexArray:
    """Return the signal of one material with S0 = 1, on resonance.

    Parameters
    ----------
    scene : VialScene
        Echo times, fat spectrum, initial phase.
    fat_percent : float
        Fat fraction (%).
    r2star_per_s : float
        R2* (1/s).

    Returns
    -------
    numpy.ndarray
        Shape (n_echoes,), complex128.
    """
    times = scene.echo_times_s
    part = fat_percent / 100.0
    mixed = np.full(times.size, 1.0 - part, dtype=complex)
    if scene.fat is not None and part > 0.0:
        mixed += part * fat_oscillation(scene.fat, scene.field_strength_t, times)
    return np.asarray(
        np.exp(1j * scene.mr["initial_phase_rad"]) * mixed * np.exp(-times * r2star_per_s)
    )


def field_offset(scene: VialScene, points_mm: Array) -> Array:
    """Return the field offset (Hz) at points (..., 3).

    Parameters
    ----------
    scene : VialScene
        Shape and span of the field; a scene without one is on resonance.
    points_mm : numpy.ndarray
        Shape (..., 3), LPS mm.

    Returns
    -------
    numpy.ndarray
        Shape (...).
    """
    row: dict[str, Any] | None = scene.mr.get("field_shape")
    if row is None:
        return np.zeros(points_mm.shape[:-1])

    def shape(p: Array) -> Array:
        bend = row["quadratic_per_mm2"] * (p[..., 0] ** 2 - p[..., 1] ** 2)
        return np.asarray(p @ np.asarray(row["linear_per_mm"], dtype=float) + bend)

    x, y = (1.2 * half for half in scene.half_extent_mm)
    around = np.linspace(0.0, 2.0 * np.pi, 721)
    edge = np.stack([x * np.cos(around), y * np.sin(around), 0.0 * around], axis=-1)
    largest = float(np.abs(shape(edge)).max())
    return np.asarray(scene.mr["field_span_hz"] / largest * shape(points_mm))


def acquire_complex(
    scene: VialScene, grid: SampleGrid, rng: np.random.Generator
) -> Iterator[ComplexSlice]:
    """Yield the slices of the acquisition, from the first to the last.

    Parameters
    ----------
    scene : VialScene
        What is scanned.
    grid : SampleGrid
        Where.
    rng : numpy.random.Generator
        Source of the noise.

    Yields
    ------
    ComplexSlice
        One slice.
    """
    shapes = scene.shapes()
    section = scene.section
    table = np.zeros((len(shapes) + 1, scene.echo_times_s.size), dtype=complex)
    table[1] = material_signal(scene, scene.bath["fat_percent"], scene.bath["r2star_per_s"])
    for n, vial in enumerate(section, start=2):
        table[n] = material_signal(scene, vial.fat_percent, vial.r2star_per_s)
    sigma = float(scene.mr["sigma"])
    per_slab = grid.shape[0] // len(scene.slabs)
    for k in range(grid.shape[0]):
        slab = k // per_slab
        painted = paint_slice(shapes, grid, k, np.eye(4))
        mixed = table[painted.labels]
        if painted.edge_rows.size:
            shares = painted.shares.astype(float)
            mixed[painted.edge_rows, painted.edge_columns] = shares @ table
        offset = field_offset(scene, grid.slice_points(k))
        turn = np.exp(2j * np.pi * offset * scene.echo_times_s[:, None, None])
        clean = sigma * scene.slabs[slab] * np.moveaxis(mixed, -1, 0) * turn
        if scene.mr["phase_sign"] < 0:
            clean = clean.conj()
        noise = rng.standard_normal((2, *clean.shape))
        noisy = clean + sigma * (noise[0] + 1j * noise[1])
        number = painted.labels.astype(int) - 1
        labels = np.where(number > 0, number + slab * len(section), 0).astype(np.uint8)
        yield ComplexSlice(labels, painted.labels > 0, offset, clean, noisy)
