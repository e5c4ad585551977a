"""``eprimg register`` on a small body of known movement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg import cli
from eprimg.io.write_maps import write_nifti
from eprimg.model.volume import Volume
from tests.conftest import Outcome
from tests.tiny_body import SHAPE, TRUE, grid, volume

Command = Callable[..., Outcome]
CENTRE = np.array((85.0, 70.0, 55.0, 1.0))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    for name, made in (("fixed", volume("1")), ("moving", volume("2", np.linalg.inv(TRUE)))):
        write_nifti(made.data, made.grid, folder / f"{name}.nii.gz")
        # Regions of the same formula: what is brighter than the trunk.
        labels = (made.data > 1.5).astype(np.int16)
        write_nifti(labels, made.grid, folder / f"{name}_mask.nii.gz")
    write_nifti(np.ones(SHAPE, np.int16), grid("1"), folder / "all_mask.nii.gz")
    return folder


def text(done: Outcome) -> str:
    return done.out + done.err


def ask(folder: Path, out: Path, *more: str) -> tuple[str, ...]:
    given = ("--fixed", folder / "fixed.nii.gz", "--moving", folder / "moving.nii.gz")
    return ("register", *map(str, given), "--out", str(out), *more)


def test_a_pair_is_aligned_and_written(command: Command, files: Path, tmp_path: Path) -> None:
    masks = ("--fixed-labels", "fixed_mask.nii.gz", "--moving-labels", "moving_mask.nii.gz")
    masks = tuple(m if m.startswith("--") else str(files / m) for m in masks)
    looked_at = ("--fixed-mask", str(files / "all_mask.nii.gz"))
    done = command(*ask(files, tmp_path / "out", *masks, *looked_at))
    assert done.code == 0, text(done)
    assert "registration moving to fixed: pass" in text(done)
    import SimpleITK as sitk

    # Read by the program whose convention it is: fixed points to moving points, LPS mm.
    read = sitk.ReadTransform(str(tmp_path / "out" / "transform.tfm"))
    np.testing.assert_allclose(
        read.TransformPoint(CENTRE[:3].tolist()), (TRUE @ CENTRE)[:3], atol=0.7
    )
    qc = json.loads((tmp_path / "out" / "qc.json").read_text())
    assert (qc["verdict"], qc["reasons"], qc["transform"]) == ("pass", [], "transform.tfm")
    assert qc["qc"]["nmi_after"] > qc["qc"]["nmi_before"]
    assert qc["qc"]["mask_dice_1"] > 0.9
    assert "all_mask.nii.gz" in json.dumps(qc["settings"]["fixed_mask"])
    moved = nib.load(tmp_path / "out" / "moved.nii.gz")
    still = nib.load(files / "fixed.nii.gz")
    assert moved.shape == still.shape
    np.testing.assert_allclose(moved.affine, still.affine, atol=1e-4)
    first, second = still.get_fdata(), moved.get_fdata()
    seen = np.isfinite(second)
    assert np.corrcoef(first[seen], second[seen])[0, 1] > 0.99
    # An earlier result is not overwritten by accident.
    again = command(*ask(files, tmp_path / "out"))
    assert again.code == 6
    assert "E_OUTPUT_EXISTS" in text(again)


def test_a_refused_alignment_is_written_with_its_verdict(
    command: Command, files: Path, tmp_path: Path
) -> None:
    limits = ("--set", "register.max_moved_mm=2.0", "--start", "best")
    done = command(*ask(files, tmp_path / "out", *limits))
    assert done.code == 5
    assert "fail" in text(done)
    qc = json.loads((tmp_path / "out" / "qc.json").read_text())
    assert qc["verdict"] == "fail"
    assert "register.max_moved_mm" in qc["reasons"][0]
    assert (tmp_path / "out" / "transform.tfm").is_file()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--start", "no-such-file.tfm"), 3, "E_ARGUMENT"),
        (("--fixed-labels", "x.nii.gz"), 3, "give both"),
        (("--engine", "no-such-engine"), 5, "E_ENGINE"),
        (("--moving-kind", "x-ray"), 2, ""),
        (("--set", "register.profile=nowhere.toml"), 4, "nowhere.toml"),
    ],
)
def test_wrong_orders(
    command: Command, files: Path, tmp_path: Path, more: tuple[str, ...], code: int, words: str
) -> None:
    done = command(*ask(files, tmp_path / "out", *more))
    assert done.code == code, text(done)
    assert words in text(done)
    assert not (tmp_path / "out").exists()


def broken(kind: str) -> Volume:
    made = volume("2")
    data = np.array(made.data)
    there = made.grid
    if kind == "slice":
        data, there = data[:1], type(there)((1, *SHAPE[1:]), there.affine, "2")
    elif kind == "nan":
        data[3, 3, 3] = np.nan
    elif kind == "constant":
        data[:] = 7.0
    else:
        affine = np.array(there.affine)
        affine[2, 3] += 5000.0
        there = type(grid("2"))(SHAPE, affine, "2")
    return Volume(data, there, made.quantity)


@pytest.mark.parametrize(
    ("kind", "start", "codes"),
    [
        ("slice", "", {"E_REGISTRATION_SMALL"}),
        ("nan", "", {"E_REGISTRATION_VALUES"}),
        ("constant", "", {"E_CONSTANT"}),
        # From the header's place there is nothing in common.
        ("apart", "identity", {"E_REGISTRATION", "E_REGISTRATION_ENGINE", "E_ENGINE"}),
    ],
)
def test_what_cannot_be_aligned_has_a_code(
    command: Command, files: Path, tmp_path: Path, kind: str, start: str, codes: set[str]
) -> None:
    made = broken(kind)
    write_nifti(made.data, made.grid, tmp_path / "bad.nii.gz")
    order = ("register", "--fixed", str(files / "fixed.nii.gz"), "--moving")
    order = (*order, str(tmp_path / "bad.nii.gz"), "--out", str(tmp_path / "out"))
    done = command(*order, *(("--start", start) if start else ()))
    assert done.code == 5, text(done)
    assert any(code in text(done) for code in codes), text(done)


def test_the_command_is_listed() -> None:
    assert "register" in {c.name or c.callback.__name__ for c in cli.app.registered_commands}


def test_help_that_does_not_fit_is_named(command: Command, files: Path, tmp_path: Path) -> None:
    still = nib.load(files / "fixed_mask.nii.gz")
    labels = np.asarray(still.dataobj)
    away = still.affine.copy()
    away[0, 3] += 5000.0
    nib.save(nib.Nifti1Image(labels, away), tmp_path / "away.nii.gz")
    done = command(*ask(files, tmp_path / "a", "--fixed-mask", str(tmp_path / "away.nii.gz")))
    assert done.code == 5
    assert "E_REGISTRATION_MASK" in text(done)
    assert "away.nii.gz" in text(done)

    # Labels of atlases reach tens of thousands; no number in common is no comparison.
    nib.save(nib.Nifti1Image(labels.astype(np.int32) * 90_000, still.affine), tmp_path / "b.nii.gz")
    both = ("--fixed-labels", str(files / "fixed_mask.nii.gz"), "--moving-labels")
    done = command(*ask(files, tmp_path / "b", *both, str(tmp_path / "b.nii.gz")))
    assert done.code == 3
    assert "share no label number" in text(done)

    # The same start in four decimals, as programs print it; and one that mirrors.
    import SimpleITK as sitk

    for name, first, code in (("rounded", 1.0, 0), ("mirror", -1.0, 5)):
        start = sitk.AffineTransform(3)
        turned = np.round([np.cos(0.05), -np.sin(0.05), np.sin(0.05), np.cos(0.05)], 4)
        start.SetMatrix([first * turned[0], turned[1], 0, first * turned[2], turned[3], 0, 0, 0, 1])
        sitk.WriteTransform(start, str(tmp_path / f"{name}.tfm"))
        done = command(*ask(files, tmp_path / name, "--start", str(tmp_path / f"{name}.tfm")))
        assert done.code == code, text(done)
    assert "E_TRANSFORM_FILE" in text(done)


def with_frames(files: Path, folder: Path) -> Path:
    """The same pair, each file with a side-car that names its frame."""
    for name in ("fixed", "moving"):
        for stem in (name, f"{name}_mask"):
            (folder / f"{stem}.nii.gz").write_bytes((files / f"{stem}.nii.gz").read_bytes())
            (folder / f"{stem}.json").write_text(json.dumps({"FrameOfReferenceUID": f"1.{name}"}))
    return folder


def test_masks_and_labels_of_another_frame_are_refused(
    command: Command, files: Path, tmp_path: Path
) -> None:
    pair = with_frames(files, tmp_path)
    first, second = (str(pair / f"{name}_mask.nii.gz") for name in ("fixed", "moving"))
    for order in (
        ("--fixed-mask", second),
        ("--moving-mask", first),
        ("--fixed-labels", first, "--moving-labels", first),
        ("--fixed-labels", second, "--moving-labels", second),
    ):
        done = command(*ask(pair, tmp_path / "out", *order))
        assert done.code == 5, text(done)
        assert "E_FOR" in text(done)
        assert "_mask.json" in text(done)
        assert not (tmp_path / "out").exists()
    own = ("--fixed-labels", first, "--moving-labels", second, "--fixed-mask", first)
    done = command(*ask(pair, tmp_path / "out", *own))
    assert done.code == 0, text(done)


def test_a_given_start_is_recorded_with_its_hash(
    command: Command, files: Path, tmp_path: Path
) -> None:
    import SimpleITK as sitk

    start = tmp_path / "start.tfm"
    sitk.WriteTransform(sitk.TranslationTransform(3, (1.0, 2.0, 3.0)), str(start))
    done = command(*ask(files, tmp_path / "out", "--start", str(start)))
    assert done.code == 0, text(done)
    sha256 = hashlib.sha256(start.read_bytes()).hexdigest()
    qc = json.loads((tmp_path / "out" / "qc.json").read_text())
    assert (qc["start"], qc["start_sha256"]) == ("start.tfm", sha256)
    assert qc["settings"]["given_start"] == f"file: start.tfm (SHA-256 {sha256[:16]})"
    assert qc["settings"]["started_from"] == "given"
    manifest = (tmp_path / "out" / "manifest.json").read_text()
    assert sha256 in manifest
    assert "start.tfm" in manifest


def test_a_mask_of_a_few_voxels_is_named(command: Command, files: Path, tmp_path: Path) -> None:
    still = nib.load(files / "fixed_mask.nii.gz")
    tiny = np.zeros(still.shape, np.uint8)
    tiny[16:18, 14:16, 11:13] = 1
    nib.save(nib.Nifti1Image(tiny, still.affine), tmp_path / "tiny.nii.gz")
    done = command(*ask(files, tmp_path / "out", "--fixed-mask", str(tmp_path / "tiny.nii.gz")))
    assert done.code == 5
    assert "E_REGISTRATION_MASK" in text(done)
    # eight voxels of 5 mm
    assert "tiny.nii.gz (8 voxels in 10 x 10 x 10 mm)" in " ".join(text(done).split())


def test_the_help_names_both_files_of_a_transform(command: Command) -> None:
    said = text(command("register", "--help"))
    assert "transform.tfm" in said
    assert "transform.h5" in said
