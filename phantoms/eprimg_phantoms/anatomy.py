"""Three anatomies for registration, painted from formulas at any points, as MR and as PET.

The files ``anatomies/*.toml`` list solids in the order of painting, in LPS mm of the frame ``pre``.
Keys of an object: ``kind`` ellipsoid (``centre``, ``axes``, ``angles_deg``), cylinder (``centre``,
``axes`` across, ``half_length``, ``angles_deg``) or tube (``points``, ``radius``, ``stretch``);
``mirror`` adds the other side, ``repeat`` adds copies.  Lesions are spheres.

A movement (`eprimg_phantoms.motion`) brings the points of a session to the frame ``pre``, and the
solids are evaluated there: nothing is resampled, and where each lesion lies is known exactly.

The MR signal is ``S0 exp(-TE R2*)`` with coil shading and Rician noise; PET is activity after a
Gaussian point spread with the noise of counts (`eprimg_phantoms.mri`, `eprimg_phantoms.pet`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from eprimg_phantoms.geometry import Array, SampleGrid
from eprimg_phantoms.motion import Motion
from eprimg_phantoms.mri import rician, texture
from eprimg_phantoms.pet import FWHM_PER_SD, block_mean, blur
from eprimg_phantoms.smooth_shapes import Points, SmoothRound, SmoothTube, Solid, soft_share

ANATOMIES = Path(__file__).parent / "anatomies"

PSF_FWHM_MM = 6.0
MR_SIGMA = 12.0
"""SD of the noise in each of the two channels; S0 of soft tissue is 600 to 1150."""
COUNTS = 40.0
"""Counts in one voxel of tissue with 10 %ID/kg: a noise of about 9 % after the point spread."""
LOW_COUNTS = 6.0
"""The same for a scan with few counts: about 24 %."""
_EDGE_MM = 1.5
_COARSE = 4
_PET_PATTERN_MM = (41.0, 73.0, -27.0)


@dataclass(frozen=True)
class Matter:
    """MR and PET values of a tissue or lesion; see ``anatomies/tissues.toml``."""

    s0: float
    post: float
    r2star: float
    dr2star: float
    uptake: float
    texture: float
    source: str = ""

    def signal(self, echo_time_s: float, *, after: bool) -> float:
        """Return the MR signal at an echo time, before or after the agent."""
        rate = self.r2star + (self.dr2star if after else 0.0)
        return float(self.s0 * (self.post if after else 1.0) * np.exp(-echo_time_s * rate))


@dataclass(frozen=True)
class Anatomy:
    """Solids in the order of painting, lesions last, and the usual grids.

    Attributes
    ----------
    name, title : str
        E.g. ``head-and-neck``.
    solids : tuple of (Solid, Matter)
        What is painted.
    lesion_names : tuple of str
        In the order of the file.
    lesion_centres_mm : numpy.ndarray
        Shape (n, 3), frame ``pre``.
    lesion_diameters_mm : numpy.ndarray
        Shape (n,).
    mr_grid, pet_grid : SampleGrid
        Grids that cover the anatomy.
    """

    name: str
    title: str
    solids: tuple[tuple[Solid, Matter], ...]
    lesion_names: tuple[str, ...]
    lesion_centres_mm: Array
    lesion_diameters_mm: Array
    mr_grid: SampleGrid
    pet_grid: SampleGrid


def available_anatomies() -> list[str]:
    """Return the names of the anatomies that come with the package."""
    return sorted(p.stem for p in ANATOMIES.glob("*.toml") if p.stem != "tissues")


@cache
def load_anatomy(name: str) -> Anatomy:
    """Read an anatomy.

    Parameters
    ----------
    name : str
        One of `available_anatomies`.

    Returns
    -------
    Anatomy
        The anatomy.

    Raises
    ------
    ValueError
        If the name is unknown, or the file names a tissue or kind that there is not.
    """
    if name not in available_anatomies():
        raise ValueError(f"no anatomy {name!r}; there are: {', '.join(available_anatomies())}")
    raw = tomllib.loads((ANATOMIES / f"{name}.toml").read_text(encoding="utf-8"))
    table = tomllib.loads((ANATOMIES / "tissues.toml").read_text(encoding="utf-8"))["tissues"]
    tissues = {key: Matter(**row) for key, row in table.items()}
    solids: list[tuple[Solid, Matter]] = []
    for row in raw["objects"]:
        if row["tissue"] not in tissues:
            raise ValueError(f"{name}: object {row['name']!r}: no tissue {row['tissue']!r}")
        solids += [(solid, tissues[row["tissue"]]) for solid in _copies(name, row)]
    for row in raw["lesions"]:
        solids.append(
            (
                SmoothRound.build(row["centre"], [row["diameter_mm"] / 2.0] * 3),
                Matter(880.0, 1.05, 30.0, row["dr2star"], row["uptake"], 0.0, "assumed"),
            )
        )
    g = raw["grid"]
    return Anatomy(
        name,
        raw["title"],
        tuple(solids),
        tuple(row["name"] for row in raw["lesions"]),
        np.array([row["centre"] for row in raw["lesions"]], dtype=float),
        np.array([row["diameter_mm"] for row in raw["lesions"]], dtype=float),
        SampleGrid.centred(tuple(g["mr_shape"]), tuple(g["mr_spacing_mm"]), g["mr_centre_mm"]),
        SampleGrid.centred(tuple(g["pet_shape"]), tuple(g["pet_spacing_mm"]), g["pet_centre_mm"]),
    )


def _copies(name: str, row: dict[str, Any]) -> list[Solid]:
    solid: Solid
    if row["kind"] == "tube":
        solid = SmoothTube.build(row["points"], row["radius"], row.get("stretch", (1, 1, 1)))
    elif row["kind"] in ("ellipsoid", "cylinder"):
        flat = row["kind"] == "cylinder"
        axes = [*row["axes"], row["half_length"]] if flat else row["axes"]
        angles = row.get("angles_deg", (0.0, 0.0, 0.0))
        solid = SmoothRound.build(row["centre"], axes, angles, flat_ends=flat)
    else:
        raise ValueError(f"{name}: object {row['name']!r}: no kind {row['kind']!r}")
    sides = [solid, solid.mirrored()] if row.get("mirror", False) else [solid]
    again = row.get("repeat", {"count": 1, "step_mm": [0.0, 0.0, 0.0]})
    step = np.asarray(again["step_mm"], dtype=float)
    return [each.moved(n * step) for n in range(again["count"]) for each in sides]


def paint(
    anatomy: Anatomy,
    values: list[float],
    grid: SampleGrid,
    motion: Motion,
    *,
    pattern_shift_mm: npt.ArrayLike = (0.0, 0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Paint one value per solid.

    Parameters
    ----------
    anatomy : Anatomy
        What is painted.
    values : list of float
        One per solid; air is 0.
    grid : SampleGrid
        Where, in the frame of the session.
    motion : Motion
        From the frame ``pre`` to the session.
    pattern_shift_mm : array_like
        Moves the texture, so that two kinds of values do not share one.

    Returns
    -------
    numpy.ndarray
        Shape of the grid.
    """
    out = np.zeros(grid.shape, dtype=np.float32)
    # A point of the coarse lattice stands for those up to the next one; movements stretch a little.
    reach = 1.4 * (_COARSE - 1) * float(np.linalg.norm(grid.spacing_mm[1:])) + _EDGE_MM
    shift = np.asarray(pattern_shift_mm, dtype=np.float32)
    boxes = np.stack([solid.box_mm for solid, _ in anatomy.solids])
    for k in range(grid.shape[0]):
        points = np.moveaxis(motion.to_base(grid.slice_points(k)), -1, 0).astype(np.float32)
        pattern = texture(np.moveaxis(points, 0, -1) + shift)
        coarse = points[:, ::_COARSE, ::_COARSE].reshape(3, -1)
        low, high = coarse.min(axis=1), coarse.max(axis=1)
        touched = ((boxes[:, 0] - reach < high) & (boxes[:, 1] + reach > low)).all(axis=1)
        for number in np.flatnonzero(touched):
            window = _window(points[:, ::_COARSE, ::_COARSE], boxes[number], reach)
            if window is None:
                continue
            solid, matter = anatomy.solids[number]
            here = points[(slice(None), *window)]
            share = soft_share(solid.distance(here), _EDGE_MM)
            value = np.float32(values[number])
            target = out[(k, *window)]
            painted = value * (1.0 + np.float32(matter.texture) * pattern[window])
            target += share * (painted - target)
    return out


def _window(coarse: Points, box_mm: Array, reach_mm: float) -> tuple[slice, slice] | None:
    """Return the rows and columns in which points of a slice can lie in a box."""
    low = (box_mm[0] - reach_mm).astype(np.float32)[:, None, None]
    high = (box_mm[1] + reach_mm).astype(np.float32)[:, None, None]
    near = ((coarse > low) & (coarse < high)).all(axis=0)
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if not rows.size:
        return None
    return (
        slice(rows[0] * _COARSE, (rows[-1] + 1) * _COARSE),
        slice(columns[0] * _COARSE, (columns[-1] + 1) * _COARSE),
    )


def paint_mr(
    anatomy: Anatomy,
    grid: SampleGrid,
    motion: Motion,
    *,
    echo_time_s: float,
    after: bool,
    rng: np.random.Generator,
    sigma: float = MR_SIGMA,
) -> npt.NDArray[np.float32]:
    """Return one echo of a gradient-echo MR with coil shading and Rician noise.

    Parameters
    ----------
    anatomy : Anatomy
        What is scanned.
    grid : SampleGrid
        Where, in the frame of the session.
    motion : Motion
        From the frame ``pre`` to the session.
    echo_time_s : float
        Echo time in s.
    after : bool
        After ferumoxytol.
    rng : numpy.random.Generator
        Source of the noise.
    sigma : float
        SD of the noise in each of the two channels.

    Returns
    -------
    numpy.ndarray
        Shape of the grid.
    """
    signals = [m.signal(echo_time_s, after=after) for _, m in anatomy.solids]
    clean = paint(anatomy, signals, grid, motion)
    clean *= _shading(grid)
    noisy: npt.NDArray[np.float32] = rician(clean, sigma, rng)
    return noisy


def _shading(grid: SampleGrid) -> npt.NDArray[np.float32]:
    """Receive gain: the coil does not move with the patient."""
    shape, spacing = grid.shape, grid.spacing_mm
    middle = (np.asarray(shape) - 1.0) / 2.0
    axes = [(np.arange(n) - m) * s for n, m, s in zip(shape, middle, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    gain = 1.0 + 0.0004 * x + 0.0010 * y + 0.0002 * z - 4.0e-6 * (x * x + y * y + z * z)
    return np.asarray(gain.clip(0.2), dtype=np.float32)


def paint_pet(
    anatomy: Anatomy,
    grid: SampleGrid,
    motion: Motion,
    *,
    counts: float,
    rng: np.random.Generator,
    psf_fwhm_mm: float = PSF_FWHM_MM,
) -> npt.NDArray[np.float32]:
    """Return a PET in %ID/kg with a Gaussian point spread and the noise of counts.

    Parameters
    ----------
    anatomy : Anatomy
        What is scanned.
    grid : SampleGrid
        Where, in the frame of the session.
    motion : Motion
        From the frame ``pre`` to the session.
    counts : float
        Counts in one voxel of tissue with 10 %ID/kg; infinite for no noise.
    rng : numpy.random.Generator
        Source of the noise.
    psf_fwhm_mm : float
        Width of the point spread; the noise is correlated over the same width.

    Returns
    -------
    numpy.ndarray
        Shape of the grid, not below zero.

    Notes
    -----
    Counts are drawn after the point spread (Poisson), and their deviations are smoothed by a
    Gaussian of width w / sqrt(2), which gives an autocorrelation of width w.
    """
    uptakes = [m.uptake for _, m in anatomy.solids]
    fine = paint(anatomy, uptakes, grid.refined(2), motion, pattern_shift_mm=_PET_PATTERN_MM)
    blurred = blur(fine, grid.spacing_mm / 2.0, psf_fwhm_mm)
    clean: npt.NDArray[np.float32] = block_mean(blurred, 2)
    if np.isinf(counts):
        return clean
    per_unit = counts / 10.0
    deviation = (rng.poisson(clean * per_unit) / per_unit - clean).astype(np.float32)
    sd = psf_fwhm_mm / np.sqrt(2.0) / FWHM_PER_SD / grid.spacing_mm
    noisy = clean + gaussian_filter(deviation, sd, mode="constant")
    return np.asarray(noisy.clip(0.0), dtype=np.float32)
