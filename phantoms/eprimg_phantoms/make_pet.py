"""Write a study of PET alone: one DICOM series, masks on its grid, truth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eprimg_phantoms import dicom_pet, masks, pet
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity
from eprimg_phantoms.recovery import centre_recovery, mean_recovery, with_background
from eprimg_phantoms.scene import Lesion, Scene
from eprimg_phantoms.truth import (
    PETObservation,
    lesion_geometry,
    mask_volume_ml,
    pet_truth,
    session_truth,
)

SCHEMA = 1
SERIES = {"pet": "S0001", "lesions": "S0002", "organs": "S0003"}


def write_pet_study(
    scene: Scene, who: Identity, root: Path, progress: Callable[[str, float], None]
) -> None:
    """Write the series, masks and truth of a scene that has no MR.

    Parameters
    ----------
    scene, who
        What and for whom.
    root : pathlib.Path
        Existing folder.
    progress : callable
        Called with the name of the step and the fraction that is done.
    """
    (root / "masks").mkdir()
    progress("PET", 0.0)
    grid = pet.pet_grid(scene, who.size)
    noisy, clean, labels = pet.reconstruct(scene, who.size, who.rng("pet noise"))
    folder = root / "dicom" / SERIES["pet"]
    folder.mkdir(parents=True)
    for k in dicom_pet.write_pet(scene, who, grid, noisy, folder):
        progress("PET", 0.3 + 0.7 * (k + 1) / grid.shape[0])
    lesion_of, organ_of = masks.region_labels(scene)
    names = {"lesions": [x.name for x in scene.lesions], "organs": list(scene.organs)}
    frame = who.uid("pet", "frame of reference")
    sources = sorted(folder.glob("*.dcm"))
    for number, (key, table) in enumerate(
        (("lesions", lesion_of), ("organs", organ_of)), start=501
    ):
        if not names[key]:
            continue
        drawn = table[labels]
        role = {"lesions": "lesion", "organs": "reference"}[key]
        masks.write_nifti(root / "masks" / f"{key}_pet.nii.gz", drawn, grid)
        masks.write_side_car(root / "masks" / f"{key}_pet.json", names[key], frame, "pet", role)
        target = root / "dicom" / SERIES[key]
        target.mkdir()
        title = {"lesions": "Lesions", "organs": "Reference organs"}[key]
        # Labels are counted from 1 without gaps: a region without a voxel has no segment.
        present = [n for n in range(1, len(names[key]) + 1) if (drawn == n).any()]
        again = np.zeros(len(names[key]) + 1, dtype=np.uint8)
        again[present] = np.arange(1, len(present) + 1)
        masks.write_seg(
            scene,
            who,
            again[drawn],
            [names[key][n - 1] for n in present],
            sources,
            target / "IM00001.dcm",
            title=title,
            number=number,
            session="pet",
        )
    truth = build_pet_truth(scene, who, PETObservation(grid, clean, labels))
    (root / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def build_pet_truth(scene: Scene, who: Identity, seen: PETObservation) -> dict[str, Any]:
    """Build the content of ``truth.json`` of a study of PET alone.

    Parameters
    ----------
    scene, who
        What was written and for whom.
    seen : PETObservation
        What was painted.

    Returns
    -------
    dict
        JSON types only; every key that has a unit ends in it.
    """
    lesion_of, organ_of = masks.region_labels(scene)
    folders = {k: v for k, v in SERIES.items() if k != "organs" or scene.organs}
    return {
        "schema": SCHEMA,
        "scene": scene.name,
        "variant": scene.variant,
        "title": scene.title,
        "size": who.size,
        "seed": who.seed,
        "patient": {
            "id": who.patient_id,
            "weight_kg": scene.patient["weight_kg"],
            "height_m": scene.patient["height_m"],
            "sex": scene.patient["sex"],
        },
        "series": {key: f"dicom/{name}" for key, name in folders.items()},
        "sessions": session_truth(scene, who),
        "pet": {
            **pet_truth(scene, seen.grid),
            **{k: scene.pet[k] for k in ("voxels", "checkerboard") if k in scene.pet},
        },
        "organs": {
            name: {
                **uptake_truth(scene, scene.organ_tissue(name).pid_per_kg),
                "clearance_per_h": scene.organ_tissue(name).clearance_per_h,
                "mask_volume_pet_ml": mask_volume_ml(organ_of == n, seen.labels, seen.grid),
            }
            for n, name in enumerate(scene.organs, start=1)
        },
        "lesions": {
            lesion.name: {
                **lesion_geometry(scene, lesion),
                "mask_volume_pet_ml": mask_volume_ml(lesion_of == n, seen.labels, seen.grid),
                **uptake_truth(scene, lesion.tissue.pid_per_kg),
                **_sphere_truth(scene, lesion),
                "clearance_per_h": lesion.tissue.clearance_per_h,
                "mean_in_mask_bq_per_ml": _mean_in_mask(lesion_of == n, seen),
                "scored": lesion.scored,
            }
            for n, lesion in enumerate(scene.lesions, start=1)
        },
    }


def uptake_truth(scene: Scene, pid_per_kg: float) -> dict[str, float]:
    """Return the true uptake of one material in three units.

    Parameters
    ----------
    scene : Scene
        What is scanned.
    pid_per_kg : float
        Uptake in %ID/kg.

    Returns
    -------
    dict
        Bq/mL at the reference instant, SUVbw in g/mL, %ID/kg.
    """
    return {
        "activity_bq_per_ml": pid_per_kg * pet.activity_per_pid_per_kg(scene),
        "suvbw_g_per_ml": pid_per_kg * pet.suvbw_per_pid_per_kg(scene),
        "pid_per_kg": pid_per_kg,
    }


def around(scene: Scene, lesion: Lesion) -> float:
    """Return the true uptake (%ID/kg) of what a lesion is embedded in: the last object there."""
    value = 0.0
    for thing in scene.objects:
        if thing.lesion is None and bool(thing.shape.contains(lesion.centre_mm)):
            value = thing.tissue.pid_per_kg
    return value


def _sphere_truth(scene: Scene, lesion: Lesion) -> dict[str, Any]:
    """Return what the blur leaves of a sphere whose surroundings are uniform within its reach."""
    fwhm, base = float(scene.pet["psf_fwhm_mm"]), around(scene, lesion)
    true = lesion.tissue.pid_per_kg
    ratio = true / base if base > 0.0 else math.inf
    centre, mean = (f(lesion.diameter_mm, fwhm) for f in (centre_recovery, mean_recovery))
    one = pet.activity_per_pid_per_kg(scene)
    return {
        "background_bq_per_ml": base * one,
        "sphere_to_background": ratio if math.isfinite(ratio) else None,
        "cold_background_recovery": {"centre": centre, "mean": mean},
        "recovery": {
            "centre": with_background(centre, ratio) if ratio else None,
            "mean": with_background(mean, ratio) if ratio else None,
        },
        "blurred_centre_bq_per_ml": (base + (true - base) * centre) * one,
        "blurred_mean_bq_per_ml": (base + (true - base) * mean) * one,
    }


def _mean_in_mask(where: np.ndarray[Any, np.dtype[np.bool_]], seen: PETObservation) -> float | None:
    """Return the noise-free mean over the voxels of the mask, whose edge follows the voxels."""
    inside = where[seen.labels]
    return float(seen.clean[inside].mean(dtype=np.float64)) if inside.any() else None


def crop_grid(
    scene: Scene, lesion: Lesion, spacing_mm: float, *, reach_fwhm: float = 2.0
) -> SampleGrid:
    """Return a small cubic grid around one lesion, with its centre on the centre of a voxel.

    Parameters
    ----------
    scene : Scene
        What is scanned.
    lesion : Lesion
        Which lesion.
    spacing_mm : float
        Voxel size (mm).
    reach_fwhm : float
        Margin around the sphere in widths of the point spread.

    Returns
    -------
    SampleGrid
        In the frame of the PET session.
    """
    fwhm = float(scene.pet["psf_fwhm_mm"])
    n = 2 * math.ceil((lesion.diameter_mm / 2.0 + reach_fwhm * fwhm) / spacing_mm) + 1
    motion = scene.sessions["pet"].motion.matrix
    centre = motion[:3, :3] @ lesion.centre_mm + motion[:3, 3]
    return SampleGrid.centred((n, n, n), (spacing_mm,) * 3, centre)
