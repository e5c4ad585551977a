"""Claims about files of scanners and about objects that others published.

Expected values: R2* medians of an independent non-linear fit on the same voxels; SUV of the digital
objects of the IBSI SUV project and of a published crop; the tables of IBSI 1.  They are in
``tests/truth`` or beside the files; the files themselves are not part of the repository.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

from eprimg import Config, read_study
from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_pet import read_pet_series
from eprimg.kernels.intensity_stats import intensity_statistics
from eprimg.kernels.peak import global_intensity_peak, local_intensity_peak
from eprimg.kernels.r2star import fit_r2star
from eprimg.kernels.region_shape import region_shape
from eprimg.model.volume import EchoStack
from eprimg.stages.quantify_pet import pet_maps
from tests.kernels.test_intensity_stats import PUBLISHED as INTENSITY
from tests.kernels.test_region_shape import PUBLISHED as SHAPE
from tests.validation.results import Line

ROOT = Path(__file__).resolve().parents[2]
TRUTH = ROOT / "tests" / "truth"
MR = "Real MR"
PET = "SUV"
IBSI = "IBSI 1"

MEDIANS_PER_S = {
    # Folder: median, and the share of the 99th percentile of the first echo that is tissue.
    "siemens_prisma_gre2e": (21.11, 0.2),
    "philips_ingenia_gre2e": (26.63, 0.2),
}
BRAIN_PER_S, BRAIN_SHARE, BRAIN_TIMES_S = 28.89, 0.3, (0.004, 0.008, 0.012)


def folder_of_real_data() -> Path | None:
    """Return the folder with files of scanners, or None where it is absent."""
    folder = Path(os.environ.get("EPRIMG_REAL_DATA", ROOT.parent / "shared" / "data"))
    return folder if (folder / "mri").is_dir() and (folder / "pet").is_dir() else None


def real_lines() -> list[Line]:
    """Compare what is there; one line that says so where it is not."""
    folder = folder_of_real_data()
    if folder is None:
        why = "not compared: the files are not here (set EPRIMG_REAL_DATA)"
        return [Line(item, "files of scanners", "", why, None, "") for item in (MR, PET, IBSI)]
    return [*_mr(folder / "mri"), *_suv(folder / "pet"), *_ibsi(folder / "pet")]


def median_of_centre(
    signal: np.ndarray, times_s: tuple[float, ...], share: float, scale: float = 1.0
) -> float:
    """Median R2* of plain `nlls` in the central half box, where the first echo is bright."""
    first = signal[..., 0]
    box = tuple(slice(n // 4, n - n // 4) for n in first.shape)
    mask = np.zeros(first.shape, bool)
    mask[box] = first[box] > share * np.percentile(first, 99)
    fit = fit_r2star((signal * np.float32(scale)).astype(np.float32), times_s, mask=mask)
    return float(np.nanmedian(fit.r2star_per_s))


def _stack(folder: Path) -> EchoStack:
    for series in read_study(folder, config=Config()).value.series:
        if isinstance(series.pixels, EchoStack):
            return series.pixels
    raise ValueError(f"no echo train in {folder.name}")


def _mr(folder: Path) -> Iterator[Line]:
    given: dict[str, tuple[np.ndarray, tuple[float, ...], float, float]] = {}
    for name, (expected, share) in MEDIANS_PER_S.items():
        stack = _stack(folder / name)
        given[name] = (stack.volume.data, stack.echo_times_s, expected, share)
    brain = np.asarray(nibabel.load(folder / "brain_gre3e_nifti" / "Mag.nii").dataobj)
    given["brain_gre3e_nifti"] = (brain, BRAIN_TIMES_S, BRAIN_PER_S, BRAIN_SHARE)
    for name, (signal, times, expected, share) in given.items():
        found = median_of_centre(signal, times, share)
        yield Line(
            MR,
            f"{name}: median R2*, {len(times)} echoes",
            f"{expected:g} 1/s within 1 %",
            f"{found:.2f} 1/s ({100 * (found / expected - 1):+.2f} %)",
            abs(found / expected - 1) <= 0.01,
            "test_real_scanners.py",
        )
        scaled = [median_of_centre(signal, times, share, s) for s in (1e-6, 1e6)]
        change = max(abs(s / found - 1) for s in scaled)
        claim = f"{name}: samples times 1e-6 and 1e6"
        yield Line(MR, claim, "within 1e-4", f"{change:.0e}", change <= 1e-4, "")
    yield _two_points(folder / "siemens_xa30_enh_gre2e")
    try:
        read_study(folder / "philips_enh_fmap", config=Config())
        said, named = "was read", False
    except EprimgError as error:
        every = (error, *error.faults)
        said = ", ".join(sorted({f.code for f in every}))
        named = any("field-map" in str(f) for f in every)
    yield Line(
        MR,
        "philips_enh_fmap: one echo and a field map",
        "refused in words that name the field map",
        said + (", named" if named else ", not named"),
        named,
        "test_real_scanners.py",
    )


def _two_points(folder: Path) -> Line:
    stack = _stack(folder)
    signal, (first, second) = np.asarray(stack.volume.data, float), stack.echo_times_s
    some = (signal > 0).all(axis=-1)
    expected = np.log(signal[some][:, 0] / signal[some][:, 1]) / (second - first)
    found = fit_r2star(stack.volume.data, stack.echo_times_s, mask=some).r2star_per_s[some]
    apart = np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)
    worst = float(np.nanmax(apart))
    return Line(
        MR,
        "siemens_xa30_enh_gre2e: R2* of every voxel against ln(S1 / S2) / (TE2 - TE1)",
        "within 1e-3, no voxel missing",
        f"{worst:.0e}, {int(np.isnan(found).sum())} missing of {found.size}",
        worst <= 1e-3 and not np.isnan(found).any(),
        "test_real_scanners.py",
    )


def _suv_map(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return SUVbw and the affine from index (k, j, i) to LPS."""
    entry = next(e for e in scan(folder).series if e.modality == "PT")
    series = read_pet_series(entry, config=ReadConfig()).value
    values = np.asarray(pet_maps(series).maps["suvbw"].values, dtype=np.float64)
    return values, series.grid.affine


def _suv(folder: Path) -> Iterator[Line]:
    expected = json.loads((TRUTH / "pet_ibsi_suv_dro.json").read_text(encoding="utf-8"))
    objects = folder / "ibsi_suv_dro"
    mask = nibabel.load(objects / "DRO_mask.nii.gz")
    inside = np.asarray(mask.dataobj).transpose(2, 1, 0) > 0
    wanted = tuple(expected[k] for k in ("minimum", "median", "maximum"))
    right, worst = 0, ""
    for number in expected["computed"]:
        values = _suv_map(objects / f"DRO_{number}")[0][inside]
        found = tuple(round(float(f(values)), 2) for f in (np.min, np.median, np.max))
        right += found == wanted
        worst += "" if found == wanted else f"; {number}: {found}"
    n = len(expected["computed"])
    yield Line(
        PET,
        f"{n} shared digital objects of the IBSI SUV project: minimum, median, maximum",
        "0.20 / 1.00 / 4.00",
        f"{right} of {n}{worst}",
        right == n,
        "test_read_pet.py",
    )
    yield from _whole_body(folder / "sts001_ge_fdg_dicom")


def _whole_body(folder: Path) -> Iterator[Line]:
    expected = json.loads((TRUTH / "pet_sts001.json").read_text(encoding="utf-8"))
    values, affine = _suv_map(folder / "PT")
    crop = nibabel.load(folder / "reference_suv" / "PET_image.nii.gz")
    reference = np.asarray(crop.dataobj).transpose(2, 1, 0)
    corner = np.linalg.inv(affine) @ np.append(
        (np.diag([-1.0, -1.0, 1.0, 1.0]) @ crop.affine)[:3, 3], 1.0
    )
    place = tuple(
        slice(c, c + n)
        for c, n in zip(np.rint(corner[:3]).astype(int), reference.shape, strict=True)
    )
    hot = reference > 0.1
    ratio = float(np.median(values[place][hot] / reference[hot]))
    yield Line(
        PET,
        "STS_001 (GE, 18F): SUVbw over the published crop, median",
        "1 within 1e-5",
        f"1 {ratio - 1:+.0e}",
        abs(ratio - 1) <= 1e-5,
        "test_read_pet.py",
    )
    highest = float(values.max())
    apart = highest / expected["suvmax"] - 1
    yield Line(
        PET,
        "STS_001: highest SUVbw",
        f"{expected['suvmax']} within 1e-5",
        f"{highest:.4f}",
        abs(apart) <= 1e-5,
        "test_read_pet.py",
    )


def _ibsi(folder: Path) -> Iterator[Line]:
    root = folder / "ibsi1_digital_phantom"
    values = np.asarray(nibabel.load(root / "phantom.nii.gz").dataobj, dtype=np.float64)
    labels = np.asarray(nibabel.load(root / "mask.nii.gz").dataobj).astype(np.int32)
    spacing = (2.0, 2.0, 2.0)
    with (root / "reference_values.csv").open(encoding="utf-8") as file:
        rows = {row["tag"]: row for row in csv.DictReader(file) if row["reference"]}
    statistics = intensity_statistics(values[labels > 0])
    shape = region_shape(labels > 0, spacing)
    groups = {
        "intensity statistics": {t: getattr(statistics, n) for t, n in INTENSITY.items()},
        "volume and surface": {t: getattr(shape, n) for t, n in SHAPE.items()},
        "local and global intensity peak": {
            "loc_peak_loc": float(local_intensity_peak(values, labels, spacing).peak[0]),
            "loc_peak_glob": float(global_intensity_peak(values, labels, spacing).peak[0]),
        },
    }
    for name, found in groups.items():
        wrong = []
        for tag, value in found.items():
            row = rows[tag]
            digits = len(row["reference"].partition(".")[2])
            # A published tolerance of 0 is exact to the digits that are printed.
            allowed = max(float(row["tolerance"]), 0.5 * 10.0**-digits) * (1 + 1e-9)
            if not abs(value - float(row["reference"])) <= allowed:
                wrong.append(f"{tag} {value:g}, published {row['reference']}")
        measured = f"{len(found) - len(wrong)} of {len(found)}"
        yield Line(
            IBSI,
            f"digital phantom: {name} ({len(found)} features)",
            "within the published tolerance",
            "; ".join([measured, *wrong]),
            not wrong,
            "test_intensity_stats.py, test_peak.py, test_region_shape.py",
        )
