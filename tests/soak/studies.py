"""Phantom studies as a hospital would hand them over: most good, some bad, each in another way.

The code that a bad study must end with is written here by hand, from the rule that the input
breaks (``eprimg explain CODE``); nothing is taken from a run.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

NAME = "Zebrafink"
"""A patient's name in every folder name; it must never get out of there."""
SECRETS = (NAME, "Phantom^Abdomen", "PHANTOM-ABDOMEN")
"""What only ``sources.csv`` (folder names) and the input itself may hold."""

# Half the resolution of the phantom's small size: an eighth of the voxels.
_TINY = """\
[sizes.tiny]
mr_shape = [18, 58, 58]
mr_spacing_mm = [10.0, 6.4, 6.4]
pet_shape = [27, 48, 48]
pet_spacing_mm = [8.0, 8.4, 8.4]
pet_centre_mm = [0.0, 0.0, 0.0]
pet_fine = 2
ct_shape = [27, 64, 64]
ct_spacing_mm = [8.0, 6.6, 6.6]

"""


@dataclass(frozen=True)
class Planned:
    """One study of the soak.

    Parameters
    ----------
    folder : str
        Name of its folder below the root.
    kind : str
        What it holds: ``pet``, ``mr``, ``pair`` (before and after the agent) or ``whole``.
    seed : int
        Seed of the phantom.
    bad : str
        Name of what is wrong with it (a key of `BAD`); empty for a good study.
    """

    folder: str
    kind: str
    seed: int
    bad: str = ""

    @property
    def key(self) -> str:
        """The study's key, computed from the rule in words, not by the code under test."""
        return "S-" + hashlib.sha256(self.folder.encode()).hexdigest()[:10]

    @property
    def code(self) -> str:
        """The code that it must end with; empty for a good study."""
        return BAD[self.bad].code if self.bad else ""


@dataclass(frozen=True)
class Bad:
    """One way to be bad: the kind of study it happens to, the code it must get, and the deed."""

    kind: str
    code: str
    spoil: Callable[[Path], None]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def _change(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    for path in _files(folder):
        dataset = pydicom.dcmread(path)
        if change(dataset) is not False:
            dataset.save_as(path)


def _no_weight(folder: Path) -> None:
    _change(folder, lambda ds: delattr(ds, "PatientWeight"))


def _counts(folder: Path) -> None:
    _change(folder, lambda ds: setattr(ds, "Units", "CNTS"))


def _no_decay_correction(folder: Path) -> None:
    _change(folder, lambda ds: delattr(ds, "DecayCorrection"))


def _no_injection_date(folder: Path) -> None:
    def drop(dataset: pydicom.Dataset) -> None:
        administration = dataset.RadiopharmaceuticalInformationSequence[0]
        del administration.RadiopharmaceuticalStartDateTime
        administration.RadiopharmaceuticalStartTime = "111500"

    _change(folder, drop)


def _slice_lost(folder: Path) -> None:
    files = _files(folder)
    files[len(files) // 2].unlink()


def _file_cut(folder: Path) -> None:
    victim = _files(folder)[3]
    victim.write_bytes(victim.read_bytes()[:-500])


def _two_patients(folder: Path) -> None:
    def swap(dataset: pydicom.Dataset) -> bool:
        dataset.PatientID = "SOMEBODY-ELSE"
        return str(dataset.Modality) == "PT"

    _change(folder, swap)


def _one_echo(folder: Path) -> None:
    for path in _files(folder):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if str(header.Modality) == "MR" and abs(float(header.EchoTime) - 1.2) > 0.01:
            path.unlink()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _not_dicom(folder: Path) -> None:
    _empty(folder)
    (folder / "letter.txt").write_text("no images\n", encoding="ascii")
    (folder / "IM00001.dcm").write_bytes(bytes(range(256)) * 64)


def _mask_is_a_pipe(folder: Path) -> None:
    """Name a mask that is a pipe which nobody writes to: reading it would wait for ever."""
    for mask in folder.glob("lesions_pet*"):
        mask.unlink()
    os.mkfifo(folder / "lesions.nii")
    (folder / "study.toml").write_text('[[masks]]\npath = "lesions.nii"\n', encoding="ascii")


def _too_large(folder: Path) -> None:
    """Two echoes of 180 million voxels, nearly nothing on disk: 3.9 GB of memory by the plan."""
    _empty(folder)
    for number, echo_time_s in ((1, 0.004), (2, 0.008)):
        header = nib.Nifti1Image(
            np.zeros((1, 1, 1), np.int16), np.diag([1.0, 1.0, 1.0, 1.0])
        ).header
        header.set_data_shape((600, 600, 500))
        stem = folder / f"sub-01_echo-{number}_MEGRE"
        with gzip.open(f"{stem}.nii.gz", "wb", compresslevel=1) as file:
            header.write_to(file)
            file.write(bytes(4))
            for _ in range(500):
                file.write(bytes(600 * 600 * 2))
        side_car = {"EchoTime": echo_time_s, "MagneticFieldStrength": 3.0, "ImageType": ["M"]}
        Path(f"{stem}.json").write_text(json.dumps(side_car), encoding="ascii")


BAD = {
    "missing weight": Bad("pet", "E_SUV_WEIGHT", _no_weight),
    "wrong PET units": Bad("pet", "E_PET_UNITS", _counts),
    "missing slice": Bad("pet", "E_GEOM_GAP", _slice_lost),
    "mixed patients": Bad("whole", "E_PATIENT_MIX", _two_patients),
    "truncated file": Bad("pet", "E_PIXEL_SHORT", _file_cut),
    "injection date lost": Bad("pet", "E_SUV_TIME", _no_injection_date),
    "single echo": Bad("mr", "E_NO_SERIES", _one_echo),
    "no decay correction stated": Bad("pet", "E_DECAY", _no_decay_correction),
    "empty folder": Bad("pet", "E_EMPTY", _empty),
    "not DICOM": Bad("pet", "E_EMPTY", _not_dicom),
    "mask is a pipe": Bad("pet", "E_STUDY_FILE", _mask_is_a_pipe),
    "too large": Bad("pet", "E_BATCH_MEMORY_PLAN", _too_large),
}


def plan(kinds: Iterable[str], bad: Iterable[str]) -> tuple[Planned, ...]:
    """Lay out the studies: seeds differ, bad ones are spread among the good ones.

    Parameters
    ----------
    kinds : iterable of str
        Kind of every good study.
    bad : iterable of str
        Keys of `BAD`.

    Returns
    -------
    tuple of Planned
        In the order of their folders.
    """
    rows = [(kind, "") for kind in kinds]
    ways = list(bad)
    for n, way in enumerate(ways):
        rows.insert((n + 1) * len(rows) // (len(ways) + 1), (BAD[way].kind, way))
    return tuple(
        Planned(f"{NAME}-Anna-{n:02d}", kind, n, way) for n, (kind, way) in enumerate(rows, start=1)
    )


def make_studies(root: Path, planned: Iterable[Planned], *, size: str, processes: int = 2) -> None:
    """Write the studies.

    Parameters
    ----------
    root : Path
        Folder that gets one folder per study.
    planned : iterable of Planned
        See `plan`.
    size : str
        Size of the phantom: ``"tiny"`` (an eighth of the voxels of small) or ``"small"``.
    processes : int
        How many are written at a time.
    """
    root.mkdir(parents=True)
    scene = _scene(root.parent)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(_make, ((root, scene, size, study) for study in planned)))


def _scene(folder: Path) -> Path:
    from eprimg_phantoms.scene import SCENES

    text = (SCENES / "abdomen.toml").read_text(encoding="utf-8")
    scene = folder / "abdomen.toml"
    scene.write_text(text.replace("[sizes.small]", _TINY + "[sizes.small]"), encoding="utf-8")
    return scene


def _make(job: tuple[Path, Path, str, Planned]) -> None:
    from eprimg_phantoms import make

    root, scene, size, study = job
    phantom = make(scene, root.parent / f".phantom-{study.seed}", size=size, seed=study.seed)
    folder = root / study.folder
    folder.mkdir()
    masks = ("S0004", "S0005")
    wanted = {
        "pet": ("S0003",),
        "mr": ("S0001", *masks),
        "pair": ("S0001", "S0002", *masks),
        "whole": ("S0001", "S0002", "S0003", *masks),
    }[study.kind]
    for series in wanted:
        (phantom / "dicom" / series).rename(folder / series)
    if study.kind == "pet":  # the DICOM masks lie on the MR grid
        for name in ("lesions_pet.nii.gz", "lesions_pet.json"):
            (phantom / "masks" / name).rename(folder / name)
    shutil.rmtree(phantom)
    if study.bad:
        BAD[study.bad].spoil(folder)
