"""Write a phantom of vials: one DICOM series per image kind, masks, field map and truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg_phantoms import masks
from eprimg_phantoms.complex_mri import acquire_complex
from eprimg_phantoms.dicom_vials import image_writer
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity
from eprimg_phantoms.vials import VialScene

SCHEMA = 1


def write_vials(
    scene: VialScene,
    who: Identity,
    root: Path,
    progress: Callable[[str, float], None],
) -> None:
    """Write the whole phantom into an existing, empty folder.

    Parameters
    ----------
    scene : VialScene
        What is scanned.
    who : Identity
        Size, seed, identifiers.
    root : pathlib.Path
        Folder: ``dicom/``, ``masks/`` and ``truth.json`` are made in it.
    progress : callable
        Called with the name of the step and the fraction that is done.
    """
    grid = scene.grid(who.size)
    # Neutral names: nothing about the kind of image may be read from its folder.
    folders = {name: f"S{n:04d}" for n, name in enumerate(scene.mr["images"], start=1)}
    writers = {}
    for number, name in enumerate(folders):
        folder = root / "dicom" / folders[name]
        folder.mkdir(parents=True)
        writers[name] = image_writer(scene, who, grid, name, 301 + number, folder)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    field = np.zeros(grid.shape, dtype=np.float32)
    bath = np.zeros(grid.shape, dtype=bool)
    for k, one in enumerate(acquire_complex(scene, grid, who.rng("vial noise"))):
        labels[k], field[k], bath[k] = one.labels, one.field_hz, one.in_bath
        for write in writers.values():
            write(k, one.noisy)
        progress("MR of the vials", (k + 1) / grid.shape[0])
    (root / "masks").mkdir()
    frame = who.uid(scene.session.name, "frame of reference")
    names = [v.name for v in scene.vials]
    masks.write_nifti(root / "masks" / "vials.nii.gz", labels, grid)
    masks.write_side_car(root / "masks" / "vials.json", names, frame, "pre", "reference")
    masks.write_nifti(root / "masks" / "bath.nii.gz", bath.astype(np.uint8), grid)
    masks.write_nifti(root / "masks" / "field_hz.nii.gz", field, grid)  # type: ignore[arg-type]
    truth = vial_truth(scene, who, grid, labels, field, bath, folders)
    (root / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def vial_truth(
    scene: VialScene,
    who: Identity,
    grid: SampleGrid,
    labels: npt.NDArray[np.uint8],
    field_hz: npt.NDArray[np.float32],
    bath: npt.NDArray[np.bool_],
    folders: dict[str, str],
) -> dict[str, Any]:
    """Build the content of ``truth.json``.

    Parameters
    ----------
    scene, who, grid
        What was written, for whom and where.
    labels, field_hz, bath : numpy.ndarray
        Shape of the grid: number of the vial, field offset (Hz), bath or vial.
    folders : dict
        Folder of each kind of image.

    Returns
    -------
    dict
        JSON types only; every key that has a unit ends in it.
    """
    counts = np.bincount(labels.ravel(), minlength=len(scene.vials) + 1)
    within = field_hz[bath]
    fat = scene.fat
    return {
        "schema": SCHEMA,
        "scene": scene.name,
        "kind": "vials",
        "title": scene.title,
        "size": who.size,
        "seed": who.seed,
        "series": {key: f"dicom/{name}" for key, name in folders.items()},
        "frame_of_reference_uid": who.uid(scene.session.name, "frame of reference"),
        "mr": {
            "field_strength_t": scene.field_strength_t,
            "echo_times_s": scene.echo_times_s.tolist(),
            "flip_angle_deg": scene.mr["flip_angle_deg"],
            "sigma": scene.mr["sigma"],
            "noise": "Gaussian in the real and the imaginary part, sigma each",
            "initial_phase_rad": scene.mr["initial_phase_rad"],
            "phase_sign": scene.mr["phase_sign"],
            "field_hz_range_in_bath": [float(within.min()), float(within.max())],
            "grid": {
                "shape_kji": list(grid.shape),
                "spacing_kji_mm": grid.spacing_mm.tolist(),
                "index_kji_to_lps_mm": grid.affine.tolist(),
            },
        },
        "fat_spectrum": None
        if fat is None
        else {
            "name": fat.name,
            "source": fat.source,
            "shift_ppm": fat.shift_ppm.tolist(),
            "share": fat.share.tolist(),
        },
        "bath": {
            "fat_percent": scene.bath["fat_percent"],
            "r2star_per_s": scene.bath["r2star_per_s"],
        },
        "vials": {
            v.name: {
                "label": v.label,
                "slab": v.slab,
                "row": v.row,
                "column": v.column,
                "centre_xy_mm": list(v.centre_mm),
                "fat_percent": v.fat_percent,
                "r2star_per_s": v.r2star_per_s,
                "s0": scene.mr["sigma"] * v.s0_over_sigma,
                "s0_over_sigma": v.s0_over_sigma,
                "n_voxels": int(counts[v.label]),
            }
            for v in scene.vials
        },
    }
