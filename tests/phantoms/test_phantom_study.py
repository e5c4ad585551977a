"""The written study: geometry, DICOM, masks and truth agree with each other."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy.ndimage import binary_erosion

from eprimg_phantoms import make
from tests.phantoms.ideal_run import labels, read_series

STEMS = {"pre": "", "post": "_post", "pet": "_pet"}


def first(small: Path, truth: dict[str, Any], key: str) -> pydicom.Dataset:
    return pydicom.dcmread(sorted((small / truth["series"][key]).glob("*.dcm"))[0])


# ------------------------------------------------------------------ geometry
@pytest.mark.parametrize("session", ["pre", "post", "pet"])
def test_mask_centres_are_the_stated_centres(
    small: Path, truth: dict[str, Any], session: str
) -> None:
    image = nib.load(small / "masks" / f"lesions{STEMS[session]}.nii.gz")
    data = np.asarray(image.dataobj)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    for n, (name, lesion) in enumerate(truth["lesions"].items(), start=1):
        if lesion["diameter_mm"] < 13:
            continue
        ijk = np.argwhere(data == n).mean(axis=0)
        lps = (image.affine @ [*ijk, 1])[:3] * [-1, -1, 1]
        gap = np.abs(lps - lesion["centre_lps_mm"][session])
        assert gap.max() < 0.35 * spacing.max(), name


@pytest.mark.parametrize("session", ["post", "pet"])
def test_stated_transforms_carry_the_centres(truth: dict[str, Any], session: str) -> None:
    m = np.array(truth["sessions"][session]["pre_to_this_lps_mm"])
    np.testing.assert_allclose(m[:3, :3] @ m[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(m) == pytest.approx(1.0)
    for lesion in truth["lesions"].values():
        c = lesion["centre_lps_mm"]
        np.testing.assert_allclose(m[:3, :3] @ c["pre"] + m[:3, 3], c[session], atol=1e-9)


def test_displacements_are_large(truth: dict[str, Any]) -> None:
    s = truth["sessions"]
    assert s["post"]["translation_mm"] == pytest.approx(7.0, abs=0.5)
    assert s["pet"]["translation_mm"] == pytest.approx(9.0, abs=0.5)
    assert all(s[k]["rotation_deg"] == pytest.approx(3.0, abs=0.2) for k in ("post", "pet"))


def test_mask_volumes(truth: dict[str, Any]) -> None:
    for lesion in truth["lesions"].values():
        if lesion["diameter_mm"] >= 17:
            for key in ("mask_volume_ml", "mask_volume_post_ml", "mask_volume_pet_ml"):
                assert lesion[key] == pytest.approx(lesion["volume_ml"], rel=0.05)


def test_one_lesion_touches_the_field_of_view(small: Path) -> None:
    found = labels(small, "lesions")
    assert set(np.unique(found[[0, -1]])) - {0} == {4}


def test_organs_leave_the_lesions_out(small: Path) -> None:
    assert not ((labels(small, "lesions") > 0) & (labels(small, "organs") > 0)).any()


def test_dicom_grid_is_the_mask_grid(small: Path, truth: dict[str, Any]) -> None:
    for session, suffix in STEMS.items():
        volumes, affine, _ = read_series(small / truth["series"][session])
        image = nib.load(small / "masks" / f"lesions{suffix}.nii.gz")
        ras = np.diag([-1, -1, 1, 1]) @ affine[:, [2, 1, 0, 3]]
        np.testing.assert_allclose(image.affine, ras, atol=1e-4)
        assert image.shape == volumes[0].shape[::-1]


def test_dicom_seg_equals_the_nifti_masks(small: Path, truth: dict[str, Any]) -> None:
    import highdicom as hd

    pre = first(small, truth, "pre")
    for key in ("lesions", "organs"):
        seg = hd.seg.segread(small / truth["series"][key] / "IM00001.dcm")
        assert seg.FrameOfReferenceUID == pre.FrameOfReferenceUID
        names = [seg.get_segment_description(n).SegmentLabel for n in seg.segment_numbers]
        assert names == list(truth[key])
        volume = seg.get_volume(combine_segments=True)
        want = labels(small, key)
        assert np.count_nonzero(volume.array) == np.count_nonzero(want)
        # Any voxel of the segmentation, through its own affine, has the label of the NIfTI mask.
        mask = nib.load(small / "masks" / f"{key}.nii.gz")
        for index in np.argwhere(volume.array > 0)[::97]:
            lps = (volume.affine @ [*index, 1])[:3]
            ijk = np.linalg.inv(mask.affine) @ [*(lps * [-1, -1, 1]), 1]
            i, j, k = np.rint(ijk[:3]).astype(int)
            assert mask.dataobj[i, j, k] == volume.array[tuple(index)]


# ------------------------------------------------------------------ headers
def test_sessions_have_their_own_frame_and_one_patient(small: Path, truth: dict[str, Any]) -> None:
    heads = {key: first(small, truth, key) for key in truth["series"]}
    frames = {k: heads[k].FrameOfReferenceUID for k in ("pre", "post", "pet")}
    assert len(set(frames.values())) == 3
    assert heads["ct"].FrameOfReferenceUID == frames["pet"]
    assert heads["ct"].StudyInstanceUID == heads["pet"].StudyInstanceUID
    assert len({heads[k].StudyInstanceUID for k in ("pre", "post", "pet")}) == 3
    assert len({h.PatientID for h in heads.values()}) == 1
    assert len({h.SeriesInstanceUID for h in heads.values()}) == len(heads)
    uids = [
        pydicom.dcmread(p, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        for p in (small / "dicom").rglob("*.dcm")
    ]
    assert len(set(uids)) == len(uids)


def test_mr_headers(small: Path, truth: dict[str, Any]) -> None:
    for key in ("pre", "post"):
        files = [
            pydicom.dcmread(p, stop_before_pixels=True)
            for p in (small / truth["series"][key]).glob("*.dcm")
        ]
        echoes = sorted({float(f.EchoTime) for f in files})
        np.testing.assert_allclose(echoes, np.array(truth["mr"]["echo_times_s"]) * 1e3, atol=1e-9)
        assert {float(f.MagneticFieldStrength) for f in files} == {3.0}
        assert {f.ImageType[2] for f in files} == {"M"}
        assert all(("ContrastBolusAgent" in f) == (key == "post") for f in files)


def test_pet_headers(small: Path, truth: dict[str, Any]) -> None:
    files = [pydicom.dcmread(p) for p in sorted((small / truth["series"]["pet"]).glob("*.dcm"))]
    slopes = {float(f.RescaleSlope) for f in files}
    assert len(slopes) > 0.9 * len(files)
    f = files[0]
    item = f.RadiopharmaceuticalInformationSequence[0]
    given = datetime.strptime(item.RadiopharmaceuticalStartDateTime, "%Y%m%d%H%M%S.%f")
    start = datetime.strptime(f.SeriesDate + f.SeriesTime, "%Y%m%d%H%M%S.%f")
    assert (start - given).total_seconds() == 72 * 3600 == truth["pet"]["uptake_s"]
    assert (f.Units, f.DecayCorrection) == ("BQML", "START")
    assert float(item.RadionuclideHalfLife) == 282276.0
    assert (float(f.PatientWeight), float(f.PatientSize), f.PatientSex) == (72.0, 1.75, "M")
    assert item.RadionuclideCodeSequence[0].CodeValue == "63360001"
    for g in files:
        # Every frame points back to the start of the series.
        at = datetime.strptime(g.AcquisitionDate + g.AcquisitionTime, "%Y%m%d%H%M%S.%f")
        mean = (at - start).total_seconds() + float(g.ActualFrameDuration) / 2000
        assert float(g.FrameReferenceTime) / 1000 == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize("key", ["pre", "post", "pet", "ct", "lesions", "organs"])
def test_dciodvfy_finds_no_error(small: Path, truth: dict[str, Any], key: str) -> None:
    if shutil.which("dciodvfy") is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("dciodvfy (package dicom3tools) is missing")
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    path = sorted((small / truth["series"][key]).glob("*.dcm"))[-1]
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    errors = [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")]
    assert errors == []


# ------------------------------------------------------------------ values
def test_stored_pet_gives_the_true_activity(small: Path, truth: dict[str, Any]) -> None:
    volumes, _, _ = read_series(small / truth["series"]["pet"])
    organs = labels(small, "organs_pet")
    for n, (name, organ) in enumerate(truth["organs"].items(), start=1):
        if name not in ("liver", "spleen"):
            continue
        core = binary_erosion(organs == n, iterations=2)
        mean = float(volumes[0][core].mean())
        assert mean == pytest.approx(organ["activity_bq_per_ml"], rel=0.01)


def test_stored_ct_gives_the_true_numbers(small: Path, truth: dict[str, Any]) -> None:
    volumes, affine, _ = read_series(small / truth["series"]["ct"])
    centre = truth["lesions"]["lesion-1"]["centre_lps_mm"]["pet"]
    k, j, i = np.rint(np.linalg.inv(affine) @ [*centre, 1])[:3].astype(int)
    block = volumes[0][k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3]
    assert block.mean() == pytest.approx(truth["lesions"]["lesion-1"]["hu"], abs=5)


def test_truth_is_consistent(truth: dict[str, Any]) -> None:
    pet, weight = truth["pet"], truth["patient"]["weight_kg"]
    hours = (
        datetime.fromisoformat(pet["reference"]) - datetime.fromisoformat(pet["injection"])
    ).total_seconds() / 3600
    left = math.exp(-math.log(2) * hours / 78.41)
    assert pet["decay_factor"] == pytest.approx(left, rel=1e-9)
    dose = pet["injected_activity_bq"] * left
    for part in ("tissues", "organs", "lesions"):
        for values in truth[part].values():
            suv = values["activity_bq_per_ml"] * weight * 1000 / dose
            assert values["suvbw_g_per_ml"] == pytest.approx(suv, rel=1e-9)
            assert values["pid_per_kg"] == pytest.approx(100 * suv / weight, rel=1e-9)
            change = values["r2star_post_per_s"] - values["r2star_pre_per_s"]
            assert values["dr2star_per_s"] == pytest.approx(change)
            assert values["r2star_post_per_s"] <= 550


def test_signal_to_noise_is_high_enough(truth: dict[str, Any]) -> None:
    regions = {**{k: truth["organs"][k] for k in ("liver", "spleen", "muscle")}, **truth["lesions"]}
    for name, values in regions.items():
        if name != "lesion-6":
            assert min(values["s0_over_sigma"].values()) >= 50, name


def test_point_spread_leaves_the_tiers_alone(truth: dict[str, Any]) -> None:
    rule = truth["tier_rules"]["pid_per_kg_peak"]
    for name, lesion in truth["lesions"].items():
        if not lesion["scored"]:
            continue
        peak = lesion["expected_centre_peak_pid_per_kg"]
        factor = min(max(peak / e, e / peak) for e in rule["edges"])
        assert factor < 1.05 if lesion["edge"] == "pid_per_kg_peak" else factor > 1.75, name


# ------------------------------------------------------------------ seeds
def test_equal_seeds_give_equal_files(small: Path, tmp_path: Path) -> None:
    again = make("abdomen", tmp_path / "again", size="small", seed=1, with_ct=True)
    files = sorted(p.relative_to(small) for p in small.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    different = [str(p) for p in files if (small / p).read_bytes() != (again / p).read_bytes()]
    assert different == []


def test_an_interrupted_study_leaves_nothing(tmp_path: Path) -> None:
    def stop(step: str, fraction: float) -> None:
        if fraction > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("abdomen", tmp_path / "x", progress=stop)
    assert list((tmp_path / "x").iterdir()) == []


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scene 'thorax'"):
        make("thorax", tmp_path / "a")
    with pytest.raises(ValueError, match="no size 'huge'"):
        make("abdomen", tmp_path / "a", size="huge")
    with pytest.raises(ValueError, match="seed -1"):
        make("abdomen", tmp_path / "a", seed=-1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    with pytest.raises(FileExistsError):
        make("abdomen", tmp_path / "b")
