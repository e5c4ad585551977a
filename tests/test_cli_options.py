"""Options of the single steps that mean nothing for the input are refused, never left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.conftest import Outcome
from tests.io import dicom_factory

Command = Callable[..., Outcome]

SEED = ("--seed", "0,0,0")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of input, named after its kind, and files that options may name."""
    folder = tmp_path_factory.mktemp("kinds")
    values = np.zeros((6, 6, 6), np.float32)
    values[2:4, 2:4, 2:4] = 8.0
    for name, car in (
        ("plain", None),
        ("pet_bids", {"TracerRadionuclide": "Zr89", "Units": "Bq/mL"}),
        ("mr", {"EchoTime": 0.004}),
    ):
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii.gz")
        if car is not None:
            (folder / f"{name}.json").write_text(json.dumps(car), encoding="utf-8")
    nib.save(nib.Nifti1Image((values > 0).astype(np.uint8), np.eye(4)), folder / "organ.nii.gz")
    dicom_factory.write_pet(folder / "pet_dicom")
    dicom_factory.write_mr(folder / "mr_dicom")
    (folder / "study.toml").write_text("[patient]\nweight_kg = 70.0\n", encoding="utf-8")
    (folder / "list.csv").write_text("study,path\na,pet_dicom\n", encoding="utf-8")
    (folder / "bids" / "sub-1").mkdir(parents=True)
    (folder / "bids" / "dataset_description.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("words", "option"),
    [
        # PET is outlined
        (("segment", "plain.nii.gz", "--diameter-mm", "5"), "--diameter-mm"),
        (("segment", "plain.nii.gz", "--background", "-1,-1,1"), "--background"),
        (("segment", "pet_dicom", "--diameter-mm", "5"), "--diameter-mm"),
        (("segment", "pet_dicom", "--unit", "suvbw"), "--unit"),
        (("segment", "pet_bids.nii.gz", "--unit", "suvbw"), "--unit"),
        (("segment", "plain.nii.gz", "--series", "pt-1"), "--series"),
        (("segment", "plain.nii.gz", "--study", "study.toml"), "--study"),
        # MR is outlined
        (("segment", "mr.nii.gz", *SEED, "--unit", "suvbw"), "--unit"),
        (("segment", "plain.nii.gz", "--modality", "mr", *SEED, "--unit", "suvbw"), "--unit"),
        (("segment", "mr.nii.gz", *SEED, "--regions", "organ.nii.gz"), "--regions"),
        (("segment", "mr.nii.gz", *SEED, "--study", "study.toml"), "--study"),
        (("segment", "mr.nii.gz", *SEED, "--series", "mr-1"), "--series"),
        (("segment", "mr_dicom", *SEED, "--unit", "activity"), "--unit"),
        (("segment", "mr_dicom", *SEED, "--study", "study.toml"), "--study"),
        # two series are aligned
        (
            ("register", "--fixed", "mr.nii.gz", "--moving", "mr_dicom", "--fixed-series", "x"),
            "--fixed-series",
        ),
        (
            ("register", "--fixed", "mr_dicom", "--moving", "mr.nii.gz", "--moving-series", "x"),
            "--moving-series",
        ),
        # a single map is made
        (
            ("map", "r2star", "plain.nii.gz", "--series", "x", "--echo-times-ms", "1,2"),
            "--series",
        ),
        # many studies are run
        (("batch", "list.csv", "--depth", "2"), "--depth"),
        (("batch", "bids", "--depth", "1"), "--depth"),
        (("batch", "pet_dicom", "--per-session"), "--per-session"),
        (("batch", "pet_dicom", "--tls-key", "study.toml"), "--tls-key"),
        (("batch", "pet_dicom", "--insecure-scheduler"), "--insecure-scheduler"),
        (("batch", "pet_dicom", "--jobs", "4"), "--jobs"),
        (("batch", "pet_dicom", "--slurm", "--workers", "2"), "--workers"),
        (("batch", "pet_dicom", "--slurm", "--dashboard"), "--dashboard"),
        (("batch", "pet_dicom", "--partition", "gpu"), "--partition"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    command: Command,
    kinds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    option: str,
) -> None:
    monkeypatch.chdir(kinds)
    done = command(*words, "--out", tmp_path / "out")
    assert (done.code, "E_OPTION" in done.err) == (4, True), done.err
    assert f"{option} does nothing for" in done.err
    assert "it is for" in done.err
    assert not (tmp_path / "out").exists()


def test_a_kind_that_the_header_contradicts_is_refused(
    command: Command, kinds: Path, tmp_path: Path
) -> None:
    mr = kinds / "mr_dicom"
    same = ("--fixed", mr, "--moving", mr, "--out", tmp_path / "out")
    key = json.loads(command("scan", mr, "--json").out)["series"][0]["key"]
    wrong = command("register", *same, "--fixed-series", key, "--fixed-kind", "ct")
    assert (wrong.code, "is MR, and was said to be ct" in wrong.err) == (4, True), wrong.err
