"""Phantoms of vials: physics against closed forms, files, truth, seeds."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from eprimg_phantoms import make
from eprimg_phantoms.cli import app
from eprimg_phantoms.complex_mri import MHZ_PER_T, field_offset, material_signal
from eprimg_phantoms.vials import load_vials
from tests.phantoms.vial_reading import VialData, read_vials

SCENES = ("fat-water", "r2star-ladder")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vials")
    return {name: make(name, folder / name, size="tiny", seed=3) for name in SCENES}


@pytest.fixture(scope="module")
def data(roots: dict[str, Path]) -> dict[str, VialData]:
    return {name: read_vials(root) for name, root in roots.items()}


# ------------------------------------------------------------------ physics
def test_water_decays_with_one_exponential() -> None:
    scene = load_vials("fat-water")
    signal = material_signal(scene, 0.0, 120.0)
    np.testing.assert_allclose(np.abs(signal), np.exp(-120.0 * scene.echo_times_s), rtol=1e-12)
    np.testing.assert_allclose(np.angle(signal), 0.7, rtol=1e-12)


def test_pure_fat_is_the_sum_of_seven_peaks() -> None:
    scene = load_vials("fat-water")
    # Ren et al. 2008 (doi:10.1194/jlr.D800010-JLR200), written out a second time.
    table = {0.9: 125.8, 1.3: 956.4, 1.59: 109.1, 2.03: 146.0, 2.25: 100.0, 2.77: 23.4, 5.31: 63.9}
    t = scene.echo_times_s
    total = sum(table.values())
    expected = sum(
        area / total * np.exp(2j * math.pi * (ppm - 4.7) * MHZ_PER_T * 3.0 * t)
        for ppm, area in table.items()
    )
    found = material_signal(scene, 100.0, 0.0) * np.exp(-0.7j)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # Fat falls behind water.
    assert np.angle(found[1] / found[0]) < 0


def test_the_field_has_its_span_in_the_bath(data: dict[str, VialData]) -> None:
    field = data["fat-water"].field_hz[data["fat-water"].bath]
    assert 120.0 < -field.min() <= 152.0
    assert 120.0 < field.max() <= 152.0
    scene = load_vials("fat-water")
    assert field_offset(scene, np.zeros(3)) == 0.0
    assert np.all(field_offset(load_vials("r2star-ladder"), np.ones((4, 3))) == 0.0)


# ------------------------------------------------------------------ files
def test_truth_lists_every_vial(data: dict[str, VialData]) -> None:
    fat = list(data["fat-water"].truth["vials"].values())
    assert {v["fat_percent"] for v in fat} == {0, 5, 10, 20, 30, 40, 50}
    assert {v["r2star_per_s"] for v in fat} == {20, 50, 100, 200, 400, 600}
    assert {v["s0_over_sigma"] for v in fat} == {30, 50, 100}
    assert len(fat) == 7 * 6 * 3
    ladder = list(data["r2star-ladder"].truth["vials"].values())
    assert {v["r2star_per_s"] for v in ladder} == {10, 25, 50, 100, 200, 400, 600, 800}
    for name in SCENES:
        labels = data[name].labels
        for vial in data[name].truth["vials"].values():
            assert np.count_nonzero(labels == vial["label"]) == vial["n_voxels"] > 25
    assert sum(data["fat-water"].truth["fat_spectrum"]["share"]) == pytest.approx(1.0)
    assert data["r2star-ladder"].truth["fat_spectrum"] is None


def test_stored_samples_are_the_signal_plus_the_stated_noise(data: dict[str, VialData]) -> None:
    one = data["fat-water"]
    scene = load_vials("fat-water")
    t = one.echo_times_s
    np.testing.assert_allclose(t, one.truth["mr"]["echo_times_s"], atol=1e-12)
    cores, signal = one.cores, one.complex_signal
    gaps = []
    for vial in one.truth["vials"].values():
        here = cores == vial["label"]
        clean = vial["s0"] * material_signal(scene, vial["fat_percent"], vial["r2star_per_s"])
        turn = np.exp(2j * np.pi * one.field_hz[here][:, None] * t)
        gaps.append((signal[here] - clean * turn).ravel())
    gap = np.concatenate(gaps)
    sigma = one.truth["mr"]["sigma"]
    # About 28 000 samples: SD known to 0.4 %, mean to 0.06 sigma/10.
    assert gap.real.std() == pytest.approx(sigma, rel=0.02)
    assert gap.imag.std() == pytest.approx(sigma, rel=0.02)
    assert abs(gap.mean()) < 0.03 * sigma


def test_ladder_follows_its_rates(data: dict[str, VialData]) -> None:
    one = data["r2star-ladder"]
    t = one.echo_times_s
    for vial in one.truth["vials"].values():
        if vial["s0_over_sigma"] < 100 or vial["r2star_per_s"] > 200:
            continue
        mean = one.images["magnitude"][one.cores == vial["label"]].mean(axis=0)
        use = mean > 10 * one.truth["mr"]["sigma"]
        slope = -np.polyfit(t[use], np.log(mean[use]), 1)[0]
        assert slope == pytest.approx(vial["r2star_per_s"], abs=1.0 + 0.02 * vial["r2star_per_s"])


def test_headers_name_the_kind_of_image(roots: dict[str, Path], data: dict[str, VialData]) -> None:
    root, truth = roots["fat-water"], data["fat-water"].truth
    kinds = {"magnitude": ("M", "MAGNITUDE"), "phase": ("P", "PHASE")}
    assert set(truth["series"]) == set(kinds)
    heads = {}
    for kind, (value, component) in kinds.items():
        files = [pydicom.dcmread(p) for p in sorted((root / truth["series"][kind]).glob("*.dcm"))]
        assert {f.ImageType[2] for f in files} == {value}
        assert {f.ComplexImageComponent for f in files} == {component}
        assert len(files) == 12 * truth["mr"]["grid"]["shape_kji"][0]
        heads[kind] = files[0]
    assert heads["magnitude"].FrameOfReferenceUID == heads["phase"].FrameOfReferenceUID
    assert heads["magnitude"].SeriesInstanceUID != heads["phase"].SeriesInstanceUID
    turn = heads["phase"]
    # A reader can tell the unit and the full scale: one turn over the stored bits.
    assert turn.RescaleType == "rad"
    assert 2**turn.BitsStored * float(turn.RescaleSlope) == pytest.approx(2 * math.pi)
    phase = data["fat-water"].images["phase"]
    # Ten digits of a decimal string.
    assert -math.pi - 1e-9 <= phase.min() < -3.1
    assert 3.1 < phase.max() < math.pi


@pytest.mark.parametrize("kind", ["magnitude", "phase"])
def test_dciodvfy_finds_no_error_in_vials(roots: dict[str, Path], kind: str) -> None:
    if shutil.which("dciodvfy") is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("dciodvfy (package dicom3tools) is missing")
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    folder = {"magnitude": "S0001", "phase": "S0002"}[kind]
    path = sorted((roots["fat-water"] / "dicom" / folder).glob("*.dcm"))[-1]
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    errors = [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")]
    assert errors == []


def other_scene(tmp_path: Path, **changes: str) -> Path:
    text = (Path(make.__code__.co_filename).parent / "scenes" / "fat-water.toml").read_text("utf-8")
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_real_and_imaginary_parts_hold_the_same_signal(
    tmp_path: Path, roots: dict[str, Path]
) -> None:
    path = other_scene(
        tmp_path, images=('["magnitude", "phase"]', '["magnitude", "phase", "real", "imaginary"]')
    )
    one = read_vials(make(path, tmp_path / "out", size="tiny", seed=3))
    joined = one.images["real"] + 1j * one.images["imaginary"]
    # Rounding: half a level of 0.5 units in each part, 1/4096 of a turn in the phase.
    assert np.abs(joined - one.complex_signal).max() < 0.6 + 0.0008 * np.abs(joined).max()
    with np.errstate(all="raise"):
        assert np.isfinite(joined).all()


def test_the_other_sign_of_the_phase_is_the_conjugate(
    tmp_path: Path, data: dict[str, VialData]
) -> None:
    path = other_scene(tmp_path, sign=("phase_sign = 1 ", "phase_sign = -1"))
    turned = read_vials(make(path, tmp_path / "out", size="tiny", seed=3)).complex_signal
    straight = data["fat-water"].complex_signal
    noise = 10.0 * np.sqrt(2 * 2)
    # Same signal mirrored, other noise in the imaginary part (added after the mirror).
    assert np.abs(turned - straight.conj()).std() < 1.2 * noise
    assert np.abs(turned - straight).std() > 3 * noise


def test_equal_seeds_give_equal_vials(roots: dict[str, Path], tmp_path: Path) -> None:
    root = roots["r2star-ladder"]
    again = make("r2star-ladder", tmp_path / "again", size="tiny", seed=3)
    files = sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((root / p).read_bytes() == (again / p).read_bytes() for p in files)
    other = read_vials(make("r2star-ladder", tmp_path / "other", size="tiny", seed=4))
    assert not np.array_equal(other.images["magnitude"], read_vials(root).images["magnitude"])


def test_command_lists_and_writes_vials(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["list"]).output
    assert "fat-water: Fat-water vials" in listed
    assert "r2star-ladder: R2* ladder" in listed
    out = tmp_path / "ladder"
    done = runner.invoke(app, ["make", "r2star-ladder", "--size", "tiny", "--out", str(out)])
    assert done.exit_code == 0
    assert (out / "truth.json").is_file()
    wrong = runner.invoke(app, ["make", "r2star-ladder", "--size", "full", "--out", str(out / "x")])
    assert wrong.exit_code == 2


def test_wrong_scenes_of_vials_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scene of vials 'abdomen'"):
        load_vials("abdomen")
    for old, new, words in (
        ("0.0, 5.0, 10.0, 20.0", "0.0, 500.0, 10.0, 20.0", "outside 0 to 100"),
        ('["magnitude", "phase"]', '["magnitude", "colour"]', "no image"),
        ("[fat]", "[grease]", r"no \[fat\] spectrum"),
    ):
        with pytest.raises(ValueError, match=words):
            load_vials(other_scene(tmp_path, change=(old, new)))
