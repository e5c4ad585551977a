"""PET of a scene: activity, radioactive decay, point spread, noise, integer storage per slice.

Activity concentrations refer to the start of the series (decay correction START). With the injected
activity D, the decay factor f from injection to that instant and an uptake u in %ID/kg, one mL
(taken as 1 g) holds ``u / 100 * D f / 1000`` Bq.

Half-life of 89Zr: 78.41 h, ICRP publication 107, Ann ICRP 2008;38(3).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.painting import SUBVOXELS, paint_slice
from eprimg_phantoms.scene import Scene

FWHM_PER_SD = float(2.0 * np.sqrt(2.0 * np.log(2.0)))


def pet_grid(scene: Scene, size: str) -> SampleGrid:
    """Return the grid of the PET session, in its own frame."""
    s = scene.sizes[size]
    return SampleGrid.centred(s.pet_shape, s.pet_spacing_mm, s.pet_centre_mm)


def decay_factor(seconds: float, half_life_s: float) -> float:
    """Return the fraction of a radioactive sample that is left after ``seconds``."""
    return float(0.5 ** (seconds / half_life_s))


def uptake_seconds(scene: Scene) -> float:
    """Return the time from injection to the reference instant (s)."""
    injection = datetime.fromisoformat(scene.pet["injection"])
    return (scene.sessions["pet"].start - injection).total_seconds()


def activity_per_pid_per_kg(scene: Scene) -> float:
    """Return the Bq/mL at the reference instant that one %ID/kg amounts to."""
    left = decay_factor(uptake_seconds(scene), scene.pet["half_life_s"])
    return float(scene.pet["injected_activity_bq"]) * left / 100.0 / 1000.0


def suvbw_per_pid_per_kg(scene: Scene) -> float:
    """Return the SUVbw (g/mL) that one %ID/kg amounts to: the body weight in kg over 100."""
    return float(scene.patient["weight_kg"]) / 100.0


def paint_activity(
    scene: Scene, grid: SampleGrid
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Paint the true activity concentration.

    Parameters
    ----------
    scene : Scene
        What is scanned.
    grid : SampleGrid
        Grid in the frame of the PET session.

    Returns
    -------
    activity : numpy.ndarray
        Shape of the grid, Bq/mL, float32, averaged over sub-voxels.
    labels : numpy.ndarray
        Shape of the grid, uint8: number of the object (from 1) in most of each voxel.
    """
    one = activity_per_pid_per_kg(scene)
    table = np.array([0.0] + [o.tissue.pid_per_kg * one for o in scene.objects], dtype=np.float32)
    to_base = scene.sessions["pet"].motion.inverse
    shapes = [o.shape for o in scene.objects]
    activity = np.empty(grid.shape, dtype=np.float32)
    labels = np.empty(grid.shape, dtype=np.uint8)
    cuts = int(scene.pet.get("subvoxels", SUBVOXELS))
    for k in range(grid.shape[0]):
        painted = paint_slice(shapes, grid, k, to_base, subvoxels=cuts)
        activity[k] = painted.mean(table)
        labels[k] = painted.labels
    return activity, labels


def blur(
    activity: npt.NDArray[np.float32], spacing_mm: npt.ArrayLike, fwhm_mm: float
) -> npt.NDArray[np.float32]:
    """Apply the Gaussian point spread function."""
    sd = fwhm_mm / FWHM_PER_SD / np.asarray(spacing_mm, dtype=float)
    return np.asarray(
        gaussian_filter(activity, sd, mode="constant", truncate=4.0), dtype=np.float32
    )


def block_mean(data: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Average blocks of ``factor`` voxels along each axis."""
    if factor == 1:
        return data
    k, j, i = (n // factor for n in data.shape)
    return np.asarray(
        data.reshape(k, factor, j, factor, i, factor).mean(axis=(1, 3, 5)), dtype=np.float32
    )


def add_noise(
    clean: npt.NDArray[np.float32],
    spacing_mm: npt.ArrayLike,
    *,
    fwhm_mm: float,
    relative_sd: float,
    reference: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Add noise that is correlated by the point spread and grows with the root of the activity.

    Parameters
    ----------
    clean : numpy.ndarray
        Activity concentration after the point spread (Bq/mL), float32.
    spacing_mm : array_like
        Voxel size (mm).
    fwhm_mm : float
        Width of the correlation (mm).
    relative_sd : float
        SD of one voxel over its mean, where the activity is ``reference``.
    reference : float
        Activity concentration (Bq/mL).
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    numpy.ndarray
        Noisy activity concentration, not below zero, as an iterative reconstruction gives it.
    """
    if relative_sd == 0.0:
        return clean.copy()
    # White noise through a kernel of width w/sqrt(2) has an autocorrelation of width w.
    noise = blur(
        rng.standard_normal(clean.shape, dtype=np.float32), spacing_mm, fwhm_mm / np.sqrt(2.0)
    )
    noise *= np.float32(relative_sd * np.sqrt(reference)) / noise.std()
    noise *= np.sqrt(clean)
    noise += clean
    return noise.clip(0.0, out=noise)


def _set_voxels(scene: Scene, activity: npt.NDArray[np.float32]) -> None:
    """Set single voxels as the scene asks, in SUVbw: a checkerboard, then one by one."""
    one = activity_per_pid_per_kg(scene) / suvbw_per_pid_per_kg(scene)
    board = scene.pet.get("checkerboard")
    if board is not None:
        first, last = board["first_kji"], board["last_kji"]
        box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
        odd = np.indices(activity[box].shape).sum(axis=0) % 2
        activity[box] = np.where(odd == 1, board["suvbw"][1], board["suvbw"][0]) * one
    for voxel in scene.pet.get("voxels", ()):
        k, j, i = voxel["kji"]
        activity[k, j, i] = voxel["suvbw"] * one


def reconstruct(
    scene: Scene, size: str, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return the PET of the scene.

    Returns
    -------
    noisy, clean : numpy.ndarray
        Shape (slices, rows, columns), Bq/mL at the reference instant, with and without noise.
    labels : numpy.ndarray
        Same shape, uint8: number of the object in each voxel centre block.
    """
    grid = pet_grid(scene, size)
    factor = scene.sizes[size].pet_fine
    fine_grid = grid.refined(factor)
    fine, labels = paint_activity(scene, fine_grid)
    clean = block_mean(blur(fine, fine_grid.spacing_mm, scene.pet["psf_fwhm_mm"]), factor)
    if factor > 1:
        # Labels belong to the stored grid, so they are painted there; activity is not needed twice.
        labels = paint_activity(scene, grid)[1]
    reference = scene.tissues[
        scene.pet["noise_reference_tissue"]
    ].pid_per_kg * activity_per_pid_per_kg(scene)
    _set_voxels(scene, clean)
    noisy = add_noise(
        clean,
        grid.spacing_mm,
        fwhm_mm=scene.pet["psf_fwhm_mm"],
        relative_sd=scene.pet["noise_relative_sd"],
        reference=reference,
        rng=rng,
    )
    return noisy, clean, labels
