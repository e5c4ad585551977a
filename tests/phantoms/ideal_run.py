"""A reader with the true transforms: writes what a run should write, to test the comparison."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK
from scipy.ndimage import binary_dilation, map_coordinates

from eprimg_phantoms.expected import least_squares_r2star, mean_of_tail

Array = npt.NDArray[Any]


def read_series(folder: Path) -> tuple[list[Array], Array, list[pydicom.Dataset]]:
    """Read a series: volumes (k, j, i) per echo, index-to-LPS affine, headers of the first."""
    files = [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
    row, column = np.array(files[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    echoes = sorted({float(f.get("EchoTime", 0)) for f in files})
    volumes = []
    for echo in echoes:
        stack = sorted(
            (f for f in files if float(f.get("EchoTime", 0)) == echo),
            key=lambda f: float(np.dot(normal, np.array(f.ImagePositionPatient, dtype=float))),
        )
        volumes.append(
            np.stack(
                [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in stack]
            )
        )
        if echo == echoes[0]:
            first = stack
    a, b = (np.array(first[n].ImagePositionPatient, dtype=float) for n in (0, 1))
    spacing = [float(x) for x in first[0].PixelSpacing]
    affine = np.eye(4)
    affine[:3, :3] = np.stack([b - a, column * spacing[0], row * spacing[1]], axis=1)
    affine[:3, 3] = a
    return volumes, affine, first


def save(path: Path, data: Array, affine: Array) -> None:
    """Write a map (k, j, i) as NIfTI in that axis order: a reader must use the affine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine).to_filename(
        path
    )


def labels(phantom: Path, stem: str) -> Array:
    """Read a mask as (k, j, i)."""
    return np.asarray(nib.load(phantom / "masks" / f"{stem}.nii.gz").dataobj).T


def r2star_map(volumes: list[Array], echo_times_s: list[float], where: Array) -> Array:
    """Fit inside ``where``; NaN elsewhere."""
    out = np.full(where.shape, np.nan)
    out[where] = least_squares_r2star(np.stack([v[where] for v in volumes], axis=-1), echo_times_s)
    return out


@functools.cache
def fit_session(phantom: Path, session: str) -> tuple[Array, Array]:
    """Fit R2* near the regions of either MR session (one grid); return map and affine."""
    truth = json.loads((phantom / "truth.json").read_text())
    regions = [labels(phantom, x) for x in ("lesions", "organs", "lesions_post", "organs_post")]
    near = binary_dilation(np.any([x > 0 for x in regions], axis=0), iterations=2)
    volumes, affine, _ = read_series(phantom / truth["series"][session])
    return r2star_map(volumes, truth["mr"]["echo_times_s"], near), affine


def pull(
    data: Array,
    affine: Array,
    onto: Array,
    shape: tuple[int, ...],
    fixed_to_moving: Array,
    order: int,
) -> Array:
    """Resample a moving map onto a fixed grid."""
    m = np.linalg.inv(affine) @ fixed_to_moving @ onto
    grid = np.indices(shape).reshape(3, -1)
    index = m[:3, :3] @ grid + m[:3, 3:]
    return map_coordinates(
        data, index, order=order, mode="constant", cval=np.nan if order else 0
    ).reshape(shape)


def write_transform(path: Path, matrix: Array) -> None:
    """Write a rigid motion in ITK convention."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    SimpleITK.WriteTransform(transform, str(path))


def ideal_run(
    phantom: Path,
    out: Path,
    *,
    motions: dict[str, Array] | None = None,
    swap: bool = False,
    suv_factor: float = 1.0,
) -> Path:
    """Write the results of a perfect reader, or of one with a stated fault.

    Parameters
    ----------
    phantom, out : pathlib.Path
        Input and output folder.
    motions : dict, optional
        Transforms to use instead of the true ones.
    swap : bool
        Take the series after the agent for the one before.
    suv_factor : float
        Wrong factor on SUV.
    """
    truth = json.loads((phantom / "truth.json").read_text())
    true = {k: np.array(truth["sessions"][k]["pre_to_this_lps_mm"]) for k in ("pre", "post", "pet")}
    motions = motions or true
    first, second = ("post", "pre") if swap else ("pre", "post")
    fitted = {key: fit_session(phantom, key) for key in ("pre", "post")}
    r_pre, affine = fitted[first]
    r_post, post_affine = fitted[second]
    pet, pet_affine, heads = read_series(phantom / truth["series"]["pet"])
    lesions = labels(phantom, "lesions")
    shape = r_pre.shape

    post_lesions, post_organs = labels(phantom, "lesions_post"), labels(phantom, "organs_post")
    after = {name: post_lesions == k for k, name in enumerate(truth["lesions"], start=1)}
    after["spleen"] = post_organs == list(truth["organs"]).index("spleen") + 1
    r_post_on_pre = pull(r_post, post_affine, affine, shape, motions["post"], 1)
    d = r_post_on_pre - r_pre

    item = heads[0].RadiopharmaceuticalInformationSequence[0]
    dose = float(item.RadionuclideTotalDose) * truth["pet"]["decay_factor"]
    suv = pet[0] * float(heads[0].PatientWeight) * 1000.0 / dose * suv_factor
    suv_on_pre = pull(suv, pet_affine, affine, shape, motions["pet"], 1)
    save(out / "maps" / "r2star_pre.nii.gz", r_pre, affine)
    save(out / "maps" / "r2star_post.nii.gz", r_post_on_pre, affine)
    save(out / "maps" / "dr2star.nii.gz", d, affine)
    save(out / "maps" / "suvbw.nii.gz", suv_on_pre, affine)
    save(out / "native" / "r2star_post.nii.gz", r_post, post_affine)
    save(out / "native" / "suvbw.nii.gz", suv, pet_affine)
    for name in ("post", "pet"):
        write_transform(out / "transforms" / f"{name}_to_pre.tfm", motions[name])

    rows = []
    spleen = np.nanmean(r_post[after["spleen"]])
    for k, (name, values) in enumerate(truth["lesions"].items(), start=1):
        here = lesions == k
        peak = float(values["expected_centre_peak_pid_per_kg"])
        change = float(np.nanmedian(d[here]))
        row: dict[str, object] = {"region_id": k, "name": name, "role": "lesion"}
        row["dr2star_median_per_s"] = change
        tail = r_post[after[name]]
        row["rr2star90"] = mean_of_tail(tail[np.isfinite(tail)]) / spleen
        row["r2star_pre_median_per_s"] = float(np.nanmedian(r_pre[here]))
        row["pid_per_kg_peak"] = peak
        for key, number in (("pid_per_kg_peak", peak), ("dr2star_median", change)):
            rule = truth["tier_rules"][key]
            label = rule["labels"][int(np.searchsorted(rule["edges"], number, side="right"))]
            sure = (
                all(max(number / e, e / number) > 1.3 for e in rule["edges"])
                if number > 0
                else True
            )
            row[f"tier_{rule['scheme']}"] = label if sure else "indeterminate"
        rows.append(row)
    with (out / "lesions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out
