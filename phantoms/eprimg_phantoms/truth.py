"""The truth file: every value that a reader of the phantom can be compared with."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion

from eprimg_phantoms.expected import TailTruth
from eprimg_phantoms.geometry import SampleGrid, apply
from eprimg_phantoms.identity import Identity
from eprimg_phantoms.masks import region_labels
from eprimg_phantoms.pet import (
    activity_per_pid_per_kg,
    decay_factor,
    suvbw_per_pid_per_kg,
    uptake_seconds,
)
from eprimg_phantoms.scene import Lesion, Scene, Tissue

SCHEMA = 1
PEAK_DIAMETER_MM = 12.4


class MRObservation(NamedTuple):
    """Painted labels and S0 gain of both MR sessions (one grid), and the expected rR2*90."""

    grid: SampleGrid
    pre_labels: npt.NDArray[np.uint8]
    pre_gain: npt.NDArray[np.float32]
    post_labels: npt.NDArray[np.uint8]
    post_gain: npt.NDArray[np.float32]
    tails: dict[str, TailTruth]


class PETObservation(NamedTuple):
    """PET without noise (Bq/mL) and painted labels."""

    grid: SampleGrid
    clean: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]


def build_truth(
    scene: Scene, who: Identity, mr: MRObservation, pet: PETObservation, *, series: dict[str, str]
) -> dict[str, Any]:
    """Build the content of ``truth.json``.

    Parameters
    ----------
    scene, who
        What was written and for whom.
    mr, pet
        What was painted.
    series : dict
        Key of each series to its folder, relative to the phantom.

    Returns
    -------
    dict
        JSON types only; every key that has a unit ends in it.
    """
    lesion_of, organ_of = region_labels(scene)
    organs: dict[str, Any] = {}
    for n, name in enumerate(scene.organs, start=1):
        tissue = scene.organ_tissue(name)
        where = organ_of == n
        organs[name] = {
            "tissue": tissue.name,
            **tissue_truth(scene, tissue),
            "s0_over_sigma": _s0_over_sigma(scene, mr, tissue, where),
            "mask_volume_ml": mask_volume_ml(where, mr.pre_labels, mr.grid),
            "tiers": tiers_of(scene, tissue),
        }
    lesions: dict[str, Any] = {}
    for n, lesion in enumerate(scene.lesions, start=1):
        where = lesion_of == n
        lesions[lesion.name] = {
            **lesion_geometry(scene, lesion),
            "mask_volume_ml": mask_volume_ml(where, mr.pre_labels, mr.grid),
            "mask_volume_post_ml": mask_volume_ml(where, mr.post_labels, mr.grid),
            "mask_volume_pet_ml": mask_volume_ml(where, pet.labels, pet.grid),
            **tissue_truth(scene, lesion.tissue),
            "s0_over_sigma": _s0_over_sigma(scene, mr, lesion.tissue, where),
            "expected_centre_peak_pid_per_kg": _centre_peak(scene, lesion, pet),
            "rr2star90": _tail(mr.tails.get(lesion.name)),
            "tiers": tiers_of(scene, lesion.tissue),
            "tier_distance_factor": {
                key: rule.distance_factor(_tier_value(key, lesion.tissue))
                for key, rule in scene.tiers.items()
            },
            "scored": lesion.scored,
            "edge": lesion.edge,
        }
    return {
        "schema": SCHEMA,
        "scene": scene.name,
        "title": scene.title,
        "size": who.size,
        "seed": who.seed,
        "patient": {
            "id": who.patient_id,
            "weight_kg": scene.patient["weight_kg"],
            "height_m": scene.patient["height_m"],
            "sex": scene.patient["sex"],
        },
        "series": series,
        "sessions": session_truth(scene, who),
        "mr": _mr_truth(scene, mr.grid),
        "pet": pet_truth(scene, pet.grid),
        "tissues": {t.name: tissue_truth(scene, t) for t in scene.tissues.values()},
        "organs": organs,
        "lesions": lesions,
        "tier_rules": {
            k: {
                "scheme": r.scheme,
                "edges": list(r.edges),
                "labels": list(r.labels),
                "note": "example, not validated",
            }
            for k, r in scene.tiers.items()
        },
    }


def tissue_truth(scene: Scene, tissue: Tissue) -> dict[str, Any]:
    """Return the true values of one material."""
    return {
        "r2star_pre_per_s": tissue.r2star_pre,
        "r2star_post_per_s": tissue.r2star_post,
        "dr2star_per_s": tissue.dr2star,
        "s0_pre": tissue.s0_in("pre"),
        "s0_post": tissue.s0_in("post"),
        "activity_bq_per_ml": tissue.pid_per_kg * activity_per_pid_per_kg(scene),
        "suvbw_g_per_ml": tissue.pid_per_kg * suvbw_per_pid_per_kg(scene),
        "pid_per_kg": tissue.pid_per_kg,
        "hu": tissue.hu,
        "source": tissue.source,
    }


def tiers_of(scene: Scene, tissue: Tissue) -> dict[str, str]:
    """Return the tier of a material under each rule."""
    return {key: rule.tier(_tier_value(key, tissue)) for key, rule in scene.tiers.items()}


def _tier_value(key: str, tissue: Tissue) -> float:
    return {"pid_per_kg_peak": tissue.pid_per_kg, "dr2star_median": tissue.dr2star}[key]


def lesion_geometry(scene: Scene, lesion: Lesion) -> dict[str, Any]:
    """Return place and size of a lesion."""
    centres = {
        name: apply(s.motion.matrix, lesion.centre_mm).tolist()
        for name, s in scene.sessions.items()
    }
    return {
        "where": lesion.where,
        "centre_lps_mm": centres,
        "diameter_mm": lesion.diameter_mm,
        "volume_ml": lesion.volume_ml,
    }


def mask_volume_ml(
    where: npt.NDArray[np.bool_], labels: npt.NDArray[np.uint8], grid: SampleGrid
) -> float:
    """Return the volume of the voxels of one region (mL)."""
    return float(np.count_nonzero(where[labels]) * grid.voxel_ml)


def _s0_over_sigma(
    scene: Scene, mr: MRObservation, tissue: Tissue, where: npt.NDArray[np.bool_]
) -> dict[str, float | None]:
    """Return the median S0/sigma of the eroded region per MR session, None if nothing is left."""
    out: dict[str, float | None] = {}
    for session, labels, gain in (
        ("pre", mr.pre_labels, mr.pre_gain),
        ("post", mr.post_labels, mr.post_gain),
    ):
        core = binary_erosion(where[labels])
        out[session] = (
            float(np.median(gain[core]) * tissue.s0_in(session) / scene.mr["sigma"])
            if core.any()
            else None
        )
    return out


def _centre_peak(scene: Scene, lesion: Lesion, pet: PETObservation) -> float:
    """Return the noise-free mean over a 12.4 mm sphere at the lesion centre (%ID/kg)."""
    to_index = np.asarray(np.linalg.inv(pet.grid.affine), dtype=float)
    centre = apply(to_index, apply(scene.sessions["pet"].motion.matrix, lesion.centre_mm))
    reach = np.ceil(PEAK_DIAMETER_MM / 2.0 / pet.grid.spacing_mm).astype(int) + 1
    low = np.maximum(np.floor(centre).astype(int) - reach, 0)
    high = np.minimum(np.ceil(centre).astype(int) + reach + 1, pet.grid.shape)
    fine = 5
    axes = [
        (np.arange(a * fine, b * fine) + 0.5) / fine - 0.5 - c
        for a, b, c in zip(low, high, centre, strict=True)
    ]
    r2 = sum(
        (axis * step).reshape([-1 if m == n else 1 for m in range(3)]) ** 2
        for n, (axis, step) in enumerate(zip(axes, pet.grid.spacing_mm, strict=True))
    )
    weight = (r2 <= (PEAK_DIAMETER_MM / 2.0) ** 2).astype(float)
    counts = high - low
    weight = weight.reshape(counts[0], fine, counts[1], fine, counts[2], fine).sum(axis=(1, 3, 5))
    block = pet.clean[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return float((block * weight).sum() / weight.sum() / activity_per_pid_per_kg(scene))


def _tail(tail: TailTruth | None) -> dict[str, float | int] | None:
    return None if tail is None else tail._asdict()


def session_truth(scene: Scene, who: Identity) -> dict[str, Any]:
    """Return instants, identifiers and positions of the sessions."""
    return {
        name: {
            "start": s.start.isoformat(),
            "frame_of_reference_uid": who.uid(name, "frame of reference"),
            "study_instance_uid": who.uid(name, "study"),
            "pre_to_this_lps_mm": s.motion.matrix.tolist(),
            "translation_mm": float(
                np.linalg.norm(apply(s.motion.matrix, [0, 20, 0]) - [0, 20, 0])
            ),
            "rotation_deg": s.motion.angle_deg,
        }
        for name, s in scene.sessions.items()
    }


def _grid(grid: SampleGrid) -> dict[str, Any]:
    return {
        "shape_kji": list(grid.shape),
        "spacing_kji_mm": grid.spacing_mm.tolist(),
        "index_kji_to_lps_mm": grid.affine.tolist(),
    }


def _mr_truth(scene: Scene, grid: SampleGrid) -> dict[str, Any]:
    return {
        "field_strength_t": scene.field_strength_t,
        "echo_times_s": scene.echo_times_s.tolist(),
        "sigma": scene.mr["sigma"],
        "noise": "Rician, sigma per channel",
        "agent": scene.mr["contrast_agent"],
        "agent_start": scene.mr["contrast_start"],
        "agent_dose_mg_per_kg": scene.mr["contrast_dose_mg_per_kg"],
        "rescale_slope": scene.mr["rescale_slope"],
        "grid": _grid(grid),
    }


def pet_truth(scene: Scene, grid: SampleGrid) -> dict[str, Any]:
    """Return what is known of the PET series."""
    p = scene.pet
    seconds = uptake_seconds(scene)
    return {
        "nuclide": p["nuclide"],
        "half_life_s": p["half_life_s"],
        "injected_activity_bq": p["injected_activity_bq"],
        "injection": datetime.fromisoformat(p["injection"]).isoformat(),
        "reference": scene.sessions["pet"].start.isoformat(),
        "uptake_s": seconds,
        "decay_factor": decay_factor(seconds, p["half_life_s"]),
        "decay_correction": "START",
        "psf_fwhm_mm": p["psf_fwhm_mm"],
        "noise_relative_sd": p["noise_relative_sd"],
        "noise_reference_tissue": p["noise_reference_tissue"],
        "noise": "correlated by the point spread, variance proportional to activity, clipped at 0",
        "grid": _grid(grid),
    }
