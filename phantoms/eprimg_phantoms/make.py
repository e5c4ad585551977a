"""Write a whole phantom study: DICOM series, masks and truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eprimg_phantoms import dicom_ct, dicom_mr, dicom_pet, masks, pet
from eprimg_phantoms.ct import acquire_ct, ct_grid
from eprimg_phantoms.expected import TailTruth, tail_truth
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity
from eprimg_phantoms.make_pet import write_pet_study
from eprimg_phantoms.make_vials import write_vials
from eprimg_phantoms.mri import acquire, mr_grid
from eprimg_phantoms.scene import Scene, load_scene
from eprimg_phantoms.truth import MRObservation, PETObservation, build_truth
from eprimg_phantoms.vials import VialScene, load_vials, scene_kind

Progress = Callable[[str, float], None]
Labels = npt.NDArray[np.uint8]

# Neutral names: nothing about the role of a series may be read from its folder.
FOLDERS = {
    "pre": "S0001",
    "post": "S0002",
    "pet": "S0003",
    "lesions": "S0004",
    "organs": "S0005",
    "ct": "S0006",
}


@dataclass(frozen=True)
class _Writer:
    """What every step of one run needs."""

    scene: Scene
    size: str
    who: Identity
    root: Path
    progress: Progress

    def folder(self, key: str) -> Path:
        path = self.root / "dicom" / FOLDERS[key]
        path.mkdir(parents=True)
        return path


def make(
    scene: str | Path,
    out: str | Path,
    *,
    size: str = "small",
    seed: int = 1,
    with_ct: bool = False,
    variant: str = "",
    progress: Progress | None = None,
) -> Path:
    """Write a phantom study.

    Parameters
    ----------
    scene : str or pathlib.Path
        Name of a built-in scene (``"abdomen"``, ``"fat-water"``, ``"r2star-ladder"``) or a TOML
        file.
    out : str or pathlib.Path
        Folder to create; it may exist if it is empty.
    size : str
        ``"small"`` or ``"full"``; ``"tiny"`` or ``"small"`` for a scene of vials.
    seed : int
        Seed of noise and identifiers (0 or more). Equal seeds give equal files.
    with_ct : bool
        Also write the CT of the PET/CT (a scene of vials has none).
    variant : str
        Variant of the scene, e.g. ``"64cu"`` of ``"nema-iec"`` (a scene of vials has none).
    progress : callable, optional
        Called with the name of the step and the fraction that is done.

    Returns
    -------
    pathlib.Path
        The folder: ``dicom/``, ``masks/`` and ``truth.json``.

    Raises
    ------
    ValueError
        If scene or size are unknown or the seed is negative.
    FileExistsError
        If the folder is not empty.
    """
    vials = scene_kind(scene) == "vials"
    if vials and variant:
        raise ValueError(f"scene {str(scene)!r} has no variants")
    what = load_vials(scene) if vials else load_scene(scene, variant)
    if size not in what.sizes:
        raise ValueError(f"no size {size!r}; sizes of scene {what.name!r}: {', '.join(what.sizes)}")
    if with_ct and isinstance(what, Scene) and not what.ct:
        raise ValueError(f"scene {what.name!r} has no CT")
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    root = Path(out)
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty")
    root.mkdir(parents=True, exist_ok=True)
    who = Identity(what.name, size, seed, variant)
    tell = progress or (lambda *_: None)
    try:
        if isinstance(what, VialScene):
            write_vials(what, who, root, tell)
        else:
            _write(_Writer(what, size, who, root, tell), with_ct)
    except BaseException:
        # A half-written study would look like a whole one to a reader.
        for part in ("dicom", "masks"):
            shutil.rmtree(root / part, ignore_errors=True)
        (root / "truth.json").unlink(missing_ok=True)
        raise
    return root


def _write(w: _Writer, with_ct: bool) -> None:
    if not w.scene.mr:
        write_pet_study(w.scene, w.who, w.root, w.progress)
        return
    (w.root / "masks").mkdir()
    lesion_of, organ_of = masks.region_labels(w.scene)
    grid = mr_grid(w.scene, w.size)

    pre_labels, pre_gain, _ = _mr(w, grid, "pre", None)
    pre_lesions, pre_organs = lesion_of[pre_labels], organ_of[pre_labels]
    number_of = _numbers(w.scene, lesion_of, organ_of)
    post_labels, post_gain, signals = _mr(w, grid, "post", number_of)
    tails = _tails(w, number_of[post_labels], signals)
    _masks(w, grid, "", "pre", pre_lesions, pre_organs)
    _masks(w, grid, "_post", "post", lesion_of[post_labels], organ_of[post_labels])
    _segs(w, grid, pre_lesions, pre_organs)

    w.progress("PET", 0.0)
    pgrid = pet.pet_grid(w.scene, w.size)
    noisy, clean, pet_labels = pet.reconstruct(w.scene, w.size, w.who.rng("pet noise"))
    folder = w.folder("pet")
    for k in dicom_pet.write_pet(w.scene, w.who, pgrid, noisy, folder):
        w.progress("PET", 0.3 + 0.7 * (k + 1) / pgrid.shape[0])
    _masks(w, pgrid, "_pet", "pet", lesion_of[pet_labels], organ_of[pet_labels])

    if with_ct:
        cgrid = ct_grid(w.scene, w.size)
        slices = acquire_ct(w.scene, cgrid, w.who.rng("ct noise"))
        for k in dicom_ct.write_ct(w.scene, w.who, cgrid, slices, w.folder("ct")):
            w.progress("CT", (k + 1) / cgrid.shape[0])

    truth = build_truth(
        w.scene,
        w.who,
        MRObservation(grid, pre_labels, pre_gain, post_labels, post_gain, tails),
        PETObservation(pgrid, clean, pet_labels),
        series={key: f"dicom/{name}" for key, name in FOLDERS.items() if key != "ct" or with_ct},
    )
    (w.root / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def _mr(
    w: _Writer, grid: SampleGrid, session: str, number_of: Labels | None
) -> tuple[Labels, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Write one MR session; return labels, gain and the clean signals of the numbered voxels."""
    labels = np.empty(grid.shape, dtype=np.uint8)
    gain = np.empty(grid.shape, dtype=np.float32)
    signals = []
    slices = acquire(w.scene, grid, session, w.who.rng("mr noise", session))
    name = {"pre": "MR before the agent", "post": "MR after the agent"}[session]
    for k, one in enumerate(
        dicom_mr.write_mr(w.scene, w.who, grid, session, slices, w.folder(session))
    ):
        labels[k], gain[k] = one.painted.labels, one.gain
        if number_of is not None:
            signals.append(one.clean[number_of[labels[k]] > 0])
        w.progress(name, (k + 1) / grid.shape[0])
    return labels, gain, np.concatenate(signals) if signals else np.empty((0, 0), dtype=np.float32)


def _numbers(scene: Scene, lesion_of: Labels, organ_of: Labels) -> Labels:
    """Return the number per painted label that rR2*90 needs: lesions keep theirs, spleen is 255."""
    spleen = scene.organs.index("spleen") + 1
    return np.where(organ_of == spleen, np.uint8(255), lesion_of).astype(np.uint8)


def _tails(w: _Writer, painted: Labels, signals: npt.NDArray[np.float32]) -> dict[str, TailTruth]:
    numbers = painted[painted > 0]
    lesions = {x.name: signals[numbers == n] for n, x in enumerate(w.scene.lesions, start=1)}
    return tail_truth(
        lesions,
        signals[numbers == 255],
        w.scene.echo_times_s,
        w.scene.mr["sigma"],
        w.who.rng("rR2*90"),
    )


def _masks(
    w: _Writer, grid: SampleGrid, suffix: str, session: str, lesions: Labels, organs: Labels
) -> None:
    frame = w.who.uid(session, "frame of reference")
    for role, labels, names in (
        ("lesion", lesions, [x.name for x in w.scene.lesions]),
        ("reference", organs, list(w.scene.organs)),
    ):
        stem = {"lesion": "lesions", "reference": "organs"}[role] + suffix
        masks.write_nifti(w.root / "masks" / f"{stem}.nii.gz", labels, grid)
        masks.write_side_car(w.root / "masks" / f"{stem}.json", names, frame, session, role)


def _segs(w: _Writer, grid: SampleGrid, lesions: Labels, organs: Labels) -> None:
    first_echo = [
        w.root / "dicom" / FOLDERS["pre"] / f"IM{k + 1:05d}.dcm" for k in range(grid.shape[0])
    ]
    for n, (key, labels, names, title) in enumerate(
        (
            ("lesions", lesions, [x.name for x in w.scene.lesions], "Lesions"),
            ("organs", organs, list(w.scene.organs), "Reference organs"),
        )
    ):
        path = w.folder(key) / "IM00001.dcm"
        masks.write_seg(
            w.scene, w.who, labels, names, first_echo, path, title=title, number=501 + n
        )
        w.progress("masks", (n + 1) / 2)
