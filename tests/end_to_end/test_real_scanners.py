"""Real scanner files with known values, through the command line.

Expected numbers: the medians of R2* were measured with an independent least-squares fit (central
half box, first echo above a share of its 99th percentile over the volume), see each test; the SUV
values are those of the digital reference objects and of the published SUV crop.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from tests.conftest import Outcome

pytestmark = pytest.mark.real_data
Command = Callable[..., Outcome]
Array = npt.NDArray[np.float64]


def load(path: Path) -> Array:
    return np.asarray(nib.load(path).get_fdata(dtype=np.float64))


def central_half(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(n // 4, n - n // 4) for n in shape)


def roi_median(folder: Path, first_echo: Array, share: float) -> float:
    fitted = load(folder / "r2star.nii.gz")
    assert fitted.shape == first_echo.shape
    bright = first_echo > share * np.percentile(first_echo, 99)
    box = central_half(fitted.shape)
    return float(np.nanmedian(fitted[box][bright[box]]))


def first_echo_like(folder: Path, echo_time_s: float) -> Array:
    """Signal at the first echo as the maps imply it: S0 exp(-TE R2*)."""
    return np.nan_to_num(
        load(folder / "s0.nii.gz") * np.exp(-echo_time_s * load(folder / "r2star.nii.gz"))
    )


@pytest.mark.parametrize(
    ("name", "echo_times_ms", "expected"),
    [
        # Full-region medians of a plain non-linear fit on the same voxels, 1/s.
        ("siemens_prisma_gre2e", (5.19, 7.65), 21.11),
        ("philips_ingenia_gre2e", (2.3, 4.6), 26.63),
    ],
)
def test_r2star_of_two_echo_dicom(
    name: str,
    echo_times_ms: tuple[float, ...],
    expected: float,
    command: Command,
    real_data: Path,
    tmp_path: Path,
) -> None:
    done = command("map", "r2star", real_data / "mri" / name, "--out", tmp_path / "m")
    assert done.code == 0, done.err
    sidecar = json.loads((tmp_path / "m" / "r2star.json").read_text(encoding="utf-8"))
    assert sidecar["Units"] == "1/s"
    # Two echoes fit exactly, so the maps give the first echo back.
    first = first_echo_like(tmp_path / "m", echo_times_ms[0] / 1000)
    assert roi_median(tmp_path / "m", first, 0.20) == pytest.approx(expected, rel=0.01)
    assert np.isnan(load(tmp_path / "m" / "r2star_se.nii.gz")).all()


def test_r2star_of_dicom_does_not_depend_on_its_scale(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    source = real_data / "mri" / "siemens_prisma_gre2e" / "mag"
    medians = []
    for scale in ("1", "1e-6", "1e6"):
        folder = tmp_path / scale
        folder.mkdir()
        for path in source.glob("*.dcm"):
            dataset = pydicom.dcmread(path)
            dataset.RescaleSlope, dataset.RescaleIntercept = scale, "0"
            dataset.save_as(folder / path.name)
        done = command("map", "r2star", folder, "--out", tmp_path / f"m{scale}")
        assert done.code == 0, done.err
        first = first_echo_like(tmp_path / f"m{scale}", 0.00519)
        medians.append(roi_median(tmp_path / f"m{scale}", first, 0.20))
    # Full-region median of a plain non-linear fit on the same voxels, 1/s.
    assert medians[0] == pytest.approx(21.11, rel=0.01)
    assert medians == pytest.approx([medians[0]] * 3, rel=1e-4)


def test_r2star_of_enhanced_dicom_equals_two_point_formula(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "mri" / "siemens_xa30_enh_gre2e"
    done = command("map", "r2star", folder, "--out", tmp_path / "m")
    assert done.code == 0, done.err
    fitted = np.transpose(load(tmp_path / "m" / "r2star.nii.gz"))
    echoes = {}
    for path in sorted((folder / "mag").iterdir()):
        dataset = pydicom.dcmread(path)
        frames = dataset.PerFrameFunctionalGroupsSequence
        time = float(frames[0].MREchoSequence[0].EffectiveEchoTime)
        place = [f.PlanePositionSequence[0].ImagePositionPatient[2] for f in frames]
        echoes[time] = dataset.pixel_array[np.argsort(place)].astype(float)
    (t1, s1), (t2, s2) = sorted(echoes.items())
    both = (s1 > 0) & (s2 > 0)
    expected = np.full(s1.shape, np.nan)
    expected[both] = np.log(s1[both] / s2[both]) / ((t2 - t1) / 1000)
    bright = both & (s1 > 0.2 * np.percentile(s1, 99))
    own = np.sort(fitted[np.isfinite(fitted)])
    assert np.isfinite(fitted[np.isfinite(fitted)]).all()
    # The order of slices and rows is the reader's business elsewhere; values must all be there.
    assert own == pytest.approx(np.sort(expected[both]), rel=1e-3, abs=1e-2)
    assert np.count_nonzero(bright) > 1000


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_r2star_of_brain_nifti(
    scale: float, command: Command, real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "mri" / "brain_gre3e_nifti"
    source = next(folder.glob("Mag.nii*"))
    magnitude = nib.load(source)
    echoes = np.asarray(magnitude.dataobj, dtype=np.float64)
    scaled = tmp_path / "scaled.nii"
    nib.save(nib.Nifti1Image((echoes * scale).astype(np.float32), magnitude.affine), scaled)
    done = command("map", "r2star", scaled, "--echo-times-ms", "4,8,12", "--out", tmp_path / "m")
    assert done.code == 0, done.err
    median = roi_median(tmp_path / "m", echoes[..., 0], 0.30)
    assert median == pytest.approx(28.89, rel=0.01)


def test_a_nifti_folder_leaves_the_phase_out(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "mri" / "brain_gre3e_nifti"
    done = command("map", "r2star", folder, "--echo-times-ms", "4,8,12", "--out", tmp_path / "m")
    assert done.code == 0, done.err
    first = np.asarray(nib.load(next(folder.glob("Mag.nii*"))).dataobj, dtype=np.float64)[..., 0]
    assert roi_median(tmp_path / "m", first, 0.30) == pytest.approx(28.89, rel=0.01)


def test_a_field_map_is_refused_in_words(command: Command, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "mri" / "philips_enh_fmap"
    done = command("map", "r2star", folder, "--out", tmp_path / "m")
    assert done.code == 3
    assert "field" in done.err.lower()
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "name",
    [
        "mri/siemens_prisma_gre2e",
        "mri/siemens_xa30_enh_gre2e",
        "mri/philips_ingenia_gre2e",
        "mri/brain_gre3e_nifti",
        "mri/philips_enh_fmap",
        "pet/sts001_ge_fdg_dicom",
    ],
)
def test_scan_reads_well(name: str, command: Command, real_data: Path) -> None:
    shown = command("scan", real_data / name)
    assert shown.code == 0, shown.err
    assert "why" in shown.out


def test_suv_of_a_real_whole_body_scan(command: Command, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "pet" / "sts001_ge_fdg_dicom"
    done = command("map", "suv", folder / "PT", "--out", tmp_path / "s")
    assert done.code == 0, done.err
    made = nib.load(tmp_path / "s" / "suvbw.nii.gz")
    reference = nib.load(folder / "reference_suv" / "PET_image.nii.gz")
    # Both are NIfTI with world coordinates: take our voxel at the place of each reference voxel.
    step = np.linalg.inv(made.affine) @ reference.affine
    index = np.indices(reference.shape).reshape(3, -1)
    place = np.rint(step[:3, :3] @ index + step[:3, 3:]).astype(int)
    ours = load(tmp_path / "s" / "suvbw.nii.gz")[tuple(place)].reshape(reference.shape)
    expected = reference.get_fdata(dtype=np.float64)
    hot = expected > 0.1
    assert np.median(ours[hot] / expected[hot]) == pytest.approx(1.0, abs=1e-6)
    # The published crop was rounded once more on its way: a voxel may differ by one stored integer
    # of its slice (SUV factor of this series, from its SOURCE.md, times the slice's slope).
    slopes = {}
    for file in sorted((folder / "PT").glob("*.dcm")):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        slopes[float(header.ImagePositionPatient[2])] = float(header.RescaleSlope)
    step_suv = 2.429029766e-4 * np.array([slopes[z] for z in sorted(slopes)])
    lowest = place[2].min()
    allowed = 1.01 * step_suv[lowest : lowest + reference.shape[2]]
    assert (np.abs(ours - expected) <= allowed).all()
    # Published for this series: whole-volume maximum 66.5215 (bladder).
    assert np.nanmax(load(tmp_path / "s" / "suvbw.nii.gz")) == pytest.approx(66.5215, abs=2e-3)


@pytest.mark.parametrize("name", ["DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_2_4", "DRO_3_1", "DRO_5_0"])
def test_reference_objects(name: str, command: Command, real_data: Path, tmp_path: Path) -> None:
    root = real_data / "pet" / "ibsi_suv_dro"
    folder = next(p for p in root.rglob(f"*{name}*") if p.is_dir())
    done = command("map", "suv", folder, "--out", tmp_path / "s")
    assert done.code == 0, done.err
    made = nib.load(tmp_path / "s" / "suvbw.nii.gz")
    mask = nib.load(next(root.rglob("DRO_mask.nii*")))
    step = np.linalg.inv(made.affine) @ mask.affine
    index = np.argwhere(np.asarray(mask.dataobj) > 0).T
    place = np.rint(step[:3, :3] @ index + step[:3, 3:]).astype(int)
    values = load(tmp_path / "s" / "suvbw.nii.gz")[tuple(place)]
    found = [round(float(v), 2) for v in (values.min(), np.median(values), values.max())]
    assert found == [0.20, 1.00, 4.00]
